# SPDX-License-Identifier: Apache-2.0
"""Video files through PyAV (FFmpeg). The only module that touches PyAV.

A clip is read in two passes over its stretch of the file. The first only demultiplexes: packet times give the
frames of the clip, hence what a frame filter asks for, and no picture is decoded. The second decodes towards the
wanted frames alone: groups of pictures without any are left out, packets of unwanted frames that no other frame
refers to are dropped by FFmpeg (``skip_frame``), and nothing but a wanted frame is converted to RGB.

Times are those of the container where it can be trusted. Some writers (MPEG-4 with B-frames in AVI; mp4 files whose
presentation times are copies of their decoding times) cannot be: there everything up to the end of the clip is
decoded, and the k-th frame that the decoder shows gets the k-th smallest time.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
import torch
from av.audio.resampler import AudioResampler
from av.stream import Discard
from av.video.reformatter import VideoReformatter

from pytorchvideo.data._decode._types import (
    AudioSamples,
    FrameFilter,
    Frames,
    VideoError,
    VideoInfo,
    ceil_ticks,
    select_frames,
)

av.logging.set_level(None)  # FFmpeg writes to stderr what this library says in its own errors

_PROBE_PACKETS = 32  # H.264 and HEVC reorder at most 16 pictures
_PROBE_FRAMES = 12
_FORMATS_WITH_DURATIONS = ("mp4", "avi")  # counted by the writer; elsewhere FFmpeg estimates
_AUDIO_PREROLL_SEC = 0.5  # overlap and bit reservoir of AAC, MP3, Opus, with room to spare

Time = float | Fraction


@dataclass(frozen=True)
class _Packet:
    """What the first pass keeps of a packet."""

    pts: int
    is_keyframe: bool


@dataclass(frozen=True)
class _Span:
    """The frames of a window, in display order: their times, and the packets from the seek point on."""

    seek_pts: int | None
    packets: list[_Packet]
    shown: list[int]


class PyAVDecoder:
    """Decodes one file with FFmpeg.

    Args:
        file: a path or a seekable binary file.
        name: what errors call it.
        video: whether frames will be asked for.
        audio: whether sound will be asked for.
        seek: False reads every clip from the start of the file.

    Raises:
        VideoError: if FFmpeg cannot read it, or it holds no video although that was asked for.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        name: str,
        *,
        video: bool = True,
        audio: bool = True,
        seek: bool = True,
    ) -> None:
        self._name = name
        self._seek = seek
        self._file = str(file) if isinstance(file, Path) else file
        self._wants = video, audio
        try:
            self._open()
            grid = self._audio_grid() if self._audio is not None else None
            self._start, self._reordered = self._probe_start()
            self._trusted = self._times_are_true()
            self.info = self._read_info()
        except (av.error.FFmpegError, EOFError) as error:
            raise VideoError(f"{name} is not a readable video: {_reason(error)}.") from error
        self._grid = None
        if grid is not None:
            self._grid = (
                grid[0] - round(self._origin * self._audio.codec_context.sample_rate),
                grid[1],
            )
        self._reformatters = VideoReformatter(), VideoReformatter()

    def _open(self) -> None:
        if not isinstance(self._file, str):
            self._file.seek(0)
        self._container: Any = av.open(self._file, metadata_errors="ignore")
        streams, (video, audio) = self._container.streams, self._wants
        self._video: Any = (
            next((s for s in streams.video if _has_codec(s)), None) if video else None
        )
        self._audio: Any = (
            next((s for s in streams.audio if _has_codec(s)), None) if audio else None
        )
        if video and self._video is None:
            found = ", ".join(sorted({s.type for s in streams})) or "none"
            self.close()
            raise VideoError(
                f"{self._name} has no video stream (streams found: {found}). "
                "Check that it is a video file."
            )
        for stream in streams:
            if stream not in (self._video, self._audio):
                stream.discard = Discard.all
            elif stream.codec_context is not None:
                stream.codec_context.thread_count = 1  # data loader workers are the parallelism

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._container.close()

    # -- headers ------------------------------------------------------------------------------------------------

    def _probe_start(self) -> tuple[int, bool]:
        """Returns the time of the first frame in ticks, and whether packets come in another order than frames."""
        if self._video is None:
            return 0, False
        self._rewind()
        times = [p.pts for p in itertools.islice(self._demux(self._video), _PROBE_PACKETS)]
        known = [t for t in times if t is not None]
        self._complete = len(known) == len(times) and len(set(known)) == len(known)
        if not times:
            raise VideoError(
                f"{self._name} has a video stream without a single frame: the file is cut off or empty."
            )
        if not known:
            known = [self._video.start_time or 0]
        return min(known), known != sorted(known)

    def _times_are_true(self) -> bool:
        """Whether packet times are presentation times: decided without decoding wherever that is possible."""
        if self._video is None or not self._complete:
            return self._video is None
        if not self._video.codec_context.has_b_frames:
            return True
        if self._is_format("avi"):
            return False
        if self._reordered:
            return True
        # A codec that reorders, in a file whose times do not: look at a few frames.
        self._rewind()
        last = -math.inf
        for count, frame in enumerate(self._decode(self._demux(self._video))):
            if frame.pts is None or frame.pts <= last:
                return False
            last = frame.pts
            if count >= _PROBE_FRAMES:
                break
        return True

    def _read_info(self) -> VideoInfo:
        video, audio = self._video, self._audio
        durations = {s.type: self._stream_duration(s) for s in (video, audio) if s is not None}
        context = video.codec_context if video is not None else None
        return VideoInfo(
            name=self._name,
            format=self._container.format.name,
            duration=max(durations.values(), default=Fraction(0)),
            has_video=video is not None,
            has_audio=audio is not None,
            codec=context.name if context else None,
            pix_fmt=context.pix_fmt if context else None,
            width=context.width if context else None,
            height=context.height if context else None,
            rate=(video.average_rate or video.guessed_rate) if video is not None else None,
            bit_rate=context.bit_rate or self._container.bit_rate if context else None,
            video_duration=durations.get("video"),
            audio_codec=audio.codec_context.name if audio is not None else None,
            audio_rate=audio.codec_context.sample_rate if audio is not None else None,
        )

    def _stream_duration(self, stream: Any) -> Fraction:
        """Seconds from the first video frame to the end of the last frame or sample of a stream."""
        if stream.duration is None or not self._is_format(*_FORMATS_WITH_DURATIONS):
            return self._last_packet_end(stream) - self._origin
        first = stream.start_time or 0
        if stream is self._video and not self._trusted:
            first = self._start
        return (first + stream.duration) * stream.time_base - self._origin

    def _is_format(self, *names: str) -> bool:
        return not set(names).isdisjoint(self._container.format.name.split(","))

    @property
    def _origin(self) -> Fraction:
        """The zero of all times: the first video frame, else the first sample, in container seconds."""
        if self._video is not None:
            return self._start * self._video.time_base
        return (self._audio.start_time or 0) * self._audio.time_base

    def _last_packet_end(self, stream: Any) -> Fraction:
        """The end of the last packet, for containers whose headers do not say: read from near the end on."""
        if self._container.duration:
            near_end = self._container.duration / av.time_base - 2
            self._seek_to(stream, int(near_end / stream.time_base))
        else:
            self._rewind()
        end, step = None, 0
        for packet in self._demux(stream):
            if packet.pts is None:
                continue
            step = packet.duration or step
            end = max(packet.pts + step, end if end is not None else packet.pts + step)
        if end is None:
            return Fraction(self._container.duration or 0, av.time_base)
        if not step and stream is self._video and stream.average_rate:
            end += round(1 / stream.average_rate / stream.time_base)
        return end * stream.time_base

    # -- reading ------------------------------------------------------------------------------------------------

    def _rewind(self) -> None:
        self._container.seek(0, backward=True, any_frame=False)
        self._flush()

    def _seek_to(self, stream: Any, pts: int) -> None:
        try:
            self._container.seek(pts, stream=stream, backward=True, any_frame=False)
        except av.error.FFmpegError:  # no index, or before the first key frame
            self._rewind()
        self._flush()

    def _flush(self) -> None:
        for stream in (self._video, self._audio):
            if stream is not None:
                stream.codec_context.flush_buffers()

    def _demux(self, stream: Any) -> Iterator[Any]:
        """Packets of one stream with data in them, from where the file stands."""
        for packet in self._container.demux(stream):
            if packet.size:
                yield packet

    def _decode(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Frames of packets in display order, drained at the end."""
        context = self._video.codec_context
        for packet in packets:
            yield from context.decode(packet)
        yield from context.decode(None)

    # -- video --------------------------------------------------------------------------------------------------

    def frames(
        self, start_sec: Time, end_sec: Time, frame_filter: FrameFilter | None = None
    ) -> Frames | None:
        """Returns the upright RGB frames with ``start_sec <= t < end_sec`` that a filter picks, all without one.

        Returns None where the window holds no frame because the video stream ends before it.

        Raises:
            VideoError: if the file is damaged there, or ends although its header says otherwise.
        """
        if self._video is None:
            return None
        base = self._video.time_base
        low = ceil_ticks(start_sec, base) + self._start
        high = ceil_ticks(end_sec, base) + self._start
        window = f"{self._name}, clip [{float(start_sec):.3f}, {float(end_sec):.3f}) s"
        try:
            span = self._span(low, high)
            indices = select_frames(frame_filter, len(span.shown), self._name)
            sparse = self._trusted and frame_filter is not None
            pictures = self._pictures(span, {span.shown[i] for i in indices}, sparse)
            missing = [i for i in indices if span.shown[i] not in pictures]
            if missing:  # a packet without a picture: count what there really is
                pictures = self._pictures(span, set(span.shown), sparse=False)
                shown = sorted(pictures)
                indices = select_frames(frame_filter, len(shown), self._name)
                span = _Span(span.seek_pts, span.packets, shown)
        except (av.error.FFmpegError, EOFError) as error:
            raise VideoError(f"{window}: the video is damaged: {_reason(error)}.") from error
        if not indices:
            self._check_end(start_sec, end_sec, window)
            return None
        times = [span.shown[i] for i in indices]
        data = torch.stack([pictures[t] for t in times], dim=1)  # (3, T, H, W)
        pts_sec = torch.tensor(
            [float((t - self._start) * base) for t in times], dtype=torch.float64
        )
        return Frames(data=data, pts_sec=pts_sec, indices=indices)

    def _check_end(self, start_sec: Time, end_sec: Time, window: str) -> None:
        """Raises a VideoError where a window that the header promises frames for has none."""
        promised = self.info.video_duration
        frame = 1 / self.info.rate if self.info.rate else Fraction(0)
        if promised is not None and end_sec > start_sec and start_sec + 2 * frame < promised:
            raise VideoError(
                f"{window}: no frame there although the video should last {float(promised):.3f} s. "
                "The file is cut off."
            )

    def _span(self, low: float, high: float) -> _Span:
        """First pass: the packets that the frames of ``low <= pts < high`` need, without decoding."""
        target, step = int(low), max(1, int(1 / self._video.time_base))
        while self._trusted and self._seek and target > self._start:
            self._seek_to(self._video, target)
            span = self._read_span(target, low, high)
            if span is not None:
                return span
            target, step = target - step, 2 * step
        self._rewind()
        return self._read_span(None, low, high) or _Span(None, [], [])

    def _read_span(self, seek_pts: int | None, low: float, high: float) -> _Span | None:
        """Reads packets up to the end of a window; None if a seek did not land on a key frame shown before it."""
        packets: list[_Packet] = []
        past_key = False
        for packet in self._demux(self._video):
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None:
                pts = packets[-1].pts + 1 if packets else 0
            if not packets and seek_pts is not None and not (packet.is_keyframe and pts <= low):
                return None
            packets.append(_Packet(pts, packet.is_keyframe))
            # Nothing after a packet is shown before its decoding time. Without one: a key frame past the end,
            # and a packet that no longer leads it.
            if packet.dts is not None and self._trusted:
                if packet.dts >= high:
                    break
            elif past_key and pts > high and len(packets) > _PROBE_PACKETS:
                break
            past_key = past_key or (packet.is_keyframe and pts >= high)
        if not packets and seek_pts is not None:
            return None
        shown = sorted({p.pts for p in packets if low <= p.pts < high})
        return _Span(seek_pts, packets, shown)

    def _pictures(self, span: _Span, wanted: set[int], sparse: bool) -> dict[int, torch.Tensor]:
        """Second pass: wanted times -> pictures uint8 (3, H, W)."""
        if not wanted:
            return {}
        if span.seek_pts is None:
            self._rewind()
        else:
            self._seek_to(self._video, span.seek_pts)
        found: dict[int, torch.Tensor] = {}
        order = iter(sorted(p.pts for p in span.packets))
        last = max(wanted)
        for frame in self._decode(self._needed(span, wanted, sparse)):
            pts = frame.pts if self._trusted else next(order, None)
            if pts in wanted and pts not in found:
                found[pts] = self._picture(frame)
            if len(found) == len(wanted) or (pts is not None and pts > last):
                break
        return found

    def _needed(self, span: _Span, wanted: set[int], sparse: bool) -> Iterator[Any]:
        """Packets of the span in decoding order; in the sparse case only those that wanted frames need."""
        context = self._video.codec_context
        packets = zip(self._demux(self._video), span.packets, strict=False)
        try:
            if not sparse:
                yield from (packet for packet, _ in packets)
                return
            keep = _groups_with(span.packets, wanted)
            skipped = False
            for index, (packet, entry) in enumerate(packets):
                if not keep[index]:
                    skipped = True
                    continue
                if skipped:  # a new group after a gap: nothing of the old one may be referred to
                    context.flush_buffers()
                    skipped = False
                context.skip_frame = "DEFAULT" if entry.pts in wanted else "NONREF"
                yield packet
        finally:
            context.skip_frame = "DEFAULT"

    def _picture(self, frame: Any) -> torch.Tensor:
        """An upright RGB picture uint8 (3, H, W), equal to PyAV's own ``rgb24`` conversion pixel by pixel."""
        to_rgb, to_planes = self._reformatters
        packed = to_rgb.reformat(frame, format="rgb24", threads=1)
        # rgb24 -> gbrp only sorts bytes, much faster than a strided copy would.
        planar = to_planes.reformat(packed, format="gbrp", threads=1)
        height, width = planar.height, planar.width
        picture = torch.empty((3, height, width), dtype=torch.uint8)
        for channel, plane in zip((1, 2, 0), planar.planes, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
            picture[channel] = torch.from_numpy(rows[:, :width].copy())
        turns = (
            round(frame.rotation / 90) % 4
        )  # counter-clockwise quarter turns of the display matrix
        return torch.rot90(picture, turns, dims=(1, 2)) if turns else picture

    # -- audio --------------------------------------------------------------------------------------------------

    def audio(self, start_sec: Time, end_sec: Time) -> AudioSamples | None:
        """Returns the samples with ``start_sec <= t < end_sec`` on the time line of the video.

        Sample k of the result is at ``start_sec + k / rate``; silence fills what lies before the first sample of
        the file. None where the sound has ended, or where there is none.

        Raises:
            VideoError: if the sound is damaged there.
        """
        if self._audio is None:
            return None
        rate = self._audio.codec_context.sample_rate
        first, last = (
            ceil_ticks(start_sec, Fraction(1, rate)),
            ceil_ticks(end_sec, Fraction(1, rate)),
        )
        try:
            chunks = list(self._audio_chunks(int(first), last, rate))
        except (av.error.FFmpegError, EOFError) as error:
            window = f"{self._name}, clip [{float(start_sec):.3f}, {float(end_sec):.3f}) s"
            raise VideoError(f"{window}: the sound is damaged: {_reason(error)}.") from error
        if not chunks:
            return None
        end = max(position + samples.shape[1] for position, samples in chunks)
        data = np.zeros((chunks[0][1].shape[0], end - int(first)), np.float32)
        for position, samples in chunks:
            offset = position - int(first)
            data[:, offset : offset + samples.shape[1]] = samples
        return AudioSamples(torch.from_numpy(data), rate)

    def _audio_chunks(self, first: int, last: float, rate: int) -> Iterator[tuple[int, np.ndarray]]:
        """(position, float32 (channels, S)) of the window's samples, positions counted from the origin."""
        base = self._audio.time_base
        target = self._origin + Fraction(first, rate) - Fraction(_AUDIO_PREROLL_SEC)
        from_start = target <= (self._audio.start_time or 0) * base
        if not self._ticks_hit_samples() and self._grid is None:
            from_start = True  # only counting from the very start is exact
        if from_start:
            self.close()
            self._open()
        else:
            self._seek_to(self._audio, int(target / base))
        frames = self._audio_frames()
        head = list(itertools.islice(frames, 1 if from_start else 4))
        position = self._first_position(head, rate)
        resampler: Any = AudioResampler(format="fltp")
        for frame in itertools.chain(head, frames):
            if frame.pts is not None:
                told = self._sample_of(frame, rate)
                if abs(told - position) > 2 * frame.samples + base * rate:  # a gap, no jitter
                    position = told
            for part in resampler.resample(frame):
                samples = part.to_ndarray()
                low, high = max(first, position), min(last, position + samples.shape[1])
                if low < high:
                    yield int(low), samples[:, int(low) - position : int(high) - position]
                position += samples.shape[1]
            if position >= last:
                return

    def _sample_of(self, frame: Any, rate: int) -> int:
        """Where a frame of sound begins, in samples after the origin, as its rounded time says."""
        return round((frame.pts * self._audio.time_base - self._origin) * rate)

    def _first_position(self, head: list[Any], rate: int) -> int:
        """Where the first of some consecutive frames begins.

        Told by the last of them: after a jump into the middle of an MPEG stream the first carries another's time.
        """
        timed = [i for i, frame in enumerate(head) if frame.pts is not None]
        if not timed:
            return 0
        before = sum(frame.samples for frame in head[: timed[-1]])
        position = self._sample_of(head[timed[-1]], rate) - before
        return _snap(position, head[0].samples, self._grid)

    def _audio_frames(self) -> Iterator[Any]:
        """Decoded sound from where the file stands; packets that a seek has cut in two are left out."""
        decoded = False
        for packet in self._demux(self._audio):
            try:
                frames = self._audio.codec_context.decode(packet)
            except av.error.InvalidDataError:
                if decoded:
                    raise
                continue
            decoded = decoded or bool(frames)
            yield from frames
        yield from self._audio.codec_context.decode(None)

    def _ticks_hit_samples(self) -> bool:
        """Whether every sample has a time of its own; Matroska's milliseconds are longer, 1/90000 s falls between."""
        return (
            1 / (self._audio.time_base * self._audio.codec_context.sample_rate)
        ).denominator == 1

    def _audio_grid(self) -> tuple[int, int] | None:
        """(position of the second frame, samples per frame) where all frames are alike, else None.

        Where times are rounded, the grid makes the position of a frame exact after a seek as well. Called on a file
        that has just been opened: only then is the priming cut off.
        """
        rate, base = self._audio.codec_context.sample_rate, self._audio.time_base
        if (
            self._ticks_hit_samples() or self._audio.codec_context.name == "vorbis"
        ):  # which varies its frames
            return None
        frames = list(itertools.islice(self._audio_frames(), _PROBE_FRAMES))
        if len(frames) < 3 or frames[0].pts is None:
            return None
        sizes = {frame.samples for frame in frames[1:-1]}
        if len(sizes) != 1:
            return None
        second = round(frames[0].pts * base * rate) + frames[0].samples
        return second, sizes.pop()


def _snap(position: int, samples: int, grid: tuple[int, int] | None) -> int:
    """Moves a frame so that it ends on a grid (some frame start, samples per frame); the first may be shorter.

    >>> _snap(1941, 960, (648, 960)), _snap(-336, 960, (648, 960)), _snap(1, 648, (648, 960))
    (1608, -312, 0)
    >>> _snap(77, 960, None)
    77
    """
    if grid is None:
        return position
    start, size = grid
    return start + round((position + samples - start) / size) * size - samples


def _groups_with(packets: list[_Packet], wanted: set[int]) -> list[bool]:
    """Which packets belong to a group of pictures that a wanted frame needs.

    A frame shown before the key frame of its own group (open group of pictures) needs the group before as well.
    """
    starts = [i for i, p in enumerate(packets) if p.is_keyframe or i == 0]
    keep = [False] * len(packets)
    needed_by_next = False
    for start, stop in reversed(list(zip(starts, [*starts[1:], len(packets)], strict=True))):
        group = packets[start:stop]
        hits = [p.pts for p in group if p.pts in wanted]
        if hits or needed_by_next:
            keep[start:stop] = [True] * len(group)
        needed_by_next = any(pts < group[0].pts for pts in hits)
    return keep


def _has_codec(stream: Any) -> bool:
    """False for streams without a decoder and for cover pictures."""
    return (
        stream.codec_context is not None
        and not stream.disposition & stream.disposition.attached_pic
    )


def _reason(error: BaseException) -> str:
    """FFmpeg's words for an error, without numbers and file names."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return words[0].lower() + words[1:]
