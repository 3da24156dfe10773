# SPDX-License-Identifier: Apache-2.0
"""Labelled videos of a test, with the class numbers of a model."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorchvideo._checks import expected, near_names
from pytorchvideo._list_folders import lists_in
from pytorchvideo.data._annotations.video_lists import read_list
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.evaluation.videos import Skipped

_HELD_OUT = ("val", "valid", "validation", "test")


@dataclass(frozen=True)
class LabelledVideos:
    """Videos and their classes.

    Attributes:
        data: the list or folder that they are from.
        paths: of the files.
        targets: the classes of each, by the numbers of the model.
        left_out: ``(name, reason)`` of the clips of a list of Kinetics that are not in the folder.
    """

    data: str
    paths: tuple[str, ...]
    targets: tuple[tuple[int, ...], ...]
    left_out: tuple[Skipped, ...] = ()


def labelled_videos(
    data: str | os.PathLike[str], labels: Sequence[str], *, multi_label: bool = False
) -> LabelledVideos:
    """Reads a list file, or a folder with one subfolder per class.

    Of a folder with ``train`` and ``val`` (``valid``, ``validation``, ``test``) in it, and of a list with several
    splits, the held-out part is read; of a folder with ``train.csv``, ``val.csv`` and ``test.csv`` the last that is
    there.

    Args:
        data: see :meth:`~pytorchvideo.data.LabeledVideoPaths.from_path`. Names of classes are those of the model;
            numbers are its own.
        labels: class names of the model, in the order of its scores.
        multi_label: whether a video may have several classes, or none.

    Raises:
        FileNotFoundError: there is no such file or folder, or none of the videos exists.
        ValueError: a line that cannot be understood, or a class that the model does not have.
    """
    name = os.fspath(data)
    found = _read(name)
    with warnings.catch_warnings():  # they are counted
        warnings.filterwarnings("ignore", message=".* are left out")
        left_out = tuple((clip.path, clip.reason) for clip in found.left_out)
    found.check_any_exists()
    numbers = _numbers(found.class_names, labels, name)
    targets: list[tuple[int, ...]] = []
    for index, target in enumerate(found.targets()):
        ids = target if isinstance(target, list) else [] if target is None else [target]
        if not multi_label and len(ids) != 1:
            wanted = "one class, as the model was trained with"
            raise ValueError(f"{found.line(index)}: expected {wanted}, but got {len(ids)}.")
        for number in ids:
            if numbers is None and not 0 <= number < len(labels):
                wanted = f"a class number in 0..{len(labels) - 1}"
                raise ValueError(f"{found.line(index)}: expected {wanted}, but got {number}.")
        targets.append(tuple(ids if numbers is None else (numbers[number] for number in ids)))
    paths = tuple(found[index][0] for index in range(len(found)))
    return LabelledVideos(name, paths, tuple(targets), left_out)


def _read(data: str) -> LabeledVideoPaths:
    if lists := lists_in(data):
        tested = [lists[split] for split in ("test", "val") if split in lists]
        return LabeledVideoPaths.from_csv(tested[0] if tested else lists["train"])
    if os.path.isdir(data):
        root = Path(data)
        held_out = [root / name for name in _HELD_OUT if (root / name).is_dir()]
        is_split = (root / "train").is_dir() and bool(held_out)
        return LabeledVideoPaths.from_path(held_out[0] if is_split else root)
    if not os.path.isfile(data):
        return LabeledVideoPaths.from_path(data)  # raises: there is nothing
    splits = read_list(data).splits
    if len(splits) < 2:
        return LabeledVideoPaths.from_csv(data)
    known = [split for split in _HELD_OUT if split in splits]
    if not known:
        advice = "Keep the videos of the test in a list of their own."
        raise ValueError(expected("data", f"a list with a split {_HELD_OUT[0]}", splits, advice))
    return LabeledVideoPaths.from_csv(data, split=known[0])


def _numbers(names: Sequence[str] | None, labels: Sequence[str], data: str) -> list[int] | None:
    """The model's number of each class of the data; None where the data has numbers."""
    if names is None:
        return None
    known = {label: number for number, label in enumerate(labels)}
    for name in names:
        if name not in known:
            raise ValueError(f"{data}: the model has no class {name!r}. {near_names(name, known)}")
    return [known[name] for name in names]
