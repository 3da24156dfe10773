# SPDX-License-Identifier: Apache-2.0
"""Folders of list files, as PySlowFast has them: ``train.csv``, ``val.csv`` and ``test.csv``."""

import csv
import io
import os
from pathlib import Path

from pytorchvideo._checks import expected
from pytorchvideo._files import write_whole
from pytorchvideo._list_folders import lists_in
from pytorchvideo._text import read_lines
from pytorchvideo.data._annotations.tables import bad_line
from pytorchvideo.data._annotations.video_lists import names_frames, read_list


def list_of(folder: str | os.PathLike[str], split: str | None) -> Path | None:
    """Returns the list of a split in a folder of lists; None of another folder.

    Args:
        folder: its path.
        split: its name; None where there is one list alone.

    Raises:
        ValueError: there is no such list; or there are several, and none was asked for.
    """
    found = lists_in(folder)
    if not found:
        return None
    if split is None and len(found) == 1:
        return next(iter(found.values()))
    if split not in found:
        listed = ", ".join(file.name for file in found.values())
        if split is None:
            raise ValueError(
                f"{folder} has the lists {listed}. Say which is meant, such as {next(iter(found.values()))}."
            )
        raise ValueError(f"{folder}: " + expected("split", f"a list of {listed}", split))
    return found[split]


def rewritten(file: str | os.PathLike[str], target: Path, separator: str, prefix: str = "") -> None:
    """Writes a list whose lines have any separator as ``path,label`` lines with absolute paths.

    Args:
        file: the list: a path, the separator and a label a line; or a list of frames, whose folders are written.
        target: the file to write.
        separator: one sign or more.
        prefix: put before every path. Without it a path that is not there is looked for beside the list.

    Raises:
        FileNotFoundError: there is no such list.
        ValueError: a line without the separator, or without a path.
    """
    made = io.StringIO()
    table = csv.writer(made, lineterminator="\n")
    table.writerow(("path", "label"))
    source = Path(file)
    if names_frames(source):  # a folder a line, whatever is between the fields of the frames
        for row in read_list(source).rows:
            table.writerow((_located(row.path, source.parent, prefix), row.label))
        write_whole(target, made.getvalue())
        return
    for number, line in read_lines(source, "a list with one path and one label per line"):
        if not line.strip():
            continue
        path, found, label = line.strip().rpartition(separator)
        if not found or not path.strip():
            raise bad_line(source, number, line, f"a path, {separator!r} and a label")
        table.writerow((_located(path.strip(), source.parent, prefix), label.strip()))
    write_whole(target, made.getvalue())


def _located(path: str, folder: Path, prefix: str) -> str:
    if "://" in path:
        return path
    joined = os.path.join(prefix, path)
    if not prefix and not os.path.exists(joined) and (folder / path).exists():
        joined = str(folder / path)
    return os.path.abspath(joined)
