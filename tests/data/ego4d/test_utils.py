# SPDX-License-Identifier: Apache-2.0
"""Windows around labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.ego4d import MomentsClipSampler


@given(st.floats(0, 90), st.floats(0, 10), st.floats(0.1, 100), st.floats(100, 200))
def test_windows_have_their_length_and_lie_inside(
    start: float, length: float, window_sec: float, duration: float
) -> None:
    annotation = {"label_video_start_sec": start, "label_video_end_sec": start + length}
    clip = MomentsClipSampler(window_sec)(None, duration, annotation)
    assert clip.clip_end_sec - clip.clip_start_sec == window_sec
    assert clip.clip_start_sec >= 0
    assert clip.clip_end_sec <= duration
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
