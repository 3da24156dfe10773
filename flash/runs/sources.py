# SPDX-License-Identifier: Apache-2.0
"""Labelled videos from the DATA argument of a command, split into training and validation."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from flash.core.data.utilities.classification import (
    MultiLabelTargetFormatter,
    MultiNumericTargetFormatter,
    SingleLabelTargetFormatter,
    TargetFormatter,
)
from flash.runs.data_parts import held_out_split, split_folder, train_part
from flash.runs.grouping import grouping
from flash.video.sources.files import StageFiles, format_targets, from_path
from pytorchvideo._text import are, counted, none_of, read_json
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.data.splits import Item, split_items
from pytorchvideo.evaluation.videos import Labelled, Skipped

#: Between the names of several labels in :class:`Sources`.
AND = "|"


@dataclass
class Sources:
    """Labelled videos in two parts.

    Args:
        labels: class names in the order of their indices.
        train: ``(path, class name)`` of the videos to learn from.
        val: likewise of those held out.
        how: how the parts were made, as rows of a table.
        skipped: ``(path, reason)`` of the videos that cannot be opened, which are in neither part.
        multi_label: whether a video may have several labels, whose names then stand in the place of the class name with
            :data:`AND` between them; an empty text is none of them.
    """

    labels: list[str]
    train: list[Labelled]
    val: list[Labelled]
    how: dict[str, Any] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    multi_label: bool = False

    def names_of(self, label: str) -> list[str]:
        """Returns the classes that a text of :attr:`train` or :attr:`val` names, one or several.

        >>> Sources(["a", "b"], [], [], multi_label=True).names_of("a|b"), Sources([], [], []).names_of("a|b")
        (['a', 'b'], ['a|b'])
        """
        return [name for name in label.split(AND) if name] if self.multi_label else [label]

    def targets(self, part: Sequence[Labelled]) -> list[Any]:
        """Returns class numbers, or with several labels a list of 0 and 1 for all classes a video."""
        number = {name: place for place, name in enumerate(self.labels)}
        if not self.multi_label:
            return [number[label] for _, label in part]
        named = [set(self.names_of(label)) for _, label in part]
        return [[int(name in some) for name in self.labels] for some in named]

    def counts(self, part: Sequence[Labelled]) -> Counter[str]:
        """Returns the number of videos of each class."""
        return Counter(name for _, label in part for name in self.names_of(label))

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain types, for json."""
        return dict(vars(self))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Sources":
        """Makes sources from what :meth:`to_dict` returned, through json or not."""
        pairs = {
            name: [(first, second) for first, second in values[name]]
            for name in ("train", "val", "skipped")
        }
        several = values.get("multi_label", False)
        return cls(labels=values["labels"], how=values["how"], multi_label=several, **pairs)

    @classmethod
    def from_file(cls, file: Path) -> "Sources":
        """Reads the split of a run.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it holds something else.
        """
        values = read_json(file, "the split of a run")
        try:
            found = cls.from_dict(values)
            rows = [*found.train, *found.val, *found.skipped]
            texts = (text for part in (found.labels, *rows) for text in part)
            if all(isinstance(text, str) for text in texts) and isinstance(found.multi_label, bool):
                return found
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file} is not the split of a run: {error!r}.") from error
        raise ValueError(f"{file} is not the split of a run.")


def read_labelled(
    data: str, labels: Sequence[str] | None = None, *, multi_label: bool = False
) -> StageFiles:
    """Reads DATA as one list of labelled videos: a folder per class, its split folders, or a list file.

    Args:
        data: of a folder with ``val`` (``valid``, ``validation``, ``test``) inside, or a list file with such a
            split, that part is read; of a folder of lists ``test.csv``, otherwise ``val.csv``.
        labels: class names that a model knows; a class beyond them is an error, and the classes get the model's
            numbers. None takes those of the data.
        multi_label: whether a video may have several labels; targets are then vectors.

    Raises:
        FileNotFoundError: there is no such file or folder, or no path of a list exists.
        ValueError: a line or folder that cannot be understood, or a class that the model does not know.
    """
    folder = split_folder(data, tests=True)
    files = from_path(
        data if folder is None else folder,
        split=held_out_split(data),
        multi_label=multi_label,
        known=labels or (),
    )
    if not multi_label:
        advice = (
            "and the model names one. `pytorchvideo train --multi-label` trains one for several."
        )
        _check_single(data, files, advice)
    check_any_exists(data, files)
    known: TargetFormatter | None = None
    if labels is not None:
        numeric = isinstance(files.formatter, MultiNumericTargetFormatter)
        several = MultiNumericTargetFormatter if numeric else MultiLabelTargetFormatter
        known = (several if multi_label else SingleLabelTargetFormatter)(labels)
    format_targets({"given": files}, known, owner="the model")
    return files


def read_sources(
    data: str,
    *,
    val: str | None = None,
    val_split: float = 0.25,
    seed: int = 0,
    group_by: str | None = None,
    groups: str | None = None,
    multi_label: bool = False,
    on_checked: Callable[[int, int], None] | None = None,
) -> Sources:
    """Reads DATA and splits it.

    Args:
        data: a folder with ``train`` and perhaps ``val`` (``valid``, ``validation``, ``test``) in it, each a
            folder per class; one folder per class; a list file, whose column ``split`` counts; or a folder of the lists
            ``train.csv`` and ``val.csv`` (``test.csv``).
        val: folder or list of the videos to hold out; what of ``data`` is not to train on is left out then.
        val_split: share of each class to hold out where the data is not split already; a video with several labels
            counts for the rarest of them.
        seed: of that split.
        group_by: a regular expression that is searched in each path below DATA; what it matches (its
            first group, if it has one) names the source, and a source stays in one part.
        groups: a file of ``path source`` lines, or a csv, instead; a path may be shortened to its name.
        multi_label: whether a video may have several labels.
        on_checked: called with the number of files opened so far, and of all.

    Raises:
        FileNotFoundError: there is no such file or folder, or no path of a list exists.
        ValueError: a line, folder, expression or split that cannot be used, or fewer than two classes.
        VideoError: none of the files can be opened.
    """
    if group_by is not None and groups is not None:
        raise ValueError("Expected either --group-by or --groups, but got both.")
    root, held_out = Path(data), split_folder(data)
    split = held_out_split(data) if val is None else None
    if val is not None and (group_by is not None or groups is not None):
        raise ValueError("Expected --val without --group-by and --groups, which are for a split.")
    stages, labels = _read_stages(data, val, multi_label)
    if "val" in stages and (group_by is not None or groups is not None):
        raise ValueError(
            f"Expected DATA without a split for --group-by and --groups, which make one, but {data} is split already. "
            "Leave the option out, or give all videos as one folder or list."
        )
    if len({label for _, label in _named(stages["train"].items, labels)}) < 2:
        only = "with one and the same label" if multi_label else "of one class"
        raise ValueError(
            f"{data} has videos {only} only ({labels[-1]}). Expected at least two classes to tell apart."
        )
    skipped = _drop_unreadable(data, stages, on_checked)
    if skipped and len({label for _, label in _named(stages["train"].items, labels)}) < 2:
        total = len(skipped) + sum(len(files.items) for files in stages.values())
        raise VideoError(
            f"{len(skipped)} of the {counted(total, 'video')} of {data} cannot be read, and those that are left "
            "are of one class. "
            f"The first: {skipped[0][1]} `pytorchvideo check {data}` lists all."
        )
    how: dict[str, Any] = {"data": data}
    if "val" in stages:
        train, kept = stages["train"].items, stages["val"].items
        how["split"] = (
            f"as given: {data} and {val}"
            if val is not None
            else f"as given: the {_kind(held_out)} {train_part(data).name} and {held_out.name}"
            if held_out
            else f"as given: train and {split} of the list"
        )
    else:
        group = grouping(root, group_by, groups)
        given = stages["train"].items
        if multi_label:
            given = _by_rarest(given)
        train, kept = split_items(given, val_split, seed=seed, group=group)
        share = len(kept) / (len(train) + len(kept))
        how["split"] = f"{1 - share:.0%} to train, {share:.0%} held out, class by class"
        if multi_label:
            train, kept = _by_vector(train), _by_vector(kept)
            how["split"] += ", where a video counts for the rarest of its labels"
        how["seed of the split"] = seed
        how["sources kept together"] = (
            "no: every file counts as its own source"
            if group is None
            else f"by {'the expression ' + group_by if group_by else groups}: "
            f"{counted(len({group(path) for path, _ in stages['train'].items}), 'source')}"
        )
    found = Sources(labels, _named(train, labels), _named(kept, labels), how, skipped, multi_label)
    for name, part in (("training videos", found.train), ("held-out videos", found.val)):
        counts = found.counts(part)
        per_class = ", ".join(f"{label} {counts[label]}" for label in labels[:20])
        how[name] = f"{len(part)} ({per_class}{', …' if len(labels) > 20 else ''})"
    how["skipped videos"] = len(skipped)
    return found


def list_labelled(
    data: str, val: str | None = None, *, multi_label: bool = False
) -> list[Labelled]:
    """Returns all videos of DATA, of which none is opened, with their classes; see :func:`read_sources`.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_sources`.
    """
    stages, labels = _read_stages(data, val, multi_label)
    return [pair for files in stages.values() for pair in _named(files.items, labels)]


def _read_stages(
    data: str, val: str | None, multi_label: bool
) -> tuple[dict[str, StageFiles], list[str]]:
    """The videos of DATA, ``"train"`` and perhaps ``"val"``, and the class names."""
    root, held_out = Path(data), split_folder(data)
    split = held_out_split(data) if val is None else None
    read = partial(from_path, multi_label=multi_label)
    stages = {"train": read(train_part(data), split="train")}
    if val is not None:
        folder = split_folder(val)
        stages["val"] = read(val if folder is None else folder, split=held_out_split(val))
    elif held_out is not None:
        stages["val"] = read(held_out)
    elif split is not None:
        stages["val"] = read(root, split=split)
    for stage, files in stages.items():
        named = val if stage == "val" and val is not None else data
        if not multi_label:
            _check_single(
                named, files, "where one is expected: give --multi-label to train on them."
            )
        check_any_exists(named, files)
    if val is not None:
        _check_apart(stages, val)
    classes = format_targets(stages)
    count = 0 if classes is None else classes.num_classes or 0
    labels = (classes and classes.labels) or [str(index) for index in range(count)]
    if multi_label:
        _check_several(data, labels)
    return stages, labels


def _check_several(data: str, labels: Sequence[str]) -> None:
    """Raises a ValueError for names that no model with several labels can have."""
    if len(labels) < 2:
        raise ValueError(
            f"{data} has the label {labels[0]} alone. Expected two or more with --multi-label; for one that is there "
            "or not, train on two classes without it."
        )
    if wrong := [name for name in labels if AND in name]:
        raise ValueError(
            f"{data}: expected names of classes without {AND!r} with --multi-label, but got {wrong[0]!r}."
        )


def _by_rarest(items: Sequence[Item]) -> list[Item]:
    """The same videos with the rarest of their classes, -1 for none, as the only one."""
    counts = torch.stack([info["label"] for _, info in items]).sum(dim=0)
    rarest = [
        min(vector.nonzero().flatten().tolist(), key=lambda n: (counts[n].item(), n), default=-1)
        for vector in (info["label"] for _, info in items)
    ]
    return [
        (path, {"label": label, "vector": info["label"]})
        for (path, info), label in zip(items, rarest, strict=True)
    ]


def _by_vector(items: Sequence[Item]) -> list[Item]:
    return [(path, {"label": info["vector"]}) for path, info in items]


def _check_apart(stages: dict[str, StageFiles], val: str) -> None:
    """Raises a ValueError if a video is in both parts."""
    train, held_out = ({os.path.abspath(p) for p, _ in stages[s].items} for s in ("train", "val"))
    if both := train & held_out:
        raise ValueError(
            f"{counted(len(both), 'video')} of --val {val} {are(len(both))} to train on, too, as {min(both)}: "
            "accuracy on them says nothing. "
            "Take them out of one of the two."
        )


def check_any_exists(data: str, files: StageFiles) -> None:
    """Raises a FileNotFoundError if none of the files is there."""
    pairs: list[tuple[str, int | None]] = [(path, None) for path, _ in files.items]
    try:
        LabeledVideoPaths(pairs).check_any_exists()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{none_of(len(pairs), 'video')} of {data} exists; the first is {pairs[0][0]}. A relative path "
            "starts where the command runs, or at the list file."
        ) from error


def _kind(part: Path) -> str:
    return "folders" if part.is_dir() else "lists"


def _check_single(data: str, files: StageFiles, advice: str) -> None:
    """Raises a ValueError if videos have several classes."""
    if files.formatter is not None and files.formatter.multi_label:
        raise ValueError(f"{data} has videos with several labels, {advice}")


def _named(items: Sequence[Item], labels: Sequence[str]) -> list[Labelled]:
    return [(path, AND.join(names_of_target(info["label"], labels))) for path, info in items]


def names_of_target(target: Any, labels: Sequence[str]) -> list[str]:
    """Returns the names of a class number, or of a vector of 0 and 1.

    >>> names_of_target(1, ["a", "b"]), names_of_target(torch.tensor([1.0, 1.0]), ["a", "b"])
    (['b'], ['a', 'b'])
    """
    numbers = target.nonzero().flatten().tolist() if isinstance(target, torch.Tensor) else [target]
    return [labels[number] for number in numbers]


def _drop_unreadable(
    data: str, stages: dict[str, StageFiles], on_checked: Callable[[int, int], None] | None
) -> list[Skipped]:
    """Opens every file, and takes those that cannot be opened out of their stages."""
    paths = [path for files in stages.values() for path, _ in files.items]
    reasons: dict[str, str] = {}
    with ThreadPoolExecutor(max_workers=min(8, (os.cpu_count() or 1) * 2)) as pool:
        for number, (path, reason) in enumerate(
            zip(paths, pool.map(_why_unreadable, paths), strict=True)
        ):
            if reason is not None:
                reasons[path] = reason
            if on_checked is not None:
                on_checked(number + 1, len(paths))
    if len(reasons) == len(paths):
        raise VideoError(
            f"{none_of(len(paths), 'video')} of {data} can be read; the first: {reasons[paths[0]]}"
        )
    for stage, files in stages.items():
        files.items = [item for item in files.items if item[0] not in reasons]
        if not files.items:
            raise VideoError(f"No video of the {stage} part of {data} can be read.")
    return [(path, reasons[path]) for path in dict.fromkeys(paths) if path in reasons]


def _why_unreadable(path: str) -> str | None:
    try:
        if os.path.isdir(path):
            FrameVideo.from_directory(path)
        else:
            EncodedVideo.from_path(path, decode_audio=False).close()
    except (VideoError, OSError) as error:
        return str(error)
    return None
