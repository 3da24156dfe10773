# SPDX-License-Identifier: Apache-2.0
"""Models that run on a stream, frame by frame."""

from pytorchvideo.models.incremental.model import IncrementalModel

__all__ = ["IncrementalModel"]
