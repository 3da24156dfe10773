# SPDX-License-Identifier: Apache-2.0
"""Runs of action detectors, in Python and by the commands."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from flash.cli import detection as commands
from flash.cli.main import app
from flash.runs.detection.config import DetectionConfig
from flash.runs.detection.data import files_of, split_by_video
from flash.runs.detection.task import is_detection_run
from flash.runs.detection.train import train_detector
from pytorchvideo.data import synthetic_figures
from pytorchvideo.data.action_detection import ActionDetectionDataset
from pytorchvideo.data.synthetic_figures import ACTIONS, write_figure_videos
from pytorchvideo.evaluation.detection import read_detections
from pytorchvideo.transforms.clip_recipe import ClipRecipe

SMALL: dict[str, Any] = {
    "model": "slow_r50_detection",
    "model_kwargs": {"stem_dim_out": 4},
    "epochs": 1,
    "frames": 2,
    "crop": 32,
    "clip_duration": 0.5,
    "batch_size": 8,
}
RECIPE = ClipRecipe(num_frames=2, sampling_rate=1, side_size=32, crop_size=None)

pytestmark = pytest.mark.filterwarnings("ignore:.*no line has the class")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    write_figure_videos(folder, train=8, val=4, seed=1, unseen_sec=1.5)
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    train_detector(DetectionConfig(data=str(data), **SMALL), out, console=Console(quiet=True))
    return out


def command(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_files_of_a_run(run: Path, data: Path) -> None:
    assert is_detection_run(run)
    split = json.loads((run / "split.json").read_text())
    assert split["labels"] == list(ACTIONS)
    assert not set(split["train"]) & set(split["val"])
    (row,) = json.loads((run / "history.json").read_text())
    figures = json.loads((run / "evaluation.json").read_text())
    assert figures["map"] == pytest.approx(row["val_map"], abs=1e-6)
    assert sum(figures["boxes"].values()) == len((data / "val.csv").read_text().splitlines()) - 1
    assert {row[6] for row in read_detections(run / "detections.csv")} == {1, 2, 3, 4}


def test_a_run_goes_on(run: Path, tmp_path: Path) -> None:
    """One that was stopped after an epoch ends as one that never was."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    config = DetectionConfig.from_file(copy / "config.json")
    more = DetectionConfig(data=config.data, epochs=2)
    gone_on = train_detector(more, copy, resume=True, console=Console(quiet=True))
    assert [row["epoch"] for row in gone_on.history] == [1, 2]
    with pytest.raises(FileExistsError, match="holds a run already"):
        train_detector(more, copy, console=Console(quiet=True))
    fewer = DetectionConfig(data=config.data, epochs=1)
    with pytest.raises(ValueError, match="epochs=2, but got 1"):
        train_detector(fewer, copy, resume=True, console=Console(quiet=True))


def test_evaluate_and_detect(run: Path, data: Path, tmp_path: Path) -> None:
    shown = command("evaluate", data, "--run", run, "--json", "--out", tmp_path / "report")
    assert shown.exit_code == 0, shown.output
    figures = json.loads((tmp_path / "report" / "evaluation.json").read_text())
    known = json.loads((run / "evaluation.json").read_text())
    assert figures["map"] == pytest.approx(known["map"], abs=1e-6)
    out = tmp_path / "detected"
    people = ("--people", data / "unseen.csv", "--threshold", 0.01)
    shown = command("detect", data / "unseen.mp4", "--run", run, *people, "--out", out, "--json")
    assert shown.exit_code == 0, shown.output
    found = json.loads((out / "unseen.json").read_text())
    assert {row["person"] for row in found["people"]} == {0, 1, 2, 3}
    assert (out / "unseen.mp4").stat().st_size > 1000


def test_a_detector_is_none_for_other_commands(run: Path, data: Path) -> None:
    shown = command("predict", data / "unseen.mp4", "--run", run)
    assert shown.exit_code == 2
    assert "`pytorchvideo detect`" in shown.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "detection", "--mix"], "without --mix"),
        (["--task", "detection", "--lr", "find"], "a number with --task detection"),
        (["--task", "detection", "--model", "x3d"], "no model named 'x3d'"),
        (["--exclusive"], "with --task detection alone"),
    ],
)
def test_options_that_do_not_fit(data: Path, tmp_path: Path, words: list[str], said: str) -> None:
    shown = command("train", data, *words, "--no-pretrained", "--out", tmp_path / "run")
    assert shown.exit_code == 2
    assert said in " ".join(shown.output.split())


def test_bad_boxes_are_named(tmp_path: Path, data: Path) -> None:
    lines = (data / "train.csv").read_text().splitlines()
    fields = lines[3].split(",")
    fields[4] = fields[2]
    bad = tmp_path / "boxes.csv"
    bad.write_text("\n".join([*lines[:3], ",".join(fields)]) + "\n")
    words = ("--task", "detection", "--videos", data, "--no-pretrained", "--out", tmp_path / "run")
    shown = command("train", bad, *words)
    assert shown.exit_code == 2
    assert "boxes.csv, line 4: expected a box with x1 < x2" in " ".join(shown.output.split())


def test_files_of_data(data: Path, tmp_path: Path) -> None:
    assert files_of(str(data)) == (data / "train.csv", data / "val.csv")
    assert files_of(str(data / "train.csv")) == (data / "train.csv", None)
    with pytest.raises(FileNotFoundError, match=r"expected train\.csv"):
        files_of(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no file of boxes"):
        files_of(str(data), str(tmp_path / "none.csv"))


def test_a_video_is_on_one_side(data: Path) -> None:
    boxes = ActionDetectionDataset.from_csv(data / "train.csv", recipe=RECIPE)
    train, val = split_by_video(boxes, 0.25, seed=0)
    sides = [{frame.video for frame in part.key_frames} for part in (train, val)]
    assert len(sides[1]) == 2
    assert not sides[0] & sides[1]
    assert {row[0] for row in val.groundtruth} == sides[1]


def test_configuration_of_a_run(tmp_path: Path) -> None:
    config = DetectionConfig(data="boxes.csv", model="mvit_base_16x4").completed()
    assert config.model == "mvit_base_16x4_detection"
    assert config.recipe().crop_size == 224  # tokens are of one size
    assert DetectionConfig(data="a", crop=96).recipe().crop_size is None
    (tmp_path / "config.json").write_text('{"task": "detection", "data": "a", "lr": "fast"}')
    with pytest.raises(ValueError, match="lr"):
        DetectionConfig.from_file(tmp_path / "config.json")
    with pytest.raises(ValueError, match="threshold"):
        DetectionConfig(data="a", threshold=1.0).completed()


def test_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def few(folder: Path, **options: Any) -> Any:
        return write_figure_videos(folder, train=4, val=4, unseen_sec=1.5, **options)

    monkeypatch.setattr(commands, "DEMO_RUN", SMALL)
    monkeypatch.setattr(synthetic_figures, "write_figure_videos", few)
    shown = command("demo", "--task", "detection", "--out", tmp_path / "demo", "--seed", 1)
    assert shown.exit_code == 0, shown.output
    assert "frame-mAP" in shown.output
    assert (tmp_path / "demo" / "detected" / "unseen.mp4").is_file()


def test_figures_are_the_same_for_the_same_seed() -> None:
    import numpy as np

    first, second = (synthetic_figures.random_figures(np.random.default_rng(3)) for _ in range(2))
    assert [f.action for f in first] == [f.action for f in second]
    assert 2 <= len(first) <= 4
    for time in (0.0, 1.0, 2.0):
        boxes = torch.tensor([figure.box(time) for figure in first])
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2] <= synthetic_figures.WIDTH).all()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"workers": -1}, "`workers` to be >= 0"),
        ({"layer_decay": 2.0}, "`layer-decay` to be in 0..1"),
        ({"ema": 1.0}, r"`ema` to be in \[0, 1\)"),
        ({"weight_decay": -0.1}, "`weight-decay` to be >= 0"),
        ({"logger": "neptune"}, "one of csv, tensorboard, wandb"),
        ({"threshold": 1.0}, "`threshold` to be between 0 and 1"),
    ],
)
def test_values_out_of_range_are_those_of_other_runs(changes: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        DetectionConfig("boxes.csv", **changes).completed()
