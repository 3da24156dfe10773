# SPDX-License-Identifier: Apache-2.0
"""The report of a run: one self-contained ``report.html``, with a judgement in words, and ``report.json`` beside it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from flash.runs.reports.clips import Corrections, clip_cards, players
from flash.runs.reports.commands import corrected_command
from flash.runs.reports.findings import Evidence, Finding, interval_words
from flash.runs.reports.judgement import judge
from flash.runs.reports.leaks import Leaks
from flash.runs.reports.page import (
    Line,
    plot,
    points_of,
    prose,
    render_page,
    section,
    settings,
    table,
    text,
)
from flash.runs.sources import Sources
from pytorchvideo._files import write_json, write_whole
from pytorchvideo._text import are, counted
from pytorchvideo.evaluation.scores import ClipResult, accuracy, class_scores, confusion_counts
from pytorchvideo.evaluation.significance import wilson_interval

_GALLERY = 6  # clips shown at either end
_MATRIX_LIMIT = 20  # classes beyond which a matrix would not be readable
_PAIRS_SHOWN = 20


@dataclass
class Report:
    """What the page says.

    Args:
        title: headline.
        subtitle: one sentence below it.
        labels: class names in the order of their indices.
        results: one entry for each held-out video that could be read.
        history: one mapping an epoch with ``epoch`` and any of ``train_loss``, ``val_loss``,
            ``train_accuracy``, ``val_accuracy``.
        split: how training and held-out videos were chosen, as rows of a table.
        skipped: videos that could not be read, with the reason.
        config: what the run was asked to do.
        environment: versions and machine.
        figures: further headline figures, name to text.
        run: date, duration and command of the run.
        evidence: what the judgement is made from; by default the results and the history alone.
        sources: all videos of the run, for a list with corrected labels; None offers none.
    """

    title: str
    subtitle: str
    labels: Sequence[str]
    results: Sequence[ClipResult]
    history: Sequence[Mapping[str, float]] = ()
    split: Mapping[str, object] = field(default_factory=dict)
    skipped: Sequence[tuple[str, str]] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, object] = field(default_factory=dict)
    evidence: Evidence | None = None
    sources: Sources | None = None

    def findings(self) -> list[Finding]:
        """Returns the judgement, the worst first; nothing of a run without results."""
        known = self.evidence or Evidence(
            self.labels, self.results, self.history, skipped=len(self.skipped)
        )
        return judge(known) if self.results else []

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures of the page as plain types."""
        found: dict[str, Any] = {
            "title": self.title,
            "findings": [finding.to_dict() for finding in self.findings()],
            "run": dict(self.run),
            "split": dict(self.split),
            "config": dict(self.config),
            "environment": dict(self.environment),
            "skipped": [{"video": path, "reason": reason} for path, reason in self.skipped],
        }
        if self.results:
            right = sum(result.correct for result in self.results)
            found |= {
                "accuracy": right / len(self.results),
                "interval": list(wilson_interval(right, len(self.results))),
                "right": right,
                "videos": len(self.results),
                "classes": [vars(row) for row in class_scores(self.results, self.labels)],
                "confusion": confusion_counts(self.results, self.labels).tolist(),
            }
        return found


def write_report(report: Report, path: Path) -> Path:
    """Writes a report, and the same as json beside it, each in one step, so that no half page is ever seen.

    Args:
        report: what it says.
        path: of the page.

    Raises:
        OSError: a file cannot be written.
    """
    write_json(path.with_suffix(".json"), report.to_dict())
    return write_whole(path, render_report(report, path))


def render_report(report: Report, path: Path | None = None) -> str:
    """Returns the page as a string of HTML.

    Args:
        report: what it says.
        path: of the page, from which clips are played; None shows animations alone.
    """
    headline = {}
    if report.results:
        right, total = sum(result.correct for result in report.results), len(report.results)
        low, high = wilson_interval(right, total)
        headline["accuracy on held-out videos"] = f"{accuracy(report.results):.1%}"
        headline["95 % interval"] = f"{low:.0%} to {high:.0%}"
        headline["predicted correctly"] = f"{right} of {total}"
        headline["classes"] = str(len(report.labels))
    findings = report.findings()
    leaks = report.evidence.leaks if report.evidence else None
    fixes = _corrections(report)
    sections = (
        _verdict(report, findings),
        section("Learning curves", _curves(report.history)),
        section("Confusion", _confusion(report)),
        section("Classes", _class_table(report)),
        section("Clips", _gallery(report.results, path, fixes), "clips"),
        section("Videos that look like training videos", videos_alike(leaks)),
        section("Split", settings(report.split)),
        section("Skipped videos", skipped_videos(report.skipped)),
    )
    pair = section("Configuration", settings(report.config))
    pair += section("Environment", settings({**report.run, **report.environment}))
    return render_page(
        report.title,
        report.subtitle,
        {**headline, **report.figures},
        "\n".join(part for part in sections if part) + f'<div class="pair">{pair}</div>',
        players() + ("" if fixes is None or not report.results else fixes.html()),
    )


def _corrections(report: Report) -> Corrections | None:
    if report.sources is None:
        return None
    known = report.evidence
    if known is None or known.config is None:
        return Corrections(report.sources)
    return Corrections(report.sources, corrected_command(known.config, known.out))


def _verdict(report: Report, findings: Sequence[Finding]) -> str:
    """The judgement: one sentence on the accuracy, and what was found."""
    if not findings:
        return ""
    right, total = sum(result.correct for result in report.results), len(report.results)
    of = counted(total, "held-out video")
    return (
        f'<section class="verdict">\n<p>{right} of {of} {are(right)} right: '
        f"{text(interval_words(right, total))}.</p>\n"
        f"{findings_list(findings)}\n</section>"
    )


def findings_list(findings: Sequence[Finding]) -> str:
    """Returns what was found as a list of HTML."""
    following = findings[-1].command  # is shown once, at the end
    entries = []
    for finding in findings:
        is_last = finding is findings[-1]
        typed = finding.command if is_last or finding.command != following else None
        shown = f'<code class="command">{text(typed)}</code>' if typed else ""
        advice = f"<p>{prose(finding.advice)}</p>" if finding.advice else ""
        entries.append(
            f'<li class="{finding.level}"><i>{text(_LEVELS[finding.level])}</i>'
            f"<b>{text(finding.text)}</b>{advice}{shown}</li>"
        )
    return f'<ol class="findings">{"".join(entries)}</ol>'


_LEVELS = {"problem": "problem", "caution": "be careful", "fine": "what to do next"}


def _curves(history: Sequence[Mapping[str, float]]) -> str:
    plots = [
        plot(
            [
                Line(points_of(history, f"train_{quantity}"), "--train", "training", "--"),
                Line(points_of(history, f"val_{quantity}"), "--val", "held out"),
            ],
            title,
            is_share=quantity == "accuracy",
        )
        for quantity, title in (("loss", "Loss (cross-entropy)"), ("accuracy", "Accuracy"))
    ]
    return f'<div class="curves">{"".join(plots)}</div>' if any(plots) else ""


def _confusion(report: Report) -> str:
    if not report.results:
        return ""
    counts = confusion_counts(report.results, report.labels)
    if len(report.labels) > _MATRIX_LIMIT:
        return _most_confused(counts, report.labels)
    header = "".join(f"<th>{text(label)}</th>" for label in report.labels)
    rows = []
    for label, row in zip(report.labels, counts, strict=True):
        cells = "".join(
            f'<td style="background:rgba(var(--cell),{0.06 + 0.64 * share:.2f})">{n}</td>'
            for n, share in zip(row, row / max(row.sum(), 1), strict=True)
        )
        rows.append(f'<tr><th scope="row">{text(label)}</th>{cells}</tr>')
    return (
        "<p>Rows are true classes, columns predictions; a cell counts videos.</p>"
        f'<div class="scroll"><table class="confusion"><thead><tr><th></th>{header}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _most_confused(counts: np.ndarray, labels: Sequence[str]) -> str:
    """The ten commonest mistakes, in place of a matrix of hundreds of rows."""
    mistakes = counts - np.diag(np.diag(counts))
    order = np.argsort(mistakes, axis=None)[::-1][:10]
    pairs = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, counts.shape), strict=True)]
    rows = [
        (labels[i], labels[j], int(counts[i, j]), int(counts[i].sum()))
        for i, j in pairs
        if mistakes[i, j]
    ]
    if not rows:
        return "<p>No video was mistaken for another class.</p>"
    return "<p>The commonest mistakes.</p>" + table(
        ("true class", "predicted", "videos", "of"), rows
    )


def _class_table(report: Report) -> str:
    if not report.results:
        return ""
    trained = report.evidence.trained_on if report.evidence else {}
    header = ["class", "precision", "recall", "F1", "videos"] + ["training videos"] * bool(trained)
    rows = [
        [row.label, f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", row.count]
        + [trained.get(row.label, 0)] * bool(trained)
        for row in class_scores(report.results, report.labels)
    ]
    return table(header, rows)


def videos_alike(leaks: Leaks | None) -> str:
    """Returns a table of the held-out videos that look like training videos; nothing without such."""
    if leaks is None or leaks.one_place or not leaks.twins:
        return ""
    rows = [(one, other, f"{share:.1%}") for one, other, share in leaks.twins[:_PAIRS_SHOWN]]
    return (
        f"<p>{counted(len(leaks.twins), 'held-out video')} with the training video that looks most like them, by "
        "hashes of three "
        "frames: the share of bits that differ.</p>"
        + table(("held out", "training", "difference"), rows)
    )


def skipped_videos(skipped: Sequence[tuple[str, str]]) -> str:
    """Returns a table of the videos that could not be read, and why."""
    if not skipped:
        return "<p>None: every video could be read.</p>"
    return table(("video", "reason"), skipped)


def _gallery(results: Sequence[ClipResult], page: Path | None, fixes: Corrections | None) -> str:
    """The surest correct predictions and the surest mistakes, or the least sure where none is wrong."""
    if not results:
        return ""
    numbers = None if fixes is None else fixes.numbers()
    ranked = sorted(results, key=lambda result: result.true_score, reverse=True)
    best = _one_a_class([result for result in ranked if result.correct])[:_GALLERY]
    wrong = [result for result in reversed(ranked) if not result.correct][: 2 * _GALLERY]
    unsure = [result for result in reversed(ranked) if result not in best][:_GALLERY]
    content = ""
    if wrong:
        content += "<h3>Furthest from the truth</h3>"
        if fixes is not None:
            content += (
                "<p>Play a clip, and mark what is labelled wrongly: a list with the labels put right can then be "
                "downloaded.</p>"
            )
        content += clip_cards([(one.video, _caption(one)) for one in wrong], page, numbers)
    elif unsure:
        content += "<h3>Correct, but least sure</h3>"
        content += clip_cards([(one.video, _caption(one)) for one in unsure], page, numbers)
    if best:
        content += "<h3>Surest and correct</h3>"
        content += clip_cards([(one.video, _caption(one)) for one in best], page)
    return content


def _one_a_class(ranked: Sequence[ClipResult]) -> list[ClipResult]:
    """The first of every class, then the second of every class, and so on."""
    seen: Counter[str] = Counter()
    rounds = []
    for place, result in enumerate(ranked):
        rounds.append((seen[result.label], place, result))
        seen[result.label] += 1
    return [result for _, _, result in sorted(rounds, key=lambda entry: entry[:2])]


def _caption(result: ClipResult) -> str:
    kind = "right" if result.correct else "wrong"
    verdict = f'<b class="{kind}">{text(result.predicted)} {result.score:.1%}</b>'
    if not result.correct:
        verdict += f"<br>labelled <b>{text(result.label)}</b> {result.true_score:.1%}"
    return f"{verdict}<br>{text(Path(result.video).name)}"
