# SPDX-License-Identifier: Apache-2.0
"""The random resized crop of Inception, for clips."""

import math

import torch

from pytorchvideo._checks import expected
from pytorchvideo.transforms._random import integer, uniform
from pytorchvideo.transforms._scale import check_clip, interpolate

Limits = tuple[float, float]


def random_box(
    height: int,
    width: int,
    scale: Limits,
    aspect_ratio: Limits,
    log_uniform_ratio: bool,
    num_tries: int,
    generator: torch.Generator | None = None,
) -> tuple[int, int, int, int]:
    """(y, x, h, w) of the crop of Inception (Szegedy et al., arXiv 1409.4842, section 6)."""
    for _ in range(num_tries):
        area = height * width * uniform(*scale, generator)
        if log_uniform_ratio:
            low, high = (math.log(ratio) for ratio in aspect_ratio)
            ratio = math.exp(uniform(low, high, generator))
        else:
            ratio = uniform(*aspect_ratio, generator)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 1 <= w <= width and 1 <= h <= height:
            return integer(0, height - h, generator), integer(0, width - w, generator), h, w
    # Nothing fitted: the largest centred crop with a ratio that is allowed.
    ratio = min(max(width / height, aspect_ratio[0]), aspect_ratio[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    w, h = max(w, 1), max(h, 1)
    return (height - h) // 2, (width - w) // 2, h, w


def random_resized_crop(
    frames: torch.Tensor,
    target_height: int,
    target_width: int,
    scale: Limits,
    aspect_ratio: Limits,
    shift: bool = False,
    log_uniform_ratio: bool = True,
    interpolation: str = "bilinear",
    num_tries: int = 10,
    *,
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Cuts out a random part of a clip and resizes it, the same for all clips of a batch.

    Args:
        frames: clip (C, T, H, W) or batch (B, C, T, H, W); float, or uint8, which is scaled as float
            and rounded.
        target_height: pixels of the result.
        target_width: pixels of the result.
        scale: smallest and largest share of the area to cut out, in either order.
        aspect_ratio: smallest and largest width / height of the part, in either order.
        shift: draw two parts, and move from the first to the second over time.
        log_uniform_ratio: draw the ratio uniformly on a log scale.
        interpolation: see :func:`short_side_scale`.
        num_tries: after so many parts that do not fit, the largest centred one is taken.
        generator: where random numbers come from; None is torch's global generator.

    Raises:
        ValueError: not such a clip, or limits that are not two numbers > 0.
    """
    check_clip(frames, interpolation)
    for name, limits in (("scale", scale), ("aspect_ratio", aspect_ratio)):
        if len(limits) != 2 or not min(limits) > 0:
            raise ValueError(expected(name, "(low, high), both > 0", limits))
    if target_height < 1 or target_width < 1:
        got = (target_height, target_width)
        raise ValueError(expected("target_height, target_width", ">= 1 pixel", got))
    num_frames, height, width = frames.shape[-3:]
    shares, ratios = (min(scale), max(scale)), (min(aspect_ratio), max(aspect_ratio))

    def box() -> tuple[int, int, int, int]:
        return random_box(height, width, shares, ratios, log_uniform_ratio, num_tries, generator)

    y, x, h, w = box()
    if not shift:
        part = frames[..., y : y + h, x : x + w]
        return interpolate(part, target_height, target_width, interpolation)
    path = torch.stack(
        [torch.linspace(a, b, num_frames) for a, b in zip((y, x, h, w), box(), strict=True)], dim=1
    )
    moved = [
        interpolate(
            frames[..., t : t + 1, y : y + h, x : x + w], target_height, target_width, interpolation
        )
        for t, (y, x, h, w) in enumerate(path.long().tolist())
    ]
    return torch.cat(moved, dim=-3)
