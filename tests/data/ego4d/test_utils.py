# SPDX-License-Identifier: Apache-2.0
"""Windows around labels."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.clip_sampling import exact_seconds
from pytorchvideo.data.ego4d import Ego4dImuData, MomentsClipSampler
from pytorchvideo.data.ego4d.utils import Ego4dImuDataBase, check_window_len, get_label_id_map


@given(st.floats(0, 90), st.floats(0, 10), st.floats(0.1, 100), st.floats(100, 200))
def test_windows_have_their_length_and_lie_inside(
    start: float, length: float, window_sec: float, duration: float
) -> None:
    annotation = {"label_video_start_sec": start, "label_video_end_sec": start + length}
    clip = MomentsClipSampler(window_sec)(None, duration, annotation)
    assert float(clip.clip_end_sec - clip.clip_start_sec) == pytest.approx(window_sec)
    assert clip.clip_start_sec >= 0
    assert clip.clip_end_sec <= exact_seconds(duration)
    assert clip[2:] == (0, 0, True)
    middle = start + length / 2
    if window_sec / 2 <= middle <= duration - window_sec / 2:
        assert float(clip.clip_start_sec + clip.clip_end_sec) / 2 == pytest.approx(middle)
    assert annotation["clip_start"] == float(clip.clip_start_sec)
    assert annotation["clip_end"] == float(clip.clip_end_sec)


def test_no_window_and_no_room() -> None:
    annotation = {"label_video_start_sec": 2.5, "label_video_end_sec": 4.0}
    sampler = MomentsClipSampler()
    assert sampler(None, 100, annotation)[:2] == (2.5, 4)
    assert "clip_duration=0.0" in repr(sampler)
    assert MomentsClipSampler(10)(None, 6, annotation)[:2] == (0, 10)
    with pytest.raises(ValueError, match="`window_sec` to be >= 0 seconds"):
        MomentsClipSampler(-1)


def test_a_window_is_slid_into_the_video() -> None:
    assert check_window_len(9, 11, 4, 100) == (8, 12)
    assert check_window_len(98, 99, 4, 100) == (96, 100)
    assert check_window_len(0, 1.5, 4, 100) == (0, 4)
    assert check_window_len(3.5, 5, 0, 100) == (3.5, 5)
    assert check_window_len(1, 2, 10, 6) == (0, 10)


def test_class_ids_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ids.json"
    file.write_text(json.dumps({"cook": 0, "wash": 1}))
    assert get_label_id_map(str(file)) == {"cook": 0, "wash": 1}
    file.write_text(json.dumps(["cook"]))
    with pytest.raises(ValueError, match=r"ids\.json: expected an object `\{label: class id\}`"):
        get_label_id_map(str(file))


def test_measurements_have_a_common_base(tmp_path: Path) -> None:
    assert issubclass(Ego4dImuData, Ego4dImuDataBase)
    assert Ego4dImuData(str(tmp_path)).imu_path == str(tmp_path)
    with pytest.raises(TypeError, match="abstract"):
        Ego4dImuDataBase("")  # type: ignore[abstract]
