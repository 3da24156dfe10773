# SPDX-License-Identifier: Apache-2.0
"""Frame-mAP: mean average precision of boxes in single frames, at an IoU of 0.5."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from pytorchvideo._checks import check_choice
from pytorchvideo.evaluation.detection._columns import (
    Columns,
    Frame,
    columns_of,
    frame_of,
    grouped_by_frame,
    heap_sorted,
    ids_of,
    sorted_in_frames,
)

#: By whose rules boxes are matched, see :mod:`pytorchvideo.evaluation.detection`.
Convention: TypeAlias = Literal["official", "pyslowfast", "plain"]

#: The groups of AVA's 80 classes.
AVA_GROUPS: dict[str, range] = {
    "pose": range(1, 15),
    "object": range(15, 64),
    "person": range(64, 81),
}

_CONVENTIONS = ("official", "pyslowfast", "plain")
_LEAST_IOU = 0.5
_CAPACITY = 50
_PAIRS_AT_ONCE = 1 << 21


@dataclass(frozen=True)
class FrameMap:
    """Average precisions of classes of boxes.

    Attributes:
        mean: over the classes with ground truth, in 0..1; NaN where there is none.
        per_class: class id -> average precision, NaN for a class without ground truth.
        num_boxes: class id -> boxes of the ground truth.
        convention: they are by.
    """

    mean: float
    per_class: dict[int, float]
    num_boxes: dict[int, int] = field(repr=False)
    convention: Convention = "official"

    def mean_of(self, classes: Iterable[int]) -> float:
        """Returns the mean over some of the classes, without those that have no ground truth; NaN for none.

        >>> FrameMap(0.5, {1: 1.0, 2: 0.0, 3: float("nan")}, {1: 4, 2: 1, 3: 0}).mean_of([1, 3])
        1.0
        """
        wanted = set(classes)
        return _mean([value for number, value in self.per_class.items() if number in wanted])

    @property
    def per_group(self) -> dict[str, float]:
        """Means of the groups of AVA, which are poses (ids to 14), actions on objects (to 63) and between people."""
        return {name: self.mean_of(ids) for name, ids in AVA_GROUPS.items()}

    def __repr__(self) -> str:
        counted = sum(count > 0 for count in self.num_boxes.values())
        classes = f"{counted} of {len(self.per_class)} classes"
        return f"FrameMap(mean={self.mean:.4f}, {classes}, convention={self.convention!r})"


def frame_map(
    groundtruth: Iterable[Sequence[Any]],
    detections: Iterable[Sequence[Any]],
    classes: Iterable[int] | Mapping[int, Any],
    *,
    excluded: Iterable[Sequence[Any]] = (),
    convention: Convention = "official",
) -> FrameMap:
    """Returns the frame-mAP at an IoU of 0.5.

    Args:
        groundtruth: rows ``[video, second, x1, y1, x2, y2, class]``; ``[video, second]`` declares a frame without
            boxes, as any row does, also one of a class that is not evaluated.
        detections: rows ``[video, second, x1, y1, x2, y2, class, score]``. Those whose x2 <= x1 or y2 <= y1 do
            not count.
        classes: ids of the classes to evaluate, or a label map. Boxes of others do not count.
        excluded: ``[video, second]`` of frames that do not count.
        convention: see :mod:`pytorchvideo.evaluation.detection`.

    Raises:
        ValueError: a row of another form or with NaN, no class, or an unknown convention.

    >>> truth = [["a", 902, 0.1, 0.1, 0.5, 0.5, 1], ["a", 903, 0.1, 0.1, 0.5, 0.5, 1]]
    >>> found = [["a", 902, 0.1, 0.1, 0.5, 0.5, 1, 0.9], ["a", 903, 0.6, 0.6, 0.9, 0.9, 1, 0.8]]
    >>> frame_map(truth, found, [1]).mean
    0.5
    """
    numbers: dict[Frame, int] = {}
    declared: set[int] = set()
    truth = columns_of(groundtruth, numbers, "groundtruth", declared=declared)
    found = columns_of(detections, numbers, "detections")
    left_out = {numbers.get(_excluded(place, row), -1) for place, row in enumerate(excluded)}
    return map_of_columns(truth, found, declared, left_out, ids_of(classes), convention)


def map_of_columns(
    truth: Columns,
    found: Columns,
    declared: Iterable[int],
    excluded: Iterable[int],
    classes: Sequence[int],
    convention: Convention,
) -> FrameMap:
    """Returns the frame-mAP of boxes as columns.

    Args:
        truth: the ground truth.
        found: the detections.
        declared: numbers of frames that count although they have no ground truth.
        excluded: numbers of frames that do not count.
        classes: ids.
        convention: see :func:`frame_map`.

    Raises:
        ValueError: an unknown convention.
    """
    check_choice("convention", convention, _CONVENTIONS)
    left_out = np.array(sorted(excluded), np.int64)
    # also by rows of classes that are not evaluated
    listed = np.union1d(truth.frame, np.array(sorted(declared), np.int64))
    truth, found = (
        rows.take(np.isin(rows.label, classes) & ~np.isin(rows.frame, left_out))
        for rows in (truth, found)
    )
    if convention == "official":
        truth, found = heap_sorted(truth, 0), heap_sorted(found, _CAPACITY)
    else:
        truth = grouped_by_frame(truth)
        order = sorted_in_frames if convention == "plain" else grouped_by_frame
        found = order(found)
    if convention != "pyslowfast":
        found = found.take(np.isin(found.frame, listed))
    x1, y1, x2, y2 = found.box.T
    found = found.take((x1 < x2) & (y1 < y2))
    hits = _hits(truth, found)
    per_class, num_boxes = {}, {}
    for number in classes:
        of_class = found.label == number
        num_boxes[number] = int((truth.label == number).sum())
        per_class[number] = _average_precision(
            found.score[of_class], hits[of_class], num_boxes[number]
        )
    return FrameMap(_mean(list(per_class.values())), per_class, num_boxes, convention)


def _hits(truth: Columns, found: Columns) -> np.ndarray:
    """Which detections are right: bool (N,).

    Each looks only at the ground truth of its frame and class that it overlaps most, the first of equals, and is right
    where it is the first that claims it.
    """
    hits = np.zeros(len(found), bool)
    if not len(truth) or not len(found):
        return hits
    span = 1 + max(int(truth.label.max()), int(found.label.max()))
    low = min(int(truth.label.min()), int(found.label.min()))
    keys = truth.frame * (span - low) + (truth.label - low)
    order = np.argsort(keys, kind="stable")
    wanted = found.frame * (span - low) + (found.label - low)
    first = np.searchsorted(keys[order], wanted, "left")
    count = np.searchsorted(keys[order], wanted, "right") - first
    asking = np.flatnonzero(count)
    # the end of each block of detections that have not too many pairs together
    ends = np.cumsum(count[asking])
    best, overlap = np.empty(len(asking), np.int64), np.empty(len(asking))
    start = 0
    while start < len(asking):
        done = ends[start - 1] if start else 0
        end = max(start + 1, int(np.searchsorted(ends, done + _PAIRS_AT_ONCE, "right")))
        some = asking[start:end]
        best[start:end], overlap[start:end] = _best(
            truth.box[order], found.box[some], first[some], count[some]
        )
        start = end
    claims = overlap >= _LEAST_IOU
    _, winners = np.unique(best[claims], return_index=True)
    hits[asking[claims][winners]] = True
    return hits


def _best(
    truth: np.ndarray, boxes: np.ndarray, first: np.ndarray, count: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """For each box, the one that it overlaps most of ``count`` of the ground truth from ``first`` on, and the IoU."""
    starts = np.cumsum(count) - count
    places = np.arange(count.sum()) - np.repeat(starts - first, count)
    overlap = _iou(np.repeat(boxes, count, axis=0), truth[places])
    most = np.maximum.reduceat(overlap, starts)
    is_most = overlap == np.repeat(most, count)
    return np.minimum.reduceat(np.where(is_most, places, len(truth)), starts), most


def _iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """IoU of pairs (N, 4), areas without a pixel added."""
    height = np.minimum(boxes[:, 3], others[:, 3]) - np.maximum(boxes[:, 1], others[:, 1])
    width = np.minimum(boxes[:, 2], others[:, 2]) - np.maximum(boxes[:, 0], others[:, 0])
    shared = np.maximum(height, 0) * np.maximum(width, 0)
    whole = _area(boxes) + _area(others) - shared
    # of what has no area, nothing is shared
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0])


def _average_precision(scores: np.ndarray, hits: np.ndarray, num_boxes: int) -> float:
    """Area below the precision, made to fall, over the recall (Pascal VOC, all points); NaN without ground truth."""
    if not num_boxes:
        return float("nan")
    # of equal scores the last one first: a stable sort, turned round
    right = hits[np.argsort(scores, kind="stable")[::-1]].cumsum()
    recall = np.concatenate(([0.0], right / num_boxes, [1.0]))
    precision = np.concatenate(([0.0], right / np.arange(1, len(right) + 1), [0.0]))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    gained = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return float(((recall[gained] - recall[gained - 1]) * precision[gained]).sum())


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")


def _excluded(place: int, row: Sequence[Any]) -> Frame:
    try:
        return frame_of(row[0], row[1])
    except (TypeError, ValueError, IndexError) as error:
        wanted = "Expected each row of `excluded` to be [video, second]"
        raise ValueError(f"{wanted}, but row {place} is {row!r}.") from error
