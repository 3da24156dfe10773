# SPDX-License-Identifier: Apache-2.0
"""``flash.Trainer`` in two processes: the parameters, steps and scores of one process."""

import os
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, SequentialSampler, WeightedRandomSampler
from torchmetrics.classification import MulticlassAccuracy

import flash
from flash.core.distributed import EqualSteps, SharedDraws, share_among_ranks
from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.transforms.clip_recipe import ClipRecipe

FOLDER = "TEST_DISTRIBUTED_VIDEOS"
RECIPE = ClipRecipe(num_frames=4, sampling_rate=2, frames_per_second=16, side_size=16, crop_size=16)


class Net(nn.Module):
    """Without BatchNorm, whose statistics are those of the batch of each process."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            # with channels last, a depthwise kernel's gradient has another stride in its dimension of size 1
            convolutions = nn.Conv3d(3, 4, 3), nn.Conv3d(4, 4, 3, groups=4, padding=1)
            self.trunk = nn.Sequential(
                *convolutions, nn.GroupNorm(2, 4), nn.ReLU(), nn.AdaptiveAvgPool3d(1)
            )
            self.classifier = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = x.contiguous(memory_format=torch.channels_last_3d)
        return self.classifier(self.trunk(x).flatten(1))


# the last three of eight videos, ten draws
WEIGHTED = {"video_sampler": partial(WeightedRandomSampler, [0.0] * 5 + [1.0] * 3, num_samples=10)}


def data(folder: Path, batch_size: int, **options: Any) -> VideoClassificationData:
    files = sorted(folder.glob("*.mp4"))
    return VideoClassificationData.from_files(
        train_files=files,
        train_targets=[int(file.stem) % 2 for file in files],
        val_files=files[:5],
        val_targets=[int(file.stem) % 2 for file in files[:5]],
        recipe=RECIPE,
        train_transform=RECIPE.transforms(key="video"),
        batch_size=batch_size,
        **{"video_sampler": SequentialSampler, **options},
    )


def train(folder: Path, batch_size: int, sampler: str, **options: Any) -> dict[str, Any]:
    kwargs = {"clips_per_video": 1} if sampler != "uniform" else {}
    module = data(folder, batch_size, clip_sampler=sampler, clip_sampler_kwargs=kwargs)
    model = VideoClassifier(
        2, backbone=Net(), optimizer=("SGD", {"momentum": 0.9}), learning_rate=0.2
    )
    trainer = flash.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    trainer.fit(model, datamodule=module)
    scores = {name: float(v) for name, v in trainer.callback_metrics.items() if name[:3] == "val"}
    state = {name: value.detach().clone() for name, value in model.backbone.state_dict().items()}
    return {"state": state, "steps": trainer.global_step, "scores": scores}


def batches_of(rank: int) -> list[dict[str, Tensor]]:
    """Three batches of the first rank and three of the second, of other sizes: 5 and 9 clips."""
    generator = torch.Generator().manual_seed(rank)
    sizes = (2, 2, 1) if rank == 0 else (4, 3, 2)
    return [
        {
            "video": torch.rand(size, 3, 4, 8, 8, generator=generator) + rank,
            "label": torch.randint(2, (size,), generator=generator),
        }
        for size in sizes
    ]


def logged(batches: list[dict[str, Tensor]], **options: Any) -> dict[str, float]:
    """What is logged of a training in which nothing is learnt."""

    def first_logit(logits: Tensor, targets: Tensor) -> Tensor:
        return logits[:, 0].mean()

    metrics = {"accuracy": MulticlassAccuracy(2, average="micro"), "first_logit": first_logit}
    model = VideoClassifier(2, backbone=Net(), optimizer="SGD", learning_rate=0.0, metrics=metrics)
    trainer = flash.Trainer(
        max_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        **options,
    )
    loader: Any = DataLoader(batches, batch_size=None)  # type: ignore[arg-type]
    trainer.fit(model, loader)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def in_ranks(rank: int, world_size: int) -> dict[str, Any]:
    """Runs in every process: trainings of equal and of unequal shares, and one whose metrics are looked at."""
    os.environ.update(
        TORCHELASTIC_RUN_ID="test",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT="29500",
        WORLD_SIZE=str(world_size),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
    )
    folder, options = Path(os.environ[FOLDER]), {"strategy": "ddp", "devices": world_size}
    torch.set_warn_always(True)
    with warnings.catch_warnings(record=True) as said:
        equal = train(folder, 2, "constant_clips_per_video", **options)
    weighted = data(folder, 2, **WEIGHTED).train_dataloader()
    return {
        "equal": equal,
        "said": [str(one.message) for one in said],
        "unequal": train(folder, 1, "uniform", **options),
        "logged": logged(batches_of(rank), **options),
        "weighted": [name for batch in weighted for name in batch["video_name"]],
    }


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight videos; those of the first rank are three clips long, the others' one."""
    root = tmp_path_factory.mktemp("shares")
    generator = np.random.default_rng(0)
    for i in range(8):
        frames = generator.integers(0, 255, (24 if i % 2 == 0 else 8, 16, 16, 3), np.uint8)
        make_video(f"{i}.mp4", folder=root, frames=frames, fps=16)
    return root


@pytest.fixture(scope="module")
def ranks(folder: Path, run_ranks: Callable[[str, int], list[Any]]) -> list[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder))
        return run_ranks("in_ranks", 2)


@pytest.mark.slow
def test_two_processes_are_one_with_the_same_global_batch(
    folder: Path, ranks: list[dict[str, Any]]
) -> None:
    first, second = (found["equal"] for found in ranks)
    alone = train(folder, 4, "constant_clips_per_video")
    assert first["steps"] == second["steps"] == alone["steps"] == 4
    for name, value in alone["state"].items():
        assert torch.equal(first["state"][name], second["state"][name])
        torch.testing.assert_close(first["state"][name], value, rtol=1e-5, atol=1e-6)
    assert not [text for found in ranks for text in found["said"] if "strides" in text]
    # five held-out videos: each counts once, whatever the rank
    assert first["scores"] == second["scores"] == pytest.approx(alone["scores"], rel=1e-5)


@pytest.mark.slow
def test_unequal_shares_take_equal_steps(ranks: list[dict[str, Any]]) -> None:
    first, second = (found["unequal"] for found in ranks)
    # 4 clips of the second rank in each of 2 epochs, 12 of the first
    assert first["steps"] == second["steps"] == 8
    assert all(torch.equal(first["state"][n], second["state"][n]) for n in first["state"])


@pytest.mark.slow
def test_training_metrics_are_those_of_all_ranks(ranks: list[dict[str, Any]]) -> None:
    first, second = (found["logged"] for found in ranks)
    both = batches_of(0) + batches_of(1)
    alone = logged(both)
    inputs, targets = (torch.cat([b[key] for b in both]) for key in ("video", "label"))
    with torch.inference_mode():
        logits = Net()(inputs)
    wanted = {
        "train_accuracy": float((logits.argmax(1) == targets).float().mean()),
        "train_cross_entropy": float(nn.functional.cross_entropy(logits, targets)),
        "train_first_logit": float(logits[:, 0].mean()),
    }
    for name, value in wanted.items():
        for found in (first, second, alone):
            assert found[f"{name}_epoch"] == pytest.approx(value, abs=1e-6), name
            assert found[name] == found[f"{name}_epoch"]
    # a step is that of its rank
    last = batches_of(1)[-1]
    with torch.inference_mode():
        loss = nn.functional.cross_entropy(Net()(last["video"]), last["label"])
    assert second["train_cross_entropy_step"] == pytest.approx(float(loss), abs=1e-6)


@pytest.mark.slow
def test_ranks_share_what_a_sampler_draws(folder: Path, ranks: list[dict[str, Any]]) -> None:
    found = [found["weighted"] for found in ranks]
    assert [len(names) for names in found] == [5, 5]
    assert {*found[0], *found[1]} == {"5.mp4", "6.mp4", "7.mp4"}
    # one order, of which each has every second: that of one process with the same seed
    sampler = SharedDraws(WeightedRandomSampler([0.0] * 5 + [1.0] * 3, 10))
    whole = [name for pair in zip(*found, strict=True) for name in pair]
    assert whole == [f"{index}.mp4" for index in sampler]
    sampler.set_epoch(1)
    assert [f"{index}.mp4" for index in sampler] != whole


def test_one_process_keeps_its_loader(folder: Path) -> None:
    loader = data(folder, 2).train_dataloader()
    assert isinstance(loader, DataLoader)
    assert share_among_ranks(loader, train=True) is loader


def test_steps_end_with_the_first_rank_that_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    others: Iterator[bool] = iter([True, True, False])
    monkeypatch.setattr("flash.core.distributed._all_have", lambda own: own and next(others))
    loader: Any = DataLoader(list(range(5)), batch_size=1)  # type: ignore[arg-type]
    steps = EqualSteps(loader, sampler=None)  # type: ignore[arg-type]
    assert [int(batch) for batch in steps] == [0, 1]
    assert steps.batch_size == 1
