# SPDX-License-Identifier: Apache-2.0
"""The reader of PyTorchVideo for ``decoder="torchvision"``, which PyAV reads now."""

from pathlib import Path
from typing import Any, BinaryIO

from pytorchvideo.data.encoded_video import EncodedVideo

__all__ = ["EncodedVideoTorchVision"]


class EncodedVideoTorchVision(EncodedVideo):
    """An :class:`~pytorchvideo.data.encoded_video.EncodedVideo`, whose other arguments go by name.

    Args:
        file: a path, or a seekable binary file.
        video_name: the name of the video; by default that of the file.
        decode_video: False gives clips whose ``"video"`` is None.
        decode_audio: False gives clips whose ``"audio"`` is None.
        options: other arguments of ``EncodedVideo``.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        video_name: str | None = None,
        decode_video: bool = True,
        decode_audio: bool = True,
        **options: Any,
    ) -> None:
        options = {"decoder": "torchvision", **options}
        super().__init__(file, video_name, decode_video, decode_audio, **options)
