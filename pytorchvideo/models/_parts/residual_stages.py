# SPDX-License-Identifier: Apache-2.0
"""Residual stages of bottleneck blocks (arXiv 1512.03385, section 3 and figure 5), in three dimensions."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, cast

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.layers._cpu_fast_path import Chain, run_chain
from pytorchvideo.layers._factories import (
    ModuleFactory,
    Size3,
    build_activation,
    build_norm,
    same_padding,
)
from pytorchvideo.layers._residual_block import BranchFusion, ResBlock, add_branches
from pytorchvideo.layers.convolutions import REDUCTIONS, reduce_maps


class BottleneckBlock(Chain):
    """Three convolutions, each with a norm, the first two with an activation; any part may be None."""

    def __init__(
        self,
        *,
        conv_a: nn.Module | None = None,
        norm_a: nn.Module | None = None,
        act_a: nn.Module | None = None,
        conv_b: nn.Module | None = None,
        norm_b: nn.Module | None = None,
        act_b: nn.Module | None = None,
        conv_c: nn.Module | None = None,
        norm_c: nn.Module | None = None,
    ) -> None:
        super().__init__(
            conv_a=conv_a,
            norm_a=norm_a,
            act_a=act_a,
            conv_b=conv_b,
            norm_b=norm_b,
            act_b=act_b,
            conv_c=conv_c,
            norm_c=norm_c,
        )


class SeparableBottleneckBlock(nn.Module):
    """A bottleneck whose middle has several convolutions side by side, their results added or joined.

    Args:
        conv_a: the first convolution; it and every other layer may be None.
        norm_a: after it.
        act_a: after the norm.
        conv_b: an ``nn.ModuleList`` of the convolutions in the middle; state-dict keys begin ``conv_b.0.``.
        norm_b: an ``nn.ModuleList`` with a norm for each of them.
        act_b: an ``nn.ModuleList`` with an activation for each.
        conv_c: the last convolution; for "cat" it takes the channels of all that are in the middle.
        norm_c: after it.
        reduce_method: "sum" or "cat".

    Raises:
        ValueError: an unknown method, or lists of different lengths.
    """

    def __init__(
        self,
        *,
        conv_a: nn.Module | None,
        norm_a: nn.Module | None,
        act_a: nn.Module | None,
        conv_b: nn.ModuleList,
        norm_b: nn.ModuleList | None,
        act_b: nn.ModuleList | None,
        conv_c: nn.Module | None,
        norm_c: nn.Module | None,
        reduce_method: Literal["sum", "cat"] = "sum",
    ) -> None:
        super().__init__()
        check_choice("reduce_method", reduce_method, REDUCTIONS)
        for name, layers in (("conv_b", conv_b), ("norm_b", norm_b), ("act_b", act_b)):
            if layers is not None and len(layers) != len(conv_b):
                wanted = f"a list with a layer for each of the {len(conv_b)} convolutions"
                raise ValueError(expected(name, wanted, len(layers)))
        self.conv_a, self.norm_a, self.act_a = conv_a, norm_a, act_a
        self.conv_b, self.norm_b, self.act_b = conv_b, norm_b, act_b
        self.conv_c, self.norm_c = conv_c, norm_c
        self.reduce_method = reduce_method

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not torch.jit.is_scripting():
            return self._forward_fast(x)
        x = x if self.conv_a is None else self.conv_a(x)
        x = x if self.norm_a is None else self.norm_a(x)
        x = x if self.act_a is None else self.act_a(x)
        maps = [conv(x) for conv in self.conv_b]
        if self.norm_b is not None:
            for i, norm in enumerate(self.norm_b):
                maps[i] = norm(maps[i])
        if self.act_b is not None:
            for i, act in enumerate(self.act_b):
                maps[i] = act(maps[i])
        x = reduce_maps(maps, self.reduce_method)
        x = x if self.conv_c is None else self.conv_c(x)
        return x if self.norm_c is None else self.norm_c(x)

    def _forward_fast(self, x: torch.Tensor) -> torch.Tensor:
        x = run_chain((self.conv_a, self.norm_a, self.act_a), x)
        none = [None] * len(self.conv_b)
        rows = zip(self.conv_b, self.norm_b or none, self.act_b or none, strict=True)
        x = reduce_maps([run_chain(row, x) for row in rows], self.reduce_method)
        return run_chain((self.conv_c, self.norm_c), x)


class ResStage(nn.Module):
    """Residual blocks that run one after the other."""

    def __init__(self, res_blocks: nn.ModuleList) -> None:
        super().__init__()
        self.res_blocks = res_blocks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.res_blocks:
            x = block(x)
        return x


@dataclass(frozen=True)
class BlockSpec:
    """Arguments of the residual blocks of a stage, besides their channels; see :func:`create_bottleneck_block`.

    Attributes:
        bottleneck: builds the residual, called with the channels and all the other attributes.
    """

    bottleneck: ModuleFactory
    conv_a_kernel_size: Size3 = (3, 1, 1)
    conv_a_stride: Size3 = (2, 1, 1)
    conv_a_padding: Size3 = (1, 0, 0)
    conv_a: ModuleFactory = nn.Conv3d
    conv_b_kernel_size: Size3 = (1, 3, 3)
    conv_b_stride: Size3 = (1, 2, 2)
    conv_b_padding: Size3 = (0, 1, 1)
    conv_b_num_groups: int = 1
    conv_b_dilation: Size3 = (1, 1, 1)
    conv_b: ModuleFactory = nn.Conv3d
    conv_c: ModuleFactory = nn.Conv3d
    norm: ModuleFactory | None = nn.BatchNorm3d
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    activation: ModuleFactory | None = nn.ReLU

    def build(
        self,
        dim_in: int,
        dim_inner: int,
        dim_out: int,
        *,
        use_shortcut: bool = False,
        branch_fusion: BranchFusion = add_branches,
        conv_skip: ModuleFactory = nn.Conv3d,
        activation: ModuleFactory | None,
    ) -> ResBlock:
        """Builds a block, (B, dim_in, T, H, W) -> (B, dim_out, T', H', W'), with ``activation`` after the sum.

        The shortcut is a strided 1x1x1 ``conv_skip`` with a norm where the residual changes the shape, or where
        ``use_shortcut`` asks for one; else it is the identity.
        """
        stride = tuple(a * b for a, b in zip(self.conv_a_stride, self.conv_b_stride, strict=True))
        branch1_conv = branch1_norm = None
        if use_shortcut or dim_in != dim_out or math.prod(stride) != 1:
            branch1_conv = conv_skip(
                in_channels=dim_in, out_channels=dim_out, kernel_size=1, stride=stride, bias=False
            )
            branch1_norm = build_norm(self.norm, dim_out, self.norm_eps, self.norm_momentum)
        arguments = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "bottleneck"}
        return ResBlock(
            branch1_conv=branch1_conv,
            branch1_norm=branch1_norm,
            branch2=self.bottleneck(
                dim_in=dim_in, dim_inner=dim_inner, dim_out=dim_out, **arguments
            ),
            activation=build_activation(activation),
            branch_fusion=branch_fusion,
        )

    def build_stage(
        self,
        depth: int,
        dim_in: int,
        dim_inner: int,
        dim_out: int,
        *,
        conv_a_sizes: Sequence[tuple[Size3, Size3]] = (),
    ) -> ResStage:
        """Builds ``depth`` blocks; the first changes channels and strides, the others keep them.

        ``conv_a_sizes`` are pairs of a kernel and its padding, repeated over the depth, in the place of one for all.
        """
        blocks = []
        for i in range(depth):
            spec = replace(self, conv_a_stride=(1, 1, 1), conv_b_stride=(1, 1, 1)) if i else self
            if conv_a_sizes:
                kernel, padding = conv_a_sizes[i % len(conv_a_sizes)]
                spec = replace(spec, conv_a_kernel_size=kernel, conv_a_padding=padding)
            blocks.append(
                spec.build(dim_out if i else dim_in, dim_inner, dim_out, activation=self.activation)
            )
        return ResStage(res_blocks=nn.ModuleList(blocks))


def build_stages(
    specs: Sequence[BlockSpec],
    depths: Sequence[int],
    stem_dim_out: int,
    *,
    bottleneck_ratio: int = 4,
    conv_a_kernel_sizes: Sequence[Sequence[Size3]] = ((),) * 4,
) -> list[ResStage]:
    """Builds the four stages of a network: four times the channels of its stem, then twice those of the last stage.

    Args:
        specs: the blocks of each stage.
        depths: how many there are.
        stem_dim_out: channels of the stem.
        bottleneck_ratio: channels of a stage over those inside its bottlenecks.
        conv_a_kernel_sizes: of each stage, kernels to repeat over its blocks in the place of that of its spec.
    """
    stages, dim_in, dim_out = [], stem_dim_out, stem_dim_out * 4
    for spec, depth, kernels in zip(specs, depths, conv_a_kernel_sizes, strict=True):
        sizes = [(kernel, same_padding(kernel)) for kernel in kernels]
        dim_inner = dim_out // bottleneck_ratio
        stages.append(spec.build_stage(depth, dim_in, dim_inner, dim_out, conv_a_sizes=sizes))
        dim_in, dim_out = dim_out, dim_out * 2
    return stages


def create_bottleneck_block(
    *,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    conv_a_kernel_size: Size3 = (3, 1, 1),
    conv_a_stride: Size3 = (2, 1, 1),
    conv_a_padding: Size3 = (1, 0, 0),
    conv_a: ModuleFactory = nn.Conv3d,
    conv_b_kernel_size: Size3 = (1, 3, 3),
    conv_b_stride: Size3 = (1, 2, 2),
    conv_b_padding: Size3 = (0, 1, 1),
    conv_b_num_groups: int = 1,
    conv_b_dilation: Size3 = (1, 1, 1),
    conv_b: ModuleFactory = nn.Conv3d,
    conv_c: ModuleFactory = nn.Conv3d,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> BottleneckBlock:
    """Builds a bottleneck, (B, dim_in, T, H, W) -> (B, dim_out, T', H', W').

    ``conv_a`` and ``conv_b`` are given by their sizes (T, H, W), ``conv_c`` is 1x1x1; none has a bias. ``norm``
    is called with the channels, eps and momentum, ``activation`` with nothing; either may be None.
    """

    norm_args = {"eps": norm_eps, "momentum": norm_momentum}
    return BottleneckBlock(
        conv_a=conv_a(
            in_channels=dim_in,
            out_channels=dim_inner,
            kernel_size=tuple(conv_a_kernel_size),
            stride=tuple(conv_a_stride),
            padding=tuple(conv_a_padding),
            bias=False,
        ),
        norm_a=build_norm(norm, dim_inner, **norm_args),
        act_a=build_activation(activation),
        conv_b=conv_b(
            in_channels=dim_inner,
            out_channels=dim_inner,
            kernel_size=tuple(conv_b_kernel_size),
            stride=tuple(conv_b_stride),
            padding=tuple(conv_b_padding),
            bias=False,
            groups=conv_b_num_groups,
            dilation=tuple(conv_b_dilation),
        ),
        norm_b=build_norm(norm, dim_inner, **norm_args),
        act_b=build_activation(activation),
        conv_c=conv_c(
            in_channels=dim_inner, out_channels=dim_out, kernel_size=(1, 1, 1), bias=False
        ),
        norm_c=build_norm(norm, dim_out, **norm_args),
    )


def create_acoustic_bottleneck_block(
    *,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    conv_a_kernel_size: Size3 = (3, 1, 1),
    conv_a_stride: Size3 = (2, 1, 1),
    conv_a_padding: Size3 = (1, 0, 0),
    conv_a: ModuleFactory = nn.Conv3d,
    conv_b_kernel_size: Size3 = (1, 1, 1),
    conv_b_stride: Size3 = (1, 1, 1),
    conv_b_padding: Size3 = (0, 0, 0),
    conv_b_num_groups: int = 1,
    conv_b_dilation: Size3 = (1, 1, 1),
    conv_b: ModuleFactory = nn.Conv3d,
    conv_c: ModuleFactory = nn.Conv3d,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> SeparableBottleneckBlock:
    """Builds a bottleneck for spectrograms (arXiv 2001.08740), (B, dim_in, T, 1, F) -> (B, dim_out, T', 1, F').

    Arguments are those of :func:`create_bottleneck_block`. In the middle a convolution over space, here frequency,
    and one over time run side by side, both with ``conv_b_stride``: a kernel (T, H, W) becomes (1, H, W), index 0,
    and (T, 1, 1), index 1. Their results are added.
    """
    sizes = (conv_b_kernel_size, conv_b_padding, conv_b_dilation)
    (kernel, *kernels), (pad, *pads), (dilation, *dilations) = sizes
    spatial: Any = create_bottleneck_block(
        dim_in=dim_in,
        dim_inner=dim_inner,
        dim_out=dim_out,
        conv_a_kernel_size=conv_a_kernel_size,
        conv_a_stride=conv_a_stride,
        conv_a_padding=conv_a_padding,
        conv_a=conv_a,
        conv_b_kernel_size=(1, *kernels),
        conv_b_stride=conv_b_stride,
        conv_b_padding=(0, *pads),
        conv_b_num_groups=conv_b_num_groups,
        conv_b_dilation=(1, *dilations),
        conv_b=conv_b,
        conv_c=conv_c,
        norm=norm,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        activation=activation,
    )
    temporal = conv_b(
        in_channels=dim_inner,
        out_channels=dim_inner,
        kernel_size=(kernel, 1, 1),
        stride=tuple(conv_b_stride),
        padding=(pad, 0, 0),
        bias=False,
        groups=conv_b_num_groups,
        dilation=(dilation, 1, 1),
    )
    return SeparableBottleneckBlock(
        conv_a=spatial.conv_a,
        norm_a=spatial.norm_a,
        act_a=spatial.act_a,
        conv_b=nn.ModuleList([spatial.conv_b, temporal]),
        norm_b=_pair(spatial.norm_b, build_norm(norm, dim_inner, norm_eps, norm_momentum)),
        act_b=_pair(spatial.act_b, build_activation(activation)),
        conv_c=spatial.conv_c,
        norm_c=spatial.norm_c,
    )


def _pair(first: nn.Module | None, second: nn.Module | None) -> nn.ModuleList | None:
    return None if first is None or second is None else nn.ModuleList([first, second])


def create_res_block(
    *,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    bottleneck: ModuleFactory,
    use_shortcut: bool = False,
    branch_fusion: BranchFusion = add_branches,
    conv_a_kernel_size: Size3 = (3, 1, 1),
    conv_a_stride: Size3 = (2, 1, 1),
    conv_a_padding: Size3 = (1, 0, 0),
    conv_a: ModuleFactory = nn.Conv3d,
    conv_b_kernel_size: Size3 = (1, 3, 3),
    conv_b_stride: Size3 = (1, 2, 2),
    conv_b_padding: Size3 = (0, 1, 1),
    conv_b_num_groups: int = 1,
    conv_b_dilation: Size3 = (1, 1, 1),
    conv_b: ModuleFactory = nn.Conv3d,
    conv_c: ModuleFactory = nn.Conv3d,
    conv_skip: ModuleFactory = nn.Conv3d,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation_bottleneck: ModuleFactory | None = nn.ReLU,
    activation_block: ModuleFactory | None = nn.ReLU,
) -> ResBlock:
    """Builds a residual block around ``bottleneck``, whose arguments are those of the function above.

    The shortcut is a strided 1x1x1 ``conv_skip`` with a norm where the residual changes the shape, or where
    ``use_shortcut`` asks for one; else it is the identity.
    """
    spec = BlockSpec(
        bottleneck,
        conv_a_kernel_size=conv_a_kernel_size,
        conv_a_stride=conv_a_stride,
        conv_a_padding=conv_a_padding,
        conv_a=conv_a,
        conv_b_kernel_size=conv_b_kernel_size,
        conv_b_stride=conv_b_stride,
        conv_b_padding=conv_b_padding,
        conv_b_num_groups=conv_b_num_groups,
        conv_b_dilation=conv_b_dilation,
        conv_b=conv_b,
        conv_c=conv_c,
        norm=norm,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        activation=activation_bottleneck,
    )
    return spec.build(
        dim_in,
        dim_inner,
        dim_out,
        use_shortcut=use_shortcut,
        branch_fusion=branch_fusion,
        conv_skip=conv_skip,
        activation=activation_block,
    )


def create_res_stage(
    *,
    depth: int,
    dim_in: int,
    dim_inner: int,
    dim_out: int,
    bottleneck: ModuleFactory,
    conv_a_kernel_size: Size3 | Sequence[Size3] = (3, 1, 1),
    conv_a_stride: Size3 = (2, 1, 1),
    conv_a_padding: Size3 | Sequence[Size3] = (1, 0, 0),
    conv_a: ModuleFactory = nn.Conv3d,
    conv_b_kernel_size: Size3 = (1, 3, 3),
    conv_b_stride: Size3 = (1, 2, 2),
    conv_b_padding: Size3 = (0, 1, 1),
    conv_b_num_groups: int = 1,
    conv_b_dilation: Size3 = (1, 1, 1),
    conv_b: ModuleFactory = nn.Conv3d,
    conv_c: ModuleFactory = nn.Conv3d,
    norm: ModuleFactory | None = nn.BatchNorm3d,
    norm_eps: float = 1e-5,
    norm_momentum: float = 0.1,
    activation: ModuleFactory | None = nn.ReLU,
) -> ResStage:
    """Builds ``depth`` residual blocks; the first changes channels and strides, the others keep them.

    ``conv_a_kernel_size`` and ``conv_a_padding`` may be lists of sizes, repeated over the depth of the stage.
    """
    kernels, paddings = size_list(conv_a_kernel_size), size_list(conv_a_padding)
    period = math.lcm(len(kernels), len(paddings))
    sizes = [(kernels[i % len(kernels)], paddings[i % len(paddings)]) for i in range(period)]
    spec = BlockSpec(
        bottleneck,
        conv_a_stride=conv_a_stride,
        conv_a=conv_a,
        conv_b_kernel_size=conv_b_kernel_size,
        conv_b_stride=conv_b_stride,
        conv_b_padding=conv_b_padding,
        conv_b_num_groups=conv_b_num_groups,
        conv_b_dilation=conv_b_dilation,
        conv_b=conv_b,
        conv_c=conv_c,
        norm=norm,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        activation=activation,
    )
    return spec.build_stage(depth, dim_in, dim_inner, dim_out, conv_a_sizes=sizes)


def size_list(sizes: Size3 | Sequence[Size3]) -> list[Size3]:
    """One size, or a list of sizes, as a list of sizes."""
    return [cast(Size3, sizes)] if isinstance(sizes[0], int) else list(cast(Sequence[Size3], sizes))
