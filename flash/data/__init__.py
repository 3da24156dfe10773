# SPDX-License-Identifier: Apache-2.0
"""Data of a task: downloads, splits, targets, transforms."""

from importlib import import_module
from typing import Any

_HOMES = {
    "ApplyToKeys": "flash.data.apply",
    "DataKeys": "flash.data.keys",
    "InputTransform": "flash.data.input_transform",
    "TargetFormatter": "flash.data.targets",
    "TransformHooks": "flash.data.hooks",
    "download_data": "flash.data.utils",
    "split_items": "flash.data.split",
}

__all__ = [
    "ApplyToKeys",
    "DataKeys",
    "InputTransform",
    "TargetFormatter",
    "TransformHooks",
    "download_data",
    "split_items",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'flash.data' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
