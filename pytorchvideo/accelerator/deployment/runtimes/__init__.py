# SPDX-License-Identifier: Apache-2.0
"""Runtimes that a model can be exported to."""

from pytorchvideo.accelerator.deployment.runtimes.table import (
    RUNTIMES,
    ExportError,
    Inputs,
    Positional,
    Precision,
    Runtime,
    needs_calibration,
)

__all__ = [
    "RUNTIMES",
    "ExportError",
    "Inputs",
    "Positional",
    "Precision",
    "Runtime",
    "needs_calibration",
]
