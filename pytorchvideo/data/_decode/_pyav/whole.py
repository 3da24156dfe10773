# SPDX-License-Identifier: Apache-2.0
"""Reads a file from its first packet to its last, keeping nothing: is every frame there, and sound?"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pytorchvideo.data._decode._pyav.source import Source, reason
from pytorchvideo.data._decode._types import VideoError, check_file

SLACK_SEC = Fraction(1, 2)  # headers round, and the sound may outlast the pictures


@dataclass(frozen=True)
class WholeVideo:
    """What came out of a file.

    Args:
        frames: pictures that were decoded.
        seconds: from the first picture to the end of the last.
        width: in pixels.
        height: in pixels.
        codec: FFmpeg's name of the video codec.
        has_audio: whether there is sound.
    """

    frames: int
    seconds: float
    width: int
    height: int
    codec: str
    has_audio: bool


def read_whole(path: str | Path) -> WholeVideo:
    """Decodes every picture and all the sound of a file.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a directory.
        VideoError: it cannot be opened, has no pictures, has damaged packets, or ends before the time that its
            header promises.
    """
    file = Path(path)
    check_file(file)
    try:
        source = Source(file, str(file), video=True, audio=True)
    except (av.error.FFmpegError, EOFError) as error:
        raise VideoError(f"{file} is not a readable video: {reason(error)}.") from error
    try:
        return _read(source)
    finally:
        source.close()


def _read(source: Source) -> WholeVideo:
    stream = source.video
    context = stream.codec_context
    promised = None
    if stream.duration is not None and source.is_format("mp4", "avi"):
        promised = stream.duration * stream.time_base
    frames, times = 0, PacketTimes()
    try:
        for packet in source.packets(stream):
            times.add(packet)
            if packet.is_corrupt:
                raise VideoError(f"{source.name} has a damaged packet at {times.seconds:.3f} s.")
            frames += len(context.decode(packet))
        frames += len(context.decode(None))
        if source.audio is not None:
            _read_sound(source)
    except (av.error.FFmpegError, EOFError) as error:
        raise VideoError(
            f"{source.name} is damaged after {times.seconds:.3f} s: {reason(error)}."
        ) from error
    if not frames:
        raise VideoError(f"{source.name} has a video stream without a single frame.")
    is_short = promised is not None and times.seconds + SLACK_SEC < promised
    if is_short or source.is_cut_off(stream):
        more = "more" if promised is None else f"{float(promised):.3f} s"
        raise VideoError(
            f"{source.name} is cut off: its pictures end at {times.seconds:.3f} s, but its header promises {more}."
        )
    return WholeVideo(
        frames, times.seconds, context.width, context.height, context.name, source.audio is not None
    )


def _read_sound(source: Source) -> None:
    source.rewind()
    decoded = False
    for packet in source.packets(source.audio):
        try:
            decoded = bool(source.audio.codec_context.decode(packet)) or decoded
        except av.error.InvalidDataError:
            if decoded:  # a first packet may be the rest of one that the file does not hold
                raise


class PacketTimes:
    """The span of the packets seen so far: of what a file holds, whatever its header promises."""

    def __init__(self) -> None:
        self._first: Fraction | None = None
        self._end = Fraction(0)

    def add(self, packet: Any) -> None:
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            return
        start = time * packet.time_base
        self._first = start if self._first is None else min(self._first, start)
        self._end = max(self._end, start + (packet.duration or 0) * packet.time_base)

    @property
    def seconds(self) -> float:
        return float(self._end - self._first) if self._first is not None else 0.0
