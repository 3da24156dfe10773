# SPDX-License-Identifier: Apache-2.0
"""Channel-separated networks: a 3-D ResNet whose 3x3x3 convolutions are depthwise.

Paper: Video classification with channel-separated convolutional networks (arXiv 1904.02811, table 1; the
"interaction-reduced" block). For clips (B, 3, T, S, S), with the stem's pool::

    stem    3x7x7 convolution, max pool   (B,   64, T,   S/4,  S/4)
    stage 1 bottlenecks                   (B,  256, T,   S/4,  S/4)
    stage 2                               (B,  512, T/2, S/8,  S/8)
    stage 3                               (B, 1024, T/4, S/16, S/16)
    stage 4                               (B, 2048, T/8, S/32, S/32)
    head    average pool, dropout, linear (B, classes)

A bottleneck is conv_a (1x1x1, fewer channels), conv_b (3x3x3, each channel alone), conv_c (1x1x1, more channels).
"""

import math
from typing import Any

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import ModuleFactory, Size3, same_padding
from pytorchvideo.models._parts.head_parts import check_num_classes
from pytorchvideo.models._parts.residual_stages import (
    BlockSpec,
    build_stages,
    create_bottleneck_block,
)
from pytorchvideo.models.head import create_res_basic_head
from pytorchvideo.models.net import Net
from pytorchvideo.models.resnet import STAGE_DEPTHS
from pytorchvideo.models.stem import create_res_basic_stem
from pytorchvideo.models.weight_init import init_net_weights

__all__ = ["VARIANTS", "create_csn", "head_pool_sizes"]


def create_csn(
    *,
    input_channel: int = 3,
    model_depth: int = 50,
    model_num_class: int = 400,
    dropout_rate: float = 0,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    activation: ModuleFactory | None = nn.ReLU,
    stem_dim_out: int = 64,
    stem_conv_kernel_size: Size3 = (3, 7, 7),
    stem_conv_stride: Size3 = (1, 2, 2),
    stem_pool: ModuleFactory | None = None,
    stem_pool_kernel_size: Size3 = (1, 3, 3),
    stem_pool_stride: Size3 = (1, 2, 2),
    stage_conv_a_kernel_size: Size3 = (1, 1, 1),
    stage_conv_b_kernel_size: Size3 = (3, 3, 3),
    stage_conv_b_width_per_group: int = 1,
    stage_spatial_stride: tuple[int, ...] = (1, 2, 2, 2),
    stage_temporal_stride: tuple[int, ...] = (1, 2, 2, 2),
    bottleneck: ModuleFactory = create_bottleneck_block,
    bottleneck_ratio: int = 4,
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_size: Size3 = (1, 7, 7),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = None,
    head_output_with_global_average: bool = True,
) -> Net:
    """Builds a channel-separated network, (B, input_channel, T, H, W) -> (B, model_num_class).

    Sizes are (T, H, W), the same in all stages; a stride has an entry a stage. In a group of ``conv_b`` are
    ``stage_conv_b_width_per_group`` channels: 1 is depthwise.

    Raises:
        ValueError: ``model_depth`` is not 50, 101 or 152.
    """
    check_num_classes("model_num_class", model_num_class)
    if model_depth not in STAGE_DEPTHS:
        raise ValueError(expected("model_depth", f"one of {sorted(STAGE_DEPTHS)}", model_depth))
    blocks: list[nn.Module] = [
        create_res_basic_stem(
            in_channels=input_channel,
            out_channels=stem_dim_out,
            conv_kernel_size=stem_conv_kernel_size,
            conv_stride=stem_conv_stride,
            conv_padding=same_padding(stem_conv_kernel_size),
            pool=stem_pool,
            pool_kernel_size=stem_pool_kernel_size,
            pool_stride=stem_pool_stride,
            pool_padding=same_padding(stem_pool_kernel_size),
            norm=norm,
            activation=activation,
        ),
    ]
    specs = [
        BlockSpec(
            bottleneck,
            conv_a_kernel_size=stage_conv_a_kernel_size,
            conv_a_stride=(1, 1, 1),
            conv_a_padding=same_padding(stage_conv_a_kernel_size),
            conv_b_kernel_size=stage_conv_b_kernel_size,
            conv_b_stride=(stage_temporal_stride[i], side, side),
            conv_b_padding=same_padding(stage_conv_b_kernel_size),
            conv_b_num_groups=stem_dim_out
            * 4
            * 2**i
            // bottleneck_ratio
            // stage_conv_b_width_per_group,
            norm=norm,
            activation=activation,
        )
        for i, side in enumerate(tuple(stage_spatial_stride)[:4])
    ]
    depths = STAGE_DEPTHS[model_depth]
    blocks += build_stages(specs, depths, stem_dim_out, bottleneck_ratio=bottleneck_ratio)
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
    """Arguments of ``csn_r101`` for clips of another size: its head pools all that is left.

    >>> head_pool_sizes(32, 224)
    {'head_pool_kernel_size': (4, 7, 7)}
    """
    side = math.ceil(crop_size / 32)
    return {"head_pool_kernel_size": (math.ceil(num_frames / 8), side, side)}


# Variants of the paper: arguments of `create_csn` that differ from its defaults.
VARIANTS: dict[str, dict[str, Any]] = {
    "csn_r101": {
        "model_depth": 101,
        "stem_pool": nn.MaxPool3d,
        "head_pool_kernel_size": (4, 7, 7),
    },
}
