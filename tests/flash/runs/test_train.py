# SPDX-License-Identifier: Apache-2.0
"""Runs: data in every form, a split that keeps sources together, a kill at any moment, a probe on features."""

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from torch import nn
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR
from typer.testing import CliRunner, Result

from flash.cli.evaluate import evaluate_data
from flash.cli.main import app
from flash.cli.options import ModelOptions
from flash.core.schedules import count_batches
from flash.runs import train as runs
from flash.runs.config import RunConfig
from flash.runs.fit import RunRecorder, warmup_cosine
from flash.runs.fit_head import VideoViews, cached_features, fit_linear
from flash.runs.folder import RunFolder, resumed
from pytorchvideo._files import write_json
from pytorchvideo._locks import alone_in
from pytorchvideo.evaluation.videos import Evaluation
from pytorchvideo.inference.clips import Clip, End
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.models._registry import create_model
from pytorchvideo.transforms.clip_recipe import ClipRecipe


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


QUIET = Console(file=StringIO())
TINY = {"frames": 4, "crop": 32, "batch_size": 4, "clip_duration": 0.8, "clips": 1}


# -- configuration ----------------------------------------------------------------------------------------------


def test_defaults_are_filled_in() -> None:
    config = RunConfig("data").completed()
    assert (config.epochs, config.frames, config.crop, config.lr) == (10, 4, 182, 4e-3)
    recipe = RunConfig("data", frames=8, crop=91, clip_duration=2.0).recipe()
    assert (recipe.num_frames, recipe.crop_size, recipe.side_size) == (8, 91, 91)
    assert recipe.clip_duration_sec == pytest.approx(2.0)


def test_strategy_follows_from_weights_and_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "weights.pth"
    weights.touch()
    for has_gpu, given, strategy in [
        (False, None, "no_freeze"),
        (False, str(weights), "probe"),
        (True, str(weights), "no_freeze"),
    ]:
        monkeypatch.setattr(torch.cuda, "is_available", lambda has_gpu=has_gpu: has_gpu)
        assert RunConfig("data", weights=given).completed().strategy == strategy
    asked = RunConfig("data", weights=str(weights), strategy="freeze").completed()
    assert asked.strategy == "freeze"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"epochs": 0}, "Expected `epochs` to be >= 1"),
        ({"batch_size": 0}, "Expected `batch-size`"),
        ({"lr": -1.0}, "Expected `lr` to be > 0"),
        ({"lr": float("inf")}, "Expected `lr` to be > 0 and finite"),
        ({"weight_decay": -1.0}, "Expected `weight-decay` to be >= 0"),
        ({"seed": 1 << 63}, "Expected `seed`"),
        ({"clip_duration": 0.0}, "Expected `clip-duration`"),
        ({"clip_duration": float("inf")}, "Expected `clip-duration`"),
        ({"val_split": 0.0}, "Expected `val-split`"),
        ({"workers": -1}, "Expected `workers`"),
        ({"label_smoothing": 1.0}, "Expected `label-smoothing`"),
        ({"layer_decay": 0.0}, "Expected `layer-decay`"),
        ({"ema": 1.0}, "Expected `ema`"),
        (
            {"strategy": "probe", "pretrained": True, "mix": True, "ema": 0.9},
            "--mix, --ema is of no",
        ),
        ({"strategy": "probe"}, "needs a trained trunk"),
        ({"strategy": "melt"}, "one of no_freeze, freeze, probe"),
        ({"model": "x3d_sx"}, "Did you mean x3d"),
    ],
)
def test_options_out_of_range(changes: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        RunConfig("data", **changes).completed()  # type: ignore[arg-type]


def test_a_run_from_before_precise_bn_goes_on_without(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"data": "videos"}')
    assert RunConfig.from_file(tmp_path / "config.json").precise_bn == 0
    write_json(tmp_path / "config.json", RunConfig("videos", precise_bn=7).to_dict())
    assert RunConfig.from_file(tmp_path / "config.json") == RunConfig("videos", precise_bn=7)


def test_run_folder_is_not_overwritten(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.check_free()
    run.path.mkdir()
    run.config_file.write_text(json.dumps(RunConfig("data", seed=3).to_dict()))
    assert run.read_config() == RunConfig("data", seed=3)
    with pytest.raises(FileExistsError, match="Give --resume"):
        run.check_free()
    assert resumed(run, {"seed": 3, "workers": 2}) == RunConfig("data", seed=3, workers=2)
    with pytest.raises(ValueError, match="was started with seed=3, but got 4"):
        resumed(run, {"seed": 4})
    with pytest.raises(FileNotFoundError, match="is not finished"):
        run.model_file()
    for damaged, says in (
        ('{"foo": 1}', "is not the configuration of a run"),
        ('{"data": 3}', "config.json: .*data.* of the type str"),
        ("{", "config.json"),
    ):
        run.config_file.write_text(damaged)
        with pytest.raises(ValueError, match=says):
            run.read_config()
    with pytest.raises(FileNotFoundError, match="holds no run"):
        RunFolder(tmp_path).read_config()


def test_schedule_and_batches() -> None:
    values = [warmup_cosine(step, steps=100, warmup=10) for step in range(101)]
    assert max(values) == values[9] == 1.0
    assert values[100] == pytest.approx(0.0)
    assert all(a >= b for a, b in itertools.pairwise(values[10:]))
    assert count_batches(0, 4, 0) == 0
    assert count_batches(7, 2, 3) == 2 + 1 + 1


def test_a_run_that_is_extended_begins_with_the_rate_of_its_new_schedule(tmp_path: Path) -> None:
    def schedule(steps: int) -> LambdaLR:
        weights = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
        optimizer = SGD(
            [{"params": [w], "lr": lr} for w, lr in zip(weights, (0.1, 0.4), strict=True)]
        )
        return LambdaLR(optimizer, partial(warmup_cosine, steps=steps, warmup=2))

    ended, extended = schedule(10), schedule(20)
    for _ in range(10):
        ended.optimizer.step()
        ended.step()
    assert ended.get_last_lr() == [0, 0]
    extended.load_state_dict(ended.state_dict())
    extended.optimizer.load_state_dict(ended.optimizer.state_dict())
    recorder = RunRecorder(RunFolder(tmp_path), 0, SimpleNamespace(history=[]))  # type: ignore[arg-type]
    trainer: Any = SimpleNamespace(lr_scheduler_configs=[SimpleNamespace(scheduler=extended)])
    recorder.on_train_start(trainer, None)  # type: ignore[arg-type]
    share = 0.5 * (1 + math.cos(math.pi * 8 / 18))
    rates = [group["lr"] for group in extended.optimizer.param_groups]
    assert rates == pytest.approx([0.1 * share, 0.4 * share])


# -- training ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def finished(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> runs.RunSummary:
    """A run of three epochs that nothing interrupts."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    with torch.random.fork_rng(devices=[]):
        return runs.train(RunConfig(str(folder), epochs=3, **TINY), out, console=QUIET)  # type: ignore[arg-type]


def test_run_leaves_every_file(finished: runs.RunSummary) -> None:
    run = finished.folder
    assert [row["epoch"] for row in finished.history] == [1, 2, 3]
    assert {"train_loss", "train_accuracy", "val_loss", "val_accuracy"} <= set(finished.history[0])
    assert len(finished.results) == 4
    predictions = json.loads(run.predictions.read_text())
    assert [p["video"] for p in predictions] == [r.video for r in finished.results]
    assert sum(predictions[0]["scores"].values()) == pytest.approx(1)
    assert json.loads(run.skipped.read_text()) == []
    assert json.loads(run.split_file.read_text())["labels"] == ["falling", "growing"]
    assert "Learning curves" in run.report.read_text(encoding="utf-8")
    assert not list(run.path.rglob("*.part"))


def test_saved_model_gives_the_same_predictions(finished: runs.RunSummary, folder: Path) -> None:
    predictor = load_predictor(finished.folder.path)
    result = finished.results[0]
    named = dict(predictor.predict(result.video, clips=1, top_k=2))
    assert named[result.predicted] == pytest.approx(result.score, abs=1e-4)
    found = evaluate_data(
        str(folder), ModelOptions(run=finished.folder.path), clips=1, console=QUIET
    )
    assert isinstance(found, Evaluation)
    assert len(found.results) == 12
    assert found.to_dict(1)["accuracy"] == found.accuracy()


@pytest.mark.slow
def test_resumed_run_equals_the_uninterrupted_one(
    finished: runs.RunSummary, folder: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "flash.cli.main",
        "train",
        str(folder),
        "--out",
        str(tmp_path / "run"),
    ]
    command += [
        "--epochs",
        "3",
        "--frames",
        "4",
        "--crop",
        "32",
        "--batch-size",
        "4",
        "--clips",
        "1",
    ]
    command += ["--clip-duration", "0.8"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    checkpoint = RunFolder(tmp_path / "run").checkpoint
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    assert process.returncode == -signal.SIGKILL
    assert not RunFolder(tmp_path / "run").model.exists()
    again = subprocess.run(
        [*command[:4], "--out", str(tmp_path / "run"), "--resume"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    assert "epoch 1/3" not in again.stderr
    history = json.loads(RunFolder(tmp_path / "run").history_file.read_text())
    for before, after in zip(finished.history, history, strict=True):
        assert after["train_loss"] == pytest.approx(before["train_loss"], abs=2e-3)
        assert after["val_loss"] == pytest.approx(before["val_loss"], abs=2e-2)
    split = json.loads(RunFolder(tmp_path / "run").split_file.read_text())
    assert split == json.loads(finished.folder.split_file.read_text())


def test_run_without_checkpoint_starts_again(folder: Path, tmp_path: Path) -> None:
    regular = {"label_smoothing": 0.1, "mix": True, "layer_decay": 0.8, "ema": 0.5}
    config = RunConfig(str(folder), epochs=1, **TINY, **regular)  # type: ignore[arg-type]
    RunFolder(tmp_path).config_file.write_text(json.dumps(config.completed().to_dict()))
    summary = runs.train(config, tmp_path, resume=True, console=QUIET)
    assert len(summary.history) == 1
    checkpoint = torch.load(RunFolder(tmp_path).checkpoint, weights_only=True)
    known = checkpoint["hyper_parameters"]
    assert (known["label_smoothing"], known["mix_video"], known["layer_decay"]) == (0.1, True, 0.8)
    assert len(checkpoint["optimizer_states"][0]["param_groups"]) == 6
    assert "averaging_state" in checkpoint


@pytest.mark.slow
def test_a_moved_run_goes_on_from_elsewhere_beyond_its_end(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths at the beginning, then another working directory, another place of the videos, more epochs."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    shutil.copytree(folder, tmp_path / "here" / "data")
    monkeypatch.chdir(tmp_path / "here")
    small = ["--frames", "4", "--crop", "32", "--clip-duration", "0.8", "--batch-size", "4"]
    begun = invoke("train", "data", "--epochs", "1", "--clips", "1", *small)
    assert begun.exit_code == 0, begun.output
    run = RunFolder(tmp_path / "here" / "run")
    assert run.read_config().data == str(tmp_path / "here" / "data")
    before = torch.load(run.checkpoint, weights_only=True)["state_dict"]

    (tmp_path / "here" / "data").rename(tmp_path / "there" / "videos")
    monkeypatch.chdir(tmp_path / "there")
    refused = invoke("train", "--resume", str(run.path), "--epochs", "0")
    assert refused.exit_code == 2
    assert "was started with epochs=1, but got 0. More of them extend it" in refused.stderr
    forgotten = invoke("train", "--resume", str(run.path))
    assert forgotten.exit_code == 2
    assert "If they have moved, name the place where they are now with --data." in forgotten.stderr
    held_out = json.loads(run.split_file.read_text())["val"]
    Path(held_out[0][0].replace("here/data", "there/videos")).rename(tmp_path / "a.mp4")
    moved = ["train", "--resume", "../here/run", "--data", "videos", "--epochs", "2"]
    lacking = invoke(*moved)
    assert lacking.exit_code == 2
    assert "but 1 of 12 are not there, as that of " in lacking.stderr
    assert json.loads(run.split_file.read_text())["val"] == held_out
    (tmp_path / "a.mp4").rename(held_out[0][0].replace("here/data", "there/videos"))

    done = invoke(*moved)
    assert done.exit_code == 0, done.output
    assert "epoch 1/2" not in done.stderr and "epoch 2/2" in done.stderr
    assert [row["epoch"] for row in json.loads(run.history_file.read_text())] == [1, 2]
    config = run.read_config()
    assert (config.data, config.epochs) == (str(tmp_path / "there" / "videos"), 2)
    assert [
        path.replace("there/videos", "here/data")
        for path, _ in json.loads(run.split_file.read_text())["val"]
    ] == [path for path, _ in held_out]
    # the rate rose again
    after = torch.load(run.checkpoint, weights_only=True)["state_dict"]
    assert not torch.equal(
        before["backbone.blocks.5.proj.weight"], after["backbone.blocks.5.proj.weight"]
    )


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path / "run"):
        result = invoke("train", str(tmp_path), "--out", str(tmp_path / "run"))
    assert result.exit_code == 2
    assert f"{tmp_path / 'run'} is being written by process {os.getpid()} on " in result.stderr


def test_weights_of_another_machine(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    (tmp_path / "weights.pth").touch()
    config = RunConfig("data", weights=str(tmp_path / "gone.pth"))
    run.config_file.write_text(json.dumps(config.to_dict()))
    assert resumed(run, {"weights": str(tmp_path / "weights.pth")}).weights == str(
        tmp_path / "weights.pth"
    )
    (tmp_path / "gone.pth").touch()
    with pytest.raises(ValueError, match=r"was started with weights=.*gone\.pth, but got"):
        resumed(run, {"weights": str(tmp_path / "weights.pth")})


# -- probe ------------------------------------------------------------------------------------------------------


def test_linear_layer_separates_and_takes_raw_features() -> None:
    generator = torch.Generator().manual_seed(0)
    centres = torch.tensor([[5.0, 100.0, 0.0], [5.0, 100.3, 0.0]])
    classes = torch.arange(2).repeat(50)
    x = centres[classes] + 0.02 * torch.randn(100, 3, generator=generator)
    layer, history = fit_linear(
        (x, classes),
        (x[:0], classes[:0]),
        num_classes=2,
        epochs=60,
        lr=0.1,
        weight_decay=0.01,
        seed=0,
    )
    assert (layer(x).argmax(1) == classes).float().mean() > 0.98
    assert history[-1]["train_loss"] < 0.1 < history[0]["train_loss"]
    assert "val_loss" not in history[0]


def test_features_are_kept_and_equal_the_models(folder: Path, tmp_path: Path) -> None:
    recipe = ClipRecipe(
        num_frames=4, sampling_rate=1, frames_per_second=5, side_size=32, crop_size=32
    )
    model = create_model("x3d_xs", num_frames=4, crop_size=32, num_classes=2)
    (tmp_path / "bad.mp4").touch()
    paths = [*map(str, sorted(folder.rglob("*.mp4"))[:3]), str(tmp_path / "bad.mp4")]
    dataset = VideoViews(paths, recipe, views=2, seed=0)
    options = {"console": QUIET, "title": "", "workers": 0}
    features, skipped = cached_features(model, dataset, tmp_path / "f", **options)  # type: ignore[arg-type]
    assert features.shape == (4, 2, 2048)
    assert features[3].isnan().all()
    assert [path for path, _ in skipped] == [paths[3]]
    clip = views_of(dataset, 0)[0]
    with torch.inference_mode():
        assert torch.allclose(
            features[0, 0], model.eval().forward_features(clip[None])[0], atol=1e-5
        )
    # nothing is computed again: the shard is read
    shard = next((tmp_path / "f").iterdir())
    before = shard.stat().st_mtime_ns
    again, _ = cached_features(model, dataset, tmp_path / "f", **options)  # type: ignore[arg-type]
    assert torch.equal(again.nan_to_num(), features.nan_to_num())
    assert shard.stat().st_mtime_ns == before
    # other weights are other features
    with torch.no_grad():
        next(model.parameters()).add_(1.0)
    cached_features(model, dataset, tmp_path / "f", **options)  # type: ignore[arg-type]
    assert len(list((tmp_path / "f").iterdir())) == 2


def views_of(dataset: VideoViews, index: int) -> list[torch.Tensor]:
    """The views of one video."""
    clips = dataset.clips(range(index, index + 1))
    return [clip.views[0] for clip in clips if isinstance(clip, Clip)]


def test_random_views_depend_on_seed_and_place_alone(folder: Path) -> None:
    recipe = ClipRecipe(
        num_frames=4, sampling_rate=1, frames_per_second=8, side_size=32, crop_size=32
    )
    paths = [str(path) for path in sorted(folder.rglob("*.mp4"))[:2]]
    both = VideoViews(paths, recipe, views=3, seed=0)
    first = views_of(both, 1)
    torch.rand(7)
    second = views_of(VideoViews(paths, recipe, views=3, seed=0), 1)
    other = views_of(VideoViews(paths, recipe, views=3, seed=1), 1)
    items = [item for item in both.clips(range(2), workers=2) if item.video == 1]
    assert items.pop() == End(1)
    for item, wanted in zip(items, first, strict=True):
        assert isinstance(item, Clip)
        assert torch.equal(item.views[0], wanted)
    again = views_of(both, 1)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(first[0], other[0])
    assert not torch.equal(first[1], other[1])


def test_probe_run_freezes_the_trunk(folder: Path, tmp_path: Path) -> None:
    weights = tmp_path / "weights.pth"
    trunk = create_model("x3d_xs", num_classes=7)
    torch.save({"model_state": trunk.state_dict()}, weights)
    config = RunConfig(str(folder), weights=str(weights), strategy="probe", epochs=20, **TINY)  # type: ignore[arg-type]
    summary = runs.train(config, tmp_path / "run", console=QUIET)
    saved = load_predictor(tmp_path / "run").model.state_dict()
    for name, value in trunk.state_dict().items():
        if not name.startswith("blocks.5.proj"):
            assert torch.equal(saved[name], value), name
    assert len(summary.history) == 20
    assert summary.history[-1]["train_loss"] < summary.history[0]["train_loss"]
    # the classifier in the model is the one that the history is about
    assert summary.accuracy == pytest.approx(summary.history[-1]["val_accuracy"], abs=0.26)
