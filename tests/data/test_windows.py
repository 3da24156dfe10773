# SPDX-License-Identifier: Apache-2.0
"""Windows that slide over a video."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.clip_sampling import (
    ClipInfo,
    ConstantClipsPerVideoSampler,
    make_clip_sampler,
)
from pytorchvideo.data.windows import (
    SlidingWindows,
    clip_windows,
    clips_and_views,
    uniform_windows,
)
from pytorchvideo.transforms.clip_recipe import ClipRecipe

lengths = st.floats(0.1, 500.0)


@given(start=st.floats(0, 1e4), length=lengths, clip=lengths, every=lengths)
def test_every_moment_has_one_nearest_clip(
    start: float, length: float, clip: float, every: float
) -> None:
    windows = SlidingWindows(start, length, clip, every)
    rows = list(windows)
    assert rows[0][0] == start
    assert rows[-1][1] == pytest.approx(start + length) or len(rows) == 1
    assert all(a[0] <= b[0] + 1e-9 and b[0] - a[0] <= every * (1 + 1e-6) for a, b in pairwise(rows))
    nearest = [windows.nearest(number) for number in range(len(rows))]
    assert (nearest[0][0], nearest[-1][1]) == (start, start + length)
    assert all(a[1] == b[0] for a, b in pairwise(nearest))
    for (low, high), (a, b) in zip(nearest, rows, strict=True):
        assert low - 1e-6 <= (a + b) / 2 <= high + 1e-6


@given(length=lengths, clip=lengths)
def test_clips_end_to_end_are_the_uniform_ones(length: float, clip: float) -> None:
    found = np.array(SlidingWindows(0.0, length, clip, clip))
    np.testing.assert_allclose(found, uniform_windows(length, clip), rtol=1e-9, atol=1e-9)


def test_windows_are_a_sequence() -> None:
    windows = SlidingWindows(1.0, 5.0, 2.0, 1.0)
    assert windows[1:3] == [(2.0, 4.0), (3.0, 5.0)]
    with pytest.raises(IndexError, match=r"Expected `number` to be in 0\.\.3, but got 4"):
        windows[4]
    with pytest.raises(ValueError, match="Expected `clip_sec` to be > 0 seconds"):
        SlidingWindows(0.0, 1.0, 0.0, 1.0)


@given(
    duration=st.floats(3, 100),
    clips=st.integers(1, 12),
    crops=st.sampled_from([1, 3]),
)
def test_a_protocol_is_the_same_clips_in_a_data_set_and_in_a_prediction(
    duration: float, clips: int, crops: int
) -> None:
    recipe = ClipRecipe(num_frames=8, sampling_rate=8)
    protocol = f"{clips}x{crops}"
    sampler = make_clip_sampler("constant_clips_per_video", **recipe.views(protocol).clip_sampler)
    found, info = [], None
    while info is None or not info.is_last_clip:
        info = sampler(None if info is None else info.clip_end_sec, duration, {})
        assert isinstance(info, ClipInfo)
        if info.aug_index == 0:
            found.append((float(info.clip_start_sec), float(info.clip_end_sec)))
    count, views = clips_and_views(protocol, 1)
    assert (count, views) == (clips, crops)
    wanted = clip_windows(duration, recipe.clip_duration_sec, clips)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_single_clip_of_the_original_sampler_is_the_first() -> None:
    """start_i = i * max(D - d, 0) / max(n - 1, 1)."""
    assert ConstantClipsPerVideoSampler(2, 1)(None, 10, {}).clip_start_sec == 0
    middle = ConstantClipsPerVideoSampler(2, 1, single="middle")
    assert middle(None, 10, {}).clip_start_sec == 4
    assert middle(None, 1, {}).clip_start_sec == 0
    with pytest.raises(ValueError, match="`single` to be one of start, middle"):
        ConstantClipsPerVideoSampler(2, 1, single="end")  # type: ignore[arg-type]
