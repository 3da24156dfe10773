# SPDX-License-Identifier: Apache-2.0
"""Clips of given frames: the same as frame by frame, each decoded once."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data import EncodedVideo, VideoError
from pytorchvideo.data._decode import Frames
from pytorchvideo.data._reading.picked import picked_clips

CLIPS = st.lists(st.lists(st.integers(0, 29), min_size=1, max_size=6), max_size=6)


class Numbers:
    """A video whose frame n is of the number n, and whose damaged frames are errors."""

    def __init__(self, damaged: tuple[int, ...] = ()) -> None:
        self.damaged, self.asked = damaged, Counter[int]()

    def get_frames(self, *, indices: list[int], frame_transform: Any) -> Frames:
        if bad := set(indices) & set(self.damaged):
            raise VideoError(f"frame {min(bad)} is damaged")
        self.asked.update(indices)
        data = torch.tensor(indices, dtype=torch.uint8).view(1, -1, 1, 1).expand(3, -1, 2, 2)
        return Frames(data, torch.tensor(indices) / 10, indices)


def numbers_of(video: Any, clips: list[list[int]]) -> list[list[int]]:
    return [clip[0, :, 0, 0].tolist() for _, clip in picked_clips(video, clips, None)]


@given(CLIPS)
def test_any_clips(clips: list[list[int]]) -> None:
    video = Numbers()
    assert numbers_of(video, clips) == clips


@given(CLIPS)
def test_sorted_clips_decode_each_frame_once(clips: list[list[int]]) -> None:
    video = Numbers()
    clips = sorted(sorted(clip) for clip in clips)
    assert numbers_of(video, clips) == clips
    starts = [clip[0] for clip in clips]
    assert starts == sorted(starts)
    assert set(video.asked.values()) <= {1} and set(video.asked) == {f for c in clips for f in c}


def test_a_damaged_frame_of_a_later_clip_comes_in_its_turn() -> None:
    found = picked_clips(Numbers(damaged=(5,)), [[0, 9], [5, 9]], None)  # type: ignore[arg-type]
    assert next(found)[0] == pytest.approx((0.0, 0.9))
    with pytest.raises(VideoError, match="frame 5 is damaged"):
        next(found)


def test_clips_of_a_file(make_video: Callable[..., Path]) -> None:
    clips = [[0, 5, 10, 19], [4, 9, 14, 19], [8, 8, 19, 19]]
    with EncodedVideo.from_path(make_video("a.mp4", num_frames=20, fps=10)) as video:
        found = list(picked_clips(video, clips, None))
        for frames, (times, clip) in zip(clips, found, strict=True):
            alone = video.get_frames(indices=frames)
            assert torch.equal(clip, alone.data.float()) and clip.dtype == torch.float32
            assert times == (frames[0] / 10, frames[-1] / 10)
