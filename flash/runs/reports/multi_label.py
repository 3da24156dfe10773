# SPDX-License-Identifier: Apache-2.0
"""The report on videos with several labels: mean average precision, figures of every label, the worst predictions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flash.runs.reports.clips import clip_cards, players
from flash.runs.reports.findings import Evidence, Finding
from flash.runs.reports.judgement import judge_training, next_finding
from flash.runs.reports.page import (
    Line,
    plot,
    points_of,
    render_page,
    section,
    settings,
    table,
    text,
)
from flash.runs.reports.report import findings_list, skipped_videos, videos_alike
from pytorchvideo._files import write_json, write_whole
from pytorchvideo._text import counted
from pytorchvideo.evaluation.multi_label import (
    LabelScore,
    MultiLabelResult,
    label_scores,
    mean_average_precision,
    multi_label_figures,
    overall_scores,
)

_GALLERY = 12  # clips shown
_FEW = 5  # videos with a label, below which its average precision says little


@dataclass
class MultiLabelReport:
    """What the page says; the fields are those of :class:`flash.runs.reports.report.Report`.

    Args:
        title: headline.
        subtitle: one sentence below it.
        labels: their names in the order of their indices.
        results: one entry for each held-out video that could be read.
        history: one mapping an epoch with ``epoch`` and any of ``train_loss``, ``val_loss``, ``train_map`` and
            ``val_map``.
        split: how training and held-out videos were chosen.
        skipped: videos that could not be read, with the reason.
        config: what the run was asked to do.
        environment: versions and machine.
        figures: further headline figures, name to text.
        run: date, duration and command of the run.
        evidence: of the training; None of an evaluation.
    """

    title: str
    subtitle: str
    labels: Sequence[str]
    results: Sequence[MultiLabelResult]
    history: Sequence[Mapping[str, float]] = ()
    split: Mapping[str, object] = field(default_factory=dict)
    skipped: Sequence[tuple[str, str]] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, object] = field(default_factory=dict)
    evidence: Evidence | None = None

    def findings(self) -> list[Finding]:
        """Returns the judgement, the worst first; nothing without results."""
        if not self.results:
            return []
        known = self.evidence or Evidence(self.labels, (), skipped=len(self.skipped))
        rows = label_scores(self.results, self.labels)
        found = [*judge_training(known), *_on_labels(rows, self.results, known)]
        found.sort(key=lambda finding: finding.level != "problem")
        first = next((one for one in found if one.command is not None), None)
        if first is not None:
            return [*found, next_finding(first)]
        rest = "Next: play the clips below." if found else "Nothing speaks against this result."
        return [*found, Finding("next", "fine", rest)]

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
            found |= multi_label_figures(self.results, self.labels)
            found["mean_average_precision_by_chance"] = _by_chance(self.results, self.labels)
        return found


def write_multi_label_report(report: MultiLabelReport, path: Path) -> Path:
    """Writes a report, and the same as json beside it; see :func:`flash.runs.reports.report.write_report`."""
    write_json(path.with_suffix(".json"), report.to_dict())
    return write_whole(path, render_multi_label_report(report, path))


def render_multi_label_report(report: MultiLabelReport, path: Path | None = None) -> str:
    """Returns the page as a string of HTML.

    Args:
        report: what it says.
        path: of the page, from which clips are played; None shows animations alone.
    """
    headline = {}
    if report.results:
        mean = mean_average_precision(label_scores(report.results, report.labels))
        overall = overall_scores(report.results)
        headline["mean average precision"] = _figure(mean)
        headline["F1 of all decisions"] = f"{overall['f1']:.3f}"
        headline["held-out videos"] = str(len(report.results))
        headline["labels"] = str(len(report.labels))
    leaks = report.evidence.leaks if report.evidence else None
    sections = (
        _verdict(report),
        section("Learning curves", _curves(report.history)),
        section("Labels", _label_table(report)),
        section("Clips", _gallery(report.results, path), "clips"),
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
        players(),
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _by_chance(results: Sequence[MultiLabelResult], labels: Sequence[str]) -> float | None:
    """The mean share of videos with a label, about which videos in a random order reach."""
    counts = [row.count for row in label_scores(results, labels) if row.count]
    return sum(counts) / len(counts) / len(results) if counts else None


def _on_labels(
    rows: Sequence[LabelScore], results: Sequence[MultiLabelResult], evidence: Evidence
) -> list[Finding]:
    """What there is to say on the labels of the held-out videos."""
    found = []
    trained = evidence.trained_on
    untrained = [row.label for row in rows if trained and not trained.get(row.label, 0)]
    if untrained:
        found.append(
            Finding(
                "untrained",
                "problem",
                f"No training video has {_some(untrained)}: that cannot be learnt.",
                "Collect videos with it, or hold out others (another --seed).",
                figures={"labels": untrained},
            )
        )
    said = [result for result in results if result.predicted]
    if not said:
        found.append(
            Finding(
                "nothing-said",
                "problem",
                f"No label reaches the threshold of {results[0].threshold:g} for any of the {len(results)} "
                "held-out videos, so that nothing would be predicted.",
                "Train longer, or let rare labels count more.",
                None
                if evidence.config is None or evidence.config.class_weights
                else evidence.again("weighed", class_weights=True),
            )
        )
    few = [row.label for row in rows if row.count < _FEW]
    if few:
        found.append(
            Finding(
                "small",
                "caution",
                f"Fewer than {_FEW} held-out videos have {_some(few)}, and the average precision of so few says "
                "little; labels that none has are left out of the mean.",
                "Hold out more videos.",
                figures={"labels": few},
            )
        )
    return found


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 3} labels more" if len(labels) > 3 else ""
    return ", ".join(repr(label) for label in labels[:3]) + more


def _verdict(report: MultiLabelReport) -> str:
    if not report.results:
        return ""
    rows = label_scores(report.results, report.labels)
    mean, chance = mean_average_precision(rows), _by_chance(report.results, report.labels)
    known = sum(row.count > 0 for row in rows)
    sentence = "No held-out video has a label, so that there is no average precision."
    if mean is not None:
        sentence = (
            f"The mean average precision over the {known} of {counted(len(rows), 'label')} that held-out videos "
            "have is "
            f"{mean:.3f}; videos in a random order would reach about {_figure(chance)}."
        )
    return (
        f'<section class="verdict">\n<p>{text(sentence)}</p>\n'
        f"{findings_list(report.findings())}\n</section>"
    )


def _curves(history: Sequence[Mapping[str, float]]) -> str:
    plots = [
        plot(
            [
                Line(points_of(history, f"train_{name}"), "--train", "training", "--"),
                Line(points_of(history, f"val_{name}"), "--val", "held out"),
            ],
            title,
        )
        for name, title in (
            ("loss", "Loss (binary cross-entropy)"),
            ("map", "Mean average precision"),
        )
    ]
    return f'<div class="curves">{"".join(plots)}</div>' if any(plots) else ""


def _label_table(report: MultiLabelReport) -> str:
    if not report.results:
        return ""
    trained = report.evidence.trained_on if report.evidence else {}
    header = ["label", "average precision", "precision", "recall", "F1", "videos"]
    rows = [
        [
            row.label,
            _figure(row.average_precision),
            *(f"{value:.3f}" for value in (row.precision, row.recall, row.f1)),
            row.count,
            *([trained.get(row.label, 0)] * bool(trained)),
        ]
        for row in label_scores(report.results, report.labels)
    ]
    threshold = report.results[0].threshold
    said = f"<p>Precision, recall and F1 of what reaches a probability of {threshold:g}.</p>"
    return said + table(header + ["training videos"] * bool(trained), rows)


def _gallery(results: Sequence[MultiLabelResult], page: Path | None) -> str:
    """The videos with the most wrong decisions."""
    wrong = [(len(one.missed) + len(one.invented), one) for one in results]
    ranked = sorted(
        (entry for entry in wrong if entry[0]), key=lambda entry: (-entry[0], entry[1].video)
    )
    if not ranked:
        return "<p>Every label of every held-out video is right.</p>" if results else ""
    cards = [(one.video, _caption(one)) for _, one in ranked[:_GALLERY]]
    return "<h3>Furthest from the truth</h3>" + clip_cards(cards, page)


def _caption(result: MultiLabelResult) -> str:
    right = [label for label in result.predicted if label in result.truth]
    lines = [f'<b class="right">{text(label)}</b>' for label in right]
    lines += [f'<b class="wrong">{text(label)}</b> predicted' for label in result.invented]
    lines += [f'<b class="wrong">{text(label)}</b> missed' for label in result.missed]
    return "<br>".join([*lines, text(Path(result.video).name)])
