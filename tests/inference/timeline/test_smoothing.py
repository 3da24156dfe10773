# SPDX-License-Identifier: Apache-2.0
"""Segments under ``min_duration_sec``: what holds of the segments of any clips."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.windows import SlidingWindows
from pytorchvideo.inference.timeline.clips import TimelineClip
from pytorchvideo.inference.timeline.smoothing import leaders
from pytorchvideo.inference.timeline.timeline import Segment, Timeline

LABELS = ("a", "b", "c")
EVERY = 0.5


class Known(Timeline):
    """A timeline whose clips are in memory, a second long each."""

    known: list[TimelineClip]

    def clips(self) -> Any:
        return iter(self.known)


def clip(place: int, scores: tuple[float, ...] | None) -> TimelineClip:
    start = place * EVERY
    if scores is None:
        return TimelineClip.unread((start, start + 1), "damaged")
    order = sorted(enumerate(scores), key=lambda row: -row[1])
    return TimelineClip(start, start + 1, tuple(order))


def segments(clips: list[TimelineClip], least: float, min_score: float = 0.0) -> list[Segment]:
    windows = SlidingWindows(0.0, (len(clips) - 1) * EVERY + 1, 1.0, EVERY)
    made = Known(Path(), {}, LABELS, windows, min_score, least)
    object.__setattr__(made, "known", clips)
    return list(made.segments())


def sure(*classes: int | None) -> list[TimelineClip]:
    """Clips that are sure of a class each."""
    rows = [None if c is None else tuple(float(c == i) for i in range(3)) for c in classes]
    return [clip(place, row) for place, row in enumerate(rows)]


SCORES = st.tuples(*[st.integers(0, 1_000_000)] * 3).map(lambda row: tuple(x / 1e6 for x in row))
CLIPS = st.lists(st.none() | SCORES, min_size=1, max_size=40).map(
    lambda rows: [clip(place, row) for place, row in enumerate(rows)]
)


@given(clips=CLIPS, least=st.floats(0, 12), min_score=st.floats(0, 1))
def test_no_segment_is_shorter_and_none_overlap(
    clips: list[TimelineClip], least: float, min_score: float
) -> None:
    found = segments(clips, least, min_score)
    assert all(s.end_sec - s.start_sec >= least - 2e-6 for s in found)
    assert all(one.end_sec <= other.start_sec for one, other in itertools.pairwise(found))
    assert all(s.score >= min_score - 1e-6 for s in found)
    if found:
        assert found[0].start_sec >= 0 and found[-1].end_sec <= clips[-1].end_sec
    # neighbours that touch have different labels
    touching = [(a, b) for a, b in itertools.pairwise(found) if a.end_sec == b.start_sec]
    assert all(a.label != b.label for a, b in touching)


@given(clips=CLIPS, width=st.floats(0, 8))
def test_means_are_those_of_the_clips_near_by(clips: list[TimelineClip], width: float) -> None:
    def middle(one: TimelineClip) -> float:
        return (one.start_sec + one.end_sec) / 2

    for one, leader in zip(clips, leaders(clips, width), strict=True):
        near = [c for c in clips if c.best and abs(middle(c) - middle(one)) <= width / 2 + 1e-6]
        if not one.best:
            assert leader is None
            continue
        means = [sum(dict(c.best)[i] for c in near) / len(near) for i in range(3)]
        assert leader is not None
        assert leader[1] == pytest.approx(means[leader[0]], abs=1e-9)
        assert means[leader[0]] >= max(means) - 1e-9


@given(lengths=st.lists(st.integers(6, 12), min_size=1, max_size=5), least=st.floats(0, 3))
def test_what_is_long_stays_as_it_is(lengths: list[int], least: float) -> None:
    """Six clips half a second apart last 3 s; where classes change nothing moves."""
    classes = [place % 3 for place, length in enumerate(lengths) for _ in range(length)]
    found, wanted = (segments(sure(*classes), width) for width in (least, 0.0))
    assert [replace(one, score=1.0) for one in found] == wanted


@given(before=st.integers(6, 12), short=st.integers(1, 2), after=st.integers(6, 12))
def test_a_short_change_within_something_longer_disappears(
    before: int, short: int, after: int
) -> None:
    (one,) = segments(sure(*[0] * before, *[1] * short, *[0] * after), 3.0)
    assert (one.label, one.clips) == ("a", before + short + after)


def test_what_is_short_between_two_others_is_left_out() -> None:
    first, last = segments(sure(*[0] * 8, *[1] * 3, *[2] * 8), 3.0)
    assert (first.label, last.label) == ("a", "c")
    # an average over 3 s: each side may gain up to half of that
    assert first.end_sec <= last.start_sec


def test_nothing_is_said_of_what_cannot_be_read() -> None:
    first, last = segments(sure(*[0] * 8, None, *[0] * 8), 2.0)
    assert (first.clips, last.clips) == (8, 8)
    assert first.end_sec < last.start_sec


def test_without_a_least_duration_each_clip_counts() -> None:
    labels = [s.label for s in segments(sure(0, 1, 0, 0, 2, None, 1), 0.0)]
    assert labels == ["a", "b", "a", "c", "b"]
