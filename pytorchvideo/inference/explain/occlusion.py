# SPDX-License-Identifier: Apache-2.0
"""Occlusion (arXiv 1311.2901): how much a score falls where a part of a clip is covered. Any callable will do.

A box of grey moves over frames and time. The map at a pixel is the mean fall of the logit over all boxes that cover it;
where covering raises the logit it is zero. All pathways are covered at the same place and time.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from pytorchvideo._checks import expected
from pytorchvideo.inference.explain.gradcam import Maps, normalised
from pytorchvideo.inference.explain.network import (
    Inputs,
    as_inputs,
    chosen_classes,
    explained,
    pathways_of,
    scores_of,
)

_PARTS = (2, 4, 4)  # of a clip in time, height and width that a box is


def occlusion(
    model: Callable[[Any], Tensor],
    inputs: Inputs,
    *,
    labels: Sequence[int] | int | None = None,
    window: Sequence[int] | None = None,
    stride: Sequence[int] | None = None,
    baseline: float = 0.0,
    batch_size: int = 4,
) -> Maps:
    """Returns how much the logit of a class falls where a box of the clips is covered.

    Args:
        model: any callable, inputs -> scores (B, num_classes): a network, an artefact, a function. Probabilities, which
            it may return, count by their logarithms.
        inputs: clips (B, C, T, H, W), or a list of them, one a pathway.
        labels: the class to explain, of all clips or of each; by default the likeliest.
        window: (T, H, W) of the box in frames and pixels of the longest pathway; by default half of the frames and a
            quarter of either side.
        stride: from one box to the next, by default the frames of the box and half of its sides.
        baseline: what covers: 0 is the mean colour of what the recipe normalises.
        batch_size: covered clips in the model at once.

    Raises:
        ValueError: a box or stride that is not positive or larger than the clip.
    """
    pathways = pathways_of(inputs)
    sizes = [tuple(clip.shape[2:]) for clip in pathways]
    longest = max(sizes)
    box = _box(
        "window", window, longest, [-(-n // part) for n, part in zip(longest, _PARTS, strict=True)]
    )
    step = _box("stride", stride, longest, [box[0], max(1, box[1] // 2), max(1, box[2] // 2)])
    falls = [torch.zeros(clip.shape[0], *clip.shape[2:], device=clip.device) for clip in pathways]
    counts = [torch.zeros_like(fall) for fall in falls]
    boxes = list(_boxes(longest, box, step))
    with explained(model) if isinstance(model, nn.Module) else nullcontext(), torch.no_grad():
        logits = scores_of(model(as_inputs(pathways, inputs)))
        classes = chosen_classes(logits, labels)
        own = logits.gather(1, classes[:, None])[:, 0]
        at_once = max(1, batch_size // len(own))
        for start in range(0, len(boxes), at_once):
            part = boxes[start : start + at_once]
            covered = [
                torch.cat([_covered(clip, shares, baseline) for shares in part])
                for clip in pathways
            ]
            scores = scores_of(model(as_inputs(covered, inputs))).unflatten(0, (len(part), -1))
            for shares, rows in zip(part, scores, strict=True):
                fall = own - rows.gather(1, classes[:, None])[:, 0]
                for total, count, size in zip(falls, counts, sizes, strict=True):
                    t, y, x = _slices(shares, size)
                    total[:, t, y, x] += fall[:, None, None, None]
                    count[:, t, y, x] += 1
    means = (total / count.clamp(min=1) for total, count in zip(falls, counts, strict=True))
    return Maps([normalised(mean.relu()) for mean in means], logits, classes)


#: First and last place of a box along T, H, W, as shares of the clip.
_Shares = tuple[tuple[float, float], ...]


def _box(
    name: str, given: Sequence[int] | None, size: Sequence[int], default: list[int]
) -> list[int]:
    chosen = default if given is None else [int(n) for n in given]
    if len(chosen) != 3 or not all(1 <= n <= most for n, most in zip(chosen, size, strict=True)):
        raise ValueError(expected(name, f"(T, H, W), each in 1..{tuple(size)}", given))
    return chosen


def _boxes(size: Sequence[int], box: Sequence[int], step: Sequence[int]) -> Iterator[_Shares]:
    """All places of a box; the last of each axis ends with the clip."""
    axes = []
    for most, length, stride in zip(size, box, step, strict=True):
        starts = sorted({*range(0, most - length, stride), most - length})
        axes.append([(start / most, (start + length) / most) for start in starts])
    yield from product(*axes)


def _slices(shares: _Shares, size: Sequence[int]) -> tuple[slice, ...]:
    """A box in a pathway; at least one frame of it."""
    found = []
    for (low, high), most in zip(shares, size, strict=True):
        start = min(round(low * most), most - 1)
        found.append(slice(start, max(start + 1, round(high * most))))
    return tuple(found)


def _covered(clip: Tensor, shares: _Shares, baseline: float) -> Tensor:
    covered = clip.clone()
    t, y, x = _slices(shares, clip.shape[2:])
    covered[:, :, t, y, x] = baseline
    return covered
