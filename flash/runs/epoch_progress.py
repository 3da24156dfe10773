# SPDX-License-Identifier: Apache-2.0
"""Progress bars of the epochs of a training, as a callback of Lightning, which takes seconds to import."""

from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import Progress

from flash.runs.expected_time import TrainingTime, Work
from flash.runs.progress import progress_bar
from pytorchvideo._progress import Meter


class EpochProgress(pl.Callback):
    """A bar an epoch, which stays on the screen with the epoch's figures, and after some batches the time for all.

    Args:
        console: where to draw.
        work: of the training, as far as that is known.
        describe: the figures of an epoch from its row of the history.

    Attributes:
        history: a row an epoch, filled by a callback that comes earlier.
        meter: that of the current epoch.
    """

    def __init__(
        self, console: Console, work: Work, describe: Callable[[Mapping[str, float]], str]
    ) -> None:
        self._console, self._work, self._describe = console, work, describe
        self.history: list[dict[str, float]] = []
        self._bar: Progress | None = None
        self._task: Any = None
        self.meter = Meter()
        self._time = TrainingTime(work, console)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.meter = Meter()
        self._time.start_epoch()
        self._bar = progress_bar(self._console)
        self._bar.start()
        self._task = self._bar.add_task(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            total=self._work.train[trainer.current_epoch],
            meter=self.meter,
            note="",
        )

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.meter.start_model()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Mapping[str, Any],
        batch_idx: int,
    ) -> None:
        self.meter.stop_model(len(batch["video_name"]))
        if self._bar is not None:
            self._bar.advance(self._task)
        self._time.stop_batch(trainer.current_epoch, batch_idx + 1, self.meter)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._bar is None:
            return
        row = self.history[-1] if self.history else {}
        said = self._describe(row)
        self._bar.update(self._task, note=said)
        self._bar.stop()
        self._bar = None
        if not self._console.is_terminal:
            epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
            self._console.print(f"{epoch}  {self.meter}  {said}", soft_wrap=True, highlight=False)
        self._time.stop_epoch(trainer.current_epoch)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
