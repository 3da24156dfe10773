# SPDX-License-Identifier: Apache-2.0
"""Timelines: scores of a long video over time, read from the file of its clips."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorchvideo.data.windows import SlidingWindows
from pytorchvideo.inference.timeline.clips import ClipFile, TimelineClip

PROGRESS = "progress.jsonl"


@dataclass(frozen=True)
class Segment:
    """A stretch of a video in which every clip is named the same.

    Attributes:
        start_sec: where it begins: half-way between the middles of its first clip and the one before.
        end_sec: where it ends.
        label: what its clips show most likely.
        score: mean probability of that over the clips.
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
    """

    out: Path
    settings: Mapping[str, Any]
    labels: tuple[str, ...]
    windows: SlidingWindows
    min_score: float = 0.0

    def clips(self) -> Iterator[TimelineClip]:
        """Reads what is said of each clip, one after the other."""
        return iter(ClipFile(self.out / PROGRESS, 1))

    def segments(self) -> Iterator[Segment]:
        """Neighbouring clips with the same label; none where that is less likely than ``min_score``.

        A moment belongs to the clip whose middle is nearest, so that segments neither overlap nor leave out what lies
        between clips.
        """
        for label, run in itertools.groupby(
            enumerate(self.clips()), lambda row: self._label(row[1])
        ):
            if label is None:
                continue
            places, scores = zip(*((place, clip.best[0][1]) for place, clip in run), strict=True)
            start, end = self.windows.nearest(places[0])[0], self.windows.nearest(places[-1])[1]
            score = round(sum(scores) / len(scores), 6)
            yield Segment(round(start, 6), round(end, 6), label, score, len(scores))

    def gaps(self) -> Iterator[Gap]:
        """Neighbouring clips that cannot be read."""
        for is_gap, run in itertools.groupby(self.clips(), lambda clip: clip.reason is not None):
            if is_gap:
                clips = list(run)
                yield Gap(clips[0].start_sec, clips[-1].end_sec, len(clips), str(clips[0].reason))

    def _label(self, clip: TimelineClip) -> str | None:
        if not clip.best or clip.best[0][1] < self.min_score:
            return None
        return self.labels[clip.best[0][0]]

    def __repr__(self) -> str:
        video, length = self.settings["video"], clock(self.windows.length_sec)
        return f"Timeline({video!r}, {length}, {len(self.windows)} clips, {str(self.out)!r})"


def clock(seconds: float) -> str:
    """Returns a time as people read it.

    >>> clock(75.4), clock(7200)
    ('0:01:15', '2:00:00')
    """
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{second:02d}"
