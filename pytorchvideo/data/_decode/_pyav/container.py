# SPDX-License-Identifier: Apache-2.0
"""An open container: streams, seeking, packets. Video and audio readers share one."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av

from pytorchvideo._machine import check_machine
from pytorchvideo.data._decode._limits import Budget, LimitError, Limits
from pytorchvideo.data._decode._pyav._compat import Discard, pixel_format
from pytorchvideo.data._decode._pyav.files import decoder_options, open_undecoded, open_video
from pytorchvideo.data._decode._types import VideoError

av.logging.set_level(None)  # FFmpeg writes to stderr what this library says in its own errors

_VP8_SHOWN = 0x10  # of the first byte of a frame
_BEFORE_START = 10 * av.time_base  # more than any codec is decoded ahead
_NO_TIMESTAMPS = 0x0080  # AVFMT_NOTIMESTAMPS of FFmpeg's avformat.h
# What decoders raise for a picture beyond their limit, besides saying its size: EINVAL without a size, ENOMEM, and
# ERANGE of dav1d.
_REFUSALS = (av.error.MemoryError, av.error.OverflowError)


class Container:
    """A file that FFmpeg has opened.

    Args:
        file: a path or a seekable binary file.
        name: what errors call it.
        video: whether to keep a video stream.
        audio: whether to keep a sound stream.
        limits: of each call that reads from it.

    Raises:
        LimitError: its pictures are too large.
        VideoError: if it is empty, names other files, or there is no video stream although one was asked for.
        av.error.FFmpegError: if FFmpeg cannot read the file.
    """

    video: Any  # av.VideoStream | None
    audio: Any  # av.AudioStream | None

    def __init__(
        self,
        file: str | Path | BinaryIO,
        name: str,
        *,
        video: bool,
        audio: bool,
        limits: Limits | None = None,
    ) -> None:
        self.name = name
        self.budget = Budget(name, limits or Limits())
        self._file = str(file) if isinstance(file, Path) else file
        if not isinstance(file, (str, Path)):
            file.seek(0, io.SEEK_END)
            if file.tell() == 0:
                raise VideoError(f"{name} is empty (0 bytes), so it is not a readable video.")
        self._wants = video, audio
        self.moves = 0  # seeks so far, each of which empties the decoders
        self._container: Any = None
        self.reopen()

    def reopen(self) -> None:
        """Opens the file afresh; unlike a seek this also restores how decoders treat the very first packets."""
        self.moves += 1
        self.is_at_start = True  # whether what is read now begins with the first packet
        self.close()
        if not isinstance(self._file, str):
            self._file.seek(0)
        try:
            self._container = open_video(self._file, self.budget)
        except av.error.FFmpegError:
            self._check_header()
            raise
        streams, (video, audio) = self._container.streams, self._wants
        self.video = next(filter(is_readable, streams.video), None) if video else None
        self.audio = next(filter(is_readable, streams.audio), None) if audio else None
        if video and self.video is None:
            found = ", ".join(sorted({s.type for s in streams})) or "none"
            self.close()
            raise VideoError(
                f"{self.name} has no video stream (streams found: {found}). Check that it is a video file."
            )
        context = self.video.codec_context if self.video is not None else None
        self._check_index()
        if context is not None:
            context.options = decoder_options(self.budget)
            try:
                check_size(context, self.budget)
                if not context.width:
                    self._check_header()
            except LimitError:
                self.close()
                raise
        self._is_vp8 = context is not None and context.name == "vp8"
        # The palette of such a video comes with the first packet after opening, and never again.
        self.has_palette = context is not None and pixel_format(context) == "pal8"
        if self.audio is not None:
            forget_places(self.audio.codec_context)
        for stream in streams:
            if stream not in (self.video, self.audio):
                stream.discard = Discard.all
            else:
                stream.codec_context.thread_count = 1  # data loader workers are the parallelism

    def _check_index(self) -> None:
        """Raises a VideoError for an index of more packets than the file has bytes, in which a seek takes hours."""
        size = self.size
        for stream in (self.video, self.audio):
            if stream is not None and 0 < size < len(stream.index_entries):
                count = len(stream.index_entries)
                self.close()
                raise VideoError(
                    f"{self.name} is damaged: its index has {count:,} packets, but it has only {size:,} bytes."
                )

    def _check_header(self) -> None:
        """Raises a LimitError for large pictures whose decoder refused to say how large they are."""
        try:
            opened = open_undecoded(self._file)
        except (av.error.FFmpegError, EOFError):
            return
        with opened:
            stream = next(filter(is_readable, opened.streams.video), None)
            if stream is not None:
                check_size(stream.codec_context, self.budget)

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self.moves += 1
        if self._container is not None:
            self._container.close()

    @property
    def container(self) -> Any:
        """What PyAV opened."""
        return self._container

    @property
    def format(self) -> str:
        """FFmpeg's name of the container, e.g. ``"mov,mp4,m4a,3gp,3g2,mj2"``."""
        return str(self._container.format.name)

    @property
    def bit_rate(self) -> int | None:
        """Bits per second of the whole file."""
        return self._container.bit_rate or None

    @property
    def size(self) -> int:
        """Bytes of the file; not positive where that cannot be known."""
        if isinstance(self._file, str):
            return int(self._container.size or 0)  # None in PyAV 19 where it is negative in others
        # Asked here: what a file raises when FFmpeg asks, PyAV raises in a later call, even one for another file.
        at = self._file.tell()
        self._file.seek(0, io.SEEK_END)
        size = self._file.tell()
        self._file.seek(at)
        return int(size)

    @property
    def duration(self) -> Fraction | None:
        """Seconds, as the container's header says."""
        ticks = self._container.duration
        return Fraction(ticks, av.time_base) if ticks else None

    def is_format(self, *names: str) -> bool:
        """Whether the container is one of those."""
        return not set(names).isdisjoint(self.format.split(","))

    @property
    def has_times(self) -> bool:
        """Whether the container has time stamps at all; FFmpeg makes some up for pictures without a container."""
        return not self._container.format.flags & _NO_TIMESTAMPS

    def rewind(self) -> None:
        """Goes to the first packet; :attr:`video` and :attr:`audio` may be others afterwards."""
        self.moves += 1
        self.is_at_start = True
        if self.has_palette or self.is_format("flv"):  # of which a seek may skip the first frame
            self.reopen()
            return
        # Of a file that begins before 0 the first packet may be decoded, and stand, well before the first time.
        start = self._container.start_time or 0
        try:
            self._container.seek(
                start - _BEFORE_START if start < 0 else 0, backward=True, any_frame=False
            )
        except av.error.FFmpegError:  # pictures alone, without a container
            self.reopen()

    def seek(self, stream: Any, pts: int, *, any_frame: bool = False) -> None:
        """Goes to the last key frame, or frame, of a stream that an index knows at or before a time in its ticks.

        Where there is none it goes to the start, see :meth:`rewind`.
        """
        if self.has_palette:
            self.rewind()
            return
        self.moves += 1
        self.is_at_start = False
        try:
            self._container.seek(pts, stream=stream, backward=True, any_frame=any_frame)
        except av.error.FFmpegError:  # no index, or before the first key frame
            self.rewind()

    def shows(self, packet: Any) -> bool:
        """Whether a packet of the video has a frame of its own to show.

        None has what an edit list hides, and what VP8 keeps for others to refer to (RFC 6386, section 9.1).
        """
        if packet.is_discard:
            return False
        return not self._is_vp8 or bool(memoryview(packet)[0] & _VP8_SHOWN)

    def packets(self, stream: Any) -> Iterator[Any]:
        """Packets of one stream with data in them, from where the file stands."""
        while True:
            try:
                for packet in self._container.demux(stream):
                    if packet.size:
                        yield packet
            except (
                IndexError
            ):  # of a stream that begins in the middle of the file: PyAV does not know it
                continue
            return

    def decode(self, packet: Any) -> list[Any]:
        """The pictures that come with a packet of the video; None for those that the decoder still holds.

        Raises:
            LimitError: a picture is too large.
            av.error.FFmpegError: the packet is damaged.
        """
        return decode(self.video.codec_context, packet, self.budget)

    def is_cut_off(self, stream: Any) -> bool:
        """Whether the index of the file, which mp4 and mov have in front, names packets beyond its end."""
        entries = stream.index_entries
        if not len(entries):
            return False
        last = entries[len(entries) - 1]
        return bool(0 < self.size < last.pos + last.size)

    def end_of(self, stream: Any) -> Fraction:
        """The end of the last packet in seconds, for containers whose headers only estimate it."""
        is_video = stream is self.video
        if self.duration is None:
            self.rewind()
        else:
            end = Fraction(self._container.start_time or 0, av.time_base) + self.duration
            rate = getattr(
                stream, "average_rate", None
            )  # of pictures; those shown last come up to 16 earlier
            back = max(Fraction(2), 20 / rate if rate else Fraction(2))
            self.seek(stream, int((end - back) / stream.time_base))
        stream = self.video if is_video else self.audio  # the file may have been opened afresh
        last: int | None = None
        step = 0
        for packet in self.packets(stream):
            self.budget.check_time()
            if packet.pts is not None:
                step = packet.duration or step
                last = packet.pts + step if last is None else max(last, packet.pts + step)
        if last is None:
            return self.duration or Fraction(0)
        if not step and stream is self.video and stream.average_rate:
            last += round(1 / stream.average_rate / stream.time_base)
        return Fraction(last * stream.time_base)


def decode(context: Any, packet: Any, budget: Budget) -> list[Any]:
    """Feeds a decoder; see :meth:`Container.decode`."""
    was_known = context.width > 0
    try:
        frames: list[Any] = context.decode(packet)
    except av.error.FFmpegError as error:
        check_size(context, budget)
        is_refused = was_known or isinstance(error, av.error.ArgumentError)
        if isinstance(error, _REFUSALS) or (is_refused and not context.width):
            raise budget.refused() from error
        raise
    check_size(context, budget)
    return frames


def check_size(context: Any, budget: Budget) -> None:
    """Raises a LimitError unless a decoder's pictures are small enough."""
    bits = context.format.padded_bits_per_pixel if context.format is not None else 0
    budget.check_picture(context.width, context.height, bits)


def is_readable(stream: Any) -> bool:
    """False for streams without a decoder, for cover pictures, and for sound of which nothing is known."""
    return (
        stream.codec_context is not None
        and getattr(stream.codec_context, "sample_rate", 1) > 0
        and not stream.disposition & stream.disposition.attached_pic
    )


def forget_places(context: Any) -> None:
    """Leaves of the layout of a decoder that is not open yet the number of channels alone.

    A layout may be a list of places ("BC" beside "SL" …), which PyAV shares between a frame and its layout, and both
    give it back. Here the first look at the layout gives it back, and one without a list takes its place.
    """
    channels = context.layout.nb_channels
    if channels > 0:
        context.layout = f"{channels} channels"


def reason(error: BaseException) -> str:
    """FFmpeg's words for what is wrong with a file, without numbers and file names.

    Raises:
        MachineError: it is not the file that is at fault.
    """
    check_machine(error)
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return words[0].lower() + words[1:]
