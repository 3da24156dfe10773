# SPDX-License-Identifier: Apache-2.0
"""Layouts, times, writing a clip."""

import math
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.utils import (
    export_video_array,
    optional_threaded_foreach,
    pts_to_secs,
    secs_to_pts,
)


@given(st.integers(0, 10**9), st.fractions(Fraction(1, 10**5), 1), st.integers(-(10**6), 10**6))
def test_ticks_and_seconds_are_inverse(ticks: int, base: Fraction, start: int) -> None:
    assert secs_to_pts(ticks * base, base, start) == ticks + start
    assert secs_to_pts(ticks * base, base, start, "ceil") == ticks + start
    assert math.isclose(pts_to_secs(ticks + start, base, start), ticks * base)


def test_infinity_and_bad_rounding() -> None:
    assert secs_to_pts(math.inf, 0.1, 3) == math.inf == pts_to_secs(math.inf, 0.1, 3)
    with pytest.raises(ValueError, match="`round_mode` to be one of floor, ceil"):
        secs_to_pts(1, 0.1, 0, "nearest")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_clip_survives_export(tmp_path: Path, dtype: torch.dtype) -> None:
    clip = torch.zeros(3, 10, 32, 48, dtype=dtype)
    for t in range(10):
        clip[:, t] = torch.tensor([20 * t, 255 - 20 * t, 128]).view(3, 1, 1).to(dtype)
    path = tmp_path / "out.mp4"
    export_video_array(clip, path, rate=10, bit_rate=2_000_000)
    with EncodedVideo.from_path(path) as video:
        assert (video.rate, video.duration) == (10, 1)
        frames = video.get_clip(0, 1)["video"]
    assert frames is not None and frames.shape == clip.shape
    assert float((frames - clip.float()).abs().mean()) < 6
    with pytest.raises(ValueError, match=r"a clip \(C, T, H, W\)"):
        export_video_array(clip[0], path, rate=10)


@pytest.mark.parametrize("multithreaded", [False, True])
def test_errors_of_threads_come_through(multithreaded: bool) -> None:
    done: list[int] = []
    optional_threaded_foreach(done.append, [(i,) for i in range(50)], multithreaded)
    assert sorted(done) == list(range(50))
    with pytest.raises(ZeroDivisionError, match="zero"):
        optional_threaded_foreach(lambda x: 1 / x, [(1,), (0,)], multithreaded)
