# SPDX-License-Identifier: Apache-2.0
"""LARS and LAMB against torch's own optimisers where they are these, and against the formulas of their papers."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from flash.core.optimizer_names import optimizer_factory, scheduler_factory
from flash.core.optimizers import LAMB, LARS, LinearWarmupCosineAnnealingLR


def trained(make: Callable[[Any], Optimizer], steps: int = 5) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    weights = [
        nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for shape in ((4, 3), (4,))
    ]
    optimizer = make(weights)
    for _ in range(steps):
        optimizer.zero_grad()
        x = torch.randn(8, 3, generator=generator, dtype=torch.float64)
        ((x @ weights[0].T + weights[1]) ** 4).mean().backward()
        optimizer.step()
    return [weight.detach() for weight in weights]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda p: LARS(p, 0.01), lambda p: SGD(p, 0.01)),
        (
            lambda p: LARS(p, 0.01, momentum=0.9, nesterov=True),
            lambda p: SGD(p, 0.01, momentum=0.9, nesterov=True),
        ),
        (
            lambda p: LARS(p, 0.01, momentum=0.9, dampening=0.5),
            lambda p: SGD(p, 0.01, momentum=0.9, dampening=0.5),
        ),
        (
            lambda p: LAMB(p, 0.01, weight_decay=0.1, exclude_from_layer_adaptation=True),
            lambda p: AdamW(p, 0.01, weight_decay=0.1, eps=1e-6),
        ),
        (
            lambda p: LAMB(p, 0.01, exclude_from_layer_adaptation=True, amsgrad=True),
            lambda p: AdamW(p, 0.01, weight_decay=0, eps=1e-6, amsgrad=True),
        ),
    ],
)
def test_without_scaling_they_are_those_of_torch(ours: Any, theirs: Any) -> None:
    for got, wanted in zip(trained(ours), trained(theirs), strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


def test_steps_are_scaled_by_layer() -> None:
    weight = torch.tensor([3.0, 4.0], dtype=torch.float64)
    gradient = torch.tensor([0.0, 2.0], dtype=torch.float64)

    def moved(make: Callable[[Any], Optimizer]) -> Tensor:
        parameter = nn.Parameter(weight.clone())
        parameter.grad = gradient.clone()
        assert make([parameter]).step(lambda: 7.0) == 7.0
        return parameter.detach() - weight

    # LARS: local rate = 0.1 * |w| / (|g| + 0.5 |w|) = 0.1 * 5 / 4.5
    got = moved(lambda p: LARS(p, 2.0, weight_decay=0.5, trust_coefficient=0.1, eps=0.0))
    torch.testing.assert_close(got, -2.0 * (0.5 / 4.5) * (gradient + 0.5 * weight))
    # LAMB: the first step of Adam is the sign of the gradient, u = sign + 0.5 w, |w| = 5
    update = torch.tensor([1.5, 3.0], dtype=torch.float64)
    got = moved(
        lambda p: (
            LAMB(p, 0.1, weight_decay=0.5, eps=0.0)
            if p[0].grad.all()
            else LAMB(p, 0.1, weight_decay=0.5)
        )
    )
    torch.testing.assert_close(got, -0.1 * 5 / update.norm() * update, rtol=1e-5, atol=0)


def test_weights_of_zero_still_move() -> None:
    for make in (lambda p: LARS(p, 0.1, weight_decay=0.1), lambda p: LAMB(p, 0.1)):
        parameter = nn.Parameter(torch.zeros(2))
        parameter.grad = torch.ones(2)
        make([parameter]).step()
        assert (parameter < 0).all()


def test_rates_rise_and_fall() -> None:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], 1.0)
    schedule = LinearWarmupCosineAnnealingLR(optimizer, 5, 15, warmup_start_lr=0.2, eta_min=0.1)
    rates = []
    for _ in range(17):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    fall = [0.1 + 0.9 * (1 + math.cos(math.pi * k / 10)) / 2 for k in range(11)]
    assert rates[5:16] == pytest.approx(fall)
    assert rates[16] == pytest.approx(0.1)


def test_they_have_names() -> None:
    built = optimizer_factory(("lamb", {"weight_decay": 0.1}), 0.01)([nn.Parameter(torch.zeros(1))])
    assert isinstance(built, LAMB) and built.defaults["lr"] == 0.01
    assert isinstance(optimizer_factory("LARS", 0.1)([nn.Parameter(torch.zeros(1))]), LARS)
    spec = ("linearwarmupcosineannealinglr", {"warmup_epochs": 2, "max_epochs": 9})
    record = scheduler_factory(spec)(SGD([nn.Parameter(torch.zeros(1))], 1.0))
    assert isinstance(record["scheduler"], LinearWarmupCosineAnnealingLR)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda p: LARS(p, -1.0), "`lr` to be >= 0, but got -1.0"),
        (lambda p: LARS(p, 1.0, nesterov=True), "`nesterov` to be False without momentum"),
        (lambda p: LAMB(p, betas=(0.9, 1.0)), "`betas` to be two numbers in"),
        (
            lambda p: LinearWarmupCosineAnnealingLR(SGD(p, 1.0), 5, 5),
            "`warmup_epochs` to be between 0 and max_epochs = 5",
        ),
    ],
)
def test_bad_arguments(make: Callable[[Any], Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        make([nn.Parameter(torch.zeros(1))])
