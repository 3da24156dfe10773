# SPDX-License-Identifier: Apache-2.0
"""Transforms of one clip as plain functions: same parameters for every frame and every box.

A clip is a tensor (C, T, H, W); boxes are (N, 4) tensors or arrays ``x1, y1, x2, y2`` in pixels.
Nothing here changes its arguments. What is random draws from torch's global generator.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.transforms._boxes import (
    Boxes,
    clip_boxes_to_image,
    crop_boxes,
    flip_boxes,
    scale_boxes,
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

_INTERPOLATIONS = (
    "nearest",
    "nearest-exact",
    "linear",
    "bilinear",
    "trilinear",
    "bicubic",
    "area",
)


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
    than asked for, frames are repeated.

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


def _check_clip(x: torch.Tensor, interpolation: str, backend: str) -> None:
    if x.ndim != 4 or not x.is_floating_point():
        raise ValueError(
            f"Expected a float clip (C, T, H, W), but got {x.dtype} of shape {tuple(x.shape)}. "
            "Convert uint8 with ConvertUint8ToFloat or .float() first."
        )
    check_choice("backend", backend, ("pytorch", "opencv"))
    check_choice("interpolation", interpolation, _INTERPOLATIONS)


def _interpolate(x: torch.Tensor, height: int, width: int, interpolation: str) -> torch.Tensor:
    """Resizes (C, T, H, W) without antialiasing, as the published models were trained."""
    # Frames in rows of one plane are several times faster to resize than strided ones.
    x = x.contiguous()
    # Time is not resized, and over (H, W) alone linear and trilinear are bilinear.
    if interpolation in ("linear", "bilinear", "trilinear"):
        return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    if interpolation == "bicubic":
        return F.interpolate(x, size=(height, width), mode="bicubic", align_corners=False)
    return F.interpolate(x, size=(height, width), mode=interpolation)


@torch.jit.unused
def _interpolate_opencv(
    x: torch.Tensor, height: int, width: int, interpolation: str
) -> torch.Tensor:
    """The same through OpenCV, frame by frame."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            'backend="opencv" needs OpenCV: pip install opencv-python-headless, '
            'or use backend="pytorch".'
        ) from error
    flags = {
        "nearest": cv2.INTER_NEAREST,
        "linear": cv2.INTER_LINEAR,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
    }
    check_choice("interpolation", interpolation, flags)
    frames = x.permute(1, 2, 3, 0).contiguous().cpu().numpy()  # (T, H, W, C)
    resized = [cv2.resize(f, (width, height), interpolation=flags[interpolation]) for f in frames]
    stacked = np.stack(resized).reshape(len(frames), height, width, -1)  # C = 1 loses its axis
    return torch.from_numpy(stacked).permute(3, 0, 1, 2).contiguous().to(x.device)


def _scaled_size(height: int, width: int, size: int) -> tuple[int, int]:
    """The (height, width) whose short side is ``size``, the long one rounded down."""
    if size < 1:
        raise ValueError("Expected `size` to be >= 1 pixel.")
    if width < height:
        return height * size // width, size
    return size, width * size // height


def short_side_scale(
    x: torch.Tensor, size: int, interpolation: str = "bilinear", backend: str = "pytorch"
) -> torch.Tensor:
    """Scales a clip so that its shorter side becomes ``size`` pixels, keeping the aspect ratio.

    Args:
        x: float clip (C, T, H, W).
        size: pixels of the shorter side.
        interpolation: nearest, nearest-exact, bilinear (also called linear or trilinear, as time is
            not scaled), bicubic, area; with OpenCV nearest, bilinear (linear) or bicubic.
        backend: ``"pytorch"``, or ``"opencv"`` if it is installed.

    Raises:
        ValueError: not a float clip of four axes, or an unknown name.
        ImportError: ``backend="opencv"`` without OpenCV.

    >>> short_side_scale(torch.zeros(3, 2, 240, 320), 64).shape
    torch.Size([3, 2, 64, 85])
    """
    if not torch.jit.is_scripting():
        _check_clip(x, interpolation, backend)
    height, width = _scaled_size(x.shape[2], x.shape[3], size)
    if backend == "opencv":
        return _interpolate_opencv(x, height, width, interpolation)
    return _interpolate(x, height, width, interpolation)


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
    return hard.float() * (1 - label_smooth) + label_smooth / num_class


def div_255(x: torch.Tensor) -> torch.Tensor:
    """Divides by 255; integers become float32.

    >>> div_255(torch.tensor([0, 255], dtype=torch.uint8))
    tensor([0., 1.])
    """
    return x / 255.0


def random_size(min_size: int, max_size: int) -> int:
    """A whole number in ``[min_size, max_size]``, both included."""
    return int(torch.randint(min_size, max_size + 1, (1,)).item())


def short_side_scale_with_boxes(
    images: torch.Tensor,
    boxes: Boxes,
    size: int,
    interpolation: str = "bilinear",
    backend: str = "pytorch",
) -> tuple[torch.Tensor, Boxes]:
    """:func:`short_side_scale` of a clip (C, T, H, W) and its boxes.

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
) -> tuple[torch.Tensor, Boxes]:
    """:func:`short_side_scale_with_boxes` to a size in ``[min_size, max_size]``, both included."""
    if not 1 <= min_size <= max_size:
        raise ValueError(expected("min_size, max_size", "1 <= min <= max", (min_size, max_size)))
    size = random_size(min_size, max_size)
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
    images: torch.Tensor, size: int, boxes: Boxes
) -> tuple[torch.Tensor, Boxes]:
    """Cuts the same random ``size`` x ``size`` square out of all frames; boxes are clipped to it.

    Args:
        images: a clip (..., H, W).
        size: pixels; every position inside the picture is equally likely.
        boxes: (N, 4).
    """
    height, width = _check_crop(images, size)
    y, x = random_size(0, height - size), random_size(0, width - size)
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
        spatial_idx: 0 left (top of a tall picture), 1 centre, 2 right (bottom).

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
    prob: float, images: torch.Tensor, boxes: Boxes
) -> tuple[torch.Tensor, Boxes]:
    """Mirrors all frames (..., H, W) left to right, and the boxes, with probability ``prob``."""
    if not 0 <= prob <= 1:
        raise ValueError(expected("prob", "in [0, 1]", prob))
    if float(torch.rand(())) >= prob:
        return images, boxes
    return images.flip(-1), flip_boxes(boxes, images.shape[-1])


def _between(limits: tuple[float, float], log: bool = False) -> float:
    low, high = (math.log(limits[0]), math.log(limits[1])) if log else limits
    drawn = low + (high - low) * float(torch.rand(()))
    return math.exp(drawn) if log else drawn


def _random_crop_box(
    height: int,
    width: int,
    scale: tuple[float, float],
    aspect_ratio: tuple[float, float],
    log_uniform_ratio: bool,
    num_tries: int,
) -> tuple[int, int, int, int]:
    """(y, x, h, w) of the crop of Inception (Szegedy et al., arXiv 1409.4842, section 6)."""
    for _ in range(num_tries):
        area = height * width * _between(scale)
        ratio = _between(aspect_ratio, log=log_uniform_ratio)
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 1 <= w <= width and 1 <= h <= height:
            return random_size(0, height - h), random_size(0, width - w), h, w
    # Nothing fitted: the largest centred crop with a ratio that is allowed.
    ratio = min(max(width / height, aspect_ratio[0]), aspect_ratio[1])
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return (height - h) // 2, (width - w) // 2, h, w


def random_resized_crop(
    frames: torch.Tensor,
    target_height: int,
    target_width: int,
    scale: tuple[float, float],
    aspect_ratio: tuple[float, float],
    shift: bool = False,
    log_uniform_ratio: bool = True,
    interpolation: str = "bilinear",
    num_tries: int = 10,
) -> torch.Tensor:
    """Cuts out a random part of a clip and resizes it.

    Args:
        frames: float clip (C, T, H, W).
        target_height: pixels of the result.
        target_width: pixels of the result.
        scale: smallest and largest share of the area to cut out.
        aspect_ratio: smallest and largest width / height of the part.
        shift: draw two parts, and move from the first to the second over time.
        log_uniform_ratio: draw the ratio uniformly on a log scale.
        interpolation: see :func:`short_side_scale`.
        num_tries: after so many parts that do not fit, the largest centred one is taken.

    Raises:
        ValueError: not a float clip of four axes, or limits that are not ``0 < low <= high``.
    """
    _check_clip(frames, interpolation, "pytorch")
    for name, limits in (("scale", scale), ("aspect_ratio", aspect_ratio)):
        if len(limits) != 2 or not 0 < limits[0] <= limits[1]:
            raise ValueError(expected(name, "(low, high) with 0 < low <= high", limits))
    if target_height < 1 or target_width < 1:
        got = (target_height, target_width)
        raise ValueError(expected("target_height, target_width", ">= 1 pixel", got))
    num_frames, height, width = frames.shape[-3:]

    def box() -> tuple[int, int, int, int]:
        return _random_crop_box(height, width, scale, aspect_ratio, log_uniform_ratio, num_tries)

    y, x, h, w = box()
    if not shift:
        part = frames[..., y : y + h, x : x + w]
        return _interpolate(part, target_height, target_width, interpolation)
    path = torch.stack(
        [torch.linspace(a, b, num_frames) for a, b in zip((y, x, h, w), box(), strict=True)], dim=1
    )
    moved = [
        _interpolate(
            frames[:, t : t + 1, y : y + h, x : x + w], target_height, target_width, interpolation
        )
        for t, (y, x, h, w) in enumerate(path.long().tolist())
    ]
    return torch.cat(moved, dim=1)
