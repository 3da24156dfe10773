# SPDX-License-Identifier: Apache-2.0
"""Attention roll-out of video models of ``transformers``; see :mod:`pytorchvideo.inference.explain.rollout`.

=============  =====================  ==================================================================
family         tokens                 what the last block is read by
=============  =====================  ==================================================================
VideoMAE       t, h, w                the mean of all tokens, or the first one
ViViT          class token; t, h, w   the class token
V-JEPA 2       t, h, w                the query of its pooler: cross-attention over the pooler's own blocks
TimeSformer    class token; h, w, t   the class token
=============  =====================  ==================================================================

TimeSformer's divided attention is two steps a block: over the frames of each patch, which leaves the class token alone,
then over the patches of each frame and the class token, whose results of all frames are averaged.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pytorchvideo.inference.explain.rollout_steps import (
    Step,
    from_all_tokens,
    from_class_token,
    plain_step,
    rolled_out,
)
from pytorchvideo.models.huggingface import HuggingFaceModel

#: Families whose attention can be rolled out.
FAMILIES = ("videomae", "vivit", "vjepa2", "timesformer")


def relevance_of(model: HuggingFaceModel, clips: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the relevance of the patches (B, t, h, w) of clips, and the logits.

    Args:
        model: of one of :data:`FAMILIES`.
        clips: (B, C, T, H, W).
    """
    config = model.trunk.config
    if config.model_type == "timesformer":
        return _of_timesformer(model, clips)
    with _attentions(model.trunk) as kept:
        logits = model(clips)
    frames = clips.shape[2] // _tubelet(config)
    side = _side(config)
    batch, count = kept[0][1].shape[0], kept[0][1].shape[-1]
    steps = [plain_step(weights) for name, weights in kept if "cross" not in name]
    if config.model_type == "vjepa2":
        # (B, heads, 1, N): the one query
        row = next(weights for name, weights in kept if "cross" in name).mean(dim=1)[:, 0]
    else:
        is_mean = config.model_type == "videomae" and config.use_mean_pooling
        row = (from_all_tokens if is_mean else from_class_token)(count, batch, kept[0][1])
    row = rolled_out(steps, row)
    patches = row[:, 1:] if config.model_type == "vivit" else row
    patches = patches / patches.sum(dim=1, keepdim=True)
    return patches.unflatten(1, (frames, side, side)), logits


def _side(config: Any) -> int:
    """Patches in a row of a frame."""
    if config.model_type == "vjepa2":
        return int(config.crop_size // config.patch_size)
    size = config.tubelet_size[1] if config.model_type == "vivit" else config.patch_size
    return int(config.image_size // size)


def _tubelet(config: Any) -> int:
    """Frames of a token."""
    size = config.tubelet_size
    return int(size if isinstance(size, int) else size[0])


@contextmanager
def _attentions(trunk: Any) -> Iterator[list[tuple[str, Tensor]]]:
    """Has a model compute its attention unfused, and keeps the weights (B, 1, N, N_k) by the names of the layers."""
    kept: list[tuple[str, Tensor]] = []

    def keep(name: str) -> Any:
        def hook(_layer: nn.Module, _given: Any, output: Any) -> None:
            is_pair = isinstance(output, tuple) and len(output) > 1
            if is_pair and isinstance(output[1], Tensor) and output[1].ndim == 4:
                kept.append((name, output[1].float().mean(dim=1, keepdim=True)))

        return hook

    before = trunk.config._attn_implementation
    with ExitStack() as undone:
        undone.callback(trunk.set_attn_implementation, before)
        trunk.set_attn_implementation("eager")
        for name, layer in trunk.named_modules():
            if type(layer).__name__.endswith("Attention"):
                undone.callback(layer.register_forward_hook(keep(name)).remove)
        yield kept


def _of_timesformer(model: HuggingFaceModel, clips: Tensor) -> tuple[Tensor, Tensor]:
    config = model.trunk.config
    kept: list[Tensor] = []
    with ExitStack() as undone:
        for layer in model.trunk.modules():
            if type(layer).__name__ == "TimesformerSelfAttention":
                hook = layer.attn_drop.register_forward_hook(
                    lambda _drop, _given, weights: kept.append(weights.float().mean(dim=1))
                )
                undone.callback(hook.remove)
        logits = model(clips)
    batch, frames, side = clips.shape[0], config.num_frames, _side(config)
    if config.attention_type == "space_only":
        # a roll-out for each frame, whose class tokens are averaged
        row = from_class_token(kept[0].shape[-1], batch * frames, kept[0])
        row = rolled_out([plain_step(weights) for weights in kept], row)
        found = row[:, 1:].unflatten(0, (batch, frames)).unflatten(2, (side, side))
        return found / found.sum(dim=(1, 2, 3), keepdim=True), logits
    if config.attention_type == "joint_space_time":
        steps = [plain_step(weights) for weights in kept]
    else:
        pairs = zip(kept[::2], kept[1::2], strict=True)
        steps = [divided_step(time, space, batch) for time, space in pairs]
    row = from_class_token(1 + side * side * frames, batch, kept[0])
    patches = rolled_out(steps, row)[:, 1:].unflatten(1, (side, side, frames)).permute(0, 3, 1, 2)
    return patches / patches.sum(dim=(1, 2, 3), keepdim=True), logits


def divided_step(time: Tensor, space: Tensor, batch: int) -> Step:
    """Returns the step of a block with divided attention over tokens (B, 1 + P * T), frames fastest.

    Args:
        time: (B * P, T, T).
        space: (B * T, 1 + P, 1 + P), with the class token first.
        batch: B.
    """
    over_time = time.unflatten(0, (batch, -1))  # (B, P, T, T)
    over_space = space.unflatten(0, (batch, -1))  # (B, T, 1 + P, 1 + P)
    frames = over_space.shape[1]

    def step(row: Tensor) -> Tensor:
        cls, patches = row[:, :1], row[:, 1:].unflatten(1, (-1, frames))
        # over space: the class token is in every frame, with an equal share of its mean
        share = (cls / frames)[:, None].expand(-1, frames, 1)
        rows = torch.cat([share, patches.transpose(1, 2)], dim=2)  # (B, T, 1 + P)
        seen = (rows[:, :, None] @ over_space)[:, :, 0]
        cls = (seen[:, :, 0].sum(dim=1, keepdim=True) + cls) / 2
        patches = (seen[:, :, 1:].transpose(1, 2) + patches) / 2
        # over time
        patches = ((patches[:, :, None] @ over_time)[:, :, 0] + patches) / 2
        return torch.cat([cls, patches.flatten(1)], dim=1)

    return step
