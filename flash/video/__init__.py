# SPDX-License-Identifier: Apache-2.0
"""The video task: data from folders or files, the classifier, and predictions for whole videos."""

from importlib import import_module
from typing import Any

_HOMES = {
    "VideoActionDetectionData": "flash.video.detection.data",
    "VideoActionDetector": "flash.video.detection.model",
    "VideoClassificationData": "flash.video.classification.data",
    "VideoClassificationInputTransform": "flash.video.classification.input_transform",
    "VideoClassifier": "flash.video.classification.model",
    "VideoPredictor": "pytorchvideo.inference.predictor",
}

__all__ = [
    "VideoActionDetectionData",
    "VideoActionDetector",
    "VideoClassificationData",
    "VideoClassificationInputTransform",
    "VideoClassifier",
    "VideoPredictor",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'flash.video' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
