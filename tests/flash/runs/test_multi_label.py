# SPDX-License-Identifier: Apache-2.0
"""Runs on videos with several labels: lists, split, weights, training, report, evaluation."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from flash.cli.main import app
from flash.runs import fit
from flash.runs.config import RunConfig
from flash.runs.fit_head import fit_linear
from flash.runs.reports.findings import Evidence, Finding
from flash.runs.reports.label_judgement import judge_labels
from flash.runs.reports.multi_label import MultiLabelReport
from flash.runs.reports.run_page import render_report
from flash.runs.share import trained_model
from flash.runs.sources import Sources, list_labelled, read_labelled, read_sources
from flash.runs.start import doubtful_name
from flash.runs.train import train
from pytorchvideo.evaluation.multi_label import MultiLabelResult, read_multi_label_predictions
from pytorchvideo.inference import VideoPredictor
from pytorchvideo.transforms.clip_recipe import ClipRecipe

SMALL = ["--frames", "4", "--crop", "32", "--clip-duration", "0.8", "--clips", "1"]


@pytest.fixture
def listed(folder: Path, tmp_path: Path) -> Path:
    """Six videos that fall, of which three are also fast, and six that grow, the last with no label."""
    rows = ["path,label"]
    for video in sorted(folder.rglob("*.mp4")):
        fast = int(video.stem[-1]) >= 3
        cell = video.parent.name
        if video.parent.name == "falling" and fast:
            cell = "falling|fast"
        elif video.stem == "source2_5":
            cell = ""
        rows.append(f"{video},{cell}")
    file = tmp_path / "list.csv"
    file.write_text("\n".join(rows))
    return file


def labels_of(file: Path, *cells: str, **how: Any) -> list[str]:
    """The labels that cells of a list are read as."""
    video = Path(file).with_name("a.mp4")
    video.touch()
    rows = (f"{video},{cell}" for cell in cells)
    file.write_text("\n".join(["path,label", *rows]))
    return [label for _, label in list_labelled(str(file), multi_label=True, **how)]


def test_cells_of_a_list(tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    assert labels_of(file, "run | jump", "run", "") == ["jump|run", "run", ""]
    assert labels_of(file, "run;jump", "sit") == ["jump|run", "sit"]
    assert labels_of(file, '"run, jump"', "sit") == ["jump|run", "sit"]
    # the first of | ; , that occurs in the list counts: the comma is part of a name
    assert labels_of(file, '"put it down, gently|run"', '"put it down, gently"') == [
        "put it down, gently|run",
        "put it down, gently",
    ]
    for cell in ("0 2", '"0,2"', "0;2", "0|2"):
        assert labels_of(file, cell, "1") == ["0|2", "1"]
    with pytest.raises(ValueError, match="has the label run alone"):
        labels_of(file, "run", "run")


def test_names_that_a_model_knows_are_not_split(folder: Path, tmp_path: Path) -> None:
    video = next(folder.rglob("*.mp4"))
    (tmp_path / "list.csv").write_text(f'path,label\n{video},"run, fast"\n{video},"sit"\n')
    data, labels = str(tmp_path / "list.csv"), ["run, fast", "sit"]
    files = read_labelled(data, labels, multi_label=True)
    assert [info["label"].tolist() for _, info in files.items] == [[1, 0], [0, 1]]
    with pytest.raises(
        ValueError, match="have the classes of the model only, but it also has fast"
    ):
        read_labelled(data, ["run", "sit"], multi_label=True)


def test_the_split_knows_the_rarest_label(listed: Path) -> None:
    found = read_sources(str(listed), val_split=0.34, multi_label=True)
    assert found.labels == ["falling", "fast", "growing"]
    held = found.counts(found.val)
    # of three videos: fast ones, falling ones that are not, those without any; of five that grow
    assert (held["fast"], held["falling"], held["growing"]) == (1, 2, 2)
    assert "counts for the rarest of its labels" in found.how["split"]
    assert Sources.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    grouped = read_sources(
        str(listed), val_split=0.34, multi_label=True, group_by=r"(\w+/source\d)_"
    )
    train_on, held_out = (
        {path.rpartition("_")[0] for path, _ in part} for part in (grouped.train, grouped.val)
    )
    assert train_on.isdisjoint(held_out) and len(train_on | held_out) == 6


def test_folders_are_one_label_each(folder: Path) -> None:
    found = read_sources(str(folder), val_split=0.34, multi_label=True)
    assert found.labels == ["falling", "growing"]
    assert {label for _, label in found.train} == {"falling", "growing"}
    assert found.targets(found.val) == [[1, 0]] * 2 + [[0, 1]] * 2


def test_weights_of_labels() -> None:
    rows = [("1", "a"), ("2", "a|b"), ("3", "a"), ("4", "")]
    sources = Sources(["a", "b", "c"], rows, [], multi_label=True)
    # 1 of 4 videos has not a, 3 have not b, none has c
    assert fit.class_weights(sources).tolist() == pytest.approx([1 / 3, 3.0, 4.0])


def test_options_that_do_not_go_together() -> None:
    with pytest.raises(ValueError, match="--multi-label without --balanced"):
        RunConfig("data", multi_label=True, balanced=True).completed()


def test_names_that_may_be_several_labels() -> None:
    assert doubtful_name(["jump", "run", "run; jump"]) == "run; jump"
    assert doubtful_name(["put it down, gently", "run"]) is None


def test_best_epoch_by_average_precision() -> None:
    rows = [(0.5, 1.0), (float("nan"), 0.1), (0.7, 0.9), (0.7, 0.8)]
    history = [{"epoch": n, "val_map": m, "val_loss": x} for n, (m, x) in enumerate(rows, 1)]
    assert fit.best_epoch(history) == 4


def test_a_probe_learns_labels_apart() -> None:
    features = torch.randn(64, 6, generator=torch.Generator().manual_seed(0))
    targets = (features[:, :2] > 0).float()
    layer, history = fit_linear(
        (features, targets),
        (features, targets),
        num_classes=2,
        epochs=60,
        lr=0.05,
        weight_decay=0.0,
        seed=0,
        keeps_best=True,
    )
    assert history[-1]["val_map"] > 0.95 > history[0]["val_map"]
    assert "val_accuracy" not in history[-1]
    assert ((layer(features) > 0).float() == targets).float().mean() > 0.9


def average_precision(scores: list[float], truth: list[bool]) -> float:
    """The mean over positives of the precision at their rank; no scores are equal."""
    ranked = [has for _, has in sorted(zip(scores, truth, strict=True), reverse=True)]
    hits = [sum(ranked[: place + 1]) / (place + 1) for place, has in enumerate(ranked) if has]
    return sum(hits) / len(hits)


def expected_map(predictions: list[dict[str, Any]]) -> float:
    found = []
    for label in predictions[0]["scores"]:
        truth = [label in row["labels"] for row in predictions]
        if any(truth):
            found.append(average_precision([row["scores"][label] for row in predictions], truth))
    return sum(found) / len(found)


def test_command_from_list_to_answer(listed: Path, folder: Path, tmp_path: Path) -> None:
    def run(*words: object, code: int = 0) -> Any:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == code, done.output
        return done

    out = tmp_path / "run"
    asked = ["--multi-label", "--no-pretrained", "--epochs", 1, "--val-split", 0.34, "--mix"]
    asked += ["--keep", "best", "--early-stopping", 2, "--class-weights", "--batch-size", 4]
    done = run("train", listed, "--out", out, *SMALL, *asked)
    predictions = json.loads((out / "predictions.json").read_text())
    mean = expected_map(predictions)
    assert f"mean average precision {mean:.3f}" in done.stdout
    split = json.loads((out / "split.json").read_text())
    assert ["|".join(row["labels"]) for row in predictions] == [text for _, text in split["val"]]
    report = json.loads((out / "report.json").read_text())
    assert report["mean_average_precision"] == pytest.approx(mean)
    assert "confusion" not in report and "accuracy" not in report
    page = (out / "report.html").read_text()
    assert "Mean average precision" in page and "<h2>Confusion" not in page
    (row,) = json.loads((out / "history.json").read_text())
    assert {"train_map", "val_map", "val_loss"} <= row.keys() and "val_accuracy" not in row
    assert json.loads((out / "config.json").read_text())["multi_label"] is True
    predictor = VideoPredictor.from_file(out / "model.pt")
    assert (predictor.multi_label, predictor.threshold) == (True, 0.5)

    videos = [row["video"] for row in predictions]
    rows = [f"{row['video']},{'|'.join(row['labels'])}" for row in predictions]
    (tmp_path / "val.csv").write_text("\n".join(["path,label", *rows]))
    found = run(
        "evaluate",
        tmp_path / "val.csv",
        "--run",
        out,
        "--clips",
        1,
        "--json",
        "--out",
        tmp_path / "e",
    )
    figures = json.loads(found.stdout)
    assert figures["mean_average_precision"] == pytest.approx(mean, abs=1e-4)
    assert figures["videos"] == len(videos)
    assert (tmp_path / "e/report.html").is_file()
    answer = run("predict", videos[0], "--run", out, "--clips", 1, "--json")
    assert "fast" in answer.stdout

    card = trained_model(out).card("me/motions")
    assert f"| mAP | {100 * mean:.4g} % |" in card
    assert f"{len(predictions)} held-out videos of {listed.name}, 1 clip a video." in card
    assert read_multi_label_predictions(out / "predictions.json")[0].video == videos[0]
    for refused in (["compare", out, tmp_path / "e"], ["review", out]):
        assert "--multi-label" in run(*refused, code=2).stderr
    run("train", "--resume", out, "--epochs", 2)
    assert len(json.loads((out / "history.json").read_text())) == 2


def test_a_probed_run(listed: Path, tmp_path: Path, make_model_file: Callable[..., Path]) -> None:
    recipe = ClipRecipe(num_frames=4, sampling_rate=2, side_size=32, crop_size=32)
    weights = make_model_file(recipe, ["falling", "fast", "growing"])
    config = RunConfig(
        str(listed),
        weights=str(weights),
        strategy="probe",
        frames=4,
        crop=32,
        clip_duration=0.8,
        clips=1,
        views=1,
        epochs=20,
        multi_label=True,
    )
    done = train(config, tmp_path / "run", console=Console(file=io.StringIO()))
    assert len(done.history) == 20 and len(done.multi_label_results) == 3
    assert done.history[-1]["train_loss"] < done.history[0]["train_loss"]


def kinds_of(predicted: list[str], truth: list[str], **known: Any) -> dict[str, Finding]:
    """The findings where the labels of each video are as many letters."""
    labels = ("a", "b", "c")
    results = [
        MultiLabelResult(
            f"{number}.mp4", tuple(true), tuple(0.9 if n in said else 0.1 for n in labels), labels
        )
        for number, (said, true) in enumerate(zip(predicted, truth, strict=True))
    ]
    return {one.kind: one for one in judge_labels(results, labels, Evidence(labels, (), **known))}


def test_one_answer_for_all_videos() -> None:
    truth = ["a", "b", "ab", "c"]
    config = RunConfig("clips", multi_label=True, epochs=2).completed()
    one = kinds_of(["a"] * 4, truth, config=config)["same-answer"]
    assert one.text.startswith(
        "All 4 held-out videos were predicted as 'a' alone, which is right for 1: "
    )
    assert one.level == "problem"
    assert "--class-weights" in str(one.command)
    every = kinds_of(["abc"] * 4, truth)["same-answer"]
    assert "predicted to have every one of the 3 labels, which is right for 0" in every.text
    two = kinds_of(["ab"] * 4, truth)["same-answer"]
    assert "predicted as 'a', 'b', no more and no less, which is right for 1" in two.text
    assert "No label reaches" in kinds_of([""] * 4, truth)["nothing-said"].text
    assert set(kinds_of(["a"] * 4, ["a"] * 4)) == {"small"}  # which is right


def test_labels_that_are_predicted_for_none_or_all() -> None:
    one = kinds_of(["a", "a", "ac", "a"], ["a", "b", "b", ""])["none-or-all"]
    assert one.figures == {"none": ["b"], "all": ["a"]}
    assert "Of the 4 held-out videos the model predicts 'b' for none and 'a' for all" in one.text
    assert "none-or-all" not in kinds_of(["a", "b", "b", ""], ["a", "b", "b", ""])


def test_how_many_more_to_hold_out() -> None:
    config = RunConfig("clips", multi_label=True, epochs=2, val_split=0.2).completed()
    many = {"a": 20, "b": 20, "c": 20}
    one = kinds_of(["a", "b", "c"], ["a", "b", "c"], trained_on=many, config=config)["small"]
    # 5 of 21
    assert (
        "`--val-split 0.24` would hold out about 5 videos or more with 'a', 'b', 'c'." in one.advice
    )
    assert "--val-split 0.24" in str(one.command)
    few = {"a": 20, "b": 20, "c": 2}
    one = kinds_of(["a", "b", "c"], ["a", "b", "c"], trained_on=few, config=config)["small"]
    assert "Collect videos with 'c': with 13 of each, 5 can be held out." in one.advice


def test_report_of_a_model_that_says_nothing() -> None:
    labels = ("<b>run", "jump")
    results = [
        MultiLabelResult(f"{n}.mp4", labels[:1] if n % 2 else (), (0.1 * n, 0.2), labels)
        for n in range(4)
    ]
    report = MultiLabelReport("title", "subtitle.", labels, results)
    kinds = [finding.kind for finding in report.findings()]
    assert kinds == ["nothing-said", "small", "next"]
    page = render_report(report)
    # ranks 1 and 3, as many as half of the videos by chance
    assert "over the 1 of 2 labels that held-out videos have is 0.833" in page
    assert "would reach about 0.500" in page
    assert "&lt;b&gt;run" in page and "<b>run" not in page
    assert render_report(MultiLabelReport("t", "s.", labels, []))
