# SPDX-License-Identifier: Apache-2.0
"""Checks that all decoders share."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data._decode import (
    as_time,
    as_window,
    ceil_ticks,
    check_window,
    floor_ticks,
    select_frames,
)

BASES = [Fraction(1, 30), Fraction(1001, 30000), Fraction(1, 1000), Fraction(1, 90000)]


@given(st.integers(0, 10**6), st.sampled_from(BASES))
def test_a_number_that_means_a_frame_time_finds_that_frame(frame: int, base: Fraction) -> None:
    time = frame * base
    for meant in (time, float(time), Fraction(float(time)), float(time) + 1e-10):
        assert ceil_ticks(meant, base) == frame == floor_ticks(meant, base)


@given(st.fractions(0, 10**4), st.sampled_from(BASES))
def test_ticks_are_exact_beyond_half_a_nanosecond(time: Fraction, base: Fraction) -> None:
    tick = ceil_ticks(time, base)
    assert (tick - 1) * base < time <= tick * base + Fraction(1, 2 * 10**9)


@given(st.integers(0, 10**13), st.integers(6, 12))
def test_ticks_of_a_nanosecond_and_less_are_not_mixed_up(tick: int, digits: int) -> None:
    base = Fraction(1, 10**digits)
    assert ceil_ticks(tick * base, base) == tick == floor_ticks(tick * base, base)


@pytest.mark.parametrize(
    "value",
    [
        0.1,
        Fraction(1, 10),
        Decimal("0.1"),
        *(np.float16(0.1), np.float32(0.1), np.float64(0.1), np.array(0.1), np.array([0.1])),
        *(torch.tensor(0.1), torch.tensor([0.1], dtype=torch.float64), torch.tensor(0.1).half()),
    ],
)
def test_times_are_numbers_of_any_kind(value: Any) -> None:
    assert float(as_time(value, "start_sec")) == 0.1
    whole = np.int16(3), np.array(3, np.uint8), torch.tensor(3), 3, True + 2, np.float32(3)
    assert all(as_time(three, "start_sec") == 3 for three in whole)


@pytest.mark.parametrize("value", [None, "soon", math.nan, torch.tensor([1, 2]), np.nan, [1]])
def test_what_is_no_number_is_no_time(value: Any) -> None:
    with pytest.raises(ValueError, match="Expected `start_sec` to be seconds, a number, but got"):
        as_time(value, "start_sec")


def test_windows_are_cut_at_zero_and_empty_beyond_the_end() -> None:
    assert as_window(-1e-6, np.float32(0.5), Fraction(2)) == (0, 0.5)
    assert as_window(1.5, math.inf, Fraction(2)) == (1.5, math.inf)
    empty = (-2, -1), (-1, 0), (2, 3), (9, 10), (1, 1), (1, 0.5), (math.inf, math.inf)
    assert [as_window(*window, Fraction(2)) for window in empty] == [None] * len(empty)


def test_infinity_stays_infinite() -> None:
    assert ceil_ticks(math.inf, Fraction(1, 30)) == math.inf


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (-1, 2, r"a\.mp4: Expected `start_sec` to be >= 0 seconds, but got -1\.0"),
        (3, 2, r"Expected `end_sec` to be at or after `start_sec`, but got 2\.0"),
        (10, 12, r"a\.mp4 lies beyond the end.*but got 10\.0\. The file is 10\.000 s long"),
        (math.nan, 2, r"Expected `start_sec`"),
    ],
)
def test_windows_that_make_no_sense_are_refused(start: float, end: float, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_window(start, end, "a.mp4", Fraction(10))


def test_a_window_may_end_after_the_video() -> None:
    check_window(9.5, math.inf, "a.mp4", Fraction(10))


def test_a_filter_may_repeat_and_reorder_but_not_invent() -> None:
    assert select_frames(lambda indices: [indices[-1], 0, 0], 5, "a.mp4") == [4, 0, 0]
    with pytest.raises(ValueError, match=r"a\.mp4: Expected `frame_filter`.*0 to 4.*got 5"):
        select_frames(lambda indices: [5], 5, "a.mp4")
