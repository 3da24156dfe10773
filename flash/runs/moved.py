# SPDX-License-Identifier: Apache-2.0
"""Runs whose videos have been moved."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flash.runs.config import absolute
from flash.runs.sources import Sources, list_labelled
from pytorchvideo._text import none_of


def with_absolute_paths(sources: Sources) -> Sources:
    """Returns the same videos by absolute paths."""
    return _renamed(sources, {path: absolute(path) for path in _paths(sources)})


def check_in_place(sources: Sources, data: str, run: Path) -> None:
    """Raises a FileNotFoundError if no video of a run is where it was; URLs count as being there.

    Args:
        sources: of the run.
        data: DATA as the run knows it.
        run: folder of the run.
    """
    paths = _paths(sources)
    if not any("://" in path or os.path.exists(path) for path in paths):
        raise FileNotFoundError(
            f"{none_of(len(paths), 'video')} of the run in {run} is where it was, {data}; the first is {paths[0]}. "
            "If they have moved, name the place where they are now with --data."
        )


def moved_to(sources: Sources, before: str, data: str, val: str | None = None) -> Sources:
    """Returns the videos of a run where they are now, in the same parts and the same order.

    Args:
        sources: of the run.
        before: DATA as the run knew it: a folder or a list file.
        data: DATA now.
        val: its held-out videos now, of a run that was given them by ``--val``.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: there are other videos in it, which the sentence tells.
    """
    listed = list_labelled(data, val, multi_label=sources.multi_label)
    classes = {absolute(path): label for path, label in listed}
    names = names_below(_paths(sources), before)
    found = names_below(list(classes), data)
    by_name = {name: path for path, name in found.items()}
    missing = [name for name in names.values() if name not in by_name]
    more = by_name.keys() - set(names.values())
    if missing:
        raise _other(data, before, f"{len(missing)} of {len(names)} are not there", missing[0])
    if more:
        raise _other(data, before, f"{len(more)} are new", min(more))
    for path, label in [*sources.train, *sources.val]:
        if (now := classes[by_name[names[path]]]) != label:
            raise _other(data, before, f"the class {now!r} was {label!r}", names[path])
    moved = _renamed(sources, {path: by_name[name] for path, name in names.items()})
    return replace(moved, how={**sources.how, "data": data})


def _other(data: str, before: str, what: str, name: str) -> ValueError:
    return ValueError(
        f"Expected the videos of the run in {data}, those that were in {before}, but {what}, as that of {name}."
    )


def _paths(sources: Sources) -> list[str]:
    return [path for path, _ in [*sources.train, *sources.val, *sources.skipped]]


def _renamed(sources: Sources, new: dict[str, str]) -> Sources:
    train, val, skipped = (
        [(new[path], text) for path, text in part]
        for part in (sources.train, sources.val, sources.skipped)
    )
    return replace(sources, train=train, val=val, skipped=skipped)


def names_below(paths: Sequence[str], data: str | None = None) -> dict[str, str]:
    """Returns the name of each path below the folder ``data``, or below the lowest one that all lie in.

    >>> names_below(["/a/run/1.mp4"], "/a"), names_below(["/a/run/1.mp4", "/a/walk/2.mp4"])
    ({'/a/run/1.mp4': 'run/1.mp4'}, {'/a/run/1.mp4': 'run/1.mp4', '/a/walk/2.mp4': 'walk/2.mp4'})
    """
    if data is None or not all(path.startswith(os.path.join(data, "")) for path in paths):
        try:
            data = os.path.commonpath([os.path.dirname(path) for path in paths])
        except ValueError:  # several disks of Windows, or URLs
            return {path: path for path in paths}
    return {path: os.path.relpath(path, data) for path in paths}
