# SPDX-License-Identifier: Apache-2.0
"""The reader of PyTorchVideo for ``decoder="pyav"``, with its order of arguments."""

from pathlib import Path
from typing import Any, BinaryIO

from pytorchvideo.data._decode._pyav.plain import decode_stream as _pyav_decode_stream  # noqa: F401
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.utils import thwc_to_cthw  # noqa: F401

__all__ = ["EncodedVideoPyAV"]


class EncodedVideoPyAV(EncodedVideo):
    """An :class:`~pytorchvideo.data.encoded_video.EncodedVideo`, whose other arguments go by name.

    Args:
        file: a path, or a seekable binary file.
        video_name: the name of the video; by default that of the file.
        decode_video: False gives clips whose ``"video"`` is None.
        decode_audio: False gives clips whose ``"audio"`` is None.
        perform_seek: False reads every clip from the start of the file.
        options: other arguments of ``EncodedVideo``.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        video_name: str | None = None,
        decode_video: bool = True,
        decode_audio: bool = True,
        perform_seek: bool = True,
        **options: Any,
    ) -> None:
        options = {"perform_seek": perform_seek, **options}
        super().__init__(file, video_name, decode_video, decode_audio, **options)
