# SPDX-License-Identifier: Apache-2.0
"""Files and classes of DATA at a glance: nothing is opened, and PyTorch, which takes seconds, is not imported."""

import os
import time
from pathlib import Path

from pytorchvideo._list_folders import lists_in
from pytorchvideo._text import counted

_PARTS = ("train", "val", "valid", "validation", "test")
_SECONDS = 0.5  # a folder on a slow disk is counted so long


def outline(data: str) -> str:
    """Returns in words how many files and classes there are.

    Args:
        data: a folder with a folder per class, ``train`` and ``val`` of such, or a list file.

    Raises:
        FileNotFoundError: there is no such file or folder.
    """
    if not os.path.exists(data) and "://" not in data:
        raise FileNotFoundError(
            f"There is no file and no folder {data!r}. Expected a list file with `path label` lines, or a folder with "
            "one subfolder of videos per class."
        )
    if not os.path.isdir(data):
        return f"videos of the list {data}"
    if lists := lists_in(data):
        return (
            f"videos of the lists {', '.join(file.name for file in lists.values())} in {Path(data)}"
        )
    until = time.monotonic() + _SECONDS
    is_split = os.path.isdir(os.path.join(data, "train"))
    roots = [os.path.join(data, name) for name in _PARTS if is_split] or [data]
    with os.scandir(roots[0]) as entries:
        classes = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
    files, is_whole = 0, True
    for root in roots:
        for _, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name[0] != "."]
            files += sum(name[0] != "." for name in names)
            is_whole = is_whole and time.monotonic() < until
            if not is_whole:
                break
    found = counted(files, "file") if is_whole else f"{files} or more files"
    return f"{found} in {counted(len(classes), 'class')}, {Path(data)}"
