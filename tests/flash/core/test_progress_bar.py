# SPDX-License-Identifier: Apache-2.0
"""The bar and the summary of ``flash.Trainer``: epochs, time left, whole names."""

import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest
import pytorch_lightning as pl
import rich
import torch
from pytorch_lightning.callbacks import RichModelSummary, RichProgressBar, TQDMProgressBar
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

import flash
from flash.core.progress_bar import Summary, TrainingBar

NAMES = ("train_accuracy_of_a_long_name_epoch", "val_accuracy_of_a_long_name")


class Task(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Linear(1, 2)
        self.head = nn.Linear(2, 1).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x))

    def training_step(self, batch: Tensor, _: int) -> Tensor:
        loss = self(batch).mean()
        on: Any = {"on_step": True, "on_epoch": True, "prog_bar": True}
        self.log("train_accuracy_of_a_long_name", batch.mean(), **on)
        return loss

    def validation_step(self, batch: Tensor, _: int, dataloader_idx: int = 0) -> None:
        self.log("val_accuracy_of_a_long_name", batch.mean(), prog_bar=True)

    def predict_step(self, batch: Tensor, _: int) -> Tensor:
        return self(batch)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.1)


class Clock:
    """A second passes with each batch that is read."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def collate(self, samples: list[Tensor]) -> Tensor:
        self.now += 1
        return torch.stack(samples)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Returns what is printed by a training of four batches an epoch and one of validation."""

    def run(terminal: bool = True, loader: Any = None, **options: Any) -> str:
        console = Console(file=io.StringIO(), force_terminal=terminal, width=60)
        monkeypatch.setattr(rich, "get_console", lambda: console)
        clock = Clock()
        quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "num_sanity_val_steps": 0}
        trainer = flash.Trainer(**quiet, enable_checkpointing=False, **{"max_epochs": 3, **options})
        bar = trainer.progress_bar_callback
        if isinstance(bar, TrainingBar):
            bar._clock = clock
        numbers: Any = list(torch.arange(4.0)[:, None])
        train = DataLoader(numbers, 1, collate_fn=clock.collate) if loader is None else loader
        trainer.fit(Task(), train, DataLoader(numbers, 4, collate_fn=clock.collate))
        written = console.file.getvalue()  # type: ignore[attr-defined]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)

    return run


def test_a_line_for_each_epoch_on_a_pipe(run: Callable[..., str]) -> None:
    lines = [line for line in run(terminal=False).splitlines() if line.startswith("Epoch")]
    assert [line.split("  ")[:2] for line in lines] == [
        [f"Epoch {epoch}/3", "4 batches in 0:00:05"] for epoch in (1, 2, 3)
    ]
    # the mean of 0, 1, 2, 3 both times, and not the last batch
    assert {line.split("  ", 2)[2] for line in lines} == {f"{NAMES[1]} 1.500  {NAMES[0]} 1.500"}


def test_the_bar_has_the_epoch_and_the_time_left_of_all_epochs(run: Callable[..., str]) -> None:
    shown = run()
    # five seconds for four batches and their validation: what is drawn last of each epoch
    ends = re.findall(r"Epoch (\d/\d) +\S+ 4/4 ([\d.]+) batches/s +(\S+) left", shown)
    # validation comes after the batches, and is in the average from the second epoch on
    assert list(dict.fromkeys(ends)) == [
        ("1/3", "1.0", "0:00:08"),
        ("2/3", "0.9", "0:00:04"),
        ("3/3", "0.9", "0:00:00"),
    ]


def test_no_name_is_cut(run: Callable[..., str]) -> None:
    shown = run()
    assert "…" not in shown
    assert all(name in shown for name in NAMES)


def test_steps_bound_the_time_left_too(run: Callable[..., str]) -> None:
    shown = run(max_steps=6)
    assert re.findall(r"Epoch 2/3 +\S+ 2/4 \S+ batches/s +(\S+) left", shown)[-1] == "0:00:00"


def test_of_a_loader_without_length_no_time_is_told(run: Callable[..., str]) -> None:
    class Endless(torch.utils.data.IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(torch.arange(4.0)[:, None])

    shown = run(loader=DataLoader(Endless(), 1))
    epochs = [line for line in shown.splitlines() if "/?" in line]
    assert any("4/?" in line for line in epochs)
    assert not any("left" in line for line in epochs)


@pytest.mark.parametrize("terminal", [True, False])
def test_the_summary_counts_parameters_and_no_flops(
    run: Callable[..., str], terminal: bool
) -> None:
    rows = [re.findall(r"\w+", line) for line in run(terminal).splitlines()]
    assert ["trunk", "Linear", "4", "4"] in rows
    assert ["head", "Linear", "3", "0"] in rows
    assert ["Task", "7", "4"] in rows
    assert not any("FLOPs" in row for row in rows)


def test_flops_are_told_where_they_are_known(
    monkeypatch: pytest.MonkeyPatch, run: Callable[..., str]
) -> None:
    monkeypatch.setattr(Task, "example_input_array", torch.ones(1, 1))
    # two multiplications with 1 and two with 2 numbers, and additions
    assert re.search(r"Total FLOPs: 8", run(terminal=False))


def test_what_is_given_or_switched_off_is_not_replaced() -> None:
    quiet: dict[str, Any] = {"accelerator": "cpu", "logger": False, "enable_checkpointing": False}
    given = [RichProgressBar(), RichModelSummary()]
    kept = flash.Trainer(**quiet, callbacks=given).callbacks
    assert all(one in kept for one in given)
    assert not any(isinstance(one, (TrainingBar, Summary)) for one in kept)
    own = flash.Trainer(**quiet, callbacks=TQDMProgressBar())
    assert type(own.progress_bar_callback) is TQDMProgressBar
    off = flash.Trainer(**quiet, enable_progress_bar=False, enable_model_summary=False)
    assert off.progress_bar_callback is None
    assert not any(isinstance(one, Summary) for one in off.callbacks)


def test_validation_and_prediction_have_bars_that_go(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=60)
    monkeypatch.setattr(rich, "get_console", lambda: console)
    trainer = flash.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    loader: Any = DataLoader(list(torch.arange(4.0)[:, None]))  # type: ignore[arg-type]
    trainer.validate(Task(), [loader, loader], verbose=False)
    assert len(trainer.predict(Task(), loader)) == 4
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "Validation" in shown and "Predicting" in shown
    bar = trainer.progress_bar_callback
    assert isinstance(bar, TrainingBar) and bar._bars is None


def test_the_bar_goes_into_other_processes() -> None:
    assert pickle.loads(pickle.dumps(TrainingBar()))._bars is None
