# SPDX-License-Identifier: Apache-2.0
"""Steps of a roll-out: the relevance of what a block returns to that of what it takes."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from torch import Tensor

#: The relevance of what a block returns (B, N_out) -> of what it takes (B, N_in).
Step: TypeAlias = Callable[[Tensor], Tensor]


def rolled_out(steps: Sequence[Step], row: Tensor) -> Tensor:
    """Returns the relevance of the first tokens (B, N) from that of the last ones, block after block."""
    for step in reversed(steps):
        row = step(row)
    return row


def plain_step(attention: Tensor) -> Step:
    """Returns the step of a block without pools from its attention (B, heads, N, N), or (B, N, N) without heads."""
    mean = attention.mean(dim=1) if attention.ndim == 4 else attention
    return lambda row: ((row[:, None] @ mean)[:, 0] + row) / 2


def from_class_token(count: int, batch: int, like: Tensor) -> Tensor:
    """Returns the row of a head that reads the first of ``count`` tokens, (B, count)."""
    row = like.new_zeros(batch, count)
    row[:, 0] = 1
    return row


def from_all_tokens(count: int, batch: int, like: Tensor) -> Tensor:
    """Returns the row of a head that reads the mean of all tokens, (B, count)."""
    return like.new_full((batch, count), 1 / count)
