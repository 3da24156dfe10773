# SPDX-License-Identifier: Apache-2.0
"""Verification of a file by decoding it from its first packet to its last."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from pytorchvideo.data._decode._pyav.container import Container, reason
from pytorchvideo.data._decode._pyav.packets import Stamps
from pytorchvideo.data._decode._types import VideoError, check_file

SLACK_SEC = Fraction(1, 2)  # headers round, and the sound may outlast the pictures

_SEAM_PACKETS = 2


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
        finding: what is odd about its frames, all of which can be read; None where nothing is.
    """

    frames: int
    seconds: float
    width: int
    height: int
    codec: str
    has_audio: bool
    finding: str | None = None


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
        source = Container(file, str(file), video=True, audio=True)
    except (av.error.FFmpegError, EOFError) as error:
        raise VideoError(f"{file} is not a readable video: {reason(error)}.") from error
    try:
        return _read(source)
    finally:
        source.close()


def _read(source: Container) -> WholeVideo:
    stream = source.video
    context = stream.codec_context
    promised = None
    if stream.duration is not None and source.is_format("mp4", "avi"):
        promised = stream.duration * stream.time_base
    frames, times = 0, PacketTimes(source.shows, source.has_times)
    try:
        for packet in source.packets(stream):
            times.add(packet)
            frames += len(source.decode(packet))
        frames += len(source.decode(None))
        if times.damage is not None:
            raise VideoError(f"{source.name} has a damaged packet at {times.damage:.3f} s.")
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
    seconds = times.seconds
    if times.fault in ("start again", "are missing") and stream.guessed_rate:
        seconds = float(frames / stream.guessed_rate)
    has_audio = source.audio is not None
    size = context.width, context.height
    return WholeVideo(frames, seconds, *size, context.name, has_audio, times.finding(frames))


def _read_sound(source: Container) -> None:
    source.rewind()
    decoded = False
    for packet in source.packets(source.audio):
        try:
            decoded = bool(source.audio.codec_context.decode(packet)) or decoded
        except av.error.InvalidDataError:
            if decoded:  # a first packet may be the rest of one that the file does not hold
                raise


class PacketTimes:
    """The span of the packets seen so far: of what a file holds, whatever its header promises.

    ``fault`` is what is wrong with their time stamps first, see :class:`Stamps`.
    """

    def __init__(self, shows: Callable[[Any], bool], has_times: bool) -> None:
        self._shows = shows
        self._first: Fraction | None = None
        self._end = Fraction(0)
        self._stamps = Stamps(shows)
        self._count = self._shown = 0
        self._begins_inside = False
        self._corrupt: list[tuple[int, float]] = []  # (number of the packet, seconds)
        self._seams: list[int] = []
        self.fault: str | None = None if has_times else "are missing"

    def add(self, packet: Any) -> None:
        fault = self._stamps.fault(packet)
        self.fault = self.fault or fault
        if fault == "start again":
            self._seams.append(self._count)
        if packet.is_corrupt:
            self._corrupt.append((self._count, self.seconds))
        self._begins_inside = self._begins_inside or (not self._shown and not packet.is_keyframe)
        self._count += 1
        self._shown += self._shows(packet)
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            return
        start = time * packet.time_base
        self._first = start if self._first is None else min(self._first, start)
        self._end = max(self._end, start + (packet.duration or 0) * packet.time_base)

    @property
    def damage(self) -> float | None:
        """When the first packet stands that the container calls corrupt.

        At the seam of recordings it does so as well, as the numbers of their packets do not follow each other.
        """
        bad = (
            seconds
            for number, seconds in self._corrupt
            if not any(abs(seam - number) <= _SEAM_PACKETS for seam in self._seams)
        )
        return next(bad, None)

    def finding(self, frames: int) -> str | None:
        """What users should know of a video that gave so many frames."""
        if self.fault is not None:
            return (
                f"its time stamps {self.fault}: its frames are read in the order in which they are decoded, at an even "
                "rate."
            )
        if self._begins_inside and frames < self._shown:
            lost = self._shown - frames
            return f"it begins inside a group of pictures: {lost} of its packets show nothing."
        return None

    @property
    def seconds(self) -> float:
        return float(self._end - self._first) if self._first is not None else 0.0
