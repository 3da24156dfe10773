# SPDX-License-Identifier: Apache-2.0
"""The command ``timeline``."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from flash.cli.main import app
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)
MakeVideo = Callable[..., Path]
FILES = {f"timeline.{ending}" for ending in ("json", "csv", "srt", "vtt", "png")}


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["timeline", *(str(argument) for argument in arguments)])


@pytest.fixture(scope="module")
def model_file(make_model_file: Callable[..., Path]) -> Path:
    """A small classifier with random weights."""
    return make_model_file(RECIPE)


@pytest.fixture(scope="module")
def video(make_video: MakeVideo) -> Path:
    return make_video(
        "a.mp4", num_frames=200, fps=10, options={"x264-params": "keyint=10:scenecut=0"}
    )


def test_segments_are_printed_and_files_are_written(
    video: Path, model_file: Path, tmp_path: Path
) -> None:
    done = run(video, "--weights", model_file, "--out", tmp_path / "out", "--every", 0.5)
    assert done.exit_code == 0, done.output
    rows = done.stdout.splitlines()
    assert rows
    for row in rows:
        assert re.fullmatch(r"0:00:\d\d-0:00:\d\d  [01]\.\d{3}  (run|walk)", row), row
    assert "times as fast as the video" in done.stderr
    assert "timeline.json, timeline.csv, timeline.srt" in done.stderr.replace("\n", " ")
    assert f"are in {tmp_path / 'out'}\n" in done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES | {"progress.jsonl"}
    written = json.loads((tmp_path / "out/timeline.json").read_text())
    assert len(written["clips"]) == 39
    assert len(written["segments"]) == len(rows)


def test_json_is_printed(video: Path, model_file: Path, tmp_path: Path) -> None:
    done = run(video, "-w", model_file, "-o", tmp_path, "--json", "--end", 6, "--batch-size", 2)
    segments = json.loads(done.stdout)
    assert segments == json.loads((tmp_path / "timeline.json").read_text())["segments"]
    assert segments[-1]["end_sec"] == 6


@pytest.mark.slow
def test_that_nothing_is_named_is_said(video: Path, model_file: Path, tmp_path: Path) -> None:
    done = run(video, "-w", model_file, "-o", tmp_path / "out", "--min-duration", 1e9)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no stretch is named: none reaches --min-score 0 and --min-duration 1e+09" in done.stderr


def test_resume_and_its_errors(video: Path, model_file: Path, tmp_path: Path) -> None:
    arguments = (video, "-w", model_file, "-o", tmp_path)
    first = run(*arguments)
    again = run(*arguments)
    assert again.exit_code == 2
    assert again.stderr.count("\n") == 1
    assert f"{tmp_path} holds a timeline already. Give --resume" in again.stderr
    assert run(*arguments, "--resume").stdout == first.stdout
    other = run(*arguments, "--resume", "--every", 2)
    assert other.exit_code == 2
    assert "was started with every_sec=1.0, but got 2.0." in other.stderr
    assert run(*arguments, "--resume", "--min-score", 1).stdout == ""
    assert run(*arguments, "--resume", "--min-duration", 99).stdout == ""


@pytest.mark.slow
def test_a_killed_run_goes_on(model_file: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (600, 48, 64, 3), dtype=np.uint8)
    path = make_video("long.mp4", fps=10, frames=frames, options={"preset": "ultrafast"})
    arguments = [path, "-w", model_file, "--every", 0.4]
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "flash.cli.main", "timeline", *arguments, "--out", out]
    process = subprocess.Popen([str(part) for part in command], stderr=subprocess.DEVNULL)
    progress = out / "progress.jsonl"
    deadline = time.monotonic() + 120
    while not progress.exists() or progress.stat().st_size < 1500:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    lines = progress.read_bytes().count(b"\n")
    assert 8 < lines < 145
    assert not (out / "timeline.json").exists()
    assert run(*arguments, "--out", out, "--resume").exit_code == 0
    assert run(*arguments, "--out", tmp_path / "whole").exit_code == 0
    for file in (tmp_path / "whole").iterdir():
        assert file.read_bytes() == (out / file.name).read_bytes(), file.name


def test_who_interrupts_it_is_told_how_to_go_on(
    video: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(VideoPredictor, "score_inputs", interrupted)
    done = run(video, "-w", model_file, "-o", tmp_path)
    assert done.exit_code == 130
    assert f"--resume goes on with what is in {tmp_path}." in done.stderr
    monkeypatch.undo()
    assert run(video, "-w", model_file, "-o", tmp_path, "--resume").exit_code == 0


def test_gaps_are_counted(video: Path, model_file: Path, tmp_path: Path) -> None:
    content = bytearray(video.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 10] = b"\xff" * (len(content) // 10)
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(content)
    done = run(damaged, "-w", model_file, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    gaps = json.loads((tmp_path / "out/timeline.json").read_text())["gaps"]
    assert gaps
    count = sum(gap["clips"] for gap in gaps)
    assert f"{count} of 20 clips could not be read, the first in 0:00:" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("missing.mp4",), "There is no video file missing.mp4."),
        (("VIDEO", "--every", -1), "Expected `--every` to be > 0 seconds, but got -1.0."),
        (("VIDEO", "--every", "inf"), "Expected `--every` to be > 0 seconds, but got inf."),
        (("VIDEO", "--start", 99), "lies beyond the end"),
        (("VIDEO", "--views", 2), "Expected `--views` to be 1"),
        (("VIDEO", "--min-score", 2), "--min-score"),
    ],
)
def test_bad_input(
    video: Path, model_file: Path, tmp_path: Path, arguments: tuple[object, ...], words: str
) -> None:
    asked = [video if argument == "VIDEO" else argument for argument in arguments]
    done = run(*asked, "-w", model_file, "-o", tmp_path / "out")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not (tmp_path / "out").exists()
