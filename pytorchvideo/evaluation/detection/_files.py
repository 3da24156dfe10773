# SPDX-License-Identifier: Apache-2.0
"""Ground truth and results in the format of AVA's official evaluation."""

from collections.abc import Iterable, Sequence
from typing import Any

from pytorchvideo._text import PathLike
from pytorchvideo.data._annotations.ava_rows import read_ava_rows, write_ava_rows
from pytorchvideo.data._annotations.tables import bad_line


def read_groundtruth(file: PathLike) -> list[list[Any]]:
    """Reads annotations ``video,second,x1,y1,x2,y2,class[,person]``, a line each, without a header.

    Args:
        file: its path; boxes are shares of the picture. A line ``video,second`` declares a frame without actions.

    Returns:
        ``[video, second, x1, y1, x2, y2, class]`` or ``[video, second]``, for :func:`frame_map`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, or a box without an area, named with the file and the line.
    """
    rows: list[list[Any]] = []
    for row in read_ava_rows(file):
        if row.box is None:
            rows.append([row.video, row.second])
        elif row.label is None:
            wanted = "a class in each line of the ground truth"
            raise bad_line(file, row.line, f"{row.video},{row.second:g},…", wanted)
        else:
            rows.append([row.video, row.second, *row.box, row.label])
    return rows


def read_detections(file: PathLike) -> list[list[Any]]:
    """Reads results ``video,second,x1,y1,x2,y2,class,score``, a line each, without a header.

    Returns:
        ``[video, second, x1, y1, x2, y2, class, score]``, for :func:`frame_map`, which leaves out
        boxes without an area.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, named with the file and the line.
    """
    rows: list[list[Any]] = []
    for row in read_ava_rows(file, empty_boxes=True):
        if row.box is None or row.label is None or row.extra is None:
            wanted = "`video,second,x1,y1,x2,y2,class,score`"
            raise bad_line(file, row.line, f"{row.video},{row.second:g},…", wanted)
        rows.append([row.video, row.second, *row.box, row.label, row.extra])
    return rows


def read_excluded(file: PathLike) -> list[list[Any]]:
    """Reads ``[video, second]`` of the frames that do not count, a line each.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, named with the file and the line.
    """
    rows: list[list[Any]] = []
    for row in read_ava_rows(file):
        if row.box is not None:
            raise bad_line(file, row.line, f"{row.video},{row.second:g},…", "`video,second`")
        rows.append([row.video, row.second])
    return rows


def write_detections(file: PathLike, rows: Iterable[Sequence[Any]]) -> None:
    """Writes results that AVA's official script and :func:`read_detections` read.

    Boxes and scores keep all digits, so that the file has the mAP of the rows.

    Args:
        file: its path; it is complete or not there.
        rows: ``[video, second, x1, y1, x2, y2, class, score]``, e.g. of :meth:`FrameDetections.rows`.
    """
    write_ava_rows(file, rows)
