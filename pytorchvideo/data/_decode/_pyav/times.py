# SPDX-License-Identifier: Apache-2.0
"""When the frame of each packet is shown."""

import heapq
import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from av.bitstream import BitStreamFilterContext

from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._pyav.order import PictureOrder, order_of
from pytorchvideo.data._decode._pyav.packets import UnknownOrderError, with_times
from pytorchvideo.data._decode._pyav.source import Source
from pytorchvideo.data._decode._types import VideoError

PROBE_PACKETS = 32  # H.264 and HEVC reorder at most 16 pictures
_PROBE_FRAMES = 12


class PacketTimes:
    """The packets of a source's video, with true times wherever these can be known.

    Some writers (MPEG-4 with B-frames in AVI; mp4 files whose presentation times are copies of their decoding times)
    do not tell them. The pictures themselves then tell in what order they are shown, and the k-th gets the k-th time.

    Args:
        source: with a video stream.
        index: of an earlier open of the same file.

    Attributes:
        start: ticks of the first frame.
        are_true: whether the file says when each frame is shown.
    """

    def __init__(self, source: Source, index: FrameIndex | None) -> None:
        self._source = source
        if index is not None:
            self.start, self.are_true = index.start, index.is_trusted
        else:
            source.rewind()
            shown = (p for p in source.packets(source.video) if not p.is_discard)
            times = [p.pts for p in itertools.islice(shown, PROBE_PACKETS)]
            if not times:
                raise VideoError(
                    f"{source.name} has a video stream without a single frame: the file is cut off or empty."
                )
            known = [t for t in times if t is not None]
            self.start = min(known, default=source.video.start_time or 0)
            self.are_true = len(set(known)) == len(times) and self._are_shown(known)
        self._keeper = None if self.are_true else self._find_keeper()

    @property
    def are_known(self) -> bool:
        """Whether each packet comes with the time of its frame."""
        return self.are_true or self._keeper is not None

    def give_up(self) -> None:
        """The pictures were wrong about their order: packets come with the times of the file from now on."""
        self._keeper = None

    def packets(self) -> Iterator[Any]:
        """Packets from where the file stands, each with a ``pts``. What was asked for before is not gone on with.

        Raises:
            UnknownOrderError: see :meth:`give_up`.
        """
        packets = self._source.packets(self._source.video)
        return with_times(packets) if self._keeper is None else self._keeper.packets(packets)

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
        decoded = (f for packet in packets for f in packet.decode())
        shown = [frame.pts for frame in itertools.islice(decoded, _PROBE_FRAMES)]
        return None not in shown and all(a < b for a, b in itertools.pairwise(shown))

    def _find_keeper(self) -> "Timekeeper | None":
        order = order_of(self._source.video)
        self._source.rewind()
        shown = (p for p in self._source.packets(self._source.video) if not p.is_discard)
        first = next(shown, None)
        if order is None or first is None or first.dts is None:
            return None
        unpack = None
        if self._source.video.codec_context.name == "mpeg4":
            # Writers of AVI put B-frames into the packet of the frame before, and an empty one into their place.
            unpack = BitStreamFilterContext("mpeg4_unpack_bframes", self._source.video)
        return Timekeeper(order, self.start - first.dts, unpack)


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
