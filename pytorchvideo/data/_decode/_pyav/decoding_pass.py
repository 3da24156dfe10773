# SPDX-License-Identifier: Apache-2.0
"""Decoding towards wanted frames."""

import itertools
from collections import deque
from collections.abc import Iterator
from typing import Any

import av

from pytorchvideo.data._decode._pyav.clip_frames import Orientations
from pytorchvideo.data._decode._pyav.container import Container, decode
from pytorchvideo.data._decode._pyav.packets import Packet, UnknownOrderError, groups_with
from pytorchvideo.data._decode._pyav.times import PROBE_PACKETS, PacketTimes
from pytorchvideo.data._decode._types import Orientation, VideoError

# Decoders that look at `skip_frame` packet by packet. Others ignore it, or, as dav1d does, keep what it was at first.
_DROPS_UNREFERENCED = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vp8"})
_READ_ON_SEC = 10  # rather than seek, which gives up what the decoder has
_KEPT_BYTES = 64 << 20  # of packets; those of a longer stretch are read twice


class DecodingPass:
    """A decoder on its way through a file, with the packets that were read for it and not fed yet.

    A packet belongs to the pass from the moment it is read, and leaves it when it is fed or known to be needed no more.
    So a clip without a wanted frame, or one that ends in an error of the caller, loses nothing for the next.

    Args:
        source: of the packets, from where it stands; its decoder is emptied.
        times: of its packets.
        low: all frames from this time on will come.
        seek_pts: where the source was sought to; None for its start.
    """

    def __init__(
        self,
        source: Container,
        times: PacketTimes,
        low: float,
        seek_pts: int | None,
    ) -> None:
        self._source = source
        self._times = times
        self._context: Any = source.video.codec_context
        self._context.flush_buffers()
        self._incoming = times.packets()
        self._moves = source.moves  # another number: the file or its decoder are used by others now
        self._seek_pts = seek_pts
        self._seen = low - 1  # frames that are shown after this are still to come
        self._queue: deque[Packet] = deque()  # read and not fed
        self._room = _KEPT_BYTES
        self._is_at_end = False  # of the file
        self._is_drained = False
        self._num_read = 0
        self._last: Any = None  # the packet read last
        self._latest = self._latest_key = low - 1
        self._end = times.start
        self._fed: list[int] = []  # times of the packets fed so far
        self._frames: deque[Any] = deque()  # came with the last packet, not looked at yet
        self._num_shown = 0
        self._shown_last: int | None = None
        self._orientations = Orientations()

    @property
    def first(self) -> Packet | None:
        """The next packet to be fed; read now, if none has been."""
        if not self._queue:
            self._take(next(self._incoming, None))
        return self._queue[0] if self._queue else None

    @property
    def keeps_all(self) -> bool:
        """Whether all packets that were read are kept: else they are read again, which a new pass alone can do."""
        return all(p.data is not None for p in self._queue)

    def reaches(self, low: float) -> bool:
        """Whether all frames from a time on are still to come, and soon enough not to seek."""
        source = self._source
        is_same = self._context is source.video.codec_context and self._moves == source.moves
        if not is_same or self._is_drained or not self._seen < low or not self.keeps_all:
            return False
        return not self._times.are_known or (low - self._latest) * self._times.base <= _READ_ON_SEC

    @property
    def end(self) -> float | None:
        """The end of the last frame of the file; None where that has not been read."""
        return self._end if self._is_at_end else None

    def read(self, high: float) -> None:
        """Reads packets until those of all frames that are shown before a time are there.

        Raises:
            VideoError: the file is cut off before that.
        """
        while not self._is_at_end and not self._is_past(high):
            self._take(next(self._incoming, None))
            self._source.budget.check_time()
        if self._is_at_end and self._source.is_cut_off(self._source.video):
            raise VideoError("cut off before the end of the clip.")

    def _take(self, packet: Any) -> None:
        if packet is None:
            self._is_at_end = True
            return
        if self._last is not None and self._last.is_keyframe:
            self._latest_key = max(self._latest_key, self._last.pts)
        self._room -= packet.size
        data = packet if self._room >= 0 else None
        is_hidden = not self._times.shows(packet)
        self._queue.append(Packet(packet.pts, packet.is_keyframe, data, is_hidden))
        self._last = self._queue[-1]
        self._last_dts = packet.dts
        self._latest = max(self._latest, packet.pts)
        self._end = max(self._end, packet.pts + (packet.duration or 0))
        self._num_read += 1

    def _is_past(self, high: float) -> bool:
        """Nothing after a packet is shown before its decoding time.

        Without one: there is a key frame past the end, and a packet that no longer leads it.
        """
        if self._last is None:
            return False
        if self._last_dts is not None and self._times.are_known:
            return bool(self._last_dts >= high)
        has_key = self._latest_key >= high and self._last.pts > high
        return bool(has_key and self._num_read > PROBE_PACKETS)

    def shown(self, low: float, high: float) -> list[int]:
        """The times of all frames of a window for which :meth:`read` was called, in display order."""
        times = itertools.chain(self._coming(), (p.pts for p in self._queue if not p.is_hidden))
        return sorted({t for t in times if low <= t < high})

    def _coming(self) -> list[int]:
        """Times of the packets that were fed and not shown yet; of all that were fed where times are not known."""
        if self._times.are_known:
            self._fed = [t for t in self._fed if t > self._seen]
        return self._fed

    def frames(self, wanted: list[int], sparse: bool) -> Iterator[tuple[int, Any, Orientation]]:
        """(time, frame, how it is shown) in display order up to the last wanted time.

        Args:
            wanted: sorted times, at least one.
            sparse: whether frames that are not wanted, and that no wanted one needs, may be left out.

        Raises:
            UnknownOrderError: frames do not come in the order of the times of their packets.
        """
        order = None
        if not self._times.are_known:
            order = sorted([*self._fed, *(p.pts for p in self._queue if not p.is_hidden)])
        last = wanted[-1]
        try:
            for _ in itertools.chain((None,), self._feed(set(wanted), sparse)):
                while self._frames:
                    frame = self._frames.popleft()
                    orientation = self._orientations.of(frame)
                    time = self._time(frame, order)
                    if time is None:
                        continue
                    self._seen = max(self._seen, time)
                    if time <= last:
                        yield time, frame, orientation
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
        before = self._shown_last
        if not self._times.are_true and (time is None or (before is not None and time <= before)):
            raise UnknownOrderError("frames in another order")
        self._shown_last = time
        return time

    def _feed(self, wanted: set[int], sparse: bool) -> Iterator[None]:
        """Feeds packet after packet; drains at every gap between groups of pictures, and at the end."""
        context = self._context
        for packet, data in self._needed(wanted, sparse):
            self._source.budget.check_time()
            self._is_drained = packet is None
            if packet is not None and not packet.is_hidden:
                self._fed.append(packet.pts)
            try:
                self._frames.extend(decode(context, data, self._source.budget))
            except av.error.InvalidDataError:
                if packet is None or not packet.is_hidden:  # one that is may lack what it refers to
                    raise
            if packet is None:
                context.flush_buffers()
            yield
        self._is_drained = True
        self._frames.extend(decode(context, None, self._source.budget))
        yield

    def _needed(self, wanted: set[int], sparse: bool) -> Iterator[tuple[Packet | None, Any]]:
        """Packets and their data in decoding order, only those that wanted frames need in the sparse case.

        None and None stand for what is left out.
        """
        keep = groups_with(list(self._queue), wanted) if sparse else [True] * len(self._queue)
        drops = sparse and self._context.name in _DROPS_UNREFERENCED
        last, skipped = max(wanted), False
        again = None if self.keeps_all else self._read_again()
        for is_kept in keep:
            packet = self._queue.popleft()
            data = packet.data if again is None else next(again)
            self._room += 0 if packet.data is None else packet.data.size
            if not is_kept:
                skipped = True
                continue
            if skipped:  # what follows may not refer to what was before, whose last frames are still to be shown
                yield None, None
                skipped = False
            if drops:
                # what is shown after the last wanted frame may be wanted by the next clip
                is_shown = packet.pts in wanted or packet.pts > last
                self._context.skip_frame = "DEFAULT" if is_shown else "NONREF"
            yield packet, data

    def _read_again(self) -> Iterator[Any]:
        """The packets of a new pass from its first on, which were too many to keep."""
        if self._seek_pts is None:
            self._source.rewind()
        else:
            self._source.seek(self._source.video, self._seek_pts)
        self._moves = -1  # the file does not stand at the end of the queue any more
        return self._times.packets()
