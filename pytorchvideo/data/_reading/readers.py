# SPDX-License-Identifier: Apache-2.0
"""Checks and state that all readers of video files share."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import torch

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.data._decode import Decoder, FrameResize, check_dtype
from pytorchvideo.data._decode._frame_index import IndexCache
from pytorchvideo.data._decode._limits import MEMORY_LIMIT_BYTES, TIME_LIMIT_SEC, Limits
from pytorchvideo.data._decode._torchcodec import check_device, video_decoder

logger = logging.getLogger("pytorchvideo.data.encoded_video")

DECODERS = ("auto", "pyav", "torchcodec", "torchvision", "decord")
_said: set[str] = set()


class Turns:
    """One thread after the other; a process that was forked opens the file anew, whose position it would share."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()
        self.is_closed = False

    @contextlib.contextmanager
    def of(self, decoder: Decoder) -> Iterator[None]:
        """Waits for this thread's turn.

        Raises:
            ValueError: the reader is closed.
        """
        if self._process != os.getpid():
            self._lock, self._process = threading.RLock(), os.getpid()
            if not self.is_closed:
                decoder.reopen()
        with self._lock:
            if self.is_closed:
                raise ValueError(
                    f"{decoder.info.name} is closed. Read from it before it is closed."
                )
            yield


def frame_size(
    width: int, height: int, pixel_aspect: Fraction, resize: FrameResize | None
) -> FrameResize | None:
    """From the (height, width) of an upright frame to those wanted; None where it is to be left as it is.

    Args:
        width: wanted; -1 keeps it.
        height: wanted; -1 keeps it.
        pixel_aspect: width of a pixel divided by its height; it is made 1 first.
        resize: what comes last.
    """
    if resize is None and width == height == -1 and pixel_aspect == 1:
        return None

    def wanted(old_height: int, old_width: int) -> tuple[int, int]:
        square = max(1, round(old_width * pixel_aspect))
        size = height if height > 0 else old_height, width if width > 0 else square
        return size if resize is None else resize(*size)

    return wanted


def name_of(file: str | Path | BinaryIO) -> str:
    """What a file is called; ``"video"`` where it has no name."""
    name = file if isinstance(file, (str, Path)) else getattr(file, "name", None)
    return Path(name).name if isinstance(name, (str, os.PathLike)) else "video"


def check_sizes(sample_rate: int | None, width: int, height: int) -> None:
    """Raises a ValueError unless all are positive, or say that they are left as they are."""
    if sample_rate is not None and sample_rate < 1:
        raise ValueError(expected("sample_rate", ">= 1 samples per second", sample_rate))
    for argument, value in (("width", width), ("height", height)):
        if value != -1 and value < 1:
            raise ValueError(expected(argument, ">= 1 pixels, or -1 to keep it", value))


def reopened(kind: Any, path: str | Path, name: str, options: dict[str, Any]) -> Any:
    """A reader that was pickled."""
    return kind(path, name, **options)


def check_reading(
    decoder: str = "pyav",
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    index_cache: str | os.PathLike[str] | None = None,
    time_limit_sec: float = TIME_LIMIT_SEC,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> torch.device:
    """Returns the device of frames, and says once that a decoder no longer exists.

    Datasets call it when they are made, with what they will open videos with.

    Raises:
        ImportError: torchcodec is asked for and not installed.
        RuntimeError: a GPU is asked for and not there.
        ValueError: any other decoder, dtype or device that there is not, or a limit that is not positive.
    """
    Limits(memory_limit_bytes, time_limit_sec)
    check_choice("decoder", decoder, DECODERS)
    check_dtype(dtype)
    if decoder in ("torchvision", "decord") and decoder not in _said:
        _said.add(decoder)
        logger.warning("The decoder %r no longer exists; PyAV decodes instead.", decoder)
    if decoder == "torchcodec":
        video_decoder()
    return check_device(device, decoder)


def cache_of(
    file: str | Path | BinaryIO, where: str | os.PathLike[str] | IndexCache | None
) -> IndexCache | None:
    if where is None or isinstance(where, IndexCache):
        return where
    if not isinstance(file, (str, Path)):
        advice = "What is in memory has no name to find its index by."
        raise ValueError(expected("index_cache", "None for an open file", where, advice))
    return IndexCache.of_file(where, Path(file))
