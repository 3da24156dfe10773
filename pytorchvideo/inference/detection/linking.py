# SPDX-License-Identifier: Apache-2.0
"""Numbers that people keep over time: boxes of neighbouring times that overlap, each as it moves."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pytorchvideo._checks import expected
from pytorchvideo.inference.detection.found import FoundPeople

# share of the latest step in the velocity of a box; the rest is what it was, so that noise does not turn it
_LATEST = 0.3


@dataclass
class _Track:
    """A person who was seen: their number, last box and time, and how the corners move a second."""

    number: int
    box: Tensor
    time_sec: float
    velocity: Tensor | None = None

    def at(self, time_sec: float) -> Tensor:
        """Where the box would be, if it moved on as before."""
        if self.velocity is None:
            return self.box
        return self.box + self.velocity * (time_sec - self.time_sec)

    def see(self, box: Tensor, time_sec: float) -> None:
        step = (box - self.box) / max(time_sec - self.time_sec, 1e-6)
        if self.velocity is None:
            self.velocity = step
        else:
            self.velocity = _LATEST * step + (1 - _LATEST) * self.velocity
        self.box, self.time_sec = box, time_sec


def link_people(
    found: Sequence[FoundPeople], *, least_iou: float = 0.3, max_gap_sec: float = 2.0
) -> list[FoundPeople]:
    """Returns the same people with numbers from 1 on, which each keeps while they are seen, and over gaps.

    A box is that of the person whose own, moved on as fast as before, it overlaps most: the pairs of a time are taken
    by falling overlap, and two of them are exchanged where that makes more overlap together. What has no partner is
    somebody new.

    Args:
        found: the people of a video, in the order of time. Where some have numbers, these are left as they are.
        least_iou: of two boxes of one person.
        max_gap_sec: how long somebody may be unseen; afterwards they are somebody new.

    Raises:
        ValueError: times that go back, or an argument out of its range.

    >>> def at(time, left):
    ...     box = torch.tensor([[left, 0.2, left + 0.2, 0.8]])
    ...     return FoundPeople(time, box, torch.ones(1), torch.tensor([-1]))
    >>> [int(one.persons) for one in link_people([at(0.0, 0.1), at(0.5, 0.15), at(1.0, 0.7)])]
    [1, 1, 2]
    """
    if not 0 < least_iou <= 1:
        raise ValueError(expected("least_iou", "in (0, 1]", least_iou))
    if not max_gap_sec > 0:
        raise ValueError(expected("max_gap_sec", "> 0 seconds", max_gap_sec))
    if any(bool((people.persons >= 0).any()) for people in found):
        return list(found)
    tracks: list[_Track] = []
    number, linked, last = 0, [], float("-inf")
    for people in found:
        now = people.time_sec
        if now < last:
            raise ValueError(expected("found", f"in the order of time, after {last:g} s", now))
        last = now
        tracks = [track for track in tracks if now - track.time_sec <= max_gap_sec]
        boxes = people.boxes.double()
        of_box = _pairs(tracks, boxes, now, least_iou)
        persons = []
        for place, box in enumerate(boxes):
            track = of_box.get(place)
            if track is None:
                number += 1
                tracks.append(_Track(number, box, now))
                persons.append(number)
            else:
                track.see(box, now)
                persons.append(track.number)
        linked.append(replace(people, persons=torch.tensor(persons, dtype=torch.int64)))
    return linked


def _pairs(
    tracks: Sequence[_Track], boxes: Tensor, now: float, least_iou: float
) -> dict[int, _Track]:
    """The track of each box that has one, by its place."""
    if not tracks or not len(boxes):
        return {}
    overlap = box_iou(torch.stack([track.at(now) for track in tracks]), boxes).tolist()
    pairs = [(row, column) for row in range(len(tracks)) for column in range(len(boxes))]
    row_of: dict[int, int] = {}
    # a stable order, so that equal overlaps give the same numbers everywhere
    for row, column in sorted(pairs, key=lambda pair: -overlap[pair[0]][pair[1]]):
        is_free = column not in row_of and row not in row_of.values()
        if is_free and overlap[row][column] >= least_iou:
            row_of[column] = row
    for first, second in itertools.combinations(sorted(row_of), 2):
        one, two = row_of[first], row_of[second]
        crossed = overlap[two][first], overlap[one][second]
        if min(crossed) >= least_iou and sum(crossed) > overlap[one][first] + overlap[two][second]:
            row_of[first], row_of[second] = two, one
    return {column: tracks[row] for column, row in row_of.items()}


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Returns the IoU of boxes (N, 4) and (M, 4), x1, y1, x2, y2: (N, M).

    >>> box_iou(torch.tensor([[0.0, 0.0, 2.0, 1.0]]), torch.tensor([[1.0, 0.0, 2.0, 1.0]]))
    tensor([[0.5000]])
    """
    low = torch.maximum(first[:, None, :2], second[None, :, :2])
    high = torch.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(dim=2)
    sizes = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(dim=1) for boxes in (first, second)]
    whole = sizes[0][:, None] + sizes[1][None, :] - shared
    return shared / whole.clamp(min=1e-12)
