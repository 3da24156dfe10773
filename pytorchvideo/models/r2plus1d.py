# SPDX-License-Identifier: Apache-2.0
"""R(2+1)D: a 3-D ResNet whose 3x3x3 convolutions are a temporal and a spatial one.

Paper: A closer look at spatiotemporal convolutions for action recognition (arXiv 1711.11248, section 3.5), with
bottlenecks. For clips (B, 3, T, S, S)::

    stem    1x7x7 convolution                      (B,   64, T,   S/2,  S/2)
    stage 1 bottlenecks                            (B,  256, T,   S/4,  S/4)
    stage 2                                        (B,  512, T,   S/8,  S/8)
    stage 3                                        (B, 1024, T/2, S/16, S/16)
    stage 4                                        (B, 2048, T/4, S/32, S/32)
    head    average pool, dropout, linear, softmax (B, classes)

The published network ends in a softmax: its output are probabilities. Train on logits, ``head_activation=None``.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers import create_conv_2plus1d
from pytorchvideo.layers._factories import ModuleFactory, Size3, same_padding
from pytorchvideo.models._parts.head_parts import check_num_classes
from pytorchvideo.models._parts.residual_stages import (
    BlockSpec,
    BottleneckBlock,
    build_stages,
    create_bottleneck_block,
)
from pytorchvideo.models.head import create_res_basic_head
from pytorchvideo.models.net import Net
from pytorchvideo.models.resnet import STAGE_DEPTHS
from pytorchvideo.models.stem import create_res_basic_stem
from pytorchvideo.models.weight_init import init_net_weights

__all__ = ["VARIANTS", "create_2plus1d_bottleneck_block", "create_r2plus1d", "head_pool_sizes"]

_ONE_BY_ONE = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1))


def create_2plus1d_bottleneck_block(
    *,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    conv_a_kernel_size: Size3 = (1, 1, 1),
    conv_a_stride: Size3 = (1, 1, 1),
    conv_a_padding: Size3 = (0, 0, 0),
    conv_a: ModuleFactory = nn.Conv3d,
    conv_b_kernel_size: Size3 = (3, 3, 3),
    conv_b_stride: Size3 = (2, 2, 2),
    conv_b_padding: Size3 = (1, 1, 1),
    conv_b_num_groups: int = 1,
    conv_b_dilation: Size3 = (1, 1, 1),
    conv_b: ModuleFactory = create_conv_2plus1d,
    conv_c: ModuleFactory = nn.Conv3d,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> BottleneckBlock:
    """Builds a bottleneck with a factored ``conv_b``, (B, dim_in, T, H, W) -> (B, dim_out, T', H', W').

    ``conv_b`` is also called with the norm, its eps and momentum and the activation, which it puts between
    its two convolutions.
    """
    return create_bottleneck_block(
        dim_in=dim_in,
        dim_inner=dim_inner,
        dim_out=dim_out,
        conv_a_kernel_size=conv_a_kernel_size,
        conv_a_stride=conv_a_stride,
        conv_a_padding=conv_a_padding,
        conv_a=conv_a,
        conv_b_kernel_size=conv_b_kernel_size,
        conv_b_stride=conv_b_stride,
        conv_b_padding=conv_b_padding,
        conv_b_num_groups=conv_b_num_groups,
        conv_b_dilation=conv_b_dilation,
        conv_b=partial(
            conv_b,
            norm=norm,
            norm_eps=norm_eps,
            norm_momentum=norm_momentum,
            activation=activation,
        ),
        conv_c=conv_c,
        norm=norm,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        activation=activation,
    )


def create_r2plus1d(
    *,
    input_channel: int = 3,
    model_depth: int = 50,
    model_num_class: int = 400,
    dropout_rate: float = 0.0,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
    stem_dim_out: int = 64,
    stem_conv_kernel_size: Size3 = (1, 7, 7),
    stem_conv_stride: Size3 = (1, 2, 2),
    stage_conv_a_kernel_size: Sequence[Size3] = _ONE_BY_ONE,
    stage_conv_b_kernel_size: Sequence[Size3] = ((3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    stage_conv_b_num_groups: Sequence[int] = (1, 1, 1, 1),
    stage_conv_b_dilation: Sequence[Size3] = _ONE_BY_ONE,
    stage_spatial_stride: Sequence[int] = (2, 2, 2, 2),
    stage_temporal_stride: Sequence[int] = (1, 1, 2, 2),
    stage_bottleneck: Sequence[ModuleFactory] = (create_2plus1d_bottleneck_block,) * 4,
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_size: Size3 = (4, 7, 7),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = nn.Softmax,
    head_output_with_global_average: bool = True,
) -> Net:
    """Builds an R(2+1)D network, (B, input_channel, T, H, W) -> (B, model_num_class).

    Sizes are (T, H, W); a ``stage_...`` argument has an entry a stage. By default the output are probabilities;
    ``head_activation=None`` returns the logits that a cross-entropy takes.

    Raises:
        ValueError: ``model_depth`` is not 50, 101 or 152.
    """
    check_num_classes("model_num_class", model_num_class)
    if model_depth not in STAGE_DEPTHS:
        raise ValueError(expected("model_depth", f"one of {sorted(STAGE_DEPTHS)}", model_depth))
    norms: dict[str, Any] = {
        "norm": norm,
        "norm_eps": norm_eps,
        "norm_momentum": norm_momentum,
    }
    blocks: list[nn.Module] = [
        create_res_basic_stem(
            in_channels=input_channel,
            out_channels=stem_dim_out,
            conv_kernel_size=stem_conv_kernel_size,
            conv_stride=stem_conv_stride,
            conv_padding=same_padding(stem_conv_kernel_size),
            pool=None,
            activation=activation,
            **norms,
        )
    ]
    specs = [
        BlockSpec(
            stage_bottleneck[i],
            conv_a_kernel_size=stage_conv_a_kernel_size[i],
            conv_a_stride=(1, 1, 1),
            conv_a_padding=same_padding(stage_conv_a_kernel_size[i]),
            conv_b=create_conv_2plus1d,
            conv_b_kernel_size=stage_conv_b_kernel_size[i],
            conv_b_stride=(stage_temporal_stride[i], side, side),
            conv_b_padding=same_padding(stage_conv_b_kernel_size[i], stage_conv_b_dilation[i]),
            conv_b_num_groups=stage_conv_b_num_groups[i],
            conv_b_dilation=stage_conv_b_dilation[i],
            activation=activation,
            **norms,
        )
        for i, side in enumerate(tuple(stage_spatial_stride)[:4])
    ]
    blocks += build_stages(specs, STAGE_DEPTHS[model_depth], stem_dim_out)
    blocks.append(
        create_res_basic_head(
            in_features=stem_dim_out * 32,
            out_features=model_num_class,
            pool=head_pool,
            output_size=head_output_size,
            pool_kernel_size=head_pool_kernel_size,
            dropout_rate=dropout_rate,
            activation=head_activation,
            output_with_global_average=head_output_with_global_average,
        )
    )
    model = Net(blocks=nn.ModuleList(blocks), input_channels=input_channel)
    init_net_weights(model)
    return model


def head_pool_sizes(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Arguments of :func:`create_r2plus1d` for clips of another size: its head pools all that is left.

    >>> head_pool_sizes(16, 224)
    {'head_pool_kernel_size': (4, 7, 7)}
    """
    side = math.ceil(crop_size / 32)
    return {"head_pool_kernel_size": (math.ceil(num_frames / 4), side, side)}


# The variant of the zoo: arguments of `create_r2plus1d` that differ from its defaults.
VARIANTS: dict[str, dict[str, Any]] = {"r2plus1d_r50": {"dropout_rate": 0.5}}
