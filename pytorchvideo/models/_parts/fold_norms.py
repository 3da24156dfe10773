# SPDX-License-Identifier: Apache-2.0
"""Batch norms of transformer blocks folded into the linear layers beside them, for inference."""

import torch
from torch import nn

from pytorchvideo.layers._cpu_fast_path import BatchNorm, scale_and_shift
from pytorchvideo.layers.attention import MultiScaleBlock


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
