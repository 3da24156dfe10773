# SPDX-License-Identifier: Apache-2.0
"""Inference on videos: predictions, embeddings, timelines, streams and exports."""

from importlib import import_module
from typing import Any

_HOMES = {
    "ClipScores": "pytorchvideo.inference.predictor",
    "Embeddings": "pytorchvideo.inference.embeddings",
    "StreamPredictor": "pytorchvideo.inference.stream.predictor",
    "Timeline": "pytorchvideo.inference.timeline.timeline",
    "TimelineOptions": "pytorchvideo.inference.timeline.make",
    "VideoPredictor": "pytorchvideo.inference.predictor",
    "embed": "pytorchvideo.inference.embeddings",
    "load_predictor": "pytorchvideo.inference.loading",
    "make_timeline": "pytorchvideo.inference.timeline.make",
}

__all__ = [
    "ClipScores",
    "Embeddings",
    "StreamPredictor",
    "Timeline",
    "TimelineOptions",
    "VideoPredictor",
    "embed",
    "load_predictor",
    "make_timeline",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
