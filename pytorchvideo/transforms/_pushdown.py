# SPDX-License-Identifier: Apache-2.0
"""Recognises transforms that keep only some frames of a clip, so that only those are decoded."""

from collections.abc import Callable
from typing import Any

from pytorchvideo.transforms._clip import UniformTemporalSubsample
from pytorchvideo.transforms._sample import ApplyTransformToKey, RemoveKey
from pytorchvideo.transforms._steps import steps
from pytorchvideo.transforms.functional import temporal_subsample_indices

FrameFilter = Callable[[list[int]], list[int]]


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
    if type(first) is not UniformTemporalSubsample or first.temporal_dim != -3:
        return None
    num_samples = first.num_samples

    def keep(indices: list[int]) -> list[int]:
        # With too few frames the transform repeats some: all are needed, each once.
        if len(indices) <= num_samples:
            return list(indices)
        chosen = temporal_subsample_indices(len(indices), num_samples)
        return [indices[i] for i in chosen.tolist()]

    return keep
