# SPDX-License-Identifier: Apache-2.0
"""Pushdown of a pipeline's first steps, frame selection and scale, into the decoder.

Transforms that keep only some frames: only those are decoded. Transforms that then scale: large frames are scaled one
by one as they are decoded, so that a clip of them is never held in full size. FFmpeg scales while it turns frames into
RGB, if that is wanted, since its pixels are not the same.
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from pytorchvideo.transforms._clip import (
    ConvertUint8ToFloat,
    Div255,
    RandomShortSideScale,
    ShortSideScale,
    UniformTemporalSubsample,
    is_normalize,
)
from pytorchvideo.transforms._pipeline import steps
from pytorchvideo.transforms._sample import ApplyTransformToKey, RemoveKey
from pytorchvideo.transforms._scale import BILINEAR, scaled_size, short_side_scale
from pytorchvideo.transforms.functional import temporal_subsample_indices

FrameFilter = Callable[[list[int]], list[int]]
FrameResize = Callable[[int, int], tuple[int, int]]
FrameTransform = Callable[[torch.Tensor], torch.Tensor | None]

# Below 720p clips take little, and are scaled as fast whole; above, single frames, which stay in the cache, are faster.
_SMALL_PIXELS = 500_000
# Of a scaled frame: 1.6 GB as float32. A long and thin one grows by the square of what its short side grows by.
_MOST_PIXELS = 1 << 27
_SAME_FOR_EVERY_PIXEL = (ConvertUint8ToFloat, Div255)


def _first_step(transform: Any, key: str) -> Any:
    """What a sample transform does first to one entry, or None where that cannot be told."""
    for step in steps(transform):
        if type(step) is RemoveKey and step.key != key:
            continue
        if type(step) is not ApplyTransformToKey:
            return None
        if step.key != key:
            continue
        inner = steps(step.transform)
        # An empty container leaves the clip as it is, and the next step is the first.
        if inner:
            return inner[0]
    return None


def temporal_frame_filter(transform: Any, key: str = "video") -> FrameFilter | None:
    """Returns which frames of a clip a sample transform is going to keep, if it says so at once.

    A transform that begins with ``UniformTemporalSubsample`` on the clip never looks at the other
    frames. Loading only the frames that this filter names and then applying the unchanged transform
    gives exactly what loading all of them gives.

    Args:
        transform: any sample transform, or None. ``Compose`` (of torchvision, v1 and v2),
            ``nn.Sequential``, ``ApplyTransformToKey`` and ``RemoveKey`` are looked into.
        key: the entry with the clip (C, T, H, W).

    Returns:
        A function from the indices of the frames of a clip to those to load, or None where all may
        be needed.

    >>> subsample = ApplyTransformToKey("video", UniformTemporalSubsample(3))
    >>> keep = temporal_frame_filter(subsample)
    >>> keep([10, 11, 12, 13, 14])
    [10, 12, 14]
    """
    first = _first_step(transform, key)
    if not _picks_frames(first):
        return None
    num_samples = first.num_samples

    def keep(indices: list[int]) -> list[int]:
        # With too few frames the transform repeats some: all are needed, each once.
        if len(indices) <= num_samples:
            return list(indices)
        chosen = temporal_subsample_indices(len(indices), num_samples)
        return [indices[i] for i in chosen.tolist()]

    return keep


def clip_reading(transform: Any, key: str = "video") -> dict[str, Any]:
    """Returns arguments of ``get_clip`` with which a clip holds what a sample transform looks at, and no more.

    Args:
        transform: any sample transform; see :func:`temporal_frame_filter`.
        key: the entry with the clip, whose frames may be bytes that are made float32 before the transform.
    """
    scale = frame_scale(transform, key)
    return {
        "frame_filter": temporal_frame_filter(transform, key),
        "frame_transform": None if scale is None else lambda frame: scale(frame.float()),
    }


def frame_resize(
    transform: Any, key: str = "video", *, is_viewed_again: bool = False
) -> FrameResize | None:
    """Returns the size that a sample transform is going to scale a clip to, if that is its first change.

    Frames may have been picked before, and colours divided and normalised. A clip that comes in this
    size passes ``ShortSideScale`` as it is. ``RandomShortSideScale`` will draw the size that is told
    here: it is drawn in advance, and the generator put back.

    Args:
        transform: any sample transform, or None; see :func:`temporal_frame_filter`.
        key: the entry with the clip (C, T, H, W).
        is_viewed_again: the clip will be transformed more than once, hence to several random sizes.

    Returns:
        A function from the (height, width) of a frame to those to scale it to, or None where the
        transform does something else first.

    >>> resize = frame_resize(ApplyTransformToKey("video", ShortSideScale(256)))
    >>> resize(720, 1280)
    (256, 455)
    """
    scale = _first_scale(
        transform,
        key,
        is_viewed_again,
        lambda step: type(step) in _SAME_FOR_EVERY_PIXEL or is_normalize(step),
    )
    if scale is None or scale[0].interpolation not in BILINEAR:
        return None
    return lambda height, width: scaled_size(height, width, scale[1])


def frame_scale(
    transform: Any,
    key: str = "video",
    *,
    dtype: torch.dtype = torch.float32,
    is_viewed_again: bool = False,
) -> FrameTransform | None:
    """Returns the scale that a sample transform begins with as one of single frames, so that these are not held whole.

    A clip of frames that went through it passes the transform with the same result, up to the rounding of float32:
    what is divided and normalised before the scale is so after it, see ``_steps.py``, and torch sums in another order
    for another number of planes. So small frames, which need not be scaled alone, and stay small, are left as they are.

    Args:
        transform: any sample transform, or None; see :func:`temporal_frame_filter`.
        key: the entry with the clip (C, T, H, W).
        dtype: of the frames. Bytes are not divided before they are scaled, as they would be rounded.
        is_viewed_again: the clip will be transformed more than once, hence to several random sizes.

    Returns:
        A function from a frame (C, 1, H, W) to the scaled one, and to None for a small one; or None where the
        transform does something else first. It raises a ValueError for a frame that would be enormous.

    >>> scale = frame_scale(ApplyTransformToKey("video", ShortSideScale(256)))
    >>> scale(torch.zeros(3, 1, 1080, 1920)).shape, scale(torch.zeros(3, 1, 240, 320))
    (torch.Size([3, 1, 256, 455]), None)
    """

    def may_wait(step: Any) -> bool:
        return dtype.is_floating_point and (
            type(step) is Div255 or (is_normalize(step) and not step.inplace)
        )

    found = _first_scale(transform, key, is_viewed_again, may_wait)
    if found is None:
        return None
    step, size = found

    def scale(frame: torch.Tensor) -> torch.Tensor | None:
        height, width = frame.shape[-2:]
        scaled = math.prod(scaled_size(height, width, size))
        if scaled > _MOST_PIXELS:
            raise ValueError(
                f"Expected frames that have at most {_MOST_PIXELS:,} pixels when their short side is scaled to {size}, "
                f"but got frames of {width}x{height}, which would have {scaled:,}. Crop or pad them before."
            )
        if max(height * width, scaled) <= _SMALL_PIXELS:
            return None
        return short_side_scale(frame, size, step.interpolation, step.backend)

    return scale


def _first_scale(
    transform: Any, key: str, is_viewed_again: bool, may_precede: Callable[[Any], bool]
) -> tuple[Any, int] | None:
    """The scale that is the first change of a clip, and its size; None where that cannot be told.

    Args:
        transform: of samples.
        key: the entry with the clip.
        is_viewed_again: whether its random size is drawn more than once.
        may_precede: of a step before it, besides those that pick frames.
    """
    may_draw_before = is_viewed_again
    for step in steps(transform):
        if type(step) is RemoveKey and step.key != key:
            continue
        if type(step) is not ApplyTransformToKey:
            return None
        if step.key != key:
            may_draw_before = True
            continue
        for inner in steps(step.transform):
            if _picks_frames(inner) or may_precede(inner):
                continue
            size = _size(inner, may_draw_before)
            return None if size is None else (inner, size)
    return None


def _picks_frames(step: Any) -> bool:
    return type(step) is UniformTemporalSubsample and step.temporal_dim == -3


def _size(step: Any, may_draw_before: bool) -> int | None:
    """What a scale makes of the short side; None for any other step, and for a size that is not drawn next."""
    if type(step) is ShortSideScale:
        return step.size
    if type(step) is RandomShortSideScale and not may_draw_before:
        return step.peek()
    return None
