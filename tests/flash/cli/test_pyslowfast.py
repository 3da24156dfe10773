# SPDX-License-Identifier: Apache-2.0
"""``train --pyslowfast`` and ``configs show --pyslowfast``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from flash.cli.main import app
from flash.runs.config import RunConfig
from flash.runs.sources import read_sources
from pytorchvideo.models import create_model
from pytorchvideo.models.pyslowfast import write_pyslowfast

CONFIG = """
TRAIN: {DATASET: ptvkinetics, BATCH_SIZE: 4, AUTO_RESUME: True}
DATA: {NUM_FRAMES: 4, SAMPLING_RATE: 2, TRAIN_JITTER_SCALES: [32, 40], TRAIN_CROP_SIZE: 32}
MODEL: {MODEL_NAME: PTVX3D, ARCH: x3d, NUM_CLASSES: 2}
X3D: {DEPTH_FACTOR: 2.2, WIDTH_FACTOR: 2.0}
SOLVER: {MAX_EPOCH: 1, BASE_LR: 0.01}
TEST: {NUM_ENSEMBLE_VIEWS: 1, NUM_SPATIAL_CROPS: 1}
DATA_LOADER: {NUM_WORKERS: 0}
RNG_SEED: 7
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def lists(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of lists in PySlowFast's form, with a separator of its own, beside its videos."""
    folder = tmp_path_factory.mktemp("theirs")
    rows = [
        f"{make_video(f'{name}.mp4', folder=folder / 'videos', num_frames=12, fps=10).name}|{label}"
        for label, name in enumerate("abab")
    ]
    rows = [f"{row.split('|')[0]}|{number % 2}" for number, row in enumerate(rows)]
    for split in ("train", "val"):
        (folder / f"{split}.csv").write_text("\n".join(rows[:2]) + "\n")
    return folder


def test_training_by_a_configuration(
    lists: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[RunConfig] = []

    def stop(config: RunConfig, *_: Any, **__: Any) -> None:
        asked.append(config)
        raise ValueError("here a run would begin")

    monkeypatch.setattr("flash.runs.train.train", stop)
    file, out = tmp_path / "theirs.yaml", tmp_path / "run"
    file.write_text(CONFIG)
    pairs = ["DATA.PATH_TO_DATA_DIR", lists, "DATA.PATH_PREFIX", lists / "videos"]
    pairs += ["DATA.PATH_LABEL_SEPARATOR", "|", "OUTPUT_DIR", out, "NUM_GPUS", 2]
    start = create_model("x3d_xs", num_classes=5)
    pairs += ["TRAIN.CHECKPOINT_FILE_PATH", write_pyslowfast(start, tmp_path / "k400.pyth")]
    done = run("train", "--pyslowfast", file, *pairs, "--device", "cpu")
    assert "here a run would begin" in str(done.exception), done.output
    assert "has keys that no run has a use for:\n  TRAIN.AUTO_RESUME True: " in done.stderr
    assert "MODEL.NUM_CLASSES 2: the classes are those of the videos." in done.stderr
    assert (
        f"its test, when it is trained: pytorchvideo reproduce {out} {out / 'lists'} --protocol 1x1"
        in done.stderr
    )
    config = asked[0].completed()
    assert (config.batch_size, config.seed, config.frames, config.crop) == (2, 7, 4, 32)
    assert config.lr == pytest.approx(0.01 / 2)  # 0.01 for 4 clips, of which a step has 2
    assert config.weights is not None and Path(config.data) == out / "lists"
    sources = read_sources(config.data)
    assert [Path(p).name for p, _ in sources.train] == ["a.mp4", "b.mp4"] and sources.val
    assert config.weights == str(out / "start.pth")
    begun = torch.load(config.weights, weights_only=True)["model_state"]
    # the native one normalises the shortcut of its first stage, which goes into the convolution before it
    own = {k: v for k, v in start.state_dict().items() if "branch1" not in k and "bias" not in k}
    assert all(torch.allclose(begun[f"model.{key}"], value) for key, value in own.items())


def test_what_is_said_before_anything_is_read(tmp_path: Path) -> None:
    file = tmp_path / "theirs.yaml"
    file.write_text(CONFIG)
    tested = run("train", "--pyslowfast", file, "TRAIN.ENABLE", "False")
    assert tested.exit_code == 2 and "`pytorchvideo reproduce x3d_xs DATA" in tested.stderr
    assert "Expected DATA, or DATA.PATH_TO_DATA_DIR" in run("train", "--pyslowfast", file).stderr
    assert "Did you mean NUM_GPUS" in run("train", "--pyslowfast", file, "NUM_GPU", "1").stderr
    both = run("train", "clips", "--pyslowfast", file, "--config", "slow_8x8_r50")
    assert "either --config or --pyslowfast" in both.stderr
    assert "Pairs of KEY VALUE are for --pyslowfast" in run("train", "a", "b").stderr


def test_the_recipe_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "theirs.yaml"
    file.write_text(CONFIG)
    shown = run("configs", "show", "SOLVER.BASE_LR", "0.5", "--pyslowfast", file)
    assert "optimizer.lr: 0.5" in shown.stdout and "no use for TRAIN.AUTO_RESUME" in shown.stderr
    said = json.loads(run("configs", "show", "--pyslowfast", file, "--json").stdout)
    assert said["data"]["short_side"] == [32, 40]
    assert "with `configs show`" in run("configs", "diff", "--pyslowfast", file).stderr
