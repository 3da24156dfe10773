# SPDX-License-Identifier: Apache-2.0
"""Batch norm by parts of a batch, in any LightningModule."""

import pytorch_lightning as pl
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers.sub_batch_norm import with_sub_batch_norm


class SubBatchNorm(pl.Callback):
    """Has each ``BatchNorm3d`` of a module normalise parts of a batch by their own statistics, while it trains.

    Large batches, as those of multigrid training, then have the noise of small ones;
    :func:`flash.core.multigrid.norm_plan` says how many parts a batch should have. Parameters stay the same objects,
    checkpoints are those of plain batch norms, and the module has plain ones again after the training. Evaluation
    sees the statistics of all parts together.

    Args:
        num_splits: parts of the batch of a process, whose size it divides; 1 changes nothing.

    It stands before callbacks that copy the module, as averages of weights do.

    Raises:
        ValueError: fewer than one part; where training begins, a module without any ``BatchNorm3d``.

    Example::

        Trainer(callbacks=[SubBatchNorm(num_splits=4)])  # statistics of 8 clips in batches of 32
    """

    def __init__(self, num_splits: int) -> None:
        if isinstance(num_splits, bool) or not isinstance(num_splits, int) or num_splits < 1:
            raise ValueError(expected("num_splits", "a number of parts >= 1", num_splits))
        self.num_splits = num_splits

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Splits the norms that are there before the optimiser is made."""
        if stage == "fit":
            with_sub_batch_norm(pl_module, self.num_splits)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Splits those that ``configure_model`` has made."""
        if not any(isinstance(module, nn.BatchNorm3d) for module in pl_module.modules()):
            name = type(pl_module).__name__
            raise ValueError(expected("pl_module", "one with a BatchNorm3d", name))
        if any(type(module) is nn.BatchNorm3d for module in pl_module.modules()):
            with_sub_batch_norm(pl_module, self.num_splits)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Makes plain batch norms of them."""
        if stage == "fit":
            with_sub_batch_norm(pl_module, 1)
