# SPDX-License-Identifier: Apache-2.0
"""Csv files of actions: those of AVA, and those of one's own with a header."""

from collections.abc import Mapping, Sequence
from typing import Literal

from pytorchvideo._checks import expected
from pytorchvideo._tables import csv_text
from pytorchvideo._text import PathLike
from pytorchvideo.data._annotations.actions import (
    ActionAnnotations,
    Classes,
    FrameCollector,
    LabelMap,
    PersonBox,
    Unit,
    is_of_ava,
    place_of,
    unit_of,
)
from pytorchvideo.data._annotations.ava_rows import (
    AvaRow,
    check_box,
    corners,
    finite,
    read_ava_rows,
)
from pytorchvideo.data._annotations.tables import bad_line, read_table

_COLUMNS = ("video", "time_sec", "x1", "y1", "x2", "y2", "label")


def read_action_csv(
    file: PathLike, label_map: LabelMap | None = None, unit: Literal["auto"] | Unit = "auto"
) -> ActionAnnotations:
    """Reads ``video,time_sec,x1,y1,x2,y2,label`` and on request ``person``, below a header.

    A person with several actions has a line for each, with the same box. A person without a label does nothing of
    what is looked for; a line without a box names a frame in which there is nobody.

    Args:
        file: its path.
        label_map: the classes, by name or by number in the file; by default those of the file.
        unit: of the boxes; ``"auto"`` takes them as pixels where a corner is beyond 2.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, a box without an area, or a class that the label map does not have,
            named with the file and the line; or no person in the file.
    """
    classes, wanted = Classes(label_map), f"`{','.join(_COLUMNS)}`"
    rows: list[tuple[str, float, str, PersonBox]] = []
    bare: list[tuple[str, float, str]] = []
    for number, row in read_table(file, _COLUMNS, delimiter=None):
        box_fields = [row[name] for name in _COLUMNS[2:6]]
        video, label, place = csv_text(row["video"]), csv_text(row["label"]), place_of(file, number)
        try:
            time = finite(row["time_sec"])
            person = int(row["person"]) if row.get("person") else -1
            if time < 0 or not video:
                raise ValueError
            if not any(box_fields) and not label:
                bare.append((video, time, place))
                continue
            box = corners(box_fields)
        except (ValueError, OverflowError) as error:
            raise bad_line(file, number, ",".join(row.values()), wanted) from error
        check_box(box, file, number)
        rows.append((video, time, label, PersonBox(box, (), person, 1.0, place)))
    if not rows:
        raise ValueError(f"{file} has no person. Expected a line {wanted} for each action.")
    classes.numbered(label for *_, label, _ in rows if label)
    collector = FrameCollector()
    for video, time, label, person_box in rows:
        labels = (classes.id_of(label, person_box.place),) if label else ()
        collector.add(video, time, person_box._replace(labels=labels))
    if not classes.label_map:
        raise ValueError(f"{file} has no label. Expected a class in the column `label`.")
    boxes_unit = unit_of((person for *_, person in rows), unit)
    frames = collector.frames()
    return ActionAnnotations(str(file), classes.label_map, frames, boxes_unit, bare=bare)


def read_ava(
    groundtruth: PathLike | None,
    predicted: Sequence[PathLike] = (),
    *,
    label_map: LabelMap = "ava",
    score_threshold: float = 0.8,
    excluded: PathLike | None = None,
    seconds: tuple[float, float] | None = None,
    every_sec: int = 1,
    training: bool = True,
) -> ActionAnnotations:
    """Reads AVA's files of boxes, as PySlowFast does.

    Args:
        groundtruth: the annotations, the last field a person's number.
        predicted: detected people, the last field their score. In training they are added to the annotations:
            with the labels that they have, and without any as people who do nothing. Otherwise they take their place.
        label_map: the classes. Those of AVA that it leaves out are left out of the file.
        score_threshold: detected people below it are left out.
        excluded: ``video,second`` of frames that are left out.
        seconds: the first and the last second to use; None is all.
        every_sec: use the seconds that this divides alone.
        training: see ``predicted``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, a box without an area, or a class that the label map does not have,
            named with the file and the line; no person in the files, or no file.
    """
    if groundtruth is None and not predicted:
        raise ValueError(expected("groundtruth", "a file, unless `predicted` are some", None))
    if every_sec < 1:
        raise ValueError(expected("every_sec", ">= 1 second", every_sec))
    classes = Classes(label_map)
    label_ids = classes.label_map or {}
    left_out = set() if excluded is None else {(r.video, r.second) for r in read_ava_rows(excluded)}

    def is_used(row: AvaRow) -> bool:
        inside = seconds is None or seconds[0] <= row.second <= seconds[1]
        return inside and row.second % every_sec == 0 and (row.video, row.second) not in left_out

    truth, found = FrameCollector(), FrameCollector()
    collectors = [truth, found] if training or not predicted else [truth]
    bare: list[tuple[str, float, str]] = []
    if groundtruth is not None:
        for row in filter(is_used, read_ava_rows(groundtruth)):
            labels = _labels(row, classes, label_ids, groundtruth)
            if row.box is None or labels is None:  # which counts as a frame that was looked at
                bare.append((row.video, row.second, place_of(groundtruth, row.line)))
            else:
                number = -1 if row.extra is None else int(row.extra)
                person = PersonBox(row.box, labels, number, 1.0, place_of(groundtruth, row.line))
                for collector in collectors:
                    collector.add(row.video, row.second, person)
    for file in predicted:
        for row in filter(is_used, read_ava_rows(file)):
            if row.box is None or row.extra is None:
                fields = f"{row.video},{row.second:g},…"
                raise bad_line(file, row.line, fields, "a box and its score")
            if row.extra < score_threshold:
                continue
            labels = _labels(row, classes, label_ids, file) if training else ()
            person = PersonBox(row.box, labels or (), -1, row.extra, place_of(file, row.line))
            found.add(row.video, row.second, person)
    files = [file for file in (groundtruth, *predicted) if file is not None]
    if not found.frames():
        above = f" with a score of at least {score_threshold:g}" if predicted else ""
        raise ValueError(f"{', '.join(map(str, files))}: expected boxes of people{above}.")
    return ActionAnnotations(
        str(files[0]),
        label_ids,
        found.frames(),
        truth=truth.frames() if groundtruth is not None else None,
        excluded=sorted(left_out),
        bare=bare,
    )


def _labels(
    row: AvaRow, classes: Classes, label_map: Mapping[int, str], file: PathLike
) -> tuple[int, ...] | None:
    """The class of a line; none for a person who does nothing, None for a class of AVA that is left out."""
    if row.label is None or row.label == -1:
        return ()
    if row.label not in label_map and is_of_ava(label_map) and 1 <= row.label <= 80:
        return None
    return (classes.id_of(str(row.label), place_of(file, row.line)),)
