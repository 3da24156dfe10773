# SPDX-License-Identifier: Apache-2.0
"""Transforms for clips (C, T, H, W) and for samples (dicts), as modules and as functions."""

from pytorchvideo.transforms import functional
from pytorchvideo.transforms.transforms import (
    ApplyTransformToKey,
    ConvertFloatToUint8,
    ConvertUint8ToFloat,
    Div255,
    MoveChannelFront,
    MoveChannelRear,
    Normalize,
    OpSampler,
    Permute,
    RandomResizedCrop,
    RandomShortSideScale,
    RemoveKey,
    ShortSideScale,
    UniformCropVideo,
    UniformTemporalSubsample,
    UniformTemporalSubsampleRepeated,
)

__all__ = [
    "ApplyTransformToKey",
    "ConvertFloatToUint8",
    "ConvertUint8ToFloat",
    "Div255",
    "MoveChannelFront",
    "MoveChannelRear",
    "Normalize",
    "OpSampler",
    "Permute",
    "RandomResizedCrop",
    "RandomShortSideScale",
    "RemoveKey",
    "ShortSideScale",
    "UniformCropVideo",
    "UniformTemporalSubsample",
    "UniformTemporalSubsampleRepeated",
    "functional",
]
