# SPDX-License-Identifier: Apache-2.0
"""IMU data of Ego4D: acceleration and rotation of the camera, one csv file per video."""

from pathlib import Path
from typing import Any

import torch

from pytorchvideo.data._annotations.tables import read_table
from pytorchvideo.data.ego4d.utils import Ego4dImuDataBase

__all__ = ["Ego4dImuData"]

_CHANNELS = ("accl_x", "accl_y", "accl_z", "gyro_x", "gyro_y", "gyro_z")
_TIME = "canonical_timestamp_ms"
_RATE = 198.0
"""Hz: that of the files whose own times cannot be used."""


class Ego4dImuData(Ego4dImuDataBase):
    """Reads ``<imu_path>/<video_uid>.csv`` with ``accl_x`` ... ``gyro_z`` and ``canonical_timestamp_ms``.

    Rows with an empty field are left out. The last file that was read is kept.

    Args:
        imu_path: the folder of the files.
    """

    def __init__(self, imu_path: str) -> None:
        super().__init__(imu_path)
        self._last: tuple[str, torch.Tensor, torch.Tensor, float] | None = None

    def has_imu(self, video_uid: str) -> bool:
        """Whether there is a file for a video."""
        return self._file(video_uid).is_file()

    def get_imu(self, video_uid: str) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Returns all measurements of a video.

        Returns:
            float32 (N, 6), accelerations before rotations; float64 (N,) milliseconds; samples per second. Where the
            times of the file go backwards, they are made anew, from the first on at 198 Hz.

        Raises:
            FileNotFoundError: there is no file.
            ValueError: a line that cannot be read, named with the file and its number.
        """
        if self._last is None or self._last[0] != video_uid:
            self._last = (video_uid, *_read(self._file(video_uid)))
        return self._last[1:]

    def get_clip(self, video_uid: str, start_sec: float, end_sec: float) -> dict[str, Any]:
        """Returns the measurements of a clip ``[start_sec, end_sec)``.

        Returns:
            ``timestamp`` float64 (N,) in milliseconds; ``signal`` float32 (N, 6), each channel with mean 0 and
            deviation 1 in this clip; ``sampling_rate`` in Hz.

        Raises:
            FileNotFoundError, ValueError: see :meth:`get_imu`.
        """
        signal, times, rate = self.get_imu(video_uid)
        inside = (times >= 1000 * start_sec) & (times < 1000 * end_sec)
        return {
            "timestamp": times[inside],
            "signal": _z_scored(signal[inside]),
            "sampling_rate": rate,
        }

    def _file(self, video_uid: str) -> Path:
        return Path(self.imu_path) / f"{video_uid}.csv"


def _read(file: Path) -> tuple[torch.Tensor, torch.Tensor, float]:
    rows = []
    for number, row in read_table(file, (*_CHANNELS, _TIME)):
        fields = [row[name] for name in (*_CHANNELS, _TIME)]
        if not all(fields):
            continue
        try:
            rows.append([float(field) for field in fields])
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}.") from error
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, len(_CHANNELS) + 1)
    times = table[:, -1]
    rate = _RATE
    if len(times) > 1:
        step = float(times.diff().mean())
        if step > 0:
            rate = 1000 / step
        else:
            times = times[0] + torch.arange(len(times), dtype=torch.float64) * 1000 / _RATE
    return table[:, :-1].to(torch.float32), times, rate


def _z_scored(signal: torch.Tensor) -> torch.Tensor:
    if len(signal) == 0:
        return signal
    deviation = signal.std(dim=0, correction=0)
    return (signal - signal.mean(dim=0)) / torch.where(deviation > 0, deviation, 1)
