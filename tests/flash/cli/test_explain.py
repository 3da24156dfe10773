# SPDX-License-Identifier: Apache-2.0
"""The command ``explain``."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flash.cli.main import app
from pytorchvideo.inference.explain.files import FILES
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["explain", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def model_file(make_model_file: Callable[..., Path]) -> Path:
    return make_model_file(RECIPE)


@pytest.fixture(scope="module")
def video(make_video: Callable[..., Path]) -> Path:
    return make_video("a.mp4", num_frames=30, fps=10)


def test_files_are_written_and_named(video: Path, model_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "why"
    done = run(video, "-w", model_file, "--out", out, "--label", "run", "--box", "0,0,500,500")
    assert done.exit_code == 0, done.output
    assert re.fullmatch(
        r"1\.00-2\.00 s  [01]\.\d{3}  run \(gradcam\)  \d+\.\d% within the box\n", done.stdout
    )
    assert f"{', '.join(FILES)} are in {out}" in done.stderr
    assert {path.name for path in out.iterdir()} == set(FILES)


def test_json_is_printed(video: Path, model_file: Path, tmp_path: Path) -> None:
    done = run(video, "-w", model_file, "--out", tmp_path, "--clips", "uniform", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((tmp_path / "explanation.json").read_text())
    assert len(json.loads(done.stdout)["clips"]) == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--box", "1,2,3"], "x1 < x2 and y1 < y2"),
        (["--box", "a,b,c,d"], "four numbers"),
        (["--label", "fly"], "no label 'fly'"),
        (["--layer", "blocks.9"], "no layer 'blocks.9'"),
    ],
)
def test_bad_input_is_one_sentence(
    options: list[str], sentence: str, video: Path, model_file: Path, tmp_path: Path
) -> None:
    done = run(video, "-w", model_file, "--out", tmp_path / "why", *options)
    assert done.exit_code == 2
    assert sentence in done.stderr.replace("\n", " ")
    assert not (tmp_path / "why").exists()


def test_a_file_in_the_place_of_the_folder_is_said_before_the_work(
    video: Path, tmp_path: Path
) -> None:
    out = tmp_path / "why"
    out.write_text("")
    done = run(video, "-w", tmp_path / "missing.pt", "--out", out)
    assert done.exit_code == 2
    assert "Expected a folder" in done.stderr
