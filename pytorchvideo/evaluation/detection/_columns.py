# SPDX-License-Identifier: Apache-2.0
"""Boxes with classes as columns of numbers, and their order within a frame."""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from pytorchvideo._checks import shortened

#: A frame: the name of its video and its second.
Frame: TypeAlias = tuple[str, float]

_DIGITS = 6  # of a second: "902", "0902" and 902.0 are one frame


@dataclass(frozen=True)
class Columns:
    """Boxes, one a row.

    Attributes:
        frame: int64 (N,), the number of its frame in a list of frames.
        label: int64 (N,), class ids.
        box: float64 (N, 4), x1, y1, x2, y2 as shares of the picture.
        score: float64 (N,); 1 for ground truth.
    """

    frame: np.ndarray
    label: np.ndarray
    box: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        return len(self.frame)

    def take(self, picked: np.ndarray) -> "Columns":
        """Returns some rows, by a mask or by their places."""
        return Columns(self.frame[picked], self.label[picked], self.box[picked], self.score[picked])

    @classmethod
    def joined(cls, parts: Sequence["Columns"]) -> "Columns":
        """Returns the rows of all parts, one after the other."""
        if not parts:
            none = np.zeros(0, np.int64)
            return cls(none, none, np.zeros((0, 4)), np.zeros(0))
        return cls(
            np.concatenate([part.frame for part in parts]),
            np.concatenate([part.label for part in parts]),
            np.concatenate([part.box for part in parts]),
            np.concatenate([part.score for part in parts]),
        )


def frame_of(video: Any, second: Any) -> Frame:
    """Returns the name of a frame, the same however its second is written.

    Raises:
        ValueError: the second is no finite number.

    >>> frame_of("a", "0902") == frame_of("a", 902.0)
    True
    """
    time = float(second)
    if not math.isfinite(time):
        raise ValueError("its second is not finite")
    return str(video), round(time, _DIGITS)


def columns_of(
    rows: Iterable[Sequence[Any]],
    numbers: dict[Frame, int],
    name: str,
    *,
    declared: set[int] | None = None,
) -> Columns:
    """Returns rows as columns.

    Args:
        rows: ``video, second, x1, y1, x2, y2, class``, and the score of detections.
        numbers: of the frames seen so far; gets those of new ones.
        name: of the argument, for errors.
        declared: for ground truth; gets the numbers of frames that a row of two fields names.

    Raises:
        ValueError: a row has other fields, or NaN among them.
    """
    has_score = declared is None
    width = 8 if has_score else 7
    frames: list[int] = []
    labels: list[int] = []
    values: list[Sequence[Any]] = []
    for place, row in enumerate(rows):
        try:
            frame = numbers.setdefault(frame_of(row[0], row[1]), len(numbers))
            if declared is not None and len(row) == 2:
                declared.add(frame)
                continue
            if len(row) != width or int(row[6]) != float(row[6]):
                raise ValueError
            labels.append(int(row[6]))
            values.append((*row[2:6], row[7] if has_score else 1.0))
        except (TypeError, ValueError, IndexError, OverflowError) as error:
            raise _bad_row(name, place, row, has_score) from error
        frames.append(frame)
    try:
        table = np.array(values, dtype=np.float64).reshape(len(values), 5)
    except (TypeError, ValueError) as error:
        place = _first_bad(values)
        raise _bad_row(name, place, values[place], has_score, "row with a box") from error
    if np.isnan(table).any():
        place = int(np.isnan(table).any(axis=1).argmax())
        raise _bad_row(name, place, values[place], has_score, "row with a box")
    return Columns(
        np.array(frames, np.int64), np.array(labels, np.int64), table[:, :4], table[:, 4]
    )


def _first_bad(values: Sequence[Sequence[Any]]) -> int:
    for place, row in enumerate(values):
        try:
            [float(value) for value in row]
        except (TypeError, ValueError):
            return place
    return 0


def _bad_row(name: str, place: int, row: Any, has_score: bool, what: str = "row") -> ValueError:
    fields = "video, second, x1, y1, x2, y2, class" + (", score" if has_score else "")
    return ValueError(
        f"Expected each row of `{name}` to be [{fields}] without NaN, but {what} {place} is "
        f"{shortened(repr(row), 400)}."
    )


def sorted_in_frames(columns: Columns) -> Columns:
    """Returns the rows of each frame by falling score, equal ones as they came; frames in the order of their first."""
    first = _first_places(columns.frame)
    order = np.lexsort((np.arange(len(columns)), -columns.score, first))
    return columns.take(order)


def grouped_by_frame(columns: Columns) -> Columns:
    """Returns the rows of each frame as they came, frames in the order of their first."""
    return columns.take(np.argsort(_first_places(columns.frame), kind="stable"))


def _first_places(frame: np.ndarray) -> np.ndarray:
    """The place of the first row of each row's frame."""
    _, first, inverse = np.unique(frame, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def heap_sorted(columns: Columns, capacity: int) -> Columns:
    """Returns the rows as the official script of AVA keeps them: at most ``capacity`` of the best of each frame.

    They pass through a binary heap ordered by score, class, y1, x1, y2, x2, whose array is then sorted by falling
    score, equal ones as they lie in it. Only frames with equal scores need the heap itself.

    Args:
        columns: boxes.
        capacity: rows of a frame that are kept; 0 is all.
    """
    grouped = grouped_by_frame(columns)
    sizes = _run_lengths(grouped.frame)
    kept: list[np.ndarray] = []
    for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
        scores = grouped.score[start : start + size]
        if len(np.unique(scores)) == size:
            places = np.argsort(-scores, kind="stable")[: capacity or None]
        else:
            places = _through_heap(grouped, int(start), int(size), capacity)
        kept.append(start + places)
    return grouped.take(np.concatenate(kept) if kept else np.zeros(0, np.int64))


def _run_lengths(values: np.ndarray) -> np.ndarray:
    if not len(values):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    return np.diff(np.append(starts, len(values)))


def _through_heap(columns: Columns, start: int, size: int, capacity: int) -> np.ndarray:
    heap: list[tuple[Any, ...]] = []
    rows = slice(start, start + size)
    boxes = columns.box[rows][:, [1, 0, 3, 2]].tolist()
    scores, labels = columns.score[rows].tolist(), columns.label[rows].tolist()
    for place, (score, label, box) in enumerate(zip(scores, labels, boxes, strict=True)):
        entry = (score, label, *box, place)
        if capacity < 1 or len(heap) < capacity:
            heapq.heappush(heap, entry)
        elif score > heap[0][0]:
            heapq.heapreplace(heap, entry)
    heap.sort(key=lambda entry: -entry[0])
    return np.array([entry[-1] for entry in heap], np.int64)


def ids_of(classes: Iterable[int] | Mapping[int, Any]) -> list[int]:
    """Returns class ids, each once, in their order.

    Raises:
        ValueError: there is none, or one is no whole number.
    """
    given = list(classes)
    try:
        ids = [int(number) for number in given]
    except (TypeError, ValueError) as error:
        raise _bad_classes(given) from error
    if not ids or any(number != raw for number, raw in zip(ids, given, strict=True)):
        raise _bad_classes(given)
    return list(dict.fromkeys(ids))


def _bad_classes(given: Any) -> ValueError:
    shown = shortened(repr(given), 400)
    return ValueError(
        f"Expected `classes` to be the ids of the classes to evaluate, at least one, but got {shown}."
    )
