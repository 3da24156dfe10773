# SPDX-License-Identifier: Apache-2.0
"""Learning-rate schedules by the names of transformers, and the number of steps of a training.

Each schedule is a ``LambdaLR``: the learning rate is the optimiser's times a factor of the step. With W steps of
warm-up and S steps in all, and ``p = (step - W) / (S - W)`` the share of the rest that is done:

========================================================  ==================================================
name                                                      factor after the warm-up, during which it is step / W
========================================================  ==================================================
``constant_schedule``, ``constant_schedule_with_warmup``  1
``linear_schedule_with_warmup``                           1 - p
``cosine_schedule_with_warmup``                           (1 + cos(2 pi num_cycles p)) / 2, num_cycles = 0.5
``cosine_with_hard_restarts_schedule_with_warmup``        (1 + cos(pi (num_cycles p mod 1))) / 2
``polynomial_decay_schedule_with_warmup``                 from 1 to lr_end / lr as (1 - p) ** power
========================================================  ==================================================

``published_cosine_schedule`` and ``published_steps_schedule`` are those of PySlowFast and PyTorchVideo's trainer, see
:mod:`flash.core.published_rates`: they rise to the rate that they have at the end of the warm-up.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytorch_lightning as pl
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from flash.core.published_rates import cosine_rate, stepped_rate
from pytorchvideo._checks import expected
from pytorchvideo.data.clip_sampling import RandomClipSampler
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset


def _constant(done: float) -> float:
    return 1.0


def _linear(done: float) -> float:
    return max(0.0, 1.0 - done)


def _cosine(done: float, num_cycles: float) -> float:
    return max(0.0, 0.5 * (1.0 + math.cos(2.0 * math.pi * num_cycles * done)))


def _restarts(done: float, num_cycles: float) -> float:
    return 0.0 if done >= 1 else 0.5 * (1.0 + math.cos(math.pi * (num_cycles * done % 1.0)))


def _polynomial(done: float, last: float, power: float) -> float:
    return last if done >= 1 else last + (1.0 - last) * (1.0 - done) ** power


def _factor(step: int, decay: Callable[[float], float], warmup: int, steps: int) -> float:
    if step < warmup:
        return step / warmup
    return decay((step - warmup) / max(1, steps - warmup))


def _schedule(
    optimizer: Optimizer,
    decay: Callable[[float], float],
    num_warmup_steps: float,
    num_training_steps: int,
    last_epoch: int,
) -> LambdaLR:
    """The schedule whose factor after the warm-up is ``decay`` of the share of the rest that is done."""
    warmup = warmup_steps(num_warmup_steps, num_training_steps)
    factor = partial(_factor, decay=decay, warmup=warmup, steps=num_training_steps)
    return LambdaLR(optimizer, factor, last_epoch)


def warmup_steps(asked: float, num_training_steps: int) -> int:
    """Returns the steps of a warm-up that is given as a number of steps or as a share of all.

    Raises:
        ValueError: if it is neither.

    >>> warmup_steps(0.1, 200), warmup_steps(1, 200)
    (20, 1)
    """
    is_share = isinstance(asked, float) and 0 <= asked <= 1
    is_count = isinstance(asked, int) and not isinstance(asked, bool) and asked >= 0
    if not is_share and not is_count:
        wanted = "a number of steps, or a share of all steps as a float in 0..1"
        raise ValueError(expected("num_warmup_steps", wanted, asked))
    return round(asked * num_training_steps) if is_share else int(asked)


def constant_schedule(optimizer: Optimizer, last_epoch: int = -1) -> LambdaLR:
    """The optimiser's rate all the time."""
    return _schedule(optimizer, _constant, 0, 0, last_epoch)


def constant_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: float,
    num_training_steps: int = 0,
    last_epoch: int = -1,
) -> LambdaLR:
    """A linear rise to the optimiser's rate; ``num_training_steps`` is needed for a share only."""
    return _schedule(optimizer, _constant, num_warmup_steps, num_training_steps, last_epoch)


def linear_schedule_with_warmup(
    optimizer: Optimizer, num_warmup_steps: float, num_training_steps: int, last_epoch: int = -1
) -> LambdaLR:
    """A linear rise, then a linear fall to 0."""
    return _schedule(optimizer, _linear, num_warmup_steps, num_training_steps, last_epoch)


def cosine_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: float,
    num_training_steps: int,
    num_cycles: float = 0.5,
    last_epoch: int = -1,
) -> LambdaLR:
    """A linear rise, then a cosine; half a cycle ends at 0."""
    decay = partial(_cosine, num_cycles=num_cycles)
    return _schedule(optimizer, decay, num_warmup_steps, num_training_steps, last_epoch)


def cosine_with_hard_restarts_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: float,
    num_training_steps: int,
    num_cycles: int = 1,
    last_epoch: int = -1,
) -> LambdaLR:
    """A linear rise, then ``num_cycles`` times from the full rate to 0 along half a cosine."""
    decay = partial(_restarts, num_cycles=num_cycles)
    return _schedule(optimizer, decay, num_warmup_steps, num_training_steps, last_epoch)


def polynomial_decay_schedule_with_warmup(
    optimizer: Optimizer,
    num_warmup_steps: float,
    num_training_steps: int,
    lr_end: float = 1e-7,
    power: float = 1.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """A linear rise, then a polynomial fall to ``lr_end``, which must be below the optimiser's rate."""
    first = optimizer.defaults["lr"]
    if not 0 <= lr_end < first:
        raise ValueError(expected("lr_end", f"in 0..{first}, the rate it falls from", lr_end))
    decay = partial(_polynomial, last=lr_end / first, power=power)
    return _schedule(optimizer, decay, num_warmup_steps, num_training_steps, last_epoch)


def published_cosine_schedule(
    optimizer: Optimizer,
    num_warmup_steps: float,
    num_training_steps: int,
    warmup_start_lr: float = 0.0,
    lr_end: float = 0.0,
    cosine_after_warmup: bool = False,
    last_epoch: int = -1,
) -> LambdaLR:
    """A rise from ``warmup_start_lr`` to where the cosine is then, which ends at ``lr_end``.

    The cosine begins at step 0, or after the warm-up. Rates are those of a group with the optimiser's own; others, as
    layer decay makes them, keep their share.
    """
    first = optimizer.defaults["lr"]
    rate = partial(
        cosine_rate,
        base=1.0,
        max_epoch=num_training_steps,
        end=lr_end / first,
        warmup=warmup_steps(num_warmup_steps, num_training_steps),
        start=warmup_start_lr / first,
        cosine_after_warmup=cosine_after_warmup,
    )
    rate(0)
    return LambdaLR(optimizer, rate, last_epoch)


def published_steps_schedule(
    optimizer: Optimizer,
    num_warmup_steps: float,
    num_training_steps: int,
    steps: Sequence[float],
    factors: Sequence[float],
    warmup_start_lr: float = 0.0,
    last_epoch: int = -1,
) -> LambdaLR:
    """The optimiser's rate times a factor from each of several shares of the training on, after a warm-up.

    Args:
        optimizer: whose rate has the factor 1.
        num_warmup_steps: of the rise from ``warmup_start_lr`` to the rate that is due then.
        num_training_steps: of the run.
        steps: shares of the run, the first 0: ``[0, 94 / 239, ...]`` for step 94 of 239 epochs.
        factors: as many.
        warmup_start_lr: where the warm-up begins.
        last_epoch: see ``LambdaLR``.
    """
    rate = partial(
        stepped_rate,
        base=1.0,
        # a rounding error moves no step
        steps=[round(share * num_training_steps, 6) for share in steps],
        factors=factors,
        warmup=warmup_steps(num_warmup_steps, num_training_steps),
        start=warmup_start_lr / optimizer.defaults["lr"],
    )
    rate(0)
    return LambdaLR(optimizer, rate, last_epoch)


#: By the names of ``transformers.optimization``, without its ``get_``, and the published ones.
SCHEDULES: dict[str, Callable[..., LambdaLR]] = {
    schedule.__name__: schedule
    for schedule in (
        constant_schedule,
        constant_schedule_with_warmup,
        cosine_schedule_with_warmup,
        cosine_with_hard_restarts_schedule_with_warmup,
        linear_schedule_with_warmup,
        polynomial_decay_schedule_with_warmup,
        published_cosine_schedule,
        published_steps_schedule,
    )
}


def training_steps(trainer: pl.Trainer) -> int:
    """Returns the optimiser steps of the run that a trainer is at.

    Lightning knows them for data with a length and for ``max_steps``. Videos that give a random clip each are
    counted here; bad ones among them make the run shorter.

    Raises:
        ValueError: if the number of clips is known only once they are decoded.
    """
    steps = trainer.estimated_stepping_batches
    if 0 < steps < math.inf:
        return int(steps)
    batches = _batches_of_videos(trainer.train_dataloader)
    if batches is None or not trainer.max_epochs or trainer.max_epochs < 0:
        raise ValueError(
            "Expected the number of training steps to be known in advance, but the data has no length. Give the "
            "Trainer max_steps=..., or the schedule num_training_steps=...."
        )
    return math.ceil(batches / trainer.accumulate_grad_batches) * trainer.max_epochs


def _batches_of_videos(loader: Any) -> int | None:
    dataset = getattr(loader, "dataset", None)
    if not isinstance(dataset, LabeledVideoDataset):
        return None
    if not isinstance(dataset.reader.clip_sampler, RandomClipSampler):
        return None
    return count_batches(dataset.num_videos, loader.batch_size, loader.num_workers)


def count_batches(videos: int, batch_size: int, workers: int) -> int:
    """Returns the batches of an epoch; each worker makes batches of its own share of the videos.

    >>> count_batches(10, 4, 0), count_batches(10, 4, 2)
    (3, 4)
    """
    parts = max(workers, 1)
    shares = [videos // parts + (i < videos % parts) for i in range(parts)]
    return sum(math.ceil(share / batch_size) for share in shares)
