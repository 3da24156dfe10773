# SPDX-License-Identifier: Apache-2.0
"""Transforms as modules: of clips from ``_clip.py``, of samples from ``_sample.py``."""

from pytorchvideo.transforms._clip import (
    ConvertFloatToUint8,
    ConvertUint8ToFloat,
    Div255,
    MoveChannelFront,
    MoveChannelRear,
    Normalize,
    OnFrames,
    OpSampler,
    Permute,
    RandomResizedCrop,
    RandomShortSideScale,
    ShortSideScale,
    UniformTemporalSubsample,
    UniformTemporalSubsampleRepeated,
)
from pytorchvideo.transforms._sample import ApplyTransformToKey, RemoveKey, UniformCropVideo

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
    "ShortSideScale",
    "UniformCropVideo",
    "UniformTemporalSubsample",
    "UniformTemporalSubsampleRepeated",
]
