# SPDX-License-Identifier: Apache-2.0
"""Positions of clips in a video, and of the frames of a clip: pure arithmetic, by the rules of published tests.

Frames are numbers from 0; those beyond the end of a video are its last.
"""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import torch

from pytorchvideo._checks import expected

#: Where a single clip of a video lies.
Single: TypeAlias = Literal["start", "middle"]

_Time = TypeVar("_Time", float, Fraction)
#: Sampling rates of Kinetics count frames of a video of so many a second.
SPAN_FPS = 30


@dataclass(frozen=True)
class FrameTimes:
    """The times of the frames of a video.

    Attributes:
        count: of frames.
        rate: frames a second.
        duration: in seconds.
        count_before: how many frames begin before a time in seconds.
    """

    count: int
    rate: float
    duration: Fraction
    count_before: Callable[[float | Fraction], int]

    @classmethod
    def regular(cls, count: int, rate: float) -> "FrameTimes":
        """Returns those of a video whose frames are equally long.

        >>> FrameTimes.regular(300, 30).count_before(2.0)
        60
        """
        exact = Fraction(rate).limit_denominator(1_001)
        duration = count / exact

        def count_before(time: float | Fraction) -> int:
            return min(max(math.ceil(Fraction(time).limit_denominator(10**6) * exact), 0), count)

        return cls(count, rate, duration, count_before)


def even_start(latest: _Time, clips: int, number: int, single: Single = "middle") -> _Time:
    """Returns where one of several clips that are spread evenly over a video begins.

    Args:
        latest: where the last one begins.
        clips: how many.
        number: which, from 0.
        single: where one clip alone lies.

    >>> [even_start(8.0, 3, number) for number in range(3)], even_start(8.0, 1, 0)
    ([0.0, 4.0, 8.0], 4.0)
    """
    if clips > 1:
        return latest * number / (clips - 1)
    return latest / 2 if single == "middle" else latest * 0


def frames_of_span(start: float, end: float, num_frames: int, count: int) -> list[int]:
    """Returns the frames at equal distances from a position to another, both included, truncated.

    >>> frames_of_span(23.6, 86.6, 8, 300), frames_of_span(0, 63, 8, 40)
    ([23, 32, 41, 50, 59, 68, 77, 86], [0, 9, 18, 27, 36, 39, 39, 39])
    """
    # float32, as the published tests had it: another rounding would be another frame
    return torch.linspace(start, end, num_frames).clamp(0, count - 1).long().tolist()


def span_frames(num_frames: int, sampling_rate: int | Fraction, rate: float) -> float:
    """Returns how many frames of a video a clip spans that was meant for 30 frames a second.

    >>> span_frames(8, 8, 30), round(span_frames(8, 8, 25), 3)
    (64.0, 53.333)
    """
    return max(1.0, float(sampling_rate * num_frames / SPAN_FPS * rate))


def frames_by_share(
    times: FrameTimes, num_frames: int, sampling_rate: int | Fraction, clips: int
) -> list[list[int]]:
    """Returns the frames of clips that begin at i/N of what they leave of a video: PySlowFast's Kinetics.

    The division is by N, not by N - 1: the last clip ends before the video does.

    >>> frames_by_share(FrameTimes.regular(300, 30), 8, 8, 10)[-1]
    [212, 221, 230, 239, 248, 257, 266, 275]
    """
    span = span_frames(num_frames, sampling_rate, times.rate)
    latest = max(times.count - span, 0)
    starts = [latest * number / clips for number in range(clips)]
    return [frames_of_span(s, s + span - 1, num_frames, times.count) for s in starts]


def frames_by_offset(
    times: FrameTimes, num_frames: int, sampling_rate: int | Fraction, clips: int
) -> list[list[int]]:
    """Returns the frames of clips at whole frames, the first at the start: PySlowFast's ``USE_OFFSET_SAMPLING``.

    One clip is the middle.

    >>> [clip[0] for clip in frames_by_offset(FrameTimes.regular(300, 30), 16, 4, 5)]
    [0, 59, 118, 177, 236]
    """
    span = span_frames(num_frames, sampling_rate, times.rate)
    latest = max(times.count - span, 0)
    if clips == 1:
        starts = [math.floor(latest / 2)]
    else:
        starts = [number * math.floor(latest / (clips - 1)) for number in range(clips)]
    return [frames_of_span(s, s + span - 1, num_frames, times.count) for s in starts]


def frames_by_seconds(
    times: FrameTimes, num_frames: int, sampling_rate: int | Fraction, clips: int
) -> list[list[int]]:
    """Returns the frames of clips that begin at i/(N - 1) of the seconds they leave: PyTorchVideo's.

    Those that begin in the seconds of a clip are taken at equal distances.

    >>> frames_by_seconds(FrameTimes.regular(300, 30), 8, 8, 10)[-1]
    [236, 245, 254, 263, 272, 281, 290, 299]
    """
    span = Fraction(num_frames * sampling_rate, SPAN_FPS)
    latest = max(times.duration - span, Fraction(0))
    found = []
    for number in range(clips):
        start = even_start(latest, clips, number, "start")
        first, end = times.count_before(start), times.count_before(start + span)
        # where none begins, the one on show
        first, end = (first, end) if end > first else (max(first - 1, 0), max(first, 1))
        offsets = frames_of_span(0, end - first - 1, num_frames, end - first)
        found.append([first + offset for offset in offsets])
    return found


def frames_by_rounding(
    times: FrameTimes, num_frames: int, sampling_rate: int, clips: int
) -> list[list[int]]:
    """Returns the frames of clips that begin at the whole frame nearest to i/(N - 1): PySlowFast's Charades.

    Every ``sampling_rate``-th frame, whatever the rate of the video.

    >>> [clip[0] for clip in frames_by_rounding(FrameTimes.regular(700, 24), 8, 8, 10)]
    [0, 71, 143, 214, 286, 357, 429, 500, 572, 643]
    """
    length = (num_frames - 1) * sampling_rate + 1
    gap = max(times.count - length, 0) / max(clips - 1, 1)
    # halves to the even neighbour, as Python rounds
    starts = [round(gap * number) for number in range(clips)]
    return [_every(start, num_frames, sampling_rate, times.count) for start in starts]


def frames_of_whole(
    times: FrameTimes, num_frames: int, sampling_rate: int, clips: int
) -> list[list[int]]:
    """Returns the middle frames of equal parts of a video: Something-Something. All clips are the same.

    >>> frames_of_whole(FrameTimes.regular(40, 12), 8, 1, 1)
    [[2, 7, 12, 17, 22, 26, 31, 36]]
    """
    # halves to the even neighbour
    edges = np.round((times.count - 1) / num_frames * np.arange(num_frames + 1)).astype(int)
    middles = ((edges[:-1] + edges[1:]) // 2).tolist()
    return [list(middles) for _ in range(clips)]


def frames_of_parts(count: int, parts: int, *, at_random: bool = False) -> list[int]:
    """Returns a frame of each of equal parts of a video: the middle one, or a random one for training.

    Args:
        count: of frames; with fewer than parts some come more than once.
        parts: of the video.
        at_random: draw each from its part, both ends included, by Python's generator.

    >>> frames_of_parts(40, 8)
    [2, 7, 12, 17, 22, 26, 31, 36]
    """
    length = (count - 1) / parts
    edges = [round(length * number) for number in range(parts + 1)]
    if at_random:
        return [random.randint(first, last) for first, last in itertools.pairwise(edges)]
    return [(first + last) // 2 for first, last in itertools.pairwise(edges)]


def frames_around(centre: int, num_frames: int, sampling_rate: int, count: int) -> list[int]:
    """Returns the frames around one, which is the first of the second half: AVA.

    Args:
        centre: the number of the frame. Of AVA's frames, at 30 a second from second 900 on, second s is (s - 900) * 30.
        num_frames: of a clip.
        sampling_rate: distance of two.
        count: of frames of the video.

    >>> frames_around(60, 4, 16, 27030)
    [28, 44, 60, 76]
    """
    if not 0 <= centre < count:
        raise ValueError(expected("centre", f"a frame in 0..{count - 1}", centre))
    return _every(centre - num_frames * sampling_rate // 2, num_frames, sampling_rate, count)


def _every(start: int, num_frames: int, sampling_rate: int, count: int) -> list[int]:
    places = (start + number * sampling_rate for number in range(num_frames))
    return [min(max(place, 0), count - 1) for place in places]
