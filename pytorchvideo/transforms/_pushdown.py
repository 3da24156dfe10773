# SPDX-License-Identifier: Apache-2.0
"""Recognises what a transform does first to a clip, so that the decoder may do it.

Transforms that keep only some frames: only those are decoded. Transforms that then scale: FFmpeg scales
while it turns frames into RGB, if that is wanted, since its pixels are not the same.
"""

from collections.abc import Callable
from typing import Any

from pytorchvideo.transforms._clip import (
    ConvertUint8ToFloat,
    Div255,
    Normalize,
    RandomShortSideScale,
    ShortSideScale,
    UniformTemporalSubsample,
)
from pytorchvideo.transforms._sample import ApplyTransformToKey, RemoveKey
from pytorchvideo.transforms._scale import BILINEAR, scaled_size
from pytorchvideo.transforms._steps import steps
from pytorchvideo.transforms._video import NormalizeVideo
from pytorchvideo.transforms.functional import temporal_subsample_indices

FrameFilter = Callable[[list[int]], list[int]]
FrameResize = Callable[[int, int], tuple[int, int]]

_SAME_FOR_EVERY_PIXEL = (ConvertUint8ToFloat, Div255, Normalize, NormalizeVideo)


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
            if type(inner) in _SAME_FOR_EVERY_PIXEL or _picks_frames(inner):
                continue
            return _short_side(inner, may_draw_before)
    return None


def _picks_frames(step: Any) -> bool:
    return type(step) is UniformTemporalSubsample and step.temporal_dim == -3


def _short_side(step: Any, may_draw_before: bool) -> FrameResize | None:
    if type(step) is ShortSideScale and step.interpolation in BILINEAR:
        size = step.size
    elif type(step) is RandomShortSideScale and step.interpolation in BILINEAR:
        if may_draw_before:
            return None
        size = step.peek()
    else:
        return None
    return lambda height, width: scaled_size(height, width, size)
