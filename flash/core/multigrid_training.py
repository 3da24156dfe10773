# SPDX-License-Identifier: Apache-2.0
"""A multigrid training with Lightning: learning rates by the exact epoch, batch norm by parts, pools of any size."""

from dataclasses import dataclass
from typing import Any, Protocol

import pytorch_lightning as pl
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor, nn

from flash.core.data.io.input import INPUT_KEYS, first_of
from flash.core.multigrid import Schedule, Shape, norm_plan, short_cycle
from flash.core.published_rates import stepped_rate
from pytorchvideo._checks import expected
from pytorchvideo.layers.positional_encoding import GridEncoding, PositionalEncoding
from pytorchvideo.layers.sub_batch_norm import SubBatchNorm3d, with_sub_batch_norm

_BASE = "base_lr"  # of a parameter group, in checkpoints


@dataclass(frozen=True)
class MultigridPlan:
    """What a multigrid training does in each epoch.

    Args:
        schedule: its shapes and learning rates.
        short_cycle: whether crops also change from step to step.
        base_clips: clips that a batch norm has its statistics of.
        warmup_epochs: of a linear rise of the rate.
        warmup_start: where it begins, as a share of the optimiser's rate.

    Raises:
        ValueError: a number is out of range.

    >>> from flash.core.multigrid import multigrid_schedule
    >>> plan = MultigridPlan(multigrid_schedule([0, 4], 6, num_frames=8, crop_size=64))
    >>> plan.steps(0, 8), plan.num_splits(0, 8), plan.rate(0)
    ([(128, 32), (64, 45), (64, 45)], 8, 8.0)
    >>> plan.steps(8, 8), plan.rate(8)
    ([(32, 32), (16, 45), (8, 64)], 0.1)
    """

    schedule: Schedule
    short_cycle: bool = True
    base_clips: int = 8
    warmup_epochs: float = 0.0
    warmup_start: float = 0.0

    def __post_init__(self) -> None:
        if self.base_clips < 1:
            raise ValueError(expected("base_clips", ">= 1", self.base_clips))
        if not 0 <= self.warmup_epochs < self.schedule.max_epoch:
            wanted = f"in 0..{self.schedule.max_epoch}"
            raise ValueError(expected("warmup_epochs", wanted, self.warmup_epochs))

    @property
    def whole(self) -> Shape:
        """Shape of whole clips, which the last epochs and evaluation have."""
        return self.schedule.stretches[-1].shape

    def shape(self, epoch: int) -> Shape:
        """Returns the shape of the long cycle in an epoch."""
        return self.schedule.at(epoch).shape

    def steps(self, epoch: int, batch_size: int) -> list[tuple[int, int]]:
        """Returns the clips and the crop of the steps that an epoch goes through by turns.

        Args:
            epoch: from 0.
            batch_size: of whole clips.
        """
        shape = self.shape(epoch)
        crops = [(1, shape.crop_size)]
        if self.short_cycle:
            crops = short_cycle(shape.crop_size, self.whole.crop_size)
        return [(batch_size * shape.batch_factor * factor, crop) for factor, crop in crops]

    def num_splits(self, epoch: int, batch_size: int) -> int:
        """Returns of how many parts of a batch a batch norm has statistics; those of the short cycle have as many.

        Batches below ``base_clips`` are left whole: PyTorch's ``SyncBatchNorm`` joins those of several processes.
        """
        kind, count = norm_plan(batch_size * self.shape(epoch).batch_factor, self.base_clips)
        return count if kind == "split" else 1

    def rate(self, epoch: float) -> float:
        """Returns the learning rate at an epoch, with its fraction, as a share of the optimiser's."""
        return stepped_rate(
            epoch,
            base=1.0,
            steps=self.schedule.steps,
            factors=self.schedule.factors,
            warmup=self.warmup_epochs,
            start=self.warmup_start,
        )


class MultigridBatches(Protocol):
    """A data set whose items are batches of the shapes of a plan.

    Attributes:
        plan: of the training.
        batch_size: of whole clips.
    """

    plan: MultigridPlan
    batch_size: int

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch: its shapes hold from the next iteration on."""

    def count_batches(self, workers: int, epoch: int) -> int:
        """Returns the batches of an epoch in this process."""


class Multigrid(pl.Callback):
    """Carries out the plan of the training data: learning rates, parts of batch norm, and pools of any size.

    The data comes from ``VideoClassificationData.from_...(multigrid=plan)``, and the number of epochs of the trainer
    is ``plan.schedule.max_epoch``. It works with any LightningModule without a scheduler. The rates of its optimiser
    are those of a batch of whole clips. Average pools that are built for one size become global ones until training
    ends; for whole clips they are the same.

    A run that is resumed goes on with the shapes and rates of its epoch.

    Raises:
        ValueError: the training data has no plan, the module has a scheduler or a network for clips of one size, or the
            trainer another number of epochs.

    Example::

        plan = MultigridPlan(multigrid_schedule([0, 8, 12], 16, num_frames=8, crop_size=112))
        data = VideoClassificationData.from_folders("clips/train", "clips/val", recipe=recipe, multigrid=plan)
        trainer = flash.Trainer(max_epochs=plan.schedule.max_epoch, callbacks=[Multigrid()])
        trainer.fit(model, datamodule=data)
    """

    def __init__(self) -> None:
        self._pools: list[tuple[nn.Module, str, nn.Module]] = []
        self._batches = self._splits = 1
        self._crop = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Checks that the plan can be carried out, and makes pools take clips of any size."""
        _check(trainer, pl_module, _data_of(trainer).plan)
        self._pools = [
            (parent, name, child)
            for parent in pl_module.modules()
            for name, child in parent.named_children()
            if isinstance(child, nn.AvgPool3d)
        ]
        for parent, name, _ in self._pools:
            setattr(parent, name, nn.AdaptiveAvgPool3d(1))

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begins the epoch of the data, and splits batch norms as its batches ask."""
        data, epoch = _data_of(trainer), trainer.current_epoch
        data.set_epoch(epoch)
        loader: Any = trainer.train_dataloader
        self._batches = max(1, data.count_batches(loader.num_workers, epoch))
        self._crop = data.plan.shape(epoch).crop_size
        self._split(pl_module, data.plan.num_splits(epoch, data.batch_size))
        for module in pl_module.modules():
            if isinstance(module, SubBatchNorm3d):
                # as after a checkpoint, which has the statistics of all parts together
                module.merge()
                module._split()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Sets the learning rates."""
        done = min(batch_idx / self._batches, 1.0)
        rate = _data_of(trainer).plan.rate(trainer.current_epoch + done)
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group.setdefault(_BASE, group["lr"]) * rate

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Puts back pools and batch norms as they were, after precise BN has seen them."""
        self._restore(pl_module)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """As at the end."""
        self._restore(pl_module)

    def whole_clips(self, batch: Any) -> Any:
        """Returns the clips of a batch, None of one that the short cycle cuts smaller: ``inputs`` of precise BN."""
        clips = first_of(batch, INPUT_KEYS)
        sized = clips if isinstance(clips, Tensor) else clips[-1]
        return clips if sized.shape[-1] == self._crop else None

    def _split(self, pl_module: pl.LightningModule, splits: int) -> None:
        if splits != self._splits:
            with_sub_batch_norm(pl_module, splits)
            self._splits = splits

    def _restore(self, pl_module: pl.LightningModule) -> None:
        for parent, name, pool in self._pools:
            setattr(parent, name, pool)
        self._pools = []
        self._split(pl_module, 1)


def _data_of(trainer: pl.Trainer) -> MultigridBatches:
    data: Any = getattr(trainer.train_dataloader, "dataset", None)
    if not isinstance(getattr(data, "plan", None), MultigridPlan):
        raise ValueError(
            "Expected training data of a plan for the callback Multigrid: "
            "VideoClassificationData.from_...(multigrid=plan)."
        )
    batches: MultigridBatches = data
    return batches


def _check(trainer: pl.Trainer, pl_module: pl.LightningModule, plan: MultigridPlan) -> None:
    """Raises a ValueError for what a multigrid training cannot be together with."""
    if trainer.lr_scheduler_configs:
        kind = type(trainer.lr_scheduler_configs[0].scheduler).__name__
        advice = "Multigrid sets the learning rates."
        raise ValueError(expected("lr_scheduler", "None", kind, advice))
    if trainer.max_epochs != plan.schedule.max_epoch:
        wanted = f"{plan.schedule.max_epoch}, as of the plan"
        raise ValueError(expected("max_epochs", wanted, trainer.max_epochs))
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    for callback in callbacks:
        if isinstance(callback, WeightAveraging):
            kind = type(callback).__name__
            raise ValueError(expected("ema", "None in a multigrid training", kind))
    for name, module in pl_module.named_modules():
        if isinstance(module, (GridEncoding, PositionalEncoding)):
            advice = "Multigrid is for networks of convolutions."
            raise ValueError(expected("model", "one for clips of any size", name, advice))
