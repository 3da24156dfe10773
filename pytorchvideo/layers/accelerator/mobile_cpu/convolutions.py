# SPDX-License-Identifier: Apache-2.0
"""Convolutions of mobile networks, each with its batch norm and activation.

All take clips (B, C, T, H, W) and share these arguments: ``bias``, ``activation`` (relu, swish, hswish or identity),
``use_bn``, ``norm_eps`` and ``norm_momentum``. State-dict keys are ``kernel.conv`` and ``kernel.bn``.

In the deployable form the norm, as it is in evaluation mode, is part of the convolution, and convolutions of
images, which every processor has, do the work of those of clips. It takes clips of any size, and all of its
operators can be replaced by those of int8 (eager quantisation).
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.layers._cpu_fast_path import Wrapper
from pytorchvideo.layers.accelerator._arithmetic import Arithmetic, make_arithmetic
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase, check_blob_size
from pytorchvideo.layers.accelerator.mobile_cpu.activation_functions import make_activation

__all__ = [
    "TORCH_VERSION",
    "Conv3d3x1x1BnAct",
    "Conv3d3x3x3DwBnAct",
    "Conv3d5x1x1BnAct",
    "Conv3dPwBnAct",
    "Conv3dTemporalKernel1BnAct",
]


def as_conv2d(conv: nn.Conv3d) -> nn.Module:
    """Returns a module that computes ``conv`` with 2-D convolutions, for clips of any size.

    Args:
        conv: any 3-D convolution that pads with zeros; it is not modified.

    Raises:
        ValueError: the padding is not one of zeros, given in numbers.

    >>> conv, x = nn.Conv3d(2, 4, (3, 1, 1), padding=(1, 0, 0)), torch.rand(1, 2, 5, 4, 4)
    >>> torch.allclose(as_conv2d(conv)(x), conv(x), atol=1e-6)
    True
    """
    if conv.padding_mode != "zeros" or isinstance(conv.padding, str):
        got = conv.padding if isinstance(conv.padding, str) else conv.padding_mode
        raise ValueError(expected("conv.padding", "of zeros and given in numbers", got))
    pointwise = (conv.kernel_size[1:], conv.stride[1:], conv.padding[1:]) == (
        (1, 1),
        (1, 1),
        (0, 0),
    )
    return TimeConv2d(conv) if pointwise else FramesConv2d(conv)


class TimeConv2d(nn.Module):
    """A convolution with a kernel (k, 1, 1), as one of images (B, C, T, H * W)."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        self.conv = _conv2d(
            conv,
            conv.weight.flatten(3),
            conv.bias,
            stride=(conv.stride[0], 1),
            padding=(cast(tuple[int, ...], conv.padding)[0], 0),
            dilation=(conv.dilation[0], 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x.flatten(3))
        # (B, C', T', H * W) -> (B, C', T', H, W)
        return y.reshape(y.shape[0], y.shape[1], y.shape[2], x.shape[3], x.shape[4])


class FramesConv2d(nn.Module):
    """A convolution of any kernel, as the sum of those of its frames."""

    def __init__(self, conv: nn.Conv3d) -> None:
        super().__init__()
        padding = cast(tuple[int, ...], conv.padding)
        self.stride, self.padding, self.dilation = conv.stride[0], padding[0], conv.dilation[0]
        frames = conv.weight.unbind(2)
        self.taps = nn.ModuleList(
            _conv2d(
                conv,
                weight,
                None if i else conv.bias,
                stride=conv.stride[1:],
                padding=padding[1:],
                dilation=conv.dilation[1:],
            )
            for i, weight in enumerate(frames)
        )
        self.arithmetic = make_arithmetic() if len(frames) > 1 else Arithmetic()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.padding > 0:
            # int8 pads only what is contiguous
            x = F.pad(x.contiguous(), (0, 0, 0, 0, self.padding, self.padding))
        steps = (x.shape[2] - self.dilation * (len(self.taps) - 1) - 1) // self.stride
        parts: list[torch.Tensor] = []
        for i, tap in enumerate(self.taps):
            first = i * self.dilation
            part = x[:, :, first : first + steps * self.stride + 1 : self.stride]
            # (B, C, T', H, W) -> (B * T', C, H, W)
            parts.append(tap(part.transpose(1, 2).flatten(0, 1)))
        y = parts[0]
        for part in parts[1:]:
            y = self.arithmetic.add(y, part)
        # (B * T', C', H', W') -> (B, C', T', H', W')
        y = y.reshape(x.shape[0], steps + 1, y.shape[1], y.shape[2], y.shape[3])
        return y.transpose(1, 2)


def _conv2d(
    conv: nn.Conv3d,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
) -> nn.Conv2d:
    """A 2-D convolution with the channels of ``conv`` and this weight, a copy."""
    layer = nn.utils.skip_init(
        nn.Conv2d,
        conv.in_channels,
        conv.out_channels,
        weight.shape[2:],
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=conv.groups,
        bias=bias is not None,
        device=weight.device,
        dtype=weight.dtype,
    )
    layer.weight = nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer.train(conv.training)


# (major, minor)
TORCH_VERSION: tuple[int, ...] = tuple(map(int, torch.__version__.split(".")[:2]))


class _ConvBnAct(Wrapper, EfficientBlockBase):
    """A convolution, its batch norm where ``use_bn``, and an activation."""

    def __init__(
        self, conv: nn.Conv3d, activation: str, use_bn: bool, norm_eps: float, norm_momentum: float
    ) -> None:
        kernel = nn.Sequential()
        kernel.add_module("conv", conv)
        if use_bn:
            bn = nn.BatchNorm3d(conv.out_channels, eps=norm_eps, momentum=norm_momentum)
            kernel.add_module("bn", bn)
        kernel.add_module("act", make_activation(activation))
        super().__init__(kernel)

    def convert(
        self,
        input_blob_size: Sequence[int],
        convert_for_quantize: bool = False,
        native_conv3d_op_qnnpack: bool = False,
        **kwargs: Any,
    ) -> None:
        """Puts the block into its deployable form, in place.

        Args:
            input_blob_size: shape (B, C, T, H, W) of the input; the deployable form takes others, too.
            convert_for_quantize: of no effect, the deployable form can always be quantised.
            native_conv3d_op_qnnpack: the processor has convolutions of clips: keep them.
            kwargs: of no effect.

        Raises:
            RuntimeError: it was converted before.
            ValueError: the block takes no input of this shape.
        """
        self._begin_convert()
        layers = dict(self.kernel.named_children())
        conv = cast(nn.Conv3d, layers["conv"])
        check_blob_size(input_blob_size, 5, conv.in_channels)
        if "bn" in layers:
            # the norm of evaluation is meant, whatever the mode
            norm = cast(nn.BatchNorm3d, layers["bn"]).eval()
            conv = nn.utils.fuse_conv_bn_eval(conv.eval(), norm)
        act = cast(EfficientBlockBase, layers["act"])
        act.convert(input_blob_size)
        kernel = nn.Sequential()
        kernel.add_module("conv", conv if native_conv3d_op_qnnpack else as_conv2d(conv))
        kernel.add_module("act", act)
        self.kernel = kernel.train(self.training)
        self.convert_flag = True


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
