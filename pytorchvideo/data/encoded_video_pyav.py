# SPDX-License-Identifier: Apache-2.0
"""The old home of the PyAV reader, which is now :class:`pytorchvideo.data.encoded_video.EncodedVideo`."""

from pytorchvideo.data.encoded_video import EncodedVideo as EncodedVideoPyAV

__all__ = ["EncodedVideoPyAV"]
