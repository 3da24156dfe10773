# SPDX-License-Identifier: Apache-2.0
"""X3D: networks expanded step by step for the best accuracy at a given cost (arXiv 2004.04730, table 3).

For a clip (B, 3, T, S, S), with the widths of X3D-XS, S, M and L::

    stem    1x3x3, then depthwise 5x1x1 convolution     (B,   24, T, S/2,  S/2)
    stage 1 inverted bottlenecks                        (B,   24, T, S/4,  S/4)
    stage 2                                             (B,   48, T, S/8,  S/8)
    stage 3                                             (B,   96, T, S/16, S/16)
    stage 4                                             (B,  192, T, S/32, S/32)
    head    1x1x1 to 432, average pool, 1x1x1 to 2048   (B, 2048, 1, 1, 1)
            dropout, linear                             (B, classes)

A bottleneck is conv_a (1x1x1, to 2.25 times the channels), conv_b (depthwise 3x3x3), squeeze-excitation in every
second block, Swish, conv_c (1x1x1, back). In the stem's state dict ``conv_t`` names the spatial and ``conv_xy`` the
temporal convolution: published checkpoints are written so.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._cpu_fast_path import Chain
from pytorchvideo.layers._factories import ModuleFactory, Size3, build_activation, build_norm, size3
from pytorchvideo.layers._residual_block import ResBlock
from pytorchvideo.layers.convolutions import Conv2plus1d
from pytorchvideo.layers.squeeze_excitation import SqueezeExcitation
from pytorchvideo.layers.swish import Swish
from pytorchvideo.layers.utils import round_repeats, round_width
from pytorchvideo.models._parts.head_parts import check_num_classes
from pytorchvideo.models._parts.residual_stages import BottleneckBlock, ResStage
from pytorchvideo.models.head import ResNetBasicHead
from pytorchvideo.models.net import Net
from pytorchvideo.models.stem import ResNetBasicStem
from pytorchvideo.models.weight_init import init_net_weights

# Blocks a stage before the depth factor (arXiv 2004.04730, table 1: X2D).
BASE_DEPTHS = (1, 2, 5, 3)


def create_x3d_stem(
    *,
    in_channels: int,
    out_channels: int,
    conv_kernel_size: Size3 = (5, 3, 3),
    conv_stride: Size3 = (1, 2, 2),
    conv_padding: Size3 = (2, 1, 1),
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> ResNetBasicStem:
    """Builds the stem: a spatial convolution, a depthwise temporal one, norm and activation.

    Sizes are (T, H, W), shared out between the two convolutions.
    """
    (kernel_t, *kernel_xy), (stride_t, *stride_xy) = conv_kernel_size, conv_stride
    pad_t, *pad_xy = conv_padding
    spatial = nn.Conv3d(
        in_channels,
        out_channels,
        kernel_size=size3((1, *kernel_xy)),
        stride=size3((1, *stride_xy)),
        padding=size3((0, *pad_xy)),
        bias=False,
    )
    temporal = nn.Conv3d(
        out_channels,
        out_channels,
        kernel_size=(kernel_t, 1, 1),
        stride=(stride_t, 1, 1),
        padding=(pad_t, 0, 0),
        bias=False,
        groups=out_channels,
    )
    return ResNetBasicStem(
        # The names are swapped, as in every published checkpoint.
        conv=Conv2plus1d(conv_t=spatial, conv_xy=temporal),
        norm=build_norm(norm, out_channels, norm_eps, norm_momentum),
        activation=build_activation(activation),
    )


def create_x3d_bottleneck_block(
    *,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    conv_kernel_size: Size3 = (3, 3, 3),
    conv_stride: Size3 = (1, 2, 2),
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    se_ratio: float = 0.0625,
    activation: ModuleFactory | None = nn.ReLU,
    inner_act: ModuleFactory | None = Swish,
) -> BottleneckBlock:
    """Builds an inverted bottleneck, (B, dim_in, T, H, W) -> (B, dim_out, T', H', W').

    Args:
        dim_in: channels of the input.
        dim_inner: channels of the depthwise convolution.
        dim_out: channels of the output.
        conv_kernel_size: (T, H, W) of the depthwise convolution.
        conv_stride: its stride.
        norm: called with channels, eps and momentum; None for none.
        norm_eps: eps of the norms.
        norm_momentum: momentum of the norms.
        se_ratio: hidden channels of the squeeze-excitation over ``dim_inner``; 0 for none.
        activation: after the first convolution; None for none.
        inner_act: after the depthwise convolution; None for none.
    """

    norm_args = {"eps": norm_eps, "momentum": norm_momentum}
    excitation: nn.Module = nn.Identity()
    if se_ratio > 0.0:
        excitation = SqueezeExcitation(dim_inner, round_width(dim_inner, se_ratio))
    return BottleneckBlock(
        conv_a=nn.Conv3d(dim_in, dim_inner, kernel_size=1, bias=False),
        norm_a=build_norm(norm, dim_inner, **norm_args),
        act_a=build_activation(activation),
        conv_b=nn.Conv3d(
            dim_inner,
            dim_inner,
            kernel_size=size3(conv_kernel_size),
            stride=size3(conv_stride),
            padding=size3([size // 2 for size in conv_kernel_size]),
            bias=False,
            groups=dim_inner,
        ),
        norm_b=nn.Sequential(build_norm(norm, dim_inner, **norm_args) or nn.Identity(), excitation),
        act_b=build_activation(inner_act),
        conv_c=nn.Conv3d(dim_inner, dim_out, kernel_size=1, bias=False),
        norm_c=build_norm(norm, dim_out, **norm_args),
    )


def create_x3d_res_block(
    *,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    bottleneck: ModuleFactory = create_x3d_bottleneck_block,
    use_shortcut: bool = True,
    conv_kernel_size: Size3 = (3, 3, 3),
    conv_stride: Size3 = (1, 2, 2),
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    se_ratio: float = 0.0625,
    activation: ModuleFactory | None = nn.ReLU,
    inner_act: ModuleFactory | None = Swish,
) -> ResBlock:
    """Builds a residual block around ``bottleneck``, whose arguments are those of the function above.

    With ``use_shortcut`` a block that changes the shape has a 1x1x1 convolution on its shortcut, and a norm
    where the channels change; other shortcuts are the identity.
    """
    widened = use_shortcut and dim_in != dim_out
    projected = widened or (use_shortcut and math.prod(conv_stride) != 1)
    return ResBlock(
        branch1_conv=nn.Conv3d(
            dim_in, dim_out, kernel_size=1, stride=size3(conv_stride), bias=False
        )
        if projected
        else None,
        branch1_norm=build_norm(norm, dim_out, norm_eps, norm_momentum) if widened else None,
        branch2=bottleneck(
            dim_in=dim_in,
            dim_inner=dim_inner,
            dim_out=dim_out,
            conv_kernel_size=conv_kernel_size,
            conv_stride=conv_stride,
            norm=norm,
            norm_eps=norm_eps,
            norm_momentum=norm_momentum,
            se_ratio=se_ratio,
            activation=activation,
            inner_act=inner_act,
        ),
        activation=build_activation(activation),
    )


def create_x3d_res_stage(
    *,
    depth: int,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    bottleneck: ModuleFactory = create_x3d_bottleneck_block,
    conv_kernel_size: Size3 = (3, 3, 3),
    conv_stride: Size3 = (1, 2, 2),
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    se_ratio: float = 0.0625,
    activation: ModuleFactory | None = nn.ReLU,
    inner_act: ModuleFactory | None = Swish,
) -> ResStage:
    """Builds ``depth`` blocks; the first changes channels and strides, every second has no excitation."""
    blocks = [
        create_x3d_res_block(
            dim_in=dim_out if i else dim_in,
            dim_inner=dim_inner,
            dim_out=dim_out,
            bottleneck=bottleneck,
            conv_kernel_size=conv_kernel_size,
            conv_stride=(1, 1, 1) if i else conv_stride,
            norm=norm,
            norm_eps=norm_eps,
            norm_momentum=norm_momentum,
            se_ratio=0.0 if i % 2 else se_ratio,
            activation=activation,
            inner_act=inner_act,
        )
        for i in range(depth)
    ]
    return ResStage(res_blocks=nn.ModuleList(blocks))


class ProjectedPool(Chain):
    """A pool between two convolutions, each with norm and activation: (B, C, T, H, W) -> (B, C', T', H', W')."""

    def __init__(
        self,
        *,
        pre_conv: nn.Module | None = None,
        pre_norm: nn.Module | None = None,
        pre_act: nn.Module | None = None,
        pool: nn.Module | None = None,
        post_conv: nn.Module | None = None,
        post_norm: nn.Module | None = None,
        post_act: nn.Module | None = None,
    ) -> None:
        if pre_conv is None or pool is None or post_conv is None:
            parts = {"pre_conv": pre_conv, "pool": pool, "post_conv": post_conv}
            raise ValueError(expected(" and ".join(parts), "modules", list(parts.values())))
        super().__init__(
            pre_conv=pre_conv,
            pre_norm=pre_norm,
            pre_act=pre_act,
            pool=pool,
            post_conv=post_conv,
            post_norm=post_norm,
            post_act=post_act,
        )


def create_x3d_head(
    *,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    num_classes: int,
    pool_act: ModuleFactory | None = nn.ReLU,
    pool_kernel_size: Size3 | None = (13, 5, 5),
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    bn_lin5_on: bool = False,
    dropout_rate: float = 0.5,
    activation: ModuleFactory | None = nn.Softmax,
    output_with_global_average: bool = True,
) -> ResNetBasicHead:
    """Builds the head, (B, dim_in, T, H, W) -> (B, num_classes).

    Args:
        dim_in: channels of the last stage.
        dim_inner: channels that are pooled.
        dim_out: channels that the classifier sees.
        num_classes: number of classes.
        pool_act: activation after each of the two convolutions; None for none.
        pool_kernel_size: (T, H, W) of the average pool; None averages everything.
        norm: called with channels, eps and momentum; None for none.
        norm_eps: eps of the norms.
        norm_momentum: momentum of the norms.
        bn_lin5_on: a norm after the second convolution, too.
        dropout_rate: 0 for no dropout.
        activation: of the scores; None returns logits.
        output_with_global_average: average the scores over positions.
    """
    check_num_classes("num_classes", num_classes)

    norm_args = {"eps": norm_eps, "momentum": norm_momentum}
    return ResNetBasicHead(
        pool=ProjectedPool(
            pre_conv=nn.Conv3d(dim_in, dim_inner, kernel_size=1, bias=False),
            pre_norm=build_norm(norm, dim_inner, **norm_args),
            pre_act=build_activation(pool_act),
            pool=nn.AvgPool3d(size3(pool_kernel_size), stride=1)
            if pool_kernel_size
            else nn.AdaptiveAvgPool3d(1),
            post_conv=nn.Conv3d(dim_inner, dim_out, kernel_size=1, bias=False),
            post_norm=build_norm(norm, dim_out, **norm_args) if bn_lin5_on else None,
            post_act=build_activation(pool_act),
        ),
        dropout=nn.Dropout(dropout_rate) if dropout_rate > 0 else None,
        proj=nn.Linear(dim_out, num_classes),
        activation=build_activation(activation),
        output_pool=nn.AdaptiveAvgPool3d(1) if output_with_global_average else None,
    )


def create_x3d(
    *,
    input_channel: int = 3,
    input_clip_length: int = 13,
    input_crop_size: int = 160,
    model_num_class: int = 400,
    dropout_rate: float = 0.5,
    width_factor: float = 2.0,
    depth_factor: float = 2.2,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
    stem_dim_in: int = 12,
    stem_conv_kernel_size: Size3 = (5, 3, 3),
    stem_conv_stride: Size3 = (1, 2, 2),
    stage_conv_kernel_size: Sequence[Size3] = ((3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    stage_spatial_stride: Sequence[int] = (2, 2, 2, 2),
    stage_temporal_stride: Sequence[int] = (1, 1, 1, 1),
    bottleneck: ModuleFactory = create_x3d_bottleneck_block,
    bottleneck_factor: float = 2.25,
    se_ratio: float = 0.0625,
    inner_act: ModuleFactory | None = Swish,
    head_dim_out: int = 2048,
    head_pool_act: ModuleFactory | None = nn.ReLU,
    head_bn_lin5_on: bool = False,
    head_activation: ModuleFactory | None = None,
    head_output_with_global_average: bool = True,
) -> Net:
    """Builds an X3D network, (B, input_channel, T, H, W) -> (B, model_num_class).

    Sizes are (T, H, W); ``stage_...`` arguments have one entry a stage. The factors are those of the paper:
    ``width_factor`` scales all widths, which begin at ``stem_dim_in`` and double from stage to stage,
    ``depth_factor`` all depths, and ``bottleneck_factor`` is inner over outer width; ``se_ratio`` is the width of
    the squeeze-excitations over the inner width. The head averages over ``input_clip_length`` frames of
    ``input_crop_size`` pixels a side, and over the positions that a larger clip leaves; its classifier sees
    ``head_dim_out`` channels. Norms and activations may be None; ``head_activation=None`` returns logits.
    """
    check_num_classes("model_num_class", model_num_class)
    norms: dict[str, Any] = {"norm": norm, "norm_eps": norm_eps, "norm_momentum": norm_momentum}
    dim_in = round_width(stem_dim_in, width_factor)
    blocks: list[nn.Module] = [
        create_x3d_stem(
            in_channels=input_channel,
            out_channels=dim_in,
            conv_kernel_size=stem_conv_kernel_size,
            conv_stride=stem_conv_stride,
            conv_padding=tuple(size // 2 for size in stem_conv_kernel_size),
            activation=activation,
            **norms,
        )
    ]
    base_width = stem_dim_in
    for i, base_depth in enumerate(BASE_DEPTHS):
        base_width = round_width(base_width, 2.0) if i else base_width
        dim_out = round_width(base_width, width_factor)
        stride = stage_spatial_stride[i]
        blocks.append(
            create_x3d_res_stage(
                depth=round_repeats(base_depth, depth_factor),
                dim_in=dim_in,
                dim_inner=int(bottleneck_factor * dim_out),
                dim_out=dim_out,
                bottleneck=bottleneck,
                conv_kernel_size=stage_conv_kernel_size[i],
                conv_stride=(stage_temporal_stride[i], stride, stride),
                se_ratio=se_ratio,
                activation=activation,
                inner_act=inner_act,
                **norms,
            )
        )
        dim_in = dim_out
    frames = math.prod((stem_conv_stride[0], *stage_temporal_stride))
    pool_kernel = [math.ceil(input_clip_length / frames)]
    for side_stride in stem_conv_stride[1:]:
        pixels = math.prod((side_stride, *stage_spatial_stride))
        pool_kernel.append(math.ceil(input_crop_size / pixels))
    blocks.append(
        create_x3d_head(
            dim_in=dim_in,
            dim_inner=int(bottleneck_factor * dim_in),
            dim_out=head_dim_out,
            num_classes=model_num_class,
            pool_act=head_pool_act,
            pool_kernel_size=pool_kernel,
            bn_lin5_on=head_bn_lin5_on,
            dropout_rate=dropout_rate,
            activation=head_activation,
            output_with_global_average=head_output_with_global_average,
            **norms,
        )
    )
    model = Net(blocks=nn.ModuleList(blocks), input_channels=input_channel)
    init_net_weights(model)
    return model


def clip_sizes(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Arguments of :func:`create_x3d` for clips of another size.

    >>> clip_sizes(8, 112)
    {'input_clip_length': 8, 'input_crop_size': 112}
    """
    return {"input_clip_length": num_frames, "input_crop_size": crop_size}


# Variants of table 3: arguments of `create_x3d` that differ from its defaults.
VARIANTS: dict[str, dict[str, Any]] = {
    "x3d_xs": {"input_clip_length": 4},
    "x3d_s": {},
    "x3d_m": {"input_clip_length": 16, "input_crop_size": 224},
    "x3d_l": {"input_clip_length": 16, "input_crop_size": 312, "depth_factor": 5.0},
}
