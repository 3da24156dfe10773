# SPDX-License-Identifier: Apache-2.0
"""Presentation times of packets."""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
from av.bitstream import BitStreamFilterContext

from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._pyav.container import Container
from pytorchvideo.data._decode._pyav.order import PictureOrder, order_of
from pytorchvideo.data._decode._pyav.packets import (
    UnknownOrderError,
    UntimedError,
    numbered,
    with_times,
)
from pytorchvideo.data._decode._types import VideoError

PROBE_PACKETS = 32  # H.264 and HEVC reorder at most 16 pictures
_PROBE_FRAMES = 12
# Containers that list their frames, or whose writers do not join them. Others may begin and go on anyhow.
WITH_TABLE = ("mp4", "matroska", "avi")
_RATE = 25  # FFmpeg's, where neither codec nor container tells one


class PacketTimes:
    """The packets of a source's video, with true times wherever these can be known.

    Some writers (MPEG-4 with B-frames in AVI; mp4 files whose presentation times are copies of their decoding times)
    do not tell them. The pictures themselves then tell in what order they are shown, and the k-th gets the k-th time.
    Where times are missing, repeat or start again, frames are counted: the k-th that comes is shown at ``k * base``.

    Args:
        source: with a video stream.
        index: of an earlier open of the same file.

    Attributes:
        base: seconds a tick.
        start: ticks of the first frame that can be shown.
        are_true: whether the file says when each frame is shown.
        untimed: why frames are counted; None where they are not.
        origin: seconds of the container that are second 0.
    """

    def __init__(self, source: Container, index: FrameIndex | None) -> None:
        self._source = source
        self.base: Fraction = source.video.time_base
        self.untimed: str | None = None
        self._keeper: Timekeeper | None = None
        self._lost: frozenset[int] = frozenset()
        self._silent: frozenset[int] | None = None
        is_counted = index is not None and index.time_base != self.base
        if index is not None and not is_counted:
            self.start, self.are_true = index.start, index.is_trusted
            known: list[int] = []
        else:
            head = self._head()
            self._lost = self._find_lost(head)
            known = [p.pts for _, p in head if p.pts is not None]
            shown = [p.pts for i, p in head if p.pts is not None and i not in self._lost]
            self.start = min(shown, default=source.video.start_time or 0)
            self.are_true = len(set(known)) == len(head)
        self.origin = self.start * self.base
        if is_counted and index is not None:
            self._count("repeat, start again or are missing", index.time_base)
            return
        self.are_true = self.are_true and (index is not None or self._are_shown(known))
        if not self.are_true:
            self._keeper = self._find_keeper()

    @property
    def are_known(self) -> bool:
        """Whether each packet comes with the time of its frame."""
        return self.are_true or self._keeper is not None

    def give_up(self) -> None:
        """The pictures were wrong about their order: packets come with the times of the file from now on."""
        self._keeper = None

    def count(self, why: str) -> None:
        """Time stamps cannot be used: frames are counted from now on, and said to come at the average rate.

        Times that repeat are too coarse, and tell the rate as a whole; else the codec or the container tells it.
        """
        self._source.rewind()
        times = []
        for packet in filter(self._source.shows, self._source.packets(self._source.video)):
            self._source.budget.check_time()
            times.append(packet.pts if packet.pts is not None else packet.dts)
        known = [t for t in times if t is not None]
        stream = self._source.video
        rate = stream.codec_context.framerate or stream.guessed_rate or _RATE
        if why == "repeat" and max(known) > min(known):
            rate = (len(known) - 1) / ((max(known) - min(known)) * self.base)
        self._count(why, 1 / Fraction(rate))

    def _count(self, why: str, base: Fraction) -> None:
        self.untimed, self.base, self.start = why, base, 0
        self.are_true, self._keeper = False, None

    def packets(self) -> Iterator[Any]:
        """Packets from where the file stands, each with a ``pts``. What was asked for before is not gone on with.

        Where frames are counted, the file must stand at its start.

        Raises:
            UnknownOrderError: see :meth:`give_up`.
            UntimedError: see :meth:`count`.
        """
        packets = self._source.packets(self._source.video)
        if self.untimed is not None:
            return numbered(packets, self._lost, self._source.shows)
        if not self._source.has_times:
            raise UntimedError("are missing")
        if self._keeper is not None:
            return self._keeper.packets(packets)
        return with_times(packets, self._source.shows, self._source.is_at_start)

    def shows(self, packet: Any) -> bool:
        """Whether one of :meth:`packets` has a frame that can be shown."""
        if packet.pts < self.start or (self._silent is not None and packet.pts in self._silent):
            return False
        return self._source.shows(packet)

    def find_silent(self) -> int | None:
        """Decodes the whole file to see which packets FFmpeg shows no frame for; they are passed over from now on.

        Such are the second fields of interlaced pictures, and those that say that nothing has changed. Returns how
        many there are, None where they were known.
        """
        if self._silent is not None:
            return None
        self._source.rewind()
        self._source.video.codec_context.flush_buffers()
        promised: set[int] = set()
        came: list[int] = []
        for packet in itertools.chain(self.packets(), (None,)):
            self._source.budget.check_time()
            if packet is not None and self.shows(packet):
                promised.add(packet.pts)
            came.extend(frame.pts for frame in self._source.decode(packet))
        if self.are_known:
            self._silent = frozenset(promised.difference(came))
        else:
            self._silent = frozenset(sorted(promised)[len(came) :])
        return len(self._silent)

    def _head(self) -> list[tuple[int, Any]]:
        """The first packets that are shown, with their places in the file."""
        self._source.rewind()
        packets = enumerate(self._source.packets(self._source.video))
        shown = (pair for pair in packets if self._source.shows(pair[1]))
        head = list(itertools.islice(shown, PROBE_PACKETS))
        if not head:
            raise VideoError(
                f"{self._source.name} has a video stream without a single frame: the file is cut off or empty."
            )
        return head

    def _find_lost(self, head: list[tuple[int, Any]]) -> frozenset[int]:
        """The places of the first packets that show nothing: they refer to pictures that the file does not hold.

        So begins what was cut out of a broadcast. Only such a file is decoded here, up to its first frames.
        """
        (place, first), times = head[0], [p.pts for _, p in head if p.pts is not None]
        if place > 0 or (first.is_keyframe and (first.pts is None or first.pts == min(times))):
            return frozenset()  # what an edit list cuts off is there to be decoded
        self._source.rewind()
        self._source.video.codec_context.flush_buffers()
        packets, packet, fed = self._source.packets(self._source.video), first, 0
        came: set[int] = set()
        while packet is not None:
            self._source.budget.check_time()
            is_enough = came and fed >= min(came) + PROBE_PACKETS
            packet = None if is_enough else next(packets, None)  # None drains the decoder
            if packet is not None:
                packet.pts, packet.dts, fed = fed, None, fed + 1
            try:
                came.update(frame.pts for frame in self._source.decode(packet))
            except av.error.InvalidDataError:
                if self._source.is_format(*WITH_TABLE):
                    return frozenset()  # damage, which is said where a clip needs what is damaged
        if not came:
            raise VideoError(
                f"{self._source.name} has no frame that can be decoded: it holds no key frame."
            )
        return frozenset(range(fed)) - came

    def _are_shown(self, times: list[int]) -> bool:
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
        decoded = (f for packet in packets for f in self._source.decode(packet))
        shown = [frame.pts for frame in itertools.islice(decoded, _PROBE_FRAMES)]
        return None not in shown and all(a < b for a, b in itertools.pairwise(shown))

    def _find_keeper(self) -> "Timekeeper | None":
        order = order_of(self._source.video)
        self._source.rewind()
        shown = filter(self._source.shows, self._source.packets(self._source.video))
        times = [p.dts for p in itertools.islice(shown, PROBE_PACKETS)]
        if order is None or None in times or any(a >= b for a, b in itertools.pairwise(times)):
            return None
        unpack = None
        if self._source.video.codec_context.name == "mpeg4":
            # Writers of AVI put B-frames into the packet of the frame before, and an empty one into their place.
            unpack = BitStreamFilterContext("mpeg4_unpack_bframes", self._source.video)
        return Timekeeper(order, self.start - times[0], unpack)


class Timekeeper:
    """Gives packets, in decoding order, the times at which their frames are shown.

    It looks some packets ahead.

    Args:
        order: of the pictures.
        shift: from the decoding time of the first packet to the time of the first frame.
        unpack: a filter that leaves one picture in a packet.
    """

    def __init__(
        self, order: PictureOrder, shift: int, unpack: BitStreamFilterContext | None = None
    ) -> None:
        self._order = order
        self._shift = shift
        self._unpack = unpack
        self._restart()

    def _restart(self) -> None:
        self._order.reset()
        if self._unpack is not None:
            self._unpack.flush()
        self._held: deque[tuple[int, Any]] = deque()  # (number in decoding order, packet)
        self._waiting: list[tuple[tuple[int, int], int]] = []  # heap of (key, number)
        self._times: deque[int] = deque()  # of the file, not given to a frame yet
        self._shown: dict[int, int] = {}  # number -> time of its frame
        self._latest: tuple[tuple[int, int], int] | None = None  # (key, time) given last
        self._count = 0

    def packets(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The packets with ``pts`` set, and ``dts`` to a time that nothing from here on is shown before.

        Args:
            packets: what comes after a seek.

        Raises:
            UnknownOrderError: the order cannot be told.
        """
        self._restart()
        unpacked = packets if self._unpack is None else _filtered(packets, self._unpack)
        for packet in unpacked:
            self._take(packet)
            if len(self._waiting) > self._order.depth:
                self._settle()
            yield from self._ready()
        while self._waiting:
            self._settle()
        yield from self._ready()

    def _take(self, packet: Any) -> None:
        key = self._order.key(bytes(packet))
        if packet.dts is None or (self._times and packet.dts + self._shift <= self._times[-1]):
            raise UnknownOrderError("times that go back")
        time = packet.dts + self._shift
        if packet.is_discard:  # its frame is hidden by an edit list, and takes no time from another
            self._shown[self._count] = time
        else:
            self._times.append(time)
            heapq.heappush(self._waiting, (key, self._count))
        self._held.append((self._count, packet))
        packet.dts = self._latest[1] if self._latest is not None else None
        self._count += 1

    def _settle(self) -> None:
        """The next frame that is shown gets the next time."""
        key, number = heapq.heappop(self._waiting)
        if self._latest is not None and key <= self._latest[0]:
            raise UnknownOrderError("pictures shown before earlier ones")
        self._latest = key, self._times.popleft()
        self._shown[number] = self._latest[1]

    def _ready(self) -> Iterator[Any]:
        while self._held and self._held[0][0] in self._shown:
            number, packet = self._held.popleft()
            packet.pts = self._shown.pop(number)
            yield packet


def _filtered(packets: Iterable[Any], bitstream_filter: BitStreamFilterContext) -> Iterator[Any]:
    for packet in packets:
        yield from bitstream_filter.filter(packet)
