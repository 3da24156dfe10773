# SPDX-License-Identifier: Apache-2.0
"""Networks that score boxes, in operators that every runtime has.

RoIAlign reads a map between its positions, at points of a grid in each box. As that grid stands upright, what it reads
of a map F is ``Wy F Wx^T``, with weights of each row and of each column: the mean over the points of a cell of what a
position has in the linear interpolation there. That is two products of matrices, for any number of boxes.
"""

import copy
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim

from pytorchvideo._checks import expected
from pytorchvideo.models.head import ResNetRoIHead
from pytorchvideo.models.net import DetectionBBoxNetwork

#: The largest number of boxes of an artefact that takes any.
MOST_BOXES = 1024


class SeparableRoIAlign(nn.Module):
    """RoIAlign on the map of one clip, (1, C, H, W) and boxes (N, 5) -> (N, C, *output_size).

    Args:
        output_size: (height, width) of what a box becomes.
        spatial_scale: side of the map over that of the clip.
        sampling_ratio: points a cell and axis; 0 for as many as it has positions.
        aligned: whether boxes are shifted by half a position.

    The first column of the boxes, the clip, is not looked at.
    """

    def __init__(
        self, output_size: tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    @classmethod
    def of(cls, layer: Any) -> "SeparableRoIAlign":
        """Returns the same as torchvision's layer of this name."""
        size = layer.output_size
        return cls(
            (size, size) if isinstance(size, int) else (size[0], size[1]),
            layer.spatial_scale,
            max(0, layer.sampling_ratio),
            layer.aligned,
        )

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        across = self._weights(boxes[:, 1], boxes[:, 3], self.output_size[1], width)
        down = self._weights(boxes[:, 2], boxes[:, 4], self.output_size[0], height)
        # (N, 1, rows, H) x (1, C, H, W) -> (N, C, rows, W)
        rows = torch.matmul(down[:, None], x)
        return torch.matmul(rows, across.transpose(1, 2)[:, None])

    def _weights(self, low: Tensor, high: Tensor, cells: int, size: int) -> Tensor:
        """What each position of an axis counts in each cell: (N, cells, size)."""
        shift = 0.5 if self.aligned else 0.0
        start = low * self.spatial_scale - shift
        length = high * self.spatial_scale - shift - start
        if not self.aligned:
            length = length.clamp(min=1.0)
        cell = length / cells
        if self.sampling_ratio > 0:
            points = torch.full_like(cell, self.sampling_ratio)
            most = self.sampling_ratio
        else:
            points = cell.ceil()  # none in a box without length
            # a box is no longer than the map, up to the ends of its positions
            most = math.ceil(size / cells) + 1
        number = torch.arange(most, dtype=low.dtype, device=low.device)
        place = torch.arange(cells, dtype=low.dtype, device=low.device)
        # (N, cells, most): the points of each cell
        some = points.clamp(min=1.0)[:, None, None]
        inside = (number + 0.5) / some
        at = start[:, None, None] + (place[None, :, None] + inside) * cell[:, None, None]
        is_there = (number < points[:, None, None]) & (at >= -1.0) & (at <= size)
        share = is_there.to(low.dtype) / some
        position = torch.arange(size, dtype=low.dtype, device=low.device)
        near = at.clamp(0.0, size - 1.0)[..., None] - position
        hat = (1.0 - near.abs()).clamp(min=0.0)
        return (hat * share[..., None]).sum(dim=2)


class BoxScores(nn.Module):
    """A network for boxes of one clip: the pathways of it, (1, C, T, H, W), and boxes (N, 4) -> logits (N, classes).

    Args:
        model: the network; a copy is used, with :class:`SeparableRoIAlign`.
        pathways: how many inputs it takes as a list; None for one clip as it is.
        count: of boxes; 0 takes any number up to 1024.

    Raises:
        TypeError: it is another network.
    """

    def __init__(self, model: nn.Module, pathways: int | None, count: int = 0) -> None:
        super().__init__()
        head = getattr(model, "detection_head", None)
        if not isinstance(model, DetectionBBoxNetwork) or not isinstance(head, ResNetRoIHead):
            wanted = "a network with a head for boxes of the zoo"
            raise TypeError(expected("model", wanted, type(model).__name__))
        self.model = copy.deepcopy(model)
        roi = SeparableRoIAlign.of(head.roi_layer)
        self.model.get_submodule("detection_head").roi_layer = roi
        self.pathways, self.count = pathways, count

    def forward(self, *inputs: Tensor) -> Tensor:
        *clips, boxes = inputs
        rows = torch.cat([torch.zeros_like(boxes[:, :1]), boxes], dim=1)
        scores: Tensor = self.model(clips[0] if self.pathways is None else clips, rows)
        return scores

    @property
    def input_names(self) -> list[str]:
        """Of the inputs, in their order."""
        clips = ["clip"] if self.pathways is None else [f"clip_{n}" for n in range(self.pathways)]
        return [*clips, "boxes"]

    def dynamic_shapes(self) -> Any:
        """Which sizes are free, for ``torch.export``."""
        if self.count:
            return None
        fixed: list[dict[int, Any]] = [{} for _ in range(self.pathways or 1)]
        return ((*fixed, {0: Dim("boxes", min=1, max=MOST_BOXES)}),)
