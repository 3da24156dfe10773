# SPDX-License-Identifier: Apache-2.0
"""Runs of action detectors that carry out a published recipe."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from flash.cli.main import app
from flash.configs.build import decay_rules
from flash.configs.files import load_recipe
from flash.core.published_rates import stepped_rate
from flash.core.weight_decay import weight_decay_groups
from flash.runs.detection.config import DetectionConfig
from flash.runs.detection.data import training_data
from flash.runs.detection.from_recipe import detector_arguments, detector_options
from flash.runs.detection.train import build_detector_task
from flash.runs.fit import RunRecorder
from pytorchvideo.data.synthetic_figures import write_figure_videos
from pytorchvideo.transforms.detection import DetectionTransform

NAMES = ("ava_slow_4x16_r50", "ava_slowfast_8x8_r50")
TINY = (
    *("data.short_side=[36, 40]", "data.crop=32", "detection.test_side=34"),
    *("data.sampling_rate=1", "schedule.epochs=2", "schedule.warmup_epochs=1"),
    *("schedule.warmup_start_lr=0.02", "schedule.steps=[0, 1.5]", "schedule.factors=[1.0, 0.1]"),
)

Shallow = Callable[[], AbstractContextManager[None]]
pytestmark = pytest.mark.filterwarnings("ignore:.*no line has the class")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    write_figure_videos(folder, train=2, val=1, seed=1, unseen_sec=1.5)
    return folder


@pytest.fixture
def rates(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The learning rates of the steps, as they are taken."""
    taken: list[float] = []
    step = torch.optim.SGD.step

    def recorded(self: Any, closure: Any = None) -> Any:
        found = step(self, closure)
        (rate,) = {group["lr"] for group in self.param_groups}
        taken.append(rate)
        return found

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    return taken


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def said(shown: Any) -> str:
    return " ".join(shown.output.split())


def half(data: Path) -> int:
    """Half the key frames: the batch of two steps."""
    lines = (data / "train.csv").read_text().splitlines()[1:]
    return -(-len({tuple(line.split(",")[:2]) for line in lines}) // 2)


def tiny(name: str) -> list[str]:
    return [*TINY, f"data.num_frames={8 if 'slowfast' in name else 2}"]


@pytest.mark.parametrize("name", [NAMES[0], pytest.param(NAMES[1], marks=pytest.mark.slow)])
def test_each_recipe_takes_its_steps_and_goes_on(
    name: str,
    data: Path,
    tmp_path: Path,
    shallow: Shallow,
    rates: list[float],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch_size, out = half(data), tmp_path / "run"
    changes = [word for change in tiny(name) for word in ("--set", change)]
    words = ("--task", "detection", "--config", name, *changes, "--batch-size", batch_size)
    record = RunRecorder.on_train_epoch_end

    def ends(self: RunRecorder, trainer: Any, pl_module: Any) -> None:
        record(self, trainer, pl_module)
        raise OSError("the machine is gone")

    # of 64 clips in a step
    scale = batch_size / 64
    rule = {"base": 0.1 * scale, "start": 0.02 * scale, "factors": [1, 0.1]}
    wanted = [stepped_rate(e / 2, steps=[0, 1.5], warmup=1, **rule) for e in range(4)]
    with shallow():
        with monkeypatch.context() as patch:
            patch.setattr(RunRecorder, "on_train_epoch_end", ends)
            shown = command("train", data, *words, "--no-pretrained", "--out", out)
        assert "the machine is gone" in said(shown)
        assert f"recipe {name}, to" in said(shown)
        assert rates == pytest.approx(wanted[:2])
        again = command("train", data, "--resume", "--out", out, "--config", name)
        assert again.exit_code == 2
        assert "Expected --resume without --config" in said(again)
        shown = command("train", "--resume", "--out", out)
        assert shown.exit_code == 0, shown.output
    assert rates == pytest.approx(wanted)
    config = DetectionConfig.from_file(out / "config.json")
    assert config.training_recipe == load_recipe(name, tiny(name))
    assert (config.epochs, config.crop, config.exclusive) == (2, 34, False)


def test_the_network_and_its_optimizer_are_those_of_the_recipe(
    data: Path, tmp_path: Path, shallow: Shallow
) -> None:
    changes = ["regularize.dropout=0.3", "optimizer.momentum=0.8", "optimizer.weight_decay=0.01"]
    recipe = load_recipe(NAMES[0], [*tiny(NAMES[0]), *changes])
    config = DetectionConfig(str(data), workers=0, **detector_options(recipe)).completed()
    with shallow():
        task = build_detector_task(config, training_data(config))
    head: Any = task.backbone.detection_head  # type: ignore[union-attr]
    assert head.dropout.p == 0.3
    assert [m.aligned for m in task.modules() if hasattr(m, "aligned")] == [True]
    optimizer = task.configure_optimizers()["optimizer"]
    assert (optimizer.defaults["momentum"], optimizer.defaults["nesterov"]) == (0.8, True)
    published = weight_decay_groups(task.backbone, 0.01, **decay_rules(recipe))
    for group in published:
        decays = {
            ours["weight_decay"]
            for ours in optimizer.param_groups
            for parameter in ours["params"]
            if any(parameter is other for other in group["params"])
        }
        assert decays == {group["weight_decay"]}


@pytest.mark.parametrize(("crop", "sides", "square"), [(None, (36, 40), 32), (68, (72, 80), 64)])
def test_pictures_of_training_are_cut_out(
    data: Path, crop: int | None, sides: tuple[int, int], square: int
) -> None:
    options = detector_options(load_recipe(NAMES[0], [*tiny(NAMES[0]), "data.horizontal_flip=0.2"]))
    options |= {} if crop is None else {"crop": crop}
    found = training_data(DetectionConfig(str(data), workers=0, **options).completed())
    transform: DetectionTransform = found.train_dataset.transform
    assert (transform.side_range, transform.crop_size, transform.crop) == (sides, square, "random")
    assert transform.flip_prob == 0.2
    assert found.train_dataset[0]["video"].shape[-2:] == (square, square)
    # whole ones are evaluated
    assert min(found.val_dataset[0]["video"].shape[-2:]) == (crop or 34)


def test_clips_and_rates_of_the_published_recipes() -> None:
    for name, frames, distance, side in ((NAMES[0], 4, 16, 256), (NAMES[1], 32, 2, 224)):
        options = detector_options(load_recipe(name), batch_size=16, accumulate=2)
        config = DetectionConfig("boxes.csv", **options)
        clip = config.recipe()
        assert (clip.num_frames, clip.side_size, clip.crop_size) == (frames, side, None)
        assert clip.sampling_rate / clip.frames_per_second == pytest.approx(distance / 30)
        assert options["lr"] == pytest.approx(0.1 * 32 / 64)
        assert json.loads(json.dumps(config.to_dict())) == config.to_dict()


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("augment.rand_augment=rand-m7-n4-mstd0.5-inc1", "augment.rand_augment"),
        ("augment.mixup=0.8", "augment.mixup"),
        ("augment.repeats=2", "augment.repeats"),
        ("data.inverse_uniform=true", "data.inverse_uniform"),
        ("data.area=[0.1, 1.0]", "data.area"),
        ("data.channels=bgr", "data.channels bgr"),
        ("multigrid.epoch_factor=1.5", "multigrid"),
    ],
)
def test_what_boxes_cannot_go_through_is_refused(change: str, key: str) -> None:
    with pytest.raises(ValueError, match=f"a recipe without {key} with --task detection: "):
        detector_options(load_recipe(NAMES[0], [change]))


def test_other_models() -> None:
    of_tokens = ["model=mvit_base_16x4", "data.num_frames=16", "regularize.dropout=0.5"]
    with pytest.raises(ValueError, match=r"test_side` to be data\.crop \(224\), .* but got 256"):
        detector_options(load_recipe(NAMES[0], of_tokens))
    options = detector_options(load_recipe(NAMES[0], [*of_tokens, "detection.test_side=224"]))
    assert DetectionConfig("boxes.csv", **options).completed().recipe().crop_size == 224
    with pytest.raises(ValueError, match=r"`regularize\.drop_path` to be 0, but got 0\.1"):
        detector_options(load_recipe(NAMES[0], ["regularize.drop_path=0.1"]))
    # the recipe of a model, with a trunk in its place
    recipe = load_recipe(NAMES[0], ["regularize.dropout=0.4", "detection.roi_aligned=false"])
    arguments = detector_arguments(recipe, "x3d_xs")
    assert arguments == {"dropout_rate": 0.4, "head_aligned": False}


def test_recipes_of_the_other_task(data: Path, tmp_path: Path) -> None:
    out = ("--no-pretrained", "--out", tmp_path / "run")
    for words, wanted in (
        (("--task", "detection", "--config", "x3d_s"), "that of x3d_s is of whole clips"),
        (("--config", NAMES[0]), "scores boxes, which `train --config` takes with --task detec"),
        (("--task", "detection", "--set", "data.crop=32"), "Expected --set with --config RECIPE"),
    ):
        shown = command("train", data, *words, *out)
        assert shown.exit_code == 2
        assert wanted in said(shown)


def test_weights_to_begin_with(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("PYTORCHVIDEO_OFFLINE", "1")
    words = ("--task", "detection", "--config", NAMES[0], "--out", tmp_path / "run")
    shown = command("train", data, *words)
    assert shown.exit_code == 2
    assert "begins with the published weights of slow_r50_4x16, and" in said(shown)


def test_a_broken_recipe_in_a_run_is_named(tmp_path: Path) -> None:
    config = DetectionConfig("boxes.csv", **detector_options(load_recipe(NAMES[0])))
    file = tmp_path / "config.json"
    for key, value, wanted in (
        ("optimizer", {"lr": "fast"}, r"`optimizer\.name` is missing"),
        ("detection", None, "`detection` is missing"),
    ):
        values = config.to_dict()
        values["training"] |= {key: value}
        file.write_text(json.dumps(values))
        with pytest.raises(ValueError, match=rf"config\.json: .*{wanted}"):
            DetectionConfig.from_file(file)
