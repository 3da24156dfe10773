# SPDX-License-Identifier: Apache-2.0
"""Windows of the clips of a video: one rule for samplers, datasets and predictions.

Several clips that are spread evenly begin at equal distances, the first at the start of the video, the last so that it
ends with it. A single one is the middle: that is what a prediction, an evaluation and ``ClipRecipe.views("1x1")`` look
at. ``ConstantClipsPerVideoSampler`` has it at the start unless it is told otherwise, as PyTorchVideo's has.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias, overload

from pytorchvideo._checks import expected
from pytorchvideo._positions import FrameTimes, even_start
from pytorchvideo.data._decode import VideoError, ceil_ticks, check_window
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo

#: Clips of one video that a number may ask for; their times alone take memory. "uniform" has no bound.
MOST_CLIPS = 100_000
#: The windows of a video, from its number among others and the open file.
WindowRule: TypeAlias = Callable[[int, Any], Sequence[tuple[float, float]]]


def clip_windows(duration: float, clip_duration: float, clips: int) -> list[tuple[float, float]]:
    """Returns the times of clips spread evenly over a video; one clip is the middle one.

    A video that is not longer than a clip is one clip, whole.

    >>> clip_windows(10.0, 2.0, 3)
    [(0.0, 2.0), (4.0, 6.0), (8.0, 10.0)]
    >>> clip_windows(10.0, 2.0, 1), clip_windows(1.5, 2.0, 3)
    ([(4.0, 6.0)], [(0.0, 1.5)])
    """
    latest = duration - clip_duration
    if latest <= 0:
        return [(0.0, duration)]
    starts = [even_start(latest, clips, number) for number in range(clips)]
    return [(start, start + clip_duration) for start in starts]


def uniform_windows(duration: float, clip_duration: float) -> list[tuple[float, float]]:
    """Returns the times of clips end to end that cover a video; the last one is moved back to end with it.

    >>> uniform_windows(5.0, 2.0)
    [(0.0, 2.0), (2.0, 4.0), (3.0, 5.0)]
    """
    # a rounding error makes no clip
    count = math.ceil(round(duration / clip_duration, 6))
    if count <= 1:
        return [(0.0, duration)]
    latest = duration - clip_duration
    starts = [min(i * clip_duration, latest) for i in range(count)]
    return [(start, start + clip_duration) for start in starts]


@dataclass(frozen=True)
class ClipWindows:
    """A :data:`WindowRule`: clips spread evenly over each video, or clip after clip.

    Args:
        clip_sec: length of a clip.
        clips: how many, see :func:`clip_windows`; None covers all, see :func:`uniform_windows`.
        start_sec: look at the video from here on.
        end_sec: look at it up to here; None is its end.
    """

    clip_sec: float
    clips: int | None = None
    start_sec: float = 0.0
    end_sec: float | None = None

    def __call__(self, number: int, video: EncodedVideo | FrameVideo) -> list[tuple[float, float]]:
        """Returns the windows of a video.

        Raises:
            ValueError: what is to be looked at lies beyond its end.
        """
        first, length = part_of(video, self.start_sec, self.end_sec)
        if self.clips is None:
            found = uniform_windows(length, self.clip_sec)
        else:
            found = clip_windows(length, self.clip_sec, self.clips)
        return [(first + start, first + end) for start, end in found]


@dataclass(frozen=True)
class FrameRule:
    """Clips of given frames, where a protocol says which: used in the place of a :data:`WindowRule`.

    Args:
        rule: the numbers of the frames of each clip, from the times of a video.
    """

    rule: Callable[[FrameTimes], Sequence[Sequence[int]]]

    def __call__(self, number: int, video: EncodedVideo | FrameVideo) -> Sequence[Sequence[int]]:
        """Returns the frames of each clip of a video."""
        return self.rule(frame_times(video))


def frame_times(video: EncodedVideo | FrameVideo) -> FrameTimes:
    """Returns the times of the frames of a video.

    Raises:
        VideoError: it has no frames.
    """
    if isinstance(video, FrameVideo):
        return FrameTimes.regular(len(video), float(video.rate))
    index = video.frame_index
    if index is None or not len(index):
        raise VideoError(f"{video.name} has no frames.")

    def count_before(time_sec: float | Fraction) -> int:
        return index.count_before(ceil_ticks(time_sec, index.time_base) + index.start)

    rate = float(video.rate or len(index) / video.duration)
    return FrameTimes(len(index), rate, Fraction(video.duration), count_before)


def part_of(
    video: EncodedVideo | FrameVideo, start_sec: float, end_sec: float | None
) -> tuple[float, float]:
    """Returns where a part of a video begins and how long it is, in seconds; an end of None is that of the video.

    Raises:
        ValueError: it lies beyond the end, or ends before it begins.
    """
    duration = float(video.duration)
    last = max(duration, start_sec) if end_sec is None else end_sec
    check_window(start_sec, last, video.name, Fraction(video.duration))
    if end_sec is not None and end_sec <= start_sec:
        wanted = f"> {start_sec:g} s, where the part of {video.name} begins"
        raise ValueError(expected("end_sec", wanted, end_sec))
    return start_sec, min(last, duration) - start_sec


@dataclass(frozen=True)
class SlidingWindows(Sequence[tuple[float, float]]):
    """The times of clips that begin at equal distances; a last one ends with what is to be covered.

    They are worked out when they are asked for, so that those of a day take no memory.

    Args:
        start_sec: where the first begins.
        length_sec: of what is to be covered; if it is less than a clip, that is the only one.
        clip_sec: length of a clip.
        every_sec: from the start of a clip to the start of the next.

    >>> list(SlidingWindows(10.0, 5.0, 2.0, 1.5))
    [(10.0, 12.0), (11.5, 13.5), (13.0, 15.0)]
    >>> list(SlidingWindows(0.0, 5.0, 2.0, 2.0)) == uniform_windows(5.0, 2.0)
    True
    """

    start_sec: float
    length_sec: float
    clip_sec: float
    every_sec: float

    def __post_init__(self) -> None:
        for name in ("length_sec", "clip_sec", "every_sec"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(expected(name, "> 0 seconds", getattr(self, name)))

    def __len__(self) -> int:
        # a rounding error makes no clip
        steps = round((self.length_sec - self.clip_sec) / self.every_sec, 6)
        return 1 + max(0, math.ceil(steps))

    @overload
    def __getitem__(self, number: int) -> tuple[float, float]: ...
    @overload
    def __getitem__(self, number: slice) -> list[tuple[float, float]]: ...
    def __getitem__(self, number: int | slice) -> tuple[float, float] | list[tuple[float, float]]:
        if isinstance(number, slice):
            return [self[i] for i in range(*number.indices(len(self)))]
        if not 0 <= number < len(self):
            raise IndexError(expected("number", f"in 0..{len(self) - 1}", number))
        latest = max(self.length_sec - self.clip_sec, 0.0)
        start = self.start_sec + min(number * self.every_sec, latest)
        return start, start + min(self.clip_sec, self.length_sec)

    def nearest(self, number: int) -> tuple[float, float]:
        """Returns the times to which no other clip is nearer, by its middle, than this one.

        >>> SlidingWindows(0.0, 6.0, 2.0, 1.0).nearest(1)
        (1.5, 2.5)
        """
        middles = [sum(self[i]) / 2 for i in (number - 1, number, number + 1) if i in self._numbers]
        low, high = self.start_sec, self.start_sec + self.length_sec
        if number > 0:
            low = (middles[0] + middles[1]) / 2
        if number + 1 < len(self):
            high = (middles[-2] + middles[-1]) / 2
        return low, high

    @property
    def _numbers(self) -> range:
        return range(len(self))


def clips_and_views(clips: int | str, views: int) -> tuple[int | None, int]:
    """Returns how many clips, None for all that cover the video, and how many views of each.

    Raises:
        ValueError: for another protocol, fewer than one clip or more than 100,000, or other views than 1 and 3.

    >>> clips_and_views("10x3", 1), clips_and_views("uniform", 3), clips_and_views(4, 1)
    ((10, 3), (None, 3), (4, 1))
    """
    count: int | None = None
    if isinstance(clips, str) and clips != "uniform":
        found = re.fullmatch(r"([1-9]\d*)x([13])", clips)
        if found is None:
            wanted = 'a number, "uniform", or clips x 1 or 3 views as in "10x3"'
            raise ValueError(expected("clips", wanted, clips))
        if views not in (1, int(found[2])):
            raise ValueError(expected("views", f"left out beside clips={clips!r}", views))
        count, views = int(found[1]), int(found[2])
    elif not isinstance(clips, str):
        count = clips
    if count is not None and not 1 <= count <= MOST_CLIPS:
        advice = 'All of a video is "uniform".'
        raise ValueError(expected("clips", f"1 to {MOST_CLIPS:,}", count, advice))
    if views not in (1, 3):
        raise ValueError(expected("views", "1 (the centre) or 3 (both sides too)", views))
    return count, views
