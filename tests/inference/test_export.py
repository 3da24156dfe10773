# SPDX-License-Identifier: Apache-2.0
"""``export`` and what uses artefacts: answers of an artefact are those of its model."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner, Result

from flash.cli.main import app
from flash.cli.model import Source, load_source
from pytorchvideo.accelerator.deployment.artefact import INFO, read_info
from pytorchvideo.accelerator.deployment.runtimes import ExportError
from pytorchvideo.inference import export as exporting
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=4, side_size=36, crop_size=32)
MakeVideo = Callable[..., Path]


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model_file(make_model_file: Callable[..., Path]) -> Path:
    """A small classifier with random weights."""
    # a block in each stage
    return make_model_file(RECIPE, depth_factor=0.2)


@pytest.fixture(scope="module")
def videos(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for i in range(3):
        make_video(f"{i}.mp4", folder=folder, num_frames=20 + 10 * i)
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


@pytest.mark.slow
def test_from_a_model_file_to_answers(model_file: Path, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "artefact"
    options = ("--no-compiled", "--threads", 1, "--seconds", 0)
    done = run("export", model_file, "--to", "openvino", "--out", out, "--check", videos, *options)
    assert done.exit_code == 0, done.output
    assert "3 real clips" in done.stdout and "same class first in 100.0%" in done.stdout
    for word in ("eager", "openvino fp32", "median", "p95", "memory", "MB"):
        assert word in done.stdout
    assert "bad.mp4" in done.stderr
    report = read_info(out).report
    assert report is not None
    assert report["parity"]["clips"] == 3 and report["parity"]["relative"] < 1e-4
    assert report["latency"]["artefact"]["median_sec"] > 0

    video = videos / "1.mp4"
    wanted = VideoPredictor.from_file(model_file).predict(video, clips=3, views=3)
    answer = run("predict", video, "--artefact", out, "--clips", "3x3", "--json")
    assert answer.exit_code == 0, answer.output
    got = [(row["label"], row["score"]) for row in json.loads(answer.stdout)[0]["labels"]]
    assert [label for label, _ in got] == [label for label, _ in wanted]
    assert [score for _, score in got] == pytest.approx([score for _, score in wanted], abs=1e-4)


@pytest.mark.slow
def test_int8_and_json(
    model_file: Path, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "time_variants", lambda *args, **kwargs: {})
    out = tmp_path / "artefact"
    done = run(
        *("export", model_file, "--to", "onnx", "--out", out, "--int8", "--calibrate", videos),
        *("--dynamic-batch", "--json"),
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["precision"], told["dynamic_batch"]) == ("int8", True)
    assert told["report"]["parity"]["clips"] == 3
    assert told["labels"] == ["run", "walk"] and told["recipe"] == RECIPE.to_dict()


def test_an_artefact_that_computes_something_else_is_refused(
    model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Off(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ones(1, 2)

    monkeypatch.setattr(exporting, "load_artefact", lambda folder, trust: Off())
    source = load_source(str(model_file))
    with pytest.raises(ExportError, match="computes something else: logits differ by"):
        exporting.export(source, tmp_path, runtime="torch-export")
    assert not (tmp_path / INFO).exists()


def test_another_size(model_file: Path) -> None:
    source = load_source(str(model_file), frames=8, crop=64)
    assert (source.predictor.recipe.num_frames, source.predictor.recipe.crop_size) == (8, 64)
    assert source.predictor.recipe.side_size == 72
    with torch.inference_mode():
        assert source.predictor.model(torch.rand(1, 3, 8, 64, 64)).shape == (1, 2)


def test_names_of_the_zoo() -> None:
    source = load_source("x3d_xs", untrained=True, crop=96)
    assert isinstance(source, Source) and source.name == "x3d_xs"
    assert len(source.predictor.labels) == 400
    assert source.predictor.recipe.crop_size == 96


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nope", "--to", "onnx"), "There is no model named 'nope'"),
        (("FILE", "--to", "openvino", "--int8"), "Give --calibrate DATA"),
        (("FILE", "--to", "onnx", "--int8", "--bf16"), "int8+bf16 with one of openvino"),
        (("FILE", "--to", "openvino", "--calibrate", "."), "is of no use for fp32"),
        (("FILE", "--to", "onnx", "--bf16"), "bf16 with one of openvino"),
        (
            ("FILE", "--to", "onnx", "--untrained"),
            "without --untrained: a model file has its own weights",
        ),
        (("FILE", "--to", "onnx", "--check", "none"), "no file and no folder 'none'"),
        (("FILE", "--to", "tflite"), "is not one of 'onnx'"),
        (("x3d_xs", "--to", "onnx", "--weights", "none.pt"), "no file of weights none.pt"),
    ],
)
def test_bad_input_is_a_sentence(
    arguments: tuple[str, ...], words: str, model_file: Path, tmp_path: Path
) -> None:
    given = [str(model_file) if one == "FILE" else one for one in arguments]
    result = run("export", *given, "--out", tmp_path / "out")
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == "" and len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr
    assert not (tmp_path / "out").exists()


def test_artefact_alone(model_file: Path, videos: Path, tmp_path: Path) -> None:
    video = videos / "1.mp4"
    result = run("predict", video, "--artefact", tmp_path, "--run", tmp_path)
    assert result.exit_code == 2 and "but got --run and --artefact" in result.stderr
    result = run("predict", video, "--artefact", tmp_path)
    assert result.exit_code == 2 and "holds no artefact" in result.stderr
