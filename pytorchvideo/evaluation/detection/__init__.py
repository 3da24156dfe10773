# SPDX-License-Identifier: Apache-2.0
"""Frame-mAP of action detection (AVA, arXiv 1705.08421) at an IoU of 0.5, by three conventions.

They differ in how detections of a frame claim its ground truth, of which each can be claimed once:

===========================  ==========================  ================  ==================
..                           ``"official"``              ``"pyslowfast"``  ``"plain"``
===========================  ==========================  ================  ==================
first claim in a frame       the highest score           the first row     the highest score
detections of a frame        the 50 best of all classes  all               all
frames without ground truth  left out                    false positives   left out
===========================  ==========================  ================  ==================

A frame has ground truth if a row names it, also one of a class that is not evaluated, or one without a box.
Of equal scores in different frames, the later row comes first, on every machine; of those in one frame
``"official"`` has the order of the heap of AVA's script, ``"plain"`` that of the rows.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "AVA_GROUPS": "pytorchvideo.evaluation.detection._metric",
    "FrameDetections": "pytorchvideo.evaluation.detection._found",
    "FrameMap": "pytorchvideo.evaluation.detection._metric",
    "frame_map": "pytorchvideo.evaluation.detection._metric",
    "read_detections": "pytorchvideo.evaluation.detection._files",
    "read_excluded": "pytorchvideo.evaluation.detection._files",
    "read_groundtruth": "pytorchvideo.evaluation.detection._files",
    "score_boxes": "pytorchvideo.evaluation.detection._boxes",
    "write_detections": "pytorchvideo.evaluation.detection._files",
}

__all__ = [
    "AVA_GROUPS",
    "FrameDetections",
    "FrameMap",
    "frame_map",
    "read_detections",
    "read_excluded",
    "read_groundtruth",
    "score_boxes",
    "write_detections",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
