# SPDX-License-Identifier: Apache-2.0
"""The reader of PyTorchVideo for ``decoder="decord"``; it is defined in :mod:`pytorchvideo.data.encoded_video`."""

from enum import Enum

from pytorchvideo.data.encoded_video import EncodedVideoDecord

__all__ = ["DecordDevice", "EncodedVideoDecord"]


class DecordDevice(Enum):
    """Where decord decoded; PyAV decodes on the CPU."""

    DECORD_CPU = "cpu"
    DECORD_GPU = "gpu"
