# SPDX-License-Identifier: Apache-2.0
"""Shapes in a multiscale vision transformer: input, patch grid, and each block."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import whole_numbers
from pytorchvideo.layers.utils import round_width


def input_sizes(
    spatial_size: int | Sequence[int], temporal_size: int, *, use_2d_patch: bool
) -> tuple[int, ...]:
    """Returns (T, H, W) of clips, (H, W) of pictures.

    Raises:
        ValueError: the sizes are no whole numbers >= 1, or pictures have several frames.

    >>> input_sizes(224, 16, use_2d_patch=False)
    (16, 224, 224)
    """
    sides = spatial_size if isinstance(spatial_size, Sequence) else [spatial_size] * 2
    numbers = whole_numbers("spatial_size", sides)
    if len(numbers) != 2:
        raise ValueError(expected("spatial_size", "one number, or two (H, W)", spatial_size))
    frames = whole_numbers("temporal_size", [temporal_size])
    if not use_2d_patch:
        return frames + numbers
    if frames != (1,):
        raise ValueError(expected("temporal_size", "1 with use_2d_patch=True", temporal_size))
    return numbers


def patch_grid(
    size: tuple[int, ...], kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]
) -> tuple[int, ...]:
    """Returns what a patch convolution leaves of an input of this size, (T, H, W) or (H, W).

    Raises:
        ValueError: the convolution has not as many sizes, or leaves nothing.

    >>> patch_grid((16, 224, 224), (3, 7, 7), (2, 4, 4), (1, 3, 3))
    (8, 56, 56)
    """
    letters = "(T, H, W)" if len(size) == 3 else "(H, W), as use_2d_patch=True asks for"
    for name, sizes in (("kernel", kernel), ("stride", stride), ("padding", padding)):
        if not hasattr(sizes, "__len__") or len(sizes) != len(size):
            wanted = f"{len(size)} numbers {letters}"
            raise ValueError(expected(f"conv_patch_embed_{name}", wanted, sizes))
    rows = zip(size, kernel, stride, padding, strict=True)
    grid = tuple((s + 2 * pad - k) // step + 1 for s, k, step, pad in rows)
    if min(grid) < 1:
        wanted = f"at least as large as the patches {tuple(kernel)}"
        raise ValueError(expected("temporal_size, spatial_size", wanted, size))
    return grid


@dataclass(frozen=True)
class BlockShape:
    """What differs from block to block; sizes are (T, H, W), None where nothing is pooled."""

    dim: int
    dim_out: int
    num_heads: int
    kernel_q: tuple[int, ...] | None = None
    stride_q: tuple[int, ...] | None = None
    kernel_kv: tuple[int, ...] | None = None
    stride_kv: tuple[int, ...] | None = None


def block_shapes(
    depth: int,
    dim: int,
    num_heads: int,
    *,
    dim_mul: Sequence[Sequence[float]] | None = None,
    head_mul: Sequence[Sequence[float]] | None = None,
    dim_mul_in_att: bool = False,
    q_strides: Sequence[Sequence[int]] | None = None,
    kv_strides: Sequence[Sequence[int]] | None = None,
    kv_stride_adaptive: Sequence[int] | None = None,
    kernel: Sequence[int] | None = None,
) -> list[BlockShape]:
    """Returns the shapes of all blocks from tables with a row ``[block, value, ...]`` for each change.

    Widths change in the MLP of the block before, or in the attention of the block itself.

    >>> for shape in block_shapes(2, 96, 1, dim_mul=[[1, 2.0]], head_mul=[[1, 2.0]]):
    ...     print(shape.dim, shape.dim_out, shape.num_heads)
    96 192 1
    192 192 2
    """
    if kv_strides and kv_stride_adaptive is not None:
        wanted = "None where pool_kv_stride_adaptive is given"
        raise ValueError(expected("pool_kv_stride_size", wanted, kv_strides))
    wider = _table("embed_dim_mul", dim_mul, "[block, factor]")
    heads_by = _table("atten_head_mul", head_mul, "[block, factor]")
    q_stride_of = _table("pool_q_stride_size", q_strides, "[block, T, H, W]")
    kv_stride_of = _table("pool_kv_stride_size", kv_strides, "[block, T, H, W]")
    adaptive = _three("pool_kv_stride_adaptive", kv_stride_adaptive)
    kernel = _three("pool_kvq_kernel", kernel)
    shapes = []
    for i in range(depth):
        num_heads = round_width(num_heads, heads_by.get(i, (1.0,))[0], min_width=1, divisor=1)
        next_heads = heads_by.get(i + 1, (1.0,))[0]
        changing, divisor = (i, num_heads) if dim_mul_in_att else (i + 1, num_heads * next_heads)
        factor = wider.get(changing, (1.0,))[0]
        dim_out = round_width(dim, factor, min_width=1, divisor=max(1, round(divisor)))
        stride_q = q_stride_of.get(i)
        if adaptive is not None and stride_q is not None:
            pairs = zip(adaptive, stride_q, strict=True)
            adaptive = tuple(max(kv // q, 1) for kv, q in pairs)
        stride_kv = kv_stride_of.get(i) if adaptive is None else adaptive
        shapes.append(
            BlockShape(
                dim=dim,
                dim_out=dim_out,
                num_heads=num_heads,
                kernel_q=_kernel(kernel, stride_q),
                stride_q=stride_q,
                kernel_kv=_kernel(kernel, stride_kv),
                stride_kv=stride_kv,
            )
        )
        dim = dim_out
    return shapes


def _table(
    name: str, rows: Sequence[Sequence[Any]] | None, row_of: str
) -> dict[int, tuple[Any, ...]]:
    """Rows by their block, without it; a ValueError unless each is as long as ``row_of`` says."""
    count = row_of.count(",") + 1
    for row in rows or ():
        if not hasattr(row, "__len__") or len(row) != count:
            raise ValueError(expected(name, f"rows {row_of}", rows))
    return {int(row[0]): tuple(row[1:]) for row in rows or ()}


def _three(name: str, sizes: Sequence[int] | None) -> tuple[int, ...] | None:
    if sizes is None:
        return None
    numbers = whole_numbers(name, sizes)
    if len(numbers) != 3:
        raise ValueError(expected(name, "three numbers (T, H, W)", sizes))
    return numbers


def _kernel(kernel: Sequence[int] | None, stride: tuple[int, ...] | None) -> tuple[int, ...] | None:
    if stride is None:
        return None
    return tuple(s + 1 if s > 1 else s for s in stride) if kernel is None else tuple(kernel)
