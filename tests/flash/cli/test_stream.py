# SPDX-License-Identifier: Apache-2.0
"""``pytorchvideo stream``: its answers, and one sentence with status 2 for everything that a user can get wrong."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from flash.cli.main import app
from flash.cli.stream import _follow, _is_pipe
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models._registry import create_model
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe

# clips of half a second
RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=8, side_size=32, crop_size=32)
MakeVideo = Callable[..., Path]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["stream", *(str(argument) for argument in arguments)])


def assert_bad(result: Result, *words: str) -> None:
    """Status 2, nothing on standard output, one line on standard error with these words in it."""
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


@pytest.fixture(scope="module")
def model_file(make_model_file: Callable[..., Path]) -> Path:
    """A small classifier with random weights."""
    return make_model_file(RECIPE)


@pytest.fixture
def video(make_video: MakeVideo) -> Path:
    """Two seconds whose short side is that of the recipe."""
    return make_video("watched.mp4", num_frames=50, fps=25, height=32, width=48)


def test_a_line_of_json_for_each(model_file: Path, video: Path) -> None:
    result = run(video, "--weights", model_file, "--json", "--every", "0.5")
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["time_sec"] for row in rows] == pytest.approx([0.48, 1.0, 1.48])
    predictor = VideoPredictor.from_file(model_file)
    for row in rows:
        start = round(row["start_sec"] * 25) / 25
        (clip,) = predictor.predict_clips(
            video, clips=1, start_sec=start, end_sec=row["end_sec"] - 1e-3
        )
        found = {label["label"]: label["score"] for label in row["labels"]}
        assert found == pytest.approx(dict(predictor.named([clip])), abs=1e-6)
        assert row["frames_dropped"] == 0
    assert "3 predictions in 2.0 s of video" in result.stderr
    assert "50 frames read, 0 dropped" in result.stderr


def test_lines_to_read_and_a_video_to_watch(model_file: Path, video: Path, tmp_path: Path) -> None:
    out = tmp_path / "drawn.mp4"
    result = run(video, "-w", model_file, "--top", 1, "--out", out, "--smooth", "0.5")
    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first.startswith("0.00-0.52 s  ") or first.startswith("0.02-0.52 s  ")
    assert second.endswith(" s late)")
    with EncodedVideo.from_path(out) as drawn, EncodedVideo.from_path(video) as plain:
        assert drawn.frame_index is not None
        assert plain.frame_index is not None
        assert [float(t) for t in drawn.frame_index.times] == pytest.approx(
            [float(t) for t in plain.frame_index.times], abs=1e-3
        )
        a, b = (v.get_clip(0, v.duration)["video"] for v in (drawn, plain))
    assert a is not None
    assert b is not None
    assert a.shape == b.shape
    is_marked = (a - b).abs().mean(dim=(0, 2, 3)) > 10
    assert is_marked.tolist() == [False] * 13 + [True] * 37


def test_realtime_and_seconds(model_file: Path, video: Path) -> None:
    result = run(video, "-w", model_file, "--json", "--every", 0, "--realtime", "--seconds", 0.8)
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert rows
    assert rows[-1]["end_sec"] < 1.9  # of two seconds, however busy the machine is


def test_a_source_that_is_too_short_for_the_incremental_mode(model_file: Path, video: Path) -> None:
    result = run(video, "-w", model_file, "--incremental")
    assert result.exit_code == 2
    assert "ended before the first answer of the incremental mode." in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl+C is another thing there")
@pytest.mark.parametrize(
    ("number", "pace"),
    [
        (signal.SIGTERM, "--realtime"),
        pytest.param(signal.SIGINT, "--no-realtime", marks=pytest.mark.slow),
    ],
)
def test_raw_frames_on_standard_input_until_it_is_interrupted(
    model_file: Path, number: int, pace: str
) -> None:
    command = [sys.executable, "-m", "flash.cli.main", "stream", "-", "--weights", str(model_file)]
    options = ["--size", "48x32", "--rate", "16", "--json", "--every", "0.25", pace]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(np.zeros((18, 32, 48, 3), np.uint8).tobytes())
        process.stdin.flush()
        # in real time the frames, which come all at once, are dropped but for those of one clip
        count = 3 if pace == "--no-realtime" else 1
        rows = [json.loads(process.stdout.readline()) for _ in range(count)]
        process.send_signal(number)  # while it waits for the next frame
        rest, said = process.communicate(timeout=30)
    assert process.returncode == 128 + number, said
    if count == 3:
        assert [row["time_sec"] for row in rows] == pytest.approx([7 / 16, 11 / 16, 15 / 16])
        assert rest == b""
    assert " s of video, latency " in said.decode()
    assert said.decode().splitlines()[1].startswith("standard input: ")


@pytest.mark.parametrize(
    ("dropped", "is_pipe", "is_said"), [(3, True, True), (0, True, False), (3, False, False)]
)
def test_a_pipe_that_drops_frames_is_told_how_to_wait(
    dropped: int, is_pipe: bool, is_said: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    video = Mock(read=9, dropped=dropped, seconds=1.0)
    video.name = "standard input"
    assert _follow(iter([]), video, None, False, is_pipe=is_pipe) == 0
    assert ("--no-realtime drops no frame" in capsys.readouterr().err) == is_said


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes there")
def test_what_is_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file.ts").touch()
    named = [_is_pipe(str(tmp_path / name)) for name in ("fifo", "file.ts", "none")]
    assert (named, _is_pipe("-"), _is_pipe("rtsp://a/b")) == ([True, False, False], True, False)


def test_sources_that_are_none(model_file: Path, tmp_path: Path) -> None:
    assert_bad(run(tmp_path / "a.mp4", "-w", model_file), "There is no video file")
    assert_bad(run("987", "-w", model_file), "There is no camera")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        address = f"tcp://127.0.0.1:{port}"
        assert_bad(run(address, "-w", model_file, "--timeout", 0.3), "did not answer in 0.3 s.")
    assert_bad(run(f"rtsp://127.0.0.1:{port}/a", "-w", model_file), "connection refused")
    (tmp_path / "text.mp4").write_text("no video " * 100)
    assert_bad(run(tmp_path / "text.mp4", "-w", model_file), "is not a readable video")


def test_frames_of_the_wrong_size(model_file: Path, tmp_path: Path) -> None:
    (tmp_path / "frames.rgb").write_bytes(bytes(48 * 32 * 3 + 10))
    result = run(tmp_path / "frames.rgb", "-w", model_file, "--size", "48x32")
    assert result.exit_code == 2
    assert "10 bytes after the last whole one, but a frame of 48x32 in rgb24 has 4,608" in (
        result.stderr
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--rate", "25"], "Expected --rate and --pixel-format with --size"),
        (["--pixel-format", "gray"], "Expected --rate and --pixel-format with --size"),
        (["--size", "640"], "Expected `--size` to be WIDTHxHEIGHT, as 640x480, but got '640'"),
        (["--size", "48x32", "--rate", "fast"], "Expected `--rate` to be a number"),
        (["--size", "48x32", "--rate", "1/0"], "Expected `--rate` to be a number"),
        (["--size", "48x32", "--pixel-format", "nope"], "Expected `--pixel-format`"),
        (["--every", "-1"], "Expected `--every`"),
        (["--smooth", "1"], "Expected `--smooth`"),
        (["--seconds", "0"], "Expected `--seconds`"),
        (["--timeout", "0"], "Expected `--timeout`"),
        (["--reconnect", "-1"], "--reconnect"),
        (["--out", "drawn.gif"], "ends in .mp4 or .mkv"),
        (["--out", f"{__file__}/drawn.mp4"], "Expected a folder, but"),
    ],
)
def test_options_that_cannot_be(
    model_file: Path, video: Path, options: list[str], words: str
) -> None:
    result = run(video, "-w", model_file, *options)
    assert result.exit_code == 2
    assert words in result.stderr.strip().splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_the_source_is_not_written_over(model_file: Path, make_video: MakeVideo) -> None:
    path = make_video("kept.mp4", num_frames=10)
    before = path.read_bytes()
    assert_bad(run(path, "-w", model_file, "--out", path), "another file than the source")
    assert path.read_bytes() == before


def test_a_model_that_cannot_be_incremental(tmp_path: Path, video: Path) -> None:
    path = tmp_path / "model.pt"
    arguments = {"num_frames": 8, "crop_size": 64}
    recipe = ClipRecipe(num_frames=8, sampling_rate=1, side_size=64, crop_size=64)
    model = create_model("r2plus1d_r50", num_classes=2, **arguments)
    PretrainedModel(model, "r2plus1d_r50", recipe, arguments, ("run", "walk")).save(path)
    assert_bad(run(video, "-w", path, "--incremental"), "X3D and Slow")
