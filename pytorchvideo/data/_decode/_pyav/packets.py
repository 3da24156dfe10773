# SPDX-License-Identifier: Apache-2.0
"""Packets, and the choice of those that wanted frames need."""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, NamedTuple

import torch

from pytorchvideo.data._decode._limits import Budget


class UnknownOrderError(Exception):
    """Packets whose times are wrong do not tell either in which order their frames are shown."""


class UntimedError(Exception):
    """The time stamps of packets cannot tell one frame from another; the message says why."""


class MissingFrameError(Exception):
    """A frame does not come, though decoding began at the start of the file; the argument is its time in seconds."""


class Packet(NamedTuple):
    """What is known of a packet before it is decoded.

    ``data`` is the packet itself while it is kept. A hidden one is decoded for others, but not shown: an edit list
    begins after it, or it refers to what stood before the file was cut.
    """

    pts: int
    is_keyframe: bool
    data: Any = None
    is_hidden: bool = False


class Stamps:
    """Looks at the time stamps of packets, one after the other.

    Each frame needs a time of its own, and none may be shown before a packet ahead of it is decoded, as after the seam
    of recordings that were joined.

    Args:
        shows: whether a packet has a frame.
        from_start: whether packets begin with the first of the file. After a seek, decoding times may be made up, and
            do not tell that times start again.
    """

    def __init__(self, shows: Callable[[Any], bool], from_start: bool = True) -> None:
        self._shows, self._from_start = shows, from_start
        self._seen: set[int] = set()
        self._latest: int | None = None

    def fault(self, packet: Any) -> str | None:
        """What is wrong with the time of a packet, which is its decoding time where it has no other."""
        time = packet.pts if packet.pts is not None else packet.dts
        if time is None:
            return "are missing"
        if not self._shows(packet):
            return None
        if self._latest is not None and time < self._latest:
            self._seen, self._latest = {time}, packet.dts
            return "start again"
        if time in self._seen:
            return "repeat"
        self._seen.add(time)
        if packet.dts is not None and self._from_start:
            self._latest = packet.dts if self._latest is None else max(self._latest, packet.dts)
        return None


def with_times(
    packets: Iterable[Any], shows: Callable[[Any], bool], from_start: bool
) -> Iterator[Any]:
    """The packets, each with a time of its own.

    Raises:
        UntimedError: they have none; see :class:`Stamps`.
    """
    stamps = Stamps(shows, from_start)
    for packet in packets:
        fault = stamps.fault(packet)
        if fault is not None:
            raise UntimedError(fault)
        if packet.pts is None:
            packet.pts = packet.dts
        yield packet


def numbered(
    packets: Iterable[Any], lost: Collection[int], shows: Callable[[Any], bool]
) -> Iterator[Any]:
    """All packets of a file with their number in decoding order as ``pts``, those without a frame with -1.

    Args:
        packets: from the first on.
        lost: places of packets whose frame cannot be shown.
        shows: whether a packet has a frame.
    """
    number = 0
    for place, packet in enumerate(packets):
        is_shown = place not in lost and shows(packet)
        packet.pts, packet.dts = number if is_shown else -1, None
        number += is_shown
        yield packet


class Flags(NamedTuple):
    """The ``pts``, ``is_keyframe`` and ``is_reference`` of a FrameIndex."""

    pts: torch.Tensor
    is_keyframe: torch.Tensor
    is_reference: torch.Tensor

    @classmethod
    def of(
        cls,
        packets: Iterable[Any],
        shows: Callable[[Any], bool],
        is_reference: Callable[[Any], bool],
        budget: Budget,
    ) -> "Flags":
        """Those of all packets that have a frame to show."""
        rows = []
        for packet in packets:
            budget.check_time()
            if shows(packet):
                rows.append((packet.pts, packet.is_keyframe, is_reference(packet)))
        table = torch.tensor(sorted(rows), dtype=torch.int64).reshape(-1, 3)
        return cls(table[:, 0].contiguous(), *(column.bool() for column in table[:, 1:].unbind(1)))


def groups_with(packets: list[Packet], wanted: set[int]) -> list[bool]:
    """Which packets belong to a group of pictures that a wanted frame needs.

    A frame shown before the key frame of its own group (open group of pictures) needs the group before as well.
    """
    starts = [i for i, p in enumerate(packets) if p.is_keyframe or i == 0]
    keep = [False] * len(packets)
    needed_by_next = False
    for start, stop in reversed(list(itertools.pairwise([*starts, len(packets)]))):
        group = packets[start:stop]
        hits = [p.pts for p in group if p.pts in wanted]
        if hits or needed_by_next:
            keep[start:stop] = [True] * len(group)
        needed_by_next = any(pts < group[0].pts for pts in hits)
    return keep
