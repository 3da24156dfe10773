# SPDX-License-Identifier: Apache-2.0
"""The reader of PyTorchVideo for ``decoder="pyav"``; it is defined in :mod:`pytorchvideo.data.encoded_video`."""

from pytorchvideo.data._decode._pyav.plain import decode_stream as _pyav_decode_stream  # noqa: F401
from pytorchvideo.data.encoded_video import EncodedVideoPyAV
from pytorchvideo.data.utils import thwc_to_cthw  # noqa: F401

__all__ = ["EncodedVideoPyAV"]
