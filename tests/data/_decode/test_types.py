# SPDX-License-Identifier: Apache-2.0
"""Checks that all decoders share."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data._decode import ceil_ticks, check_window, select_frames

BASES = [Fraction(1, 30), Fraction(1001, 30000), Fraction(1, 1000), Fraction(1, 90000)]


@given(st.integers(0, 10**6), st.sampled_from(BASES))
def test_a_float_that_means_a_frame_time_finds_that_frame(frame: int, base: Fraction) -> None:
    assert ceil_ticks(float(frame * base), base) == frame


@given(st.fractions(0, 10**4), st.sampled_from(BASES))
def test_fractions_are_exact(time: Fraction, base: Fraction) -> None:
    tick = ceil_ticks(time, base)
    assert (tick - 1) * base < time <= tick * base


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
