# SPDX-License-Identifier: Apache-2.0
"""Frames, sparsely: only what wanted frames need is decoded, only wanted frames are converted.

The packets of a clip's stretch of the file are read first. Their times give the frames of the clip, hence what
a frame filter asks for, before any picture is decoded. The decoder then goes towards the wanted frames alone:
groups of pictures without any are left out, packets of unwanted frames that no other frame refers to are dropped
by FFmpeg (``skip_frame``), and nothing but a wanted frame is converted. A clip that follows another one in the
same group of pictures goes on where the decoder stands.

Times are those of the container where it can be trusted. Some writers (MPEG-4 with B-frames in AVI; mp4
files whose presentation times are copies of their decoding times) cannot be: there everything up to the
end of the clip is decoded, and the k-th frame that the decoder shows gets the k-th smallest time.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import av
import torch
from av.video.reformatter import VideoReformatter

from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._pyav.packets import Packet, flags_of_frames, groups_with, time_of
from pytorchvideo.data._decode._pyav.pictures import Pictures
from pytorchvideo.data._decode._pyav.source import Source, reason
from pytorchvideo.data._decode._types import (
    FrameFilter,
    FrameResize,
    Frames,
    Time,
    VideoError,
    ceil_ticks,
    select_frames,
)

_PROBE_PACKETS = 32  # H.264 and HEVC reorder at most 16 pictures
_PROBE_FRAMES = 12
_TAIL_SEC = Fraction(1, 2)
_READ_ON_SEC = 10  # rather than seek, which gives up what the decoder has
_KEPT_BYTES = 64 << 20  # of packets; those of a longer stretch are read twice
TIME_LIMIT_SEC = 600.0

# Decoders that look at `skip_frame` packet by packet. Others ignore it, or, as dav1d does, keep what it was at first.
_DROPS_UNREFERENCED = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8"})


@dataclass(frozen=True)
class _Span:
    """The frames of a window in display order, as times, and the packets from the seek point (None: start) on."""

    seek_pts: int | None
    packets: list[Packet]
    shown: list[int]


@dataclass
class _Run:
    """Where a decoder stands that was fed everything that the coming frames refer to."""

    context: Any  # None while the decoder is drained
    times: list[int] = field(default_factory=list)  # of the packets fed so far
    num_shown: int = 0
    last_shown: int | None = None
    frames: list[Any] = field(default_factory=list)  # came with the last one, not looked at yet
    packets: list[Packet] = field(default_factory=list)  # read, not fed yet
    moves: int = 0  # of the source, when these were read


class FrameReader:
    """Cuts clips out of the frames of a source. Ticks are those of the stream's time base."""

    def __init__(
        self,
        source: Source,
        *,
        seek: bool = True,
        time_limit_sec: float = TIME_LIMIT_SEC,
        index: FrameIndex | None = None,
    ) -> None:
        self._source = source
        self._may_seek = seek
        self._time_limit_sec = time_limit_sec
        self._deadline = time.monotonic() + time_limit_sec
        self._converter = VideoReformatter()  # sets itself up for a size once
        self._run: _Run | None = None
        self._base: Fraction = source.video.time_base
        if index is not None and index.time_base == self._base:
            self.index = index
            self._start, self._trusted = index.start, index.is_trusted
            self.origin, self.duration = self._start * self._base, index.duration
            return
        source.rewind()
        shown = (p for p in source.packets(source.video) if not p.is_discard)
        times = [p.pts for p in itertools.islice(shown, _PROBE_PACKETS)]
        if not times:
            raise VideoError(
                f"{source.name} has a video stream without a single frame: the file is cut off or empty."
            )
        known = [t for t in times if t is not None]
        self._start = min(known, default=source.video.start_time or 0)
        self._trusted = len(set(known)) == len(times) and self._times_are_true(known)
        self.origin = self._start * self._base
        self.duration = self._end() - self.origin

    def _times_are_true(self, times: list[int]) -> bool:
        """Whether packet times are presentation times: told without decoding wherever that is possible."""
        if not self._source.video.codec_context.has_b_frames:
            return True
        if self._source.is_format("avi"):
            return False
        if times != sorted(times):
            return True
        # A codec that reorders, in a file whose times do not: look at a few frames.
        self._source.rewind()
        packets = self._source.packets(self._source.video)
        self._source.video.codec_context.flush_buffers()
        decoded = (f for packet in packets for f in packet.decode())
        shown = [frame.pts for frame in itertools.islice(decoded, _PROBE_FRAMES)]
        return None not in shown and all(a < b for a, b in itertools.pairwise(shown))

    def _end(self) -> Fraction:
        """The end of the last frame in seconds of the container."""
        stream = self._source.video
        if stream.duration is None or not self._source.is_format("mp4", "avi"):
            return self._source.end_of(stream)
        end = stream.duration + ((stream.start_time or 0) if self._trusted else self._start)
        if self._trusted and stream.codec_context.has_b_frames:
            # A file that was cut without decoding may show its last frame later than the header knows.
            self._source.seek(stream, end - int(_TAIL_SEC / self._base), any_frame=True)
            tail = ((p.pts, p.duration or 1) for p in self._source.packets(stream) if p.pts)
            shown, step = max(tail, default=(0, 1))
            end = shown + step if shown >= end else end
        return Fraction(end * self._base)

    def read(
        self,
        start_sec: Time,
        end_sec: Time,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
        dtype: torch.dtype = torch.uint8,
    ) -> Frames | None:
        """Returns the upright RGB frames with ``start_sec <= t < end_sec`` that a filter picks, all without one.

        With ``resize`` FFmpeg scales them while it turns them into RGB (bilinear over all pixels that fall into one).
        ``dtype`` is torch.uint8 or torch.float32. Returns None where the window holds no frame because the video
        stream ends before it.

        Raises:
            VideoError: if the file is damaged there, takes longer than the time limit, or ends although its header
                says otherwise.
        """
        base = self._base
        low = ceil_ticks(start_sec, base) + self._start
        high = ceil_ticks(end_sec, base) + self._start
        window = f"{self._source.name}, clip [{float(start_sec):.3f}, {float(end_sec):.3f}) s"
        self._deadline = time.monotonic() + self._time_limit_sec
        try:
            clip = self._clip(low, high, frame_filter, dtype, resize)
            if clip is None:  # what the decoder had from the clip before was not enough
                clip = self._clip(low, high, frame_filter, dtype, resize)
        except (av.error.FFmpegError, EOFError, VideoError) as error:
            self._run = None
            why = str(error) if isinstance(error, VideoError) else f"damaged: {reason(error)}."
            raise VideoError(f"{window}: the video is {why}") from error
        data, shown, indices = clip or (None, [], [])
        if data is None:
            self._check_end(start_sec, end_sec, window)
            return None
        times = [float((shown[i] - self._start) * base) for i in indices]
        return Frames(data, torch.tensor(times, dtype=torch.float64), indices)

    @cached_property
    def index(self) -> FrameIndex:
        """What one pass over the packets of the file tells of all frames; nothing is decoded."""
        self._run = None
        self._deadline = time.monotonic() + self._time_limit_sec
        try:
            self._source.rewind()
            packets = self._source.packets(self._source.video)
            flags = flags_of_frames(packets, self._check_time)
        except (av.error.FFmpegError, EOFError) as error:
            raise VideoError(f"{self._source.name} is damaged: {reason(error)}.") from error
        return FrameIndex(
            *flags,
            time_base=self._base,
            start=self._start,
            duration=self.duration,
            is_trusted=self._trusted,
        )

    def _clip(
        self,
        low: float,
        high: float,
        frame_filter: FrameFilter | None,
        dtype: torch.dtype,
        resize: FrameResize | None,
    ) -> tuple[torch.Tensor | None, list[int], list[int]] | None:
        """(pictures, all times of the window, indices); None where a decoder that went on should have started anew."""
        name = self._source.name
        span = self._read_on(low, high)
        goes_on = span is not None
        span = span or self._span(low, high)
        indices = select_frames(frame_filter, len(span.shown), name)
        pictures = Pictures(self._converter, len(indices), dtype, resize)
        try:
            complete = self._fill(
                pictures, span, indices, self._trusted and frame_filter is not None
            )
        except (av.error.FFmpegError, EOFError):
            if not goes_on:
                raise
            complete = False
        if not complete:
            self._run = None
            if goes_on:
                return None
            # a packet without a picture: count what there really is
            shown = {pts for pts, _ in self._shown(span, span.shown, sparse=False)}
            span = replace(span, shown=sorted(shown.intersection(span.shown)))
            indices = select_frames(frame_filter, len(span.shown), name)
            pictures = Pictures(self._converter, len(indices), dtype, resize)
            self._run = None
            self._fill(pictures, span, indices, sparse=False)
        return pictures.data, span.shown, indices

    def _fill(self, pictures: Pictures, span: _Span, indices: list[int], sparse: bool) -> bool:
        """Second pass: decodes the frames of some indices into their places; False if one does not come."""
        places: dict[int, list[int]] = {}
        for place, index in enumerate(indices):
            places.setdefault(span.shown[index], []).append(place)
        missing = set(places)
        for pts, frame in self._shown(span, sorted(places), sparse):
            if pts in missing:
                pictures.put(frame, places[pts])
                missing.remove(pts)
        return not missing

    def _check_end(self, start_sec: Time, end_sec: Time, window: str) -> None:
        """Raises a VideoError where a window that the header promises frames for has none."""
        promised = self.duration
        frame = (
            1 / self._source.video.average_rate if self._source.video.average_rate else Fraction(0)
        )
        if end_sec > start_sec and start_sec + 2 * frame < promised:
            raise VideoError(
                f"{window}: no frame there although the video should last {float(promised):.3f} s. "
                "The file is cut off."
            )

    def _read_on(self, low: float, high: float) -> _Span | None:
        """First pass of a clip that follows the one before, whose decoder goes on; None for any other."""
        run, source = self._run, self._source
        self._run = None
        if run is None or run.last_shown is None or not run.last_shown < low:
            return None
        if run.context is not source.video.codec_context or run.moves != source.moves:
            return None  # drained, or flushed by a seek
        latest = max([run.last_shown, *(p.pts for p in run.packets)])
        if self._trusted and (low - latest) * self._base > _READ_ON_SEC:
            return None
        span = self._read_span(None, low, high, run.packets)
        if span is None or any(p.data is None for p in span.packets):
            return None
        if self._trusted:
            run.times = [t for t in run.times if t > run.last_shown]  # decoded, but not shown yet
            pending = {t for t in run.times if low <= t < high}
            span = replace(span, shown=sorted(pending.union(span.shown)))
        else:
            coming = [p.pts for p in span.packets if not p.is_hidden]
            shown = sorted(t for t in [*run.times, *coming] if low <= t < high)
            span = replace(span, shown=shown)
        self._run = run
        return span

    def _span(self, low: float, high: float) -> _Span:
        """First pass: the packets that the frames of ``low <= pts < high`` need, without decoding."""
        target, step = int(low), max(1, int(1 / self._base))
        while self._trusted and self._may_seek and target > self._start:
            self._source.seek(self._source.video, target)
            span = self._read_span(target, low, high)
            if span is not None:
                return span
            target, step = target - step, 2 * step
        self._source.rewind()
        return self._read_span(None, low, high) or _Span(None, [], [])

    def _read_span(
        self, seek_pts: int | None, low: float, high: float, read: Sequence[Packet] = ()
    ) -> _Span | None:
        """Reads packets up to the end of a window; None if a seek did not land on a key frame shown before it."""
        packets = list(read)
        past_key, room = False, _KEPT_BYTES
        for packet in self._source.packets(self._source.video):
            pts = time_of(packet, packets[-1].pts if packets else None)
            if not packets and seek_pts is not None and not (packet.is_keyframe and pts <= low):
                return None
            room -= packet.size
            data = packet if room >= 0 else None
            packets.append(Packet(pts, packet.is_keyframe, data, packet.is_discard))
            self._check_time()
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
        shown = sorted({p.pts for p in packets if low <= p.pts < high and not p.is_hidden})
        return _Span(seek_pts, packets, shown)

    def _shown(self, span: _Span, wanted: list[int], sparse: bool) -> Iterator[tuple[int, Any]]:
        """(time, frame) in display order up to the last wanted time; the sorted wanted times are among them."""
        if not wanted:
            return
        context = self._source.video.codec_context
        run, self._run = self._run, None  # there again when the last wanted frame has come
        if run is None:
            context.flush_buffers()
            run = _Run(context)
        order = sorted([*run.times, *(p.pts for p in span.packets if not p.is_hidden)])
        for frame in self._decode(run, span, set(wanted), sparse):
            pts = frame.pts
            if not self._trusted:
                pts = order[run.num_shown] if run.num_shown < len(order) else None
            run.num_shown += 1
            if pts is None:
                continue
            run.last_shown = pts
            if pts <= wanted[-1]:
                yield pts, frame
            if pts >= wanted[-1]:
                self._run = run
                return

    def _decode(self, run: _Run, span: _Span, wanted: set[int], sparse: bool) -> Iterator[Any]:
        """Frames in display order; drained at every gap between groups of pictures, and at the end."""
        context = run.context
        run.packets, run.moves = span.packets, self._source.moves
        while run.frames:
            yield run.frames.pop(0)
        try:
            for position, packet in self._needed(span, wanted, sparse):
                self._check_time()
                run.frames = list(context.decode(packet))
                run.context = None if packet is None else context
                if packet is None:
                    context.flush_buffers()
                else:
                    fed = span.packets[position]
                    run.times += [] if fed.is_hidden else [fed.pts]
                    run.packets = span.packets[position + 1 :]
                while run.frames:
                    yield run.frames.pop(0)
            run.context = None
            yield from context.decode(None)
        finally:
            context.skip_frame = "DEFAULT"

    def _needed(self, span: _Span, wanted: set[int], sparse: bool) -> Iterator[tuple[int, Any]]:
        """(position, packet) in decoding order; in the sparse case only those that wanted frames need."""
        keep = groups_with(span.packets, wanted) if sparse else [True] * len(span.packets)
        context = self._source.video.codec_context
        drops = sparse and context.name in _DROPS_UNREFERENCED
        last, skipped = max(wanted), False
        for position, packet in enumerate(self._data(span)):
            if not keep[position]:
                skipped = True
                continue
            if skipped:  # what follows may not refer to what was before, whose last frames are still to be shown
                yield position, None
                skipped = False
            if drops:
                pts = span.packets[position].pts
                # what is shown after the last wanted frame may be wanted by the next clip
                context.skip_frame = "DEFAULT" if pts in wanted or pts > last else "NONREF"
            yield position, packet

    def _data(self, span: _Span) -> Iterator[Any]:
        """The packets themselves; read again where they were too many to keep."""
        if all(p.data is not None for p in span.packets):
            yield from (p.data for p in span.packets)
            return
        if span.seek_pts is None:
            self._source.rewind()
        else:
            self._source.seek(self._source.video, span.seek_pts)
        yield from itertools.islice(self._source.packets(self._source.video), len(span.packets))

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise VideoError(
                f"not decoded after {self._time_limit_sec:g} s, the time limit of a clip. "
                "It may be made to waste time; raise `time_limit_sec` if it is only long."
            )
