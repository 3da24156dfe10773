# SPDX-License-Identifier: Apache-2.0
"""Video files of each stage, with one numbering of the classes for all stages."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flash.core.data.utilities.classification import (
    MOST_CLASSES,
    MultiLabelTargetFormatter,
    MultiNumericTargetFormatter,
    SingleLabelTargetFormatter,
    SingleNumericTargetFormatter,
    TargetFormatter,
    infer_formatter,
)
from pytorchvideo._checks import expected
from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES, videos_at
from pytorchvideo.data._annotations.video_lists import read_list
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.data.splits import Item

PathLike = str | os.PathLike[str]
Resolver = Callable[[str, str], PathLike]

#: Between the names of several labels in one cell; the first that occurs in a list counts.
SEPARATORS = ("|", ";", ",")


@dataclass
class StageFiles:
    """The videos of one stage.

    Attributes:
        items: ``(path, {"label": target})``; the path of a clip that is in memory is the clip itself. Without
            ``label`` for what is to be predicted. :func:`format_targets` turns targets into class numbers.
        formatter: of these targets, where their form is known.
        target_name: of the argument that the targets came in, for errors.
    """

    items: list[Item]
    formatter: TargetFormatter | None = None
    target_name: str = "target"


def splits_of(path: PathLike) -> tuple[str, ...]:
    """The splits of a list file, if it has several; none of a folder."""
    splits = read_list(os.fspath(path)).splits if os.path.isfile(path) else ()
    return splits if len(splits) > 1 else ()


def from_path(
    path: PathLike,
    prefix: str = "",
    name: str = "path",
    split: str | None = None,
    *,
    multi_label: bool = False,
    known: Sequence[str] = (),
    prefix_argument: str = "",
) -> StageFiles:
    """A folder with one subfolder a class, or a list file, see :meth:`LabeledVideoPaths.from_csv`.

    Args:
        path: of the folder or file.
        prefix: folder that the paths of a list file are relative to.
        name: of the argument, for errors.
        split: which videos of a list with several splits; of no effect on others.
        multi_label: whether a video may have any number of labels. Names are then split at the first of
            :data:`SEPARATORS` that occurs in the list, those of folders are not; without a label it has none of them.
        known: names that are never split.
        prefix_argument: by which the caller was given ``prefix``, for errors; empty where it has none.

    Raises:
        FileNotFoundError: there is no such path, or none of the videos.
        ValueError: a line that cannot be understood, or has no label without ``multi_label``; no such split.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(expected(name, "the path of a folder or list file", path))
    paths = LabeledVideoPaths.from_path(os.fspath(path), split=split if splits_of(path) else None)
    if prefix:
        paths.path_prefix = prefix
    paths.prefix_argument = prefix_argument
    paths.check_any_exists()
    names = paths.class_names
    cells = [] if names is None or os.path.isdir(path) else [n for n in names if n not in known]
    separator = next((sign for sign in SEPARATORS if any(sign in cell for cell in cells)), None)
    items: list[Item] = []
    for index, target in enumerate(paths.targets()):
        video = paths[index][0]
        if isinstance(target, list):
            items.append((video, {"label": target}))
        elif target is None and multi_label:
            items.append((video, {"label": []}))
        elif target is not None and target >= MOST_CLASSES:
            raise ValueError(
                f"{paths.line(index)}: expected class numbers below {MOST_CLASSES}, as a network has an output for "
                f"each, but got {target}."
            )
        elif target is None or target < 0:
            raise ValueError(
                f"{paths.line(index)}: expected `path label`, with a label >= 0, but {video} has none."
            )
        elif multi_label and names is not None:
            cell = names[target]
            several = cell.split(separator) if separator and cell not in known else [cell]
            found = dict.fromkeys(part.strip() for part in several if part.strip())
            items.append((video, {"label": list(found)}))
        else:
            number = [target] if multi_label else target
            items.append((video, {"label": number if names is None else names[target]}))
    if multi_label:
        numeric = names is None
        return StageFiles(
            items, MultiNumericTargetFormatter() if numeric else MultiLabelTargetFormatter()
        )
    kind = SingleNumericTargetFormatter if names is None else SingleLabelTargetFormatter
    return StageFiles(items, MultiNumericTargetFormatter() if paths.multi_label else kind())


def from_targets(
    stage: str,
    files: Sequence[PathLike],
    targets: Sequence[Any] | None,
    names: tuple[str, str] | None = None,
) -> StageFiles:
    """Files with their targets.

    Args:
        stage: that the arguments are named after.
        files: paths.
        targets: one a file, in any form of :mod:`flash.core.data.utilities.classification`.
        names: of the two arguments, for errors.

    Raises:
        ValueError: if there is not one target a file, or none of the files exists.
        TypeError: for a single path.
    """
    files_name, targets_name = names or (f"{stage}_files", f"{stage}_targets")
    if isinstance(files, (str, os.PathLike, Mapping)):
        advice = "A folder goes to from_folders."
        raise TypeError(expected(files_name, "a list of paths", files, advice))
    items = labelled(files_name, _paths(files_name, files), targets_name, targets)
    paths: list[Item] = [(os.fspath(file), info) for file, info in items]
    LabeledVideoPaths([(path, None) for path, _ in paths]).check_any_exists()
    return StageFiles(paths, target_name=targets_name)


def _paths(name: str, files: Iterable[Any]) -> list[PathLike]:
    found = list(files)
    for file in found:
        if not isinstance(file, (str, os.PathLike)):
            raise TypeError(expected(name, "paths", file))
    return found


def labelled(
    name: str, sources: Sequence[Any], target_name: str, targets: Sequence[Any] | None
) -> list[Item]:
    """Sources, such as paths, with one target each.

    Raises:
        ValueError: if there is not one target a source, or there is no source.
    """
    if targets is not None and (isinstance(targets, str) or not hasattr(targets, "__len__")):
        raise TypeError(
            expected(target_name, f"a list with a target for each of `{name}`", targets)
        )
    if targets is None or len(targets) != len(sources):
        got = "none" if targets is None else f"{len(targets)} for {len(sources)}"
        raise ValueError(expected(target_name, f"one target for each of `{name}`", got))
    if not len(sources):
        raise ValueError(expected(name, "at least one video", list(sources)))
    return [(source, {"label": target}) for source, target in zip(sources, targets, strict=True)]


def to_predict(source: PathLike | Sequence[PathLike]) -> StageFiles:
    """One file, a list of files, or a folder with all videos in it and its subfolders, sorted.

    Raises:
        FileNotFoundError: if a path does not exist.
        ValueError: if there is no video.
    """
    if isinstance(source, (str, os.PathLike)):
        files = videos_at(source)
    else:
        if not isinstance(source, Iterable):
            raise TypeError(expected("predict data", "a file, a list of files or a folder", source))
        files = [os.fspath(file) for file in _paths("predict data", source)]
    for file in files:
        if "://" not in file and not Path(file).exists():
            raise FileNotFoundError(f"There is no video {file} to predict.")
    if not files:
        raise ValueError(f"Expected videos to predict, but {source} has none.")
    return StageFiles([(file, {"video_path": file}) for file in files])


def find_video(root: str, name: str) -> str:
    """Returns the path of a video that a table names, with or without its ending.

    What is not there is returned as it is: the data set says that it is missing.
    """
    path = name if "://" in name else os.path.join(root, name)
    endings = ("", *VIDEO_SUFFIXES)
    return next((path + ending for ending in endings if os.path.exists(path + ending)), path)


def format_targets(
    stages: Mapping[str, StageFiles],
    formatter: TargetFormatter | None = None,
    multi_label: bool | None = None,
    owner: str | None = None,
) -> TargetFormatter | None:
    """Turns the targets of all stages into class numbers or vectors, by the classes of the first stage.

    The stages' items are changed.

    Args:
        stages: those to predict have no targets.
        formatter: None finds the form of the first stage's targets.
        multi_label: see :func:`flash.core.data.utilities.classification.infer_formatter`.
        owner: of the classes, for errors; None is the first stage's data.

    Returns:
        The formatter, which knows the classes; None where nothing has a target.

    Raises:
        TypeError: targets that are none, or of different forms.
        ValueError: if there is a class that the first stage, or the formatter, lacks.
    """
    targeted = {stage: files for stage, files in stages.items() if stage != "predict"}
    if not targeted:
        return None
    first, reference = next(iter(targeted.items()))
    with _named(reference):
        targets = [info["label"] for _, info in reference.items]
        known = formatter or reference.formatter
        if known is not None and multi_label not in (None, known.multi_label):
            wanted = (
                f"None or {known.multi_label} for targets of this form ({type(known).__name__})"
            )
            raise ValueError(expected("multi_label", wanted, multi_label))
        fitted = known or infer_formatter(targets, multi_label)
        if fitted.num_classes is None:
            fitted.fit(targets)
    owner = owner or f"the {first} data"
    for stage, files in targeted.items():
        with _named(files):
            given = [info["label"] for _, info in files.items]
            unknown = {name: None for target in given for name in fitted.unknown(target)}
            if unknown:
                raise ValueError(
                    f"Expected the {stage} data to have the classes of {owner} only, but it also has "
                    f"{', '.join(map(str, unknown))}. Classes of {owner}: {fitted.describe_classes()}."
                )
            files.items = [
                (path, {**info, "label": fitted(info["label"])}) for path, info in files.items
            ]
    return fitted


@contextmanager
def _named(files: StageFiles) -> Iterator[None]:
    """Lets the errors of formatters name the argument of the caller."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("`target`", f"`{files.target_name}`")) from error
