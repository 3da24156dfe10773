# SPDX-License-Identifier: Apache-2.0
"""Progress bars that say how many clips pass in a second, and how much of the time was spent waiting for data."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text
from torch import nn


class Meter:
    """Counts clips and tells the time in the model from the time spent waiting for its data.

    >>> meter = Meter(clock=iter([0.0, 1.0, 4.0, 5.0]).__next__)
    >>> meter.start_model(); meter.stop_model(clips=6)
    >>> print(meter)
    1.5 clips/s, 25% waiting for data
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = self._now = clock()
        self._entered: float | None = None
        self._in_model = 0.0
        self.clips = 0

    def start_model(self) -> None:
        """A batch is there: the model begins."""
        self._entered = self._clock()

    def stop_model(self, clips: int) -> None:
        """The model is done with a batch of ``clips``."""
        self._now = self._clock()
        if self._entered is not None:
            self._in_model += self._now - self._entered
        self._entered = None
        self.clips += clips

    def stop(self) -> None:
        """Everything is done."""
        self._now = self._clock()

    @property
    def seconds(self) -> float:
        """Time so far."""
        return self._now - self._began

    @property
    def clips_per_second(self) -> float:
        """Clips through the model in a second, waiting included."""
        return self.clips / self.seconds if self.seconds else 0.0

    @property
    def waiting(self) -> float:
        """The share of the time, 0 to 1, in which the model had no data."""
        return 1 - self._in_model / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return f"{self.clips_per_second:.1f} clips/s, {self.waiting:.0%} waiting for data"

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator["Meter"]:
        """Counts every batch that goes through ``model`` meanwhile."""

        def before(_module: nn.Module, _inputs: Any) -> None:
            self.start_model()

        def after(_module: nn.Module, _inputs: Any, output: Any) -> None:
            self.stop_model(len(output))

        hooks = (
            model.register_forward_pre_hook(before),
            model.register_forward_hook(after),
        )
        try:
            yield self
        finally:
            self.stop()
            for hook in hooks:
                hook.remove()


class _MeterColumn(ProgressColumn):
    """``12.3 clips/s  4 % waiting for data`` from the task's meter."""

    def render(self, task: Task) -> Text:
        meter = task.fields.get("meter")
        if meter is None or not meter.clips:
            return Text("")
        return Text(str(meter), style="dim")


def progress_bar(console: Console) -> Progress:
    """Returns a bar on ``console``, which shows nothing where that is a file or a pipe."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _MeterColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="bold", markup=False),
        console=console,
        disable=not console.is_terminal,
    )


class EpochProgress(pl.Callback):
    """A bar an epoch, which stays on the screen with the epoch's figures.

    Args:
        console: where to draw.
        batches: batches in an epoch, as far as that is known.
        describe: the figures of an epoch from its row of the history.

    Attributes:
        history: a row an epoch, filled by a callback that comes earlier.
        meter: that of the current epoch.
    """

    def __init__(
        self, console: Console, batches: int, describe: Callable[[Mapping[str, float]], str]
    ) -> None:
        self._console, self._batches, self._describe = console, batches, describe
        self.history: list[dict[str, float]] = []
        self._bar: Progress | None = None
        self._task: Any = None
        self.meter = Meter()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.meter = Meter()
        self._bar = progress_bar(self._console)
        self._bar.start()
        self._task = self._bar.add_task(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
            total=self._batches,
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
