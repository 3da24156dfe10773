# SPDX-License-Identifier: Apache-2.0
"""Learning rates that grow with the batch of all processes, for any LightningModule."""

from typing import Any

import pytorch_lightning as pl
from torch.optim import Optimizer

from flash.core.published_rates import batch_scale
from pytorchvideo._checks import expected

_GROUP_KEYS = ("lr", "initial_lr", "max_lr", "min_lr")
_SCHEDULER_KEYS = ("eta_min", "min_lrs", "base_lrs", "_last_lr")


class ScaleByWorld(pl.Callback):
    """Multiplies all learning rates by the clips of a step of all processes over those that the rates are for.

    The rates of the optimisers are multiplied when training begins, with those that schedulers keep: what they start
    from, and where ``CosineAnnealingLR``, ``OneCycleLR`` and ``ReduceLROnPlateau`` end. A run that resumes from a
    checkpoint with another number of processes is scaled from that one's.

    Args:
        batch_size: clips of a process in a step, with repeated ones.
        reference: clips in a step that the rates are for; PySlowFast's configurations state them for a node, of 64 as a
            rule.

    Accumulated batches (``Trainer(accumulate_grad_batches=...)``) count. See
    :func:`flash.core.published_rates.batch_scale`.

    Raises:
        ValueError: a number is not positive.

    Example::

        Trainer(devices=8, num_nodes=8, callbacks=[ScaleByWorld(batch_size=8, reference=64)])  # 0.1 becomes 0.8
    """

    def __init__(self, batch_size: int, reference: int = 64) -> None:
        for name, value in (("batch_size", batch_size), ("reference", reference)):
            if value < 1:
                raise ValueError(expected(name, ">= 1", value))
        self.batch_size, self.reference = batch_size, reference
        self.factor = 1.0

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit":
            # it makes optimisers anew, and a checkpoint is read afterwards
            self.factor = 1.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # after a checkpoint is loaded, whose rates have its factor already
        clips = self.batch_size * trainer.accumulate_grad_batches
        factor = batch_scale(clips, trainer.world_size, self.reference)
        change, self.factor = factor / self.factor, factor
        for optimizer in trainer.optimizers:
            _scale_groups(optimizer, change)
        for config in trainer.lr_scheduler_configs:
            _scale_scheduler(config.scheduler, change)

    def state_dict(self) -> dict[str, Any]:
        """Returns the factor that the rates of a checkpoint have."""
        return {"factor": self.factor}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what :meth:`state_dict` returned."""
        self.factor = float(state_dict["factor"])


def _scale_groups(optimizer: Optimizer, change: float) -> None:
    for group in optimizer.param_groups:
        for key in _GROUP_KEYS:
            if key in group:
                group[key] = group[key] * change


def _scale_scheduler(scheduler: Any, change: float) -> None:
    for key in _SCHEDULER_KEYS:
        value = getattr(scheduler, key, None)
        if isinstance(value, list):
            setattr(scheduler, key, [rate * change for rate in value])
        elif value is not None:
            setattr(scheduler, key, value * change)
    for inner in getattr(scheduler, "_schedulers", ()):  # SequentialLR, ChainedScheduler
        _scale_scheduler(inner, change)
