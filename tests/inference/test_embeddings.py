# SPDX-License-Identifier: Apache-2.0
"""Embeddings of clips: their files, their neighbours, what a probe makes of them, and the commands."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from flash.cli.main import app
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.utils import export_video_array
from pytorchvideo.evaluation.probe import AttentiveProbe, labels_by_folder, probe
from pytorchvideo.inference.embeddings import Embeddings, embed
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.transforms.clip_recipe import ClipRecipe

SIDE, FPS = 32, 8
RECIPE = ClipRecipe(
    num_frames=4,
    sampling_rate=2,
    frames_per_second=8.0,  # clips of one second
    side_size=SIDE,
    crop_size=SIDE,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)


class Colours(torch.nn.Module):
    """Features: the mean of each channel."""

    num_features = 3

    def forward_features(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3, 4))


def made(vectors: torch.Tensor, videos: list[str]) -> Embeddings:
    times = [(float(i), i + 1.5) for i in range(len(videos))]
    return Embeddings(vectors, videos, times, {"model": "x", "clips": "2"})


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Two of red and two of blue, which becomes dark in the second second."""
    folder = tmp_path_factory.mktemp("colours")
    files = []
    for name, channel in (("red", 0), ("blue", 2)):
        (folder / name).mkdir()
        for number in range(2):
            frames = torch.zeros(3, 2 * FPS, SIDE, SIDE, dtype=torch.uint8)
            frames[channel] = 250 - 20 * number
            frames[channel, FPS:] = 100
            path = folder / name / f"{number}.mp4"
            export_video_array(frames, path, FPS, video_codec="libx264")
            files.append(str(path))
    return files


def test_rows_are_the_features_of_each_clip(videos: list[str], tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_text("no video")
    seen = []
    predictor = VideoPredictor(Colours(), RECIPE, [])
    found, skipped = embed(predictor, [*videos, str(bad)], clips=2, on_video=lambda: seen.append(1))
    assert found.vectors.shape == (8, 3)
    assert list(found.videos) == [file for file in videos for _ in range(2)]
    assert found.times[:2] == [(0.0, 1.0), (1.0, 2.0)]
    torch.testing.assert_close(
        found.vectors[0], torch.tensor([250.0, 0, 0]) / 255, atol=0.03, rtol=0
    )
    torch.testing.assert_close(
        found.vectors[5], torch.tensor([0, 0, 100.0]) / 255, atol=0.03, rtol=0
    )
    assert [path for path, _ in skipped] == [str(bad)]
    assert "not a readable video" in skipped[0][1]
    assert len(seen) == 5
    assert found.made_by["recipe"] == RECIPE.to_dict()
    with pytest.raises(VideoError, match=r"No video can be read; the first: .*bad\.mp4"):
        embed(predictor, [str(bad)])


def test_a_model_without_features(videos: list[str]) -> None:
    predictor = VideoPredictor(torch.nn.Identity(), RECIPE, [])
    with pytest.raises(TypeError, match="one with `forward_features`, as in the zoo"):
        embed(predictor, videos)


@pytest.mark.parametrize("ending", ["safetensors", "parquet"])
def test_files(tmp_path: Path, ending: str) -> None:
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    known = made(torch.rand(3, 5, generator=torch.Generator().manual_seed(0)), ["b", "a", "b"])
    path = tmp_path / f"clips.{ending}"
    known.save(path)
    again = Embeddings.load(path)
    assert torch.equal(again.vectors, known.vectors)
    assert again.videos == known.videos
    assert again.times == known.times
    assert again.made_by == known.made_by
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_parquet_is_what_others_read(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    made(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), ["a", "b"]).save(tmp_path / "x.parquet")
    assert parquet.read_table(tmp_path / "x.parquet").to_pylist() == [
        {"video": "a", "start_sec": 0.0, "end_sec": 1.5, "embedding": [1.0, 2.0]},
        {"video": "b", "start_sec": 1.0, "end_sec": 2.5, "embedding": [3.0, 4.0]},
    ]


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"ends in \.parquet or \.safetensors"):
        made(torch.zeros(1, 1), ["a"]).save(tmp_path / "x.npy")
    with pytest.raises(FileNotFoundError, match="no file of embeddings"):
        Embeddings.load(tmp_path / "x.safetensors")
    other = tmp_path / "y.safetensors"
    other.write_bytes(b"something else")
    with pytest.raises(ValueError, match="`pytorchvideo embed` writes one"):
        Embeddings.load(other)
    with pytest.raises(ValueError, match="one row, one file and one pair of times"):
        made(torch.zeros(2, 1), ["a"])


def test_neighbours() -> None:
    known = made(torch.tensor([[1.0, 0], [1, 1], [0, 1], [-1, 0]]), ["a", "b", "c", "d"])
    rows = known.nearest(torch.tensor([2.0, 0]), k=3)
    assert [row for row, _ in rows] == [0, 1, 2]
    assert [score for _, score in rows] == pytest.approx([1.0, 0.5**0.5, 0.0])
    with pytest.raises(ValueError, match="2 values"):
        known.nearest(torch.zeros(3))


def test_rows_of_videos() -> None:
    known = made(torch.tensor([[1.0], [5.0], [3.0]]), ["a", "b", "a"])
    assert known.rows_of_videos() == {"a": [0, 2], "b": [1]}


# -- probes --------------------------------------------------------------------------------------


def clusters(apart: float) -> Embeddings:
    """Forty videos of two classes, three clips each; the classes differ in one value by ``apart``."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(120, 4, generator=generator)
    vectors[60:, 0] += apart
    names = [f"{'ab'[video // 20]}/{video}.mp4" for video in range(40) for _ in range(3)]
    return made(vectors, names)


@pytest.mark.parametrize("kind", ["linear", "attentive"])
def test_classes_that_lie_apart_are_told_apart(kind: str) -> None:
    known = clusters(apart=12)
    classes = labels_by_folder(known.videos)
    result = probe(known, classes, kind=kind, splits=2)
    assert result.accuracies == [1.0, 1.0]
    assert result.labels == ["a", "b"]
    assert result.videos == 40
    again = probe(known, classes, kind=kind, splits=2)
    assert again == result


def test_a_probe_does_not_see_what_it_is_asked() -> None:
    known = clusters(apart=0)
    result = probe(known, labels_by_folder(known.videos), splits=8)
    assert result.mean < 0.8
    assert result.deviation > 0


def test_an_attentive_probe_ignores_padding() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = AttentiveProbe(4, 2, max_clips=5).eval()
        x = torch.randn(1, 3, 4)
    longer = torch.cat((x, torch.full((1, 2, 4), 100.0)), dim=1)
    with torch.no_grad():
        wanted = model(x, torch.zeros(1, 3, dtype=torch.bool))
        got = model(longer, torch.tensor([[False] * 3 + [True] * 2]))
    torch.testing.assert_close(got, wanted)


def test_wrong_probes() -> None:
    known = clusters(apart=0)
    with pytest.raises(ValueError, match=r"`kind`.*'linear' or 'attentive'|`kind`.*linear"):
        probe(known, labels_by_folder(known.videos), kind="deep")
    with pytest.raises(ValueError, match="at least two classes"):
        probe(known, {})
    with pytest.raises(ValueError, match="`splits` to be >= 1"):
        probe(known, labels_by_folder(known.videos), splits=0)


# -- commands ------------------------------------------------------------------------------------


def run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def model_file(make_model_file: Callable[..., Path]) -> Path:
    """A small classifier with random weights."""
    return make_model_file(RECIPE, ["red", "blue"])


def test_commands(
    videos: list[str], model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = Path(videos[0]).parents[1], tmp_path / "clips.safetensors"
    monkeypatch.chdir(model_file.parent)
    result = run("embed", folder, "--weights", model_file.name, "--clips", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert "8 clips of 4 videos, 2048 values each" in result.stdout

    answers = json.loads(run("search", out, videos[0], "--top", 2, "--json").stdout)
    assert all(row["video"] != videos[0] for row in answers)
    assert {Path(row["video"]).parent.name for row in answers} == {"red"}
    assert answers[0]["end_sec"] - answers[0]["start_sec"] == 1.0

    # a video that is not in the file is given to the same model, wherever that is called
    monkeypatch.chdir(tmp_path)
    copy = tmp_path / "copy.mp4"
    copy.write_bytes(Path(videos[0]).read_bytes())
    answers = json.loads(run("search", out, copy, "--top", 2, "--json").stdout)
    assert {row["video"] for row in answers} <= set(videos[:2])

    result = run("probe", out, "--splits", 3, "--val-split", 0.5, "--json")
    assert json.loads(result.stdout)["labels"] == ["blue", "red"]
    assert json.loads(result.stdout)["mean_accuracy"] == 1.0
    listed = tmp_path / "list.csv"
    listed.write_text("".join(f"{path} {i % 2}\n" for i, path in enumerate(videos)))
    result = run("probe", out, "--data", listed, "--kind", "attentive", "--splits", 1)
    assert "attentive probe" in result.stdout
    assert "4 videos, 2 classes" in result.stdout


def test_commands_with_wrong_input(videos: list[str], model_file: Path, tmp_path: Path) -> None:
    result = run("embed", videos[0], "--weights", model_file, "--out", tmp_path / "x.npy")
    assert result.exit_code == 2
    assert "ends in .parquet or .safetensors" in result.stderr
    result = run("search", tmp_path / "x.safetensors", videos[0])
    assert result.exit_code == 2
    assert "There is no file of embeddings" in result.stderr
    result = run("embed", videos[0], "--out", tmp_path / "x.safetensors")
    assert result.exit_code == 2
    assert "--run DIR" in result.stderr


def test_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (Path(__file__).parents[2] / "docs" / "embeddings.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    clusters(apart=12).save(tmp_path / "clips.safetensors")
    monkeypatch.chdir(tmp_path)
    shown: list[Any] = []
    exec(compile(code, "embeddings.md", "exec"), {"print": lambda *values: shown.append(values)})
    assert shown[0][0] == (120, 4)
    assert shown[1][0][0][0] == 0  # nothing is more like a row than itself
    assert shown[2] == (1.0,)
