# SPDX-License-Identifier: Apache-2.0
"""Parts of the Ego4D datasets: windows around moments, class indices of labels, the IMU interface."""

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo._text import read_json
from pytorchvideo.data.clip_sampling import ClipInfo, ClipSampler, Seconds, exact_seconds
from pytorchvideo.data.utils import get_logger

__all__ = ["Ego4dImuDataBase", "MomentsClipSampler", "check_window_len", "get_label_id_map"]

log = get_logger(__name__)


class Ego4dImuDataBase(ABC):
    """What an :class:`~pytorchvideo.data.ego4d.Ego4dMomentsDataset` asks of inertial measurements.

    Args:
        imu_path: the folder of the files.
    """

    def __init__(self, imu_path: str) -> None:
        self.imu_path = imu_path

    @abstractmethod
    def has_imu(self, video_uid: str) -> bool:
        """Whether there are measurements of a video."""

    @abstractmethod
    def get_imu(self, video_uid: str) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Returns all measurements of a video: signal (N, 6), times (N,) in milliseconds, samples per second."""


def check_window_len(
    s_time: Seconds, e_time: Seconds, w_len: Seconds, video_dur: Seconds
) -> tuple[Fraction, Fraction]:
    """Returns a window of a given length around the middle of a stretch, slid into the video.

    A window longer than the video begins with it.

    Args:
        s_time: start of the stretch in seconds.
        e_time: its end.
        w_len: length of the window; 0 for that of the stretch.
        video_dur: length of the video.

    >>> [float(time) for time in check_window_len(98, 99, 4, 100)]
    [96.0, 100.0]
    """
    start, end, length = (exact_seconds(time) for time in (s_time, e_time, w_len))
    if not length:
        return start, end
    latest = exact_seconds(video_dur) - length
    start = max(min((start + end - length) / 2, latest), Fraction(0))
    return start, start + length


def get_label_id_map(label_id_map_path: str) -> dict[str, int]:
    """Returns what a json file ``{label: class id}`` holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not json, or not such an object.
    """
    ids = read_json(label_id_map_path)
    if not isinstance(ids, dict) or not all(isinstance(i, int) for i in ids.values()):
        raise ValueError(f"{label_id_map_path}: expected an object `{{label: class id}}`.")
    return ids


class MomentsClipSampler(ClipSampler):
    """One clip per label: the stretch that it covers, or a window of fixed length around its middle.

    A window that reaches beyond the video is slid into it. The annotation gets ``clip_start`` and ``clip_end``, the
    window in seconds.

    Args:
        window_sec: length of the window; 0 for that of each label.

    Raises:
        ValueError: ``window_sec`` is negative.

    >>> sampler = MomentsClipSampler(4)
    >>> sampler(None, 100, {"label_video_start_sec": 9, "label_video_end_sec": 11})[:2]
    (Fraction(8, 1), Fraction(12, 1))
    >>> sampler(None, 100, {"label_video_start_sec": 98, "label_video_end_sec": 99})[:2]
    (Fraction(96, 1), Fraction(100, 1))
    """

    def __init__(self, window_sec: float = 0) -> None:
        if not window_sec >= 0:
            raise ValueError(expected("window_sec", ">= 0 seconds", window_sec))
        self._clip_duration = exact_seconds(window_sec)
        self.reset()

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        """Returns the clip of ``annotation["label_video_start_sec"]`` to ``annotation["label_video_end_sec"]``."""
        start, end = check_window_len(
            annotation["label_video_start_sec"],
            annotation["label_video_end_sec"],
            self._clip_duration,
            video_duration,
        )
        annotation["clip_start"], annotation["clip_end"] = float(start), float(end)
        return ClipInfo(start, end, 0, 0, True)
