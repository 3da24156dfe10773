# SPDX-License-Identifier: Apache-2.0
"""The decoders of PyTorchVideo by name."""

from enum import Enum

__all__ = ["DecoderType"]


class DecoderType(str, Enum):
    """What may be given as ``decoder``; see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`."""

    PYAV = "pyav"
    TORCHVISION = "torchvision"
    DECORD = "decord"
