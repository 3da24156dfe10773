# SPDX-License-Identifier: Apache-2.0
"""The progress bar and the summary of :class:`flash.Trainer`, in the place of Lightning's.

On a terminal a bar for the epoch with its figures below, and a line for each epoch that has ended::

    Epoch 1/2  12 batches in 0:00:03  train_accuracy_epoch 0.583  val_accuracy 0.667
    Epoch 2/2 ━━━━━━━━━━━╸━━━━━━━━━━━━  6/12  4.1 batches/s  0:00:02 left
    train_cross_entropy_step 0.512  train_accuracy_step 0.750  val_accuracy 0.667

Into a file or a pipe go the lines alone.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytorch_lightning as pl
import rich
from pytorch_lightning.callbacks import ProgressBar, RichModelSummary
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from pytorchvideo._text import counted

_BAR_WIDTH = 24
_REFRESH_SEC = 0.1  # between two looks at the figures, which wait for the device


class _Bars(Progress):
    """Bars with a paragraph below them, in which no name is cut."""

    figures = ""

    def get_renderables(self) -> Iterator[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.figures:
            yield Text(self.figures, style="italic", overflow="fold")


class TrainingBar(ProgressBar):
    """Shows the epoch of all epochs, the batches, their speed, the time that is left, and the logged figures.

    The time left is that of the whole training, validation included; of loaders without a length it is not known.

    Args:
        clock: for speeds and times, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._is_enabled = True
        self._bars: _Bars | None = None
        self._task: TaskID | None = (
            None  # of what is going on; while validation is, that of the epoch waits
        )
        self._epoch: TaskID | None = None
        self._begun = self._epoch_begun = self._refreshed = 0.0
        self._done, self._total = 0, math.inf  # batches of the training
        self._evaluated, self._evaluation_begun = 0, 0.0

    def enable(self) -> None:
        """Shows the bar again."""
        self._is_enabled = True

    def disable(self) -> None:
        """Shows nothing from now on, as on all ranks but the first."""
        self._is_enabled = False
        self._stop()

    def __getstate__(self) -> dict[str, Any]:
        # what is on the screen stays in this process
        return self.__dict__ | {"_bars": None, "_task": None, "_epoch": None}

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun, self._done, self._total = self._clock(), 0, math.inf

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_begun = self._clock()
        if self._total == math.inf:
            self._total = _batches_left(trainer)
        self._epoch = self._task = self._open(_epoch_name(trainer), self.total_train_batches)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self._done += 1
        passed = self._clock() - self._begun
        left = passed / self._done * max(0, self._total - self._done)
        speed = self._done / max(passed, 1e-9)
        self._show(batch_idx + 1, self.total_train_batches, speed, left)
        self._show_figures(trainer, pl_module)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._is_enabled:
            return
        self._stop()
        seconds = timedelta(seconds=round(self._clock() - self._epoch_begun))
        figures = self.get_metrics(trainer, pl_module)
        # of an epoch its means count, not the last batch
        ended = {k: v for k, v in figures.items() if _mean_of(k) not in figures}
        count = trainer.fit_loop.epoch_loop.batch_progress.current.completed
        line = f"{_epoch_name(trainer)}  {counted(count, 'batch')} in {seconds}  {_sentence(ended)}"
        rich.get_console().print(line.rstrip(), soft_wrap=True, highlight=False, markup=False)

    def on_sanity_check_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._stop()

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        if self.has_dataloader_changed(dataloader_idx):
            self._close_evaluation()
            title, total = self._evaluation(trainer)
            self._task = self._open(title, total)
            self._evaluated, self._evaluation_begun = 0, self._clock()

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: Any, **kwargs: Any
    ) -> None:
        _, total = self._evaluation(trainer)
        self._evaluated += 1
        passed = self._clock() - self._evaluation_begun
        left = passed / self._evaluated * (total - self._evaluated)
        self._show(self._evaluated, total, self._evaluated / max(passed, 1e-9), left)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.reset_dataloader_idx_tracker()
        self._close_evaluation()

    on_test_batch_start = on_predict_batch_start = on_validation_batch_start
    on_test_batch_end = on_predict_batch_end = on_validation_batch_end
    on_test_end = on_predict_end = on_validation_end

    def _evaluation(self, trainer: pl.Trainer) -> tuple[str, float]:
        """What is going on besides training, and its batches."""
        if trainer.testing:
            return self.test_description, self.total_test_batches_current_dataloader
        if trainer.predicting:
            return self.predict_description, self.total_predict_batches_current_dataloader
        is_check = trainer.sanity_checking
        title = self.sanity_check_description if is_check else self.validation_description
        return title, self.total_val_batches_current_dataloader

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._stop()

    def _open(self, title: str, total: float) -> TaskID | None:
        """A new bar, where bars can be seen."""
        console = rich.get_console()
        if not self._is_enabled or not (console.is_terminal or console.is_jupyter):
            return None
        if self._bars is None:
            self._bars = _Bars(
                TextColumn("{task.description}", markup=False),
                BarColumn(_BAR_WIDTH),
                TextColumn("{task.fields[count]}", markup=False),
                TextColumn("{task.fields[pace]}", style="dim", markup=False),
                console=console,
                transient=True,
            )
            self._bars.start()
        known = total if math.isfinite(total) else None
        return self._bars.add_task(title, total=known, count="", pace="")

    def _show(self, done: int, total: float, speed: float, left: float) -> None:
        if self._bars is None or self._task is None:
            return
        remaining = f"  {timedelta(seconds=round(left))} left" if math.isfinite(left) else ""
        self._bars.update(
            self._task,
            completed=done,
            count=f"{done}/{total if math.isfinite(total) else '?'}",
            pace=f"{speed:.1f} batches/s{remaining}",
        )

    def _show_figures(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        now = self._clock()
        if self._bars is not None and now - self._refreshed >= _REFRESH_SEC:
            self._refreshed = now
            figures = self.get_metrics(trainer, pl_module)
            latest = {k: v for k, v in figures.items() if _batch_of(k) not in figures}
            self._bars.figures = _sentence(latest)

    def _close_evaluation(self) -> None:
        if self._bars is None or self._task is None or self._task == self._epoch:
            return
        self._bars.remove_task(self._task)
        self._task = self._epoch
        if self._epoch is None:
            self._stop()

    def _stop(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._task = self._epoch = None


class Summary(RichModelSummary):
    """The parts of a model with their parameters, and FLOPs where ``example_input_array`` lets them be counted."""

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if pl_module.example_input_array is not None:
            super().on_fit_start(trainer, pl_module)
        elif trainer.is_global_zero:
            rich.get_console().print(_table(pl_module))


def _table(module: pl.LightningModule) -> Table:
    table = Table("Part", "Type")
    for title in ("Parameters", "Trained"):
        table.add_column(title, justify="right")
    for name, part in (*module.named_children(), ("", module)):
        counts = [(p.numel(), p.requires_grad) for p in part.parameters()]
        trained = sum(count for count, is_trained in counts if is_trained)
        if part is module:
            table.add_section()
        if counts:
            total = sum(count for count, _ in counts)
            table.add_row(name, type(part).__name__, f"{total:,}", f"{trained:,}")
    return table


def _epoch_name(trainer: pl.Trainer) -> str:
    last = trainer.max_epochs
    return f"Epoch {trainer.current_epoch + 1}" + (f"/{last}" if last and last > 0 else "")


def _batches_left(trainer: pl.Trainer) -> float:
    """Batches until the end of the training; inf where that is not known."""
    batches, epochs = trainer.num_training_batches, trainer.max_epochs
    done = trainer.fit_loop.epoch_loop.batch_progress.current.completed
    left: float = math.inf
    if epochs is not None and epochs >= 0:
        left = batches * (epochs - trainer.current_epoch) - done
    if trainer.max_steps >= 0:
        steps = trainer.max_steps - trainer.global_step
        left = min(left, steps * trainer.accumulate_grad_batches)
    return left


def _mean_of(name: str) -> str:
    """The name of an epoch's mean of what is logged for each batch."""
    return name.removesuffix("_step") + "_epoch" if name.endswith("_step") else ""


def _batch_of(name: str) -> str:
    """The name of what is logged for each batch, of an epoch's mean of it."""
    return name.removesuffix("_epoch") + "_step" if name.endswith("_epoch") else ""


def _sentence(figures: Mapping[str, Any]) -> str:
    """``loss 0.693  accuracy 0.500``."""
    shown = (f"{k} {v:.3f}" if isinstance(v, float) else f"{k} {v}" for k, v in figures.items())
    return "  ".join(shown)
