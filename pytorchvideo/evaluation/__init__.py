# SPDX-License-Identifier: Apache-2.0
"""Evaluation: scores of predictions, predictors on labelled videos, published protocols, probes on embeddings."""

from importlib import import_module
from typing import Any

_HOMES = {
    "CharadesMap": "pytorchvideo.evaluation.charades",
    "ClipResult": "pytorchvideo.evaluation.scores",
    "Evaluation": "pytorchvideo.evaluation.videos",
    "Figure": "pytorchvideo.evaluation.reproduction",
    "FrameDetections": "pytorchvideo.evaluation.detection._found",
    "FrameMap": "pytorchvideo.evaluation.detection._metric",
    "LabelDoubt": "pytorchvideo.evaluation.label_errors",
    "LabelScore": "pytorchvideo.evaluation.multi_label",
    "LabelledVideos": "pytorchvideo.evaluation.labelled",
    "McNemar": "pytorchvideo.evaluation.significance",
    "MultiLabelEvaluation": "pytorchvideo.evaluation.multi_label",
    "MultiLabelResult": "pytorchvideo.evaluation.multi_label",
    "OfficialTest": "pytorchvideo.evaluation.official",
    "Reproduction": "pytorchvideo.evaluation.reproduction",
    "VideoScores": "pytorchvideo.evaluation.protocols",
    "accuracy": "pytorchvideo.evaluation.scores",
    "charades_map": "pytorchvideo.evaluation.charades",
    "class_scores": "pytorchvideo.evaluation.scores",
    "combine_views": "pytorchvideo.evaluation.protocols",
    "confident_joint": "pytorchvideo.evaluation.label_errors",
    "confusion_counts": "pytorchvideo.evaluation.scores",
    "cross_validated_scores": "pytorchvideo.evaluation.probe",
    "evaluate_multi_label": "pytorchvideo.evaluation.multi_label",
    "evaluate_videos": "pytorchvideo.evaluation.videos",
    "frame_map": "pytorchvideo.evaluation.detection._metric",
    "label_doubts": "pytorchvideo.evaluation.label_errors",
    "label_scores": "pytorchvideo.evaluation.multi_label",
    "labelled_videos": "pytorchvideo.evaluation.labelled",
    "labels_by_folder": "pytorchvideo.evaluation.probe",
    "mcnemar": "pytorchvideo.evaluation.significance",
    "mean_average_precision": "pytorchvideo.evaluation.multi_label",
    "official_test": "pytorchvideo.evaluation.official",
    "score_videos": "pytorchvideo.evaluation.protocols",
    "view_scores": "pytorchvideo.evaluation.protocols",
    "wilson_interval": "pytorchvideo.evaluation.significance",
}

__all__ = [
    "CharadesMap",
    "ClipResult",
    "Evaluation",
    "Figure",
    "FrameDetections",
    "FrameMap",
    "LabelDoubt",
    "LabelScore",
    "LabelledVideos",
    "McNemar",
    "MultiLabelEvaluation",
    "MultiLabelResult",
    "OfficialTest",
    "Reproduction",
    "VideoScores",
    "accuracy",
    "charades_map",
    "class_scores",
    "combine_views",
    "confident_joint",
    "confusion_counts",
    "cross_validated_scores",
    "evaluate_multi_label",
    "evaluate_videos",
    "frame_map",
    "label_doubts",
    "label_scores",
    "labelled_videos",
    "labels_by_folder",
    "mcnemar",
    "mean_average_precision",
    "official_test",
    "score_videos",
    "view_scores",
    "wilson_interval",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
