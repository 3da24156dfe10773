# SPDX-License-Identifier: Apache-2.0
"""Schedules by the names of transformers: closed forms, transformers itself, and the steps of a run."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import IterableDataset, TensorDataset

import flash
from flash.core.data.data_module import DataModule
from flash.core.model import Task
from flash.core.optimizer_names import scheduler_factory
from flash.core.schedules import SCHEDULES
from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler

WARMUP, STEPS, RATE = 4, 20, 0.5
CURVES: dict[str, Callable[[float], float]] = {
    "constant_schedule_with_warmup": lambda p: 1.0,
    "linear_schedule_with_warmup": lambda p: 1 - p,
    "cosine_schedule_with_warmup": lambda p: (1 + math.cos(math.pi * p)) / 2,
    "cosine_with_hard_restarts_schedule_with_warmup": lambda p: (
        0.0 if p >= 1 else (1 + math.cos(math.pi * (2 * p % 1))) / 2
    ),
    "polynomial_decay_schedule_with_warmup": lambda p: 0.1 + 0.9 * (1 - p) ** 2,
}
MORE = {
    "cosine_with_hard_restarts_schedule_with_warmup": {"num_cycles": 2},
    "polynomial_decay_schedule_with_warmup": {"lr_end": 0.1 * RATE, "power": 2.0},
}


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=RATE)


def rates(spec: Any, steps: int = STEPS) -> list[float]:
    built = optimizer()
    record = scheduler_factory(spec)(built, lambda: STEPS)
    assert record["interval"] == "step"
    found = []
    for _ in range(steps + 1):
        found.append(built.param_groups[0]["lr"])
        built.step()
        record["scheduler"].step()
    return found


@pytest.mark.parametrize("name", CURVES)
@pytest.mark.parametrize("warmup", [WARMUP, WARMUP / STEPS])
def test_closed_forms(name: str, warmup: float) -> None:
    found = rates((name.upper(), {"num_warmup_steps": warmup, **MORE.get(name, {})}))
    assert found[:WARMUP] == pytest.approx([RATE * i / WARMUP for i in range(WARMUP)])
    done = [(step - WARMUP) / (STEPS - WARMUP) for step in range(WARMUP, STEPS + 1)]
    assert found[WARMUP:] == pytest.approx([RATE * CURVES[name](p) for p in done], abs=1e-12)


@pytest.mark.parametrize("name", [name for name in SCHEDULES if not name.startswith("published")])
def test_same_as_transformers(name: str) -> None:
    optimization = pytest.importorskip("transformers.optimization")
    kwargs: dict[str, Any] = dict(MORE.get(name, {}))
    if name != "constant_schedule":
        kwargs["num_warmup_steps"] = WARMUP
    found = rates((name, kwargs), STEPS + 3)
    built = optimizer()
    theirs = getattr(optimization, f"get_{name}")
    if "constant" not in name:
        kwargs["num_training_steps"] = STEPS
    schedule = theirs(built, **kwargs)
    wanted = []
    for _ in found:
        wanted.append(built.param_groups[0]["lr"])
        built.step()
        schedule.step()
    assert found == pytest.approx(wanted, abs=1e-12)


def test_state_is_plain_and_resumes(tmp_path: Path) -> None:
    spec = ("cosine_schedule_with_warmup", {"num_warmup_steps": 0.2})
    first, second = optimizer(), optimizer()
    schedule = scheduler_factory(spec)(first, lambda: STEPS)["scheduler"]
    for _ in range(7):
        first.step()
        schedule.step()
    torch.save(schedule.state_dict(), tmp_path / "state.pt")
    other = scheduler_factory(spec)(second, lambda: STEPS)["scheduler"]
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    second.step()
    other.step()
    first.step()
    schedule.step()
    assert other.get_last_lr() == schedule.get_last_lr()


def test_a_longer_run_goes_on_with_the_schedule_of_all_its_steps() -> None:
    """As the Trainer of transformers does it: the rate, which was 0, rises to where the longer schedule is."""
    spec = ("cosine_schedule_with_warmup", {"num_warmup_steps": 2})
    first, second, whole = optimizer(), optimizer(), optimizer()
    ended = scheduler_factory(spec)(first, lambda: STEPS)["scheduler"]
    longer = scheduler_factory(spec)(second, lambda: 2 * STEPS)["scheduler"]
    wanted = scheduler_factory(spec)(whole, lambda: 2 * STEPS)["scheduler"]
    for _ in range(STEPS):
        first.step()
        ended.step()
    assert ended.get_last_lr() == [0.0]
    longer.load_state_dict(ended.state_dict())
    second.step()
    longer.step()
    for _ in range(STEPS + 1):
        whole.step()
        wanted.step()
    assert longer.get_last_lr() == wanted.get_last_lr() != [0.0]


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("linear_schedule_with_warmup", TypeError, r'"linear_schedule_with_warmup", {"num_warmup'),
        (
            ("linear_schedule_with_warmup", {"num_warmup_steps": 1.5}),
            ValueError,
            "a share of all steps as a float in 0..1, but got 1.5",
        ),
        (("cosine_schedule_with_warmup", {"num_warmup_steps": -1}), ValueError, "but got -1"),
        (("cosine_schedule_with_warmup", {"num_warmup_steps": True}), ValueError, "but got True"),
        (("constant_schedule", {"gamma": 2}), TypeError, "arguments among last_epoch, but got"),
        (("StepLR", {"steps": 2}), TypeError, "arguments among step_size, gamma"),
        ("linear_schedule_with_warmp", KeyError, "Did you mean linear_schedule_with_warmup"),
    ],
)
def test_unfit_schedules(spec: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        scheduler_factory(spec)


def test_end_of_a_polynomial_must_be_lower() -> None:
    spec = ("polynomial_decay_schedule_with_warmup", {"num_warmup_steps": 0, "lr_end": 2.0})
    with pytest.raises(ValueError, match=r"`lr_end` to be in 0..0.5"):
        scheduler_factory(spec)(optimizer(), lambda: STEPS)


class Linear(Task):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(F.cross_entropy, optimizer="sgd", learning_rate=RATE, **kwargs)
        self.layer = nn.Linear(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.flatten(1).mean(dim=1, keepdim=True))

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return super().training_step(
            batch if isinstance(batch, dict) else {"video": batch[0], "label": batch[1]}, batch_idx
        )


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        while True:
            yield {"video": torch.zeros(1), "label": 0}


def trainer(**kwargs: Any) -> flash.Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    return flash.Trainer(**quiet, enable_model_summary=False, accelerator="cpu", **kwargs)


SPEC = ("linear_schedule_with_warmup", {"num_warmup_steps": 0.0})


def test_steps_of_sized_data() -> None:
    task, run = Linear(lr_scheduler=SPEC), trainer(max_epochs=2, accumulate_grad_batches=2)
    loader = torch.utils.data.DataLoader(
        TensorDataset(torch.zeros(10, 1), torch.zeros(10).long()), batch_size=2
    )
    run.fit(task, loader)
    # 5 batches are 3 optimiser steps: 6 in all, after which the rate is 0
    assert run.global_step == 6
    assert run.optimizers[0].param_groups[0]["lr"] == 0


def test_steps_of_videos_with_a_random_clip_each(make_video: Callable[..., Path]) -> None:
    video = make_video("steps.mp4", num_frames=4, height=16, width=16)
    dataset = LabeledVideoDataset(
        [(str(video), {"label": i % 2}) for i in range(5)],
        make_clip_sampler("random", 0.05),
        transform=lambda sample: {**sample, "video": sample["video"][:, :1]},
        decode_audio=False,
    )
    task, run = Linear(lr_scheduler=SPEC), trainer(max_epochs=2)
    run.fit(task, datamodule=DataModule({"train": dataset}, batch_size=2))
    assert run.global_step == 6
    assert run.optimizers[0].param_groups[0]["lr"] == 0


def test_steps_of_data_without_length() -> None:
    data = DataModule({"train": Endless()})
    run = trainer(max_steps=4)
    run.fit(Linear(lr_scheduler=SPEC), datamodule=data)
    assert run.optimizers[0].param_groups[0]["lr"] == 0
    with pytest.raises(ValueError, match=r"Give the Trainer max_steps=..., or the schedule"):
        trainer(max_epochs=1).fit(Linear(lr_scheduler=SPEC), datamodule=data)
    # a number of warm-up steps is enough where nothing falls afterwards
    constant = ("constant_schedule_with_warmup", {"num_warmup_steps": 2})
    run = trainer(max_epochs=1, limit_train_batches=3)
    run.fit(Linear(lr_scheduler=constant), datamodule=data)
    assert run.optimizers[0].param_groups[0]["lr"] == RATE
