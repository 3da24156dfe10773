# SPDX-License-Identifier: Apache-2.0
"""Video classification: the task and its data."""

from importlib import import_module
from typing import Any

_HOMES = {
    "VideoClassificationData": "flash.video.classification.data",
    "VideoClassifier": "flash.video.classification.model",
}

__all__ = ["VideoClassificationData", "VideoClassifier"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'flash.video.classification' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
