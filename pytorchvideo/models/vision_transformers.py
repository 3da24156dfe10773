# SPDX-License-Identifier: Apache-2.0
"""Multiscale vision transformers: tokens get fewer and wider from block to block (MViT, arXiv 2104.11227, table 2).

For a clip (B, 3, T, S, S), with the widths of MViT-B::

    patches     3x7x7 convolution, stride 2x4x4      (B, T/2 * S/4  * S/4,   96)
    encoding    a class token and learnt positions   (B, 1 + ...,            96)
    block 0     1 head                               (B, 1 + ...,           192)
    blocks 1-2  2 heads, queries pooled by 2x2       (B, 1 + T/2 * S/8  * S/8,  192 -> 384)
    blocks 3-13 4 heads, queries pooled by 2x2       (B, 1 + T/2 * S/16 * S/16, 384 -> 768)
    blocks 14-15 8 heads, queries pooled by 2x2      (B, 1 + T/2 * S/32 * S/32, 768)
    norm, head  class token, dropout, linear         (B, classes)

Keys and values are pooled to one size in all blocks. A model is built for one size of clip, which its position
encoding has. Batch norms in the place of layer norms can be folded into the linear layers
(:meth:`MultiscaleVisionTransformers.fuse_bn`).
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._cpu_fast_path import BatchNorm, scale_and_shift
from pytorchvideo.layers._factories import ModuleFactory, whole_numbers
from pytorchvideo.layers.attention import MultiScaleBlock
from pytorchvideo.layers.positional_encoding import SpatioTemporalClsPositionalEncoding
from pytorchvideo.layers.utils import round_width
from pytorchvideo.models.head import ClassificationHead, create_vit_basic_head
from pytorchvideo.models.net import ClassificationModel, check_clip_batch
from pytorchvideo.models.stem import create_conv_patch_embed
from pytorchvideo.models.weight_init import init_net_weights


def input_sizes(
    spatial_size: int | Sequence[int], temporal_size: int, *, use_2d_patch: bool
) -> tuple[int, ...]:
    """Returns (T, H, W) of clips, (H, W) of images.

    Raises:
        ValueError: the sizes are no whole numbers >= 1, or images have several frames.

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


def fold_before_linear(bn: BatchNorm, linear: nn.Linear) -> nn.Linear:
    """Returns one linear layer that computes ``linear(bn(x))`` for a batch norm in evaluation mode."""
    scale, shift = scale_and_shift(bn)
    weight = linear.weight.detach()
    return _linear(weight * scale, _bias(linear) + weight @ shift)


def fold_after_linear(linear: nn.Linear, bn: BatchNorm) -> nn.Linear:
    """Returns one linear layer that computes ``bn(linear(x))`` for a batch norm in evaluation mode.

    Where the norm has fewer channels, they are those of a head, and it is that of every head.
    """
    scale, shift = scale_and_shift(bn)
    heads = linear.out_features // len(scale)
    scale, shift = scale.repeat(heads), shift.repeat(heads)
    return _linear(linear.weight.detach() * scale[:, None], _bias(linear) * scale + shift)


def fold_norms(block: MultiScaleBlock) -> None:
    """Folds the batch norms of a block, in place, where that leaves its results as they are.

    A norm between projection and pool stays where a class token, which it does not see, comes out of the same
    projection, and where one projection makes queries, keys and values; so do norms before a pool that comes first.
    """
    attn = block.attn
    if isinstance(block.norm1, nn.BatchNorm1d) and not attn.pool_first:
        for name in ("q", "k", "v") if attn.separate_qkv else ("qkv",):
            setattr(attn, name, fold_before_linear(block.norm1, getattr(attn, name)))
        if block.proj is not None and block.dim_mul_in_att:
            block.proj = fold_before_linear(block.norm1, block.proj)
        block.norm1 = nn.Identity()
    if isinstance(block.norm2, nn.BatchNorm1d):
        block.mlp.fc1 = fold_before_linear(block.norm2, block.mlp.fc1)
        if block.proj is not None and not block.dim_mul_in_att:
            block.proj = fold_before_linear(block.norm2, block.proj)
        block.norm2 = nn.Identity()
    if attn.pool_first or attn.has_cls_embed or not attn.separate_qkv:
        return
    for name in "qkv":
        norm = getattr(attn, f"norm_{name}")
        if isinstance(norm, nn.BatchNorm3d):
            setattr(attn, name, fold_after_linear(getattr(attn, name), norm))
            setattr(attn, f"norm_{name}", nn.Identity())


def _bias(linear: nn.Linear) -> torch.Tensor:
    return (
        linear.weight.new_zeros(linear.out_features)
        if linear.bias is None
        else linear.bias.detach()
    )


def _linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
    return layer


_LAYER_NORM = partial(nn.LayerNorm, eps=1e-6)


class MultiscaleVisionTransformers(ClassificationModel):
    """Patches, encoding, blocks, norm, head: clips (B, C, T, H, W) or images (B, C, H, W) -> (B, num_classes).

    Args:
        patch_embed: makes tokens of the input; None takes tokens (B, N, C).
        cls_positional_encoding: encodes where a token is; its ``patch_embed_shape`` is the grid.
        pos_drop: dropout of the encoded tokens, or None.
        blocks: called with tokens and grid, return both.
        norm_embed: norm of the last tokens, or None.
        head: or None.
        norm_patch_embed: norm of the first tokens, or None.
        input_size: what the model was built for, (C, T, H, W), (C, H, W) or (N, C) of tokens; None leaves it open.
    """

    def __init__(
        self,
        *,
        patch_embed: nn.Module | None,
        cls_positional_encoding: nn.Module,
        pos_drop: nn.Module | None,
        blocks: nn.ModuleList,
        norm_embed: nn.Module | None,
        head: nn.Module | None,
        norm_patch_embed: nn.Module | None = None,
        input_size: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        self.patch_embed = patch_embed
        self.norm_patch_embed = norm_patch_embed
        self.cls_positional_encoding: Any = cls_positional_encoding
        self.pos_drop = pos_drop
        self.blocks = blocks
        self.norm_embed = norm_embed
        self.head = head
        self.input_size = None if input_size is None else list(input_size)

    @property
    def classification_head(self) -> ClassificationHead | None:
        return self.head if isinstance(self.head, ClassificationHead) else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns class scores (B, num_classes); without a head, tokens (B, N, C).

        Raises:
            ValueError: the input is not of the size that the model was built for.
        """
        x = self.forward_trunk(x)
        return x if self.head is None else self.head(x)

    def forward_trunk(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the tokens that the head takes, (B, N, C)."""
        return self.forward_tokens(x)[0]

    def forward_tokens(self, x: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
        """Returns the tokens that the head takes, (B, N, C), and their grid, (T, H, W); a class token comes first."""
        if self.input_size is not None:
            x = _of_size(x, self.input_size)
        x = x if self.patch_embed is None else self.patch_embed(x)
        x = x if self.norm_patch_embed is None else self.norm_patch_embed(x)
        x = self.cls_positional_encoding(x)
        x = x if self.pos_drop is None else self.pos_drop(x)
        if torch.jit.is_scripting():  # which knows no callable()
            if hasattr(self.cls_positional_encoding, "grid"):
                frames, height, width = self.cls_positional_encoding.grid
            else:
                frames, height, width = self.cls_positional_encoding.patch_embed_shape()
            grid = [frames, height, width]
        else:
            shape = self.cls_positional_encoding.patch_embed_shape
            grid = list(shape() if callable(shape) else shape)
        for block in self.blocks:
            x, grid = block(x, grid)
        x = x if self.norm_embed is None else self.norm_embed(x)
        return x, grid

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        """Returns one vector an input, (B, num_features): the classifier's input."""
        x = self.forward_trunk(x)
        head = self.classification_head
        return x.mean(dim=1) if head is None else head.features(x)

    def fuse_bn(self) -> None:
        """Folds batch norms into the linear layers beside them, in place; results stay the same.

        For inference, in evaluation mode. Norms that cannot be folded without changing results stay.

        Raises:
            ValueError: the model is in training mode, or has no batch norms.
        """
        blocks = [block for block in self.blocks if isinstance(block, MultiScaleBlock)]
        if self.training:
            raise ValueError("Expected a model in evaluation mode: call model.eval() first.")
        if not any(isinstance(block.norm2, nn.BatchNorm1d) for block in blocks):
            raise ValueError('Expected a model with batch norms: build it with norm="batchnorm".')
        for block in blocks:
            fold_norms(block)

    fuse_norm_before_linear = staticmethod(fold_before_linear)
    fuse_norm_after_linear = staticmethod(fold_after_linear)


def _of_size(x: torch.Tensor, size: list[int]) -> torch.Tensor:
    """Returns a batch of inputs of this size, images without their one frame; a ValueError otherwise."""
    if not torch.jit.is_scripting():  # TorchScript compiles nothing of this
        if isinstance(x, torch.fx.Proxy):
            return x
        if len(size) == 4:
            check_clip_batch(x, size[0])
    if len(size) == 3 and x.dim() == 5 and x.shape[2] == 1:
        # (B, C, 1, H, W) -> (B, C, H, W)
        x = x[:, :, 0]
    if not torch.jit.is_scripting() and torch.jit.is_tracing():
        return x
    shape = list(x.shape)
    if shape[1:] != size:
        wanted = f"(B, {str(size)[1:-1]}), the size that the model was built for"
        sizes = "temporal_size and spatial_size are those of the grid"
        if len(size) > 2:
            names = "crop_size=..." if len(size) == 3 else "num_frames=..., crop_size=..."
            sizes = f"create_model(name, {names})"
        raise ValueError(
            f"Expected `x` to be {wanted}, but got ({str(shape)[1:-1]}). Build it for this one: {sizes}."
        )
    return x


def _norms(norm: str) -> tuple[ModuleFactory, ModuleFactory, ModuleFactory | None]:
    """Norms of a block, of its attention, and of the last tokens."""
    if norm == "batchnorm":
        return nn.BatchNorm1d, nn.BatchNorm3d, None
    if norm != "layernorm":
        raise NotImplementedError(expected("norm", "one of layernorm, batchnorm", norm))
    return _LAYER_NORM, _LAYER_NORM, _LAYER_NORM


def create_multiscale_vision_transformers(
    *,
    spatial_size: int | Sequence[int],
    temporal_size: int,
    cls_embed_on: bool = True,
    sep_pos_embed: bool = True,
    depth: int = 16,
    norm: str = "layernorm",
    enable_patch_embed: bool = True,
    input_channels: int = 3,
    patch_embed_dim: int = 96,
    conv_patch_embed_kernel: Sequence[int] = (3, 7, 7),
    conv_patch_embed_stride: Sequence[int] = (2, 4, 4),
    conv_patch_embed_padding: Sequence[int] = (1, 3, 3),
    enable_patch_embed_norm: bool = False,
    use_2d_patch: bool = False,
    num_heads: int = 1,
    mlp_ratio: float = 4.0,
    qkv_bias: bool = True,
    dropout_rate_block: float = 0.0,
    droppath_rate_block: float = 0.0,
    pooling_mode: str = "conv",
    pool_first: bool = False,
    residual_pool: bool = False,
    depthwise_conv: bool = True,
    bias_on: bool = True,
    separate_qkv: bool = True,
    embed_dim_mul: Sequence[Sequence[float]] | None = None,
    atten_head_mul: Sequence[Sequence[float]] | None = None,
    dim_mul_in_att: bool = False,
    pool_q_stride_size: Sequence[Sequence[int]] | None = None,
    pool_kv_stride_size: Sequence[Sequence[int]] | None = None,
    pool_kv_stride_adaptive: Sequence[int] | None = None,
    pool_kvq_kernel: Sequence[int] | None = None,
    head: Callable[..., nn.Module] | None = create_vit_basic_head,
    head_dropout_rate: float = 0.5,
    head_activation: ModuleFactory | None = None,
    head_num_classes: int = 400,
    create_scriptable_model: bool = False,
    multiscale_vit_class: Callable[
        ..., MultiscaleVisionTransformers
    ] = MultiscaleVisionTransformers,
) -> MultiscaleVisionTransformers:
    """Builds a multiscale vision transformer, (B, input_channels, T, H, W) -> (B, head_num_classes).

    Sizes are (T, H, W), one number or (H, W) for ``spatial_size``; with ``use_2d_patch`` the three sizes of the
    patch convolution are (H, W) and the input is an image. Without ``enable_patch_embed`` the input is tokens
    (B, temporal_size * H * W, patch_embed_dim). ``embed_dim_mul`` and ``atten_head_mul`` are rows
    ``[block, factor]``, ``pool_q_stride_size`` and ``pool_kv_stride_size`` rows ``[block, T, H, W]``;
    ``pool_kv_stride_adaptive`` is the stride of keys and values before the first pool of queries, and shrinks with
    each. Without ``pool_kvq_kernel`` a pool's kernel is its stride plus one. ``norm`` is "layernorm" or "batchnorm".
    The rate of dropped paths grows with the depth up to ``droppath_rate_block``. The other arguments are those of
    :class:`pytorchvideo.layers.MultiScaleBlock` and of the head, which may be None. ``create_scriptable_model`` is
    deprecated and of no effect: every model can be scripted, traced and exported.

    Weights for another ``spatial_size`` or ``temporal_size`` fit: see
    :func:`pytorchvideo.models.load_checkpoint`.

    Raises:
        NotImplementedError: an unknown norm.
        ValueError: an unknown pooling, two tables for the strides of keys and values, or sizes that do not go together.
    """
    if create_scriptable_model:
        warnings.warn(
            "create_scriptable_model is deprecated and of no effect: torch.jit.script takes every model.",
            DeprecationWarning,
            stacklevel=2,
        )
    block_norm, attention_norm, last_norm = _norms(norm)
    size = input_sizes(spatial_size, temporal_size, use_2d_patch=use_2d_patch)
    grid = size
    patch_embed = None
    if enable_patch_embed:
        patches = (conv_patch_embed_kernel, conv_patch_embed_stride, conv_patch_embed_padding)
        grid = patch_grid(size, *patches)
        patch_embed = create_conv_patch_embed(
            in_channels=input_channels,
            out_channels=patch_embed_dim,
            conv_kernel_size=conv_patch_embed_kernel,
            conv_stride=conv_patch_embed_stride,
            conv_padding=conv_patch_embed_padding,
            conv=nn.Conv2d if use_2d_patch else nn.Conv3d,
        )
    grid = (1, *grid) if use_2d_patch else grid
    shapes = block_shapes(
        depth,
        patch_embed_dim,
        num_heads,
        dim_mul=embed_dim_mul,
        head_mul=atten_head_mul,
        dim_mul_in_att=dim_mul_in_att,
        q_strides=pool_q_stride_size,
        kv_strides=pool_kv_stride_size,
        kv_stride_adaptive=pool_kv_stride_adaptive,
        kernel=pool_kvq_kernel,
    )
    blocks = [
        MultiScaleBlock(
            **vars(shape),
            mlp_ratio=mlp_ratio,
            qkv_bias=qkv_bias,
            dropout_rate=dropout_rate_block,
            droppath_rate=droppath_rate_block * i / max(1, depth - 1),
            norm_layer=block_norm,
            attn_norm_layer=attention_norm,
            dim_mul_in_att=dim_mul_in_att,
            pool_mode=pooling_mode,
            has_cls_embed=cls_embed_on,
            pool_first=pool_first,
            residual_pool=residual_pool,
            depthwise_conv=depthwise_conv,
            bias_on=bias_on,
            separate_qkv=separate_qkv,
        )
        for i, shape in enumerate(shapes)
    ]
    dim = shapes[-1].dim_out if shapes else patch_embed_dim
    model = multiscale_vit_class(
        patch_embed=patch_embed,
        cls_positional_encoding=SpatioTemporalClsPositionalEncoding(
            embed_dim=patch_embed_dim,
            patch_embed_shape=grid,
            sep_pos_embed=sep_pos_embed,
            has_cls=cls_embed_on,
        ),
        pos_drop=nn.Dropout(dropout_rate_block) if dropout_rate_block > 0 else None,
        blocks=nn.ModuleList(blocks),
        norm_embed=None if last_norm is None else last_norm(dim),
        head=head(
            in_features=dim,
            out_features=head_num_classes,
            seq_pool_type="cls" if cls_embed_on else "mean",
            dropout_rate=head_dropout_rate,
            activation=head_activation,
        )
        if head
        else None,
    )
    # Set after the call: classes of users take six arguments.
    model.input_size = [math.prod(grid), patch_embed_dim]
    if enable_patch_embed:
        model.input_size = [input_channels, *size]
        model.norm_patch_embed = _LAYER_NORM(patch_embed_dim) if enable_patch_embed_norm else None
    init_net_weights(model, init_std=0.02, style="vit")
    return model


def clip_sizes(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Arguments of :func:`create_multiscale_vision_transformers` for clips of another size."""
    return {"temporal_size": num_frames, "spatial_size": crop_size}


def image_sizes(num_frames: int, crop_size: int) -> dict[str, Any]:
    """Its arguments for images of another size."""
    if num_frames != 1:
        raise ValueError(expected("num_frames", "1 for a model of images", num_frames))
    return {"spatial_size": crop_size}


# MViT-B (table 2): wider, with more heads and a quarter of the queries from blocks 1, 3 and 14 on.
_BASE: dict[str, Any] = {
    "spatial_size": 224,
    "embed_dim_mul": ((1, 2.0), (3, 2.0), (14, 2.0)),
    "atten_head_mul": ((1, 2.0), (3, 2.0), (14, 2.0)),
    "pool_q_stride_size": ((1, 1, 2, 2), (3, 1, 2, 2), (14, 1, 2, 2)),
}
_VIDEO: dict[str, Any] = {"pool_kv_stride_adaptive": (1, 8, 8), "pool_kvq_kernel": (3, 3, 3)}
VARIANTS: dict[str, dict[str, Any]] = {
    "mvit_base_16x4": {**_BASE, **_VIDEO, "temporal_size": 16},
    "mvit_base_32x3": {**_BASE, **_VIDEO, "temporal_size": 32},
    "mvit_base_16": {
        **_BASE,
        "temporal_size": 1,
        "use_2d_patch": True,
        "conv_patch_embed_kernel": (7, 7),
        "conv_patch_embed_stride": (4, 4),
        "conv_patch_embed_padding": (3, 3),
        "pool_kv_stride_adaptive": (1, 4, 4),
        "pool_kvq_kernel": (1, 3, 3),
    },
}
