# SPDX-License-Identifier: Apache-2.0
"""Squeeze-and-excitation (arXiv 1709.01507)."""

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import ModuleFactory, build_activation, build_norm
from pytorchvideo.layers._residual_block import BranchFusion, ResBlock, add_branches


class SqueezeExcitation(nn.Module):
    """Weights the channels of (B, C, T, H, W) by a gate in (0, 1) computed from their means.

    Args:
        num_channels: C.
        num_channels_reduced: channels of the hidden layer.
        is_3d: clips (B, C, T, H, W); otherwise images (B, C, H, W).
        activation: class of the activation between the layers.

    The gate is ``block``: 1x1x1 convolution, activation, 1x1x1 convolution, sigmoid; its state-dict keys are
    ``block.0`` and ``block.2``.
    """

    def __init__(
        self,
        num_channels: int,
        num_channels_reduced: int,
        *,
        is_3d: bool = True,
        activation: ModuleFactory = nn.ReLU,
    ) -> None:
        super().__init__()
        conv: ModuleFactory = nn.Conv3d if is_3d else nn.Conv2d
        self.dims = [2, 3, 4] if is_3d else [2, 3]
        self.block = nn.Sequential(
            conv(num_channels, num_channels_reduced, kernel_size=1),
            activation(),
            conv(num_channels_reduced, num_channels, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.block(x.mean(dim=self.dims, keepdim=True))


class SqueezeAndExcitationLayer2D(nn.Module):
    """Weights the channels of images or spectrograms (B, C, H, W) by a gate in (0, 1) computed from their means.

    The computation is that of :class:`SqueezeExcitation`; the layers of the gate are named ``excitation`` here, with
    state-dict keys ``excitation.0`` and ``excitation.2``.

    Args:
        in_planes: C.
        reduction_ratio: C over the channels of the hidden layer.
        reduced_planes: channels of the hidden layer, in place of the ratio.

    Raises:
        ValueError: the hidden layer is not given, or would have no channel.
    """

    def __init__(
        self,
        in_planes: int,
        reduction_ratio: int | None = 16,
        reduced_planes: int | None = None,
    ) -> None:
        super().__init__()
        if reduced_planes is None:
            if not reduction_ratio:
                raise ValueError(
                    expected("reduction_ratio", "> 0, or `reduced_planes` given", reduction_ratio)
                )
            reduced_planes = in_planes // reduction_ratio
        if reduced_planes < 1:
            wanted = f"at most the {in_planes} channels of the input"
            raise ValueError(expected("reduction_ratio", wanted, reduction_ratio))
        self.excitation = nn.Sequential(
            nn.Conv2d(in_planes, reduced_planes, kernel_size=1),
            nn.ReLU(),
            nn.Conv2d(reduced_planes, in_planes, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.excitation(x.mean(dim=(2, 3), keepdim=True))


def create_audio_2d_squeeze_excitation_block(
    dim_in: int,
    dim_out: int,
    use_se: bool = False,
    se_reduction_ratio: int = 16,
    branch_fusion: BranchFusion = add_branches,
    conv_a_kernel_size: int = 3,
    conv_a_stride: int = 1,
    conv_a_padding: int = 1,
    conv_b_kernel_size: int = 3,
    conv_b_stride: int = 1,
    conv_b_padding: int = 1,
    norm: ModuleFactory | None = nn.BatchNorm2d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> ResBlock:
    """Builds a residual block for spectrograms, (B, dim_in, H, W) -> (B, dim_out, H', W').

    Its residual branch is a convolution, norm, activation, convolution, norm and, with ``use_se``, an excitation of
    the channels; the shortcut is a strided 1x1 convolution with a norm where the branch changes the shape.

    Args:
        dim_in: channels of the input.
        dim_out: channels of both convolutions.
        use_se: whether the branch ends with a :class:`SqueezeAndExcitationLayer2D`.
        se_reduction_ratio: its ratio.
        branch_fusion: called with shortcut and residual; by default it adds them.
        conv_a_kernel_size: of the first convolution, like its stride and padding.
        conv_a_stride: likewise.
        conv_a_padding: likewise.
        conv_b_kernel_size: of the second convolution, like its stride and padding.
        conv_b_stride: likewise.
        conv_b_padding: likewise.
        norm: called with channels, eps and momentum; None for none.
        norm_eps: its eps.
        norm_momentum: its momentum.
        activation: called with nothing; None for none.
    """
    norm_args = {"eps": norm_eps, "momentum": norm_momentum}
    sizes_a = (conv_a_kernel_size, conv_a_stride, conv_a_padding)
    sizes_b = (conv_b_kernel_size, conv_b_stride, conv_b_padding)
    branch = [
        nn.Conv2d(dim_in, dim_out, *sizes_a, bias=False),
        build_norm(norm, dim_out, **norm_args),
        build_activation(activation),
        nn.Conv2d(dim_out, dim_out, *sizes_b, bias=False),
        build_norm(norm, dim_out, **norm_args),
        SqueezeAndExcitationLayer2D(dim_out, se_reduction_ratio) if use_se else None,
    ]
    stride = conv_a_stride * conv_b_stride
    projected = dim_in != dim_out or stride != 1
    return ResBlock(
        branch1_conv=nn.Conv2d(dim_in, dim_out, 1, stride, bias=False) if projected else None,
        branch1_norm=build_norm(norm, dim_out, **norm_args) if projected else None,
        branch2=nn.Sequential(*(layer for layer in branch if layer is not None)),
        activation=build_activation(activation),
        branch_fusion=branch_fusion,
    )
