# SPDX-License-Identifier: Apache-2.0
"""Progress bars of the epochs of a training, as a callback of Lightning, which takes seconds to import."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import Progress

from flash.runs.progress import progress_bar
from flash.runs.reports.facts import duration
from pytorchvideo._progress import Meter

_TIMED = 4  # batches after which the time of all is estimated; the first is slower, and left out


class EpochProgress(pl.Callback):
    """A bar an epoch, which stays on the screen with the epoch's figures, and after some batches the time for all.

    Args:
        console: where to draw.
        batches: of an epoch by its number from 0, as far as that is known.
        describe: the figures of an epoch from its row of the history.

    Attributes:
        history: a row an epoch, filled by a callback that comes earlier.
        meter: that of the current epoch.
    """

    def __init__(
        self,
        console: Console,
        batches: Callable[[int], int],
        describe: Callable[[Mapping[str, float]], str],
    ) -> None:
        self._console, self._batches, self._describe = console, batches, describe
        self.history: list[dict[str, float]] = []
        self._bar: Progress | None = None
        self._task: Any = None
        self.meter = Meter()
        self._since: tuple[int, float] | None = None  # batches, and the time after them
        self._said_time = False

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.meter = Meter()
        self._since = 0, time.monotonic()
        self._bar = progress_bar(self._console)
        self._bar.start()
        self._task = self._bar.add_task(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            total=self._batches(trainer.current_epoch),
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
        self.meter.stop_model(len(batch["label"]))
        if self._bar is not None:
            self._bar.advance(self._task)
        if not self._said_time:
            self._say_time(trainer, batch_idx + 1)

    def _say_time(self, trainer: pl.Trainer, done: int) -> None:
        """Prints how long all epochs will take, by the batches after the first."""
        now, (before, began) = time.monotonic(), self._since or (0, 0.0)
        if done < min(_TIMED, self._batches(trainer.current_epoch)):
            if done == 1:
                self._since = 1, now
            return
        self._said_time = True
        epochs = range(trainer.current_epoch, trainer.max_epochs or 1)
        left = sum(map(self._batches, epochs)) - done
        if left <= 0:
            return
        seconds = (now - began) / (done - before) * left
        said = f"about {duration(seconds)} to go, and the time to predict the held-out videos"
        self._console.print(said, soft_wrap=True, highlight=False)

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

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
