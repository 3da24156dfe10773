# SPDX-License-Identifier: Apache-2.0
"""Transforms for clips (C, T, H, W) and for samples (dicts), as modules and as functions.

Those that are made of torchvision are imported on use: it takes as long to import as torch itself.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pytorchvideo.transforms import functional
from pytorchvideo.transforms._video import (
    CenterCropVideo,
    RandomCropVideo,
    RandomHorizontalFlipVideo,
    RandomResizedCropVideo,
    ToTensorVideo,
)
from pytorchvideo.transforms.detection import DetectionTransform
from pytorchvideo.transforms.erasing import RandomErasing
from pytorchvideo.transforms.mix import CutMix, MixUp, MixVideo
from pytorchvideo.transforms.transforms import (
    ApplyTransformToKey,
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
    RemoveKey,
    ReverseChannels,
    ShortSideScale,
    UniformCropVideo,
    UniformTemporalSubsample,
    UniformTemporalSubsampleRepeated,
)
from pytorchvideo.transforms.views import (
    ApplyTransformToKeyOnList,
    RepeatandConverttoList,
    RepeatedAugmentation,
    SlowFastPackPathway,
    multiple_samples_collate,
)

if TYPE_CHECKING:
    from pytorchvideo.transforms._normalize import Normalize, NormalizeVideo
    from pytorchvideo.transforms.augmentations import AugmentTransform
    from pytorchvideo.transforms.augmix import AugMix
    from pytorchvideo.transforms.rand_augment import RandAugment
    from pytorchvideo.transforms.self_supervised import ColorJitterVideoSSl, GaussianBlur
    from pytorchvideo.transforms.transforms_factory import create_video_transform

_HOMES = {
    "AugMix": "augmix",
    "AugmentTransform": "augmentations",
    "ColorJitterVideoSSl": "self_supervised",
    "GaussianBlur": "self_supervised",
    "Normalize": "_normalize",
    "NormalizeVideo": "_normalize",
    "RandAugment": "rand_augment",
    "create_video_transform": "transforms_factory",
}

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
    "DetectionTransform",
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
    "RepeatedAugmentation",
    "ReverseChannels",
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


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name in _HOMES.values():
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
