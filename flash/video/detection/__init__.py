# SPDX-License-Identifier: Apache-2.0
"""Action detection: the task and its data."""

from importlib import import_module
from typing import Any

_HOMES = {
    "VideoActionDetectionData": "flash.video.detection.data",
    "VideoActionDetector": "flash.video.detection.model",
}

__all__ = ["VideoActionDetectionData", "VideoActionDetector"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'flash.video.detection' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
