# SPDX-License-Identifier: Apache-2.0
"""Attention roll-out (arXiv 2005.00928): how much of what a transformer reads comes from each patch.

With A the attention of a block, heads averaged, and M = (A + I) / 2 for the shortcut beside it, the relevance of the
tokens is the row of ``M_L ... M_1`` that the head reads: that of the class token, or the mean of all. Only this row is
carried, from the last block to the first. Every M has rows that sum to 1, so the row does, too: what a map shows is
divided by its greatest value.

A block that pools (MViT) maps N_in tokens to N_out: ``M = (A P_kv + P_q) / 2``, where A (N_out, N_k) sees pooled keys,
P_kv (N_k, N_in) averages the cell of each, and P_q (N_out, N_in) the one of the pooled shortcut; the class token is not
pooled. Cells are as large as the stride: windows of the pools overlap, by which even attention would give a pattern.
Where pooled queries are added to the attention (MViTv2), the shortcut inside is that of their own cells.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from pytorchvideo._checks import expected
from pytorchvideo.inference.explain.gradcam import Maps, resized
from pytorchvideo.inference.explain.hugging_face_rollout import FAMILIES, relevance_of
from pytorchvideo.inference.explain.network import (
    Inputs,
    as_inputs,
    checked_logits,
    chosen_classes,
    explained,
    pathways_of,
)
from pytorchvideo.inference.explain.rollout_steps import (
    Step,
    from_all_tokens,
    from_class_token,
    rolled_out,
)
from pytorchvideo.layers.attention import MultiScaleBlock
from pytorchvideo.models.head import SequencePool
from pytorchvideo.models.huggingface import HuggingFaceModel
from pytorchvideo.models.vision_transformers import MultiscaleVisionTransformers


def has_rollout(model: nn.Module) -> bool:
    """Whether the attention of a network can be rolled out."""
    if isinstance(model, HuggingFaceModel):
        return model.trunk.config.model_type in FAMILIES
    return isinstance(model, MultiscaleVisionTransformers)


def attention_rollout(
    model: nn.Module, inputs: Inputs, *, labels: Sequence[int] | int | None = None
) -> Maps:
    """Returns the roll-out of the attention of a transformer as maps of clips.

    Args:
        model: an MViT of this library, or VideoMAE, V-JEPA 2, TimeSformer or ViViT of ``transformers``.
        inputs: clips (B, C, T, H, W).
        labels: the class whose score is reported, which does not change the map; by default the likeliest.

    Raises:
        ValueError: the network is none of these, or has several pathways.
    """
    if not has_rollout(model):
        wanted = (
            "an MViT, or VideoMAE, V-JEPA 2, TimeSformer or ViViT of transformers, for a roll-out"
        )
        raise ValueError(expected("model", wanted, type(model).__name__))
    pathways = pathways_of(inputs)
    if len(pathways) != 1:
        raise ValueError(expected("inputs", "one tensor of clips", f"{len(pathways)} pathways"))
    clips = pathways[0]
    with explained(model):
        if isinstance(model, HuggingFaceModel):
            grid, logits = relevance_of(model, clips)
        else:
            grid, logits = _relevance_of_mvit(model, as_inputs(pathways, inputs))
    found = checked_logits(logits)
    maps = resized(grid.float(), clips.shape[2:])
    maps = maps / maps.amax(dim=(1, 2, 3), keepdim=True)
    return Maps([maps], found, chosen_classes(found, labels))


class _Attentions(TorchFunctionMode):
    """Keeps the weights of attention that PyTorch fuses, the mean of the heads, computed beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            query, key = args[0].float(), args[1].float()
            mean = query.new_zeros(query.shape[0], query.shape[2], key.shape[2])
            heads = query.shape[1]
            for head in range(heads):  # all at once would need as many times the memory
                weights = query[:, head] @ key[:, head].transpose(1, 2) * query.shape[-1] ** -0.5
                mean += weights.softmax(dim=-1) / heads
            self.found.append(mean)
        return func(*args, **(kwargs or {}))


def _relevance_of_mvit(model: Any, clips: Any) -> tuple[Tensor, Tensor]:
    """The relevance of the first grid (B, t, h, w), and the logits."""
    grids: list[list[int]] = []
    hooks = [
        block.attn.register_forward_pre_hook(lambda _attn, given: grids.append(list(given[1])))
        for block in model.blocks
    ]
    try:
        with _Attentions() as kept:
            logits = model(clips)
    finally:
        for hook in hooks:
            hook.remove()
    steps = [
        pooled_step(block, attention, grid)
        for block, attention, grid in zip(model.blocks, kept.found, grids, strict=True)
    ]
    last = kept.found[-1]
    has_cls = model.blocks[0].has_cls_embed
    reads_cls = has_cls and _pooling(model) == "cls"
    start = from_class_token if reads_cls else from_all_tokens
    row = rolled_out(steps, start(last.shape[1], last.shape[0], last))
    patches = row[:, 1:] if has_cls else row
    patches = patches / patches.sum(dim=1, keepdim=True)
    return patches.unflatten(1, grids[0]), logits


def _pooling(model: nn.Module) -> str:
    """What the head reads: "cls" or "mean"."""
    found = [one.mode for one in model.modules() if isinstance(one, SequencePool)]
    return found[0] if found else "mean"


def pooled_step(block: MultiScaleBlock, attention: Tensor, grid: Sequence[int]) -> Step:
    """Returns the step of a block that pools.

    Args:
        block: whose pools tell the windows.
        attention: (B, N_out, N_k), heads averaged.
        grid: (T, H, W) of the tokens that it takes.
    """
    attn = block.attn
    has_cls = attn.has_cls_embed

    def step(row: Tensor) -> Tensor:
        attended = _spread((row[:, None] @ attention)[:, 0], attn.pool_k, grid, has_cls)
        if attn.residual_pool:
            attended = (attended + _spread(row, attn.pool_q, grid, has_cls)) / 2
        return (attended + _spread(row, block.pool_skip, grid, has_cls)) / 2

    return step


def _spread(row: Tensor, pool: Any, grid: Sequence[int], has_cls: bool) -> Tensor:
    """What pooled tokens have (B, N_pooled), given in equal parts to the tokens of their cells, (B, N)."""
    if pool is None:
        return row
    first, rest = (row[:, :1], row[:, 1:]) if has_cls else (row[:, :0], row)
    rules = zip(grid, pool.kernel_size, pool.stride, pool.padding, strict=True)
    axes = [_cells(*rule).to(row) for rule in rules]
    pooled = rest.unflatten(1, [len(cells) for cells in axes])
    spread = torch.einsum("btyx,tk,yi,xj->bkij", pooled, *axes)
    return torch.cat([first, spread.flatten(1)], dim=1)


def _cells(size: int, kernel: int, stride: int, padding: int) -> Tensor:
    """The matrix (pooled, size) that averages the cell of each place on an axis: as many tokens as the stride is long.

    >>> _cells(5, 3, 2, 1)
    tensor([[0.5000, 0.5000, 0.0000, 0.0000, 0.0000],
            [0.0000, 0.0000, 0.5000, 0.5000, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 1.0000]])
    """
    count = (size + 2 * padding - kernel) // stride + 1
    means = torch.zeros(count, size)
    for place in range(count):
        start = min(place * stride, size - 1)
        cell = slice(start, start + stride)
        means[place, cell] = 1 / means[place, cell].numel()
    return means
