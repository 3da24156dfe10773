# SPDX-License-Identifier: Apache-2.0
"""Lists of labelled videos: from a text file, a csv file, or a folder with one subfolder per class."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pytorchvideo.data._tables import bad_line, read_text

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")

NO_LABEL = -1
"""The label of a video whose line has none."""

_PATH_COLUMNS = {"file", "file_name", "filename", "filepath", "path", "video", "video_path"}
_LABEL_COLUMNS = {"action", "category", "class", "class_id", "class_name", "label", "label_id"}


class _Row(NamedTuple):
    line: int
    path: str
    label: str


class LabeledVideoPaths:
    """A sequence of ``(path, {"label": int})``.

    Args:
        paths_and_labels: pairs of a path and a class id; None is no label and becomes -1.
        path_prefix: put before every path, as ``os.path.join`` does.
        class_names: names of the classes 0, 1, 2..., if they are known.

    >>> videos = LabeledVideoPaths([("a.mp4", 3), ("b.mp4", None)], path_prefix="clips")
    >>> len(videos), videos[1]
    (2, ('clips/b.mp4', {'label': -1}))
    """

    def __init__(
        self,
        paths_and_labels: list[tuple[str, int | None]],
        path_prefix: str = "",
        class_names: list[str] | None = None,
    ) -> None:
        self._paths_and_labels = paths_and_labels
        self.path_prefix = path_prefix
        self.class_names = class_names
        self._list_file: Path | None = None

    @classmethod
    def from_path(cls, data_path: str | os.PathLike[str]) -> "LabeledVideoPaths":
        """Reads a list file (:meth:`from_csv`) or a folder (:meth:`from_directory`).

        Raises:
            FileNotFoundError: there is neither.
        """
        if os.path.isfile(data_path):
            return cls.from_csv(data_path)
        if os.path.isdir(data_path):
            return cls.from_directory(data_path)
        raise FileNotFoundError(
            f"There is no file and no folder {os.fspath(data_path)!r}. Expected a list file with "
            "`path label` lines, or a folder with one subfolder of videos per class."
        )

    @classmethod
    def from_csv(cls, file_path: str | os.PathLike[str]) -> "LabeledVideoPaths":
        """Reads one video per line: ``path label``, or columns separated by commas.

        The first line decides which. Blank lines are skipped, and so is a header that names its
        columns (``path,label``). Without commas the label comes after the last space, or after the
        last tab, so that paths may contain spaces. A line without a label gets -1. Labels are class
        ids, or names, which get ids in alphabetical order (``class_names``).

        A relative path is looked for where the program runs; without a ``path_prefix``, if it is
        not there, in the folder of the list file.

        Raises:
            ValueError: a line that cannot be read, named with the file and its number; or no video.
        """
        file = Path(file_path)
        rows = list(rows_of(file))
        if not rows:
            raise ValueError(f"{file} lists no video. Expected one `path label` line per video.")
        labels, class_names = _class_ids(file, rows)
        pairs: list[tuple[str, int | None]] = [
            (row.path, label) for row, label in zip(rows, labels, strict=True)
        ]
        videos = cls(pairs, class_names=class_names)
        videos._list_file = file
        return videos

    @classmethod
    def from_directory(cls, dir_path: str | os.PathLike[str]) -> "LabeledVideoPaths":
        """Lists ``<folder>/<class>/**/<video>``; class ids follow the sorted names of the classes.

        Hidden files and folders are left out, and so is everything that is not a video by its
        ending (:data:`VIDEO_SUFFIXES`).

        Raises:
            NotADirectoryError: ``dir_path`` is no folder.
            ValueError: it has no subfolder, or one without a video.
        """
        root = Path(dir_path)
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is not a folder. Use from_csv for a list file.")
        names = sorted(d.name for d in root.iterdir() if d.is_dir() and d.name[0] != ".")
        if not names:
            raise ValueError(
                f"The folder {root} has no subfolder. Expected one subfolder of videos per class."
            )
        pairs: list[tuple[str, int | None]] = []
        for label, name in enumerate(names):
            found = list(videos_below(root / name))
            if not found:
                raise ValueError(
                    f"The class folder {root / name} has no video. Remove it, or add files that "
                    f"end in {', '.join(VIDEO_SUFFIXES)}."
                )
            pairs.extend((path, label) for path in found)
        return cls(pairs, class_names=names)

    def check_any_exists(self) -> None:
        """Raises a FileNotFoundError if no video of the list exists; URLs count as existing."""
        for index in range(len(self)):
            path = self[index][0]
            if "://" in path or os.path.exists(path):
                return
        source = "the list" if self._list_file is None else str(self._list_file)
        raise FileNotFoundError(
            f"None of the {len(self)} videos of {source} exists; the first is {self[0][0]!r}. "
            "Check the paths, or give the folder that they are relative to as `video_path_prefix`."
        )

    def _located(self, path: str) -> str:
        joined = os.path.join(self.path_prefix, path)
        if self.path_prefix or self._list_file is None or os.path.exists(joined):
            return joined
        beside_list = os.path.join(self._list_file.parent, path)
        return beside_list if os.path.exists(beside_list) else joined

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        path, label = self._paths_and_labels[index]
        return self._located(path), {"label": NO_LABEL if label is None else label}

    def __len__(self) -> int:
        return len(self._paths_and_labels)

    def __repr__(self) -> str:
        classes = "" if self.class_names is None else f", {len(self.class_names)} classes"
        return f"{type(self).__name__}({len(self)} videos{classes})"


def videos_below(folder: Path) -> Iterator[str]:
    """Yields the paths of the videos of a folder at any depth, sorted, without hidden ones."""
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        for name in sorted(files):
            if name[0] != "." and name.lower().endswith(VIDEO_SUFFIXES):
                yield os.path.join(parent, name)


def rows_of(file: Path) -> Iterator[_Row]:
    """The lines of a list file as text; blank ones and a header are skipped."""
    text = read_text(file, "a list with one `path label` per line")
    lines = [(n, line.strip()) for n, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not lines:
        return
    if _has_commas(lines[0][1]):
        yield from _comma_rows(file, lines)
        return
    for position, (number, line) in enumerate(lines):
        row = _Row(number, *_split_at_last_space(line))
        if position == 0 and _is_header([row.path.lower(), row.label.lower()]):
            continue
        if re.search(r",\s*-?\d+$", line):
            raise bad_line(file, number, line, "a path and a label without a comma, as before")
        yield row


def _has_commas(line: str) -> bool:
    """Whether the first line of a list is comma separated; its paths may contain commas, too."""
    if re.search(r",\s*-?\d+$", line):
        return True
    if "," not in line or re.search(r"\s-?\d+$", line):
        return False
    return _is_video(_fields(line)[0]) or not _is_video(_split_at_last_space(line)[0])


def _is_header(names: list[str]) -> bool:
    return not _PATH_COLUMNS.isdisjoint(names) and not _LABEL_COLUMNS.isdisjoint(names)


def _fields(line: str) -> list[str]:
    return [field.strip() for field in next(csv.reader([line], skipinitialspace=True))]


def _comma_rows(file: Path, lines: list[tuple[int, str]]) -> Iterator[_Row]:
    header = [name.lower() for name in _fields(lines[0][1])]
    columns, path_at, label_at = len(header), 0, 1
    if _is_header(header):
        path_at = next(i for i, name in enumerate(header) if name in _PATH_COLUMNS)
        label_at = next(i for i, name in enumerate(header) if name in _LABEL_COLUMNS)
        lines = lines[1:]
    elif columns != 2:
        raise bad_line(file, lines[0][0], lines[0][1], "two columns, or a header `path,label`")
    for number, line in lines:
        fields = _fields(line)
        if len(fields) != columns or not fields[path_at]:
            raise bad_line(file, number, line, f"{columns} columns with a path")
        yield _Row(number, fields[path_at], fields[label_at])


def _split_at_last_space(line: str) -> tuple[str, str]:
    """``path label``; a line that ends like a video, or is one word, has no label."""
    parts = line.rsplit("\t", 1) if "\t" in line else line.rsplit(None, 1)
    if len(parts) == 1 or _is_video(parts[1]):
        return line, ""
    return parts[0].strip(), parts[1].strip()


def _is_video(text: str) -> bool:
    return text.lower().endswith(VIDEO_SUFFIXES)


def _class_ids(file: Path, rows: list[_Row]) -> tuple[list[int], list[str] | None]:
    """Labels as ids, and the names behind them where the file has names."""
    labelled = [row for row in rows if row.label]
    numeric = bool(labelled) and _is_integer(labelled[0].label)
    for row in labelled:
        if _is_integer(row.label) != numeric or _is_number(row.label) != numeric:
            wanted = "a class number, as before" if numeric else "a class name, as before"
            raise bad_line(file, row.line, f"{row.path} {row.label}", wanted)
    if numeric or not labelled:
        return [int(row.label) if row.label else NO_LABEL for row in rows], None
    names = sorted({row.label for row in labelled})
    ids = {name: label for label, name in enumerate(names)} | {"": NO_LABEL}
    return [ids[row.label] for row in rows], names


def _is_integer(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d+", text) is not None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text) is not None
