# SPDX-License-Identifier: Apache-2.0
"""Folders of list files, as PySlowFast has them: ``train.csv``, ``val.csv`` and ``test.csv``."""

import os
from pathlib import Path

_NAMES = ("train", "val", "test")


def lists_in(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Returns the lists in a folder by their splits; none of a folder whose subfolders are the data.

    ``train.csv`` with one of the others counts unless there is a folder ``train``; a single list only where there is no
    other subfolder: it may lie beside one folder a class.
    """
    root = Path(folder)
    if not root.is_dir() or (root / "train").is_dir():
        return {}
    found = {name: file for name in _NAMES if (file := root / f"{name}.csv").is_file()}
    is_whole = "train" in found and len(found) > 1
    has_folders = any(entry.is_dir() and entry.name[0] != "." for entry in root.iterdir())
    return found if is_whole or not has_folders else {}
