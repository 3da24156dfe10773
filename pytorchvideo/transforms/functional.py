# SPDX-License-Identifier: Apache-2.0
"""Transforms of clips as functions: the same parameters for every frame and every box.

A clip is a tensor (C, T, H, W), a batch (B, C, T, H, W), float or uint8, contiguous or not; boxes are
(N, 4) tensors or arrays ``x1, y1, x2, y2`` in pixels. Nothing here changes its arguments; results may
share memory with them. What is random draws from torch's global generator, or from ``generator=``.
"""

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F

from pytorchvideo._checks import expected
from pytorchvideo.transforms._random import happens, integer, uniform
from pytorchvideo.transforms._scale import (
    _interpolate_opencv,  # noqa: F401 - projects import it from here
    check_clip,
    interpolate,
    short_side_scale,
)

__all__ = [
    "clip_boxes_to_image",
    "convert_to_one_hot",
    "crop_boxes",
    "div_255",
    "horizontal_flip_with_boxes",
    "random_crop_with_boxes",
    "random_resized_crop",
    "random_short_side_scale_with_boxes",
    "short_side_scale",
    "short_side_scale_with_boxes",
    "uniform_crop",
    "uniform_crop_with_boxes",
    "uniform_temporal_subsample",
    "uniform_temporal_subsample_repeated",
]

# (N, 4), x1, y1, x2, y2 in pixels
Boxes = TypeVar("Boxes", torch.Tensor, np.ndarray)


def _check_subsample(num_frames: int, num_samples: int) -> None:
    if num_samples < 1:
        raise ValueError(expected("num_samples", ">= 1 frame", num_samples))
    if num_frames < 1:
        raise ValueError("Expected a clip with at least one frame, but its time axis is empty.")


def temporal_subsample_indices(num_frames: int, num_samples: int) -> torch.Tensor:
    """The positions of :func:`uniform_temporal_subsample`: int64 (num_samples,)."""
    # On the CPU, also for clips on a device: rounding before the truncation must not depend on it.
    return torch.linspace(0, num_frames - 1, num_samples).long()


def uniform_temporal_subsample(
    x: torch.Tensor, num_samples: int, temporal_dim: int = -3
) -> torch.Tensor:
    """Picks frames at equal distances, the first and the last included.

    The positions are truncated, not rounded, as the published models were trained; with fewer frames
    than asked for, frames are repeated. A clip with just as many is returned as it is.

    Args:
        x: a clip of any dtype.
        num_samples: number of frames to pick.
        temporal_dim: the axis of time.

    Raises:
        ValueError: ``num_samples`` < 1, or no frame at all.

    >>> uniform_temporal_subsample(torch.arange(20), 10, temporal_dim=0)
    tensor([ 0,  2,  4,  6,  8, 10, 12, 14, 16, 19])
    """
    num_frames = x.shape[temporal_dim]
    if not torch.jit.is_scripting():
        _check_subsample(num_frames, num_samples)
    if num_frames == num_samples:
        return x
    indices = temporal_subsample_indices(num_frames, num_samples).to(x.device)
    return torch.index_select(x, temporal_dim, indices)


def uniform_temporal_subsample_repeated(
    frames: torch.Tensor, frame_ratios: Sequence[int], temporal_dim: int = -3
) -> list[torch.Tensor]:
    """Returns one subsample of ``T // ratio`` frames for every ratio: the pathways of SlowFast.

    >>> slow, fast = uniform_temporal_subsample_repeated(torch.zeros(3, 32, 4, 4), (4, 1))
    >>> slow.shape, fast.shape
    (torch.Size([3, 8, 4, 4]), torch.Size([3, 32, 4, 4]))
    """
    num_frames = frames.shape[temporal_dim]
    for ratio in frame_ratios:
        if not 1 <= ratio <= num_frames:
            raise ValueError(
                expected("frame_ratios", f"between 1 and the {num_frames} frames", ratio)
            )
    return [
        uniform_temporal_subsample(frames, num_frames // ratio, temporal_dim)
        for ratio in frame_ratios
    ]


def convert_to_one_hot(
    targets: torch.Tensor, num_class: int, label_smooth: float = 0.0
) -> torch.Tensor:
    """Turns class ids (N,) into (N, num_class): int64, or float32 with label smoothing.

    With smoothing ``s`` the class gets ``1 - s + s / num_class``, every other ``s / num_class``
    (Szegedy et al., arXiv 1512.00567, section 7).

    Raises:
        ValueError: an id outside ``[0, num_class)``, or smoothing outside ``[0, 1)``.

    >>> convert_to_one_hot(torch.tensor([1]), 4, 0.2)
    tensor([[0.0500, 0.8500, 0.0500, 0.0500]])
    """
    if not 0 <= label_smooth < 1:
        raise ValueError(expected("label_smooth", "in [0, 1)", label_smooth))
    if targets.numel() and not 0 <= int(targets.min()) <= int(targets.max()) < num_class:
        got = [int(targets.min()), int(targets.max())]
        raise ValueError(expected("targets", f"class ids in [0, {num_class})", got))
    hard = F.one_hot(targets.reshape(-1).long(), num_class)
    if label_smooth == 0:
        return hard
    # each value is rounded once, as a user's own arithmetic rounds it
    off = label_smooth / num_class
    soft = torch.full(hard.shape, off, dtype=torch.float32, device=hard.device)
    return soft.masked_fill_(hard.bool(), 1 - label_smooth + off)


def div_255(x: torch.Tensor) -> torch.Tensor:
    """Divides by 255; integers become float32.

    >>> div_255(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """
    # In place on the converted copy: torch would convert bit by bit, at half the speed.
    return x / 255.0 if x.is_floating_point() else x.float().div_(255.0)


def short_side_scale_with_boxes(
    images: torch.Tensor,
    boxes: Boxes,
    size: int,
    interpolation: str = "bilinear",
    backend: str = "pytorch",
) -> tuple[torch.Tensor, Boxes]:
    """:func:`short_side_scale` of a clip and its boxes.

    Boxes are scaled by the ratio of the long sides, whose rounding down keeps them inside.
    """
    scaled = short_side_scale(images, size, interpolation, backend)
    return scaled, scale_boxes(boxes, max(scaled.shape[-2:]) / max(images.shape[-2:]))


def random_short_side_scale_with_boxes(
    images: torch.Tensor,
    boxes: Boxes,
    min_size: int,
    max_size: int,
    interpolation: str = "bilinear",
    backend: str = "pytorch",
    *,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, Boxes]:
    """:func:`short_side_scale_with_boxes` to a size in ``[min_size, max_size]``, both included."""
    if not 1 <= min_size <= max_size:
        raise ValueError(expected("min_size, max_size", "1 <= min <= max", (min_size, max_size)))
    size = integer(min_size, max_size, generator)
    return short_side_scale_with_boxes(images, boxes, size, interpolation, backend)


def _check_crop(images: torch.Tensor, size: int) -> tuple[int, int]:
    height, width = images.shape[-2:]
    if not 1 <= size <= min(height, width):
        raise ValueError(
            expected(
                "size", f"between 1 and the short side of {height}x{width}", size, "Scale up first."
            )
        )
    return height, width


def _crop_with_boxes(
    images: torch.Tensor, boxes: Boxes, size: int, y: int, x: int
) -> tuple[torch.Tensor, Boxes]:
    cropped = images[..., y : y + size, x : x + size]
    return cropped, clip_boxes_to_image(crop_boxes(boxes, x, y), size, size)


def random_crop_with_boxes(
    images: torch.Tensor,
    size: int,
    boxes: Boxes,
    *,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, Boxes]:
    """Cuts the same random ``size`` x ``size`` square out of all frames; boxes are clipped to it.

    Args:
        images: a clip (..., H, W).
        size: pixels; every position inside the frame is equally likely.
        boxes: (N, 4).
        generator: where random numbers come from; None is torch's global generator.
    """
    height, width = _check_crop(images, size)
    y, x = integer(0, height - size, generator), integer(0, width - size, generator)
    return _crop_with_boxes(images, boxes, size, y, x)


def _uniform_offsets(images: torch.Tensor, size: int, spatial_idx: int) -> tuple[int, int]:
    if spatial_idx not in (0, 1, 2):
        wanted = "0 (left or top), 1 (centre) or 2 (right or bottom)"
        raise ValueError(expected("spatial_idx", wanted, spatial_idx))
    height, width = _check_crop(images, size)
    y, x = math.ceil((height - size) / 2), math.ceil((width - size) / 2)
    if height > width:
        y = (0, y, height - size)[spatial_idx]
    else:
        x = (0, x, width - size)[spatial_idx]
    return y, x


def uniform_crop(images: torch.Tensor, size: int, spatial_idx: int) -> torch.Tensor:
    """One of three squares along the longer side: the views of three-crop testing.

    Args:
        images: a clip (..., H, W).
        size: pixels.
        spatial_idx: 0 left (top of a tall frame), 1 centre, 2 right (bottom).

    >>> uniform_crop(torch.arange(5).expand(1, 1, 3, 5), 3, 2)[0, 0, 0]
    tensor([2, 3, 4])
    """
    y, x = _uniform_offsets(images, size, spatial_idx)
    return images[..., y : y + size, x : x + size]


def uniform_crop_with_boxes(
    images: torch.Tensor, size: int, spatial_idx: int, boxes: Boxes
) -> tuple[torch.Tensor, Boxes]:
    """:func:`uniform_crop` of a clip and its boxes, which are clipped to the square."""
    y, x = _uniform_offsets(images, size, spatial_idx)
    return _crop_with_boxes(images, boxes, size, y, x)


def horizontal_flip_with_boxes(
    prob: float,
    images: torch.Tensor,
    boxes: Boxes,
    *,
    generator: torch.Generator | None = None,
) -> tuple[torch.Tensor, Boxes]:
    """Mirrors all frames (..., H, W) left to right, and the boxes, with probability ``prob``."""
    if not 0 <= prob <= 1:
        raise ValueError(expected("prob", "in [0, 1]", prob))
    if not happens(prob, generator):
        return images, boxes
    return images.flip(-1), flip_boxes(boxes, images.shape[-1])


def _apply(change: Callable[[torch.Tensor], torch.Tensor], boxes: Boxes) -> Boxes:
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(expected("boxes", "of shape (N, 4): x1, y1, x2, y2", tuple(boxes.shape)))
    if isinstance(boxes, np.ndarray):
        return change(torch.from_numpy(boxes.copy())).numpy()
    return change(boxes)


def clip_boxes_to_image(boxes: Boxes, height: int, width: int) -> Boxes:
    """Moves corners outside a frame onto its border: x in [0, width - 1], y in [0, height - 1].

    >>> clip_boxes_to_image(torch.tensor([[-3.0, 2.0, 50.0, 9.0]]), 8, 20)
    tensor([[ 0.,  2., 19.,  7.]])
    """

    def change(given: torch.Tensor) -> torch.Tensor:
        limits = given.new_tensor([width - 1, height - 1, width - 1, height - 1])
        return torch.minimum(given.clamp(min=0), limits)

    return _apply(change, boxes)


def crop_boxes(boxes: Boxes, x_offset: float, y_offset: float) -> Boxes:
    """Boxes as seen from a crop whose upper left corner is at ``(x_offset, y_offset)``.

    >>> crop_boxes(torch.tensor([[5, 6, 9, 9]]), 2, 1)
    tensor([[3, 5, 7, 8]])
    """

    def change(given: torch.Tensor) -> torch.Tensor:
        return torch.stack(
            [
                given[:, 0] - x_offset,
                given[:, 1] - y_offset,
                given[:, 2] - x_offset,
                given[:, 3] - y_offset,
            ],
            dim=1,
        )

    return _apply(change, boxes)


def scale_boxes(boxes: Boxes, factor: float) -> Boxes:
    """Boxes of a frame that was made ``factor`` times larger."""
    return _apply(lambda given: given * factor, boxes)


def flip_boxes(boxes: Boxes, width: int) -> Boxes:
    """Boxes of a frame mirrored left to right: pixel column x becomes ``width - 1 - x``."""

    def change(given: torch.Tensor) -> torch.Tensor:
        x1, y1, x2, y2 = given.unbind(dim=1)
        return torch.stack([width - 1 - x2, y1, width - 1 - x1, y2], dim=1)

    return _apply(change, boxes)


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
