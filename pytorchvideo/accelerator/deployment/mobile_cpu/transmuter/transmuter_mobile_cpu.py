# SPDX-License-Identifier: Apache-2.0
"""Efficient blocks for 3-D convolutions: each function returns a block, or None.

A block has neither norm nor activation, so that it computes what the convolution did, and holds the convolution
itself: its weights are those of the model, not copies.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import (
    Conv3d3x1x1BnAct,
    Conv3d3x3x3DwBnAct,
    Conv3d5x1x1BnAct,
    Conv3dPwBnAct,
    Conv3dTemporalKernel1BnAct,
)

_Block = TypeVar("_Block", bound=nn.Module)


def transmute_Conv3dPwBnAct(input_module: nn.Module) -> Conv3dPwBnAct | None:
    """Returns a block for a pointwise convolution."""
    conv = _plain_conv3d(input_module)
    if conv is None or conv.groups != 1 or not _has(conv, (1, 1, 1), (0, 0, 0)):
        return None
    return _with_conv(Conv3dPwBnAct(conv.in_channels, conv.out_channels, **_bare(conv)), conv)


def transmute_Conv3d3x3x3DwBnAct(input_module: nn.Module) -> Conv3d3x3x3DwBnAct | None:
    """Returns a block for a depthwise 3x3x3 convolution, with or without a stride in space."""
    conv = _plain_conv3d(input_module)
    if conv is None or not conv.in_channels == conv.out_channels == conv.groups:
        return None
    stride = conv.stride[1]
    if not _has(conv, (3, 3, 3), (1, 1, 1), (1, stride, stride)):
        return None
    return _with_conv(Conv3d3x3x3DwBnAct(conv.in_channels, stride, **_bare(conv)), conv)


def transmute_Conv3dTemporalKernel1BnAct(
    input_module: nn.Module,
) -> Conv3dTemporalKernel1BnAct | None:
    """Returns a block for a convolution of single frames that is the same in height and width."""
    conv = _plain_conv3d(input_module)
    if conv is None:
        return None
    kernel, stride, dilation = conv.kernel_size[1], conv.stride[1], conv.dilation[1]
    padding = int(conv.padding[1])
    found = (conv.kernel_size, conv.stride, conv.padding, conv.dilation[1:])
    if found != (
        (1, kernel, kernel),
        (1, stride, stride),
        (0, padding, padding),
        (dilation, dilation),
    ):
        return None
    block = Conv3dTemporalKernel1BnAct(
        conv.in_channels,
        conv.out_channels,
        groups=conv.groups,
        spatial_kernel=kernel,
        spatial_stride=stride,
        spatial_padding=padding,
        spatial_dilation=dilation,
        **_bare(conv),
    )
    return _with_conv(block, conv)


def transmute_Conv3d3x1x1BnAct(input_module: nn.Module) -> Conv3d3x1x1BnAct | None:
    """Returns a block for a convolution over three frames that keeps their number."""
    conv = _plain_conv3d(input_module)
    if conv is None or not _has(conv, (3, 1, 1), (1, 0, 0)):
        return None
    block = Conv3d3x1x1BnAct(conv.in_channels, conv.out_channels, conv.groups, **_bare(conv))
    return _with_conv(block, conv)


def transmute_Conv3d5x1x1BnAct(input_module: nn.Module) -> Conv3d5x1x1BnAct | None:
    """Returns a block for a convolution over five frames that keeps their number."""
    conv = _plain_conv3d(input_module)
    if conv is None or not _has(conv, (5, 1, 1), (2, 0, 0)):
        return None
    block = Conv3d5x1x1BnAct(conv.in_channels, conv.out_channels, conv.groups, **_bare(conv))
    return _with_conv(block, conv)


# The first that knows a module wins.
EFFICIENT_BLOCK_TRANSMUTER_MOBILE_CPU: list[Callable[[nn.Module], nn.Module | None]] = [
    transmute_Conv3dPwBnAct,
    transmute_Conv3d3x3x3DwBnAct,
    transmute_Conv3dTemporalKernel1BnAct,
    transmute_Conv3d3x1x1BnAct,
    transmute_Conv3d5x1x1BnAct,
]


def _plain_conv3d(module: nn.Module) -> nn.Conv3d | None:
    """The module, if it is a 3-D convolution padded with a number of zeros, and not of a subclass."""
    if not isinstance(module, nn.Conv3d) or type(module) is not nn.Conv3d:
        return None
    zeros = module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return module if zeros else None


def _has(
    conv: nn.Conv3d,
    kernel: tuple[int, ...],
    padding: tuple[int, ...],
    stride: tuple[int, ...] = (1, 1, 1),
) -> bool:
    """Whether these are its sizes, and it is not dilated."""
    sizes = (conv.kernel_size, conv.padding, conv.stride)
    return sizes == (kernel, padding, stride) and set(conv.dilation) == {1}


def _bare(conv: nn.Conv3d) -> dict[str, Any]:
    """Arguments of a block with neither norm nor activation."""
    return {"bias": conv.bias is not None, "activation": "identity", "use_bn": False}


def _with_conv(block: _Block, conv: nn.Conv3d) -> _Block:
    """The block with this convolution in it."""
    block.set_submodule("kernel.conv", conv)
    return block.train(conv.training)
