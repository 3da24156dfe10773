# SPDX-License-Identifier: Apache-2.0
"""The reader of PyTorchVideo for ``decoder="torchvision"``; it is defined in :mod:`pytorchvideo.data.encoded_video`."""

from pytorchvideo.data.encoded_video import EncodedVideoTorchVision

__all__ = ["EncodedVideoTorchVision"]
