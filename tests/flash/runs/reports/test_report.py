# SPDX-License-Identifier: Apache-2.0
"""The report is one page that needs nothing else, and its figures are those of the predictions."""

import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flash.runs.reports.clips import clip_gif
from flash.runs.reports.report import Report
from flash.runs.reports.run_page import render_report, write_report
from pytorchvideo.evaluation.scores import ClipResult, accuracy, class_scores, confusion_counts

LABELS = ("run", "walk")


def result(video: str, label: str, run: float) -> ClipResult:
    return ClipResult(video, label, (run, 1 - run), LABELS)


RESULTS = [
    result("a.mp4", "run", 0.9),
    result("b.mp4", "run", 0.4),
    result("c.mp4", "walk", 0.2),
    result("d.mp4", "walk", 0.1),
]


def test_scores_by_hand() -> None:
    assert accuracy(RESULTS) == 0.75
    assert accuracy(RESULTS, top=2) == 1
    assert confusion_counts(RESULTS, LABELS).tolist() == [[1, 1], [0, 2]]
    run, walk = class_scores(RESULTS, LABELS)
    assert (run.precision, run.recall, run.count) == (1.0, 0.5, 2)
    assert run.f1 == pytest.approx(2 / 3)
    assert (walk.precision, walk.recall) == (pytest.approx(2 / 3), 1.0)
    assert RESULTS[1].predicted == "walk"
    assert RESULTS[1].true_score == 0.4


def test_ties_count_once() -> None:
    tie = ClipResult("a.mp4", "walk", (0.5, 0.5), LABELS)
    assert not tie.correct
    assert tie.rank() == 1
    assert accuracy([tie]) == 0


def test_no_results_have_no_accuracy() -> None:
    assert accuracy([]) != accuracy([])  # NaN


class _Wellformed(HTMLParser):
    """Fails on a tag that is closed in the wrong order."""

    VOID = ("meta", "img", "br", "use", "path", "rect", "stop", "link")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def page(**changes: object) -> str:
    values: dict[str, object] = {
        "title": "x3d_xs on <data>",
        "subtitle": "Everything & more.",
        "labels": LABELS,
        "results": RESULTS,
        "history": [
            {"epoch": 1, "train_loss": 0.7, "val_loss": 0.8, "train_accuracy": 0.5},
            {"epoch": 2, "train_loss": 0.4, "val_loss": 0.5, "train_accuracy": 0.75},
        ],
        "split": {"seed": 3},
        "skipped": [("bad.mp4", "it is empty")],
        "config": {"epochs": 2, "weights": None},
        "environment": {"torch": "2"},
    }
    return render_report(Report(**{**values, **changes}))  # type: ignore[arg-type]


def test_page_is_well_formed_and_loads_nothing() -> None:
    text = page()
    parser = _Wellformed()
    parser.feed(text)
    assert parser.open == []
    loaded = [
        v for k, v in parser.attributes if k in ("src", "href") and v and v.startswith("http")
    ]
    assert loaded == []
    assert "@import" not in text
    assert "url(http" not in text
    assert "prefers-color-scheme: dark" in text


def test_page_says_what_the_predictions_say() -> None:
    text = page()
    assert "75.0%" in text
    assert "3 of 4" in text
    assert "x3d_xs on &lt;data&gt;" in text
    assert "it is empty" in text
    rows = re.findall(r"<td[^>]*rgba[^>]*>(\d+)</td>", text)
    assert rows == ["1", "1", "0", "2"]
    assert text.count("<svg") == 2
    assert "Furthest from the truth" in text
    assert "weights" not in text


def test_names_are_no_markup() -> None:
    evil = '"><script>alert(1)</script><img src="http://a.b/c" onerror=\'x\'>&lt;$title ${sections}'
    labels = (evil, "walk")
    pages = []
    for first in (evil, "run"):
        labels = (first, "walk")
        results = [
            ClipResult(f"/videos/{first}.mp4", label, scores, labels)
            for label, scores in ((first, (0.9, 0.1)), (first, (0.2, 0.8)), ("walk", (0.1, 0.9)))
        ]
        pages.append(
            render_report(
                Report(
                    title=first,
                    subtitle=first,
                    labels=labels,
                    results=results,
                    split={first: first},
                    skipped=[(first, first)],
                    config={first: first},
                    environment={first: first},
                    figures={first: first},
                )
            )
        )
    read = []
    for page in pages:
        parser = _Wellformed()
        parser.feed(page)
        names = [(name, "" if name == "alt" else value) for name, value in parser.attributes]
        read.append(names)
    assert read[0] == read[1]  # the same tags with the same attributes as for harmless names
    assert html.escape(evil) in pages[0]


def test_page_without_mistakes_shows_the_least_sure() -> None:
    text = page(results=[result(f"{i}.mp4", "run", 0.6 + i / 100) for i in range(9)])
    assert "Correct, but least sure" in text
    assert "Furthest" not in text


def test_page_without_results_or_history() -> None:
    text = page(results=[], history=[], skipped=[])
    assert "<svg" not in text
    assert "every video could be read" in text


def test_many_classes_list_the_mistakes() -> None:
    labels = tuple(f"class {i}" for i in range(30))
    scores = tuple(float(i == 7) for i in range(30))
    text = page(labels=labels, results=[ClipResult("a.mp4", "class 2", scores, labels)])
    assert "The commonest mistakes" in text
    assert 'class="confusion"' not in text


def test_gif_is_small_and_animated(make_video: Callable[..., Path]) -> None:
    from PIL import Image

    path = make_video("gif.mp4", num_frames=30, height=240, width=320)
    data = clip_gif(str(path), side=48, frames=6)
    assert data is not None
    assert len(data) < 60_000
    import io

    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.n_frames) == ("GIF", (64, 48), 6)


def test_gif_of_a_bad_file_is_none(tmp_path: Path) -> None:
    assert clip_gif(str(tmp_path / "missing.mp4")) is None
    (tmp_path / "text.mp4").write_text("no video")
    assert clip_gif(str(tmp_path / "text.mp4")) is None


def test_page_is_written_whole(tmp_path: Path) -> None:
    path = write_report(Report("t", "s", LABELS, RESULTS), tmp_path / "report.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert {file.name for file in tmp_path.iterdir()} == {"report.html", "report.json"}
    said = json.loads((tmp_path / "report.json").read_text())
    assert (said["accuracy"], said["right"], said["videos"]) == (0.75, 3, 4)
    assert said["confusion"] == [[1, 1], [0, 2]]
    assert said["interval"] == pytest.approx([0.30064, 0.95441], abs=1e-5)
    assert {finding["kind"] for finding in said["findings"]} >= {"chance", "small", "next"}
