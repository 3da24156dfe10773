# SPDX-License-Identifier: Apache-2.0
"""3-D convolutions computed as 2-D ones, exactly, for processors without 3-D operators.

A clip (B, C, T, H, W) is looked at in two ways. Where a kernel is 1 in height and width, it is the picture
(B, C, T, H * W), and a kernel over time is one over the picture's height. Elsewhere it is B * T pictures, and the
result is the sum over the kernel's frames (taps), each with the pictures that lie under it.
"""

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.layers.accelerator._arithmetic import Arithmetic, make_arithmetic


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
    """A convolution with a kernel (k, 1, 1), as one of pictures (B, C, T, H * W)."""

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
