# SPDX-License-Identifier: Apache-2.0
"""Heads: pooling, dropout and classifier after the last feature map.

Every head keeps its last learnt layer in a child that :attr:`ReplaceableClassifier.classifier` names, so that
any model can be given other classes.
"""

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
from pytorchvideo.models._parts.roi_head import ResNetRoIHead, create_res_roi_pooling_head

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
