# SPDX-License-Identifier: Apache-2.0
"""Tracks out of CVAT's xml ("CVAT for video 1.1"), read as a stream of elements, without entities."""

from collections.abc import Callable
from dataclasses import dataclass, field
from xml.parsers import expat

from pytorchvideo._text import PathLike, read_text
from pytorchvideo.data._annotations.action_tracks import Drawn, Track
from pytorchvideo.data._annotations.ava_rows import Corners, check_box, corners

_WANTED = 'CVAT\'s export "CVAT for video 1.1"'
_FLAGS = (("outside", "0"), ("keyframe", "1"))  # of a box, with what they are where it does not say
_LAST_FRAME = 2**53  # beyond it, times are no numbers
_NO_ACTION = ("", "false", "none", "__undefined__")


@dataclass
class _Box:
    frame: int
    box: Corners
    is_outside: bool
    is_key: bool
    line: int
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class _Person:
    label: str
    task: str
    line: int
    boxes: list[_Box] = field(default_factory=list)


class _Reader:
    """Takes the elements of a file in their order."""

    def __init__(self, file: PathLike) -> None:
        self.file = file
        self.people: list[_Person] = []
        self.facts: dict[tuple[str, str], str] = {}  # of a task, by its id
        self._path: list[str] = []
        self._text = ""
        self._attribute = ""
        self._task = ""
        self.parser = expat.ParserCreate()
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._characters
        # entities, which may refer to other files and grow without bound, come with one
        self.parser.StartDoctypeDeclHandler = self._refuse

    def read(self, text: str) -> None:
        try:
            self.parser.Parse(text, True)
        except expat.ExpatError as error:
            raise self._error(f"not xml: {expat.ErrorString(error.code)}") from error

    def _refuse(self, *_: object) -> None:
        raise self._error("expected xml without a document type")

    def _error(self, said: str) -> ValueError:
        return ValueError(f"{self.file}, line {self.parser.CurrentLineNumber}: {said}.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._path.append(name)
        self._text = ""
        if name == "image" and len(self._path) == 2:
            raise self._error(f"expected {_WANTED}, but got one for images")
        if name == "track":
            line = self.parser.CurrentLineNumber
            self.people.append(
                _Person(attributes.get("label", ""), attributes.get("task_id", ""), line)
            )
        elif name == "box" and self.people:
            self.people[-1].boxes.append(self._box(attributes))
        elif name == "attribute":
            self._attribute = attributes.get("name", "")

    def _box(self, attributes: dict[str, str]) -> _Box:
        line = self.parser.CurrentLineNumber
        try:
            box = corners([attributes[key] for key in ("xtl", "ytl", "xbr", "ybr")])
            frame = int(attributes["frame"])
            if not 0 <= frame <= _LAST_FRAME:
                raise ValueError
        except (KeyError, ValueError) as error:
            raise self._error("expected a box with frame, xtl, ytl, xbr and ybr") from error
        check_box(box, self.file, line)
        is_outside, is_key = (attributes.get(k, d) == "1" for k, d in _FLAGS)
        return _Box(frame, box, is_outside, is_key, line)

    def _characters(self, text: str) -> None:
        self._text += text

    def _end(self, name: str) -> None:
        text, inside = self._text.strip(), self._path[-2:-1]
        if name == "attribute" and inside == ["box"] and self.people and self.people[-1].boxes:
            self.people[-1].boxes[-1].attributes[self._attribute] = text
        elif self._path[:2] == ["annotations", "meta"]:
            if name == "id" and inside == ["task"]:
                self._task = text
            elif name in ("source", "width", "height"):
                self.facts[self._task, name] = text
            elif name == "name" and inside == ["task"]:
                self.facts.setdefault((self._task, name), text)
        self._path.pop()
        self._text = ""

    def fact(self, task: str, *names: str) -> str:
        """What is said of a task; where there is one alone, tracks do not name it."""
        for name in names:
            found = [v for (t, n), v in self.facts.items() if n == name and task in ("", t)]
            if found and found[0]:
                return found[0]
        return ""


def read_cvat_tracks(file: PathLike, rate_of: Callable[[str], float]) -> list[Track]:
    """Returns the people of an export.

    Args:
        file: its path.
        rate_of: the name of a video -> its frames a second.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such export, or a box that cannot be read, named with the file and the line.
    """
    reader = _Reader(file)
    reader.read(read_text(file, _WANTED))
    tracks = []
    for number, person in enumerate(reader.people):
        video = reader.fact(person.task, "source", "name")
        try:
            width = float(reader.fact(person.task, "width"))
            height = float(reader.fact(person.task, "height"))
        except ValueError:
            width = height = 0.0
        if not video or not min(width, height) > 0:
            raise ValueError(
                f"{file}, line {person.line}: expected {_WANTED}, whose `meta` names the video of this track and its "
                "`original_size`."
            )
        rate, drawn = rate_of(video), []
        for box in sorted(person.boxes, key=lambda box: box.frame):
            x1, y1, x2, y2 = box.box
            shares = (x1 / width, y1 / height, x2 / width, y2 / height)
            place = f"{file}, line {box.line}"
            labels = _labels(person.label, box.attributes)
            is_seen, time = not box.is_outside, box.frame / rate
            drawn.append(Drawn(time, shares, is_seen, labels, place, box.is_key))
        if drawn:
            tracks.append(Track(video, number + 1, drawn))
    if not tracks:
        raise ValueError(f"{file} has no track of a person. Expected {_WANTED}.")
    return tracks


def _labels(label: str, attributes: dict[str, str]) -> tuple[str, ...]:
    if not attributes:
        return (label,)
    named = [name if value.lower() == "true" else value for name, value in attributes.items()]
    return tuple(name for name in named if name.lower() not in _NO_ACTION)
