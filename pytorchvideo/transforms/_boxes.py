# SPDX-License-Identifier: Apache-2.0
"""Boxes (N, 4), ``x1, y1, x2, y2`` in pixels, under scales, crops and flips.

Boxes are tensors on any device, or numpy arrays, and come back as what they were; the caller's are
never changed.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from pytorchvideo._checks import expected

Boxes = TypeVar("Boxes", torch.Tensor, np.ndarray)


def _apply(change: Callable[[torch.Tensor], torch.Tensor], boxes: Boxes) -> Boxes:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(expected("boxes", "of shape (N, 4): x1, y1, x2, y2", tuple(boxes.shape)))
    if isinstance(boxes, np.ndarray):
        return change(torch.from_numpy(boxes.copy())).numpy()
    return change(boxes)


def clip_boxes_to_image(boxes: Boxes, height: int, width: int) -> Boxes:
    """Moves corners outside a picture onto its border: x in [0, width - 1], y in [0, height - 1].

    >>> clip_boxes_to_image(torch.tensor([[-3.0, 2.0, 50.0, 9.0]]), 8, 20)
    tensor([[ 0.,  2., 19.,  7.]])
    """

    def change(given: torch.Tensor) -> torch.Tensor:
        limits = given.new_tensor([width - 1, height - 1, width - 1, height - 1])
        return torch.minimum(given.clamp(min=0), limits)

    return _apply(change, boxes)


def crop_boxes(boxes: Boxes, x_offset: float, y_offset: float) -> Boxes:
    """Boxes as seen from a crop whose upper left corner is at ``(x_offset, y_offset)``.

    >>> crop_boxes(torch.tensor([[5, 6, 9, 9]]), 2, 1)
    tensor([[3, 5, 7, 8]])
    """

    def change(given: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [
                given[:, 0] - x_offset,
                given[:, 1] - y_offset,
                given[:, 2] - x_offset,
                given[:, 3] - y_offset,
            ],
            dim=1,
        )

    return _apply(change, boxes)


def scale_boxes(boxes: Boxes, factor: float) -> Boxes:
    """Boxes of a picture that was made ``factor`` times larger."""
    return _apply(lambda given: given * factor, boxes)


def flip_boxes(boxes: Boxes, width: int) -> Boxes:
    """Boxes of a picture mirrored left to right: pixel column x becomes ``width - 1 - x``."""

    def change(given: torch.Tensor) -> torch.Tensor:
        x1, y1, x2, y2 = given.unbind(dim=1)
        return torch.stack([width - 1 - x2, y1, width - 1 - x1, y2], dim=1)

    return _apply(change, boxes)
