# SPDX-License-Identifier: Apache-2.0
"""Multigrid with Lightning: rates, parts of batch norms and pools, epoch by epoch, and what it refuses."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EMAWeightAveraging
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

import flash
from flash.core.callbacks import PreciseBN
from flash.core.multigrid import multigrid_schedule
from flash.core.multigrid_training import Multigrid, MultigridPlan
from pytorchvideo.layers import SubBatchNorm3d
from pytorchvideo.layers.positional_encoding import PositionalEncoding

PLAN = MultigridPlan(
    multigrid_schedule([0, 4], 6, num_frames=8, crop_size=16), base_clips=2, warmup_epochs=1.0
)


class Batches(IterableDataset[Any]):
    """Clips of noise in the shapes of a plan, a step of each crop an epoch."""

    def __init__(self, plan: MultigridPlan = PLAN, batch_size: int = 2) -> None:
        self.plan, self.batch_size, self.epoch = plan, batch_size, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def count_batches(self, workers: int, epoch: int) -> int:
        return len(self.plan.steps(epoch, self.batch_size))

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        frames = self.plan.shape(self.epoch).num_frames
        for size, crop in self.plan.steps(self.epoch, self.batch_size):
            labels = torch.arange(size) % 2
            yield {"video": torch.rand(size, 3, frames, crop, crop), "label": labels}


class Module(pl.LightningModule):
    """A small network with a pool that is built for whole clips; notes what it sees."""

    def __init__(self, scheduler: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv3d(3, 4, 3, padding=1),
            nn.BatchNorm3d(4),
            nn.AvgPool3d((8, 16, 16), stride=1),
            nn.Flatten(),
            nn.Linear(4, 2),
        )
        self.scheduler = scheduler
        self.seen: list[tuple[Any, ...]] = []

    def forward(self, x: Tensor) -> Any:
        return self.net(x)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        (group,) = self.trainer.optimizers[0].param_groups
        splits = getattr(self.net[1], "num_splits", 1)
        self.seen.append((self.current_epoch, tuple(batch["video"].shape), group["lr"], splits))
        return nn.functional.cross_entropy(self.net(batch["video"]), batch["label"])

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.01)
        return optimizer if self.scheduler is None else ([optimizer], [self.scheduler(optimizer)])


def fit(module: pl.LightningModule, *callbacks: pl.Callback, **options: Any) -> flash.Trainer:
    options = {"max_epochs": PLAN.schedule.max_epoch, **options}
    trainer = flash.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=list(callbacks),
        **options,
    )
    trainer.fit(module, DataLoader(Batches(), batch_size=None))
    return trainer


def test_a_training_goes_through_the_shapes_and_rates() -> None:
    module = Module()
    fit(module, Multigrid())
    ends = [stretch.end_epoch for stretch in PLAN.schedule.stretches]
    assert ends[-1] == 9
    # (factor; frames, crop) of the long cycle for 8 frames of 16 pixels: 11 is the nearest to 16 / sqrt(2)
    shapes = [(8, 2, 11), (4, 4, 11), (2, 4, 16), (1, 8, 16), (1, 8, 16)]
    first = 0
    for end, (factor, frames, crop) in zip(ends, shapes, strict=True):
        for epoch in range(first, end):
            seen = [row for row in module.seen if row[0] == epoch]
            short = [(4, 8), (2, 11), (1, 16)] if crop == 16 else [(2, 8), (1, 11), (1, 11)]
            wanted = [(2 * factor * more, 3, frames, side, side) for more, side in short]
            assert [row[1] for row in seen] == wanted
            # two clips a part of the batch of the long cycle
            assert {row[3] for row in seen} == {factor}
        first = end
    rates = [row[2] for row in module.seen]
    # the first of nine epochs rises to 8 times the rate, in thirds
    assert rates[:4] == pytest.approx([0.0, 0.08 / 3, 0.16 / 3, 0.08])
    assert rates[-1] == pytest.approx(0.01 * 0.1)
    # afterwards all is as it was
    assert type(module.net[1]) is nn.BatchNorm3d and type(module.net[2]) is nn.AvgPool3d


def test_precise_statistics_are_of_whole_clips() -> None:
    grid = Multigrid()
    seen: list[int] = []

    class Noting(PreciseBN):
        def _update(self, trainer: Any, pl_module: Any, *, all_kept: bool) -> None:
            seen.extend(clips.shape[-1] for clips in self._kept)
            super()._update(trainer, pl_module, all_kept=all_kept)

    module = Module()
    fit(module, Noting(4, inputs=grid.whole_clips), grid)
    assert set(seen) == {11, 16} and seen[-1] == 16
    # uniform noise after a convolution has the mean of its bias and half of its weights, nearly
    conv: Any = module.net[0]
    inner = conv.bias + 0.5 * conv.weight.sum(dim=(1, 2, 3, 4))
    mean: Any = module.net[1].running_mean
    assert torch.sign(mean).tolist() == torch.sign(inner).tolist()


class Resumable(Module):
    """Ends as a killed process does."""

    dies_in = -1

    def on_train_epoch_start(self) -> None:
        if self.current_epoch == self.dies_in:
            raise OSError("the machine is gone")


def test_a_training_goes_on_in_the_middle(tmp_path: Any) -> None:
    class Saving(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            torch.manual_seed(trainer.current_epoch + 1)
            trainer.save_checkpoint(tmp_path / "last.ckpt")

    def run(module: pl.LightningModule, **options: Any) -> None:
        trainer = flash.Trainer(
            max_epochs=9,
            accelerator="cpu",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[Saving(), Multigrid()],
        )
        trainer.fit(module, DataLoader(MovingBatches(trainer), batch_size=None), **options)

    class MovingBatches(Batches):
        """Knows its epoch when the first iterator is made, as flash's datamodules have it."""

        def __init__(self, trainer: pl.Trainer) -> None:
            super().__init__()
            self.trainer = trainer

        def __iter__(self) -> Iterator[dict[str, Tensor]]:
            self.epoch = self.trainer.current_epoch
            return super().__iter__()

    torch.manual_seed(0)
    whole = Resumable()
    start = {name: value.clone() for name, value in whole.state_dict().items()}
    run(whole)
    killed, again = Resumable(), Resumable()
    killed.load_state_dict(start)
    killed.dies_in = 4
    torch.manual_seed(0)
    Module()  # draws as many numbers
    with pytest.raises(OSError, match="the machine is gone"):
        run(killed)
    assert type(killed.net[1]) is nn.BatchNorm3d
    torch.manual_seed(4)
    run(again, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert [row[:2] for row in again.seen] == [row[:2] for row in whole.seen if row[0] >= 4]
    assert [row[2] for row in again.seen] == pytest.approx([r[2] for r in whole.seen if r[0] >= 4])


def test_what_cannot_be_together_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"`lr_scheduler` to be None, but got 'ConstantLR'\. Multigrid sets"
    ):
        fit(Module(lambda opt: torch.optim.lr_scheduler.ConstantLR(opt)), Multigrid())
    with pytest.raises(ValueError, match=r"`max_epochs` to be 9, as of the plan, but got 5"):
        fit(Module(), Multigrid(), max_epochs=5)
    with pytest.raises(ValueError, match="`ema` to be None in a multigrid training"):
        fit(Module(), Multigrid(), EMAWeightAveraging(decay=0.9))
    module = Module()
    module.net.append(PositionalEncoding(4, 4))
    with pytest.raises(ValueError, match=r"clips of any size, but got 'net\.5'\. Multigrid is for"):
        fit(module, Multigrid())
    with pytest.raises(ValueError, match="`base_clips` to be >= 1, but got 0"):
        MultigridPlan(PLAN.schedule, base_clips=0)
    with pytest.raises(ValueError, match=r"`warmup_epochs` to be in 0\.\.9, but got 9"):
        MultigridPlan(PLAN.schedule, warmup_epochs=9)
    plain = DataLoader([{"video": torch.rand(3, 8, 16, 16), "label": 0}] * 4, batch_size=2)
    with pytest.raises(ValueError, match=r"Expected training data of a plan .*\(multigrid=plan\)"):
        flash.Trainer(max_epochs=1, callbacks=[Multigrid()], accelerator="cpu", logger=False,
                      enable_checkpointing=False, enable_progress_bar=False).fit(Module(), plain)  # fmt: skip


def test_a_batch_below_the_base_is_left_whole() -> None:
    assert [MultigridPlan(PLAN.schedule, base_clips=64).num_splits(e, 2) for e in (0, 8)] == [1, 1]
    assert MultigridPlan(PLAN.schedule, base_clips=4).num_splits(0, 2) == 4
    long_alone = MultigridPlan(PLAN.schedule, short_cycle=False)
    assert long_alone.steps(0, 2) == [(16, 11)]
    short = multigrid_schedule([0, 4], 6, num_frames=8, crop_size=16, long_cycle=False)
    assert [(s.stage, tuple(s.shape), s.end_epoch) for s in short.stretches] == [
        (0, (1, 8, 16), 6),
        (1, (1, 8, 16), 9),
    ]
    assert (short.steps, short.factors, short.max_epoch) == ((0, 6), (1.0, 0.1), 9)


def test_norms_of_parts_are_merged_between_epochs() -> None:
    module = Module()
    grid = Multigrid()
    kinds = []

    class Noting(pl.Callback):
        def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
            kinds.append(type(module.net[1]))

    fit(module, grid, Noting())
    assert kinds[0] is SubBatchNorm3d and kinds[-1] is nn.BatchNorm3d
