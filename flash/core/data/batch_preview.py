# SPDX-License-Identifier: Apache-2.0
"""Batches drawn as an image."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from flash.core.data.io.input import INPUT_KEYS, TARGET_KEYS, first_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def show_batch(
    batch: Mapping[str, Any],
    labels: Sequence[str] | None = None,
    *,
    max_clips: int = 8,
    max_frames: int = 8,
) -> "Figure":
    """Returns a figure with a row for each clip of a batch, some of its frames side by side.

    Colours are those of the clip if they lie in 0..1; otherwise its least value is shown black, and its
    largest white.

    Args:
        batch: with clips (B, C, T, H, W), or for several pathways a list of such, and perhaps labels.
        labels: class names in the order of their numbers.
        max_clips: rows at most.
        max_frames: frames of a clip at most, spread evenly.
    """
    from matplotlib.figure import Figure

    clips = first_of(batch, INPUT_KEYS)
    clips = clips[-1] if isinstance(clips, (list, tuple)) else clips
    clips = clips[:max_clips].detach().float().cpu()
    count = min(clips.shape[2], max_frames)
    chosen = torch.linspace(0, clips.shape[2] - 1, count).long()
    figure = Figure(figsize=(1.5 * count, 1.7 * len(clips)), layout="constrained")
    axes = figure.subplots(len(clips), count, squeeze=False)
    for row, clip, title in zip(axes, clips, _titles(batch, labels, len(clips)), strict=True):
        for place, index in zip(row, chosen.tolist(), strict=True):
            place.imshow(_in_range(clip)[:, index].permute(1, 2, 0).numpy())
            place.set_axis_off()
        row[0].set_title(title, loc="left", fontsize="small", parse_math=False)
    return figure


def _in_range(clip: Tensor) -> Tensor:
    low, high = clip.min(), clip.max()
    if low >= 0 and high <= 1:
        return clip
    return (clip - low) / (high - low).clamp(min=1e-6)


def _titles(batch: Mapping[str, Any], labels: Sequence[str] | None, count: int) -> list[str]:
    names = batch.get("video_name", [""] * count)
    if not any(key in batch for key in TARGET_KEYS):
        return [str(name) for name in names[:count]]
    targets = first_of(batch, TARGET_KEYS)
    classes = [_class_text(target, labels) for target in targets[:count]]
    return [f"{name} {text}".strip() for name, text in zip(names[:count], classes, strict=True)]


def _class_text(target: Tensor, labels: Sequence[str] | None) -> str:
    numbers = [int(target)] if target.ndim == 0 else torch.nonzero(target).flatten().tolist()
    return ", ".join(str(number) if labels is None else labels[number] for number in numbers)
