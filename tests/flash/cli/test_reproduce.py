# SPDX-License-Identifier: Apache-2.0
"""The command ``reproduce``."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flash.cli.main import app
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["reproduce", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def model(make_model_file: Callable[..., Path]) -> Path:
    return make_model_file(RECIPE)


@pytest.fixture(scope="module")
def data(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for label in ("run", "walk"):
        make_video("a.mp4", folder=folder / label, num_frames=20, fps=10)
    (folder / "walk" / "b.mp4").write_bytes(b"no video")
    return folder


def test_a_test_and_going_on(model: Path, data: Path, tmp_path: Path) -> None:
    asked = (model, data, "--protocol", "2x3", "--out", tmp_path, "--device", "cpu")
    done = run(*asked)
    assert done.exit_code == 0, done.output
    assert "2 x 3 views: 4 frames at a distance of 7.5, short side 32, crop 32" in done.stdout
    assert "clips begin at i/N of the frames that a clip leaves (PySlowFast)" in done.stdout
    assert "2 of 3 videos" in done.stdout and "- Videos: of 3, 0 are missing and 1" in done.stdout
    assert "skipped " in done.stderr and "b.mp4" in done.stderr
    again = run(*asked)
    assert (again.exit_code, again.stderr.count("\n")) == (2, 1)
    assert "holds a test already. Give --resume" in again.stderr
    assert run(*asked, "--resume").stdout == done.stdout
    said = json.loads(run(*asked, "--resume", "--json").stdout)
    assert said == json.loads((tmp_path / "reproduce.json").read_text())
    assert said["figures"]["top1"]["published"] is None
    other = run(model, data, "--protocol", "1x1", "--out", tmp_path, "--resume")
    assert other.exit_code == 2 and "was started with clips=2, but got 1" in other.stderr


def test_a_model_without_published_views_is_refused(model: Path, data: Path) -> None:
    done = run(model, data)
    assert done.exit_code == 2
    assert "has no published figures. Name clips and crops, e.g. --protocol 10x3." in done.stderr
