# SPDX-License-Identifier: Apache-2.0
"""Frames of sources that cannot seek: cameras, network streams, pipes, and files read once."""

import os
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from pytorchvideo._checks import expected
from pytorchvideo.data._decode._limits import Budget, LimitError, Limits
from pytorchvideo.data._decode._pyav._compat import Discard, open_input
from pytorchvideo.data._decode._pyav.clip_frames import Orientations
from pytorchvideo.data._decode._pyav.container import (
    Container,
    check_size,
    decode,
    is_readable,
    reason,
)
from pytorchvideo.data._decode._pyav.files import decoder_options, open_video
from pytorchvideo.data._decode._pyav.times import PacketTimes
from pytorchvideo.data._decode._pyav.video import FrameReader
from pytorchvideo.data._decode._types import Orientation, VideoError, check_file

__all__ = [
    "Address",
    "Decoded",
    "LiveInput",
    "RawFormat",
    "address_of",
]

_WAITED_SEC = (
    0.01  # reading a packet that is already there takes less, even where threads take turns
)
_PROBE_USEC = (
    "1000000"  # of a stream, until its codecs are known; FFmpeg's own 5 s delay the first answer
)
_PLAUSIBLE_RATES = (Fraction(1, 60), Fraction(480))
_WITHOUT_TIMES = ("mjpeg", "mpjpeg")
_CAMERAS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True)
class RawFormat:
    """What frames without a container look like, and the mode that is asked of a camera.

    Args:
        width: in pixels.
        height: in pixels.
        rate: frames per second.
        pixel_format: FFmpeg's name, such as ``"rgb24"``, ``"bgr24"``, ``"gray"``, ``"yuv420p"`` or ``"nv12"``.

    Raises:
        ValueError: a number is not positive, or there is no such format.
    """

    width: int
    height: int
    rate: Fraction = Fraction(30)
    pixel_format: str = "rgb24"

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1 or self.rate <= 0:
            got = (self.width, self.height, float(self.rate))
            raise ValueError(expected("width, height, rate", "> 0", got))
        try:
            av.VideoFormat(self.pixel_format)
        except ValueError as error:
            advice = "FFmpeg's names are meant: rgb24, bgr24, gray, yuv420p, nv12 and others."
            raise ValueError(
                expected("pixel_format", "a pixel format", self.pixel_format, advice)
            ) from error

    def options(self) -> dict[str, str]:
        """FFmpeg's options of ``rawvideo``."""
        return self.mode() | {"pixel_format": self.pixel_format}

    def mode(self) -> dict[str, str]:
        """FFmpeg's options of a camera."""
        return {"video_size": f"{self.width}x{self.height}", "framerate": str(self.rate)}


@dataclass(frozen=True)
class Address:
    """Where frames come from, in FFmpeg's words.

    Args:
        name: what errors call it, without a password.
        file: what FFmpeg opens; a pipe is its number.
        format: FFmpeg's name of it; None finds out.
        options: of the format.
        is_network: whether it can be reached again when it was lost.
        is_file: whether all of it is there, so that nothing is lost to who reads slowly.
    """

    name: str
    file: str | int
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    is_network: bool = False
    is_file: bool = False


def address_of(source: str | int, raw: RawFormat | None) -> Address:
    """Returns how to open a source.

    Args:
        source: ``"-"`` for standard input, the number of a camera, an address with ``://``, or a path.
        raw: for frames without a container, and of a camera the size and rate that are asked for.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file or camera, or it is a directory.
        VideoError: the file is empty.
        ValueError: standard input is closed or a terminal, or ``raw`` has no meaning here.
    """
    source = str(source)
    if source == "-":
        address = Address("standard input", _standard_input(), **_of_pipe(raw))
    elif source.isdigit() or re.fullmatch(r"/dev/video\d+", source):
        address = _camera(source, raw)
    elif "://" in source:
        if raw is not None:
            advice = "A size belongs to raw frames and to cameras."
            raise ValueError(expected("raw", "None for an address", raw, advice))
        options = {"analyzeduration": _PROBE_USEC}
        if source.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # UDP loses packets, and with them pictures
        name = re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:***@", source)
        address = Address(name, source, None, options, is_network=True)
    elif Path(source).is_fifo():
        address = Address(source, source, **_of_pipe(raw))
    else:
        check_file(Path(source))
        address = Address(source, source, **_raw(raw), is_file=True)
    return address


def _of_pipe(raw: RawFormat | None) -> dict[str, Any]:
    return _raw(raw) or {"options": {"analyzeduration": _PROBE_USEC}}


def _raw(raw: RawFormat | None) -> dict[str, Any]:
    return {} if raw is None else {"format": "rawvideo", "options": raw.options()}


def _standard_input() -> int:
    if sys.stdin is None or sys.stdin.closed:
        raise ValueError("Expected frames on standard input, but it is closed.")
    if sys.stdin.isatty():
        raise ValueError(
            "Expected frames on standard input, but it is a terminal. Pipe a video into this command."
        )
    return sys.stdin.fileno()


def _camera(source: str, raw: RawFormat | None) -> Address:
    options = {} if raw is None else raw.mode()
    kind, file, name = _CAMERAS.get(sys.platform, "v4l2"), source, f"camera {source}"
    if kind == "v4l2":
        file = f"/dev/video{source}" if source.isdigit() else source
        name = f"camera {file}"
        if not Path(file).exists():
            raise FileNotFoundError(f"There is no {name} on this machine.")
    elif kind == "dshow":  # knows cameras by their names only
        cameras = [d for d in av.enumerate_input_devices(kind) if "video" in d.media_types]
        if int(source) >= len(cameras):
            raise FileNotFoundError(f"There is no {name}: this machine has {len(cameras)}.")
        file = f"video={cameras[int(source)].description}"
    elif "framerate" not in options:
        options["framerate"] = "30"  # avfoundation does not take the 29.97 that is its default
    return Address(name, file, kind, options)


class Decoded(NamedTuple):
    """What came of one packet.

    Attributes:
        seconds: the time that the source gives it; None if it gives none.
        frame: as it is stored, in the source's own format; None for a packet that was left out.
        orientation: how the frame is shown.
        waited: whether the packet was not there yet when it was asked for.
    """

    seconds: float | None
    frame: Any
    orientation: Orientation
    waited: bool


class LiveInput:
    """An open source, read once from its first frame on.

    Args:
        address: of :func:`address_of`.
        timeout_sec: without data, of what the network or a camera sends.
        limits: of memory; the time is not limited.

    Raises:
        LimitError: its pictures are too large.
        VideoError: it does not answer, or is no video.

    Attributes:
        rate: frames per second, as the header says; None where that is not plausible.
        duration_sec: of the whole, where a header says it.
        damaged: packets that could not be decoded, so far.
        keys_only: set it to leave out all but key frames.
    """

    def __init__(self, address: Address, timeout_sec: float, limits: Limits | None = None) -> None:
        self.address = address
        self._timeout_sec = timeout_sec
        self._budget = Budget(address.name, limits or Limits())
        self._pipe = _Pipe(address.file) if isinstance(address.file, int) else None
        answers = address.is_network or address.format in _CAMERAS.values()
        options: dict[str, Any] = {"format": address.format, "options": dict(address.options)}
        opened: Any
        try:
            if answers:
                options["options"] |= decoder_options(self._budget)
                opened = open_input(address.file, timeout=timeout_sec, **options)
            else:
                file = self._pipe or address.file
                opened = open_video(file, self._budget, is_all_there=False, **options)
        except (av.error.FFmpegError, EOFError, ValueError) as error:
            raise VideoError(self._why_not_open(error)) from error
        self._container = opened
        self._stream: Any = next(filter(is_readable, opened.streams.video), None)
        if self._stream is None:
            self.close()
            raise VideoError(f"{address.name} has no video stream. Check that it is a video.")
        for stream in opened.streams:
            if stream is not self._stream:
                stream.discard = Discard.all
        context = self._stream.codec_context
        context.thread_count = 1  # more of them hold frames back
        context.options = decoder_options(self._budget)
        try:
            check_size(context, self._budget)
        except LimitError:
            self.close()
            raise
        low, high = _PLAUSIBLE_RATES
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.rate: Fraction | None = rate if rate and low <= rate <= high else None
        ticks = None if self._pipe else opened.duration
        self.duration_sec: float | None = ticks / av.time_base if ticks and ticks > 0 else None
        # of pictures alone, which a camera sends when it has one, FFmpeg makes up the times
        self._has_times = not (address.is_network and opened.format.name in _WITHOUT_TIMES)
        self._true_times: Iterator[float] | None = None
        if address.is_file and address.format is None:
            self._find_times()
        self._converter = VideoReformatter()
        self._orientations = Orientations()
        self.damaged = 0
        self.keys_only = False

    def _find_times(self) -> None:
        """Puts right what a file says wrongly, as far as that can be told without decoding it."""
        file, limits = Path(str(self.address.file)), self._budget.limits
        source = Container(file, self.address.name, video=True, audio=False, limits=limits)
        try:
            times = PacketTimes(source, None)
            self._has_times = times.are_true
            if times.are_known and not times.are_true:
                self._true_times = map(float, FrameReader(source).index.times)
        except (av.error.FFmpegError, EOFError, VideoError):
            pass  # what is damaged is left out when it comes
        finally:
            source.close()

    def _time_of(self, frame: Any) -> float | None:
        if self._true_times is not None:
            return next(self._true_times, None)
        return frame.time if self._has_times else None

    def _why_not_open(self, error: BaseException) -> str:
        name = self.address.name
        if isinstance(error, av.error.ExitError):
            return f"{name} did not answer in {self._timeout_sec:g} s."
        if self._pipe is not None and self._pipe.total == 0:
            return f"{name} ended without a single frame."
        advice = ""
        if self._pipe is not None and self.address.format is None:
            advice = " Raw frames need their size and rate: --size WIDTHxHEIGHT --rate FPS."
        return f"{name} is not a readable video: {reason(error)}.{advice}"

    def decoded(self) -> Iterator[Decoded]:
        """What comes, packet after packet, until the source ends.

        Raises:
            VideoError: nothing came for too long, the connection broke, or raw frames end within a frame.
        """
        packets = self._container.demux(self._stream)
        while True:
            begin = time.monotonic()
            try:
                packet = next(packets, None)
            except IndexError:  # of a stream that begins later: PyAV does not know it
                packets = self._container.demux(self._stream)
                continue
            except av.error.ExitError as error:
                raise VideoError(
                    f"{self.address.name} sent nothing for {self._timeout_sec:g} s."
                ) from error
            except (av.error.FFmpegError, OSError) as error:
                raise VideoError(f"{self.address.name} broke off: {reason(error)}.") from error
            if packet is None:
                return
            waited = time.monotonic() - begin > _WAITED_SEC
            if packet.is_corrupt and self.address.format == "rawvideo":
                raise VideoError(self._why_not_whole(packet))
            yield from self._decode(packet, waited)

    def _decode(self, packet: Any, waited: bool) -> Iterator[Decoded]:
        context = self._stream.codec_context
        # frames that are counted must all be decoded
        keys_only = self.keys_only and self._true_times is None
        context.skip_frame = "NONKEY" if keys_only else "DEFAULT"
        try:
            frames = decode(context, packet, self._budget)
        except (av.error.InvalidDataError, EOFError):
            frames = []
            self.damaged += 1
        for frame in frames:
            orientation = self._orientations.of(frame)
            yield Decoded(self._time_of(frame), frame, orientation, waited)
        if not frames and keys_only and packet.size and packet.pts is not None:
            yield Decoded(float(packet.pts * packet.time_base), None, Orientation(), waited)

    def _why_not_whole(self, packet: Any) -> str:
        size, pixels = self.address.options["video_size"], self.address.options["pixel_format"]
        width, height = map(int, size.split("x"))
        whole = -(-width * height * av.VideoFormat(pixels).bits_per_pixel // 8)
        return (
            f"{self.address.name} ends within a frame: {packet.size:,} bytes after the last whole one, but a frame of "
            f"{size} in {pixels} has {whole:,}. Check the size and the pixel format."
        )

    def picture(self, decoded: Decoded) -> np.ndarray:
        """Returns a decoded frame as it is shown: upright RGB, uint8 (H, W, 3)."""
        packed = self._converter.reformat(decoded.frame, format="rgb24", threads=1).to_ndarray()
        return decoded.orientation.upright(torch.from_numpy(packed)).numpy()

    def close(self) -> None:
        """Gives the source back; a second call does nothing."""
        self._container.close()


class _Pipe:
    """Reads what is there, where a buffered file would wait until it has all that was asked for."""

    def __init__(self, number: int) -> None:
        self._number = number
        self.total = 0
        self.name = "pipe"

    def read(self, size: int) -> bytes:
        data = os.read(self._number, size)
        self.total += len(data)
        return data
