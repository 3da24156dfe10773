# SPDX-License-Identifier: Apache-2.0
"""Incremental inference: models that run on a stream, frame by frame."""

from pytorchvideo.models.incremental.model import IncrementalModel

__all__ = ["IncrementalModel"]
