# SPDX-License-Identifier: Apache-2.0
"""Encoding of frames and audio into a file."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from pytorchvideo._files import whole_file, write_error
from pytorchvideo.data._decode._pyav.files import file_address

_CHUNK = 1024  # samples of a frame of sound, what AAC takes
_TICKS = 90_000  # of a second


@dataclass(frozen=True)
class Encoding:
    """How frames are encoded.

    Args:
        codec: FFmpeg's name of the encoder.
        options: of the encoder.
        pix_fmt: of the file.
        bit_rate: bits per second; None leaves it to the encoder.
        size: (width, height) of the file; None keeps that of the frames.
        in_format: FFmpeg's name for the layout of the frames.
        out_format: the packed layout that goes to the encoder; None is ``in_format``.
    """

    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=dict)
    pix_fmt: str = "yuv420p"
    bit_rate: int | None = None
    size: tuple[int, int] | None = None
    in_format: str = "rgb24"
    out_format: str | None = None


@dataclass(frozen=True)
class Sound:
    """Samples float32 (S,) in [-1, 1] at a rate per second."""

    samples: np.ndarray
    rate: int


def write_video(
    path: Path,
    frames: Iterable[np.ndarray],
    rate: int | Fraction,
    encoding: Encoding | None = None,
    sound: Sound | None = None,
) -> None:
    """Writes an mp4 file; it appears only when it is complete.

    Args:
        path: the file.
        frames: uint8 (H, W, C) each, at least one.
        rate: frames per second.
        encoding: see :class:`Encoding`.
        sound: one channel, encoded as AAC.
    """
    encoding = encoding or Encoding()
    with (
        whole_file(path) as unfinished,
        av.open(file_address(unfinished), "w", format="mp4") as container,
    ):
        video = container.add_stream(encoding.codec, rate=rate, options=dict(encoding.options))
        audio = container.add_stream("aac", rate=sound.rate, layout="mono") if sound else None
        for index, picture in enumerate(frames):
            if index == 0:
                height, width = picture.shape[:2]
                video.width, video.height = encoding.size or (width, height)
                video.pix_fmt = encoding.pix_fmt
                if encoding.bit_rate is not None:
                    video.bit_rate = encoding.bit_rate
            frame = av.VideoFrame.from_ndarray(picture, format=encoding.in_format)
            frame = frame.reformat(format=encoding.out_format or encoding.in_format)
            frame.pts, frame.time_base = index, 1 / Fraction(rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if sound is not None and audio is not None:
            for start in range(0, len(sound.samples), _CHUNK):
                part = sound.samples[None, start : start + _CHUNK].astype(np.float32)
                chunk = av.AudioFrame.from_ndarray(part, format="fltp", layout="mono")
                chunk.sample_rate, chunk.pts = sound.rate, start
                chunk.time_base = Fraction(1, sound.rate)
                container.mux(audio.encode(chunk))
            container.mux(audio.encode(None))


def has_encoder(name: str) -> bool:
    """Whether this build of FFmpeg has an encoder."""
    try:
        av.Codec(name, "w")
    except ValueError:  # PyAV's UnknownCodecError
        return False
    return True


class TimedVideo:
    """Writes frames as H.264 at their own times; the file can be played at any moment, and memory does not grow.

    Args:
        path: ends in ``.mp4`` or ``.mkv``.
    """

    def __init__(self, path: Path) -> None:
        # fragments: an index at the end would be kept in memory until then
        self._path = path
        options = {"flush_packets": "1"}
        is_mp4 = path.suffix.lower() == ".mp4"
        if is_mp4:
            options["movflags"] = "frag_keyframe+empty_moov+default_base_moof"
        # FFmpeg does not say whether the end of a fragmented file could be written, Python does
        self._file = path.open("wb")
        self._container = av.open(
            self._file, "w", format="mp4" if is_mp4 else "matroska", options=options
        )
        self._stream: Any = None
        self._last: int | None = None

    def write(self, picture: np.ndarray, seconds: float) -> None:
        """Adds a frame uint8 (H, W, 3); later ones are scaled to the size of the first, made even.

        Raises:
            OSError: the file cannot be written.
        """
        if self._stream is None:
            self._open(*picture.shape[:2])
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        context = self._stream.codec_context
        frame = frame.reformat(context.width, context.height, "yuv420p")
        ticks = round(seconds * _TICKS)
        frame.pts = ticks if self._last is None else max(ticks, self._last + 1)
        frame.time_base = Fraction(1, _TICKS)
        frame.duration = _TICKS // 30 if self._last is None else frame.pts - self._last
        self._last = frame.pts
        self._mux(frame)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        with self._naming():
            self._container.mux(self._stream.encode(frame))
            self._file.flush()

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """Says of an error which file could not be written."""
        try:
            yield
        except (av.error.FFmpegError, OSError) as error:
            if (said := write_error(error, self._path)) is not None:
                raise said from error
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def _open(self, height: int, width: int) -> None:
        options = {"preset": "superfast", "tune": "zerolatency", "crf": "21", "g": "60"}
        self._stream = self._container.add_stream("libx264", rate=30, options=options)
        context = self._stream.codec_context
        context.width, context.height = max(2, width // 2 * 2), max(2, height // 2 * 2)
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, _TICKS)
        context.thread_count = 1  # the model needs the others

    def close(self) -> None:
        """Completes the file."""
        with self._naming(), self._file:
            if self._stream is not None:
                self._mux(None)
            self._container.close()
