# SPDX-License-Identifier: Apache-2.0
"""Stems: the first layers of a network."""

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._cpu_fast_path import Chain
from pytorchvideo.layers._factories import ModuleFactory, Size3, build_activation, build_norm, size3
from pytorchvideo.layers.convolutions import ConvReduce3D


class ResNetBasicStem(Chain):
    """Convolution, norm, activation, pool; all but the convolution may be None."""

    def __init__(
        self,
        *,
        conv: nn.Module | None = None,
        norm: nn.Module | None = None,
        activation: nn.Module | None = None,
        pool: nn.Module | None = None,
    ) -> None:
        if conv is None:
            raise ValueError(expected("conv", "a module", conv))
        super().__init__(conv=conv, norm=norm, activation=activation, pool=pool)


class PatchEmbed(nn.Module):
    """Patches of a clip or image as a sequence: (B, C, [T,] H, W) -> (B, patches, embed_dim)."""

    def __init__(self, *, patch_model: nn.Module | None = None) -> None:
        super().__init__()
        if patch_model is None:
            raise ValueError(expected("patch_model", "a module", patch_model))
        self.patch_model = patch_model

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # (B, embed_dim, T', H', W') -> (B, T' * H' * W', embed_dim)
        return self.patch_model(x).flatten(2).transpose(1, 2)


def create_res_basic_stem(
    *,
    in_channels: int,
    out_channels: int,
    conv_kernel_size: Size3 = (3, 7, 7),
    conv_stride: Size3 = (1, 2, 2),
    conv_padding: Size3 = (1, 3, 3),
    conv_bias: bool = False,
    conv: ModuleFactory = nn.Conv3d,
    pool: ModuleFactory | None = nn.MaxPool3d,
    pool_kernel_size: Size3 = (1, 3, 3),
    pool_stride: Size3 = (1, 2, 2),
    pool_padding: Size3 = (0, 1, 1),
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> ResNetBasicStem:
    """Builds the stem of the ResNet family, (B, in_channels, T, H, W) -> (B, out_channels, T', H', W').

    Sizes are (T, H, W). ``norm`` is called with the channels, eps and momentum, ``activation`` with
    nothing; each of them and ``pool`` may be None.
    """
    return ResNetBasicStem(
        conv=conv(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=tuple(conv_kernel_size),
            stride=tuple(conv_stride),
            padding=tuple(conv_padding),
            bias=conv_bias,
        ),
        norm=build_norm(norm, out_channels, norm_eps, norm_momentum),
        activation=build_activation(activation),
        pool=pool(
            kernel_size=tuple(pool_kernel_size),
            stride=tuple(pool_stride),
            padding=tuple(pool_padding),
        )
        if pool
        else None,
    )


def create_acoustic_res_basic_stem(
    *,
    in_channels: int,
    out_channels: int,
    conv_kernel_size: Size3 = (3, 7, 7),
    conv_stride: Size3 = (1, 1, 1),
    conv_padding: Size3 = (1, 3, 3),
    conv_bias: bool = False,
    pool: ModuleFactory | None = nn.MaxPool3d,
    pool_kernel_size: Size3 = (1, 3, 3),
    pool_stride: Size3 = (1, 2, 2),
    pool_padding: Size3 = (0, 1, 1),
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> ResNetBasicStem:
    """Builds the stem for spectrograms (arXiv 2001.08740), (B, in_channels, T, 1, F) -> (B, out_channels, T', 1, F').

    It is the stem of :func:`create_res_basic_stem` with the sum of two convolutions, one over time and one over
    frequency: a kernel (T, H, F) becomes (T, 1, 1) and (1, H, F), both with ``conv_stride``.
    """

    (kernel, *kernels), (pad, *pads) = conv_kernel_size, conv_padding

    def side_by_side(*, in_channels: int, out_channels: int, **_: object) -> ConvReduce3D:
        return ConvReduce3D(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=((kernel, 1, 1), size3((1, *kernels))),
            stride=(size3(conv_stride),) * 2,
            padding=((pad, 0, 0), size3((0, *pads))),
            bias=(conv_bias,) * 2,
        )

    return create_res_basic_stem(
        in_channels=in_channels,
        out_channels=out_channels,
        conv_kernel_size=conv_kernel_size,
        conv_stride=conv_stride,
        conv_padding=conv_padding,
        conv_bias=conv_bias,
        conv=side_by_side,
        pool=pool,
        pool_kernel_size=pool_kernel_size,
        pool_stride=pool_stride,
        pool_padding=pool_padding,
        norm=norm,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        activation=activation,
    )


def create_conv_patch_embed(
    *,
    in_channels: int,
    out_channels: int,
    conv_kernel_size: Size3 = (1, 16, 16),
    conv_stride: Size3 = (1, 4, 4),
    conv_padding: Size3 = (1, 7, 7),
    conv_bias: bool = True,
    conv: ModuleFactory = nn.Conv3d,
) -> PatchEmbed:
    """Builds a patch embedding from one convolution; ``conv=nn.Conv2d`` with two sizes for images."""
    return PatchEmbed(
        patch_model=conv(
            in_channels=in_channels,
            out_channels=out_channels,
            kernel_size=tuple(conv_kernel_size),
            stride=tuple(conv_stride),
            padding=tuple(conv_padding),
            bias=conv_bias,
        )
    )
