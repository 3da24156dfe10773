# SPDX-License-Identifier: Apache-2.0
"""Losses, metrics and their logged names; which keys a batch may have."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import IterableDataset
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

import flash
from flash.core.data.data_module import DataModule
from flash.core.model import Task


class Linear(Task):
    """Two classes from four numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"loss_fn": F.cross_entropy, **kwargs})
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Points(IterableDataset[Any]):
    """Eight points whose class is the sign of their first number."""

    def __init__(self, keys: tuple[str, str] = ("video", "label")) -> None:
        self.keys = keys

    def __iter__(self) -> Iterator[Any]:
        generator = torch.Generator().manual_seed(0)
        for _ in range(8):
            point = torch.randn(4, generator=generator)
            yield {self.keys[0]: point, self.keys[1]: int(point[0] > 0)}


def trainer(epochs: int = 1) -> flash.Trainer:
    return flash.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def data(**kwargs: Any) -> DataModule:
    return DataModule(
        {"train": Points(**kwargs), "val": Points(**kwargs), "test": Points(**kwargs)}
    )


def test_logged_names_and_values() -> None:
    task = Linear(
        metrics=MulticlassAccuracy(2, average="micro"), optimizer="SGD", learning_rate=0.0
    )
    run = trainer()
    run.fit(task, datamodule=data())
    both = {"cross_entropy", "accuracy"}
    assert set(run.callback_metrics) == {f"val_{n}" for n in both} | {
        f"train_{n}{suffix}" for n in both for suffix in ("", "_step", "_epoch")
    }
    points = list(Points())
    x, y = torch.stack([p["video"] for p in points]), torch.tensor([p["label"] for p in points])
    loss = F.cross_entropy(task.layer(x), y).detach()
    accuracy = (task.layer(x).argmax(dim=1) == y).float().mean()
    # nothing was learnt at a rate of zero: all stages see the same
    for stage in ("train", "val"):
        torch.testing.assert_close(run.callback_metrics[f"{stage}_cross_entropy"], loss)
        torch.testing.assert_close(run.callback_metrics[f"{stage}_accuracy"], accuracy)
    (tested,) = run.test(task, datamodule=data(), verbose=False)
    assert tested["test_accuracy"] == pytest.approx(float(accuracy))
    (validated,) = run.validate(task, datamodule=data(), verbose=False)
    assert validated["val_cross_entropy"] == pytest.approx(float(loss))


def test_several_losses_and_metrics() -> None:
    def margin(logits: Tensor, targets: Tensor) -> Tensor:
        return F.multi_margin_loss(logits, targets)

    task = Linear(
        loss_fn=[nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0])), margin],
        metrics={"f1": MulticlassF1Score(2), "half": lambda logits, targets: torch.tensor(0.5)},
    )
    run = trainer()
    run.fit(task, datamodule=data())
    values = run.callback_metrics
    assert values["val_loss"] == pytest.approx(
        float(values["val_cross_entropy_loss"] + values["val_margin"])
    )
    assert values["val_half"] == 0.5
    assert "val_f1" in values
    assert "loss_modules.cross_entropy_loss.weight" in task.state_dict()


def test_names_of_metrics() -> None:
    task = Linear(metrics=[MulticlassF1Score(2), MulticlassAccuracy(2)])
    assert set(task._metrics) == {"f1_score", "accuracy"}
    for unfit in (3, [3], {}):
        with pytest.raises(
            TypeError, match="`metrics` to be a callable, or a list or dict of them"
        ):
            Linear(metrics=unfit)
    with pytest.raises(TypeError, match="`loss_fn` to be a callable"):
        Linear(loss_fn="cross_entropy")


def test_later_names_of_the_keys() -> None:
    run = trainer()
    run.fit(Linear(), datamodule=data(keys=("input", "target")))
    assert "val_cross_entropy" in run.callback_metrics
    with pytest.raises(KeyError, match="to have the key 'label' or 'target', but its keys are"):
        trainer().fit(Linear(), datamodule=data(keys=("video", "class")))


def test_optimizer_and_scheduler_reach_the_trainer() -> None:
    task = Linear(
        optimizer=("sgd", {"momentum": 0.9}),
        learning_rate=0.8,
        lr_scheduler=("steplr", {"step_size": 1, "gamma": 0.5}),
    )
    run = trainer(2)
    run.fit(task, datamodule=data())
    (group,) = run.optimizers[0].param_groups
    assert (group["momentum"], group["lr"]) == (0.9, 0.2)


def test_it_learns() -> None:
    task = Linear(metrics=MulticlassAccuracy(2, average="micro"), learning_rate=0.1)
    run = trainer(30)
    run.fit(task, datamodule=data())
    assert run.callback_metrics["val_accuracy"] == 1


def test_available_names() -> None:
    assert Task.available_finetuning_strategies() == [
        "freeze",
        "freeze_unfreeze",
        "no_freeze",
        "unfreeze_milestones",
    ]
    assert "Adam" in Task.available_optimizers()
    assert "StepLR" in Task.available_lr_schedulers()
    assert "labels" in Task.available_outputs()
