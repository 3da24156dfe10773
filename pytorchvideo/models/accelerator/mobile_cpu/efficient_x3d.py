# SPDX-License-Identifier: Apache-2.0
"""EfficientX3D: X3D (arXiv 2004.04730, table 3) from efficient blocks for mobile CPUs.

The widths and depths are those of :mod:`pytorchvideo.models.x3d`. All shortcuts that change the shape have a batch
norm, and the head averages over all positions, so that clips of any size fit.
"""

from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import check_choice
from pytorchvideo.layers.accelerator.mobile_cpu.activation_functions import make_activation
from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import (
    Conv3d5x1x1BnAct,
    Conv3dPwBnAct,
    Conv3dTemporalKernel1BnAct,
)
from pytorchvideo.layers.accelerator.mobile_cpu.fully_connected import FullyConnected
from pytorchvideo.layers.accelerator.mobile_cpu.pool import AdaptiveAvgPool3dOutSize1
from pytorchvideo.layers.utils import round_repeats
from pytorchvideo.models._parts.head_parts import check_num_classes
from pytorchvideo.models.accelerator.mobile_cpu.residual_blocks import X3dBottleneckBlock
from pytorchvideo.models.head import ClassificationHead
from pytorchvideo.models.net import ClassificationModel, check_input
from pytorchvideo.models.weight_init import init_net_weights
from pytorchvideo.models.x3d import BASE_DEPTHS

_STEM_WIDTH = 24
_WIDTHS = (24, 48, 96, 192)
_BOTTLENECK_FACTOR = 2.25
_HEAD_WIDTH = 2048
_DEPTH_FACTORS = {"XS": 2.2, "S": 2.2, "M": 2.2, "L": 5.0}
_ACTIVATIONS = ("relu", "swish", "relu")


class _Projection(FullyConnected, ClassificationHead):
    """Dropout and the classifier, on one vector a clip."""

    classifier_name = "model"

    def __init__(self, in_features: int, out_features: int, dropout: float) -> None:
        super().__init__(in_features, out_features)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dropout(x)
        return x if self.model is None else self.model(x)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x


class EfficientX3d(ClassificationModel):
    """EfficientX3D: clips (B, 3, T, H, W) -> (B, num_classes).

    It is built in its original form, for training; the deployable one comes from
    :func:`pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion.convert_to_deployable_form`.

    Args:
        num_classes: number of classes.
        dropout: rate of the dropout before the classifier.
        expansion: "XS", "S" and "M" are one network; "L" is deeper.
        head_act: activation of the scores in evaluation mode: relu, swish, hswish or identity.
        enable_head: without the head the output is the last feature map, (B, 192, T, H / 32, W / 32).

    Raises:
        ValueError: an unknown expansion or activation.
    """

    def __init__(
        self,
        num_classes: int = 400,
        dropout: float = 0.5,
        expansion: str = "XS",
        head_act: str = "identity",
        enable_head: bool = True,
    ) -> None:
        super().__init__(input_channels=3)
        check_choice("expansion", expansion, _DEPTH_FACTORS)
        if enable_head:
            check_num_classes("num_classes", num_classes)
        self.s1 = _stem(3, _STEM_WIDTH)
        depths = (round_repeats(depth, _DEPTH_FACTORS[expansion]) for depth in BASE_DEPTHS)
        widths = (_STEM_WIDTH, *_WIDTHS)
        self.s2, self.s3, self.s4, self.s5 = map(_stage, depths, widths, _WIDTHS)
        self.head = _head(_WIDTHS[-1]) if enable_head else None
        self.projection = _Projection(_HEAD_WIDTH, num_classes, dropout) if enable_head else None
        self.act = make_activation(head_act)
        init_net_weights(self)

    @property
    def classification_head(self) -> ClassificationHead | None:
        return self.projection

    def forward_trunk(self, x: torch.Tensor) -> torch.Tensor:
        """Returns what the classifier sees, (B, 2048), or the last feature map of a network without head."""
        x = self.s5(self.s4(self.s3(self.s2(self.s1(x)))))
        return x if self.head is None else self.head(x).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            check_input(x, self._channels_for(x))
        x = self.forward_trunk(x)
        if self.projection is None:
            return x
        x = self.projection(x)
        # the activation is one of scores
        return x if self.training or self.projection.model is None else self.act(x)


def _stem(in_channels: int, out_channels: int) -> nn.Sequential:
    stem = nn.Sequential()
    spatial = Conv3dTemporalKernel1BnAct(
        in_channels,
        out_channels,
        spatial_kernel=3,
        spatial_stride=2,
        spatial_padding=1,
        activation="identity",
        use_bn=False,
    )
    stem.add_module("pathway0_stem_conv_xy", spatial)
    temporal = Conv3d5x1x1BnAct(out_channels, out_channels, groups=out_channels)
    stem.add_module("pathway0_stem_conv", temporal)
    return stem


def _stage(depth: int, in_channels: int, out_channels: int) -> nn.Sequential:
    """The first block halves the image; every second has a squeeze-excitation."""
    stage = nn.Sequential()
    for i in range(depth):
        block = X3dBottleneckBlock(
            out_channels if i else in_channels,
            int(_BOTTLENECK_FACTOR * out_channels),
            out_channels,
            spatial_stride=1 if i else 2,
            se_ratio=0.0 if i % 2 else 0.0625,
            act_functions=_ACTIVATIONS,
        )
        stage.add_module(f"pathway0_res{i}", block)
    return stage


def _head(in_channels: int) -> nn.Sequential:
    width = int(_BOTTLENECK_FACTOR * in_channels)
    head = nn.Sequential()
    head.add_module("conv_5", Conv3dPwBnAct(in_channels, width))
    head.add_module("avg_pool", AdaptiveAvgPool3dOutSize1())
    head.add_module("lin_5", Conv3dPwBnAct(width, _HEAD_WIDTH, use_bn=False))
    return head


def create_x3d(
    *,
    num_classes: int = 400,
    dropout: float = 0.5,
    expansion: str = "XS",
    head_act: str = "identity",
    enable_head: bool = True,
) -> EfficientX3d:
    """Builds an :class:`EfficientX3d`, whose arguments these are."""
    return EfficientX3d(
        num_classes=num_classes,
        dropout=dropout,
        expansion=expansion,
        head_act=head_act,
        enable_head=enable_head,
    )


def any_size(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Arguments of :func:`create_x3d` for clips of another size: none, it takes all."""
    return {}


VARIANTS: dict[str, dict[str, Any]] = {
    "efficient_x3d_xs": {"expansion": "XS"},
    "efficient_x3d_s": {"expansion": "S"},
}
