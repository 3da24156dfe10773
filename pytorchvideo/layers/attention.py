# SPDX-License-Identifier: Apache-2.0
"""Multiscale attention with pooled queries, keys and values (MViT, arXiv 2104.11227, section 3.1).

Tokens are (B, N, C) with N = T * H * W of the grid ``thw_shape``, time first, and a class token before them where
``has_cls_embed``.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.layers._factories import ModuleFactory, size3
from pytorchvideo.layers.drop_path import DropPath

_POOLS: dict[str, ModuleFactory] = {"avg": nn.AvgPool3d, "max": nn.MaxPool3d}
# The second generation of state dicts names the tensors of a pool a second time, under these modules.
_ALIASES = {
    f"_attention_pool_{c}.{part}.": f"{part}_{c}." for c in "qkv" for part in ("pool", "norm")
}


class Mlp(nn.Module):
    """Two linear layers with an activation between them, dropout after each: (..., in) -> (..., out).

    Args:
        in_features: channels of the input.
        hidden_features: channels between the layers; None is ``in_features``.
        out_features: channels of the output; None is ``in_features``.
        act_layer: the activation's class.
        dropout_rate: of both dropouts.
        bias_on: whether the layers have a bias.
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int | None = None,
        out_features: int | None = None,
        act_layer: ModuleFactory = nn.GELU,
        dropout_rate: float = 0.0,
        bias_on: bool = True,
    ) -> None:
        super().__init__()
        hidden = hidden_features or in_features
        self.fc1 = nn.Linear(in_features, hidden, bias=bias_on)
        self.act = act_layer()
        self.fc2 = nn.Linear(hidden, out_features or in_features, bias=bias_on)
        self.dropout = nn.Dropout(dropout_rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.dropout(self.act(self.fc1(x)))
        return self.dropout(self.fc2(x))


class MultiScaleAttention(nn.Module):
    """Multi-head attention with pooled queries, keys and values.

    Args:
        dim: channels of the tokens.
        dim_out: channels of the result; None is ``dim``.
        num_heads: number of heads.
        qkv_bias: whether the projections to queries, keys and values have a bias.
        dropout_rate: of the dropout at the end.
        kernel_q: (T, H, W) of the pool of the queries; with stride 1, a kernel of 1, or None, is no pool.
        kernel_kv: of the pools of keys and values, likewise.
        stride_q: its stride.
        stride_kv: their stride.
        norm_layer: norm of pooled tokens, called with their channels. A ``BatchNorm3d`` and a GELU come
            before the pool, any other norm comes after it.
        has_cls_embed: a class token comes first; it is not pooled.
        pool_mode: "conv" (with a norm), "avg" or "max" (without).
        pool_first: pool the tokens before they are projected.
        residual_pool: add the pooled queries to the result.
        depthwise_conv: a convolution of its own for each channel.
        bias_on: whether the last projection has a bias.
        separate_qkv: three projections instead of one; ``pool_first`` always has three.

    State dicts of both generations load: those that hold the tensors of the pools once (``pool_q``), and those
    that hold them twice (``_attention_pool_q.pool``, too). What is saved holds them once.
    """

    _version = 3
    # branches on these are decided when TorchScript compiles the module, which has only the layers of one side
    __constants__ = (
        "has_cls_embed",
        "norm_after_pool",
        "norm_before_pool",
        "pool_first",
        "residual_pool",
        "separate_qkv",
    )

    def __init__(
        self,
        dim: int,
        dim_out: int | None = None,
        num_heads: int = 8,
        qkv_bias: bool = False,
        dropout_rate: float = 0.0,
        kernel_q: Sequence[int] | None = (1, 1, 1),
        kernel_kv: Sequence[int] | None = (1, 1, 1),
        stride_q: Sequence[int] | None = (1, 1, 1),
        stride_kv: Sequence[int] | None = (1, 1, 1),
        norm_layer: ModuleFactory = nn.LayerNorm,
        has_cls_embed: bool = True,
        pool_mode: str = "conv",
        pool_first: bool = False,
        residual_pool: bool = True,
        depthwise_conv: bool = True,
        bias_on: bool = True,
        separate_qkv: bool = True,
    ) -> None:
        super().__init__()
        check_choice("pool_mode", pool_mode, ("conv", *_POOLS))
        dim_out = dim_out or dim
        if dim % num_heads or dim_out % num_heads:
            wanted = f"multiples of num_heads ({num_heads})"
            raise ValueError(expected("dim and dim_out", wanted, (dim, dim_out)))
        self.num_heads = num_heads
        self.dim_out = dim_out
        self.pool_first = pool_first
        self.residual_pool = residual_pool
        self.has_cls_embed = has_cls_embed
        self.separate_qkv = separate_qkv or pool_first
        if self.separate_qkv:
            self.q = nn.Linear(dim, dim_out, bias=qkv_bias)
            self.k = nn.Linear(dim, dim_out, bias=qkv_bias)
            self.v = nn.Linear(dim, dim_out, bias=qkv_bias)
        else:
            self.qkv = nn.Linear(dim, 3 * dim_out, bias=qkv_bias)
        self.proj = nn.Linear(dim_out, dim_out, bias=bias_on)
        self.proj_drop = nn.Dropout(dropout_rate) if dropout_rate > 0 else None

        self.pool_q: Any
        self.pool_k: Any
        self.pool_v: Any
        self.norm_q: Any
        self.norm_k: Any
        self.norm_v: Any
        head_dim = (dim if pool_first else dim_out) // num_heads
        groups = head_dim if depthwise_conv else 1
        for name, kernel, stride in (
            ("q", kernel_q, stride_q),
            ("k", kernel_kv, stride_kv),
            ("v", kernel_kv, stride_kv),
        ):
            pool = _make_pool(pool_mode, head_dim, kernel, stride, groups)
            has_norm = pool is not None and pool_mode == "conv"
            setattr(self, f"pool_{name}", pool)
            setattr(self, f"norm_{name}", norm_layer(head_dim) if has_norm else None)
        norms = (self.norm_q, self.norm_k, self.norm_v)
        self.norm_before_pool = any(isinstance(norm, nn.BatchNorm3d) for norm in norms)
        self.norm_after_pool = pool_mode == "conv" and not self.norm_before_pool
        self.pool_act = nn.GELU()

    def forward(self, x: torch.Tensor, thw_shape: list[int]) -> tuple[torch.Tensor, list[int]]:
        """Returns the tokens (B, N', dim_out) and their grid: that of the pooled queries, else ``thw_shape`` itself."""
        if self.pool_first:
            heads = self._heads(x)
            q, grid = self._pooled_q(heads, thw_shape)
            k = self._pooled_k(heads, thw_shape)
            v = self._pooled_v(heads, thw_shape)
            q = self._heads(self.q(_joined(q)))
            k = self._heads(self.k(_joined(k)))
            v = self._heads(self.v(_joined(v)))
        else:
            if self.separate_qkv:
                q, k, v = self.q(x), self.k(x), self.v(x)
            else:
                q, k, v = self.qkv(x).chunk(3, dim=2)
            q, grid = self._pooled_q(self._heads(q), thw_shape)
            k = self._pooled_k(self._heads(k), thw_shape)
            v = self._pooled_v(self._heads(v), thw_shape)
        out = F.scaled_dot_product_attention(q, k, v)
        out = self.proj(_joined(out + q if self.residual_pool else out))
        return (out if self.proj_drop is None else self.proj_drop(out)), grid

    def _heads(self, x: torch.Tensor) -> torch.Tensor:
        # (B, N, C) -> (B, heads, N, C / heads)
        return x.unflatten(2, [self.num_heads, -1]).transpose(1, 2)

    # One method for each of q, k, v: TorchScript knows neither modules as arguments nor computed names.
    def _pooled_q(self, x: torch.Tensor, thw: list[int]) -> tuple[torch.Tensor, list[int]]:
        if self.pool_q is None:
            return x, thw
        grid = to_grid(x, thw, self.has_cls_embed)
        if self.norm_before_pool:
            grid = self.pool_act(self.norm_q(grid))
        out, thw = from_grid(self.pool_q(grid), x, self.has_cls_embed)
        if self.norm_after_pool:
            out = self.norm_q(out)
        return out, thw

    def _pooled_k(self, x: torch.Tensor, thw: list[int]) -> torch.Tensor:
        if self.pool_k is None:
            return x
        grid = to_grid(x, thw, self.has_cls_embed)
        if self.norm_before_pool:
            grid = self.pool_act(self.norm_k(grid))
        out, _ = from_grid(self.pool_k(grid), x, self.has_cls_embed)
        return self.norm_k(out) if self.norm_after_pool else out

    def _pooled_v(self, x: torch.Tensor, thw: list[int]) -> torch.Tensor:
        if self.pool_v is None:
            return x
        grid = to_grid(x, thw, self.has_cls_embed)
        if self.norm_before_pool:
            grid = self.pool_act(self.norm_v(grid))
        out, _ = from_grid(self.pool_v(grid), x, self.has_cls_embed)
        return self.norm_v(out) if self.norm_after_pool else out

    def canonicalize_state(self, state: dict[str, Any], prefix: str) -> None:
        """Gives every tensor of this module in a state dict its one name, in place."""
        for alias, name in _ALIASES.items():
            for key in [k for k in state if k.startswith(prefix + alias)]:
                state.setdefault(prefix + name + key[len(prefix + alias) :], state.pop(key))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        self.canonicalize_state(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _joined(x: torch.Tensor) -> torch.Tensor:
    # (B, heads, N, C / heads) -> (B, N, C)
    return x.transpose(1, 2).flatten(2)


def _make_pool(
    mode: str,
    channels: int,
    kernel: Sequence[int] | None,
    stride: Sequence[int] | None,
    groups: int,
) -> nn.Module | None:
    """A pool of this kernel and stride; None where it would change nothing."""
    kernel, stride = tuple(kernel or (1, 1, 1)), tuple(stride or (1, 1, 1))
    if math.prod(kernel) == math.prod(stride) == 1:
        return None
    padding = [size // 2 for size in kernel]
    if mode != "conv":
        return _POOLS[mode](kernel, stride, tuple(padding))
    return nn.Conv3d(
        channels,
        channels,
        kernel_size=size3(kernel),
        stride=size3(stride),
        padding=size3(padding),
        groups=groups,
        bias=False,
    )


def to_grid(x: torch.Tensor, thw_shape: list[int], has_cls: bool) -> torch.Tensor:
    """Tokens (B, heads, T * H * W, C), without the class token that comes first where ``has_cls``, as a grid.

    Args:
        x: the tokens.
        thw_shape: the grid (T, H, W).
        has_cls: whether there is a class token.

    Returns:
        (B * heads, C, T, H, W).
    """
    tokens = x[:, :, 1:] if has_cls else x
    return tokens.flatten(0, 1).transpose(1, 2).unflatten(2, thw_shape)


def from_grid(grid: torch.Tensor, x: torch.Tensor, has_cls: bool) -> tuple[torch.Tensor, list[int]]:
    """The inverse of :func:`to_grid`, after the class token of the tokens ``x``; returns the new grid, too."""
    tokens = grid.flatten(2).transpose(1, 2).unflatten(0, [x.shape[0], x.shape[1]])
    out = torch.cat((x[:, :, :1], tokens), dim=2) if has_cls else tokens
    return out, [grid.shape[2], grid.shape[3], grid.shape[4]]


class MultiScaleBlock(nn.Module):
    """Norm, attention and norm, MLP, each with a shortcut; the first shortcut is pooled like the queries.

    Args:
        dim: channels of the tokens.
        dim_out: channels of the result.
        num_heads: heads of the attention.
        mlp_ratio: hidden channels of the MLP over its input's.
        qkv_bias: see :class:`MultiScaleAttention`.
        dropout_rate: of attention and MLP.
        droppath_rate: share of samples for which a branch is left out in training.
        act_layer: activation of the MLP.
        norm_layer: the two norms, called with their channels; a ``BatchNorm1d`` sees (B, C, N).
        attn_norm_layer: ``norm_layer`` of the attention.
        dim_mul_in_att: the attention changes the channels instead of the MLP.
        kernel_q: this and the following are arguments of the attention.
        kernel_kv: likewise.
        stride_q: likewise.
        stride_kv: likewise.
        pool_mode: likewise.
        has_cls_embed: likewise.
        pool_first: likewise.
        residual_pool: likewise.
        depthwise_conv: likewise.
        bias_on: whether all linear layers but those of ``qkv_bias`` have a bias.
        separate_qkv: likewise.
    """

    __constants__ = (
        "dim_mul_in_att",
        "has_cls_embed",
        "norm1_takes_channels_second",
        "norm2_takes_channels_second",
    )

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        dropout_rate: float = 0.0,
        droppath_rate: float = 0.0,
        act_layer: ModuleFactory = nn.GELU,
        norm_layer: ModuleFactory = nn.LayerNorm,
        attn_norm_layer: ModuleFactory = nn.LayerNorm,
        dim_mul_in_att: bool = False,
        kernel_q: Sequence[int] | None = (1, 1, 1),
        kernel_kv: Sequence[int] | None = (1, 1, 1),
        stride_q: Sequence[int] | None = (1, 1, 1),
        stride_kv: Sequence[int] | None = (1, 1, 1),
        pool_mode: str = "conv",
        has_cls_embed: bool = True,
        pool_first: bool = False,
        residual_pool: bool = False,
        depthwise_conv: bool = True,
        bias_on: bool = True,
        separate_qkv: bool = True,
    ) -> None:
        super().__init__()
        self.dim_mul_in_att = dim_mul_in_att
        self.has_cls_embed = has_cls_embed
        inner = dim_out if dim_mul_in_att else dim
        self.norm1 = norm_layer(dim)
        self.attn = MultiScaleAttention(
            dim,
            inner,
            num_heads=num_heads,
            qkv_bias=qkv_bias,
            dropout_rate=dropout_rate,
            kernel_q=kernel_q,
            kernel_kv=kernel_kv,
            stride_q=stride_q,
            stride_kv=stride_kv,
            norm_layer=attn_norm_layer,
            has_cls_embed=has_cls_embed,
            pool_mode=pool_mode,
            pool_first=pool_first,
            residual_pool=residual_pool,
            depthwise_conv=depthwise_conv,
            bias_on=bias_on,
            separate_qkv=separate_qkv,
        )
        self.drop_path = DropPath(droppath_rate) if droppath_rate > 0 else nn.Identity()
        self.norm2 = norm_layer(inner)
        self.mlp = Mlp(inner, int(inner * mlp_ratio), dim_out, act_layer, dropout_rate, bias_on)
        self.proj = nn.Linear(dim, dim_out, bias=bias_on) if dim != dim_out else None
        stride = tuple(stride_q or (1, 1, 1))
        kernel = [s + 1 if s > 1 else 1 for s in stride]
        self.pool_skip = _make_pool("max", dim, kernel, stride, groups=1)
        self.norm1_takes_channels_second = isinstance(self.norm1, nn.BatchNorm1d)
        self.norm2_takes_channels_second = isinstance(self.norm2, nn.BatchNorm1d)

    def forward(self, x: torch.Tensor, thw_shape: list[int]) -> tuple[torch.Tensor, list[int]]:
        """Returns the tokens (B, N', dim_out) and their grid: a new list, or ``thw_shape`` where no query is pooled."""
        normed = (
            self.norm1(x.transpose(1, 2)).transpose(1, 2)
            if self.norm1_takes_channels_second
            else self.norm1(x)
        )
        attended, grid = self.attn(normed, thw_shape)
        shortcut = x
        if self.dim_mul_in_att and self.proj is not None:
            shortcut = self.proj(normed)
        if self.pool_skip is not None:
            tokens = shortcut[:, None]
            pooled = self.pool_skip(to_grid(tokens, thw_shape, self.has_cls_embed))
            tokens, _ = from_grid(pooled, tokens, self.has_cls_embed)
            shortcut = tokens[:, 0]
        x = shortcut + self.drop_path(attended)
        normed = (
            self.norm2(x.transpose(1, 2)).transpose(1, 2)
            if self.norm2_takes_channels_second
            else self.norm2(x)
        )
        shortcut = x
        if not self.dim_mul_in_att and self.proj is not None:
            shortcut = self.proj(normed)
        return shortcut + self.drop_path(self.mlp(normed)), grid
