# SPDX-License-Identifier: Apache-2.0
"""People with boxes and actions in single frames of videos: what all files of such annotations are read into."""

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from typing import Any, Literal, NamedTuple, TypeAlias

from pytorchvideo._checks import expected, near_names, shortened
from pytorchvideo._text import PathLike
from pytorchvideo.data._annotations.ava_rows import Corners
from pytorchvideo.data.ava import AvaLabeledVideoFramePaths

#: Shares of the picture in 0..1, or pixels of it.
Unit: TypeAlias = Literal["fraction", "pixel"]
#: Class id -> name; a ``.pbtxt`` file of them; ``"ava"``, its 80 classes, or ``"ava60"``, those that are evaluated.
LabelMap: TypeAlias = Mapping[int, str] | PathLike

#: Classes of AVA that its evaluation leaves out, as they are rare.
NOT_EVALUATED = frozenset(
    {2, 16, 18, 19, 21, 23, 25, 31, 32, 33, 35, 39, 40, 42, 44, 50, 53, 55, 71, 75}
)


class PersonBox(NamedTuple):
    """One person in one frame.

    Attributes:
        box: x1, y1, x2, y2.
        labels: class ids, rising; none for a person who does nothing of what is looked for.
        person: their number in the video; -1 where that is not known.
        score: of the detector that found them; 1 for annotations.
        place: the file and the line, for errors.
    """

    box: Corners
    labels: tuple[int, ...] = ()
    person: int = -1
    score: float = 1.0
    place: str = ""


class KeyFrame(NamedTuple):
    """A frame that is annotated: the name of its video, its time in seconds, and the people in it."""

    video: str
    time_sec: float
    people: tuple[PersonBox, ...]


@dataclass(frozen=True)
class ActionAnnotations:
    """What files say of who does what, and when.

    Attributes:
        source: the file, for errors.
        label_map: class id -> name, by rising id.
        key_frames: the videos in the order in which they begin, their frames by time.
        unit: of the boxes.
        truth: the key frames of the ground truth, where the others are those of detected people.
        excluded: video and second of frames that do not count.
        bare: video, time and place in the file of frames that are named without a person.
    """

    source: str
    label_map: dict[int, str]
    key_frames: list[KeyFrame]
    unit: Unit = "fraction"
    truth: list[KeyFrame] | None = None
    excluded: Collection[tuple[str, float]] = ()
    bare: Sequence[tuple[str, float, str]] = ()

    def videos_without_people(self) -> dict[str, str]:
        """Returns the videos that are named, but have nobody, with the place of the first line of each."""
        frames = [*self.key_frames, *(self.truth or ())]
        peopled = {frame.video for frame in frames}
        found: dict[str, str] = {}
        for video, _, place in self.bare:
            if video not in peopled:
                found.setdefault(video, place)
        return found

    def classes_without_rows(self) -> list[int]:
        """Returns the ids of classes that nobody has."""
        frames = self.key_frames if self.truth is None else self.truth
        counts = Counter(label for f in frames for person in f.people for label in person.labels)
        return [number for number in self.label_map if not counts[number]]

    def of_videos(self, known: Callable[[str], bool]) -> "ActionAnnotations":
        """Returns the same without some videos."""
        frames = [frame for frame in self.key_frames if known(frame.video)]
        truth = self.truth
        if truth is not None:
            truth = [frame for frame in truth if known(frame.video)]
        bare = [frame for frame in self.bare if known(frame[0])]
        return replace(self, key_frames=frames, truth=truth, bare=bare)

    def in_fractions(self, size_of: Callable[[str], tuple[int, int]]) -> "ActionAnnotations":
        """Returns the same with boxes as shares of the picture, from the (height, width) of each video."""
        if self.unit == "fraction":
            return self
        frames = [_shares(frame, *size_of(frame.video)) for frame in self.key_frames]
        truth = self.truth
        if truth is not None:
            truth = [_shares(frame, *size_of(frame.video)) for frame in truth]
        return replace(self, key_frames=frames, truth=truth, unit="fraction")


def _shares(frame: KeyFrame, height: int, width: int) -> KeyFrame:
    people = []
    for person in frame.people:
        x1, y1, x2, y2 = person.box
        box = (x1 / width, y1 / height, x2 / width, y2 / height)
        people.append(person._replace(box=box))
    return frame._replace(people=tuple(people))


class FrameCollector:
    """Collects boxes into key frames: lines with the same video, time and box are one person."""

    def __init__(self) -> None:
        self._videos: dict[str, dict[float, dict[Corners, PersonBox]]] = {}

    def add(self, video: str, time_sec: float, person: PersonBox) -> None:
        """Adds a box with its labels to those that it has already."""
        people = self._videos.setdefault(video, {}).setdefault(round(time_sec, 6), {})
        known = people.get(person.box)
        if known is not None:
            labels = tuple(sorted({*known.labels, *person.labels}))
            number = max(known.person, person.person)
            person = known._replace(labels=labels, person=number)
        people[person.box] = person

    def frames(self) -> list[KeyFrame]:
        """Returns what was added, by time in each video."""
        return [
            KeyFrame(video, time, tuple(people.values()))
            for video, times in self._videos.items()
            for time, people in sorted(times.items())
        ]


# -- classes ---------------------------------------------------------------------------------------------------------


@cache
def ava_classes() -> dict[int, str]:
    """Returns the 80 classes of AVA v2.2."""
    file = resources.files("pytorchvideo") / "models" / "_weights" / "labels" / "ava.txt"
    return dict(enumerate(file.read_text(encoding="utf-8").splitlines(), 1))


def read_label_map(given: LabelMap) -> dict[int, str]:
    """Returns a label map as a dict by rising id.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no class, or cannot be read.
    """
    if isinstance(given, Mapping):
        if not given or not all(type(i) is int and isinstance(n, str) for i, n in given.items()):
            raise ValueError(expected("label_map", "of class ids -> names", given))
        return dict(sorted(given.items()))
    if given in ("ava", "ava60"):
        every = ava_classes()
        return {i: n for i, n in every.items() if given == "ava" or i not in NOT_EVALUATED}
    return dict(sorted(AvaLabeledVideoFramePaths.read_label_map(os.fspath(given))[0].items()))


def is_of_ava(label_map: Mapping[int, str]) -> bool:
    """Whether all classes are some of AVA's, so that a class of a file may be none of them."""
    known = ava_classes()
    return all(known.get(number) == name for number, name in label_map.items())


class Classes:
    """The ids of the classes that a file names.

    Args:
        label_map: the classes; None for those that the file has.
        source: what the label map is called in errors.
    """

    def __init__(self, label_map: LabelMap | None, source: str = "label_map") -> None:
        self.label_map = None if label_map is None else read_label_map(label_map)
        is_file = label_map is not None and not isinstance(label_map, Mapping)
        self._source = str(label_map) if is_file else source
        self._ids = {name: number for number, name in (self.label_map or {}).items()}

    def id_of(self, label: str, place: str) -> int:
        """Returns the id of a class by its name, or by its number.

        Args:
            label: as the file has it.
            place: the file and the line.

        Raises:
            ValueError: the label map has no such class.
        """
        found = self._ids.get(label)
        if found is None and self.label_map is not None:
            number = int(label) if label.isascii() and label.isdigit() else -1
            if number not in self.label_map:
                names = [
                    name if label[:1].isalpha() else str(i) for i, name in self.label_map.items()
                ]
                said = shortened(label)
                raise ValueError(
                    f"{place}: expected a class of {self._source}, but got {said!r}. "
                    f"{near_names(label, names)}"
                )
            found = number
        return self._ids.setdefault(label, len(self._ids) + 1) if found is None else found

    def numbered(self, labels: Iterable[str]) -> None:
        """Without a label map, gives ids to the classes of a file: its numbers, or 1, 2, … by the order of names."""
        if self.label_map is not None:
            return
        names = set(labels)
        if names and all(name.isascii() and name.isdigit() for name in names):
            self._ids = {name: int(name) for name in names}
            self.label_map = {number: str(number) for number in sorted(self._ids.values())}
        else:
            self._ids = {name: number for number, name in enumerate(sorted(names), 1)}
            self.label_map = {number: name for name, number in self._ids.items()}


def place_of(file: PathLike, line: int) -> str:
    """Returns how errors name a line.

    >>> place_of("boxes.csv", 3)
    'boxes.csv, line 3'
    """
    return f"{os.fspath(file)}, line {line}"


def unit_of(people: Iterable[PersonBox], asked: Any) -> Unit:
    """Returns the unit of boxes: as asked, or for ``"auto"`` pixels where a corner is beyond 2.

    Raises:
        ValueError: another unit.
    """
    if asked == "auto":
        return "pixel" if any(max(map(abs, person.box)) > 2 for person in people) else "fraction"
    if asked not in ("fraction", "pixel"):
        raise ValueError(expected("unit", "one of auto, fraction, pixel", asked))
    unit: Unit = asked
    return unit
