# SPDX-License-Identifier: Apache-2.0
"""Published learning rates and multigrid's schedule against vectors, and schedules against the pure functions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flash.core.multigrid import (
    Schedule,
    ShortCycleBatches,
    clip_pixels,
    multigrid_schedule,
    norm_plan,
)
from flash.core.optimizer_names import scheduler_factory
from flash.core.published_rates import batch_scale, cosine_rate, stepped_rate
from flash.core.weight_decay import weight_decay_groups

VECTORS = Path(__file__).resolve().parents[4] / "shared/reference/research/training_vectors.json"
# typed in from the same source: epoch -> rate
SLOW = {"base": 0.8, "warmup": 34, "start": 0.01, "max_epoch": 196}
MVIT = {
    **{"base": 1.6e-3, "end": 1.6e-5, "warmup": 30, "start": 1.6e-5, "max_epoch": 200},
    "cosine_after_warmup": True,
}
TYPED = [
    (SLOW, {0: 0.01, 10.25: 0.2306936861271153, 34: 0.7420571052021385, 100: 0.3871793689713379}),
    (MVIT, {0: 1.6e-5, 10.25: 0.0005572, 34: 0.0015978371853215443, 199.99: 1.600001352374853e-05}),
]


def vectors(part: str) -> list[dict[str, Any]]:
    if not VECTORS.is_file():
        pytest.skip("the shared training_vectors.json is not there")
    return list(json.loads(VECTORS.read_text(encoding="utf-8"))[part])


def test_rates_are_those_of_the_trainers() -> None:
    cases = vectors("lr")
    assert len(cases) == 35
    for case in cases:
        wanted, epoch = case.pop("lr"), case.pop("epoch")
        assert cosine_rate(epoch, **case) == pytest.approx(wanted, rel=1e-9), (epoch, case)


@pytest.mark.parametrize(("recipe", "rates"), TYPED)
def test_rates_of_two_recipes(recipe: dict[str, Any], rates: dict[float, float]) -> None:
    for epoch, rate in rates.items():
        assert cosine_rate(epoch, **recipe) == pytest.approx(rate, rel=1e-9)
    # it does not rise again after the end
    assert cosine_rate(10_000, **recipe) == pytest.approx(recipe.get("end", 0))


def test_steps_with_relative_rates() -> None:
    ava: dict[str, Any] = {"base": 0.1, "steps": [0, 10, 15, 20], "factors": [1, 0.1, 0.01, 0.001]}
    ava |= {"warmup": 5, "start": 0.000125}
    found = [stepped_rate(epoch, **ava) for epoch in (0, 2.5, 5, 9.99, 10, 15, 19.9)]
    assert found == pytest.approx([0.000125, 0.0500625, 0.1, 0.1, 0.01, 0.001, 0.001])
    # a warm-up that lasts beyond a step rises to what is due at its end
    assert stepped_rate(6, **ava | {"warmup": 12}) == pytest.approx(
        0.000125 + 0.5 * (0.01 - 0.000125)
    )


def test_rates_grow_with_the_batch() -> None:
    # eight nodes of eight processes with 8 clips each: 0.1 a node of 64 clips is the 0.8 of the public trainer
    assert batch_scale(8, 64, reference=64) * 0.1 == pytest.approx(0.8)
    assert batch_scale(8, 8, reference=64) == 1
    with pytest.raises(ValueError, match="`ranks` to be >= 1, but got 0"):
        batch_scale(8, 0, reference=64)


def rates_of(name: str, steps: int, arguments: dict[str, Any], base: float) -> list[list[float]]:
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (base, base / 2)]
    optimizer = torch.optim.SGD(groups, lr=base)
    record = scheduler_factory((name, arguments))(optimizer, lambda: steps)
    assert record["interval"] == "step"
    found = []
    for _ in range(steps):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        record["scheduler"].step()
    return found


@pytest.mark.parametrize("after", [False, True])
def test_the_schedule_is_the_rate_at_the_exact_epoch(after: bool) -> None:
    # 20 epochs of 5 steps, 3 of them a warm-up
    arguments = {"num_warmup_steps": 15, "warmup_start_lr": 0.01, "lr_end": 0.002}
    found = rates_of(
        "published_cosine_schedule", 100, arguments | {"cosine_after_warmup": after}, 0.4
    )
    recipe: dict[str, Any] = {"base": 0.4, "end": 0.002, "warmup": 3, "start": 0.01}
    wanted = [
        cosine_rate(step / 5, max_epoch=20, cosine_after_warmup=after, **recipe)
        for step in range(100)
    ]
    assert [rates[0] for rates in found] == pytest.approx(wanted)
    assert [rates[1] for rates in found] == pytest.approx([rate / 2 for rate in wanted])


def test_the_schedule_of_steps() -> None:
    arguments = {"num_warmup_steps": 0.1, "steps": [0, 0.5, 0.75], "factors": [1, 0.1, 0.01]}
    found = rates_of("published_steps_schedule", 20, arguments, 0.1)
    recipe: dict[str, Any] = {"steps": [0, 10, 15], "factors": [1, 0.1, 0.01], "warmup": 2}
    wanted = [stepped_rate(step, base=0.1, **recipe) for step in range(20)]
    assert [rates[0] for rates in found] == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("function", "wrong", "sentence"),
    [
        (cosine_rate, {"base": 1, "max_epoch": 10, "warmup": 10}, "`warmup` to be in 0..10 epochs"),
        (stepped_rate, {"base": 1, "steps": [1], "factors": [1]}, "`steps` to be epochs that rise"),
        (stepped_rate, {"base": 1, "steps": [0, 2], "factors": [1]}, "`factors` to be 2, one a st"),
    ],
)
def test_impossible_policies_are_refused(function: Any, wrong: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        function(0, **wrong)


def check_multigrid(plan: Schedule, case: dict[str, Any]) -> None:
    found = [[s.stage, list(s.shape), s.end_epoch] for s in plan.stretches]
    assert found == case["schedule"]
    assert list(plan.steps) == case["out_steps"]
    assert list(plan.factors) == pytest.approx(case["out_lrs"])
    assert plan.max_epoch == case["out_max_epoch"]


def test_multigrid_is_that_of_pyslowfast() -> None:
    cases = vectors("multigrid")
    assert len(cases) == 3
    for case in cases:
        sizes = {"num_frames": case["T"], "crop_size": case["S"]}
        factor = case["epoch_factor"]
        plan = multigrid_schedule(case["steps"], case["max_epoch"], epoch_factor=factor, **sizes)
        check_multigrid(plan, case)


def test_multigrid_of_charades() -> None:
    whole, half, short, least = (1, 64, 224), (2, 32, 224), (4, 32, 158), (8, 16, 158)
    ends = [(0, least, 31), (0, short, 47), (0, half, 60), (0, whole, 67)]
    ends += [(1, least, 73), (1, short, 76), (1, half, 79), (1, whole, 80), (2, whole, 86)]
    case = {
        "schedule": [[stage, list(shape), end] for stage, shape, end in ends],
        "out_steps": [0, 31, 47, 60, 67, 73, 76, 79, 80, 83],
        "out_lrs": [8.0, 4.0, 2.0, 1.0, 0.8, 0.4, 0.2, 0.1, 0.1, 0.01],
        "out_max_epoch": 86,
    }
    plan = multigrid_schedule([0, 41, 49], 57, num_frames=64, crop_size=224)
    check_multigrid(plan, case)
    assert plan.at(30.9).shape == least and plan.at(31).shape == short and plan.at(99).stage == 2
    # the rates are a policy
    rate = stepped_rate(50, base=0.0375, steps=plan.steps, factors=plan.factors)
    assert rate == pytest.approx(0.075)
    # half of the pixels of the ordinary training, or fewer
    assert clip_pixels(plan, 100, 224) <= 57 * 100 * 64 * 224**2 / 2


def test_each_step_costs_about_the_same() -> None:
    batches = list(ShortCycleBatches(range(70), 2, current=224, crop_size=224))
    assert [(len(batch), batch[0][1]) for batch in batches[:4]] == [
        (8, 112),
        (4, 158),
        (2, 224),
        (8, 112),
    ]
    assert all(len({crop for _, crop in batch}) == 1 for batch in batches)
    assert [index for batch in batches for index, _ in batch] == list(range(70))
    pixels = [len(batch) * batch[0][1] ** 2 for batch in batches[:-1]]
    assert max(pixels) < 1.01 * min(pixels)


@pytest.mark.parametrize("clips", range(0, 16))
def test_the_number_of_batches_is_known(clips: int) -> None:
    batches = ShortCycleBatches(range(clips), 1, current=224, crop_size=224)
    assert len(batches) == len(list(batches))


def test_statistics_are_of_about_eight_clips() -> None:
    found = {size: norm_plan(size) for size in (1, 3, 4, 8, 12, 16, 64)}
    wanted = {1: ("sync", 8), 3: ("sync", 2), 4: ("sync", 2), 8: ("plain", 1), 12: ("plain", 1)}
    assert found == wanted | {16: ("split", 2), 64: ("split", 8)}


@pytest.mark.parametrize("steps", [[0], [0, 10], [5, 8], [0, 5, 5]])
def test_impossible_stretches_are_refused(steps: list[int]) -> None:
    with pytest.raises(
        ValueError, match="`steps` to be two epochs or more that rise from 0 to bef"
    ):
        multigrid_schedule(steps, 10, num_frames=8, crop_size=32)


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.conv = nn.Conv3d(1, 4, 1)
        self.batch_norm = nn.BatchNorm3d(4)
        self.layer_norm = nn.LayerNorm(4)
        self.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)


@pytest.mark.parametrize(
    ("options", "without"),
    [
        ({}, {"batch_norm.weight", "batch_norm.bias"}),
        (
            {"zero_1d": True},
            {
                "batch_norm.weight",
                "batch_norm.bias",
                "conv.bias",
                "layer_norm.weight",
                "layer_norm.bias",
            },
        ),
        ({"exempt": ["cls_token"], "batch_norm_decay": 0.5}, {"cls_token"}),
    ],
)
def test_parameters_without_decay(options: dict[str, Any], without: set[str]) -> None:
    network = Network()
    groups = weight_decay_groups(network, 0.5, **options)
    names = {parameter: name for name, parameter in network.named_parameters()}
    found = {names[p]: group["weight_decay"] for group in groups for p in group["params"]}
    assert set(found) == {name for name, _ in network.named_parameters()} - {"frozen"}
    assert {name for name, decay in found.items() if decay == 0} == without
    optimizer = torch.optim.AdamW(groups, lr=0.1)
    assert len(optimizer.param_groups) == 2


def test_names_of_no_parameter_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`exempt` to be names of parameters, but got \['pos'\]"):
        weight_decay_groups(Network(), 0.1, exempt=["pos", "conv.bias"])
    with pytest.raises(ValueError, match="`weight_decay` to be >= 0, but got -1"):
        weight_decay_groups(Network(), -1)
