# SPDX-License-Identifier: Apache-2.0
"""Transforms as modules: of clips from ``_clip.py``, of samples from ``_sample.py``."""

from typing import TYPE_CHECKING, Any

from pytorchvideo.transforms._clip import (
    ConvertFloatToUint8,
    ConvertUint8ToFloat,
    Div255,
    MoveChannelFront,
    MoveChannelRear,
    OnFrames,
    OpSampler,
    Permute,
    RandomResizedCrop,
    RandomShortSideScale,
    ReverseChannels,
    ShortSideScale,
    UniformTemporalSubsample,
    UniformTemporalSubsampleRepeated,
)
from pytorchvideo.transforms._sample import ApplyTransformToKey, RemoveKey, UniformCropVideo

if TYPE_CHECKING:
    from pytorchvideo.transforms._normalize import Normalize

__all__ = [
    "ApplyTransformToKey",
    "ConvertFloatToUint8",
    "ConvertUint8ToFloat",
    "Div255",
    "MoveChannelFront",
    "MoveChannelRear",
    "Normalize",
    "OnFrames",
    "OpSampler",
    "Permute",
    "RandomResizedCrop",
    "RandomShortSideScale",
    "RemoveKey",
    "ReverseChannels",
    "ShortSideScale",
    "UniformCropVideo",
    "UniformTemporalSubsample",
    "UniformTemporalSubsampleRepeated",
]


def __getattr__(name: str) -> Any:
    if name == "Normalize":  # of torchvision, which takes seconds to import
        from pytorchvideo.transforms._normalize import Normalize

        return Normalize
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
