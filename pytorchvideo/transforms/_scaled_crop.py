# SPDX-License-Identifier: Apache-2.0
"""Scale and crop in one step on a CPU, without computing what is cropped away.

torch interpolates from the top left corner, so that a scaled clip may end anywhere with the same pixels.
"""

from typing import Any

import torch
import torchvision.transforms as tv
import torchvision.transforms.v2 as tv2

from pytorchvideo.transforms._clip import RandomShortSideScale, ShortSideScale
from pytorchvideo.transforms._scale import BILINEAR, scaled_size
from pytorchvideo.transforms._video import CenterCropVideo, RandomCropVideo

_RANDOM_CROPS = (tv.RandomCrop, tv2.RandomCrop)
_CENTER_CROPS = (tv.CenterCrop, tv2.CenterCrop)


def never_pads(crop: Any, short_side: int) -> bool:
    """Whether a step is known to cut a window out of pictures whose sides are at least that long."""
    kind = type(crop)
    if kind in _RANDOM_CROPS:
        return crop.padding is None and not crop.pad_if_needed
    if kind in _CENTER_CROPS:
        return max(crop.size) <= short_side
    return kind in (CenterCropVideo, RandomCropVideo)


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
