# SPDX-License-Identifier: Apache-2.0
"""Convolutions of mobile networks, each with its batch norm and activation.

All take clips (B, C, T, H, W) and share these arguments: ``bias``, ``activation`` (relu, swish, hswish or identity),
``use_bn``, ``norm_eps`` and ``norm_momentum``. State-dict keys are ``kernel.conv`` and ``kernel.bn``.
"""

from torch import nn

from pytorchvideo.layers._chain import Chain, Layers
from pytorchvideo.layers.accelerator.mobile_cpu.activation_functions import make_activation


class _ConvBnAct(Chain):
    """A convolution, its batch norm where ``use_bn``, and an activation."""

    def __init__(
        self, conv: nn.Conv3d, activation: str, use_bn: bool, norm_eps: float, norm_momentum: float
    ) -> None:
        super().__init__()
        self.kernel = nn.Sequential()
        self.kernel.add_module("conv", conv)
        if use_bn:
            bn = nn.BatchNorm3d(conv.out_channels, eps=norm_eps, momentum=norm_momentum)
            self.kernel.add_module("bn", bn)
        self.kernel.add_module("act", make_activation(activation))

    def chain(self) -> Layers:
        return (self.kernel,)


class Conv3dPwBnAct(_ConvBnAct):
    """A pointwise convolution (1x1x1)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool = False,
        activation: str = "relu",
        use_bn: bool = True,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        conv = nn.Conv3d(in_channels, out_channels, kernel_size=1, bias=bias)
        super().__init__(conv, activation, use_bn, norm_eps, norm_momentum)


class Conv3d3x3x3DwBnAct(_ConvBnAct):
    """A depthwise 3x3x3 convolution with a stride in space."""

    def __init__(
        self,
        in_channels: int,
        spatial_stride: int = 1,
        bias: bool = False,
        activation: str = "relu",
        use_bn: bool = True,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        conv = nn.Conv3d(
            in_channels,
            in_channels,
            kernel_size=3,
            stride=(1, spatial_stride, spatial_stride),
            padding=1,
            groups=in_channels,
            bias=bias,
        )
        super().__init__(conv, activation, use_bn, norm_eps, norm_momentum)


class Conv3dTemporalKernel1BnAct(_ConvBnAct):
    """A convolution of every frame by itself; ``spatial_...`` are the sizes of both height and width."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bias: bool = False,
        groups: int = 1,
        spatial_kernel: int = 1,
        spatial_stride: int = 1,
        spatial_padding: int = 0,
        spatial_dilation: int = 1,
        activation: str = "relu",
        use_bn: bool = True,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        conv = nn.Conv3d(
            in_channels,
            out_channels,
            kernel_size=(1, spatial_kernel, spatial_kernel),
            stride=(1, spatial_stride, spatial_stride),
            padding=(0, spatial_padding, spatial_padding),
            dilation=(1, spatial_dilation, spatial_dilation),
            groups=groups,
            bias=bias,
        )
        super().__init__(conv, activation, use_bn, norm_eps, norm_momentum)


class _TemporalConvBnAct(_ConvBnAct):
    """A convolution over time alone, which keeps the number of frames."""

    frames: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        groups: int = 1,
        bias: bool = False,
        activation: str = "relu",
        use_bn: bool = True,
        norm_eps: float = 1e-5,
        norm_momentum: float = 0.1,
    ) -> None:
        conv = nn.Conv3d(
            in_channels,
            out_channels,
            kernel_size=(self.frames, 1, 1),
            padding=(self.frames // 2, 0, 0),
            groups=groups,
            bias=bias,
        )
        super().__init__(conv, activation, use_bn, norm_eps, norm_momentum)


class Conv3d3x1x1BnAct(_TemporalConvBnAct):
    """A convolution over three frames."""

    frames = 3


class Conv3d5x1x1BnAct(_TemporalConvBnAct):
    """A convolution over five frames."""

    frames = 5
