# SPDX-License-Identifier: Apache-2.0
"""Integrated gradients (arXiv 1703.01365): shares of a logit for every value of a clip.

Gradients of the logit on the straight way from a baseline to the clip are averaged, and multiplied by the difference
of the two. The shares sum to the logit of the clip less that of the baseline, but for the error of the sum over steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pytorchvideo._checks import expected
from pytorchvideo.inference.explain.gradcam import Maps
from pytorchvideo.inference.explain.network import (
    Inputs,
    as_inputs,
    checked_logits,
    chosen_classes,
    explained,
    pathways_of,
)

_BRIGHTEST = 0.995  # the share of pixels that are not cut off: single ones would darken the others


@dataclass(frozen=True)
class Attributions:
    """Shares of a logit.

    Attributes:
        shares: one a pathway, (B, C, T, H, W): they sum to ``logits - baseline_logits`` of the class.
        logits: (B, num_classes) of the clips.
        baseline_logits: of the baseline.
        classes: the class that is explained of each clip, (B,).
    """

    shares: list[Tensor]
    logits: Tensor
    baseline_logits: Tensor
    classes: Tensor

    def to_maps(self) -> Maps:
        """Returns what speaks for the class: the sum over channels, where positive, in 0..1."""
        return Maps([_shown(share) for share in self.shares], self.logits, self.classes)


def _shown(share: Tensor) -> Tensor:
    positive = share.sum(dim=1).relu()
    rows = positive.flatten(1)
    place = max(1, round(_BRIGHTEST * rows.shape[1]))
    brightest = rows.kthvalue(place, dim=1).values[:, None, None, None]
    most = positive.amax(dim=(1, 2, 3), keepdim=True)
    scale = torch.where(brightest > 0, brightest, most).clamp(min=1e-12)
    return (positive / scale).clamp(max=1)


def integrated_gradients(
    model: nn.Module,
    inputs: Inputs,
    *,
    labels: Sequence[int] | int | None = None,
    steps: int = 32,
    baseline: float = 0.0,
    batch_size: int = 4,
) -> Attributions:
    """Returns the shares of every value of clips in the logit of a class.

    Args:
        model: inputs -> logits (B, num_classes), through which gradients go to the inputs.
        inputs: clips (B, C, T, H, W), or a list of them, one a pathway.
        labels: the class to explain, of all clips or of each; by default the likeliest.
        steps: points on the way, in the middle of equal parts.
        baseline: the value of all pixels at its beginning: 0 is the mean colour of what the recipe normalises.
        batch_size: clips in the network at once.

    Raises:
        ValueError: ``steps`` is not positive, or no gradient comes to the inputs, as of an artefact.
    """
    if steps < 1:
        raise ValueError(expected("steps", ">= 1", steps))
    pathways = pathways_of(inputs)
    start = [torch.full_like(clip, baseline) for clip in pathways]
    with explained(model):
        logits = checked_logits(model(as_inputs(pathways, inputs)))
        before = checked_logits(model(as_inputs(start, inputs)))
        classes = chosen_classes(logits, labels)
        sums = [torch.zeros_like(clip, dtype=torch.float32) for clip in pathways]
        at_once = max(1, batch_size // len(classes))
        places = [(step + 0.5) / steps for step in range(steps)]
        for first in range(0, steps, at_once):
            part = places[first : first + at_once]
            gradients = _gradients(model, inputs, pathways, baseline, part, classes)
            for total, gradient in zip(sums, gradients, strict=True):
                total += gradient.float().unflatten(0, (len(part), -1)).sum(dim=0)
    rows = zip(sums, pathways, strict=True)
    shares = [total / steps * (clip.float() - baseline) for total, clip in rows]
    return Attributions(shares, logits, before, classes)


def _gradients(
    model: nn.Module,
    inputs: Inputs,
    pathways: Sequence[Tensor],
    baseline: float,
    places: Sequence[float],
    classes: Tensor,
) -> tuple[Tensor, ...]:
    """The gradients at places on the way, (places * B, C, T, H, W) for each pathway."""
    points = [
        torch.cat([baseline + place * (clip - baseline) for place in places]).requires_grad_()
        for clip in pathways
    ]
    with torch.enable_grad():
        # networks that work in place would change the points themselves
        scores = checked_logits(model(as_inputs([point.clone() for point in points], inputs)))
        score = scores.gather(1, classes.repeat(len(places))[:, None]).sum()
    if not score.requires_grad:
        kind = type(model).__name__
        raise ValueError(
            expected("model", "one with gradients", kind, "Artefacts have none: use occlusion.")
        )
    return torch.autograd.grad(score, points)
