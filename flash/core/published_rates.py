# SPDX-License-Identifier: Apache-2.0
"""Learning rates of published video recipes, by the exact fractional epoch: PySlowFast's and PyTorchVideo's trainer.

A warm-up is linear from its first rate to the one that the policy has at its end. With a cosine over all epochs that is
less than the base rate: 0.742 of 0.8 for 34 of 196 epochs.
"""

import bisect
import math
from collections.abc import Callable, Sequence

from pytorchvideo._checks import expected


def cosine_rate(
    epoch: float,
    *,
    base: float,
    max_epoch: float,
    end: float = 0.0,
    warmup: float = 0.0,
    start: float = 0.0,
    cosine_after_warmup: bool = False,
) -> float:
    """Returns the rate of a half cosine at an epoch.

    Args:
        epoch: with its fraction, that is the steps so far over the steps of an epoch.
        base: the highest rate.
        max_epoch: where the cosine ends.
        end: the rate there.
        warmup: epochs of the linear rise.
        start: the rate at epoch 0, with a warm-up.
        cosine_after_warmup: the cosine begins at the end of the warm-up, and not at epoch 0.

    Raises:
        ValueError: the warm-up is not within the epochs.

    >>> round(cosine_rate(34, base=0.8, max_epoch=196, warmup=34, start=0.01), 3)
    0.742
    """
    if not 0 <= warmup < max_epoch:
        raise ValueError(expected("warmup", f"in 0..{max_epoch} epochs", warmup))
    first = warmup if cosine_after_warmup else 0.0

    def cosine(at: float) -> float:
        done = (min(at, max_epoch) - first) / (max_epoch - first)
        return end + (base - end) * (math.cos(math.pi * done) + 1.0) * 0.5

    return _warmed_up(cosine, epoch, warmup, start)


def stepped_rate(
    epoch: float,
    *,
    base: float,
    steps: Sequence[float],
    factors: Sequence[float],
    warmup: float = 0.0,
    start: float = 0.0,
) -> float:
    """Returns the rate of ``steps_with_relative_lrs`` at an epoch: ``base`` times the factor of the last step reached.

    Args:
        epoch: with its fraction.
        base: rate of factor 1.
        steps: the epochs from which factors count, the first 0, rising.
        factors: as many.
        warmup: epochs of the linear rise.
        start: the rate at epoch 0, with a warm-up.

    Raises:
        ValueError: the steps do not begin at 0 and rise, or there are not as many factors.

    >>> [stepped_rate(e, base=0.1, steps=[0, 10, 15], factors=[1, 0.1, 0.01]) for e in (9.99, 10, 20)]
    [0.1, 0.010000000000000002, 0.001]
    """
    if not steps or steps[0] != 0 or list(steps) != sorted(steps):
        raise ValueError(expected("steps", "epochs that rise from 0", list(steps)))
    if len(factors) != len(steps):
        raise ValueError(expected("factors", f"{len(steps)}, one a step", list(factors)))

    def of_steps(at: float) -> float:
        return base * factors[bisect.bisect_right(steps, at) - 1]

    return _warmed_up(of_steps, epoch, warmup, start)


def _warmed_up(rate: Callable[[float], float], epoch: float, warmup: float, start: float) -> float:
    if epoch >= warmup:
        return rate(epoch)
    return start + epoch * (rate(warmup) - start) / warmup


def batch_scale(batch_size: int, ranks: int, reference: int) -> float:
    """Returns by what a learning rate grows with the batch: linearly (arXiv 1706.02677).

    PySlowFast's configurations state rates for a node, of 64 clips as a rule, and multiply them by the number of nodes;
    the public trainer states those of all ranks. Base, first and last rate grow alike.

    Args:
        batch_size: clips of a rank in a step, with all that are accumulated and repeated.
        ranks: processes.
        reference: clips in a step that the rate is for.

    Raises:
        ValueError: one of them is not positive.

    >>> 0.1 * batch_scale(8, 64, reference=64)
    0.8
    """
    for name, value in (("batch_size", batch_size), ("ranks", ranks), ("reference", reference)):
        if value < 1:
            raise ValueError(expected(name, ">= 1", value))
    return batch_size * ranks / reference
