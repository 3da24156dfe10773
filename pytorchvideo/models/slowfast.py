# SPDX-License-Identifier: Apache-2.0
"""SlowFast: a pathway of few frames and many channels, and one of many frames and few channels.

Paper: SlowFast networks (arXiv 1812.03982, table 1). For clips (B, 3, T, S, S) and (B, 3, 4 T, S, S)::

               slow pathway                          fast pathway
    stem       (B,   64, T, S/4,  S/4)  <- fusion -  (B,   8, 4 T, S/4,  S/4)
    stage 1    (B,  256, T, S/4,  S/4)  <- fusion -  (B,  32, 4 T, S/4,  S/4)
    stage 2    (B,  512, T, S/8,  S/8)  <- fusion -  (B,  64, 4 T, S/8,  S/8)
    stage 3    (B, 1024, T, S/16, S/16) <- fusion -  (B, 128, 4 T, S/16, S/16)
    stage 4    (B, 2048, T, S/32, S/32)              (B, 256, 4 T, S/32, S/32)
    pools, joined                       (B, 2304, 1, 1, 1)
    head       dropout, linear          (B, classes)

A fusion convolves the fast pathway over time with stride 4 and twice its channels, and joins the result to the
channels of the slow pathway. Inputs and feature maps are lists, slow first; no list is ever modified.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytorchvideo.layers._factories import (
    ModuleFactory,
    Size3,
    build_activation,
    build_norm,
    same_padding,
    size3,
)
from pytorchvideo.models._parts.head_parts import check_num_classes
from pytorchvideo.models._parts.pathways import (
    NoFusion,
    PoolConcatPathway,
    build_stages,
    check_same_frames,
    create_pool_concat,
    pathways_of,
)
from pytorchvideo.models._parts.residual_stages import create_bottleneck_block
from pytorchvideo.models.head import create_res_basic_head, create_res_roi_pooling_head
from pytorchvideo.models.net import DetectionBBoxNetwork, Net
from pytorchvideo.models.stem import create_res_basic_stem
from pytorchvideo.models.weight_init import init_net_weights

__all__ = [
    "VARIANTS",
    "FastToSlowFusionBuilder",
    "FuseFastToSlow",
    "PoolConcatPathway",
    "create_slowfast",
    "create_slowfast_with_roi_head",
    "head_pool_sizes",
    "roi_pool_sizes",
]

_ONE_BY_ONE = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1))
_SPATIAL = ((1, 3, 3), (1, 3, 3), (1, 3, 3), (1, 3, 3))
_TEMPORAL = ((3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1))
_LAST_TEMPORAL = ((1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1))
_LAST_DILATED = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 2, 2))
_BOTTLENECKS = (create_bottleneck_block,) * 4


class FuseFastToSlow(nn.Module):
    """Joins the fast pathway, convolved to the frames of the slow one, to the channels of the slow pathway.

    [(B, C, T, H, W), (B, D, alpha T, H, W)] -> [(B, C + E, T, H, W), (B, D, alpha T, H, W)]

    Args:
        conv_fast_to_slow: (B, D, alpha T, H, W) -> (B, E, T, H, W).
        norm: after it, or None.
        activation: after the norm, or None.
    """

    def __init__(
        self,
        conv_fast_to_slow: nn.Module,
        norm: nn.Module | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv_fast_to_slow = conv_fast_to_slow
        self.norm = norm
        self.activation = activation

    def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        slow, fast = x
        fused = self.conv_fast_to_slow(fast)
        fused = fused if self.norm is None else self.norm(fused)
        fused = fused if self.activation is None else self.activation(fused)
        if not torch.jit.is_scripting():
            check_same_frames(slow, fast, fused)
        return [torch.cat([slow, fused], dim=1), fast]


@dataclass(frozen=True)
class FastToSlowFusionBuilder:
    """Builds the fusions of a SlowFast network, one a stage.

    Args:
        slowfast_channel_reduction_ratio: channels of the slow pathway over those of the fast one.
        conv_fusion_channel_ratio: channels of the fusion over those of the fast pathway.
        conv_kernel_size: frames that the fusion's convolution sees, or (T, H, W).
        conv_stride: frames of the fast pathway over those of the slow one, or (T, H, W).
        norm: called with channels, eps and momentum; None for none.
        norm_eps: its eps.
        norm_momentum: its momentum.
        activation: called with nothing; None for none.
        max_stage_idx: the last stage with a fusion; 0 is the stem.
    """

    slowfast_channel_reduction_ratio: int
    conv_fusion_channel_ratio: float
    conv_kernel_size: int | Size3
    conv_stride: int | Size3
    norm: ModuleFactory | None = nn.BatchNorm3d
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    activation: ModuleFactory | None = nn.ReLU
    max_stage_idx: int = 3

    def create_module(self, fusion_dim_in: int, stage_idx: int) -> nn.Module:
        """Builds the fusion after a stage whose slow pathway has ``fusion_dim_in`` channels."""
        if stage_idx > self.max_stage_idx:
            return NoFusion()
        fast = fusion_dim_in // self.slowfast_channel_reduction_ratio
        channels = int(fast * self.conv_fusion_channel_ratio)
        kernel, stride = temporal_size(self.conv_kernel_size), temporal_size(self.conv_stride)
        return FuseFastToSlow(
            conv_fast_to_slow=nn.Conv3d(
                fast,
                channels,
                kernel_size=kernel,
                stride=stride,
                padding=size3(same_padding(kernel)),
                bias=False,
            ),
            norm=build_norm(self.norm, channels, self.norm_eps, self.norm_momentum),
            activation=build_activation(self.activation),
        )


def temporal_size(size: int | Size3) -> tuple[int, int, int]:
    """A number of frames, or a size (T, H, W), as such a size."""
    return (size, 1, 1) if isinstance(size, int) else size3(size)


def create_slowfast(
    *,
    slowfast_channel_reduction_ratio: int | Sequence[int] = (8,),
    slowfast_conv_channel_fusion_ratio: float = 2,
    slowfast_fusion_conv_kernel_size: int | Size3 = (7, 1, 1),
    slowfast_fusion_conv_stride: int | Size3 = (4, 1, 1),
    fusion_builder: Callable[..., nn.Module] | None = None,
    input_channels: Sequence[int] = (3, 3),
    model_depth: int = 50,
    model_num_class: int = 400,
    dropout_rate: float = 0.5,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    activation: ModuleFactory | None = nn.ReLU,
    stem_function: Sequence[ModuleFactory] = (create_res_basic_stem, create_res_basic_stem),
    stem_dim_outs: Sequence[int] = (64, 8),
    stem_conv_kernel_sizes: Sequence[Size3] = ((1, 7, 7), (5, 7, 7)),
    stem_conv_strides: Sequence[Size3] = ((1, 2, 2), (1, 2, 2)),
    stem_pool: ModuleFactory | Sequence[ModuleFactory | None] | None = (
        nn.MaxPool3d,
        nn.MaxPool3d,
    ),
    stem_pool_kernel_sizes: Sequence[Size3] = ((1, 3, 3), (1, 3, 3)),
    stem_pool_strides: Sequence[Size3] = ((1, 2, 2), (1, 2, 2)),
    stage_conv_a_kernel_sizes: Sequence[Any] = (_LAST_TEMPORAL, _TEMPORAL),
    stage_conv_b_kernel_sizes: Sequence[Any] = (_SPATIAL, _SPATIAL),
    stage_conv_b_num_groups: Sequence[Sequence[int]] = ((1, 1, 1, 1), (1, 1, 1, 1)),
    stage_conv_b_dilations: Sequence[Any] = (_ONE_BY_ONE, _ONE_BY_ONE),
    stage_spatial_strides: Sequence[Sequence[int]] = ((1, 2, 2, 2), (1, 2, 2, 2)),
    stage_temporal_strides: Sequence[Sequence[int]] = ((1, 1, 1, 1), (1, 1, 1, 1)),
    bottleneck: ModuleFactory | Sequence[ModuleFactory | Sequence[ModuleFactory]] = (
        _BOTTLENECKS,
        _BOTTLENECKS,
    ),
    head: ModuleFactory | None = create_res_basic_head,
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_sizes: Sequence[Size3] = ((8, 7, 7), (32, 7, 7)),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = None,
    head_output_with_global_average: bool = True,
) -> Net:
    """Builds a SlowFast network, [(B, C, T, H, W), (B, C, alpha T, H, W)] -> (B, model_num_class).

    Sizes are (T, H, W). The outer list of an argument has an entry a pathway, slow first, the inner one an
    entry a stage; an entry of ``stage_conv_a_kernel_sizes`` may be a list of sizes, repeated over the
    blocks of its stage. One ``bottleneck`` stands for all stages of all pathways, or, in the place of an inner list,
    of one. ``fusion_builder(fusion_dim_in=..., stage_idx=...)`` builds the fusion after the stem
    (0) and the stages; by default it is :class:`FastToSlowFusionBuilder`. With ``head=None`` the joined
    feature map is returned. With ``head_pool=None`` the scores are those of each position of the slow pathway, to which
    the fast one is averaged.

    Raises:
        ValueError: ``model_depth`` is not 18, 50, 101 or 152, or a list has another length.
    """
    if head is not None:
        check_num_classes("model_num_class", model_num_class)
    if isinstance(slowfast_channel_reduction_ratio, int):
        slowfast_channel_reduction_ratio = (slowfast_channel_reduction_ratio,)
    pathways = pathways_of(
        input_channels=input_channels,
        stem=stem_function,
        stem_dim_out=stem_dim_outs,
        stem_conv_kernel_size=stem_conv_kernel_sizes,
        stem_conv_stride=stem_conv_strides,
        stem_pool=stem_pool,
        stem_pool_kernel_size=stem_pool_kernel_sizes,
        stem_pool_stride=stem_pool_strides,
        conv_a_kernel_sizes=stage_conv_a_kernel_sizes,
        conv_b_kernel_sizes=stage_conv_b_kernel_sizes,
        conv_b_num_groups=stage_conv_b_num_groups,
        conv_b_dilations=stage_conv_b_dilations,
        spatial_strides=stage_spatial_strides,
        temporal_strides=stage_temporal_strides,
        bottlenecks=bottleneck,
    )
    if fusion_builder is None:
        fusion_builder = FastToSlowFusionBuilder(
            slowfast_channel_reduction_ratio=slowfast_channel_reduction_ratio[0],
            conv_fusion_channel_ratio=slowfast_conv_channel_fusion_ratio,
            conv_kernel_size=slowfast_fusion_conv_kernel_size,
            conv_stride=slowfast_fusion_conv_stride,
            norm=norm,
            activation=activation,
        ).create_module
    blocks = build_stages(
        pathways,
        model_depth,
        fusion_builder,
        fused_ratio=slowfast_conv_channel_fusion_ratio / slowfast_channel_reduction_ratio[0],
        norm=norm,
        activation=activation,
    )
    blocks += [
        create_pool_concat(head_pool, head_pool_kernel_sizes, head_output_size, len(pathways))
    ]
    if head is not None:
        blocks.append(
            head(
                in_features=sum(pathway.dim_out for pathway in pathways),
                out_features=model_num_class,
                pool=None,
                dropout_rate=dropout_rate,
                activation=head_activation,
                output_with_global_average=head_output_with_global_average,
            )
        )
    model = Net(blocks=nn.ModuleList(blocks), input_channels=input_channels)
    init_net_weights(model)
    return model


def create_slowfast_with_roi_head(
    *,
    slowfast_channel_reduction_ratio: int | Sequence[int] = (8,),
    slowfast_conv_channel_fusion_ratio: float = 2,
    slowfast_fusion_conv_kernel_size: int | Size3 = (7, 1, 1),
    slowfast_fusion_conv_stride: int | Size3 = (4, 1, 1),
    fusion_builder: Callable[..., nn.Module] | None = None,
    input_channels: Sequence[int] = (3, 3),
    model_depth: int = 50,
    model_num_class: int = 80,
    dropout_rate: float = 0.5,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    activation: ModuleFactory | None = nn.ReLU,
    stem_function: Sequence[ModuleFactory] = (create_res_basic_stem, create_res_basic_stem),
    stem_dim_outs: Sequence[int] = (64, 8),
    stem_conv_kernel_sizes: Sequence[Size3] = ((1, 7, 7), (5, 7, 7)),
    stem_conv_strides: Sequence[Size3] = ((1, 2, 2), (1, 2, 2)),
    stem_pool: ModuleFactory | Sequence[ModuleFactory | None] | None = (
        nn.MaxPool3d,
        nn.MaxPool3d,
    ),
    stem_pool_kernel_sizes: Sequence[Size3] = ((1, 3, 3), (1, 3, 3)),
    stem_pool_strides: Sequence[Size3] = ((1, 2, 2), (1, 2, 2)),
    stage_conv_a_kernel_sizes: Sequence[Any] = (_LAST_TEMPORAL, _TEMPORAL),
    stage_conv_b_kernel_sizes: Sequence[Any] = (_SPATIAL, _SPATIAL),
    stage_conv_b_num_groups: Sequence[Sequence[int]] = ((1, 1, 1, 1), (1, 1, 1, 1)),
    stage_conv_b_dilations: Sequence[Any] = (_LAST_DILATED, _LAST_DILATED),
    stage_spatial_strides: Sequence[Sequence[int]] = ((1, 2, 2, 1), (1, 2, 2, 1)),
    stage_temporal_strides: Sequence[Sequence[int]] = ((1, 1, 1, 1), (1, 1, 1, 1)),
    bottleneck: ModuleFactory | Sequence[ModuleFactory | Sequence[ModuleFactory]] = (
        _BOTTLENECKS,
        _BOTTLENECKS,
    ),
    head: ModuleFactory = create_res_roi_pooling_head,
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_sizes: Sequence[Size3] = ((8, 1, 1), (32, 1, 1)),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = nn.Sigmoid,
    head_output_with_global_average: bool = False,
    head_spatial_resolution: int | tuple[int, int] = (7, 7),
    head_spatial_scale: float = 1 / 16,
    head_sampling_ratio: int = 0,
    head_aligned: bool = False,
) -> DetectionBBoxNetwork:
    """Builds a SlowFast network that says what the people in boxes do, [slow, fast] clips and (N, 5) boxes ->
    (N, model_num_class).

    It is :func:`create_slowfast`, whose arguments these are, with last stages that are dilated instead of strided,
    pools over time alone, and the head of :func:`~pytorchvideo.models.head.create_res_roi_pooling_head` (section 5
    of the paper). :func:`~pytorchvideo.models.resnet.create_resnet_with_roi_head` shows the way from a clip and
    its boxes to scores.

    Raises:
        ValueError: ``model_depth`` is not 18, 50, 101 or 152, or a list has another length.
    """
    check_num_classes("model_num_class", model_num_class)
    trunk = create_slowfast(
        slowfast_channel_reduction_ratio=slowfast_channel_reduction_ratio,
        slowfast_conv_channel_fusion_ratio=slowfast_conv_channel_fusion_ratio,
        slowfast_fusion_conv_kernel_size=slowfast_fusion_conv_kernel_size,
        slowfast_fusion_conv_stride=slowfast_fusion_conv_stride,
        fusion_builder=fusion_builder,
        input_channels=input_channels,
        model_depth=model_depth,
        norm=norm,
        activation=activation,
        stem_function=stem_function,
        stem_dim_outs=stem_dim_outs,
        stem_conv_kernel_sizes=stem_conv_kernel_sizes,
        stem_conv_strides=stem_conv_strides,
        stem_pool=stem_pool,
        stem_pool_kernel_sizes=stem_pool_kernel_sizes,
        stem_pool_strides=stem_pool_strides,
        stage_conv_a_kernel_sizes=stage_conv_a_kernel_sizes,
        stage_conv_b_kernel_sizes=stage_conv_b_kernel_sizes,
        stage_conv_b_num_groups=stage_conv_b_num_groups,
        stage_conv_b_dilations=stage_conv_b_dilations,
        stage_spatial_strides=stage_spatial_strides,
        stage_temporal_strides=stage_temporal_strides,
        bottleneck=bottleneck,
        head=None,
        head_pool=head_pool,
        head_pool_kernel_sizes=head_pool_kernel_sizes,
        head_output_size=head_output_size,
    )
    detection_head = head(
        # the first stage makes 4 channels of one of the stem, each of the other three doubles them
        in_features=sum(stem_dim_outs) * 32,
        out_features=model_num_class,
        pool=None,
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


def head_pool_sizes(num_frames: int, crop_size: int, alpha: int = 4) -> dict[str, Any]:
    """Arguments of :func:`create_slowfast` for clips of another size: its pools take all that is left.

    Args:
        num_frames: frames of the fast pathway.
        crop_size: side of the clips in pixels.
        alpha: frames of the fast pathway over those of the slow one.

    >>> head_pool_sizes(32, 224)
    {'head_pool_kernel_sizes': ((8, 7, 7), (32, 7, 7))}
    """
    side = math.ceil(crop_size / 32)
    slow = max(1, num_frames // alpha)
    return {"head_pool_kernel_sizes": ((slow, side, side), (num_frames, side, side))}


def roi_pool_sizes(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Arguments of :func:`create_slowfast_with_roi_head` for ``num_frames`` in the fast pathway, of any side.

    >>> roi_pool_sizes(32, 224)
    {'head_pool_kernel_sizes': ((8, 1, 1), (32, 1, 1))}
    """
    return {"head_pool_kernel_sizes": ((max(1, num_frames // 4), 1, 1), (num_frames, 1, 1))}


# In "16x8 R101 50-50" only the first 6 of the 23 blocks of stage 3 see several frames, as in a network of 50 layers.
_STAGE_3_AS_IN_R50 = ((3, 1, 1),) * 6 + ((1, 1, 1),) * 17

# Variants of the paper: arguments of `create_slowfast` that differ from its defaults.
VARIANTS: dict[str, dict[str, Any]] = {
    "slowfast_r50": {},
    "slowfast_r50_4x16": {
        "slowfast_fusion_conv_kernel_size": (5, 1, 1),
        "slowfast_fusion_conv_stride": (8, 1, 1),
        "head_pool_kernel_sizes": ((4, 7, 7), (32, 7, 7)),
    },
    "slowfast_r50_charades": {"model_num_class": 157},
    "slowfast_r50_ssv2": {"model_num_class": 174},
    "slowfast_r101": {"model_depth": 101, "slowfast_fusion_conv_kernel_size": (5, 1, 1)},
    "slowfast_16x8_r101_50_50": {
        "model_depth": 101,
        "slowfast_fusion_conv_kernel_size": (5, 1, 1),
        "stage_conv_a_kernel_sizes": (
            ((1, 1, 1), (1, 1, 1), _STAGE_3_AS_IN_R50, (3, 1, 1)),
            ((3, 1, 1), (3, 1, 1), _STAGE_3_AS_IN_R50, (3, 1, 1)),
        ),
        "head_pool_kernel_sizes": ((16, 7, 7), (64, 7, 7)),
    },
}
