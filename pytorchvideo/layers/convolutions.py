# SPDX-License-Identifier: Apache-2.0
"""Convolutions made of several: one after the other (R(2+1)D, arXiv 1711.11248), or side by side."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.layers._cpu_fast_path import Chain
from pytorchvideo.layers._factories import ModuleFactory, Size3, build_activation, build_norm, size3

REDUCTIONS = ("sum", "cat")


def reduce_maps(maps: list[torch.Tensor], method: str) -> torch.Tensor:
    """Adds feature maps of one shape, or joins their channels for ``method="cat"``."""
    if method == "cat":
        return torch.cat(maps, dim=1)
    total = maps[0]
    for one in maps[1:]:
        total = total + one
    return total


class ConvReduce3D(nn.Module):
    """Convolutions side by side on one input, their results added or joined.

    (B, in_channels, T, H, W) -> (B, out_channels, T', H', W'), with as many times the channels for "cat" as there
    are convolutions. State-dict keys begin ``convs.0.``.

    Args:
        in_channels: channels of the input.
        out_channels: channels after each convolution.
        kernel_size: a size for each convolution, one number or (T, H, W).
        stride: a stride for each; None here, or in place of an entry, is the default of ``nn.Conv3d``. The same
            holds for the arguments that follow.
        padding: a padding for each.
        padding_mode: a mode for each.
        dilation: a dilation for each.
        groups: a number of groups for each.
        bias: for each, whether it has a bias.
        reduction_method: "sum" or "cat".

    Raises:
        ValueError: an argument has not an entry a kernel, or an unknown reduction.

    >>> kernels, paddings = ((9, 1, 1), (1, 1, 9)), ((4, 0, 0), (0, 0, 4))
    >>> conv = ConvReduce3D(in_channels=1, out_channels=4, kernel_size=kernels, padding=paddings)
    >>> conv(torch.zeros(2, 1, 64, 1, 80)).shape
    torch.Size([2, 4, 64, 1, 80])
    """

    def __init__(
        self,
        *,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int | Size3],
        stride: Sequence[int | Size3 | None] | None = None,
        padding: Sequence[int | Size3 | str | None] | None = None,
        padding_mode: Sequence[str | None] | None = None,
        dilation: Sequence[int | Size3 | None] | None = None,
        groups: Sequence[int | None] | None = None,
        bias: Sequence[bool | None] | None = None,
        reduction_method: Literal["sum", "cat"] = "sum",
    ) -> None:
        super().__init__()
        check_choice("reduction_method", reduction_method, REDUCTIONS)
        self.reduction_method = reduction_method
        arguments: dict[str, Sequence[Any] | None] = {
            "kernel_size": kernel_size,
            "stride": stride,
            "padding": padding,
            "padding_mode": padding_mode,
            "dilation": dilation,
            "groups": groups,
            "bias": bias,
        }
        given = {name: entries for name, entries in arguments.items() if entries is not None}
        for name, entries in given.items():
            if (
                not isinstance(entries, (list, tuple))
                or len(entries) != len(kernel_size)
                or not entries
            ):
                raise ValueError(expected(name, "a list with an entry for each kernel", entries))
        self.convs = nn.ModuleList()
        for i in range(len(kernel_size)):
            own = {name: entries[i] for name, entries in given.items() if entries[i] is not None}
            self.convs.append(nn.Conv3d(in_channels, out_channels, **own))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return reduce_maps([conv(x) for conv in self.convs], self.reduction_method)


class Conv2plus1d(Chain):
    """Two convolutions with a norm and an activation between them: ``conv_t``, norm, activation, ``conv_xy``.

    Args:
        conv_t: runs first, unless ``conv_xy_first``.
        norm: between the two, or None.
        activation: after the norm, or None.
        conv_xy: runs last, unless ``conv_xy_first``.
        conv_xy_first: swaps the two convolutions.
    """

    def __init__(
        self,
        *,
        conv_t: nn.Module | None = None,
        norm: nn.Module | None = None,
        activation: nn.Module | None = None,
        conv_xy: nn.Module | None = None,
        conv_xy_first: bool = False,
    ) -> None:
        if conv_t is None or conv_xy is None:
            raise ValueError(expected("conv_t and conv_xy", "modules", (conv_t, conv_xy)))
        first, last = {"conv_t": conv_t}, {"conv_xy": conv_xy}
        if conv_xy_first:
            first, last = last, first
        super().__init__(**first, norm=norm, activation=activation, **last)
        self.conv_xy_first = conv_xy_first


def create_conv_2plus1d(
    *,
    in_channels: int,
    out_channels: int,
    inner_channels: int | None = None,
    conv_xy_first: bool = False,
    kernel_size: Size3 = (3, 3, 3),
    stride: Size3 = (2, 2, 2),
    padding: Size3 = (1, 1, 1),
    bias: bool = False,
    dilation: Size3 = (1, 1, 1),
    groups: int = 1,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> Conv2plus1d:
    """Builds a (2+1)-D convolution, (B, in_channels, T, H, W) -> (B, out_channels, T', H', W').

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        inner_channels: channels between the two convolutions; None is ``out_channels``.
        conv_xy_first: the spatial convolution runs before the temporal one.
        kernel_size: (T, H, W); the first goes to the temporal, the others to the spatial convolution.
        stride: (T, H, W), shared out in the same way.
        padding: (T, H, W), shared out in the same way.
        bias: whether the convolutions have a bias.
        dilation: must be 1 in every dimension.
        groups: must be 1.
        norm: the norm between the two, called with channels, eps and momentum; None for none.
        norm_eps: eps of the norm.
        norm_momentum: momentum of the norm.
        activation: the activation after the norm; None for none.

    Raises:
        ValueError: ``groups`` or ``dilation`` is not 1.
    """
    if groups != 1:
        raise ValueError(expected("groups", "1", groups))
    if any(d != 1 for d in dilation):
        raise ValueError(expected("dilation", "(1, 1, 1)", dilation))
    inner = out_channels if inner_channels is None else inner_channels
    (kernel_t, *kernel_xy), (stride_t, *stride_xy), (pad_t, *pad_xy) = kernel_size, stride, padding
    first, last = (in_channels, inner), (inner, out_channels)
    temporal, spatial = (last, first) if conv_xy_first else (first, last)
    return Conv2plus1d(
        conv_t=nn.Conv3d(
            *temporal,
            kernel_size=(kernel_t, 1, 1),
            stride=(stride_t, 1, 1),
            padding=(pad_t, 0, 0),
            bias=bias,
        ),
        norm=build_norm(norm, inner, norm_eps, norm_momentum),
        activation=build_activation(activation),
        conv_xy=nn.Conv3d(
            *spatial,
            kernel_size=size3((1, *kernel_xy)),
            stride=size3((1, *stride_xy)),
            padding=size3((0, *pad_xy)),
            bias=bias,
        ),
        conv_xy_first=conv_xy_first,
    )
