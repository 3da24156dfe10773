# SPDX-License-Identifier: Apache-2.0
"""Audiovisual SlowFast: SlowFast with an audio pathway.

Paper: Audiovisual SlowFast networks for video recognition (arXiv 2001.08740, table 1). For clips (B, 3, T, S, S) and
(B, 3, 4 T, S, S) and a log-mel spectrogram (B, 1, 16 T, 1, F), with T = 8, S = 224 and F = 80 by default::

               slow pathway              fast pathway                 audio pathway
    stem       (B,   64, T, S/4,  S/4)   (B,   8, 4 T, S/4,  S/4)     (B,   32, 16 T, 1, F)
    stage 1    (B,  256, T, S/4,  S/4)   (B,  32, 4 T, S/4,  S/4)     (B,  128, 16 T, 1, F)
    stage 2    (B,  512, T, S/8,  S/8)   (B,  64, 4 T, S/8,  S/8)     (B,  256,  8 T, 1, F/2)
    stage 3    (B, 1024, T, S/16, S/16)  (B, 128, 4 T, S/16, S/16)    (B,  512,  4 T, 1, F/4)
    stage 4    (B, 2048, T, S/32, S/32)  (B, 256, 4 T, S/32, S/32)    (B, 1024,  2 T, 1, F/8)
    pools, joined                        (B, 3328, 1, 1, 1)
    head       dropout, linear           (B, classes)

After the stem and stages 1 to 3 the fast pathway is joined to the channels of the slow one, as in SlowFast, and
what is heard at a time, averaged over the frequencies, is added to all of its positions. Inputs and feature
maps are lists, slow first; no list is ever modified.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import (
    ModuleFactory,
    Size3,
    build_activation,
    build_norm,
    same_padding,
    size3,
)
from pytorchvideo.models._parts.pathways import NoFusion, check_same_frames
from pytorchvideo.models.net import Net
from pytorchvideo.models.resnet import create_acoustic_bottleneck_block, create_bottleneck_block
from pytorchvideo.models.slowfast import create_slowfast, temporal_size
from pytorchvideo.models.stem import create_acoustic_res_basic_stem, create_res_basic_stem

__all__ = ["AudioToSlowFastFusionBuilder", "FuseAudioToFastSlow", "create_audio_visual_slowfast"]

_ONE_BY_ONE = ((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1))
_SPATIAL = ((1, 3, 3), (1, 3, 3), (1, 3, 3), (1, 3, 3))
_TEMPORAL = ((3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1))
_BOTTLENECKS = (create_bottleneck_block,) * 4


class FuseAudioToFastSlow(nn.Module):
    """Joins the fast pathway to the channels of the slow one, and adds to them what is heard at the time.

    [(B, C, T, H, W), (B, D, alpha T, H, W), (B, A, beta T, 1, F)] -> the same with C + E channels in the first.

    Args:
        block_fast_to_slow: (B, D, alpha T, H, W) -> (B, E, T, H, W).
        block_audio_to_fastslow: (B, A, beta T, 1, 1) -> (B, C + E, T, 1, 1), of the mean over the frequencies.
    """

    def __init__(self, block_fast_to_slow: nn.Module, block_audio_to_fastslow: nn.Module) -> None:
        super().__init__()
        self.block_fast_to_slow = block_fast_to_slow
        self.block_audio_to_fastslow = block_audio_to_fastslow

    def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        slow, fast, audio = x
        seen = self.block_fast_to_slow(fast)
        heard = self.block_audio_to_fastslow(audio.mean(dim=4, keepdim=True))
        if not torch.jit.is_scripting():
            check_same_frames(slow, fast, seen)
            check_same_frames(slow, audio, heard)
        return [torch.cat([slow, seen], dim=1) + heard, fast, audio]


@dataclass(frozen=True)
class AudioToSlowFastFusionBuilder:
    """Builds the fusions of an audiovisual SlowFast network, one a stage.

    Args:
        slowfast_channel_reduction_ratio: channels of the slow pathway over those of the fast one.
        slowfast_audio_reduction_ratio: channels of the slow pathway over those of the audio pathway.
        conv_fusion_channel_ratio: channels that the fast pathway adds over those that it has.
        conv_kernel_size: frames that the convolution of the fast pathway sees, or (T, H, W).
        conv_kernel_size_a: likewise, of each convolution of the audio pathway.
        conv_stride: frames of the fast pathway over those of the slow one, or (T, H, W).
        conv_stride_a: steps of the audio pathway over frames of the slow one: a number or (T, H, W) for all stages, or
            a list with one for the stem and for each stage, in which the audio pathway gets shorter.
        conv_fusion_channel_interm_dim: channels between the convolutions of the audio pathway, a whole number, or
            a float: their share of the channels of this pathway.
        conv_num_a: convolutions of the audio pathway; the last has the stride.
        norm: called with channels, eps and momentum; None for none.
        norm_eps: its eps.
        norm_momentum: its momentum.
        activation: called with nothing; None for none.
        max_stage_idx: the last stage with a fusion; 0 is the stem.
    """

    slowfast_channel_reduction_ratio: int
    slowfast_audio_reduction_ratio: int
    conv_fusion_channel_ratio: float
    conv_kernel_size: int | Size3
    conv_kernel_size_a: int | Size3
    conv_stride: int | Size3
    conv_stride_a: int | Size3 | Sequence[int | Size3]
    conv_fusion_channel_interm_dim: int | float = 0.25
    conv_num_a: int = 2
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
        audio = fusion_dim_in // self.slowfast_audio_reduction_ratio
        fused = int(fast * self.conv_fusion_channel_ratio)
        between = self.conv_fusion_channel_interm_dim
        between = between if isinstance(between, int) else int(audio * between)
        last = self.conv_num_a - 1
        dims = [audio, *[between] * last, fusion_dim_in + fused]
        layers: list[nn.Module] = []
        for i in range(self.conv_num_a):
            stride = self._audio_stride(stage_idx) if i == last else (1, 1, 1)
            layers += self._conv(dims[i], dims[i + 1], self.conv_kernel_size_a, stride)
        return FuseAudioToFastSlow(
            block_fast_to_slow=nn.Sequential(
                *self._conv(fast, fused, self.conv_kernel_size, self.conv_stride)
            ),
            block_audio_to_fastslow=nn.Sequential(*layers),
        )

    def _conv(
        self, dim_in: int, dim_out: int, kernel_size: int | Size3, stride: int | Size3
    ) -> list[nn.Module]:
        """A convolution, its norm and its activation."""
        kernel, padding = temporal_size(kernel_size), same_padding(temporal_size(kernel_size))
        layers = (
            nn.Conv3d(dim_in, dim_out, kernel, temporal_size(stride), size3(padding), bias=False),
            build_norm(self.norm, dim_out, self.norm_eps, self.norm_momentum),
            build_activation(self.activation),
        )
        return [layer for layer in layers if layer is not None]

    def _audio_stride(self, stage_idx: int) -> int | Size3:
        stride = self.conv_stride_a
        if isinstance(stride, int) or (len(stride) == 3 and isinstance(stride[0], int)):
            return cast(int | Size3, stride)
        if len(stride) <= stage_idx:
            wanted = f"a list with a stride for each of the stages 0 to {self.max_stage_idx}"
            raise ValueError(expected("conv_stride_a", wanted, stride))
        return stride[stage_idx]


def create_audio_visual_slowfast(
    *,
    slowfast_channel_reduction_ratio: Sequence[int] = (8, 2),
    slowfast_conv_channel_fusion_ratio: float = 2,
    fusion_builder: Callable[..., nn.Module] | None = None,
    input_channels: Sequence[int] = (3, 3, 1),
    model_depth: int = 50,
    model_num_class: int = 400,
    dropout_rate: float = 0.5,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    activation: ModuleFactory | None = nn.ReLU,
    stem_dim_outs: Sequence[int] = (64, 8, 32),
    stem_conv_kernel_sizes: Sequence[Size3] = ((1, 7, 7), (5, 7, 7), (9, 1, 9)),
    stem_conv_strides: Sequence[Size3] = ((1, 2, 2), (1, 2, 2), (1, 1, 1)),
    stem_pool: ModuleFactory | Sequence[ModuleFactory | None] | None = (
        nn.MaxPool3d,
        nn.MaxPool3d,
        None,
    ),
    stem_pool_kernel_sizes: Sequence[Size3] = ((1, 3, 3), (1, 3, 3), (1, 3, 3)),
    stem_pool_strides: Sequence[Size3] = ((1, 2, 2), (1, 2, 2), (1, 1, 1)),
    stage_conv_a_kernel_sizes: Sequence[Any] = (
        ((1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1)),
        _TEMPORAL,
        _ONE_BY_ONE,
    ),
    stage_conv_b_kernel_sizes: Sequence[Any] = (
        _SPATIAL,
        _SPATIAL,
        ((3, 1, 3), (3, 1, 3), (3, 1, 3), (3, 1, 3)),
    ),
    stage_conv_b_num_groups: Sequence[Sequence[int]] = ((1, 1, 1, 1), (1, 1, 1, 1), (1, 1, 1, 1)),
    stage_conv_b_dilations: Sequence[Any] = (_ONE_BY_ONE, _ONE_BY_ONE, _ONE_BY_ONE),
    stage_spatial_strides: Sequence[Sequence[int]] = ((1, 2, 2, 2), (1, 2, 2, 2), (1, 2, 2, 2)),
    stage_temporal_strides: Sequence[Sequence[int]] = ((1, 1, 1, 1), (1, 1, 1, 1), (1, 2, 2, 2)),
    bottleneck: ModuleFactory | Sequence[ModuleFactory | Sequence[ModuleFactory]] = (
        _BOTTLENECKS,
        _BOTTLENECKS,
        (create_acoustic_bottleneck_block,) * 2 + (create_bottleneck_block,) * 2,
    ),
    head_pool: ModuleFactory | None = nn.AvgPool3d,
    head_pool_kernel_sizes: Sequence[Size3] = ((8, 7, 7), (32, 7, 7), (16, 1, 10)),
    head_output_size: Size3 = (1, 1, 1),
    head_activation: ModuleFactory | None = None,
    head_output_with_global_average: bool = True,
) -> Net:
    """Builds an audiovisual SlowFast network, [slow clip, fast clip, spectrogram] -> (B, model_num_class).

    By default it takes (B, 3, 8, H, W), (B, 3, 32, H, W) and (B, 1, 128, 1, 80). Arguments are those of
    :func:`~pytorchvideo.models.slowfast.create_slowfast`, their lists with a third entry for the audio pathway.

    Args:
        slowfast_channel_reduction_ratio: channels of the slow pathway over those of the fast one, and over those of
            the audio pathway.
        fusion_builder: called with ``fusion_dim_in`` and ``stage_idx``; None for the ``create_module`` of an
            :class:`AudioToSlowFastFusionBuilder` that brings 32 frames and 128 steps of sound to 8 frames.

    Raises:
        ValueError: ``model_depth`` is not 18, 50, 101 or 152, or a list has another length.
    """
    if len(slowfast_channel_reduction_ratio) != 2:
        wanted = "two ratios, of the fast and of the audio pathway"
        got = slowfast_channel_reduction_ratio
        raise ValueError(expected("slowfast_channel_reduction_ratio", wanted, got))
    if fusion_builder is None:
        fusion_builder = AudioToSlowFastFusionBuilder(
            slowfast_channel_reduction_ratio=slowfast_channel_reduction_ratio[0],
            slowfast_audio_reduction_ratio=slowfast_channel_reduction_ratio[1],
            conv_fusion_channel_ratio=slowfast_conv_channel_fusion_ratio,
            conv_kernel_size=7,
            conv_kernel_size_a=5,
            conv_stride=4,
            # stages 2 and 3 halve the steps of the audio pathway
            conv_stride_a=(16, 16, 8, 4),
            norm=norm,
            activation=activation,
        ).create_module
    return create_slowfast(
        slowfast_channel_reduction_ratio=slowfast_channel_reduction_ratio,
        slowfast_conv_channel_fusion_ratio=slowfast_conv_channel_fusion_ratio,
        fusion_builder=fusion_builder,
        input_channels=input_channels,
        model_depth=model_depth,
        model_num_class=model_num_class,
        dropout_rate=dropout_rate,
        norm=norm,
        activation=activation,
        stem_function=(*(create_res_basic_stem,) * 2, create_acoustic_res_basic_stem),
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
        head_pool=head_pool,
        head_pool_kernel_sizes=head_pool_kernel_sizes,
        head_output_size=head_output_size,
        head_activation=head_activation,
        head_output_with_global_average=head_output_with_global_average,
    )
