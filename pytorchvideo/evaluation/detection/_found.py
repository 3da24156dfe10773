# SPDX-License-Identifier: Apache-2.0
"""Detections collected frame by frame, by one process or by several."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from pytorchvideo._checks import expected
from pytorchvideo.evaluation.detection._columns import Columns, Frame, columns_of, frame_of, ids_of
from pytorchvideo.evaluation.detection._metric import Convention, FrameMap, map_of_columns


class FrameDetections:
    """Scores of all classes for the boxes of frames, which come in any order.

    What is worked out of them does not depend on that order, nor on how frames were shared out among the ranks of a
    distributed evaluation: they are sorted by video and second first, and a frame that comes again, as samplers
    make it to give all ranks equally many, counts once.

    Args:
        classes: the id of each column of scores, or a label map.

    >>> found = FrameDetections([1, 2])
    >>> found.add("a", 902, [[0.1, 0.1, 0.5, 0.5]], [[0.9, 0.2]])
    >>> found.evaluate([["a", 902, 0.1, 0.1, 0.5, 0.5, 1]]).mean
    1.0
    """

    def __init__(self, classes: Iterable[int] | Mapping[int, Any]) -> None:
        self.classes = ids_of(classes)
        self._frames: dict[Frame, tuple[np.ndarray, np.ndarray]] = {}

    def add(self, video: str, second: float, boxes: Any, scores: Any) -> None:
        """Adds the boxes of a frame, all at once; nothing changes for a frame that is known.

        Args:
            video: its name.
            second: of the frame.
            boxes: (N, 4), x1, y1, x2, y2 as shares of the picture as it was annotated.
            scores: (N, classes).

        Raises:
            ValueError: another shape, or NaN.
        """
        corners, values = _array(boxes).reshape(-1, 4), _array(scores)
        if not values.size and not corners.size:
            values = values.reshape(0, len(self.classes))
        if values.shape != (len(corners), len(self.classes)):
            wanted = f"of shape ({len(corners)}, {len(self.classes)}): boxes, classes"
            raise ValueError(expected("scores", wanted, values.shape))
        if np.isnan(corners).any() or np.isnan(values).any():
            raise ValueError(
                f"Expected boxes and scores without NaN, but those of {video!r} at {second:g} s have some."
            )
        self._frames.setdefault(frame_of(video, second), (corners, values))

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._frames)

    def merge(self, other: "FrameDetections") -> None:
        """Adds the frames of another one that are not yet here.

        Raises:
            ValueError: it has other classes.
        """
        if other.classes != self.classes:
            raise ValueError(expected("other", f"of the classes {self.classes}", other.classes))
        for frame, found in other._frames.items():
            self._frames.setdefault(frame, found)

    def gathered(self) -> "FrameDetections":
        """Returns those of all ranks of ``torch.distributed``, the same in each; without it, these."""
        whole = FrameDetections(self.classes)
        parts: list[Any] = [self]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            parts = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, self)
        for part in parts:
            whole.merge(part)
        return whole

    def rows(self, least_score: float = 0.0) -> Iterator[list[Any]]:
        """Yields ``[video, second, x1, y1, x2, y2, class, score]``, sorted by video and second.

        Args:
            least_score: lower ones are left out.
        """
        for (video, second), (boxes, scores) in sorted(self._frames.items(), key=_by_frame):
            for box, row in zip(boxes.tolist(), scores.tolist(), strict=True):
                for number, score in zip(self.classes, row, strict=True):
                    if score >= least_score:
                        yield [video, second, *box, number, score]

    def evaluate(
        self,
        groundtruth: Iterable[Sequence[Any]],
        classes: Iterable[int] | Mapping[int, Any] | None = None,
        *,
        excluded: Iterable[Sequence[Any]] = (),
        convention: Convention = "official",
    ) -> FrameMap:
        """Returns the frame-mAP, as :func:`frame_map` of :meth:`rows` would; ``classes`` are all by default."""
        numbers: dict[Frame, int] = {}
        declared: set[int] = set()
        truth = columns_of(groundtruth, numbers, "groundtruth", declared=declared)
        parts = []
        for frame, (boxes, scores) in sorted(self._frames.items(), key=_by_frame):
            number, count = numbers.setdefault(frame, len(numbers)), len(boxes)
            parts.append(
                Columns(
                    np.full(count * len(self.classes), number),
                    np.tile(np.array(self.classes, np.int64), count),
                    np.repeat(boxes, len(self.classes), axis=0),
                    scores.reshape(-1),
                )
            )
        left_out = {numbers.get(frame_of(row[0], row[1]), -1) for row in excluded}
        wanted = self.classes if classes is None else ids_of(classes)
        found = Columns.joined(parts)
        return map_of_columns(truth, found, declared, left_out, wanted, convention)


def _by_frame(item: tuple[Frame, Any]) -> Frame:
    return item[0]


def _array(given: Any) -> np.ndarray:
    # tensors on a device, or of bfloat16, are none that NumPy reads
    if hasattr(given, "detach"):
        given = given.detach().cpu().double()
    return np.asarray(given, dtype=np.float64)
