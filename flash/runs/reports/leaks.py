# SPDX-License-Identifier: Apache-2.0
"""Held-out videos that look as if they came from a recording that was trained on."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

import numpy as np

from flash.runs.sources import Sources
from pytorchvideo._progress import Progress, Step, silent
from pytorchvideo.data.near_duplicates import (
    ALIKE,
    frame_hashes,
    name_of_source,
    nearest,
    recordings,
    shared_sources,
    similar_share,
)

MOST_VIDEOS = 4000
_ONE_PLACE = 0.2  # share of pairs that look alike, from which looks tell no recordings apart
_ENOUGH = 8  # videos, below which a share of pairs says nothing
_NAMES_SHOWN = 5


@dataclass(frozen=True)
class Leaks:
    """What was found of clips of one recording on both sides of a split.

    Args:
        held_out: how many held-out videos there are.
        trained_on: how many training videos.
        looked_at: held-out videos that were compared, and training videos.
        twins: ``(held out, training, distance)`` of the held-out videos that look like one that was trained on.
        alike: share of all pairs of videos that look alike.
        names: held-out videos whose file is named after the same source as one that was trained on.
        sources: some of the names of these sources.
        recordings: a number for each video that was looked at, the same for those that look alike; empty where
            none do, or all.
    """

    held_out: int
    trained_on: int
    looked_at: tuple[int, int]
    twins: Sequence[tuple[str, str, float]] = ()
    alike: float = 0.0
    names: Sequence[str] = ()
    sources: Sequence[str] = ()
    recordings: Mapping[str, int] = field(default_factory=dict)

    @property
    def one_place(self) -> bool:
        """Whether so many videos look alike that looks do not tell recordings apart; of few, nothing is said."""
        return (
            self.alike >= _ONE_PLACE and sum(self.looked_at) >= _ENOUGH and min(self.looked_at) > 0
        )

    def without_names(self) -> "Leaks":
        """Returns the same without what the names of the files say."""
        return replace(self, names=(), sources=())

    def to_dict(self) -> dict[str, Any]:
        """Returns plain types, for json."""
        found = {**vars(self), "one_place": self.one_place}
        del found["recordings"]
        return found


def find_leaks(
    sources: Sources,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    *,
    progress: Progress = silent,
) -> Leaks:
    """Compares held-out videos with those that are trained on: three frames of each, and the names of the files.

    Args:
        sources: the two parts.
        seconds: after which no further video is opened; as many of one part are as of the other, as long as there are
            any. At most ``MOST_VIDEOS`` are.
        clock: tells the time.
        progress: is called after each video.
    """
    val, train = ([path for path, _ in part] for part in (sources.val, sources.train))
    shared = shared_sources(val, train)
    names = [path for path in val if name_of_source(path) in shared]
    until = clock() + seconds
    # spread over all classes, which follow each other
    chosen = [_spread(val, MOST_VIDEOS // 4), _spread(train, MOST_VIDEOS - MOST_VIDEOS // 4)]
    hashes: list[list[np.ndarray]] = [[], []]
    total = len(chosen[0]) + len(chosen[1])
    for number, (part, path) in enumerate(_in_turn(*chosen)):
        if clock() >= until:
            break
        hashes[part].append(_hashes(path))
        progress(Step(number + 1, total))
    held_out, trained_on = hashes
    twins = [
        (chosen[0][index], chosen[1][place], round(distance, 3))
        for index, (place, distance) in enumerate(nearest(held_out, trained_on))
        if place >= 0 and distance <= ALIKE
    ]
    found = Leaks(
        len(val),
        len(train),
        (len(held_out), len(trained_on)),
        sorted(twins, key=lambda twin: twin[2]),
        similar_share([*held_out, *trained_on]),
        names,
        sorted(shared)[:_NAMES_SHOWN],
    )
    if found.one_place or not twins:
        return found
    looked_at = [*chosen[0][: len(held_out)], *chosen[1][: len(trained_on)]]
    numbers = recordings([*held_out, *trained_on])
    return replace(found, recordings=dict(zip(looked_at, numbers, strict=True)))


def _hashes(path: str) -> np.ndarray:
    # those on servers are not fetched once more
    return frame_hashes(path) if os.path.isfile(path) else np.zeros((0, 32), np.uint8)


def _in_turn(held_out: Sequence[str], trained_on: Sequence[str]) -> Iterator[tuple[int, str]]:
    """One of either part after the other, then what is left: of so many videos the most pairs can be compared.

    >>> [path for _, path in _in_turn(["a"], ["b", "c"])]
    ['a', 'b', 'c']
    """
    for pair in zip_longest(held_out, trained_on):
        yield from ((part, path) for part, path in enumerate(pair) if path is not None)


def _spread(paths: Sequence[str], most: int) -> list[str]:
    """At most so many of them, from all over the list, in an order whose beginnings are spread over it, too.

    >>> _spread(["a", "b", "c", "d", "e"], 3)
    ['a', 'd', 'b']
    """
    golden = (5**0.5 - 1) / 2
    order = sorted(range(len(paths)), key=lambda number: number * golden % 1)
    places = np.argsort(order)  # the inverse of a shuffle is one, too
    return [paths[int(place)] for place in places[:most]]
