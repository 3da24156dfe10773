# SPDX-License-Identifier: Apache-2.0
"""Inertial measurements."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from pytorchvideo.data.ego4d import Ego4dImuData

HEADER = "component_idx,accl_x,accl_y,accl_z,gyro_x,gyro_y,gyro_z,canonical_timestamp_ms\n"


def write(folder: Path, times: Sequence[float]) -> Ego4dImuData:
    rows = [f"0,{k},{2 * k},{-k},1,{k % 2},0,{time}\n" for k, time in enumerate(times)]
    (folder / "uid.csv").write_text(HEADER + "".join(rows))
    return Ego4dImuData(str(folder))


def test_measurements_of_a_clip(tmp_path: Path) -> None:
    imu = write(tmp_path, [5.0 * k for k in range(1000)])
    assert imu.has_imu("uid") and not imu.has_imu("other")
    signal, times, rate = imu.get_imu("uid")
    assert (signal.shape, signal.dtype, times.dtype, rate) == (
        (1000, 6),
        torch.float32,
        torch.float64,
        200,
    )
    assert signal[7].tolist() == [7, 14, -7, 1, 1, 0]
    clip = imu.get_clip("uid", 1, 2)
    assert clip["timestamp"].tolist() == [5.0 * k for k in range(200, 400)]
    assert clip["sampling_rate"] == 200
    mean, deviation = clip["signal"].mean(0), clip["signal"].std(0, correction=0)
    torch.testing.assert_close(mean, torch.zeros(6), atol=1e-5, rtol=0)
    # constant channels stay 0
    torch.testing.assert_close(deviation, torch.tensor([1.0, 1, 1, 0, 1, 0]))
    assert imu.get_clip("uid", 90, 91)["signal"].shape == (0, 6)


def test_times_that_go_backwards_are_made_anew(tmp_path: Path) -> None:
    imu = write(tmp_path, [1000.0 - 5 * k for k in range(400)])
    _, times, rate = imu.get_imu("uid")
    assert rate == 198
    torch.testing.assert_close(times.diff(), torch.full((399,), 1000 / 198, dtype=torch.float64))
    assert times[0] == 1000


def test_gaps_and_bad_files(tmp_path: Path) -> None:
    (tmp_path / "uid.csv").write_text(
        HEADER + "0,1,2,3,4,5,6,0\n0,,2,3,4,5,6,5\n0,1,2,3,4,5,6,10\n"
    )
    assert len(Ego4dImuData(str(tmp_path)).get_imu("uid")[0]) == 2
    (tmp_path / "uid.csv").write_text(HEADER + "0,1,2,3,4,5,x,0\n")
    with pytest.raises(ValueError, match=r"uid\.csv, line 2: .*'x'"):
        Ego4dImuData(str(tmp_path)).get_imu("uid")
    (tmp_path / "uid.csv").write_text("accl_x,accl_y\n1,2\n")
    with pytest.raises(ValueError, match=r"line 1: .*a header with the columns accl_x"):
        Ego4dImuData(str(tmp_path)).get_imu("uid")
    with pytest.raises(FileNotFoundError, match="no file"):
        Ego4dImuData(str(tmp_path)).get_imu("gone")
