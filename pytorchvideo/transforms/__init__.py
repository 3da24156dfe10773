# SPDX-License-Identifier: Apache-2.0
"""Transforms for clips (C, T, H, W) and for samples (dicts), as modules and as functions."""

from pytorchvideo.transforms import functional
from pytorchvideo.transforms._video import (
    CenterCropVideo,
    NormalizeVideo,
    RandomCropVideo,
    RandomHorizontalFlipVideo,
    RandomResizedCropVideo,
    ToTensorVideo,
)
from pytorchvideo.transforms.augmentations import AugmentTransform
from pytorchvideo.transforms.augmix import AugMix
from pytorchvideo.transforms.erasing import RandomErasing
from pytorchvideo.transforms.mix import CutMix, MixUp, MixVideo
from pytorchvideo.transforms.rand_augment import RandAugment
from pytorchvideo.transforms.self_supervised import ColorJitterVideoSSl, GaussianBlur
from pytorchvideo.transforms.transforms import (
    ApplyTransformToKey,
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
    RemoveKey,
    ShortSideScale,
    UniformCropVideo,
    UniformTemporalSubsample,
    UniformTemporalSubsampleRepeated,
)
from pytorchvideo.transforms.transforms_factory import create_video_transform
from pytorchvideo.transforms.views import (
    ApplyTransformToKeyOnList,
    RepeatandConverttoList,
    SlowFastPackPathway,
    multiple_samples_collate,
)

__all__ = [
    "ApplyTransformToKey",
    "ApplyTransformToKeyOnList",
    "AugMix",
    "AugmentTransform",
    "CenterCropVideo",
    "ColorJitterVideoSSl",
    "ConvertFloatToUint8",
    "ConvertUint8ToFloat",
    "CutMix",
    "Div255",
    "GaussianBlur",
    "MixUp",
    "MixVideo",
    "MoveChannelFront",
    "MoveChannelRear",
    "Normalize",
    "NormalizeVideo",
    "OnFrames",
    "OpSampler",
    "Permute",
    "RandAugment",
    "RandomCropVideo",
    "RandomErasing",
    "RandomHorizontalFlipVideo",
    "RandomResizedCrop",
    "RandomResizedCropVideo",
    "RandomShortSideScale",
    "RemoveKey",
    "RepeatandConverttoList",
    "ShortSideScale",
    "SlowFastPackPathway",
    "ToTensorVideo",
    "UniformCropVideo",
    "UniformTemporalSubsample",
    "UniformTemporalSubsampleRepeated",
    "create_video_transform",
    "functional",
    "multiple_samples_collate",
]
