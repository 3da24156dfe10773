# SPDX-License-Identifier: Apache-2.0
"""Lists of labelled videos: from a text file, a csv file, or a folder with one subfolder per class."""

import os
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo._text import are, counted, none_of
from pytorchvideo.data._annotations.list_folders import list_of
from pytorchvideo.data._annotations.tables import bad_line
from pytorchvideo.data._annotations.video_files import (
    OF_SHARDS,
    expected_endings,
    videos_below,
    warn_of_others,
)
from pytorchvideo.data._annotations.video_lists import (
    WHOLE_NUMBER,
    Row,
    VideoList,
    read_list,
    split_name,
)
from pytorchvideo.data._reading.skipped import SkippedClip

NO_LABEL = -1
"""The label of a video whose line has none."""

_MOST_DIGITS = 18  # which a tensor of int64 holds
_MOST_CLASSES = 1_000_000  # of which each video has one number
_OTHER_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")  # where WHOLE_NUMBER does not match

Target = int | list[int] | None
"""The class of a video; several, where a list has such; or none."""


class LabeledVideoPaths:
    """A sequence of ``(path, {"label": int})``.

    Args:
        paths_and_labels: pairs of a path and a class id; None is no label and becomes -1. Where any of the videos
            has a list of ids, all get a float32 vector (num_classes,) with a 1 for each class.
        path_prefix: put before every path, as ``os.path.join`` does.
        class_names: names of the classes 0, 1, 2..., if they are known.

    Attributes:
        splits: the splits of the list file, none where it has no such column.
        num_classes: one more than the largest id.
        prefix_argument: by which the caller was given ``path_prefix``, for errors; empty where it has none.

    >>> videos = LabeledVideoPaths([("a.mp4", 3), ("b.mp4", None)], path_prefix="clips")
    >>> len(videos), videos[1]
    (2, ('clips/b.mp4', {'label': -1}))
    """

    def __init__(
        self,
        paths_and_labels: Sequence[tuple[str, Target]],
        path_prefix: str = "",
        class_names: list[str] | None = None,
    ) -> None:
        self._paths_and_labels = list(paths_and_labels)
        self._path_prefix = path_prefix
        self.class_names = class_names
        self.splits: tuple[str, ...] = ()
        self.prefix_argument = ""
        targets = [label for _, label in self._paths_and_labels]
        self.multi_label = any(isinstance(label, list) for label in targets)
        self.num_classes = 1 + max((max(_ids(label), default=-1) for label in targets), default=-1)
        self._list: VideoList | None = None
        self._lines: list[int] = []
        self._clips: _Clips | None = None

    @property
    def path_prefix(self) -> str:
        """Put before every path; the folder of the clips of a list of Kinetics."""
        return self._path_prefix

    @path_prefix.setter
    def path_prefix(self, prefix: str | os.PathLike[str]) -> None:
        self._path_prefix = os.fspath(prefix)
        self._clips = None  # they are looked for anew

    @classmethod
    def from_path(
        cls, data_path: str | os.PathLike[str], *, split: str | None = None
    ) -> "LabeledVideoPaths":
        """Reads a list file (:meth:`from_csv`) or a folder (:meth:`from_directory`).

        A folder with ``train.csv``, ``val.csv`` and ``test.csv``, as PySlowFast has them, is a list with these splits.

        Raises:
            FileNotFoundError: there is neither.
            ValueError: ``split`` for a folder per class; none for several lists.
        """
        if os.path.isfile(data_path):
            return cls.from_csv(data_path, split=split)
        if os.path.isdir(data_path):
            listed = list_of(data_path, None if split is None else split_name(split))
            if listed is not None:
                return cls.from_csv(listed)
            if split not in (None, "all"):
                advice = "Give the folder of that split."
                raise ValueError(expected("split", "None for a folder", split, advice))
            return cls.from_directory(data_path)
        raise FileNotFoundError(
            f"There is no file and no folder {os.fspath(data_path)!r}. Expected a list file with "
            "`path label` lines, or a folder with one subfolder of videos per class."
        )

    @classmethod
    def from_csv(
        cls, file_path: str | os.PathLike[str], *, split: str | None = None
    ) -> "LabeledVideoPaths":
        """Reads one video per line: ``path label``, or columns separated by commas, semicolons or tabs.

        Labels are class ids, or names, which get ids in alphabetical order (``class_names``), the same in all splits.
        Several numbers are several classes. A line without a label gets -1. docs/datasets.md has all that is read.

        A relative path is looked for where the program runs; without a ``path_prefix``, if it is
        not there, in the folder of the list file. The clips of a list of Kinetics (``label,youtube_id,time_start,
        time_end,split``) are looked for in the folder ``path_prefix``, or that of the list, at any depth; those that
        are not there are left out with one warning.

        Args:
            file_path: the list.
            split: which videos of a list with a column ``split``; ``"all"`` takes all. May be left out where all
                have the same.

        Raises:
            ValueError: a line that cannot be read, named with the file and its number; no video; or several splits,
                and none was asked for.
        """
        found = read_list(file_path)
        labels, class_names = _class_ids(found.file, found.rows)
        rows = found.rows_of(split)
        by_line = dict(zip((row.line for row in found.rows), labels, strict=True))
        videos = cls([(row.path, by_line[row.line]) for row in rows], class_names=class_names)
        # those of the whole list, as the names are
        videos.multi_label = any(isinstance(label, list) for label in labels)
        videos.num_classes = 1 + max(max(_ids(label), default=-1) for label in labels)
        videos.splits = found.splits
        videos._list = found
        videos._lines = [row.line for row in rows]
        return videos

    @classmethod
    def from_directory(cls, dir_path: str | os.PathLike[str]) -> "LabeledVideoPaths":
        """Lists ``<folder>/<class>/**/<video>``; class ids follow the sorted names of the classes.

        Hidden files and folders are left out; so is, with one warning, everything that is not a video by its
        ending.

        Raises:
            NotADirectoryError: ``dir_path`` is no folder.
            ValueError: it has no subfolder, or one without a video.
        """
        root = Path(dir_path)
        if not root.is_dir():
            raise NotADirectoryError(f"{root} is not a folder. Use from_csv for a list file.")
        names = sorted(d.name for d in root.iterdir() if d.is_dir() and d.name[0] != ".")
        if not names:
            hint = f" {OF_SHARDS}" if any(root.glob("*.tar")) else ""
            raise ValueError(
                f"The folder {root} has no subfolder. Expected one subfolder of videos per class.{hint}"
            )
        pairs: list[tuple[str, Target]] = []
        others: Counter[str] = Counter()
        for label, name in enumerate(names):
            in_class: Counter[str] = Counter()
            found = list(videos_below(root / name, in_class))
            if not found:
                raise ValueError(
                    f"The class folder {root / name} has no video. {expected_endings(in_class)} Remove it, or add some."
                )
            pairs.extend((path, label) for path in found)
            others += in_class
        warn_of_others(root, others)
        return cls(pairs, class_names=names)

    def targets(self) -> list[Target]:
        """Returns the class id of each video, its list of ids, or None, as they were given."""
        return [label for _, label in self._items()]

    def line(self, index: int) -> str:
        """Returns where a video stands, for an error: the list file and the number of its line."""
        if self._list is None:
            return self[index][0]
        lines = self._lines if self._clips is None else self._clips.lines
        return f"{self._list.file}, line {lines[index]}"

    @property
    def left_out(self) -> list[SkippedClip]:
        """The clips of a list of Kinetics that are not in the folder."""
        self._items()
        return [] if self._clips is None else self._clips.left_out

    def check_any_exists(self) -> None:
        """Raises a FileNotFoundError if no video of the list exists; URLs count as existing."""
        for index in range(len(self)):
            path = self[index][0]
            if "://" in path or os.path.exists(path):
                return
        source = "the list" if self._list is None else str(self._list.file)
        other = f"; `{self.prefix_argument}` names another folder" if self.prefix_argument else ""
        advice = (
            f"Check the paths: a relative one starts where the program runs, or at the list{other}."
        )
        if self._list is not None and all(
            re.search(r"\s\d+$", row.path) for row in self._list.rows
        ):
            advice = (
                "If the lines are `folder frames label`, as TSN and MMAction2 have them for folders of frames, leave "
                "out the number of frames."
            )
        raise FileNotFoundError(
            f"{none_of(len(self), 'video')} of {source} exists; the first is {self[0][0]!r}. {advice}"
        )

    def _items(self) -> list[tuple[str, Target]]:
        if self._list is None or not self._list.has_clip_names:
            return self._paths_and_labels
        if self._clips is None:
            folder = self.path_prefix or self._list.file.parent
            where = "Put the list into the folder of the videos"
            if self.prefix_argument:
                where += f", or name that as `{self.prefix_argument}`"
            self._clips = _Clips.find(
                self._list.file, folder, self._paths_and_labels, self._lines, f"{where}."
            )
        return self._clips.items

    def _located(self, path: str) -> str:
        if self._clips is not None:
            return path
        joined = os.path.join(self.path_prefix, path)
        if self.path_prefix or self._list is None or os.path.exists(joined):
            return joined
        beside_list = os.path.join(self._list.file.parent, path)
        return beside_list if os.path.exists(beside_list) else joined

    def __getitem__(self, index: int) -> tuple[str, dict[str, Any]]:
        path, target = self._items()[index]
        if not self.multi_label:
            return self._located(path), {"label": NO_LABEL if target is None else target}
        vector = torch.zeros(self.num_classes)
        vector[_ids(target)] = 1.0
        return self._located(path), {"label": vector}

    def __len__(self) -> int:
        return len(self._items())

    def __repr__(self) -> str:
        classes = "" if self.class_names is None else f", {counted(len(self.class_names), 'class')}"
        return f"{type(self).__name__}({counted(len(self), 'video')}{classes})"


@dataclass
class _Clips:
    """The clips of a list of Kinetics as they were found in a folder."""

    items: list[tuple[str, Target]]
    lines: list[int]
    left_out: list[SkippedClip]

    @classmethod
    def find(
        cls,
        file: Path,
        folder: str | Path,
        named: Sequence[tuple[str, Target]],
        lines: Sequence[int],
        advice: str,
    ) -> "_Clips":
        files = {Path(path).stem: path for path in videos_below(folder)}
        items, kept = [], []
        left_out = []
        for (name, label), line in zip(named, lines, strict=True):
            if name in files:
                items.append((files[name], label))
                kept.append(line)
            else:
                left_out.append(SkippedClip(name, f"there is no such video in {folder}"))
        if not items:
            raise FileNotFoundError(
                f"{none_of(len(named), 'clip')} of {file} is in the folder {folder}; the first would be "
                f"{named[0][0]}.mp4. {advice}"
            )
        if left_out:
            warnings.warn(
                f"{len(left_out)} of the {counted(len(named), 'clip')} of {file} {are(len(left_out))} left out, since "
                f"{'it is' if len(left_out) == 1 else 'they are'} not in {folder}. "
                f"The first: {left_out[0].path}.",
                UserWarning,
                stacklevel=4,
            )
        return cls(items, kept, left_out)


def _ids(target: Target) -> list[int]:
    return target if isinstance(target, list) else [] if target is None else [target]


def _class_ids(file: Path, rows: Sequence[Row]) -> tuple[list[Target], list[str] | None]:
    """Labels as ids, and the names behind them where the file has names."""
    labelled = [row for row in rows if row.label]
    numeric = bool(labelled) and _numbers(labelled[0].label) is not None
    for row in labelled:
        is_id = _numbers(row.label) is not None
        if is_id != numeric or (not is_id and _OTHER_NUMBER.fullmatch(row.label)):
            wanted = "a class number" if numeric else "a class name"
            wanted = f"{wanted} after the path, as in the lines before"
            if row is labelled[0]:
                wanted = f"a class number of at most {_MOST_DIGITS} digits, or a class name"
            raise bad_line(file, row.line, f"{row.path} {row.label}", wanted)
        if not numeric and not row.is_sure:
            wanted = "a tab or a comma before the label, since path and label may both have a space"
            raise bad_line(file, row.line, f"{row.path} {row.label}", wanted)
    if numeric or not labelled:
        return _numeric_targets(file, rows), None
    names = sorted({row.label for row in labelled})
    ids: dict[str, Target] = {name: label for label, name in enumerate(names)}
    return [ids[row.label] if row.label else None for row in rows], names


def _numeric_targets(file: Path, rows: Sequence[Row]) -> list[Target]:
    numbers = [_numbers(row.label) or [] for row in rows]
    if all(len(some) < 2 for some in numbers):
        return [some[0] if some else None for some in numbers]
    for row, some in zip(rows, numbers, strict=True):
        if not 0 <= min(some, default=0) <= max(some, default=0) < _MOST_CLASSES:
            wanted = f"class numbers in 0..{_MOST_CLASSES - 1}, as others have several"
            raise bad_line(file, row.line, f"{row.path} {row.label}", wanted)
    return list(numbers)


def _numbers(label: str) -> list[int] | None:
    """The class ids of a label, None if it is another text.

    >>> _numbers("3"), _numbers("3.0"), _numbers("1 3"), _numbers("1.5"), _numbers("run")
    ([3], [3], [1, 3], None, None)
    """
    if label.isdecimal() and len(label) <= _MOST_DIGITS:
        return [int(label)]
    texts = [text for text in re.split(r"[\s,;|]+", label) if text]
    if not texts or not all(re.fullmatch(WHOLE_NUMBER, text) for text in texts):
        return None
    wholes = [text.split(".")[0] for text in texts]
    return None if max(map(len, wholes)) > _MOST_DIGITS else [int(text) for text in wholes]
