# SPDX-License-Identifier: Apache-2.0
"""Networks with several pathways: each a residual network, with fusions between them (arXiv 1812.03982)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo._text import counted
from pytorchvideo.layers._cpu_fast_path import is_recorded
from pytorchvideo.layers._factories import ModuleFactory, Size3, same_padding
from pytorchvideo.models._parts.head_parts import apply_pool, make_pool
from pytorchvideo.models._parts.residual_stages import BlockSpec, ResStage, size_list
from pytorchvideo.models.net import MultiPathWayWithFuse, check_scriptable
from pytorchvideo.models.resnet import STAGE_DEPTHS

# A stage of 18 layers in bottlenecks is one of them.
_DEPTHS = {18: (1, 1, 1, 1), **STAGE_DEPTHS}


@dataclass(frozen=True)
class Pathway:
    """One pathway: its stem, and what its four stages have of their own. Sizes are (T, H, W).

    Args:
        input_channels: channels of its input.
        stem: builds the stem.
        stem_dim_out: channels after the stem; a stage has four times, then twice as many as before.
        stem_conv_kernel_size: of the stem's convolution.
        stem_conv_stride: likewise.
        stem_pool: builds the pool of the stem, or None.
        stem_pool_kernel_size: of this pool.
        stem_pool_stride: likewise.
        conv_a_kernel_sizes: of the first convolution in a bottleneck, a size or a list of sizes a stage.
        conv_b_kernel_sizes: of the second, a size a stage.
        conv_b_num_groups: its groups.
        conv_b_dilations: its dilations.
        spatial_strides: of the stages.
        temporal_strides: likewise.
        bottlenecks: builds the bottlenecks of a stage.
    """

    input_channels: int
    stem: ModuleFactory
    stem_dim_out: int
    stem_conv_kernel_size: Size3
    stem_conv_stride: Size3
    stem_pool: ModuleFactory | None
    stem_pool_kernel_size: Size3
    stem_pool_stride: Size3
    conv_a_kernel_sizes: Sequence[Any]
    conv_b_kernel_sizes: Sequence[Size3]
    conv_b_num_groups: Sequence[int]
    conv_b_dilations: Sequence[Size3]
    spatial_strides: Sequence[int]
    temporal_strides: Sequence[int]
    bottlenecks: Sequence[ModuleFactory]

    def stage_dim_out(self, stage: int) -> int:
        """Channels after the stem (0) or a stage (1 to 4)."""
        return self.stem_dim_out * 2 ** (stage + 1) if stage else self.stem_dim_out

    @property
    def dim_out(self) -> int:
        """Channels after the last stage."""
        return self.stage_dim_out(4)

    def build_stem(self, **shared: Any) -> nn.Module:
        """Builds the stem; ``shared`` are the norm and the activation of the network."""
        return self.stem(
            in_channels=self.input_channels,
            out_channels=self.stem_dim_out,
            conv_kernel_size=self.stem_conv_kernel_size,
            conv_stride=self.stem_conv_stride,
            conv_padding=same_padding(self.stem_conv_kernel_size),
            pool=self.stem_pool,
            pool_kernel_size=self.stem_pool_kernel_size,
            pool_stride=self.stem_pool_stride,
            pool_padding=same_padding(self.stem_pool_kernel_size),
            **shared,
        )

    def build_stage(self, stage: int, depth: int, dim_in: int, **shared: Any) -> ResStage:
        """Builds a stage, 1 to 4, of ``depth`` blocks."""
        i, dim_out = stage - 1, self.stage_dim_out(stage)
        kernels = self.conv_a_kernel_sizes[i]
        spec = BlockSpec(
            self.bottlenecks[i],
            conv_a_stride=(self.temporal_strides[i], 1, 1),
            conv_b_kernel_size=self.conv_b_kernel_sizes[i],
            conv_b_stride=(1, self.spatial_strides[i], self.spatial_strides[i]),
            conv_b_padding=same_padding(self.conv_b_kernel_sizes[i], self.conv_b_dilations[i]),
            conv_b_num_groups=self.conv_b_num_groups[i],
            conv_b_dilation=self.conv_b_dilations[i],
            **shared,
        )
        sizes = [(kernel, same_padding(kernel)) for kernel in size_list(kernels)]
        return spec.build_stage(depth, dim_in, dim_out // 4, dim_out, conv_a_sizes=sizes)


def pathways_of(input_channels: Sequence[int], **lists: Any) -> list[Pathway]:
    """Makes pathways of lists with an entry a pathway, named like the fields of :class:`Pathway`.

    A single ``stem_pool``, ``stem`` or builder of bottlenecks stands for all pathways, and a builder in the place of a
    list of ``bottlenecks`` for all stages of its pathway.

    Raises:
        ValueError: a list has not an entry a pathway.
    """
    count = len(input_channels)
    for name in ("bottlenecks", "stem", "stem_pool"):
        if not isinstance(lists[name], (list, tuple)):
            lists[name] = [lists[name]] * count
    lists["bottlenecks"] = [(one,) * 4 if callable(one) else one for one in lists["bottlenecks"]]
    columns = [input_channels, *(lists[field.name] for field in fields(Pathway)[1:])]
    for field, column in zip(fields(Pathway), columns, strict=True):
        if len(column) != count:
            wanted = f"a list with an entry for each of the {count} pathways"
            raise ValueError(expected(field.name, wanted, column))
    return [Pathway(*row) for row in zip(*columns, strict=True)]


def build_stages(
    pathways: Sequence[Pathway],
    model_depth: int,
    fusion_builder: Callable[..., nn.Module],
    *,
    fused_ratio: float,
    norm: ModuleFactory | None,
    activation: ModuleFactory | None,
) -> list[nn.Module]:
    """Builds the stems and the four stages of all pathways, each followed by its fusion.

    Args:
        pathways: the first is the one that the fusions add channels to.
        model_depth: 18, 50, 101 or 152.
        fusion_builder: called with ``fusion_dim_in``, the channels of the first pathway, and ``stage_idx``.
        fused_ratio: channels that a fusion adds over those of the first pathway.
        norm: of all pathways.
        activation: likewise.

    Raises:
        ValueError: an unknown depth.
    """
    if model_depth not in _DEPTHS:
        raise ValueError(expected("model_depth", f"one of {sorted(_DEPTHS)}", model_depth))
    shared = {"norm": norm, "activation": activation}
    blocks: list[nn.Module] = []
    for stage in range(5):
        parts = []
        for number, pathway in enumerate(pathways):
            if stage == 0:
                parts.append(pathway.build_stem(**shared))
                continue
            dim_in = pathway.stage_dim_out(stage - 1)
            dim_in += 0 if number else int(dim_in * fused_ratio)
            depth = _DEPTHS[model_depth][stage - 1]
            parts.append(pathway.build_stage(stage, depth, dim_in, **shared))
        fusion = fusion_builder(fusion_dim_in=pathways[0].stage_dim_out(stage), stage_idx=stage)
        blocks.append(
            MultiPathWayWithFuse(
                multipathway_blocks=nn.ModuleList(parts), multipathway_fusion=fusion
            )
        )
    return blocks


class NoFusion(nn.Identity):
    """The fusion after a stage that has none."""

    def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:  # type: ignore[override]
        return x


class PoolConcatPathway(nn.Module):
    """Pools every pathway and joins the results.

    Args:
        retain_list: return the joined map in a list of one.
        pool: a pool a pathway, each of which may be None; None for none at all.
        dim: the dimension along which they are joined.
    """

    # known when TorchScript compiles
    __constants__ = ("dim", "retain_list")

    def __init__(
        self, retain_list: bool = False, pool: nn.ModuleList | None = None, dim: int = 1
    ) -> None:
        super().__init__()
        self.retain_list = retain_list
        self.pool = pool
        self.dim = dim

    def forward(self, x: list[torch.Tensor]) -> torch.Tensor:
        if torch.jit.is_scripting():
            if self.pool is not None:
                if len(self.pool) != len(x):
                    raise ValueError("Expected `x` to be a list of tensors, one a pathway.")
                pooled: list[torch.Tensor] = []
                for i, pool in enumerate(self.pool):
                    pooled.append(pool(x[i]))
                x = pooled
        else:
            x = self._pooled(x)
        joined = torch.cat(x, dim=self.dim)
        if self.retain_list:
            return [joined]  # type: ignore[return-value]
        return joined

    def __prepare_scriptable__(self) -> nn.Module:
        check_scriptable("pool", self.pool)
        return self

    def _pooled(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
        if self.pool is None:
            return x if isinstance(x, torch.fx.Proxy) else list(x)
        if not isinstance(x, torch.fx.Proxy) and len(x) != len(self.pool):
            raise ValueError(
                expected("x", f"a list of {counted(len(self.pool), 'tensor')}", len(x))
            )
        return [
            x[i] if pool is None else apply_pool(pool, x[i]) for i, pool in enumerate(self.pool)
        ]


class ConcatPathway(nn.Module):
    """Joins the channels of all pathways at the positions (T, H, W) of the first; others are averaged to these."""

    def __init__(self, num_pathways: int) -> None:
        super().__init__()
        self.num_pathways = num_pathways

    def forward(self, x: list[torch.Tensor]) -> torch.Tensor:
        frames, height, width = x[0].shape[2:]
        maps = [x[0]]
        for i in range(1, self.num_pathways):
            maps.append(F.adaptive_avg_pool3d(x[i], (frames, height, width)))
        return torch.cat(maps, dim=1)


def create_pool_concat(
    pool: ModuleFactory | None,
    kernel_sizes: Sequence[Size3],
    output_size: Size3,
    num_pathways: int,
) -> PoolConcatPathway | ConcatPathway:
    """Builds the pools of all pathways, by kernel or by output size, whose results are joined.

    Without a pool the positions of the first pathway are kept.
    """
    if pool is None:
        return ConcatPathway(num_pathways)
    if len(kernel_sizes) != num_pathways:
        wanted = f"a size for each of the {num_pathways} pathways"
        raise ValueError(expected("head_pool_kernel_sizes", wanted, kernel_sizes))
    pools: list[Any] = [
        make_pool(
            pool, output_size=output_size, kernel_size=size, stride=(1, 1, 1), padding=(0, 0, 0)
        )
        for size in kernel_sizes
    ]
    return PoolConcatPathway(pool=nn.ModuleList(pools))


def check_same_frames(slow: torch.Tensor, other: torch.Tensor, fused: torch.Tensor) -> None:
    """Raises a ValueError where a fusion does not bring a pathway to the frames of the slow one."""
    if is_recorded(fused):
        return
    if fused.shape[2] != slow.shape[2]:
        raise ValueError(
            f"Expected pathways that the fusion brings to the same frames, but got {slow.shape[2]} and "
            f"{other.shape[2]}, of which it makes {fused.shape[2]}. Take the frames as the model's recipe does."
        )
