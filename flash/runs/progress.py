# SPDX-License-Identifier: Apache-2.0
"""Progress bars with clips per second and the share of time spent waiting for data."""

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
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pytorchvideo._progress import Meter, Step


class _MeterColumn(ProgressColumn):
    """``12.3 clips/s  4 % waiting for data`` from the task's meter."""

    def render(self, task: Task) -> Text:
        meter = task.fields.get("meter")
        if meter is None or not meter.clips:
            return Text("")
        return Text(str(meter), style="dim")


class _Bars(Progress):
    def stop(self) -> None:
        """Ends the bars; rich 13.0 prints an empty line where none were shown."""
        if not self.disable:
            super().stop()


def progress_bar(console: Console) -> Progress:
    """Returns a bar on ``console``, which shows nothing where that is a file or a pipe."""
    return _Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _MeterColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="bold", markup=False),
        console=console,
        disable=not console.is_terminal,
    )


class Bar:
    """Bars of some work, one for each part of it, as a callback of the work.

    Args:
        bars: where they are shown.
        title: of a part without one.

    Attributes:
        last: the latest step.
    """

    def __init__(self, bars: Progress, title: str) -> None:
        self._bars, self._title = bars, title
        self._tasks: dict[str, TaskID] = {}
        self.last = Step(0)

    def __call__(self, step: Step) -> None:
        """Shows a step."""
        self.last, title = step, step.title or self._title
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(title, total=step.total, note="")
        self._bars.update(
            self._tasks[title],
            completed=step.done,
            total=step.total,
            note=step.note,
            meter=step.meter,
        )


@contextmanager
def showing(console: Console, title: str) -> Iterator[Bar]:
    """Gives what shows the steps of some work on ``console``."""
    with progress_bar(console) as bars:
        yield Bar(bars, title)


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
