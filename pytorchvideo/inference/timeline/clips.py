# SPDX-License-Identifier: Apache-2.0
"""The file of a timeline's clips, appended clip by clip and resumable.

The first line of the file is what was asked for, each further one a clip, in the order of time. Lines are only ever
added, several at a time, and are on the disk before more are computed; after a kill the last may be incomplete. Clips
are computed in groups that begin at multiples of the group's size, and whoever goes on does so at the beginning of a
group: the same clips then go through the model together as without the interruption, and have the same scores to the
last digit.
"""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from pytorchvideo._files import append, write_whole
from pytorchvideo._text import MAX_LINE, parse_json

#: With more classes than this, only the best of each clip are kept.
MANY_CLASSES = 50
_BEST = 10
_DIGITS = 6


@dataclass(frozen=True)
class TimelineClip:
    """What is said of one clip.

    Attributes:
        start_sec: start of the clip in its video.
        end_sec: end of the clip.
        best: ``(class number, probability)``, best first: of all classes, or of the best of many.
        reason: why it could not be read; None where it could.
    """

    start_sec: float
    end_sec: float
    best: tuple[tuple[int, float], ...] = ()
    reason: str | None = None

    @classmethod
    def of_scores(cls, window: tuple[float, float], scores: Tensor, kept: int) -> "TimelineClip":
        """From the probabilities (num_classes,) of a clip, of which ``kept`` are kept."""
        best = scores.topk(kept)
        rows = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return cls(
            *_rounded(window), best=tuple((index, round(score, _DIGITS)) for index, score in rows)
        )

    @classmethod
    def unread(cls, window: tuple[float, float], reason: str) -> "TimelineClip":
        """Of a clip that cannot be read."""
        return cls(*_rounded(window), reason=reason)

    def to_line(self) -> str:
        """Returns the clip as one line of json."""
        times: dict[str, Any] = {"start_sec": self.start_sec, "end_sec": self.end_sec}
        said = {"best": self.best} if self.reason is None else {"reason": self.reason}
        return json.dumps(times | said) + "\n"

    @classmethod
    def from_line(cls, line: str) -> "TimelineClip":
        """Reads what :meth:`to_line` wrote.

        Raises:
            ValueError, KeyError, TypeError: the line is another, or incomplete.
        """
        saved = parse_json(line, "the timeline")
        best = tuple((int(index), float(score)) for index, score in saved.get("best", ()))
        return cls(float(saved["start_sec"]), float(saved["end_sec"]), best, saved.get("reason"))


def _rounded(window: tuple[float, float]) -> tuple[float, float]:
    return round(window[0], _DIGITS), round(window[1], _DIGITS)


def kept_classes(num_classes: int, top_k: int) -> int:
    """Returns how many classes of each clip are kept.

    >>> kept_classes(4, 5), kept_classes(400, 5), kept_classes(400, 20)
    (4, 10, 20)
    """
    return num_classes if num_classes <= MANY_CLASSES else min(num_classes, max(top_k, _BEST))


class ClipFile:
    """The file of a timeline's clips.

    Args:
        path: the file.
        group: clips that are computed together.
    """

    def __init__(self, path: Path, group: int) -> None:
        self.path = path
        self.group = group

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Starts the file anew with what was asked for."""
        write_whole(self.path, json.dumps(settings) + "\n")

    def settings(self) -> dict[str, Any] | None:
        """Returns what was asked for; None where there is no file, or one without a complete first line."""
        if not self.path.is_file():
            return None
        with self.path.open("rb") as file:
            line = file.readline(MAX_LINE)
        if not line.endswith(b"\n") and len(line) < MAX_LINE:
            return None
        try:
            settings = parse_json(line.decode("utf-8-sig"), self.path, 1)
        except ValueError as error:
            settings = error
        if not isinstance(settings, dict):
            raise ValueError(f"{self.path} is not the file of a timeline. Choose another --out.")
        return settings

    def has_clips(self) -> bool:
        """Whether there is anything after the first line of the file."""
        with self.path.open("rb") as file:
            file.readline()
            return bool(file.read(1))

    def go_on(self, total: int) -> int:
        """Cuts off what is not a whole group of whole clips; returns how many of ``total`` clips are left."""
        with self.path.open("rb+") as file:
            file.readline()
            end, done = file.tell(), 0
            whole = itertools.takewhile(_is_whole, iter(file.readline, b""))
            for count, _ in enumerate(whole, 1):
                if count % self.group == 0 or count == total:
                    end, done = file.tell(), count
            file.truncate(end)
        return done

    def add(self, clips: Sequence[TimelineClip]) -> None:
        """Adds clips, which are on the disk when this returns."""
        append(self.path, "".join(clip.to_line() for clip in clips))

    def __iter__(self) -> Iterator[TimelineClip]:
        with self.path.open(encoding="utf-8") as file:
            file.readline()
            for line in file:
                yield TimelineClip.from_line(line)


def _is_whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        TimelineClip.from_line(line.decode("utf-8-sig"))
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return False
    return True
