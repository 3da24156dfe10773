# SPDX-License-Identifier: Apache-2.0
"""Evaluation: scores of predictions, predictors on labelled videos, published protocols, probes on embeddings."""

from importlib import import_module
from typing import Any

_HOMES = {
    "CharadesMap": "pytorchvideo.evaluation.charades",
    "ClipResult": "pytorchvideo.evaluation.scores",
    "Evaluation": "pytorchvideo.evaluation.videos",
    "VideoScores": "pytorchvideo.evaluation.protocols",
    "accuracy": "pytorchvideo.evaluation.scores",
    "charades_map": "pytorchvideo.evaluation.charades",
    "class_scores": "pytorchvideo.evaluation.scores",
    "combine_views": "pytorchvideo.evaluation.protocols",
    "confusion_counts": "pytorchvideo.evaluation.scores",
    "evaluate_videos": "pytorchvideo.evaluation.videos",
    "labels_by_folder": "pytorchvideo.evaluation.probe",
    "score_videos": "pytorchvideo.evaluation.protocols",
    "view_scores": "pytorchvideo.evaluation.protocols",
}

__all__ = [
    "CharadesMap",
    "ClipResult",
    "Evaluation",
    "VideoScores",
    "accuracy",
    "charades_map",
    "class_scores",
    "combine_views",
    "confusion_counts",
    "evaluate_videos",
    "labels_by_folder",
    "score_videos",
    "view_scores",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
