# SPDX-License-Identifier: Apache-2.0
"""The page of a comparison of runs."""

from collections.abc import Sequence
from pathlib import Path

from flash.runs.reports.clips import clip_cards, players
from flash.runs.reports.compare import ComparedRun, Comparison, Pair
from flash.runs.reports.page import (
    Line,
    legend,
    line_style,
    plot,
    points_of,
    render_page,
    section,
    settings,
    table,
    text,
)
from pytorchvideo._files import write_whole
from pytorchvideo._text import counted

_DISPUTED_SHOWN = 12
_PLOTS = (
    ("val_accuracy", "Accuracy, held out", True),
    ("val_loss", "Loss, held out", False),
    ("train_loss", "Loss, training", False),
)


def write_comparison(found: Comparison, path: Path) -> Path:
    """Writes the page in one step.

    Raises:
        OSError: the file cannot be written.
    """
    return write_whole(path, render_comparison(found, path))


def render_comparison(found: Comparison, path: Path | None = None) -> str:
    """Returns the page as a string of HTML; clips play from the place of ``path``."""
    rows = found.rows()
    best = max(rows, key=lambda row: row["accuracy"])
    figures = {
        "highest accuracy": f"{best['accuracy']:.1%}",
        "videos that all held out": str(len(found.common)),
        "runs": str(len(rows)),
    }
    body = "\n".join(
        (
            _verdict(found),
            section("Runs", _headline(found)),
            section("Curves", _curves(found.runs)),
            section("Differences", _pairs(found)),
            section("Classes", _classes(found)),
            section("Videos on which they differ", _disputed(found, path)),
            section("Configuration", _differences(found)),
            section("Commands", settings({run.name: run.command for run in found.runs})),
        )
    )
    names = ", ".join(run.name for run in found.runs)
    return render_page("Comparison of runs", names, figures, body, players())


def sentence_of(found: Comparison, pair: Pair) -> str:
    """Returns what the test says of two runs."""
    one, other = found.runs[pair.first], found.runs[pair.second]
    test = pair.test
    if test.only_first == test.only_second == 0:
        return f"{one.name} and {other.name} are right on the same videos."
    better, worse = (one, other) if test.only_first >= test.only_second else (other, one)
    more, fewer = sorted((test.only_first, test.only_second), reverse=True)
    alone = f"{counted(more, 'video')} that only {better.name} has right, {fewer} that only {worse.name} has"
    corrected = ", corrected for all pairs" if len(found.pairs) > 1 else ""
    p = f"p = {pair.p:.3f}" if pair.p >= 0.001 else "p < 0.001"
    if pair.is_significant:
        return f"{better.name} is better than {worse.name}: {alone} (McNemar, {p}{corrected})."
    return f"{one.name} and {other.name} cannot be told apart: {alone} (McNemar, {p}{corrected})."


def _verdict(found: Comparison) -> str:
    entries = [
        f'<li class="caution"><i>be careful</i><b>{text(remark)}</b></li>'
        for remark in found.remarks
    ]
    for pair in found.pairs[:10]:
        level, tag = ("fine", "a difference") if pair.is_significant else ("", "no sure difference")
        entries.append(
            f'<li class="{level}"><i>{tag}</i><b>{text(sentence_of(found, pair))}</b></li>'
        )
    return f'<ol class="findings">{"".join(entries)}</ol>' if entries else ""


def _headline(found: Comparison) -> str:
    header = [
        "run",
        "model",
        "accuracy",
        "95 % interval",
        "held out",
        "on common videos",
        "mean F1",
    ]
    header += ["epochs", "duration", "date"]
    rows = [
        [
            row["run"],
            row["model"] or "–",
            f"{row['accuracy']:.1%}",
            f"{row['interval'][0]:.0%} to {row['interval'][1]:.0%}",
            row["videos"],
            _share(row["accuracy_on_common_videos"]),
            f"{row['mean_f1']:.3f}",
            row["epochs"] or "–",
            row["duration"] or "–",
            row["date"] or "–",
        ]
        for row in found.rows()
    ]
    return table(header, rows, wraps=False)


def _share(value: float | None, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.1%}"


def _curves(runs: Sequence[ComparedRun]) -> str:
    plots = [
        plot(
            [
                Line(points_of(run.history, name), line_style(i)[0], dashes=line_style(i)[1])
                for i, run in enumerate(runs)
            ],
            title,
            is_share=is_share,
        )
        for name, title, is_share in _PLOTS
    ]
    if not any(plots):
        return ""
    return legend([run.name for run in runs]) + f'<div class="curves">{"".join(plots)}</div>'


def _pairs(found: Comparison) -> str:
    if not found.pairs:
        return ""
    rows = [
        (
            found.runs[pair.first].name,
            found.runs[pair.second].name,
            pair.test.only_first,
            pair.test.only_second,
            f"{pair.test.exact_p:.4f}",
            f"{pair.test.mid_p:.4f}",
            f"{pair.p:.4f}",
        )
        for pair in found.pairs
    ]
    return (
        "<p>McNemar's test on the videos that both held out: only those count on which one of them "
        "alone is right. p is "
        "the chance of such a difference, or a greater one, between runs that are equally good.</p>"
        + table(
            (
                "first",
                "second",
                "only first right",
                "only second right",
                "exact p",
                "mid-p",
                "mid-p, all pairs (Holm)",
            ),
            rows,
        )
    )


def _classes(found: Comparison) -> str:
    header = ["class", "videos", *(f"recall, {run.name}" for run in found.runs)]
    header += [f"{run.name} against {found.runs[0].name}" for run in found.runs[1:]]
    videos = found.common or list(found.runs[0].results)
    counts = [result.label for result in found.runs[0].on(videos)]
    rows = []
    for label, recalls in found.recalls().items():
        apart = [
            None if recall is None or recalls[0] is None else recall - recalls[0]
            for recall in recalls[1:]
        ]
        shown = [_share(recall) for recall in recalls] + [_share(value, "+") for value in apart]
        worst = min((value for value in apart if value is not None), default=0.0)
        rows.append((worst, [label, counts.count(label), *shown]))
    where = "the videos that all held out" if found.common else "the videos that each held out"
    rows.sort(key=lambda row: row[0])
    return f"<p>Share of each class that is named rightly, on {where}.</p>" + table(
        header, [row for _, row in rows]
    )


def _disputed(found: Comparison, path: Path | None) -> str:
    disputed = found.disputed()
    cards = []
    for _, results in disputed[:_DISPUTED_SHOWN]:
        lines = [
            f'<b class="{"right" if result.correct else "wrong"}">{text(result.predicted)}</b> {text(run.name)}'
            for run, result in zip(found.runs, results, strict=True)
        ]
        known = f"labelled <b>{text(results[0].label)}</b>"
        cards.append(
            (results[0].video, "<br>".join([known, *lines, text(Path(results[0].video).name)]))
        )
    if not cards:
        return ""
    more = f"<p>{len(disputed)} in all.</p>" if len(disputed) > len(cards) else ""
    return clip_cards(cards, path) + more


def _differences(found: Comparison) -> str:
    rows = [
        (name, *("–" if value is None else str(value) for value in values))
        for name, values in found.differences().items()
    ]
    if not rows:
        return "<p>The runs were asked for the same.</p>"
    return table(("option", *(run.name for run in found.runs)), rows)
