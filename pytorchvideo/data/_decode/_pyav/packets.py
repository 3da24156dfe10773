# SPDX-License-Identifier: Apache-2.0
"""Packets, and which of them wanted frames need."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch


class UnknownOrderError(Exception):
    """Packets whose times are wrong do not tell either in which order their frames are shown."""


class Packet(NamedTuple):
    """What is known of a packet before it is decoded.

    ``data`` is the packet itself while it is kept. A hidden one is decoded for others, but not shown: an edit list
    begins after it.
    """

    pts: int
    is_keyframe: bool
    data: Any = None
    is_hidden: bool = False


def with_times(packets: Iterable[Any]) -> Iterator[Any]:
    """The packets, those that do not say when their frame is shown with a time: one tick after the packet before."""
    before = None
    for packet in packets:
        if packet.pts is None:
            after = before + 1 if before is not None else 0
            packet.pts = packet.dts if packet.dts is not None else after
        before = packet.pts
        yield packet


def flags_of_frames(
    packets: Iterable[Any], is_reference: Callable[[Any], bool], check_time: Callable[[], None]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The ``pts``, ``is_keyframe`` and ``is_reference`` of a FrameIndex."""
    flags: dict[int, tuple[bool, bool]] = {}
    for packet in packets:
        check_time()
        if not packet.is_discard:
            flags[packet.pts] = packet.is_keyframe, is_reference(packet)
    times = sorted(flags)
    rows = torch.tensor([flags[t] for t in times], dtype=torch.bool).reshape(-1, 2)
    return torch.tensor(times, dtype=torch.int64), rows[:, 0].contiguous(), rows[:, 1].contiguous()


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
