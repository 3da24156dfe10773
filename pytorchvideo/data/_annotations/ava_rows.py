# SPDX-License-Identifier: Apache-2.0
"""Lines of AVA's files of boxes: ``video,second,x1,y1,x2,y2,class,extra``, without a header.

The last field is a person's number in annotations, a score in detections; an empty class is a box in which nothing is
done. A line ``video,second`` names a frame alone: one that is excluded, or one without actions.
"""

import csv
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pytorchvideo._files import whole_file
from pytorchvideo._tables import csv_cell, csv_text
from pytorchvideo._text import PathLike
from pytorchvideo.data._annotations.tables import bad_line, read_rows

Corners = tuple[float, float, float, float]

_WANTED = "`video,second,x1,y1,x2,y2,class,extra`"


class AvaRow(NamedTuple):
    """A line: its number, and its fields; None for those that it does not have."""

    line: int
    video: str
    second: float
    box: Corners | None = None
    label: int | None = None
    extra: float | None = None


def read_ava_rows(file: PathLike, *, empty_boxes: bool = False) -> Iterator[AvaRow]:
    """Yields the lines of a file of boxes.

    Args:
        file: its path.
        empty_boxes: also boxes whose x2 <= x1 or y2 <= y1; otherwise they are errors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, named with the file and its number.
    """
    for number, fields in read_rows(file):
        try:
            if len(fields) not in (2, 7, 8):
                raise ValueError
            video, second = csv_text(fields[0]), finite(fields[1])
            if len(fields) == 2:
                yield AvaRow(number, video, second)
                continue
            box = corners(fields[2:6])
            label = int(fields[6]) if fields[6] else None
            extra = finite(fields[7]) if len(fields) == 8 and fields[7] else None
        except (ValueError, OverflowError) as error:
            raise bad_line(file, number, ",".join(fields), _WANTED) from error
        if not empty_boxes:
            check_box(box, file, number)
        yield AvaRow(number, video, second, box, label, extra)


def corners(fields: Sequence[Any]) -> Corners:
    """Returns x1, y1, x2, y2 as numbers.

    Raises:
        ValueError: one is none, or not finite.
    """
    x1, y1, x2, y2 = (finite(field) for field in fields)
    return x1, y1, x2, y2


def finite(field: Any) -> float:
    """Returns a number.

    Raises:
        ValueError: it is none, or NaN, or infinite.
    """
    number = float(field)
    if not math.isfinite(number):
        raise ValueError("not finite")
    return number


def check_box(box: Corners, file: PathLike, line: int | None, place: str = "") -> None:
    """Raises a ValueError that names the file and the line of a box without an area."""
    x1, y1, x2, y2 = box
    where = place or f"line {line}"
    for name, low, high in (("x", x1, x2), ("y", y1, y2)):
        if high <= low:
            raise ValueError(
                f"{os.fspath(file)}, {where}: expected a box with {name}1 < {name}2, "
                f"but got {name}1 = {low:g} and {name}2 = {high:g}."
            )


def write_ava_rows(file: PathLike, rows: Iterable[Sequence[Any]]) -> None:
    """Writes a file of boxes that is complete or not there, with all digits.

    Args:
        file: its path.
        rows: ``video, second, x1, y1, x2, y2, class`` and a last field, or the first two alone.
    """
    with whole_file(file) as part, open(part, "w", encoding="utf-8", newline="") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        for video, second, *rest in rows:
            writer.writerow([csv_cell(str(video)), second_text(float(second)), *rest])


def second_text(second: float) -> str:
    """Returns a second as AVA writes it.

    >>> second_text(902.0), second_text(902.5)
    ('0902', '902.5')
    """
    return f"{int(second):04d}" if second == int(second) else f"{round(second, 6):g}"
