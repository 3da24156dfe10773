# SPDX-License-Identifier: Apache-2.0
"""People of a file of boxes: of one's own, or in AVA's format."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pytorchvideo._checks import near_names
from pytorchvideo._tables import csv_text
from pytorchvideo._text import counted
from pytorchvideo.data._annotations.ava_rows import (
    Corners,
    check_box,
    corners,
    finite,
    read_ava_rows,
)
from pytorchvideo.data._annotations.tables import bad_line, read_rows, read_table
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.inference.detection.found import FoundPeople
from pytorchvideo.inference.detection.linking import link_people

_COLUMNS = ("video", "time_sec", "x1", "y1", "x2", "y2")
_FRACTIONS_UP_TO = 2.0  # a corner beyond is one in pixels
_NEAR_SEC = 0.5  # of a key time that is asked for


@dataclass
class _Box:
    box: Corners
    person: int
    score: float
    line: int


@dataclass
class _Video:
    """The boxes of a video by time, each once."""

    times: dict[float, dict[Corners, _Box]] = field(default_factory=dict)


class PeopleFile:
    """People of a csv: a :data:`~pytorchvideo.inference.detection.found.People`.

    Args:
        file: with a header ``video,time_sec,x1,y1,x2,y2`` and on request ``person`` and ``score``, boxes as pixels or
            as shares of the picture (where no corner is beyond 2); or in AVA's format without one,
            ``video,second,x1,y1,x2,y2,class,score``. Labels are of no effect.
        score_threshold: boxes with a lower score are left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, or a box without an area, named with the file and the line; or no box.
    """

    #: It has key times of its own.
    has_times = True

    def __init__(self, file: str | os.PathLike[str], *, score_threshold: float = 0.0) -> None:
        self.file, self._least = file, score_threshold
        self._videos: dict[str, _Video] = {}
        self._in_pixels = False
        if _has_header(file):
            self._read_own()
        else:
            self._read_ava()
        if not self._videos:
            raise ValueError(f"{os.fspath(file)} has no boxes: expected `{','.join(_COLUMNS)}`.")

    def _read_own(self) -> None:
        wanted = f"`{','.join(_COLUMNS)}`"
        for number, row in read_table(self.file, _COLUMNS, delimiter=None):
            try:
                time, box = finite(row["time_sec"]), corners([row[name] for name in _COLUMNS[2:]])
                person = int(row["person"]) if row.get("person") else -1
                score = finite(row["score"]) if row.get("score") else 1.0
            except (ValueError, OverflowError) as error:
                raise bad_line(self.file, number, ",".join(row.values()), wanted) from error
            check_box(box, self.file, number)
            self._add(csv_text(row["video"]), time, _Box(box, person, score, number))

    def _read_ava(self) -> None:
        for row in read_ava_rows(self.file):
            if row.box is not None:
                # the last field is a person's number or a score, and does not say which: a share is a score
                extra = 1.0 if row.extra is None else row.extra
                is_score = 0 <= extra <= 1 and extra != int(extra)
                box = _Box(row.box, -1, extra if is_score else 1.0, row.line)
                self._add(row.video, row.second, box)

    def _add(self, video: str, time: float, box: _Box) -> None:
        if box.score < self._least:
            return
        self._in_pixels = self._in_pixels or max(map(abs, box.box)) > _FRACTIONS_UP_TO
        boxes = self._videos.setdefault(video, _Video()).times.setdefault(round(time, 6), {})
        boxes.setdefault(box.box, box)

    def __call__(self, path: str, times: Sequence[float] | None) -> list[FoundPeople]:
        """Returns the people of a video, by time; where the file has no numbers, those of :func:`link_people`.

        Args:
            path: of the video; the file may name it by its path, its end, its name, or that without the ending.
            times: key times; each has the people of the nearest time of the file up to half a second away, none
                otherwise. None takes those of the file.

        Raises:
            ValueError: the file does not name the video.
        """
        known = self._of(path)
        scale = self._scale(path) if self._in_pixels else (1.0, 1.0)
        if times is None:
            every = [self._found(time, time, known, scale) for time in sorted(known.times)]
            return link_people(every)
        found = []
        for time in times:
            near = min(known.times, key=lambda one: abs(one - time))
            if abs(near - time) <= _NEAR_SEC:
                found.append(self._found(time, near, known, scale))
        return link_people(found)

    def _of(self, path: str) -> _Video:
        wanted = Path(path)
        ways = (path, *("/".join(wanted.parts[n:]) for n in range(len(wanted.parts))), wanted.stem)
        for name in ways:
            if name in self._videos:
                return self._videos[name]
        by_stem = {Path(name).stem: video for name, video in self._videos.items()}
        if wanted.stem in by_stem:
            return by_stem[wanted.stem]
        raise ValueError(
            f"{os.fspath(self.file)} has no boxes of {path}. {near_names(wanted.name, self._videos)}"
        )

    @staticmethod
    def _scale(path: str) -> tuple[float, float]:
        with EncodedVideo.from_path(path, decode_audio=False, dtype=torch.uint8) as video:
            height, width = video[0].shape[-2:]
        return 1 / width, 1 / height

    def _found(
        self, time: float, near: float, known: _Video, scale: tuple[float, float]
    ) -> FoundPeople:
        boxes = list(known.times[near].values())
        sides = torch.tensor([box.box for box in boxes]) * torch.tensor([*scale, *scale])
        return FoundPeople(
            time,
            sides,
            torch.tensor([box.score for box in boxes]),
            torch.tensor([box.person for box in boxes]),
            place=f"{os.fspath(self.file)}, line {boxes[0].line}",
        )

    def __repr__(self) -> str:
        return f"PeopleFile({os.fspath(self.file)!r}, {counted(len(self._videos), 'video')})"


def _has_header(file: str | os.PathLike[str]) -> bool:
    """Whether the first line names columns: the second field of AVA's is a number."""
    for _, fields in read_rows(file):
        try:
            float(fields[1])
        except (ValueError, IndexError):
            return True
        return False
    return False
