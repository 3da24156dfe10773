# SPDX-License-Identifier: Apache-2.0
"""Frames, sparsely: only what wanted frames need is decoded, only wanted frames are converted.

The packets of a clip's stretch of the file are read first. Their times give the frames of the clip, hence what
a frame filter asks for, before any picture is decoded. The decoder then goes towards the wanted frames alone:
groups of pictures without any are left out, packets of unwanted frames that no other frame refers to are dropped
by FFmpeg (``skip_frame``), and nothing but a wanted frame is converted. A clip that follows another one in the
same group of pictures goes on where the decoder stands.

Times are those that ``times.py`` tells. Where it cannot, everything up to the end of the clip is decoded, and the
k-th frame that the decoder shows gets the k-th smallest time.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import av
import torch
from av.video.reformatter import VideoReformatter

from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._pyav.packets import (
    Packet,
    Span,
    UnknownOrderError,
    flags_of_frames,
    time_of,
)
from pytorchvideo.data._decode._pyav.pictures import Pictures
from pytorchvideo.data._decode._pyav.references import reference_test
from pytorchvideo.data._decode._pyav.run import Run
from pytorchvideo.data._decode._pyav.source import Source, reason
from pytorchvideo.data._decode._pyav.times import PROBE_PACKETS, PacketTimes
from pytorchvideo.data._decode._types import (
    FrameFilter,
    FrameResize,
    Frames,
    Time,
    VideoError,
    ceil_ticks,
    select_frames,
)

_TAIL_SEC = Fraction(1, 2)
_READ_ON_SEC = 10  # rather than seek, which gives up what the decoder has
_KEPT_BYTES = 64 << 20  # of packets; those of a longer stretch are read twice
TIME_LIMIT_SEC = 600.0


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
        self._run: Run | None = None
        self._base: Fraction = source.video.time_base
        if index is not None and index.time_base == self._base:
            self.index = index
            self._times = PacketTimes(source, index)
            self.duration = index.duration
        else:
            self._times = PacketTimes(source, None)
            self.duration = self._end() - self.origin

    @property
    def origin(self) -> Fraction:
        """The first frame in seconds of the container."""
        return self._times.start * self._base

    def _end(self) -> Fraction:
        """The end of the last frame in seconds of the container."""
        stream = self._source.video
        if stream.duration is None or not self._source.is_format("mp4", "avi"):
            return self._source.end_of(stream)
        are_true, start = self._times.are_true, self._times.start
        end = stream.duration + ((stream.start_time or 0) if are_true else start)
        if are_true and stream.codec_context.has_b_frames:
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
        low = ceil_ticks(start_sec, base) + self._times.start
        high = ceil_ticks(end_sec, base) + self._times.start
        window = f"{self._source.name}, clip [{float(start_sec):.3f}, {float(end_sec):.3f}) s"
        self._deadline = time.monotonic() + self._time_limit_sec
        try:
            clip = None
            while clip is None:  # what the decoder had from the clip before may not be enough
                try:
                    clip = self._clip(low, high, frame_filter, dtype, resize)
                except UnknownOrderError:
                    self._run = None
                    self._times.give_up()
        except (av.error.FFmpegError, EOFError, VideoError) as error:
            self._run = None
            why = str(error) if isinstance(error, VideoError) else f"damaged: {reason(error)}."
            raise VideoError(f"{window}: the video is {why}") from error
        data, shown, indices = clip
        if data is None:
            self._check_end(start_sec, end_sec, window)
            return None
        times = [float((shown[i] - self._times.start) * base) for i in indices]
        return Frames(data, torch.tensor(times, dtype=torch.float64), indices)

    @cached_property
    def index(self) -> FrameIndex:
        """What one pass over the packets of the file tells of all frames; nothing is decoded."""
        self._run = None
        self._deadline = time.monotonic() + self._time_limit_sec
        is_reference, flags = reference_test(self._source.video), None
        try:
            while flags is None:
                self._source.rewind()
                try:
                    packets = self._times.packets()
                    flags = flags_of_frames(packets, is_reference, self._check_time)
                except UnknownOrderError:
                    self._times.give_up()
        except (av.error.FFmpegError, EOFError) as error:
            raise VideoError(f"{self._source.name} is damaged: {reason(error)}.") from error
        return FrameIndex(
            *flags,
            time_base=self._base,
            start=self._times.start,
            duration=self.duration,
            is_trusted=self._times.are_true,
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
            sparse = self._times.are_known and frame_filter is not None
            complete = self._fill(pictures, span, indices, sparse)
        except (av.error.FFmpegError, EOFError):
            if not goes_on:
                raise
            complete = False
        if not complete:
            self._run = None
            if goes_on:
                return None
            # a packet without a picture: count what there really is
            there = {pts for pts, _ in self._decode(span, span.shown, sparse=False)}
            span = replace(span, shown=sorted(there.intersection(span.shown)))
            indices = select_frames(frame_filter, len(span.shown), name)
            pictures = Pictures(self._converter, len(indices), dtype, resize)
            self._run = None
            self._fill(pictures, span, indices, sparse=False)
        return pictures.data, span.shown, indices

    def _fill(self, pictures: Pictures, span: Span, indices: list[int], sparse: bool) -> bool:
        """Second pass: decodes the frames of some indices into their places; False if one does not come."""
        places: dict[int, list[int]] = {}
        for place, index in enumerate(indices):
            places.setdefault(span.shown[index], []).append(place)
        missing = set(places)
        for pts, frame in self._decode(span, sorted(places), sparse):
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

    def _decode(self, span: Span, wanted: list[int], sparse: bool) -> Iterator[tuple[int, Any]]:
        """See :meth:`Run.frames`; where the last wanted frame comes, the next clip may go on after it."""
        if not wanted:
            return
        run = self._run or Run(self._source, self._times, self._check_time)
        self._run = None
        for pts, frame in run.frames(span, wanted, sparse):
            yield pts, frame
            if pts == wanted[-1]:
                self._run = run

    def _read_on(self, low: float, high: float) -> Span | None:
        """First pass of a clip that follows the one before, whose decoder goes on; None for any other."""
        run, self._run = self._run, None
        if run is None or run.last_shown is None or not run.can_go_on or not run.last_shown < low:
            return None
        unfed = run.unfed
        latest = max([run.last_shown, *(p.pts for p in unfed)])
        if self._times.are_known and (low - latest) * self._base > _READ_ON_SEC:
            return None
        span = self._read_span(None, low, high, unfed)
        if span is None or any(p.data is None for p in span.packets):
            return None
        coming = {t for t in run.coming() if low <= t < high}
        self._run = run
        return replace(span, shown=sorted(coming.union(span.shown)))

    def _span(self, low: float, high: float) -> Span:
        """First pass: the packets that the frames of ``low <= pts < high`` need, without decoding."""
        target, step = int(low), max(1, int(1 / self._base))
        while self._times.are_known and self._may_seek and target > self._times.start:
            self._source.seek(self._source.video, target)
            span = self._read_span(target, low, high)
            if span is not None:
                return span
            target, step = target - step, 2 * step
        self._source.rewind()
        return self._read_span(None, low, high) or Span(None, [], [])

    def _read_span(
        self, seek_pts: int | None, low: float, high: float, read: Sequence[Packet] = ()
    ) -> Span | None:
        """Reads packets up to the end of a window; None if a seek did not land on a key frame shown before it."""
        packets = list(read)
        past_key, room = False, _KEPT_BYTES
        for packet in self._times.packets():
            pts = time_of(packet, packets[-1].pts if packets else None)
            if not packets and seek_pts is not None and not (packet.is_keyframe and pts <= low):
                return None
            room -= packet.size
            data = packet if room >= 0 else None
            packets.append(Packet(pts, packet.is_keyframe, data, packet.is_discard))
            self._check_time()
            # Nothing after a packet is shown before its decoding time. Without one: a key frame past the end,
            # and a packet that no longer leads it.
            if packet.dts is not None and self._times.are_known:
                if packet.dts >= high:
                    break
            elif past_key and pts > high and len(packets) > PROBE_PACKETS:
                break
            past_key = past_key or (packet.is_keyframe and pts >= high)
        else:
            if self._source.is_cut_off(self._source.video):
                raise VideoError("cut off before the end of the clip.")
        if not packets and seek_pts is not None:
            return None
        shown = sorted({p.pts for p in packets if low <= p.pts < high and not p.is_hidden})
        return Span(seek_pts, packets, shown)

    def _check_time(self) -> None:
        if time.monotonic() > self._deadline:
            raise VideoError(
                f"not decoded after {self._time_limit_sec:g} s, the time limit of a clip. "
                "It may be made to waste time; raise `time_limit_sec` if it is only long."
            )
