# SPDX-License-Identifier: Apache-2.0
"""Class-activation maps from gradients (Grad-CAM, arXiv 1610.02391) for networks of clips.

For a layer with activations A and gradients g of the class's logit, both (B, C, t, h, w)::

    weights[b, c, t] = mean of g over h, w        for each frame of its own
    map = relu(sum over c of weights * A)         trilinear to (T, H, W) of the pathway's input
    (map - min) / (max - min + 1e-6)              over all of a clip

A map that is nowhere positive is zero everywhere: it is not stretched to noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.inference.explain.network import (
    Inputs,
    Kept,
    as_inputs,
    checked_logits,
    chosen_classes,
    explained,
    pathways_of,
)

_EPS = 1e-6


@dataclass(frozen=True)
class Maps:
    """What a score of each clip rests on.

    Attributes:
        maps: one a pathway, float32 (B, T, H, W) in 0..1, as large as the pathway's input.
        logits: (B, num_classes).
        classes: the class that is explained of each clip, (B,).
    """

    maps: list[Tensor]
    logits: Tensor
    classes: Tensor

    def merged(self) -> Tensor:
        """Returns one map in 0..1, of several pathways their mean, with the frames of the longest, (B, T, H, W)."""
        longest = max(self.maps, key=lambda one: one.shape[1])
        if len(self.maps) == 1:
            return longest
        mean = torch.stack([resized(one, longest.shape[1:]) for one in self.maps]).mean(dim=0)
        return mean / mean.amax(dim=(1, 2, 3), keepdim=True).clamp(min=_EPS)


def grad_cam(
    model: nn.Module,
    inputs: Inputs,
    layers: Sequence[str],
    *,
    labels: Sequence[int] | int | None = None,
) -> Maps:
    """Returns the class-activation maps of clips.

    Works within ``torch.no_grad()`` and ``torch.inference_mode()``, for networks whose parameters are frozen, and for
    layers that are changed in place by the next. The network is in evaluation mode while it runs, and as before then.

    Args:
        model: inputs -> logits (B, num_classes). A softmax or sigmoid at the end of a head of this library is left out.
        inputs: clips (B, C, T, H, W), or a list of them, one a pathway.
        layers: a layer for each pathway, by its path in the network; the registry has those of the zoo.
        labels: the class to explain, of all clips or of each; by default the likeliest.

    Raises:
        ValueError: no such layer, one that returns no map of a clip or that is of another pathway, or no logits.

    Example::

        maps = grad_cam(model, clips, model_entry("x3d_s").map_layers)
    """
    pathways = pathways_of(inputs)
    if isinstance(layers, str) or len(layers) != len(pathways):
        wanted = f"{len(pathways)}, one a pathway of the inputs"
        raise ValueError(expected("layers", wanted, layers))
    with explained(model):
        kept = Kept(model, layers)
        with kept.keeping():
            logits = checked_logits(model(as_inputs(pathways, inputs)))
            outputs = kept.outputs()
            _check_frames(layers, outputs, pathways)
            classes = chosen_classes(logits, labels)
            score = logits.gather(1, classes[:, None]).sum()
            gradients = _gradients(score, outputs, layers)
    rows = zip(outputs, gradients, pathways, strict=True)
    maps = [_map(kept.detach(), g, clip.shape[2:]) for kept, g, clip in rows]
    return Maps(maps, logits.detach(), classes)


def _map(activations: Tensor, gradients: Tensor, size: Sequence[int]) -> Tensor:
    weights = gradients.float().mean(dim=(3, 4), keepdim=True)
    found = (weights * activations.float()).sum(dim=1).relu()  # (B, C, t, h, w) -> (B, t, h, w)
    return normalised(resized(found, size))


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Returns maps (B, t, h, w) as (B, T, H, W)."""
    return F.interpolate(maps[:, None], size=tuple(size), mode="trilinear")[:, 0]


def normalised(maps: Tensor) -> Tensor:
    """Returns maps (B, T, H, W) with values in 0..1, from the least to the greatest of each clip."""
    low, high = maps.amin(dim=(1, 2, 3), keepdim=True), maps.amax(dim=(1, 2, 3), keepdim=True)
    return (maps - low) / (high - low + _EPS)


def _gradients(score: Tensor, outputs: Sequence[Tensor], layers: Sequence[str]) -> list[Tensor]:
    found = (
        torch.autograd.grad(score, list(outputs), allow_unused=True)
        if score.requires_grad
        else [None] * len(outputs)
    )
    gradients = []
    for name, gradient in zip(layers, found, strict=True):
        if gradient is None:
            raise ValueError(
                f"The logits do not depend on the layer {name!r}, or the network computes them without gradients. "
                "Choose another layer, or another method."
            )
        gradients.append(gradient)
    return gradients


def _check_frames(
    layers: Sequence[str], outputs: Sequence[Tensor], pathways: Sequence[Tensor]
) -> None:
    """Raises a ValueError for a layer of another pathway: maps are resized, so that nothing else would show it."""
    ratios = []
    for name, output, clip in zip(layers, outputs, pathways, strict=True):
        frames, given = output.shape[2], clip.shape[2]
        if frames > given:
            wanted = f"of the pathway with {given} frames, in the order of the inputs"
            raise ValueError(expected("layers", wanted, f"{name!r}, whose map has {frames}"))
        ratios.append(frames / given)
    if max(ratios) > min(ratios):
        shown = ", ".join(
            f"{name!r} with {output.shape[2]} frames of {clip.shape[2]}"
            for name, output, clip in zip(layers, outputs, pathways, strict=True)
        )
        wanted = "one a pathway, each with the same share of its frames"
        raise ValueError(expected("layers", wanted, shown))
