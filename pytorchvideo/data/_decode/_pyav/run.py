# SPDX-License-Identifier: Apache-2.0
"""Decoding towards wanted frames."""

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from pytorchvideo.data._decode._pyav.packets import Packet, Span, UnknownOrderError, groups_with
from pytorchvideo.data._decode._pyav.source import Source
from pytorchvideo.data._decode._pyav.times import PacketTimes

# Decoders that look at `skip_frame` packet by packet. Others ignore it, or, as dav1d does, keep what it was at first.
_DROPS_UNREFERENCED = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8"})


class Run:
    """A decoder on its way: what it was fed is all that the coming frames refer to.

    Args:
        source: whose decoder is emptied.
        times: of its packets.
        check_time: called for each packet; raises when it takes too long.

    Attributes:
        last_shown: time of the frame seen last.
    """

    def __init__(self, source: Source, times: PacketTimes, check_time: Callable[[], None]) -> None:
        self._source = source
        self._times = times
        self._check_time = check_time
        self._context: Any = source.video.codec_context
        self._context.flush_buffers()
        self._is_drained = False
        self._moves = source.moves  # when the packets were read
        self._packets: list[Packet] = []  # of the span
        self._position = 0  # of the next one to feed
        self._fed: list[int] = []  # times of the packets fed so far
        self._frames: deque[Any] = deque()  # came with the last packet, not looked at yet
        self._num_shown = 0
        self.last_shown: int | None = None

    @property
    def can_go_on(self) -> bool:
        """False once the decoder is drained, emptied by a seek, or another one."""
        source = self._source
        is_same = self._context is source.video.codec_context and self._moves == source.moves
        return is_same and not self._is_drained and self.last_shown is not None

    @property
    def unfed(self) -> list[Packet]:
        """What was read and not fed yet."""
        return self._packets[self._position :]

    def coming(self) -> list[int]:
        """Times of the packets that were fed and not shown yet; of all that were fed where times are not known."""
        if self._times.are_known and self.last_shown is not None:
            self._fed = [t for t in self._fed if t > self.last_shown]
        return self._fed

    def frames(self, span: Span, wanted: list[int], sparse: bool) -> Iterator[tuple[int, Any]]:
        """(time, frame) in display order up to the last wanted time.

        Args:
            span: the packets, from the first that was not fed yet on.
            wanted: sorted times.
            sparse: whether frames that are not wanted, and that no wanted one needs, may be left out.

        Raises:
            UnknownOrderError: frames do not come in the order of the times of their packets.
        """
        order = None
        if not self._times.are_known:
            order = sorted([*self._fed, *(p.pts for p in span.packets if not p.is_hidden)])
        self._packets, self._position, self._moves = span.packets, 0, self._source.moves
        last = wanted[-1]
        try:
            for _ in itertools.chain((None,), self._feed(span, set(wanted), sparse)):
                while self._frames:
                    frame = self._frames.popleft()
                    time = self._time(frame, order)
                    if time is None:
                        continue
                    self.last_shown = time
                    if time <= last:
                        yield time, frame
                    if time >= last:
                        return
        finally:
            self._context.skip_frame = "DEFAULT"

    def _time(self, frame: Any, order: list[int] | None) -> int | None:
        """When a frame is shown; None for one too many."""
        place, self._num_shown = self._num_shown, self._num_shown + 1
        if order is not None:
            return order[place] if place < len(order) else None
        time: int | None = frame.pts
        if not self._times.are_true and (
            time is None or (self.last_shown is not None and time <= self.last_shown)
        ):
            raise UnknownOrderError("frames in another order")
        return time

    def _feed(self, span: Span, wanted: set[int], sparse: bool) -> Iterator[None]:
        """Feeds packet after packet; drains at every gap between groups of pictures, and at the end."""
        context = self._context
        for position, packet in self._needed(span, wanted, sparse):
            self._check_time()
            self._frames.extend(context.decode(packet))
            self._is_drained = packet is None
            if packet is None:
                context.flush_buffers()
            else:
                fed = span.packets[position]
                if not fed.is_hidden:
                    self._fed.append(fed.pts)
                self._position = position + 1
            yield
        self._is_drained = True
        self._frames.extend(context.decode(None))
        yield

    def _needed(self, span: Span, wanted: set[int], sparse: bool) -> Iterator[tuple[int, Any]]:
        """(position, packet) in decoding order; in the sparse case only those that wanted frames need."""
        if not sparse:
            yield from enumerate(self._data(span))
            return
        keep = groups_with(span.packets, wanted)
        drops = self._context.name in _DROPS_UNREFERENCED
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
                self._context.skip_frame = "DEFAULT" if pts in wanted or pts > last else "NONREF"
            yield position, packet

    def _data(self, span: Span) -> Iterator[Any]:
        """The packets themselves; read again where they were too many to keep."""
        if all(p.data is not None for p in span.packets):
            return (p.data for p in span.packets)
        if span.seek_pts is None:
            self._source.rewind()
        else:
            self._source.seek(self._source.video, span.seek_pts)
        return itertools.islice(self._times.packets(), len(span.packets))
