# SPDX-License-Identifier: Apache-2.0
"""Timelines: scores of a long video over time, read from the file of its clips."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorchvideo._text import counted
from pytorchvideo.data.windows import SlidingWindows
from pytorchvideo.inference.timeline.clips import ClipFile, TimelineClip
from pytorchvideo.inference.timeline.smoothing import leaders

PROGRESS = "progress.jsonl"
_SLACK_SEC = 1e-6  # of times that are worked out in floats


@dataclass(frozen=True)
class Segment:
    """A stretch of a video in which every clip is named the same.

    Attributes:
        start_sec: where it begins: half-way between the middles of its first clip and the one before.
        end_sec: where it ends.
        label: what its clips show most likely.
        score: mean probability of that over the clips, averaged with their neighbours where ``min_duration_sec`` says.
        clips: how many they are.
    """

    start_sec: float
    end_sec: float
    label: str
    score: float
    clips: int


@dataclass(frozen=True)
class Gap:
    """A stretch of a video that cannot be read.

    Attributes:
        start_sec: start of its first clip.
        end_sec: end of its last clip.
        clips: how many they are.
        reason: why the first cannot be read.
    """

    start_sec: float
    end_sec: float
    clips: int
    reason: str


@dataclass(frozen=True, repr=False)
class Timeline:
    """What happens when in a video.

    Args:
        out: folder with its files.
        settings: what was asked for, in plain values.
        labels: class names.
        windows: the times of the clips.
        min_score: probability from which a clip's likeliest label counts.
        min_duration_sec: no segment is shorter; see :meth:`segments`.
    """

    out: Path
    settings: Mapping[str, Any]
    labels: tuple[str, ...]
    windows: SlidingWindows
    min_score: float = 0.0
    min_duration_sec: float = 0.0

    def clips(self) -> Iterator[TimelineClip]:
        """Reads what is said of each clip, one after the other."""
        return iter(ClipFile(self.out / PROGRESS, 1))

    def segments(self) -> Iterator[Segment]:
        """Neighbouring clips with the same label; none where that is less likely than ``min_score``.

        A moment belongs to the clip whose middle is nearest, so that segments neither overlap nor leave out what lies
        between clips. With ``min_duration_sec`` a clip's probabilities are first averaged with those of the clips
        within half of it on either side, so that a short change within something longer disappears; what is then still
        a shorter segment is left out.
        """
        found = leaders(self.clips(), self.min_duration_sec)
        for index, run in itertools.groupby(enumerate(found), lambda row: self._counting(row[1])):
            if index is None:
                continue
            places, scores = zip(
                *((place, leader[1]) for place, leader in run if leader), strict=True
            )
            start, end = self.windows.nearest(places[0])[0], self.windows.nearest(places[-1])[1]
            if end - start >= self.min_duration_sec - _SLACK_SEC:
                score = round(sum(scores) / len(scores), 6)
                label = self.labels[index]
                yield Segment(round(start, 6), round(end, 6), label, score, len(scores))

    def gaps(self) -> Iterator[Gap]:
        """Neighbouring clips that cannot be read."""
        for is_gap, run in itertools.groupby(self.clips(), lambda clip: clip.reason is not None):
            if is_gap:
                clips = list(run)
                yield Gap(clips[0].start_sec, clips[-1].end_sec, len(clips), str(clips[0].reason))

    def _counting(self, leader: tuple[int, float] | None) -> int | None:
        return None if leader is None or leader[1] < self.min_score else leader[0]

    def __repr__(self) -> str:
        video, length = self.settings["video"], clock(self.windows.length_sec)
        return f"Timeline({video!r}, {length}, {counted(len(self.windows), 'clip')}, {str(self.out)!r})"


def clock(seconds: float) -> str:
    """Returns a time as people read it.

    >>> clock(75.4), clock(7200)
    ('0:01:15', '2:00:00')
    """
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
