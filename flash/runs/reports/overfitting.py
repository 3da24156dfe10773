# SPDX-License-Identifier: Apache-2.0
"""Overfitting, read from the learning curves of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_LEAST_EPOCHS = 2  # after the lowest held-out loss
_RISE = 0.05  # by how much of the lowest held-out loss it must have risen
_SMOOTHED = 3  # epochs that a value is the mean of, in histories of eight or more


@dataclass(frozen=True)
class Overfitting:
    """Training loss that falls on while the held-out loss rises.

    Args:
        epoch: the one with the lowest held-out loss.
        train: training loss of that epoch, and at the end.
        val: held-out loss of that epoch, and at the end.
    """

    epoch: int
    train: tuple[float, float]
    val: tuple[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Returns plain types, for json."""
        return dict(vars(self))


def overfitting(history: Sequence[Mapping[str, float]]) -> Overfitting | None:
    """Returns from which epoch on a run overfits, None if it does not.

    Args:
        history: a row an epoch, with ``epoch``, ``train_loss`` and ``val_loss``.

    >>> losses = [(1.0, 0.9), (0.6, 0.7), (0.3, 0.8), (0.1, 1.0)]
    >>> overfitting([{"epoch": i + 1, "train_loss": t, "val_loss": v} for i, (t, v) in enumerate(losses)]).epoch
    2
    """
    rows = _rows(history)
    if len(rows) <= _LEAST_EPOCHS:
        return None
    train, val = (_smooth([row[name] for row in rows]) for name in ("train_loss", "val_loss"))
    best = int(val.argmin())
    if len(rows) - 1 - best < max(_LEAST_EPOCHS, len(rows) // 10):
        return None
    if val[-1] < (1 + _RISE) * val[best] or train[-1] >= train[best]:
        return None
    return Overfitting(
        int(rows[best]["epoch"]),
        (float(train[best]), float(train[-1])),
        (float(val[best]), float(val[-1])),
    )


def still_falling(history: Sequence[Mapping[str, float]]) -> tuple[float, float] | None:
    """Returns the held-out loss of the last two epochs if it was lowest in the last one and fell by a twentieth in it.

    A run of fewer than three epochs does not tell.
    """
    val = [row["val_loss"] for row in _rows(history)]
    if len(val) < 3 or min(val) < val[-1] or val[-1] >= (1 - _RISE) * val[-2]:
        return None
    return val[-2], val[-1]


def _rows(history: Sequence[Mapping[str, float]]) -> list[Mapping[str, float]]:
    wanted = ("epoch", "train_loss", "val_loss")
    rows = [row for row in history if all(name in row for name in wanted)]
    return [row for row in rows if all(abs(row[name]) < float("inf") for name in wanted)]


def _smooth(values: Sequence[float]) -> np.ndarray:
    """A moving mean of long histories, whose single values jump; the ends keep their number of neighbours."""
    series = np.asarray(values, np.float64)
    if len(series) < 8:
        return series
    half = _SMOOTHED // 2
    padded = np.pad(series, half, mode="edge")
    return np.convolve(padded, np.ones(_SMOOTHED) / _SMOOTHED, mode="valid")
