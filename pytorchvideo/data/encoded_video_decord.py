# SPDX-License-Identifier: Apache-2.0
"""The reader of PyTorchVideo for ``decoder="decord"``, which PyAV reads now."""

from enum import Enum
from pathlib import Path
from typing import Any, BinaryIO

from pytorchvideo.data.encoded_video import DECORD_RATE, EncodedVideo

__all__ = ["DecordDevice", "EncodedVideoDecord"]


class DecordDevice(Enum):
    """Where decord decoded; PyAV decodes on the CPU."""

    DECORD_CPU = "cpu"
    DECORD_GPU = "gpu"


class EncodedVideoDecord(EncodedVideo):
    """An :class:`~pytorchvideo.data.encoded_video.EncodedVideo` with the arguments and defaults of decord's reader.

    Args:
        file: a path, or a seekable binary file.
        video_name: the name of the video; by default that of the file.
        decode_video: False gives clips whose ``"video"`` is None.
        decode_audio: False gives clips whose ``"audio"`` is None.
        sample_rate: of the sound, samples per second.
        mono: whether sound is (S,), the mean of its channels, or (channels, S).
        width: of the frames; -1 keeps it.
        height: of the frames; -1 keeps it.
        num_threads: no longer matters.
        fault_tol: no longer matters.
        options: other arguments of ``EncodedVideo``.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        video_name: str | None = None,
        decode_video: bool = True,
        decode_audio: bool = True,
        sample_rate: int = DECORD_RATE,
        mono: bool = True,
        width: int = -1,
        height: int = -1,
        num_threads: int = 0,
        fault_tol: int = -1,
        **options: Any,
    ) -> None:
        options = {
            "decoder": "decord",
            "sample_rate": sample_rate,
            "mono": mono,
            "width": width,
            "height": height,
            "num_threads": num_threads,
            "fault_tol": fault_tol,
            **options,
        }
        super().__init__(file, video_name, decode_video, decode_audio, **options)
