# SPDX-License-Identifier: Apache-2.0
"""The execution of pipelines on clips by :class:`ApplyTransformToKey`.

- A step that takes time for channels is an error that says so, instead of wrong colours.
- kornia's ``VideoSequential``, which takes batches, gets a single clip as a batch of one.
- ``Div255`` and ``Normalize`` wait for following steps that only choose or average pixels: a linear
  function of every pixel may as well be applied to the few that are left. Values are the same up to
  the rounding of float32, random numbers are drawn in the same order.
- A scale that a crop follows need not scale all that is cut off (``_scaled_crop.py``).
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytorchvideo.transforms._clip import (
    Div255,
    MoveChannelFront,
    MoveChannelRear,
    OpSampler,
    Permute,
    RandomResizedCrop,
    RandomShortSideScale,
    ShortSideScale,
    UniformTemporalSubsample,
    is_normalize,
)
from pytorchvideo.transforms._scale import BILINEAR, scaled_size
from pytorchvideo.transforms._video import (
    CenterCropVideo,
    RandomCropVideo,
    RandomHorizontalFlipVideo,
    RandomResizedCropVideo,
)


def is_of_torchvision(step: Any, *names: str) -> bool:
    """Whether a step is exactly one of torchvision's classes, v1 or v2; told by its name, without importing them."""
    kind = type(step)
    return kind.__name__ in names and kind.__module__.startswith("torchvision.transforms.")


def never_pads(crop: Any, short_side: int) -> bool:
    """Whether a step is known to cut a window out of frames whose sides are at least that long."""
    if is_of_torchvision(crop, "RandomCrop"):
        return crop.padding is None and not crop.pad_if_needed
    if is_of_torchvision(crop, "CenterCrop"):
        return max(crop.size) <= short_side
    return type(crop) in (CenterCropVideo, RandomCropVideo)


def is_scaled_crop(scale: Any, crop: Any, x: torch.Tensor) -> bool:
    """Whether two steps on a clip (..., C, T, H, W) are what :func:`scaled_crop` can do."""
    if type(scale) is RandomShortSideScale:
        least = scale.min_size
    elif type(scale) is ShortSideScale:
        least = scale.size
    else:
        return False
    return (
        scale.interpolation in BILINEAR
        and scale.backend == "pytorch"
        and never_pads(crop, least)
        and x.device.type == "cpu"
        and x.dtype == torch.float32
        and x.is_contiguous()
    )


def scaled_crop(scale: Any, crop: Any, x: torch.Tensor) -> torch.Tensor:
    """``crop(scale(x))`` (..., C, T, h, w) without many of the pixels that are cut off.

    The crop is called once, after the scale has drawn its size.
    """
    size = scale.draw() if isinstance(scale, RandomShortSideScale) else scale.size
    height, width = scaled_size(x.shape[-2], x.shape[-1], size)
    # It has no memory, only the place of the window in it.
    whole = torch.empty((*x.shape[:-2], height, width), device="meta")
    window: torch.Tensor = crop(whole)
    top, left = divmod(int(window.storage_offset()), width)
    bottom, right = top + window.shape[-2], left + window.shape[-1]
    if x.shape[-2:] == whole.shape[-2:]:
        return x[..., top:bottom, left:right]
    old_height, old_width = x.shape[-2:]
    # Where as many rows or columns come out as go in, torch takes them as they are, whatever the scale.
    rows = bottom + 1 if bottom == old_height < height else bottom
    columns = right + 1 if right == old_width < width else right
    scaled: torch.Tensor = torch.ops.aten.upsample_bilinear2d(
        x.flatten(0, -4), [rows, columns], False, height / old_height, width / old_width
    )
    return scaled[..., top:bottom, left:right].unflatten(0, x.shape[:-3])


# Types must match exactly everywhere here: a subclass may do something else.

_PICKS_PIXELS = (
    ShortSideScale,
    RandomShortSideScale,
    RandomResizedCrop,
    RandomResizedCropVideo,
    RandomHorizontalFlipVideo,
)
_FLIPS = ("RandomHorizontalFlip", "RandomVerticalFlip")

# Names in torchvision, v1 and v2, of what looks at several channels at once.
_OF_COLOURS = frozenset(
    {
        "AugMix",
        "AutoAugment",
        "ColorJitter",
        "Grayscale",
        "Normalize",
        "RandAugment",
        "RandomAdjustSharpness",
        "RandomChannelPermutation",
        "RandomGrayscale",
        "RandomPhotometricDistort",
        "TrivialAugmentWide",
    }
)
_MAY_MOVE_AXES = (Permute, MoveChannelFront, MoveChannelRear, OpSampler)


def steps(transform: Any) -> list[Any]:
    """The transforms that a container runs one after the other; a list of itself for any other."""
    if is_of_torchvision(transform, "Compose"):
        parts = list(transform.transforms)
    elif type(transform) is nn.Sequential:
        parts = list(transform)
    else:
        return [transform]
    return [step for part in parts for step in steps(part)]


def run(transform: Callable[[Any], Any], x: Any, *, is_clip: bool) -> Any:
    """``transform(x)``, for clips as the head of this file says.

    Args:
        transform: any callable.
        x: what it takes.
        is_clip: whether a tensor of four axes is known to be (C, T, H, W).

    Raises:
        ValueError: a step would take time for channels.
    """
    waiting: list[Any] = []
    todo = steps(transform)
    while todo:
        step = todo.pop(0)
        is_tensor = isinstance(x, torch.Tensor) and x.ndim >= 4
        if is_tensor:
            _check_channels(step, x, is_clip)
        is_clip = is_clip and _keeps_axes(step)
        if is_tensor and _is_linear(step, x):
            waiting.append(step)
            continue
        if waiting and not _only_picks_pixels(step, x):
            x, waiting = _all(waiting, x), []
        if is_tensor and x.ndim == 4 and _is_video_sequential(step):
            x = step(x[None])[0]
        elif is_tensor and todo and is_scaled_crop(step, todo[0], x):
            x = scaled_crop(step, todo.pop(0), x)
        else:
            x = step(x)
    return _all(waiting, x)


def _all(steps: list[Any], x: Any) -> Any:
    for step in steps:
        x = step(x)
    return x


def _is_linear(step: Any, x: torch.Tensor) -> bool:
    """Not on integers, whose scaling rounds, and not in half precision, where the range matters."""
    if x.dtype not in (torch.float32, torch.float64):
        return False
    return type(step) is Div255 or (is_normalize(step) and not step.inplace)


def _only_picks_pixels(step: Any, x: torch.Tensor) -> bool:
    """Whether every pixel that a step returns is one, or a weighted mean, of those that it gets."""
    if type(step) is UniformTemporalSubsample:
        return bool(step.temporal_dim == -3)
    is_known = type(step) in _PICKS_PIXELS or is_of_torchvision(step, *_FLIPS)
    return is_known or never_pads(step, min(x.shape[-2:]))


def _keeps_axes(step: Any) -> bool:
    known = type(step).__module__.startswith(
        ("pytorchvideo.transforms.", "torchvision.transforms.")
    )
    return known and not (isinstance(step, _MAY_MOVE_AXES) or is_of_torchvision(step, "Lambda"))


def _check_channels(step: Any, x: torch.Tensor, is_clip: bool) -> None:
    """Raises if a step of torchvision looks for channels where a clip has time."""
    name = type(step).__name__
    if not is_of_torchvision(step, *_OF_COLOURS):
        return
    if torch.as_tensor(getattr(step, "mean", (0, 0, 0))).numel() == 1:
        return  # Normalize with one value for all channels: any axis will do
    channels, third_from_end = x.shape[-4], x.shape[-3]
    if channels in (1, 3) and (is_clip or third_from_end not in (1, 3)):
        advice = "Use pytorchvideo.transforms.Normalize."
        if name != "Normalize":
            advice = f"Wrap it: pytorchvideo.transforms.OnFrames({name}(...))."
        raise ValueError(
            f"Expected images (..., C, H, W) for torchvision's {name}, but got a clip (..., C, T, H, W) "
            f"of shape {tuple(x.shape)}, whose time it would take for channels. {advice}"
        )


def _is_video_sequential(step: Any) -> bool:
    kind = type(step)
    return kind.__name__ == "VideoSequential" and kind.__module__.startswith("kornia.")
