# SPDX-License-Identifier: Apache-2.0
"""Shards of a test: each process has its own videos, and each video is in one shard."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pytorchvideo._checks import expected

_T = TypeVar("_T")


@dataclass(frozen=True)
class Shard:
    """One of several equal parts of a list.

    Args:
        number: which, from 1.
        count: how many there are.

    Raises:
        ValueError: there is no such part.

    >>> Shard(2, 3).of("abcdefg"), str(Shard(2, 3))
    (['b', 'e'], '2/3')
    """

    number: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            advice = "The first of four is 1/4."
            raise ValueError(expected("shard", "K/N with K in 1..N", str(self), advice))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Returns the shard of ``"2/4"``.

        Raises:
            ValueError: it is another text.
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
        if found is None:
            raise ValueError(expected("shard", "K/N, as 1/4", text))
        return cls(int(found[1]), int(found[2]))

    @classmethod
    def of_ranks(cls, environment: Mapping[str, str] = os.environ) -> "Shard":
        """Returns the shard of this process among those that ``torchrun`` has started; the whole without it.

        >>> Shard.of_ranks({"RANK": "1", "WORLD_SIZE": "4"})
        Shard(number=2, count=4)
        """
        rank, size = environment.get("RANK", ""), environment.get("WORLD_SIZE", "")
        return cls(int(rank) + 1, int(size)) if rank.isdecimal() and size.isdecimal() else cls()

    def of(self, items: Sequence[_T]) -> list[_T]:
        """Returns its items: every so many-th."""
        return list(items[self.number - 1 :: self.count])

    def all(self) -> "list[Shard]":
        """Returns all parts, this one among them."""
        return [Shard(number, self.count) for number in range(1, self.count + 1)]


def joined(parts: Sequence[Sequence[_T]], count: int) -> list[_T]:
    """Returns the items of all shards in the order of the list.

    >>> joined([["a", "c"], ["b"]], 3)
    ['a', 'b', 'c']
    """
    return [parts[place % len(parts)][place // len(parts)] for place in range(count)]
