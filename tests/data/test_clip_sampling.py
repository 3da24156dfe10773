# SPDX-License-Identifier: Apache-2.0
"""Clip samplers: worked examples, closed forms for counts, properties over many durations."""

import copy
import math
import pickle
import random
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, IterableDataset

from pytorchvideo.data.clip_sampling import (
    ClipInfo,
    ClipInfoList,
    ClipSampler,
    ConstantClipsPerVideoSampler,
    RandomClipSampler,
    RandomMultiClipSampler,
    RandomMultiClipSamplerTruncateFromStart,
    UniformClipSampler,
    UniformClipSamplerTruncateFromStart,
    exact_seconds,
    make_clip_sampler,
)

FPS = 30
frames = st.integers(1, 400)


def all_clips(sampler: ClipSampler, duration: Any, limit: int = 1000) -> list[ClipInfo]:
    clips: list[ClipInfo] = []
    end = None
    for _ in range(limit):
        clip = sampler(end, duration, {})
        assert isinstance(clip, ClipInfo)
        clips.append(clip)
        if clip.is_last_clip:
            return clips
        end = clip.clip_end_sec
    raise AssertionError(f"no last clip after {limit}")


def times(clips: list[ClipInfo]) -> list[tuple[float, float]]:
    return [(float(c.clip_start_sec), float(c.clip_end_sec)) for c in clips]


@given(num_frames=frames, window=frames, stride=frames, backpad=st.booleans())
def test_uniform_count_and_starts_follow_the_closed_form(
    num_frames: int, window: int, stride: int, backpad: bool
) -> None:
    sampler = UniformClipSampler(Fraction(window, FPS), Fraction(stride, FPS), backpad)
    clips = all_clips(sampler, Fraction(num_frames, FPS))
    rest = num_frames - window
    whole = 1 if rest < 0 else rest // stride + 1
    extra = int(backpad and rest > 0 and rest % stride != 0)
    assert len(clips) == whole + extra
    assert [c.clip_start_sec * FPS for c in clips[:whole]] == [i * stride for i in range(whole)]
    assert all((c.clip_end_sec - c.clip_start_sec) * FPS == window for c in clips)
    assert [c.clip_index for c in clips] == list(range(len(clips)))
    assert [c.aug_index for c in clips] == [0] * len(clips)
    if extra:
        assert clips[-1].clip_end_sec == Fraction(num_frames, FPS)


@given(st.floats(0.05, 30), st.floats(0.05, 5), st.floats(0.05, 5), st.booleans())
@settings(deadline=None)
def test_uniform_with_float_times_ends_and_stays_inside(
    duration: float, clip: float, stride: float, backpad: bool
) -> None:
    clips = all_clips(UniformClipSampler(clip, stride, backpad), duration)
    if duration >= clip:
        assert all(c.clip_start_sec >= 0 and c.clip_end_sec <= duration + 2e-6 for c in clips)
    if backpad and duration >= clip:
        assert clips[-1].clip_end_sec >= Fraction(duration) - Fraction(2e-6)


def test_uniform_starts_at_zero_for_callers_that_pass_zero() -> None:
    sampler = UniformClipSampler(2, 1)
    assert sampler(0.0, 10, {}).clip_start_sec == 0
    assert sampler(2.0, 10, {}).clip_start_sec == 1


def test_uniform_reset_starts_another_video() -> None:
    sampler = UniformClipSampler(2)
    sampler(None, 10, {})
    assert sampler(2, 10, {}).clip_index == 1
    sampler.reset()
    assert sampler(None, 10, {}).clip_index == 0


RATES = [1, Fraction(1, 3), 10, 24, Fraction(24000, 1001), 25, Fraction(30000, 1001), 30, 60, 240]


@given(
    st.sampled_from(RATES),
    st.integers(1, 59),
    st.integers(0, 200),
    st.sampled_from([float, Fraction]),
)
@settings(deadline=None)
def test_a_uniform_window_of_n_frames_has_n_frames(
    fps: int | Fraction, count: int, rest: int, kind: Callable[[Fraction], Any]
) -> None:
    """Also where the duration of the clip, of the video, or both, is a float."""
    tick, num_frames = 1 / Fraction(fps), 2 * count + rest
    clips = all_clips(UniformClipSampler(kind(count * tick)), kind(num_frames * tick))
    # the frames at k * tick with start <= k * tick < end, of exact times
    inside = [
        range(math.ceil(c.clip_start_sec / tick), math.ceil(c.clip_end_sec / tick)) for c in clips
    ]
    assert [len(frames) for frames in inside] == [count] * (num_frames // count)
    assert [k for frames in inside for k in frames] == list(range(num_frames // count * count))


@given(st.sampled_from(RATES), st.floats(0.01, 5), st.integers(1, 200))
@settings(deadline=None)
def test_every_frame_is_in_one_uniform_window_of_any_length(
    fps: int | Fraction, clip: float, num_frames: int
) -> None:
    tick = 1 / Fraction(fps)
    clips = all_clips(UniformClipSampler(clip), float(num_frames * tick), limit=100_000)
    inside = [
        k
        for c in clips
        for k in range(math.ceil(c.clip_start_sec / tick), math.ceil(c.clip_end_sec / tick))
    ]
    # what begins after the last clip is the rest that is left out; a short video is one long clip
    assert inside == list(range(math.ceil(clips[-1].clip_end_sec / tick)))


@given(st.integers(1, 59), st.integers(0, 2**32 - 1))
def test_a_random_window_of_n_frames_has_n_frames(count: int, seed: int) -> None:
    tick = Fraction(1, FPS)
    for sampler in (
        RandomClipSampler(count / FPS, generator=torch.Generator().manual_seed(seed)),
        ConstantClipsPerVideoSampler(count / FPS, 3),
    ):
        clip = sampler(None, 100 / FPS, {})
        assert isinstance(clip.clip_start_sec, Fraction) and isinstance(clip.clip_end_sec, Fraction)
        first, end = math.ceil(clip.clip_start_sec / tick), math.ceil(clip.clip_end_sec / tick)
        assert end - first == count


@pytest.mark.parametrize("kind", [float, np.float32, np.float64, torch.tensor])
def test_durations_are_numbers_of_any_kind(kind: Callable[[float], Any]) -> None:
    clips = all_clips(UniformClipSampler(kind(0.4)), kind(1.2))
    np.testing.assert_allclose(times(clips), [(0, 0.4), (0.4, 0.8), (0.8, 1.2)], atol=1e-6)
    with pytest.raises(ValueError, match="Expected `clip_duration` to be > 0 seconds"):
        UniformClipSampler(kind(-1.0))


def test_a_float_is_the_fraction_that_it_is_a_rounding_of() -> None:
    for n in range(1, 60):
        assert exact_seconds(n / 30) == Fraction(n, 30)
        assert exact_seconds(n * 1001 / 30000) == Fraction(n * 1001, 30000)
    assert exact_seconds(0.1 + 0.2) == Fraction(3, 10)
    assert exact_seconds(1e-9) == Fraction(1e-9)  # not 0
    assert exact_seconds(Fraction(1, 10**9)) == Fraction(1, 10**9)
    with pytest.raises(ValueError, match="Expected `seconds` to be a finite number"):
        exact_seconds(math.inf)
    with pytest.raises(ValueError, match="Expected `clip_duration` to be seconds, a number"):
        UniformClipSampler("2 s")  # type: ignore[arg-type]


def test_rounding_of_float_durations_loses_no_clip() -> None:
    assert len(all_clips(UniformClipSampler(0.1), 0.3)) == 3
    assert len(all_clips(UniformClipSampler(2.0), 9.9999995)) == 5


@given(frames, frames, st.one_of(st.none(), frames), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_random_clips_lie_in_the_video(
    num_frames: int, window: int, limit: int | None, clips: int, seed: int
) -> None:
    duration, clip = Fraction(num_frames, FPS), Fraction(window, FPS)
    generator = torch.Generator().manual_seed(seed)
    truncation = None if limit is None else Fraction(limit, FPS)
    usable = duration if truncation is None else min(duration, truncation)
    sampler = RandomMultiClipSamplerTruncateFromStart(clip, clips, truncation, generator=generator)
    drawn = sampler(None, duration, {})
    assert isinstance(drawn, ClipInfoList)
    assert len(drawn.clip_start_sec) == clips
    for start, end in zip(drawn.clip_start_sec, drawn.clip_end_sec, strict=True):
        assert isinstance(start, Fraction)
        assert end - start == clip
        assert start >= 0
        assert end <= max(usable, clip)
    assert drawn.clip_index == drawn.aug_index == [0] * clips
    assert drawn.is_last_clip == [True] * clips


def test_random_follows_python_random_and_its_seed() -> None:
    sampler = RandomClipSampler(2)
    random.seed(5)
    clips = [sampler(None, 10, {}) for _ in range(3)]
    random.seed(5)
    expected = [random.uniform(0, 8) for _ in range(3)]
    assert [float(c.clip_start_sec) for c in clips] == pytest.approx(expected)
    assert all(c[2:] == (0, 0, True) for c in clips)


def test_random_with_a_generator_is_reproducible_and_leaves_global_state_alone() -> None:
    before = random.getstate(), torch.get_rng_state()
    draws = [
        [s(None, 10, {}).clip_start_sec for _ in range(4)]
        for s in (RandomClipSampler(2, generator=torch.Generator().manual_seed(1)) for _ in "ab")
    ]
    assert draws[0] == draws[1]
    assert len(set(draws[0])) == 4
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_samplers_can_be_copied_to_workers(duplicate: Any) -> None:
    sampler = RandomClipSampler(2, generator=torch.Generator().manual_seed(1))
    assert duplicate(sampler)(None, 10, {}) == sampler(None, 10, {})


def test_random_reaches_the_last_frame() -> None:
    sampler = RandomClipSampler(1, generator=torch.Generator().manual_seed(0))
    last_frame = Fraction(59, FPS)
    draws = [sampler(None, Fraction(2), {}) for _ in range(400)]
    assert any(c.clip_start_sec <= last_frame < c.clip_end_sec for c in draws)
    starts = torch.tensor([float(c.clip_start_sec) for c in draws])
    assert starts.mean().item() == pytest.approx(0.5, abs=0.06)  # uniform on [0, 1]


class _Draws(IterableDataset):
    def __init__(self, sampler: RandomClipSampler) -> None:
        self.sampler = sampler

    def __iter__(self) -> Any:
        return (float(self.sampler(None, 100, {}).clip_start_sec) for _ in range(3))


@pytest.mark.slow
def test_a_generator_reaches_spawned_workers() -> None:
    sampler = RandomClipSampler(1, generator=torch.Generator().manual_seed(3))
    spawned = {"num_workers": 1, "multiprocessing_context": "spawn"}
    loader = DataLoader(_Draws(sampler), batch_size=None, **spawned)  # type: ignore[arg-type]
    assert len(set(loader)) == 3


@pytest.mark.parametrize("generator", [None, torch.Generator().manual_seed(3)])
def test_workers_draw_different_clips_that_change_per_epoch(
    generator: torch.Generator | None,
) -> None:
    sampler = RandomClipSampler(1, generator=generator)
    loader = DataLoader(_Draws(sampler), batch_size=None, num_workers=2)

    def epochs() -> list[float]:
        torch.manual_seed(0)
        return [start for _ in range(2) for start in loader]

    first = epochs()
    assert len(set(first)) == 12
    assert epochs() == first


@pytest.mark.parametrize(
    ("args", "duration", "starts"),
    [
        ((2, 3), 10, [0, 4, 8]),
        ((2, 1), 10, [0]),
        ((2, 3), 1, [0, 0, 0]),
        ((2, 2, 3), 10, [0, 0, 0, 8, 8, 8]),
    ],
)
def test_constant_clips_are_spread_from_start_to_end(
    args: tuple[int, ...], duration: int, starts: list[int]
) -> None:
    sampler = ConstantClipsPerVideoSampler(*args)
    for _ in range(2):  # a second video starts afresh
        assert [c.clip_start_sec for c in all_clips(sampler, duration)] == starts


@given(frames, frames, st.integers(1, 12), st.integers(1, 4))
def test_constant_gives_the_same_count_for_every_video(
    num_frames: int, window: int, clips: int, views: int
) -> None:
    duration = Fraction(num_frames, FPS)
    got = all_clips(ConstantClipsPerVideoSampler(Fraction(window, FPS), clips, views), duration)
    order = [(c.clip_index, c.aug_index) for c in got]
    assert order == [(i, v) for i in range(clips) for v in range(views)]
    if clips > 1 and num_frames >= window:
        assert got[-1].clip_end_sec == duration


def test_truncation_looks_at_the_start_only() -> None:
    sampler = UniformClipSamplerTruncateFromStart(1, truncation_duration=Fraction(4))
    assert times(all_clips(sampler, 10)) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert len(all_clips(UniformClipSamplerTruncateFromStart(1), 10)) == 10


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "kind"),
    [
        ("uniform", (2,), {}, UniformClipSampler),
        ("uniform", (), {"duration": 2, "backpad_last": True}, UniformClipSampler),
        ("random", (), {"clip_duration": 2}, RandomClipSampler),
        ("random", (), {"duration": 2}, RandomClipSampler),
        ("constant_clips_per_video", (2, 3, 2), {}, ConstantClipsPerVideoSampler),
        ("constant_clips_per_video", (2,), {"clips_per_video": 3}, ConstantClipsPerVideoSampler),
        ("random_multi", (2,), {"num_clips": 3}, RandomMultiClipSampler),
    ],
)
def test_make_clip_sampler_by_position_and_by_name(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], kind: type[ClipSampler]
) -> None:
    sampler = make_clip_sampler(name, *args, **kwargs)
    assert type(sampler) is kind
    assert sampler._clip_duration == Fraction(2)


def test_make_clip_sampler_names_the_choices() -> None:
    with pytest.raises(NotImplementedError, match="Did you mean uniform"):
        make_clip_sampler("unifrom", 2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandomClipSampler(0), r"Expected `clip_duration` to be > 0 seconds, but got 0\."),
        (lambda: UniformClipSampler(-1.0), r"`clip_duration` .* got -1\.0"),
        (lambda: UniformClipSampler(float("nan")), r"`clip_duration` .* got nan"),
        (lambda: UniformClipSampler(2, stride=0), r"`stride` to be > 0 seconds, or None"),
        (lambda: ConstantClipsPerVideoSampler(2, 0), r"`clips_per_video` .*>= 1, but got 0"),
        (lambda: ConstantClipsPerVideoSampler(2, 2, 0), r"`augs_per_clip` .*>= 1, but got 0"),
        (lambda: RandomMultiClipSampler(2, 1.5), r"`num_clips` .*>= 1, but got 1\.5"),
        (
            lambda: UniformClipSamplerTruncateFromStart(2, truncation_duration=0),
            r"`truncation_duration` to be > 0 seconds",
        ),
    ],
)
def test_bad_arguments_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_repr_shows_the_settings() -> None:
    assert (
        repr(UniformClipSampler(Fraction(32, 15), 1))
        == "UniformClipSampler(clip_duration=2.1333333333333333, stride=1.0, "
        "backpad_last=False, eps=1e-06)"
    )
