# SPDX-License-Identifier: Apache-2.0
"""Frames, sparsely: only what wanted frames need is decoded, only wanted frames are converted.

A clip is read in two passes over its stretch of the file. The first only demultiplexes: packet times
give the frames of the clip, hence what a frame filter asks for, and no picture is decoded. The second
decodes towards the wanted frames alone: groups of pictures without any are left out, packets of unwanted
frames that no other frame refers to are dropped by FFmpeg (``skip_frame``), and nothing but a wanted
frame is converted to RGB.

Times are those of the container where it can be trusted. Some writers (MPEG-4 with B-frames in AVI; mp4
files whose presentation times are copies of their decoding times) cannot be: there everything up to the
end of the clip is decoded, and the k-th frame that the decoder shows gets the k-th smallest time.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter

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

# Decoders that look at `skip_frame` packet by packet. Others ignore it, or, as dav1d does, keep what it was at first.
_DROPS_UNREFERENCED = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8"})


@dataclass(frozen=True)
class Packet:
    """What the first pass keeps of a packet."""

    pts: int
    is_keyframe: bool


@dataclass(frozen=True)
class _Span:
    """The frames of a window in display order, as times, and the packets from the seek point (None: start) on."""

    seek_pts: int | None
    packets: list[Packet]
    shown: list[int]


class FrameReader:
    """Cuts clips out of the frames of a source. Ticks are those of the stream's time base."""

    def __init__(self, source: Source, *, seek: bool = True) -> None:
        self._source = source
        self._may_seek = seek
        self._reformatters = VideoReformatter(), VideoReformatter()
        self._base: Fraction = source.video.time_base
        source.rewind()
        times = [p.pts for p in itertools.islice(source.packets(source.video), _PROBE_PACKETS)]
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
        frames = self._decode(self._source.packets(self._source.video))
        shown = [frame.pts for frame in itertools.islice(frames, _PROBE_FRAMES)]
        return None not in shown and all(a < b for a, b in itertools.pairwise(shown))

    def _end(self) -> Fraction:
        """The end of the last frame in seconds of the container."""
        stream = self._source.video
        if stream.duration is None or not self._source.is_format("mp4", "avi"):
            return self._source.end_of(stream)
        first = (stream.start_time or 0) if self._trusted else self._start
        return Fraction((first + stream.duration) * self._base)

    def _decode(self, packets: Iterator[Any]) -> Iterator[Any]:
        """Frames of packets in display order, drained at the end and at every None, which stands for a gap."""
        context = self._source.video.codec_context
        for packet in packets:
            yield from context.decode(packet)
            if packet is None:
                context.flush_buffers()
        yield from context.decode(None)

    def read(
        self,
        start_sec: Time,
        end_sec: Time,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
    ) -> Frames | None:
        """Returns the upright RGB frames with ``start_sec <= t < end_sec`` that a filter picks, all without one.

        With ``resize`` FFmpeg scales them while it turns them into RGB (bilinear over all pixels that fall into one).
        Returns None where the window holds no frame because the video stream ends before it.

        Raises:
            VideoError: if the file is damaged there, or ends although its header says otherwise.
        """
        base = self._base
        low = ceil_ticks(start_sec, base) + self._start
        high = ceil_ticks(end_sec, base) + self._start
        window = f"{self._source.name}, clip [{float(start_sec):.3f}, {float(end_sec):.3f}) s"
        try:
            span = self._span(low, high)
            indices = select_frames(frame_filter, len(span.shown), self._source.name)
            sparse = self._trusted and frame_filter is not None
            wanted = {span.shown[i] for i in indices}
            pictures = self._pictures(span, wanted, sparse, resize)
            missing = [i for i in indices if span.shown[i] not in pictures]
            if missing:  # a packet without a picture: count what there really is
                pictures = self._pictures(span, set(span.shown), False, resize)
                shown = sorted(pictures)
                indices = select_frames(frame_filter, len(shown), self._source.name)
                span = _Span(span.seek_pts, span.packets, shown)
        except (av.error.FFmpegError, EOFError) as error:
            raise VideoError(f"{window}: the video is damaged: {reason(error)}.") from error
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
        promised = self.duration
        frame = (
            1 / self._source.video.average_rate if self._source.video.average_rate else Fraction(0)
        )
        if end_sec > start_sec and start_sec + 2 * frame < promised:
            raise VideoError(
                f"{window}: no frame there although the video should last {float(promised):.3f} s. "
                "The file is cut off."
            )

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

    def _read_span(self, seek_pts: int | None, low: float, high: float) -> _Span | None:
        """Reads packets up to the end of a window; None if a seek did not land on a key frame shown before it."""
        packets: list[Packet] = []
        past_key = False
        for packet in self._source.packets(self._source.video):
            pts = packet.pts if packet.pts is not None else packet.dts
            if pts is None:
                pts = packets[-1].pts + 1 if packets else 0
            if not packets and seek_pts is not None and not (packet.is_keyframe and pts <= low):
                return None
            packets.append(Packet(pts, packet.is_keyframe))
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

    def _pictures(
        self, span: _Span, wanted: set[int], sparse: bool, resize: FrameResize | None
    ) -> dict[int, torch.Tensor]:
        """Second pass: wanted times -> pictures uint8 (3, H, W)."""
        if not wanted:
            return {}
        if span.seek_pts is None:
            self._source.rewind()
        else:
            self._source.seek(self._source.video, span.seek_pts)
        found: dict[int, torch.Tensor] = {}
        order = iter(sorted(p.pts for p in span.packets))
        last = max(wanted)
        for frame in self._decode(self._needed(span, wanted, sparse)):
            pts = frame.pts if self._trusted else next(order, None)
            if pts in wanted and pts not in found:
                found[pts] = self._picture(frame, resize)
            if len(found) == len(wanted) or (pts is not None and pts > last):
                break
        return found

    def _needed(self, span: _Span, wanted: set[int], sparse: bool) -> Iterator[Any]:
        """Packets of the span in decoding order; in the sparse case only those that wanted frames need."""
        context = self._source.video.codec_context
        packets = zip(self._source.packets(self._source.video), span.packets, strict=False)
        try:
            if not sparse:
                yield from (packet for packet, _ in packets)
                return
            keep = groups_with(span.packets, wanted)
            drops = context.name in _DROPS_UNREFERENCED
            skipped = False
            for index, (packet, entry) in enumerate(packets):
                if not keep[index]:
                    skipped = True
                    continue
                if skipped:  # what follows may not refer to what was before, whose last frames are still to be shown
                    yield None
                    skipped = False
                if drops:
                    context.skip_frame = "DEFAULT" if entry.pts in wanted else "NONREF"
                yield packet
        finally:
            context.skip_frame = "DEFAULT"

    def _picture(self, frame: Any, resize: FrameResize | None) -> torch.Tensor:
        """An upright RGB picture uint8 (3, H, W), equal to PyAV's own ``rgb24`` conversion pixel by pixel."""
        to_rgb, to_planes = self._reformatters
        turns = round(frame.rotation / 90) % 4  # of the display matrix, counter-clockwise
        size = frame.height, frame.width
        if resize is not None:
            size = resize(*size) if turns % 2 == 0 else resize(*size[::-1])[::-1]
        packed = to_rgb.reformat(frame, size[1], size[0], format="rgb24", threads=1)
        # rgb24 -> gbrp only sorts bytes, much faster than a strided copy would.
        planar = to_planes.reformat(packed, format="gbrp", threads=1)
        height, width = planar.height, planar.width
        picture = torch.empty((3, height, width), dtype=torch.uint8)
        for channel, plane in zip((1, 2, 0), planar.planes, strict=True):
            rows = np.frombuffer(memoryview(plane), np.uint8).reshape(height, plane.line_size)
            picture[channel] = torch.from_numpy(rows[:, :width].copy())
        return torch.rot90(picture, turns, dims=(1, 2)) if turns else picture


def groups_with(packets: list[Packet], wanted: set[int]) -> list[bool]:
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
