# SPDX-License-Identifier: Apache-2.0
"""Lists of videos in text files: the one reader for all that takes such a file.

The grammar stands in docs/datasets.md. The public library's own, ``path label`` with a space between them and no
header, comes first: what else is read is what it would have read as a path that does not exist.
"""

import csv
import os
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pytorchvideo._checks import expected, shortened
from pytorchvideo._text import counted, read_lines
from pytorchvideo.data._annotations.tables import bad_line, read_table, too_long
from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES, is_video

_PATH_COLUMNS = {
    *("clip", "clip_path", "file", "file_name", "file_path", "filename", "filepath", "path"),
    *("video", "video_file", "video_name", "video_path"),
}
LABEL_COLUMNS = {
    *("action", "action_class", "category", "class", "class_id", "class_index", "class_name"),
    *("classname", "label", "label_id", "label_name", "labels", "target"),
}
_SPLIT_COLUMNS = {"partition", "set", "split", "subset"}
#: Those of the official lists of Kinetics, which name a clip by where it was cut out.
_KINETICS = ("youtube_id", "time_start", "time_end")
_IGNORED = {"", "is_cc"}
_KNOWN = {*_PATH_COLUMNS, *LABEL_COLUMNS, *_SPLIT_COLUMNS, *_KINETICS, "is_cc"}

_SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}

WHOLE_NUMBER = r"[+-]?\d+(?:\.0*)?"
_WANTED = "a list with one `path label` per line"
_FRAME_COLUMNS = ("video_id", "frame_id", "path", "labels")  # of lists of frames
_NUMBER_AT_END = re.compile(rf"([,;])\s*{WHOLE_NUMBER}$|(\s){WHOLE_NUMBER}$")
# an ending and what separates it from the label: a comma or semicolon, or else a space
_ENDING = re.compile(r"(\.[a-z0-9-]+)(?=\s*([,;])|\s)", re.IGNORECASE)
_ENDINGS_OF_VIDEOS = frozenset(VIDEO_SUFFIXES)
_SIGNS = re.compile(r'[",;]')
_QUOTED = re.compile(r'"[^"]*"(?:\s*([,;])|(\s))')


class Row(NamedTuple):
    """A video of a list.

    Attributes:
        line: its number in the file.
        path: as it is written; of a list of Kinetics the name of the clip, without an ending.
        label: as it is written, empty where there is none.
        split: ``train``, ``val``, ``test`` or another name; empty where the list has no such column.
        is_sure: whether it is clear where the path ends and the label begins.
    """

    line: int
    path: str
    label: str = ""
    split: str = ""
    is_sure: bool = True


@dataclass
class VideoList:
    """What a list file says.

    Attributes:
        file: its path.
        rows: a video each.
        has_clip_names: whether the paths are names of clips, to be looked for, as in the lists of Kinetics.
    """

    file: Path
    rows: list[Row]
    has_clip_names: bool = False

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that there are, in their order in the file; none without such a column."""
        return tuple(split for split in dict.fromkeys(row.split for row in self.rows) if split)

    def rows_of(self, split: str | None) -> list[Row]:
        """Returns the videos of one split.

        Args:
            split: its name, ``"all"``, or None where there are not several.

        Raises:
            ValueError: there is no such split; or several, and none was asked for.
        """
        known = self.splits
        if split == "all":
            return self.rows
        if split is None:
            if len(known) > 1:
                raise ValueError(
                    f"{self.file} has videos of several splits ({shortened(', '.join(known))}). Say which are "
                    f"meant, such as split={shortened(known[0])!r}, or split='all'."
                )
            return self.rows
        wanted = split_name(split)
        if wanted not in known:
            names = (
                f"one of {', '.join(known)}" if known else "None, since it has no column `split`"
            )
            raise ValueError(f"{self.file}: " + expected("split", shortened(names), split))
        return [row for row in self.rows if row.split == wanted]


def split_name(text: str) -> str:
    """Returns the name of a split as the others write it.

    >>> split_name("Validate"), split_name("training"), split_name("fold1")
    ('val', 'train', 'fold1')
    """
    return _SPLIT_NAMES.get(text.strip().lower(), text.strip())


def read_list(
    file: str | os.PathLike[str], label_columns: Collection[str] = LABEL_COLUMNS
) -> VideoList:
    """Reads a list file.

    Args:
        file: its path.
        label_columns: names that a header may give to the label.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be understood, named with the file and its number; or no video.
    """
    path = Path(file)
    if path.suffix.lower() == ".json" and path.is_file():
        raise ValueError(
            f"{path} is json, and no list of `path label` lines. VideoClassificationData.from_json reads json."
        )
    if names_frames(path):
        return _of_frames(path)
    stripped = ((n, line.strip()) for n, line in read_lines(path, _WANTED))
    lines = [(n, line) for n, line in stripped if line and not re.match(r"#(\s|$)", line)]
    found = _read_lines(path, lines, label_columns) if lines else VideoList(path, [])
    if not found.rows:
        raise ValueError(f"{path} lists no video. Expected one `path label` line per video.")
    return found


def names_frames(file: Path) -> bool:
    """Whether a list has a line a frame, as PySlowFast's of Charades and Something-Something have."""
    first = next(read_lines(file, _WANTED), (0, ""))[1]
    return set(_FRAME_COLUMNS) <= set(first.split())


def _of_frames(file: Path) -> VideoList:
    """The folders of a list of frames, each with the classes of all its frames."""
    rows: dict[str, Row] = {}
    labels: dict[str, set[str]] = {}
    for number, fields in read_table(file, _FRAME_COLUMNS, delimiter=" "):
        name = next(iter(fields.values()))  # `original_vido_id`, or as others spell it
        rows.setdefault(name, Row(number, os.path.dirname(fields["path"])))
        known = labels.setdefault(name, set())
        known.update(label for label in fields["labels"].strip("'").split(",") if label)
    ordered = {name: ",".join(sorted(known, key=_as_number)) for name, known in labels.items()}
    return VideoList(file, [row._replace(label=ordered[name]) for name, row in rows.items()])


def _as_number(label: str) -> tuple[int, str]:
    return (int(label) if label.isdecimal() else -1, label)


def _read_lines(
    file: Path, lines: list[tuple[int, str]], label_columns: Collection[str]
) -> VideoList:
    if len(lines) > 1 and _column_name(lines[0][1]) in _PATH_COLUMNS - {"clip", "video"}:
        lines = lines[1:]  # a column of paths alone; a folder of frames may well be called `video`
    header = _header(lines[0][1], label_columns)
    if header is not None:
        separator, names = header
        columns = _Columns.take(file, lines[0], separator, names, label_columns)
        rows = [columns.row(file, *line) for line in lines[1:]]
        return VideoList(file, rows, columns.path is None)
    separator = next((s for _, line in lines if (s := _separator_of(line))), " ")
    if separator == " ":
        return VideoList(file, [_space_row(file, *line) for line in lines])
    columns = _Columns(separator, 2, path=0, label=1)
    return VideoList(file, [columns.row(file, *line) for line in lines])


# -- columns -------------------------------------------------------------------------------------


def _header(line: str, label_columns: Collection[str]) -> tuple[str, list[str]] | None:
    """The separator and the names of a header, None for the line of a video."""
    known = _KNOWN | set(label_columns)
    for separator in ("\t", ";", ",", " "):
        try:
            fields = line.split() if separator == " " else _fields(line, separator)
        except csv.Error:
            continue
        names = [_column_name(field) for field in fields]
        if len(names) < 2 or any(_is_value(name) for name in names):
            continue
        # a folder of frames may be called `video`, and no class `label`
        if any(name in known for name in (names[1:] if separator == " " else names)):
            return separator, fields
    return None


def _column_name(field: str) -> str:
    return re.sub(r"[\s-]+", "_", field.lower())


def _is_value(field: str) -> bool:
    """Whether a field cannot be the name of a column."""
    return bool(re.fullmatch(r"[+-]?[\d.]+", field) or re.search(r"[/\\]", field)) or is_video(
        field
    )


def _fields(line: str, separator: str) -> list[str]:
    rows = csv.reader([line], delimiter=separator, skipinitialspace=True, strict=True)
    return [field.strip() for field in next(rows)]


@dataclass
class _Columns:
    """Where the fields of a line are; in a list of Kinetics the path is made of three of them."""

    separator: str
    count: int
    path: int | None = None
    label: int | None = None
    split: int | None = None
    clip: list[int] = field(default_factory=list)
    has_header: bool = False

    @classmethod
    def take(
        cls,
        file: Path,
        line: tuple[int, str],
        separator: str,
        names: list[str],
        label_columns: Collection[str],
    ) -> "_Columns":
        """Finds the columns in a header, which must have no others."""
        where = f"{file}, line {line[0]}: "
        found: dict[str, int] = {}
        roles = {"path": _PATH_COLUMNS, "label": label_columns, "split": _SPLIT_COLUMNS}
        roles |= {name: (name,) for name in _KINETICS}
        for index, written in enumerate(names):
            name = _column_name(written)
            if name in _IGNORED or re.fullmatch(r"unnamed:_\d+", name):  # the index of pandas
                continue
            role = next((role for role, known in roles.items() if name in known), None)
            if role is None:
                raise ValueError(
                    f"{where}expected columns of a path, a label and perhaps a split, but got {shortened(written)!r}. "
                    "Leave it out, or say which columns count: VideoClassificationData.from_csv(input_field, "
                    "target_fields)."
                )
            if role in found:
                raise ValueError(
                    f"{where}expected one column with the {role}, but got both {shortened(names[found[role]])!r} "
                    f"and {shortened(written)!r}."
                )
            found[role] = index
        clip = [found[name] for name in _KINETICS if name in found]
        if ("path" in found) == (len(clip) == 3) or ("path" in found and clip):
            wanted = f"a header with a column `path`, or with {', '.join(_KINETICS)}"
            raise bad_line(file, *line, wanted)
        if separator == " " and len(names) > 2:
            raise bad_line(file, *line, "commas or tabs between more than two columns")
        return cls(
            separator,
            len(names),
            found.get("path"),
            found.get("label"),
            found.get("split"),
            clip,
            has_header=True,
        )

    def row(self, file: Path, number: int, line: str) -> Row:
        """Reads a line."""
        if self.separator == " " or (self.separator == "\t" and "\t" not in line):
            return _space_row(file, number, line)
        try:
            fields = _fields(line, self.separator)
        except csv.Error as error:
            if "field limit" in str(error):
                raise ValueError(f"{file}, line {number}: {too_long(error)}") from error
            raise bad_line(file, number, line, "quotes that are closed") from error
        while len(fields) > self.count and not fields[-1]:
            fields.pop()  # a spreadsheet's empty columns
        if len(fields) == 1 and not self.has_header and is_video(fields[0]):
            fields.append("")
        if len(fields) != self.count:
            wanted = f"{counted(self.count, 'column')} with a path"
            if len(fields) > 2 and not self.has_header:
                wanted = "two columns, or a header `path,label` in the first line"
            raise bad_line(file, number, line, wanted)
        path = self._clip_name(fields) if self.path is None else fields[self.path]
        if not path:
            wanted = "the name of a clip and its times in whole seconds"
            raise bad_line(
                file,
                number,
                line,
                wanted if self.clip else f"{counted(self.count, 'column')} with a path",
            )
        label = "" if self.label is None else fields[self.label]
        split = "" if self.split is None else split_name(fields[self.split])
        if self.split is not None and not split:
            raise bad_line(file, number, line, "a split, such as train, val or test")
        return Row(number, path, label, split)

    def _clip_name(self, fields: list[str]) -> str:
        """``YOUTUBE-ID_000012_000022``; empty where the fields are no times."""
        name, *times = (fields[index] for index in self.clip)
        if not name or not all(re.fullmatch(r"\d{1,9}(?:\.0{0,9})?", time) for time in times):
            return ""
        start, end = (int(float(time)) for time in times)
        return f"{name}_{start:06d}_{end:06d}"


# -- path label ----------------------------------------------------------------------------------


def _separator_of(line: str) -> str | None:
    """What separates the path from the label, None where there is no label."""
    return _clear_separator(line) or _likely_separator(line)


def _clear_separator(line: str) -> str | None:
    """As :func:`_separator_of`, where quotes, the ending of a video or a number leave no doubt.

    >>> _clear_separator("a,b.mp4 run"), _clear_separator("a b.mp4, run"), _clear_separator("a b;3")
    (' ', ',', ';')
    """
    line = line.rstrip(",; ")
    if "\t" in line:
        return "\t"
    if found := _QUOTED.match(line):
        return found[1] or " "
    if ending := _last_ending(line):
        return ending[2] or " "
    found = _NUMBER_AT_END.search(line)
    return None if found is None else found[1] or " "


def _last_ending(line: str) -> re.Match[str] | None:
    """The last ending of a video that something follows."""
    endings = (m for m in _ENDING.finditer(line) if m[1].lower() in _ENDINGS_OF_VIDEOS)
    return next(reversed(list(endings)), None)


def _likely_separator(line: str) -> str | None:
    found = None if is_video(line) else re.search(r"[,;]", line) or re.search(r"\s", line)
    return None if found is None else found[0] if found[0] in ",;" else " "


def _space_row(file: Path, number: int, line: str) -> Row:
    """``path label``: split behind the ending of a video, else at the last space, as the public library does."""
    path, _, label = line.rpartition(" ")
    if label.isdecimal() and is_video(path) and not _SIGNS.search(line):
        return Row(number, path, label)  # nearly all lines are so: this is the fast way
    if _clear_separator(line) in (",", ";"):
        wanted = "a space between path and label, as in the lines before"
        raise bad_line(file, number, line, wanted)
    quoted = re.match(r'"([^"]+)"(?:\s+(.*))?$', line)
    if quoted is not None:
        return Row(number, quoted[1].strip(), _unquoted(quoted[2] or ""))
    if is_video(line) or len(line.split()) == 1:
        return Row(number, line)
    if ending := _last_ending(line):
        end = ending.end()
        return Row(number, line[:end], _unquoted(line[end:].strip()))
    path, label = line.rsplit(None, 1)
    is_sure = len(path.split()) == 1 or re.fullmatch(r"[+-]?[\d.]+", label) is not None
    return Row(number, path.strip(), label, is_sure=is_sure)


def _unquoted(label: str) -> str:
    return label[1:-1].strip() if re.fullmatch(r'"[^"]*"', label) else label
