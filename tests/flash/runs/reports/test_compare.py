# SPDX-License-Identifier: Apache-2.0
"""Runs side by side: figures by hand, tests on common videos, one sentence for what cannot be compared."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from flash.cli.main import app
from flash.runs.config import RunConfig
from flash.runs.folder import RunFolder
from flash.runs.reports.compare import compare_runs
from flash.runs.reports.compare_page import render_comparison, sentence_of
from flash.runs.sources import Sources
from pytorchvideo._files import write_json
from pytorchvideo.evaluation.scores import ClipResult
from pytorchvideo.evaluation.videos import read_predictions, write_predictions

LABELS = ("run", "walk")
TRUTH = {f"v{number:02d}.mp4": LABELS[number % 2] for number in range(20)}


def made(
    path: Path,
    wrong: Sequence[int] = (),
    *,
    truth: Mapping[str, str] = TRUTH,
    labels: Sequence[str] = LABELS,
    trained: Sequence[str] = (),
    data: str = "/data",
    **config: object,
) -> Path:
    """A run that is wrong about some of its held-out videos."""
    results = []
    for number, (name, label) in enumerate(truth.items()):
        is_right = number not in wrong
        scores = tuple(0.9 if (one == label) == is_right else 0.1 for one in labels)
        results.append(ClipResult(f"{data}/{name}", label, scores, tuple(labels)))
    run = RunFolder(path)
    path.mkdir(parents=True)
    write_predictions(run.predictions, results)
    write_json(run.config_file, RunConfig(data, **config).to_dict())  # type: ignore[arg-type]
    val = [(result.video, result.label) for result in results]
    train = [(f"{data}/{name}", labels[0]) for name in trained]
    write_json(run.split_file, Sources(list(labels), train, val).to_dict())
    rows = [{"epoch": float(e), "val_loss": 1 / e, "val_accuracy": 0.5} for e in (1, 2)]
    write_json(run.history_file, rows)
    return path


def compare(*paths: Path, out: Path, json_too: bool = False) -> Result:
    arguments = ["compare", *map(str, paths), "--out", str(out)]
    return CliRunner().invoke(app, [*arguments, "--json"] if json_too else arguments)


def test_figures_by_hand(tmp_path: Path) -> None:
    one = made(tmp_path / "one", wrong=range(10), epochs=2)
    other = made(tmp_path / "other", wrong=(0, 19), epochs=9)
    result = compare(one, other, out=tmp_path / "page.html", json_too=True)
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [run["accuracy"] for run in said["runs"]] == [0.5, 0.9]
    assert said["common_videos"] == 20
    (pair,) = said["pairs"]
    # 19 is right in the first alone, 1 to 9 in the second alone: 2 (1 + 10) / 2^10
    assert (pair["only_first"], pair["only_second"]) == (1, 9)
    assert pair["exact_p"] == pytest.approx(22 / 1024)
    assert pair["p"] == pair["mid_p"] == pytest.approx(12 / 1024)
    assert pair["significant"] is True
    assert said["recall"] == {"run": [0.5, 0.9], "walk": [0.5, 0.9]}
    assert said["differences"] == {"epochs": [2, 9]}
    assert len(said["disputed"]) == 10
    assert said["remarks"] == []


def test_page_is_one_file_with_everything(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one", wrong=range(10)), made(tmp_path / "other", epochs=3)
    result = compare(one, other, out=tmp_path / "page.html")
    assert result.exit_code == 0, result.output
    assert (
        "other is better than one: 10 videos that only other has right, 0 that only"
        in result.stdout
    )
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.count("<svg") == 2  # no training loss in these histories
    assert 'src="http' not in page
    assert "other is better than one" in page
    for part in ("Runs", "Curves", "Differences", "Classes", "Configuration"):
        assert f"<h2>{part}</h2>" in page
    assert "+50.0%" in page or "+100.0%" in page


def test_same_results_are_no_difference(tmp_path: Path) -> None:
    found = compare_runs([made(tmp_path / "a", wrong=(1,)), made(tmp_path / "b", wrong=(1,))])
    assert sentence_of(found, found.pairs[0]) == "a and b are right on the same videos."
    found = compare_runs([made(tmp_path / "c", wrong=(1,)), made(tmp_path / "d", wrong=(2,))])
    assert "c and d cannot be told apart" in sentence_of(found, found.pairs[0])
    assert not found.pairs[0].is_significant


def test_other_splits_are_told(tmp_path: Path) -> None:
    names = list(TRUTH)
    first = made(tmp_path / "first", truth={n: TRUTH[n] for n in names[:12]}, trained=names[12:])
    second = made(tmp_path / "second", truth={n: TRUTH[n] for n in names[8:]}, trained=names[:8])
    found = compare_runs([first, second])
    assert len(found.common) == 4
    assert "first 12, second 12" in found.remarks[0]
    assert "4 are common to all" in found.remarks[0]
    assert found.remarks[1] == "8 videos that first held out were trained on by second."
    (pair,) = found.pairs
    assert pair.test.only_first + pair.test.only_second == 0
    apart = made(tmp_path / "third", truth={"w.mp4": "run"})
    found = compare_runs([first, apart])
    assert found.pairs == []
    assert "No video was held out by all runs" in found.remarks[-1]
    assert "–" in render_comparison(found)


def test_several_runs_are_corrected_together(tmp_path: Path) -> None:
    runs = [made(tmp_path / str(n), wrong=range(n)) for n in (0, 6, 12)]
    found = compare_runs(runs)
    raw = sorted(pair.test.mid_p for pair in found.pairs)
    assert len(raw) == 3
    assert min(pair.p for pair in found.pairs) == pytest.approx(3 * raw[0])
    assert all(pair.p >= pair.test.mid_p for pair in found.pairs)
    assert "corrected for all pairs" in sentence_of(found, found.pairs[0])


def test_evaluations_are_compared_too(tmp_path: Path) -> None:
    one, other = made(tmp_path / "one"), made(tmp_path / "other", wrong=(3,))
    for name in ("config.json", "split.json", "history.json"):
        (other / name).unlink()
    found = compare_runs([one, other])
    assert [row["epochs"] for row in found.rows()] == [2, None]
    assert len(found.common) == 20


def assert_refused(result: Result, *words: str) -> None:
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_what_cannot_be_compared(tmp_path: Path) -> None:
    one = made(tmp_path / "one")
    page = tmp_path / "page.html"
    other = made(tmp_path / "other", labels=("run", "fly"), truth={"a.mp4": "fly"})
    assert_refused(compare(one, other, out=page), "one and other cannot be compared", "'fly'")
    swapped = {name: LABELS[1 - LABELS.index(label)] for name, label in TRUTH.items()}
    relabelled = made(tmp_path / "relabelled", truth=swapped)
    assert_refused(
        compare(one, relabelled, out=page), "labelled 'run' in one and 'walk' in the other"
    )
    assert_refused(compare(one, one, out=page), "twice")
    assert_refused(compare(one, out=page), "Expected 2 to 16 runs")
    assert_refused(compare(one, tmp_path / "gone", out=page), "holds no finished run")
    assert not page.exists()


def test_names_are_no_markup(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>$x$"
    truth = {f"{evil.replace('/', '')}{n}.mp4": (evil, "walk")[n % 2] for n in range(4)}
    names = ("<b>1$", "<b>2$")
    runs = [
        made(tmp_path / name, wrong=w, truth=truth, labels=(evil, "walk"))
        for name, w in zip(names, ((0,), (1,)), strict=True)
    ]
    page = render_comparison(compare_runs(runs))
    assert "alert(1)</script>" not in page
    assert "<b>1$" not in page
    assert "&lt;b&gt;1$" in page


def test_predictions_are_read_back(tmp_path: Path) -> None:
    results = read_predictions(made(tmp_path / "one", wrong=(2,)) / "predictions.json")
    write_predictions(tmp_path / "again.json", results)
    assert read_predictions(tmp_path / "again.json") == results
    for damaged in (
        '{"a": 1}',
        '[{"video": "a"}]',
        '[{"video": 1, "label": "x", "scores": {"x": 1}}]',
        "[3]",
    ):
        (tmp_path / "again.json").write_text(damaged)
        with pytest.raises(ValueError, match=r"again.json is no file of predictions"):
            read_predictions(tmp_path / "again.json")
