# SPDX-License-Identifier: Apache-2.0
"""3-D ResNets: Slow, C2D and I3D with bottleneck blocks.

Papers: SlowFast (arXiv 1812.03982, table 1) for Slow; Non-local networks (arXiv 1711.07971, tables 1 and 2a)
for C2D and I3D. For a clip (B, 3, T, S, S)::

    stem    7x7 spatial convolution, max pool    (B,   64, T, S/4,  S/4)
    stage 1 bottlenecks                          (B,  256, T, S/4,  S/4)
    [pool]  C2D and I3D: time halved             (B,  256, T/2, S/4, S/4)
    stage 2                                      (B,  512, T, S/8,  S/8)
    stage 3                                      (B, 1024, T, S/16, S/16)
    stage 4                                      (B, 2048, T, S/32, S/32)
    head    average pool, dropout, linear        (B, classes)

A bottleneck is conv_a (kt x 1 x 1, fewer channels), conv_b (1 x 3 x 3), conv_c (1 x 1 x 1, more channels). The
families differ in kt: 1 everywhere in C2D; 3 in the last two stages of Slow; 3 in every second block of I3D.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import ModuleFactory, Size3, same_padding
from pytorchvideo.layers._residual_block import ResBlock
from pytorchvideo.models._parts.head_parts import check_num_classes
from pytorchvideo.models._parts.residual_stages import (
    BlockSpec,
    BottleneckBlock,
    ResStage,
    SeparableBottleneckBlock,
    build_stages,
    create_acoustic_bottleneck_block,
    create_bottleneck_block,
    create_res_block,
    create_res_stage,
    size_list,
)
from pytorchvideo.models.head import create_res_basic_head, create_res_roi_pooling_head
from pytorchvideo.models.net import DetectionBBoxNetwork, Net
from pytorchvideo.models.stem import create_acoustic_res_basic_stem, create_res_basic_stem
from pytorchvideo.models.weight_init import init_net_weights

__all__ = [
    "STAGE_DEPTHS",
    "VARIANTS",
    "BottleneckBlock",
    "ResBlock",
    "ResStage",
    "SeparableBottleneckBlock",
    "create_acoustic_bottleneck_block",
    "create_acoustic_resnet",
    "create_bottleneck_block",
    "create_res_block",
    "create_res_stage",
    "create_resnet",
    "create_resnet_with_roi_head",
    "head_pool_sizes",
    "roi_pool_sizes",
]

# Bottlenecks a stage (arXiv 1512.03385, table 1).
STAGE_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# The name that code written for PyTorchVideo imports.
_MODEL_STAGE_DEPTH = STAGE_DEPTHS


def create_resnet(
    *,
    input_channel: int = 3,
    model_depth: int = 50,
    model_num_class: int = 400,
    dropout_rate: float = 0.5,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    activation: ModuleFactory | None = nn.ReLU,
    stem_dim_out: int = 64,
    stem_conv_kernel_size: Size3 = (3, 7, 7),
    stem_conv_stride: Size3 = (1, 2, 2),
    stem_pool: ModuleFactory | None = nn.MaxPool3d,
    stem_pool_kernel_size: Size3 = (1, 3, 3),
    stem_pool_stride: Size3 = (1, 2, 2),
    stem: ModuleFactory = create_res_basic_stem,
    stage1_pool: ModuleFactory | None = None,
    stage1_pool_kernel_size: Size3 = (2, 1, 1),
    stage_conv_a_kernel_size: Sequence[Any] = ((1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1)),
    stage_conv_b_kernel_size: Sequence[Any] = ((1, 3, 3), (1, 3, 3), (1, 3, 3), (1, 3, 3)),
    stage_conv_b_num_groups: Sequence[int] = (1, 1, 1, 1),
    stage_conv_b_dilation: Sequence[Any] = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
    stage_spatial_h_stride: Sequence[int] = (1, 2, 2, 2),
    stage_spatial_w_stride: Sequence[int] = (1, 2, 2, 2),
    stage_temporal_stride: Sequence[int] = (1, 1, 1, 1),
    bottleneck: ModuleFactory | Sequence[ModuleFactory] = create_bottleneck_block,
    head: ModuleFactory | None = create_res_basic_head,
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_size: Size3 = (4, 7, 7),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = None,
    head_output_with_global_average: bool = True,
) -> Net:
    """Builds a 3-D ResNet, (B, input_channel, T, H, W) -> (B, model_num_class).

    Sizes are (T, H, W). A ``stage_...`` argument has one entry a stage, or one for all stages; an entry of
    ``stage_conv_a_kernel_size`` may be a list of sizes, repeated over the blocks of its stage. With
    ``head=None`` the last feature map is returned.

    Raises:
        ValueError: ``model_depth`` is not 50, 101 or 152.
    """
    if head is not None:
        check_num_classes("model_num_class", model_num_class)
    if model_depth not in STAGE_DEPTHS:
        raise ValueError(expected("model_depth", f"one of {sorted(STAGE_DEPTHS)}", model_depth))
    blocks = [
        stem(
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
        )
    ]
    bottlenecks = (bottleneck,) * 4 if callable(bottleneck) else tuple(bottleneck)
    kernels_a, kernels_b = (
        _per_stage(stage_conv_a_kernel_size),
        _per_stage(stage_conv_b_kernel_size),
    )
    dilations = _per_stage(stage_conv_b_dilation)
    specs = [
        BlockSpec(
            bottlenecks[i],
            conv_a_stride=(stage_temporal_stride[i], 1, 1),
            conv_b_kernel_size=kernels_b[i],
            conv_b_stride=(1, stage_spatial_h_stride[i], stage_spatial_w_stride[i]),
            conv_b_padding=same_padding(kernels_b[i], dilations[i]),
            conv_b_num_groups=stage_conv_b_num_groups[i],
            conv_b_dilation=dilations[i],
            norm=norm,
            activation=activation,
        )
        for i in range(4)
    ]
    blocks += build_stages(
        specs,
        STAGE_DEPTHS[model_depth],
        stem_dim_out,
        conv_a_kernel_sizes=[size_list(kernels) for kernels in kernels_a],
    )
    if stage1_pool is not None:
        size = tuple(stage1_pool_kernel_size)
        blocks.insert(2, stage1_pool(kernel_size=size, stride=size, padding=(0, 0, 0)))
    if head is not None:
        blocks.append(
            head(
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


def create_acoustic_resnet(
    *,
    input_channel: int = 1,
    model_depth: int = 50,
    model_num_class: int = 400,
    dropout_rate: float = 0.5,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    activation: ModuleFactory | None = nn.ReLU,
    stem_dim_out: int = 64,
    stem_conv_kernel_size: Size3 = (9, 1, 9),
    stem_conv_stride: Size3 = (1, 1, 3),
    stem_pool: ModuleFactory | None = None,
    stem_pool_kernel_size: Size3 = (3, 1, 3),
    stem_pool_stride: Size3 = (2, 1, 2),
    stem: ModuleFactory = create_acoustic_res_basic_stem,
    stage1_pool: ModuleFactory | None = None,
    stage1_pool_kernel_size: Size3 = (2, 1, 1),
    stage_conv_a_kernel_size: Sequence[Any] = (3, 1, 1),
    stage_conv_b_kernel_size: Sequence[Any] = (3, 1, 3),
    stage_conv_b_num_groups: Sequence[int] = (1, 1, 1, 1),
    stage_conv_b_dilation: Sequence[Any] = (1, 1, 1),
    stage_spatial_h_stride: Sequence[int] = (1, 1, 1, 1),
    stage_spatial_w_stride: Sequence[int] = (1, 2, 2, 2),
    stage_temporal_stride: Sequence[int] = (1, 2, 2, 2),
    bottleneck: ModuleFactory | Sequence[ModuleFactory] = (
        create_acoustic_bottleneck_block,
        create_acoustic_bottleneck_block,
        create_bottleneck_block,
        create_bottleneck_block,
    ),
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_size: Size3 = (4, 1, 2),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = None,
    head_output_with_global_average: bool = True,
) -> Net:
    """Builds a ResNet for sound, log-mel spectrograms (B, input_channel, T, 1, F) -> (B, model_num_class).

    It is :func:`create_resnet`, whose arguments these are, with convolutions over time (T) and frequency (F) that run
    side by side in the stem and in the first two stages (arXiv 2001.08740, section 3.1).
    """
    return create_resnet(
        input_channel=input_channel,
        model_depth=model_depth,
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        norm=norm,
        activation=activation,
        stem_dim_out=stem_dim_out,
        stem_conv_kernel_size=stem_conv_kernel_size,
        stem_conv_stride=stem_conv_stride,
        stem_pool=stem_pool,
        stem_pool_kernel_size=stem_pool_kernel_size,
        stem_pool_stride=stem_pool_stride,
        stem=stem,
        stage1_pool=stage1_pool,
        stage1_pool_kernel_size=stage1_pool_kernel_size,
        stage_conv_a_kernel_size=stage_conv_a_kernel_size,
        stage_conv_b_kernel_size=stage_conv_b_kernel_size,
        stage_conv_b_num_groups=stage_conv_b_num_groups,
        stage_conv_b_dilation=stage_conv_b_dilation,
        stage_spatial_h_stride=stage_spatial_h_stride,
        stage_spatial_w_stride=stage_spatial_w_stride,
        stage_temporal_stride=stage_temporal_stride,
        bottleneck=bottleneck,
        head_pool=head_pool,
        head_pool_kernel_size=head_pool_kernel_size,
        head_output_size=head_output_size,
        head_activation=head_activation,
        head_output_with_global_average=head_output_with_global_average,
    )


def create_resnet_with_roi_head(
    *,
    input_channel: int = 3,
    model_depth: int = 50,
    model_num_class: int = 80,
    dropout_rate: float = 0.5,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    activation: ModuleFactory | None = nn.ReLU,
    stem_dim_out: int = 64,
    stem_conv_kernel_size: Size3 = (1, 7, 7),
    stem_conv_stride: Size3 = (1, 2, 2),
    stem_pool: ModuleFactory | None = nn.MaxPool3d,
    stem_pool_kernel_size: Size3 = (1, 3, 3),
    stem_pool_stride: Size3 = (1, 2, 2),
    stem: ModuleFactory = create_res_basic_stem,
    stage1_pool: ModuleFactory | None = None,
    stage1_pool_kernel_size: Size3 = (2, 1, 1),
    stage_conv_a_kernel_size: Sequence[Any] = ((1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1)),
    stage_conv_b_kernel_size: Sequence[Any] = ((1, 3, 3), (1, 3, 3), (1, 3, 3), (1, 3, 3)),
    stage_conv_b_num_groups: Sequence[int] = (1, 1, 1, 1),
    stage_conv_b_dilation: Sequence[Any] = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 2, 2)),
    stage_spatial_h_stride: Sequence[int] = (1, 2, 2, 1),
    stage_spatial_w_stride: Sequence[int] = (1, 2, 2, 1),
    stage_temporal_stride: Sequence[int] = (1, 1, 1, 1),
    bottleneck: ModuleFactory | Sequence[ModuleFactory] = create_bottleneck_block,
    head: ModuleFactory = create_res_roi_pooling_head,
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_size: Size3 = (4, 1, 1),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = nn.Sigmoid,
    head_output_with_global_average: bool = False,
    head_spatial_resolution: int | tuple[int, int] = (7, 7),
    head_spatial_scale: float = 1 / 16,
    head_sampling_ratio: int = 0,
    head_aligned: bool = False,
) -> DetectionBBoxNetwork:
    """Builds a ResNet that says what the people in boxes do, clips and (N, 5) boxes -> (N, model_num_class).

    It is :func:`create_resnet`, whose arguments these are, with a last stage that is dilated instead of strided,
    and the head of :func:`~pytorchvideo.models.head.create_res_roi_pooling_head` (SlowFast, arXiv 1812.03982,
    section 5). A row of boxes is the index of its clip in the batch, then x1, y1, x2, y2 in pixels of the clip.
    By default the scores are probabilities of actions that do not exclude each other.

    Raises:
        ValueError: ``model_depth`` is not 50, 101 or 152.

    From a clip and the boxes that any detector found on its middle frame to scores, here of a small model:

    >>> import torch
    >>> from pytorchvideo.models import ClipRecipe
    >>> from pytorchvideo.transforms.functional import clip_boxes_to_image, short_side_scale_with_boxes
    >>> model = create_resnet_with_roi_head(stem_dim_out=4, model_num_class=3).eval()
    >>> recipe = ClipRecipe(num_frames=4, sampling_rate=16, side_size=64, crop_size=None)
    >>> clip = 255 * torch.rand(3, 12, 90, 120)  # (C, T, H, W), as get_clip returns it
    >>> people = torch.tensor([[10.0, 8.0, 50.0, 88.0], [70.0, 20.0, 125.0, 90.0]])
    >>> people = clip_boxes_to_image(people, height=90, width=120)
    >>> clip, people = short_side_scale_with_boxes(clip, people, recipe.side_size)
    >>> boxes = nn.functional.pad(people, (1, 0))  # a column of zeros: the first clip of the batch
    >>> model(recipe.transforms()(clip)[None], boxes).shape
    torch.Size([2, 3])
    """
    check_num_classes("model_num_class", model_num_class)
    trunk = create_resnet(
        input_channel=input_channel,
        model_depth=model_depth,
        norm=norm,
        activation=activation,
        stem_dim_out=stem_dim_out,
        stem_conv_kernel_size=stem_conv_kernel_size,
        stem_conv_stride=stem_conv_stride,
        stem_pool=stem_pool,
        stem_pool_kernel_size=stem_pool_kernel_size,
        stem_pool_stride=stem_pool_stride,
        stem=stem,
        stage1_pool=stage1_pool,
        stage1_pool_kernel_size=stage1_pool_kernel_size,
        stage_conv_a_kernel_size=stage_conv_a_kernel_size,
        stage_conv_b_kernel_size=stage_conv_b_kernel_size,
        stage_conv_b_num_groups=stage_conv_b_num_groups,
        stage_conv_b_dilation=stage_conv_b_dilation,
        stage_spatial_h_stride=stage_spatial_h_stride,
        stage_spatial_w_stride=stage_spatial_w_stride,
        stage_temporal_stride=stage_temporal_stride,
        bottleneck=bottleneck,
        head=None,
    )
    detection_head = head(
        # the first stage makes 4 channels of one of the stem, each of the other three doubles them
        in_features=stem_dim_out * 32,
        out_features=model_num_class,
        pool=head_pool,
        output_size=head_output_size,
        pool_kernel_size=head_pool_kernel_size,
        dropout_rate=dropout_rate,
        activation=head_activation,
        output_with_global_average=head_output_with_global_average,
        resolution=head_spatial_resolution,
        spatial_scale=head_spatial_scale,
        sampling_ratio=head_sampling_ratio,
        **({"aligned": True} if head_aligned else {}),
    )
    init_net_weights(detection_head)
    return DetectionBBoxNetwork(trunk, detection_head)


def _per_stage(sizes: Sequence[Any]) -> list[Any]:
    """One size for all four stages, or a list of four."""
    return [sizes] * 4 if isinstance(sizes[0], int) else list(sizes)


def head_pool_sizes(num_frames: int, crop_size: int, temporal_stride: int = 1) -> dict[str, Any]:
    """Arguments of :func:`create_resnet` for clips of another size: its head pools all that is left.

    >>> head_pool_sizes(8, 224)
    {'head_pool_kernel_size': (8, 7, 7)}
    """
    side = math.ceil(crop_size / 32)
    return {"head_pool_kernel_size": (max(1, num_frames // temporal_stride), side, side)}


def roi_pool_sizes(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Arguments of :func:`create_resnet_with_roi_head` for clips of another length, of any side.

    >>> roi_pool_sizes(8, 224)
    {'head_pool_kernel_size': (8, 1, 1)}
    """
    return {"head_pool_kernel_size": (num_frames, 1, 1)}


# Variants of the papers above: arguments of `create_resnet` that differ from its defaults.
_SLOW = {"stem_conv_kernel_size": (1, 7, 7), "head_pool_kernel_size": (8, 7, 7)}
VARIANTS: dict[str, dict[str, Any]] = {
    "slow_r50": _SLOW,
    "slow_r50_4x16": {"stem_conv_kernel_size": (1, 7, 7)},
    "slow_r50_charades": {**_SLOW, "model_num_class": 157},
    "slow_r50_ssv2": {**_SLOW, "model_num_class": 174},
    "c2d_r50": {
        "stem_conv_kernel_size": (1, 7, 7),
        "stage1_pool": nn.MaxPool3d,
        "stage_conv_a_kernel_size": (1, 1, 1),
    },
    "i3d_r50": {
        "stem_conv_kernel_size": (5, 7, 7),
        "stage1_pool": nn.MaxPool3d,
        "stage_conv_a_kernel_size": (
            (3, 1, 1),
            ((3, 1, 1), (1, 1, 1)),
            ((3, 1, 1), (1, 1, 1)),
            ((1, 1, 1), (3, 1, 1)),
        ),
    },
}
