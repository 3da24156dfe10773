# SPDX-License-Identifier: Apache-2.0
"""Labelled videos from the DATA argument of a command, split into training and validation."""

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flash.core.data.utilities.classification import SingleLabelTargetFormatter
from flash.video.sources.files import StageFiles, format_targets, from_path, splits_of
from pytorchvideo._text import read_json
from pytorchvideo.data._annotations.tables import bad_line
from pytorchvideo.data._annotations.video_lists import LABEL_COLUMNS, read_list
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.data.splits import Item, split_items
from pytorchvideo.evaluation.videos import Labelled, Skipped

_VAL_FOLDERS = ("val", "valid", "validation", "test")
_SOURCE_COLUMNS = {"group", "recording", "source", "subject", *LABEL_COLUMNS}


@dataclass
class Sources:
    """Labelled videos in two parts.

    Args:
        labels: class names in the order of their indices.
        train: ``(path, class name)`` of the videos to learn from.
        val: likewise of those held out.
        how: how the parts were made, as rows of a table.
        skipped: ``(path, reason)`` of the videos that cannot be opened, which are in neither part.
    """

    labels: list[str]
    train: list[Labelled]
    val: list[Labelled]
    how: dict[str, Any] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)

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
        return cls(labels=values["labels"], how=values["how"], **pairs)

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
            if all(isinstance(text, str) for texts in (found.labels, *rows) for text in texts):
                return found
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file} is not the split of a run: {error!r}.") from error
        raise ValueError(f"{file} is not the split of a run.")


def read_labelled(data: str, labels: Sequence[str] | None = None) -> StageFiles:
    """Reads DATA as one list of labelled videos: a folder per class, its split folders, or a list file.

    Args:
        data: of a folder with ``val`` (``valid``, ``validation``, ``test``) inside, or a list file with such a
            split, that part is read.
        labels: class names that a model knows; a class beyond them is an error, and the classes get the model's
            numbers. None takes those of the data.

    Raises:
        FileNotFoundError: there is no such file or folder, or no path of a list exists.
        ValueError: a line or folder that cannot be understood, or a class that the model does not know.
    """
    folder = _split_folder(data)
    files = from_path(data if folder is None else folder, split=_held_out_split(data))
    _check_single(data, files)
    check_any_exists(data, files)
    known = None if labels is None else SingleLabelTargetFormatter(labels)
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
    on_checked: Callable[[int, int], None] | None = None,
) -> Sources:
    """Reads DATA and splits it.

    Args:
        data: a folder with ``train`` and perhaps ``val`` (``valid``, ``validation``, ``test``) in it, each a
            folder per class; one folder per class; or a list file, whose column ``split`` counts.
        val: folder or list of the videos to hold out; what of ``data`` is not to train on is left out then.
        val_split: share of each class to hold out where the data is not split already.
        seed: of that split.
        group_by: a regular expression that is searched in each path below DATA; what it matches (its
            first group, if it has one) names the source, and a source stays in one part.
        groups: a file of ``path source`` lines, or a csv, instead; a path may be shortened to its name.
        on_checked: called with the number of files opened so far, and of all.

    Raises:
        FileNotFoundError: there is no such file or folder, or no path of a list exists.
        ValueError: a line, folder, expression or split that cannot be used, or fewer than two classes.
        VideoError: none of the files can be opened.
    """
    if group_by is not None and groups is not None:
        raise ValueError("Expected either --group-by or --groups, but got both.")
    root, held_out = Path(data), _split_folder(data)
    held_out_split = _held_out_split(data) if val is None else None
    if val is not None and (group_by is not None or groups is not None):
        raise ValueError("Expected --val without --group-by and --groups, which are for a split.")
    stages, labels = _read_stages(data, val)
    if len({info["label"] for _, info in stages["train"].items}) < 2:
        raise ValueError(
            f"{data} has videos of one class only ({labels[-1]}). Expected at least two classes to tell apart."
        )
    skipped = _drop_unreadable(data, stages, on_checked)
    how: dict[str, Any] = {"data": data}
    if "val" in stages:
        train, kept = stages["train"].items, stages["val"].items
        how["split"] = (
            f"as given: {data} and {val}"
            if val is not None
            else f"as given: the folders train and {held_out.name}"
            if held_out
            else f"as given: train and {held_out_split} of the list"
        )
    else:
        group = grouping(root, group_by, groups)
        train, kept = split_items(stages["train"].items, val_split, seed=seed, group=group)
        how["split"] = f"{1 - val_split:.0%} to train, {val_split:.0%} held out, class by class"
        how["seed of the split"] = seed
        how["sources kept together"] = (
            "no: every file counts as its own source"
            if group is None
            else f"by {'the expression ' + group_by if group_by else groups}: "
            f"{len({group(path) for path, _ in stages['train'].items})} sources"
        )
    for name, items in (("training videos", train), ("held-out videos", kept)):
        counts = Counter(labels[info["label"]] for _, info in items)
        per_class = ", ".join(f"{label} {counts[label]}" for label in labels[:20])
        how[name] = f"{len(items)} ({per_class}{', …' if len(labels) > 20 else ''})"
    how["skipped videos"] = len(skipped)
    return Sources(labels, _named(train, labels), _named(kept, labels), how, skipped)


def list_labelled(data: str, val: str | None = None) -> list[Labelled]:
    """Returns all videos of DATA, of which none is opened, with their classes; see :func:`read_sources`.

    Raises:
        FileNotFoundError, ValueError: as :func:`read_sources`.
    """
    stages, labels = _read_stages(data, val)
    return [pair for files in stages.values() for pair in _named(files.items, labels)]


def _read_stages(data: str, val: str | None) -> tuple[dict[str, StageFiles], list[str]]:
    """The videos of DATA, ``"train"`` and perhaps ``"val"``, and the class names."""
    root, held_out = Path(data), _split_folder(data)
    held_out_split = _held_out_split(data) if val is None else None
    is_split = root.is_dir() and (root / "train").is_dir()
    stages = {"train": from_path(root / "train" if is_split else root, split="train")}
    if val is not None:
        folder = _split_folder(val)
        stages["val"] = from_path(val if folder is None else folder, split=_held_out_split(val))
    elif is_split and held_out is not None:
        stages["val"] = from_path(held_out)
    elif held_out_split is not None:
        stages["val"] = from_path(root, split=held_out_split)
    for stage, files in stages.items():
        named = val if stage == "val" and val is not None else data
        _check_single(named, files)
        check_any_exists(named, files)
    if val is not None:
        _check_apart(stages, val)
    classes = format_targets(stages)
    count = 0 if classes is None else classes.num_classes or 0
    return stages, (classes and classes.labels) or [str(index) for index in range(count)]


def _check_apart(stages: dict[str, StageFiles], val: str) -> None:
    """Raises a ValueError if a video is in both parts."""
    train, held_out = ({os.path.abspath(p) for p, _ in stages[s].items} for s in ("train", "val"))
    if both := train & held_out:
        raise ValueError(
            f"{len(both)} videos of --val {val} are to train on, too, as {min(both)}: accuracy on them says nothing. "
            "Take them out of one of the two."
        )


def check_any_exists(data: str, files: StageFiles) -> None:
    """Raises a FileNotFoundError if none of the files is there."""
    pairs: list[tuple[str, int | None]] = [(path, None) for path, _ in files.items]
    try:
        LabeledVideoPaths(pairs).check_any_exists()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"None of the {len(pairs)} videos of {data} exists; the first is {pairs[0][0]}. A relative path "
            "starts where the command runs, or at the list file."
        ) from error


def _split_folder(data: str) -> Path | None:
    """The held-out part of a data folder that is split already."""
    if not (Path(data) / "train").is_dir():
        return None
    return next((p for name in _VAL_FOLDERS if (p := Path(data) / name).is_dir()), None)


def _held_out_split(data: str) -> str | None:
    """The held-out part of a list file with several splits."""
    splits = splits_of(data)
    if not splits:
        return None
    found = next((name for name in ("val", "test") if name in splits), None)
    if found is None:
        raise ValueError(
            f"{data}: expected the splits train and val, or train and test, but it has {', '.join(splits)}."
        )
    return found


def _check_single(data: str, files: StageFiles) -> None:
    """Raises a ValueError if videos have several classes, which the commands do not know."""
    if files.formatter is not None and files.formatter.multi_label:
        raise ValueError(
            f"{data} has videos of several classes. Expected one class a video; for several, make the data with "
            "VideoClassificationData.from_folders and train a VideoClassifier(multi_label=True)."
        )


def _named(items: Sequence[Item], labels: Sequence[str]) -> list[Labelled]:
    return [(path, labels[info["label"]]) for path, info in items]


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
            f"None of the {len(paths)} videos of {data} can be read; the first: {reasons[paths[0]]}"
        )
    for stage, files in stages.items():
        files.items = [item for item in files.items if item[0] not in reasons]
        if not files.items:
            raise VideoError(f"No video of the {stage} part of {data} can be read.")
    return [(path, reasons[path]) for path in dict.fromkeys(paths) if path in reasons]


def _why_unreadable(path: str) -> str | None:
    try:
        EncodedVideo.from_path(path, decode_audio=False).close()
    except (VideoError, OSError) as error:
        return str(error)
    return None


def grouping(root: Path, group_by: str | None, groups: str | None) -> Callable[[str], str] | None:
    """Returns what names the source of a path, as :func:`read_sources` takes it; None if nothing does.

    Raises:
        FileNotFoundError, ValueError: a file or an expression that cannot be used.
    """
    if group_by is not None:
        return _by_expression(root, group_by)
    if groups is not None:
        return _by_file(root, Path(groups))
    return None


def _below(path: str, root: Path) -> str:
    """The path as the user sees it below DATA."""
    base = root if root.is_dir() else root.parent
    return Path(os.path.relpath(path, base)).as_posix()


def _by_expression(root: Path, group_by: str) -> Callable[[str], str]:
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise ValueError(f"--group-by {group_by!r} is no regular expression: {error}.") from error

    def source(path: str) -> str:
        found = pattern.search(_below(path, root))
        if found is None:
            raise ValueError(
                f"--group-by {group_by!r} finds nothing in {_below(path, root)!r}. "
                "Expected it to match every path below DATA."
            )
        return str(found.group(1) if pattern.groups else found.group(0))

    return source


def _by_file(root: Path, file: Path) -> Callable[[str], str]:
    """Sources from a list file with ``path source`` lines."""
    if not file.is_file():
        raise FileNotFoundError(f"There is no file {file} to read the groups from.")
    sources: dict[str, str] = {}
    for row in read_list(file, _SOURCE_COLUMNS).rows:
        if not row.label:
            raise bad_line(file, row.line, row.path, "a path and the name of its source")
        sources[Path(row.path).as_posix()] = row.label

    def source(path: str) -> str:
        below = Path(_below(path, root))
        for key in (
            path,
            below.as_posix(),
            below.with_suffix("").as_posix(),
            below.name,
            below.stem,
        ):
            if key in sources:
                return sources[key]
        raise ValueError(f"{file} names no source for {below}. Expected a line for every video.")

    return source
