# SPDX-License-Identifier: Apache-2.0
"""Arguments of three generations of Flash, and what of them comes back from a checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flash
from flash.video import VideoClassifier
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=2, side_size=32, crop_size=32)


def classifier(num_classes: int | None = 2, **kwargs: Any) -> VideoClassifier:
    return VideoClassifier(num_classes, pretrained=False, recipe=RECIPE, **kwargs)


def test_optimizer_and_scheduler_with_keywords_apart() -> None:
    model = classifier(
        optimizer=torch.optim.SGD,
        optimizer_kwargs={"momentum": 0.9},
        scheduler="steplr",
        scheduler_kwargs={"step_size": 2},
        learning_rate=0.1,
    )
    record: Any = model.configure_optimizers()
    assert record["optimizer"].defaults["momentum"] == 0.9
    assert record["lr_scheduler"]["scheduler"].step_size == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scheduler": "steplr", "lr_scheduler": "steplr"}, "`lr_scheduler` and `scheduler`, two"),
        ({"scheduler_kwargs": {"step_size": 1}}, "`scheduler_kwargs` to be given with a name"),
        (
            {"optimizer": ("adam", {}), "optimizer_kwargs": {}},
            "`optimizer_kwargs` to be given with a name",
        ),
        (
            {"optimizer": "adam", "optimizer_kwargs": {"momentum": 1}},
            "arguments among params|among",
        ),
        ({"num_classes": 2.5}, "`num_classes` to be a whole number, but got 2.5"),
        ({"num_classes": True}, "`num_classes` to be a whole number, but got True"),
        ({"num_classes": "2"}, "`num_classes` to be a whole number, but got '2'"),
        ({"labels": "slow_r50"}, "If it is a model, say backbone='slow_r50'"),
    ],
)
def test_unfit_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        classifier(**arguments)


def test_positions_of_the_last_release() -> None:
    head = nn.Linear(400, 2)
    model = VideoClassifier(
        2, ["a", "b"], "x3d_xs", None, False, None, "SGD", None, None, 0.1, head
    )
    assert model.labels == ["a", "b"]
    assert model.head is head
    assert model.learning_rate == 0.1


def test_what_a_checkpoint_knows(tmp_path: Path) -> None:
    schedule = ("cosine_schedule_with_warmup", {"num_warmup_steps": 0.1}, {"interval": "step"})
    model = classifier(
        None,
        labels=["a", "b"],
        optimizer=(torch.optim.SGD, {"momentum": 0.9}),
        learning_rate=0.1,
        lr_scheduler=schedule,
        label_smoothing=0.1,
        mix_video=True,
        layer_decay=0.5,
        output="top_k",
    )
    trainer = flash.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(model)
    trainer.save_checkpoint(tmp_path / "run.ckpt")
    again = VideoClassifier.load_from_checkpoint(tmp_path / "run.ckpt")
    assert dict(again.hparams) == dict(model.hparams)
    assert (again.layer_decay, again.output, again.labels) == (0.5, "top_k", ["a", "b"])
    assert again.hparams["lr_scheduler"] == schedule
    assert len(again._optimizer_factory([nn.Parameter(torch.zeros(1))]).param_groups) == 1
    clips = torch.rand(2, 3, 4, 32, 32)
    assert torch.equal(again.eval()(clips), model.eval()(clips))


def test_listings() -> None:
    assert VideoClassifier.available_heads() == []
    assert VideoClassifier.available_schedulers() == VideoClassifier.available_lr_schedulers()
    assert {"StepLR", "linear_schedule_with_warmup"} <= set(VideoClassifier.available_schedulers())
    assert {"top_k", "fiftyone", "labels"} <= set(VideoClassifier.available_outputs())
