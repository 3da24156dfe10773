# SPDX-License-Identifier: Apache-2.0
"""Sources of videos, which a split keeps together: by an expression on the paths, or by a file that names them."""

import os
import re
from collections.abc import Callable
from pathlib import Path

from pytorchvideo.data._annotations.tables import bad_line
from pytorchvideo.data._annotations.video_lists import LABEL_COLUMNS, read_list

_SOURCE_COLUMNS = {"group", "recording", "source", "subject", *LABEL_COLUMNS}


def grouping(root: Path, group_by: str | None, groups: str | None) -> Callable[[str], str] | None:
    """Returns what names the source of a path, as :func:`flash.runs.sources.read_sources` takes it; None for none.

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
