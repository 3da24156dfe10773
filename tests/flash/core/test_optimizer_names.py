# SPDX-License-Identifier: Apache-2.0
"""Optimisers and schedulers in every form."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from flash.core.optimizer_names import (
    optimizer_classes,
    optimizer_factory,
    scheduler_factory,
    schedulers,
)


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.zeros(2))]


@pytest.mark.parametrize(
    ("spec", "rate", "wanted_class", "wanted_rate"),
    [
        ("Adam", None, torch.optim.Adam, 1e-3),
        ("adam", 0.5, torch.optim.Adam, 0.5),
        ("SGD", 0.1, torch.optim.SGD, 0.1),
        (torch.optim.AdamW, 0.1, torch.optim.AdamW, 0.1),
        (partial(torch.optim.SGD, lr=0.3), None, torch.optim.SGD, 0.3),
        (("rmsprop", {"lr": 0.2}), None, torch.optim.RMSprop, 0.2),
        (("sgd", {"lr": 0.2, "momentum": 0.9}), None, torch.optim.SGD, 0.2),
    ],
)
def test_forms_of_an_optimizer(
    spec: Any, rate: float | None, wanted_class: type, wanted_rate: float
) -> None:
    optimizer = optimizer_factory(spec, rate)(parameters())
    assert type(optimizer) is wanted_class
    assert optimizer.param_groups[0]["lr"] == wanted_rate


@pytest.mark.parametrize("spec", ["SGD", "sgd", torch.optim.SGD, ("SGD", {"momentum": 0.9})])
def test_sgd_needs_a_rate(spec: Any) -> None:
    message = "The `learning_rate` argument is required when the optimizer is SGD."
    with pytest.raises(TypeError, match=message):
        optimizer_factory(spec, None)


def test_unfit_optimizers() -> None:
    with pytest.raises(KeyError, match=r"Unknown optimizer 'Adamm'. Did you mean Adam"):
        optimizer_factory("Adamm", None)
    for spec in (3, ("Adam", 3), None):
        with pytest.raises(TypeError, match="`optimizer` to be a name, a class"):
            optimizer_factory(spec, None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`learning_rate` to be given once"):
        optimizer_factory(("Adam", {"lr": 1.0}), 0.1)
    with pytest.raises(ValueError, match="`learning_rate` to be >= 0"):
        optimizer_factory("Adam", -0.1)


@pytest.mark.parametrize(
    ("spec", "wanted"),
    [
        (("StepLR", {"step_size": 3}), {"interval": "epoch"}),
        ("constantlr", {"interval": "epoch"}),
        (partial(torch.optim.lr_scheduler.StepLR, step_size=3), {"interval": "epoch"}),
        (("steplr", {"step_size": 3}, {"interval": "step"}), {"interval": "step"}),
        (
            ("ReduceLROnPlateau", {"patience": 1}, {"monitor": "val_accuracy"}),
            {"interval": "epoch", "monitor": "val_accuracy"},
        ),
    ],
)
def test_forms_of_a_scheduler(spec: Any, wanted: dict[str, Any]) -> None:
    record = scheduler_factory(spec)(torch.optim.Adam(parameters()))
    assert isinstance(record.pop("scheduler"), torch.optim.lr_scheduler.LRScheduler)
    assert record == wanted


def test_unfit_schedulers() -> None:
    with pytest.raises(KeyError, match=r"Unknown lr_scheduler 'StepLRR'. Did you mean .*StepLR"):
        scheduler_factory("StepLRR")
    for spec in (3, ("StepLR", 3), ("StepLR", {}, {}, {})):
        with pytest.raises(TypeError, match="`lr_scheduler` to be a name, a callable"):
            scheduler_factory(spec)  # type: ignore[arg-type]


def test_all_names_are_classes_of_torch() -> None:
    assert {"Adam", "AdamW", "SGD", "RMSprop"} <= set(optimizer_classes())
    assert "Optimizer" not in optimizer_classes()
    assert {"StepLR", "CosineAnnealingLR", "OneCycleLR", "ReduceLROnPlateau"} <= set(schedulers())
    assert not {"LRScheduler", "_LRScheduler", "SequentialLR"} & set(schedulers())
