# SPDX-License-Identifier: Apache-2.0
"""Heads: pooling, dropout and classifier after the last feature map.

Every head keeps its last learnt layer in a child that :attr:`ReplaceableClassifier.classifier` names, so that
any model can be given other classes.
"""

from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.layers._factories import ModuleFactory, Size3, build_activation
from pytorchvideo.models._parts.head_parts import (
    ClassificationHead,
    PoolAndProject,
    ReplaceableClassifier,
    check_num_classes,
    check_pool_fits,
    make_pool,
)

__all__ = [
    "ClassificationHead",
    "ReplaceableClassifier",
    "ResNetBasicHead",
    "ResNetRoIHead",
    "SequencePool",
    "VisionTransformerBasicHead",
    "check_pool_fits",
    "create_res_basic_head",
    "create_res_roi_pooling_head",
    "create_vit_basic_head",
    "make_pool",
]


def RoIAlign(**arguments: Any) -> nn.Module:
    """Builds torchvision's layer of this name, which is imported when a head for boxes is built: it takes seconds."""
    from torchvision import ops

    return ops.RoIAlign(**arguments)


class ResNetRoIHead(PoolAndProject):
    """Scores of boxes: pool over time, RoIAlign, pool over the box, dropout, linear layer, activation.

    Args:
        pool: leaves one frame of the feature map (B, C, T, H, W); None where it has but one.
        pool_spatial: on the boxes (N, C, height, width), or None.
        roi_layer: called with a feature map (B, C, H, W) and the boxes, e.g. ``torchvision.ops.RoIAlign``. With None
            the head scores whole clips, (B, num_classes): boxes and ``pool_spatial`` are of no effect.
        dropout: or None.
        proj: a layer on the channels of (..., C).
        activation: on (N, num_classes, 1, H, W), or None.
        output_pool: makes one position of all, (N, num_classes); None returns the map of scores.
    """

    def __init__(
        self,
        pool: nn.Module | None = None,
        pool_spatial: nn.Module | None = None,
        roi_layer: nn.Module | None = None,
        dropout: nn.Module | None = None,
        proj: nn.Module | None = None,
        activation: nn.Module | None = None,
        output_pool: nn.Module | None = None,
    ) -> None:
        super().__init__(pool, dropout, proj, activation, output_pool)
        self.roi_layer = roi_layer
        self.pool_spatial = pool_spatial

    def forward(self, x: torch.Tensor, bboxes: torch.Tensor) -> torch.Tensor:
        """Returns the scores of boxes on a feature map (B, C, T, H, W); see ``check_boxes`` for these.

        Raises:
            ValueError: the boxes are laid out otherwise, or the pool leaves several frames.
        """
        return self.scores(self._box_maps(x, bboxes))

    def features(self, x: torch.Tensor, bboxes: torch.Tensor) -> torch.Tensor:
        """Returns what the classifier sees of each box, averaged over its positions: (N, num_features)."""
        return self._box_maps(x, bboxes).mean(dim=(2, 3, 4))

    def _box_maps(self, x: torch.Tensor, bboxes: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            _check_map(x, bboxes, self.roi_layer is not None)
        frames = x.shape[2]
        x = self.pooled(x)
        if self.roi_layer is None:
            return x
        if not torch.jit.is_scripting():
            _check_one_frame(x, frames)
        # Half precision would move a box by a pixel or more.
        exact = (x.new_zeros(1) + x.new_zeros(1, dtype=torch.float32)).dtype
        boxes = self.roi_layer(x.squeeze(2).to(exact), bboxes.to(exact)).to(x.dtype)
        boxes = boxes if self.pool_spatial is None else self.pool_spatial(boxes)
        # (N, C, H, W) -> (N, C, 1, H, W)
        return boxes.unsqueeze(2)


def _check_map(x: torch.Tensor, bboxes: torch.Tensor, needs_boxes: bool) -> None:
    if isinstance(x, torch.fx.Proxy):
        return
    if x.ndim != 5:
        raise ValueError(expected("x", "a feature map (B, C, T, H, W)", tuple(x.shape)))
    if needs_boxes:
        check_boxes(bboxes, x.shape[0])


def _check_one_frame(x: torch.Tensor, frames: int) -> None:
    if torch.jit.is_tracing() or isinstance(x, torch.fx.Proxy) or x.shape[2] == 1:
        return
    raise ValueError(
        "Expected the pool of the detection head to leave one frame of the feature map, but it leaves "
        f"{x.shape[2]} of {frames}. Use shorter clips, or build the model for these: "
        "create_model(name, num_frames=...)."
    )


def check_boxes(bboxes: torch.Tensor, batch_size: int) -> None:
    """Raises a ValueError unless ``bboxes`` are rows of the clip's index in the batch and x1, y1, x2, y2.

    The indices are not looked at while a graph is recorded.

    >>> check_boxes(torch.tensor([[10.0, 20.0, 50.0, 90.0]]), 1)
    Traceback (most recent call last):
    ValueError: Expected `bboxes` to be of shape (N, 5): index of the clip in the batch, x1, y1, x2, y2 in pixels ...
    """
    if torch.jit.is_tracing():
        return
    wanted = "of shape (N, 5): index of the clip in the batch, x1, y1, x2, y2 in pixels of the clip"
    if not isinstance(bboxes, torch.Tensor):
        raise ValueError(expected("bboxes", f"a tensor {wanted}", type(bboxes).__name__))
    if bboxes.ndim != 2 or bboxes.shape[1] != 5:
        advice = (
            "For the boxes of one clip, put zeros in front: torch.nn.functional.pad(boxes, (1, 0))."
            if bboxes.ndim == 2 and bboxes.shape[1] == 4
            else ""
        )
        raise ValueError(expected("bboxes", wanted, tuple(bboxes.shape), advice))
    # RoIAlign reads whatever memory an index beyond the batch points to.
    if torch.compiler.is_compiling() or bboxes.is_meta or len(bboxes) == 0:
        return
    first, last = (index.item() for index in bboxes[:, 0].aminmax())
    if not 0 <= first <= last < batch_size:
        wanted = f"in [0, {batch_size}), the clips of the batch,"
        raise ValueError(expected("bboxes[:, 0]", wanted, [first, last]))


def create_res_roi_pooling_head(
    *,
    in_features: int,
    out_features: int,
    resolution: int | tuple[int, int],
    spatial_scale: float,
    sampling_ratio: int = 0,
    roi: ModuleFactory = RoIAlign,
    pool: ModuleFactory | None = nn.AvgPool3d,
    output_size: Size3 = (1, 1, 1),
    pool_kernel_size: Size3 = (1, 7, 7),
    pool_stride: Size3 = (1, 1, 1),
    pool_padding: Size3 = (0, 0, 0),
    pool_spatial: ModuleFactory | None = nn.MaxPool2d,
    dropout_rate: float = 0.5,
    activation: ModuleFactory | None = None,
    output_with_global_average: bool = True,
    aligned: bool = False,
) -> ResNetRoIHead:
    """Builds the head for boxes (SlowFast, arXiv 1812.03982, section 5), (N, 5) of them -> (N, out_features).

    Args:
        in_features: channels of the feature map.
        out_features: number of classes.
        resolution: (height, width) of the part of the feature map that a box becomes.
        spatial_scale: side of the feature map over that of the clip.
        sampling_ratio: points a cell and axis that RoIAlign averages; 0 for as many as the cell has positions.
        roi: called with the three above, and with ``aligned`` where that is asked for.
        pool: pool class over time; see :func:`create_res_basic_head` for this and the next four.
        output_size: (T, H, W) after an adaptive pool.
        pool_kernel_size: (T, H, W) of any other pool; T is all frames of the feature map.
        pool_stride: its stride.
        pool_padding: its padding.
        pool_spatial: called with the resolution: pools over each box; None for none.
        dropout_rate: 0 for no dropout.
        activation: e.g. ``nn.Sigmoid``; None returns logits.
        output_with_global_average: average the scores over the positions left; otherwise they are returned
            as (N, out_features, 1, H', W').
        aligned: whether a box is shifted by half a position, so that its cells are where its pixels are. The weights of
            AVA were trained so, and published in models without it.
    """
    check_num_classes("out_features", out_features)
    shift = {"aligned": True} if aligned else {}
    return ResNetRoIHead(
        pool=make_pool(
            pool,
            output_size=output_size,
            kernel_size=pool_kernel_size,
            stride=pool_stride,
            padding=pool_padding,
        ),
        pool_spatial=None if pool_spatial is None else pool_spatial(resolution),
        roi_layer=roi(
            output_size=resolution,
            spatial_scale=spatial_scale,
            sampling_ratio=sampling_ratio,
            **shift,
        ),
        dropout=nn.Dropout(dropout_rate) if dropout_rate > 0 else None,
        proj=nn.Linear(in_features, out_features),
        activation=build_activation(activation),
        output_pool=nn.AdaptiveAvgPool3d(1) if output_with_global_average else None,
    )


class ResNetBasicHead(PoolAndProject, ClassificationHead):
    """Pool, dropout, linear layer at every position left, activation, average over the positions.

    Args:
        pool: makes the feature map smaller, or None.
        dropout: or None.
        proj: a layer on the channels of (..., C).
        activation: on (B, num_classes, T, H, W), or None.
        output_pool: makes one position of all, (B, num_classes); None returns the map of scores.

    A clip larger than the pool expects gives more positions, whose scores are averaged.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.scores(self.pooled(x))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(x).mean(dim=(2, 3, 4))


def create_res_basic_head(
    *,
    in_features: int,
    out_features: int,
    pool: ModuleFactory | None = nn.AvgPool3d,
    output_size: Size3 = (1, 1, 1),
    pool_kernel_size: Size3 = (1, 7, 7),
    pool_stride: Size3 = (1, 1, 1),
    pool_padding: Size3 = (0, 0, 0),
    dropout_rate: float = 0.5,
    activation: ModuleFactory | None = None,
    output_with_global_average: bool = True,
) -> ResNetBasicHead:
    """Builds the head of the ResNet family, (B, in_features, T, H, W) -> (B, out_features).

    Args:
        in_features: channels of the feature map.
        out_features: number of classes.
        pool: pool class; ``nn.AdaptiveAvgPool3d`` takes ``output_size``, others the kernel; None for none.
        output_size: (T, H, W) after an adaptive pool.
        pool_kernel_size: (T, H, W) of any other pool.
        pool_stride: its stride.
        pool_padding: its padding.
        dropout_rate: 0 for no dropout.
        activation: e.g. ``nn.Softmax`` (over the classes) or ``nn.Sigmoid``; None returns logits.
        output_with_global_average: average the scores over positions; otherwise they are returned as
            (B, out_features, T', H', W').
    """
    check_num_classes("out_features", out_features)
    return ResNetBasicHead(
        pool=make_pool(
            pool,
            output_size=output_size,
            kernel_size=pool_kernel_size,
            stride=pool_stride,
            padding=pool_padding,
        ),
        dropout=nn.Dropout(dropout_rate) if dropout_rate > 0 else None,
        proj=nn.Linear(in_features, out_features),
        activation=build_activation(activation),
        output_pool=nn.AdaptiveAvgPool3d(1) if output_with_global_average else None,
    )


class SequencePool(nn.Module):
    """A sequence of tokens (B, N, C) as one of them, or as their mean.

    Args:
        mode: "cls" is the first token, "mean" the mean, both (B, C); "none" returns the sequence.

    Raises:
        ValueError: an unknown mode.
    """

    def __init__(self, mode: str) -> None:
        super().__init__()
        check_choice("mode", mode, ("cls", "mean", "none"))
        self.mode = mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.mode == "none":
            return x
        return x[:, 0] if self.mode == "cls" else x.mean(dim=1)

    def extra_repr(self) -> str:
        return f"mode={self.mode!r}"


class VisionTransformerBasicHead(ClassificationHead):
    """Pool of the tokens, dropout, linear layer, activation; all but the linear layer may be None.

    With ``head.proj = None`` it returns what the linear layer would see.
    """

    def __init__(
        self,
        sequence_pool: nn.Module | None = None,
        dropout: nn.Module | None = None,
        proj: nn.Module | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if proj is None:
            raise ValueError(expected("proj", "a module", proj))
        self.sequence_pool = sequence_pool
        self.dropout = dropout
        self.proj = proj
        self.activation = activation

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.sequence_pool is None else self.sequence_pool(x)
        x = x if self.dropout is None else self.dropout(x)
        if self.proj is not None:
            x = self.proj(x)
            x = x if self.activation is None else self.activation(x)
        return x

    def features(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.sequence_pool is None else self.sequence_pool(x)
        return x.mean(dim=1) if x.ndim == 3 else x


def create_vit_basic_head(
    *,
    in_features: int,
    out_features: int,
    seq_pool_type: str = "cls",
    dropout_rate: float = 0.5,
    activation: ModuleFactory | None = None,
) -> VisionTransformerBasicHead:
    """Builds the head of a vision transformer, (B, N, in_features) -> (B, out_features).

    Args:
        in_features: channels of the tokens.
        out_features: number of classes.
        seq_pool_type: see :class:`SequencePool`; with "none" every token gets scores.
        dropout_rate: 0 for no dropout.
        activation: of the scores, e.g. ``nn.Softmax`` (over the classes); None returns logits.
    """
    check_num_classes("out_features", out_features)
    return VisionTransformerBasicHead(
        sequence_pool=SequencePool(seq_pool_type),
        dropout=nn.Dropout(dropout_rate) if dropout_rate > 0 else None,
        proj=nn.Linear(in_features, out_features),
        activation=build_activation(activation, dim=-1),
    )
