# SPDX-License-Identifier: Apache-2.0
"""Which files belong to which stage, with one numbering of the classes for all stages."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flash.data.split import Item
from pytorchvideo._checks import expected
from pytorchvideo.data.labeled_video_paths import VIDEO_SUFFIXES, LabeledVideoPaths

PathLike = str | os.PathLike[str]


@dataclass
class StageFiles:
    """The files of one stage.

    Attributes:
        items: ``(path, {"label": id})``; without ``label`` for files to predict.
        class_names: the names behind the ids, None where only numbers are known.
    """

    items: list[Item]
    class_names: list[str] | None = None


def from_path(path: PathLike, prefix: str = "") -> StageFiles:
    """A folder with one subfolder a class, or a list file of ``path label`` lines."""
    paths = LabeledVideoPaths.from_path(os.fspath(path))
    if prefix:
        paths.path_prefix = prefix
    paths.check_any_exists()
    items = [paths[index] for index in range(len(paths))]
    names = None if paths.class_names is None else list(paths.class_names)
    for name, info in items:
        if info["label"] < 0:
            raise ValueError(
                f"Expected a label >= 0 for every file of {os.fspath(path)}, but {name} has none."
            )
    return StageFiles([(str(name), dict(info)) for name, info in items], names)


def from_targets(
    stage: str, files: Sequence[PathLike], targets: Sequence[Any] | None
) -> StageFiles:
    """Files with their classes, all of them names or all numbers.

    Raises:
        ValueError: if there is not one target a file, or a number is negative.
        TypeError: for targets of another kind.
    """
    names = f"{stage}_files", f"{stage}_targets"
    if isinstance(files, (str, os.PathLike)):
        raise TypeError(
            expected(names[0], "a list of paths", files, "A folder goes to from_folders.")
        )
    if targets is None or len(targets) != len(files):
        got = "none" if targets is None else f"{len(targets)} for {len(files)} files"
        raise ValueError(expected(names[1], f"one target for each of `{names[0]}`", got))
    if not files:
        raise ValueError(expected(names[0], "at least one file", list(files)))
    class_names = None
    if all(isinstance(target, str) for target in targets):
        class_names = sorted(set(targets))
        targets = [class_names.index(target) for target in targets]
    for target in targets:
        # numpy's integers are as good as Python's
        if isinstance(target, bool) or not hasattr(target, "__index__"):
            advice = "All targets are class names, or all are class numbers; one class a file."
            raise TypeError(expected(names[1], "class names or class numbers", target, advice))
        if int(target) < 0:
            raise ValueError(expected(names[1], "class numbers >= 0", int(target)))
    labelled = zip(files, targets, strict=True)
    return StageFiles([(os.fspath(f), {"label": int(t)}) for f, t in labelled], class_names)


def to_predict(source: PathLike | Sequence[PathLike]) -> StageFiles:
    """One file, a list of files, or a folder with all videos in it and its subfolders, sorted.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if there is no video.
    """
    if isinstance(source, (str, os.PathLike)):
        root = Path(source)
        found = root.rglob("*") if root.is_dir() else ()
        videos = [p for p in found if p.suffix.lower() in VIDEO_SUFFIXES and p.name[0] != "."]
        files = [str(path) for path in sorted(videos)] if root.is_dir() else [os.fspath(source)]
    else:
        files = [os.fspath(file) for file in source]
    for file in files:
        if "://" not in file and not Path(file).exists():
            raise FileNotFoundError(f"There is no video {file} to predict.")
    if not files:
        raise ValueError(f"Expected videos to predict, but {source} has none.")
    return StageFiles([(file, {"video_path": file}) for file in files])


def unify_labels(stages: Mapping[str, StageFiles]) -> tuple[int | None, list[str] | None]:
    """Gives a class one number in all stages, that of the first stage, and returns count and names.

    The stages' files are changed in place.

    Raises:
        ValueError: if a later stage has a class that the first one lacks.
    """
    labelled = {stage: files for stage, files in stages.items() if stage != "predict"}
    if not labelled:
        return None, None
    first, reference = next(iter(labelled.items()))
    names = reference.class_names
    count = (
        len(names) if names is not None else 1 + max(info["label"] for _, info in reference.items)
    )
    for stage, files in labelled.items():
        own = files.class_names
        present = sorted({info["label"] for _, info in files.items})
        if names is not None and own is not None:
            unknown: list[Any] = [own[label] for label in present if own[label] not in names]
            numbers = {label: names.index(own[label]) for label in present if own[label] in names}
        else:
            unknown = [label for label in present if label >= count]
            numbers = {label: label for label in present}
        if unknown:
            raise ValueError(
                f"Expected the {stage} data to have the classes of the {first} data only, but it also has "
                f"{', '.join(str(label) for label in unknown)}. Classes of the {first} data: "
                f"{', '.join(names) if names else f'0 to {count - 1}'}."
            )
        files.items = [
            (path, {**info, "label": numbers[info["label"]]}) for path, info in files.items
        ]
    return count, names
