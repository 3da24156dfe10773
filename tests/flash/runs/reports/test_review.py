# SPDX-License-Identifier: Apache-2.0
"""Labels that were planted wrongly come first in the review of a run."""

import csv
import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn
from typer.testing import CliRunner

import flash.runs.reports.review as review_module
from flash.cli.main import app
from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.reports.review import review_run
from flash.runs.sources import Sources, read_sources
from pytorchvideo._files import write_json
from pytorchvideo.inference.embeddings import Embeddings
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.transforms.clip_recipe import ClipRecipe

QUIET = Console(file=StringIO())
RECIPE = ClipRecipe(num_frames=2, sampling_rate=1, frames_per_second=4, side_size=32, crop_size=32)
LABELS = ("run", "walk", "jump")


def made(path: Path, sources: Sources, model: Path, **config: object) -> RunFolder:
    """A finished run."""
    run = RunFolder(path)
    run.path.mkdir()
    given = RunConfig(str(path.parent / "data"), **config)  # type: ignore[arg-type]
    write_json(run.config_file, given.to_dict())
    write_json(run.split_file, sources.to_dict())
    run.model.write_bytes(model.read_bytes())
    return run


@pytest.fixture
def planted(
    tmp_path: Path, make_model_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> tuple[RunFolder, dict[str, str]]:
    """A run of 120 videos, 6 of them labelled wrongly, whose features tell the classes apart as good trunks do."""
    generator = torch.Generator().manual_seed(0)
    truth = {str(tmp_path / "data" / f"s{n // 2}_{n}.mp4"): LABELS[n // 2 % 3] for n in range(120)}
    for path in truth:
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).touch()
    centres = torch.randn(3, 16, generator=generator)
    noise = torch.randn(120, 2, 16, generator=generator)
    vectors = {
        path: centres[LABELS.index(label)] + 0.8 * noise[number]
        for number, (path, label) in enumerate(truth.items())
    }
    given = dict(truth)
    for path in list(truth)[::20]:
        given[path] = next(label for label in LABELS if label != truth[path])
    pairs = list(given.items())
    run = made(
        tmp_path / "run",
        Sources(sorted(LABELS), pairs[:90], pairs[90:]),
        make_model_file(RECIPE, sorted(LABELS)),
        group_by=r"(s\d+)_",
    )

    def embed(predictor: object, paths: list[str], **options: object) -> tuple[Embeddings, list]:
        read = [path for path in paths if path in vectors]
        rows = torch.cat([vectors[path] for path in read])
        names = [path for path in read for _ in range(2)]
        made_by = options["made_by"]
        found = Embeddings(rows, names, [(0.0, 1.0), (1.0, 2.0)] * len(read), made_by)  # type: ignore
        return found, [(path, "it is empty") for path in paths if path not in vectors]

    monkeypatch.setattr(review_module, "embed", embed)
    return run, {path: label for path, label in truth.items() if given[path] != label}


def test_planted_labels_come_first(planted: tuple[RunFolder, dict[str, str]]) -> None:
    run, wrong = planted
    found = review_run(run.path, console=QUIET)
    assert len(found.doubts) == 120
    first = found.doubts[:12]
    assert sum(doubt.video in wrong for doubt in first) >= 0.7 * len(wrong)
    assert all(doubt.suggested == wrong[doubt.video] for doubt in first if doubt.video in wrong)
    assert found.is_telling
    assert found.noise == pytest.approx(0.05, abs=0.03)
    assert {doubt.part for doubt in found.doubts} == {"train", "val"}
    margins = [doubt.margin for doubt in found.doubts]
    assert margins == sorted(margins)


def test_sources_are_in_one_fold(
    planted: tuple[RunFolder, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    plain = review_module.cross_validated_scores

    def record(*args: torch.Tensor, **options: object) -> torch.Tensor:
        seen.append(options["groups"])
        return plain(*args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(review_module, "cross_validated_scores", record)
    shown = StringIO()
    review_run(planted[0].path, console=Console(file=shown, force_terminal=True))
    assert "cross-validation" in shown.getvalue()  # which takes long for thousands of videos
    assert seen[0] == [f"s{number // 2}" for number in range(120)]


def test_features_are_kept_for_the_same_model(
    planted: tuple[RunFolder, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, _ = planted
    first = review_run(run.path, console=QUIET)
    made_again = []
    plain = review_module.embed
    monkeypatch.setattr(
        review_module, "embed", lambda *a, **o: (made_again.append(1), plain(*a, **o))[1]
    )
    assert review_run(run.path, console=QUIET).doubts == first.doubts
    assert made_again == []
    review_run(run.path, clips=3, console=QUIET)
    assert made_again == [1]


def test_command_writes_page_and_lists(planted: tuple[RunFolder, dict[str, str]]) -> None:
    run, wrong = planted
    result = CliRunner().invoke(app, ["review", str(run.path), "--top", "5"])
    assert result.exit_code == 0, (result.output, result.exception)
    said = json.loads((run.path / "review" / "review.json").read_text())
    with (run.path / "review" / "review.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["video"] for row in rows] == [video["video"] for video in said["videos"]]
    assert rows[0]["video"] in wrong
    assert rows[0]["video"] in result.stdout
    page = (run.path / "review" / "review.html").read_text(encoding="utf-8")
    assert page.count('class="fix"') == 5
    assert 'id="corrections"' in page
    as_json = CliRunner().invoke(app, ["review", str(run.path), "--json"])
    assert [v["video"] for v in json.loads(as_json.stdout)["videos"]] == [r["video"] for r in rows]


def test_videos_that_cannot_be_read_are_named(planted: tuple[RunFolder, dict[str, str]]) -> None:
    run, _ = planted
    sources = Sources.from_file(run.split_file)
    sources.train.append(("/data/empty.mp4", "run"))
    write_json(run.split_file, sources.to_dict())
    found = review_run(run.path, console=QUIET)
    assert found.skipped == [("/data/empty.mp4", "it is empty")]
    assert len(found.doubts) == 120
    assert review_run(run.path, console=QUIET).skipped[0][0] == "/data/empty.mp4"


def test_what_cannot_be_reviewed(
    planted: tuple[RunFolder, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, _ = planted
    with pytest.raises(FileNotFoundError, match="holds no run"):
        review_run(tmp_path / "nothing", console=QUIET)
    with pytest.raises(ValueError, match=r"`folds` to be in 2\.\.60"):
        review_run(run.path, folds=61, console=QUIET)
    with pytest.raises(ValueError, match="`clips` to be >= 1"):
        review_run(run.path, clips=0, console=QUIET)
    plain = VideoPredictor(nn.Identity(), RECIPE, LABELS)
    monkeypatch.setattr(VideoPredictor, "from_file", lambda _: plain)
    (run.features / "review.safetensors").unlink()
    with pytest.raises(ValueError, match="has no features to review labels by"):
        review_run(run.path, console=QUIET)


def test_features_of_real_videos(
    folder: Path, make_model_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Random weights say nothing of labels, which is told; all videos are ranked."""
    sources = read_sources(str(folder))
    run = made(tmp_path / "run", sources, make_model_file(RECIPE, sources.labels))
    found = review_run(run.path, folds=2, clips=1, console=QUIET)
    assert len(found.doubts) == 12
    assert {doubt.video for doubt in found.doubts} == {p for p, _ in [*sources.train, *sources.val]}
    assert found.joint.sum() <= 12
