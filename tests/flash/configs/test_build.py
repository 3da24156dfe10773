# SPDX-License-Identifier: Apache-2.0
"""Optimisers and schedules of recipes, against the published learning rates."""

from typing import Any

import pytest
import torch
from torch import nn

from flash.configs.build import build_optimizer, build_schedule
from flash.configs.files import load_recipe, recipe_names
from flash.core.published_rates import cosine_rate, stepped_rate


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4)),
        nn.Conv3d(4, 4, 1, bias=False),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


def rates(name: str, changes: list[str], steps: int, **batch: int) -> list[float]:
    recipe = load_recipe(name, changes)
    optimizer = build_optimizer(recipe, network(), **batch)
    schedule = build_schedule(recipe, optimizer, steps)
    found = []
    for _ in range(recipe.schedule.epochs * steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


def test_rates_are_those_of_the_recipe_at_the_exact_epoch() -> None:
    changes = ["schedule.epochs=20", "schedule.warmup_epochs=3"]
    found = rates("mvit_b_16x4", changes, 5, batch_size=2, ranks=128)
    policy: dict[str, Any] = {"base": 1.6e-3, "end": 1.6e-5, "warmup": 3, "start": 1.6e-5}
    policy |= {"max_epoch": 20, "cosine_after_warmup": True}
    assert found == pytest.approx([cosine_rate(step / 5, **policy) for step in range(100)])


def test_steps_of_a_recipe() -> None:
    found = rates("ava_slow_4x16_r50", [], 3, batch_size=8, ranks=16)  # twice the clips
    policy: dict[str, Any] = {"steps": [0, 10, 15, 20], "factors": [1, 0.1, 0.01, 0.001]}
    policy |= {"base": 0.2, "warmup": 5, "start": 0.00025}
    assert found == pytest.approx([stepped_rate(step / 3, **policy) for step in range(60)])


def test_layers_and_weight_decay_go_together() -> None:
    net = network()
    changes = ["regularize.layer_decay=0.5"]
    optimizer = build_optimizer(load_recipe("mvit_b_16x4", changes), net, batch_size=16)
    names = {parameter: name for name, parameter in net.named_parameters()}
    found = {
        names[parameter]: (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    assert found == {
        "0.0.weight": (2.5e-5, 0.05),
        "0.0.bias": (2.5e-5, 0.0),
        "0.1.weight": (2.5e-5, 0.0),
        "0.1.bias": (2.5e-5, 0.0),
        "1.weight": (5e-5, 0.05),
        "3.weight": (1e-4, 0.05),
        "3.bias": (1e-4, 0.0),
    }
    assert isinstance(optimizer, torch.optim.AdamW)


@pytest.mark.parametrize("name", recipe_names())
def test_each_recipe_takes_two_steps(name: str) -> None:
    recipe, net = load_recipe(name), network()
    optimizer = build_optimizer(recipe, net, batch_size=4)
    schedule = build_schedule(recipe, optimizer, steps_per_epoch=10)
    before = net[3].weight.clone()
    for _ in range(2):
        optimizer.zero_grad()
        net(torch.rand(2, 3, 1, 2, 2)).sum().backward()
        optimizer.step()
        schedule.step()
    # a bias before batch norm has no gradient; the classifier's weights have one
    assert not torch.equal(net[3].weight, before)


def test_no_steps_are_refused() -> None:
    recipe = load_recipe("slow_8x8_r50")
    with pytest.raises(ValueError, match="`steps_per_epoch` to be >= 1, but got 0"):
        build_schedule(recipe, build_optimizer(recipe, network(), batch_size=8), 0)
