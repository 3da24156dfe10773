# SPDX-License-Identifier: Apache-2.0
"""The report on videos with several labels: mean average precision, figures of every label, the worst predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flash.runs.reports.clips import clip_cards
from flash.runs.reports.findings import Evidence, Finding
from flash.runs.reports.judgement import judge_training, next_finding
from flash.runs.reports.label_judgement import judge_labels
from flash.runs.reports.page import section, table, text
from flash.runs.reports.run_page import RunPage, curves
from pytorchvideo._text import counted
from pytorchvideo.evaluation.multi_label import (
    MultiLabelResult,
    label_scores,
    mean_average_precision,
    multi_label_figures,
    overall_scores,
)

_GALLERY = 12  # clips shown


@dataclass
class MultiLabelReport(RunPage[MultiLabelResult]):
    """What the page says of videos with any number of labels; see :class:`~flash.runs.reports.run_page.RunPage`."""

    def findings(self) -> list[Finding]:
        """Returns the judgement, the worst first; nothing without results."""
        if not self.results:
            return []
        known = self.evidence or Evidence(self.labels, (), skipped=len(self.skipped))
        found = [*judge_training(known), *judge_labels(self.results, self.labels, known)]
        found.sort(key=lambda finding: finding.level != "problem")
        first = next((one for one in found if one.command is not None), None)
        if first is not None:
            return [*found, next_finding(first)]
        rest = "Next: play the clips below." if found else "Nothing speaks against this result."
        return [*found, Finding("next", "fine", rest)]

    def scores(self) -> dict[str, Any]:
        """Returns the figures of the results as plain types."""
        return {
            **multi_label_figures(self.results, self.labels),
            "mean_average_precision_by_chance": _by_chance(self.results, self.labels),
        }

    def headline(self) -> dict[str, str]:
        """Returns the figures of the results that stand on top, name to text."""
        mean = mean_average_precision(label_scores(self.results, self.labels))
        return {
            "mean average precision": _figure(mean),
            "F1 of all decisions": f"{overall_scores(self.results)['f1']:.3f}",
            "held-out videos": str(len(self.results)),
            "labels": str(len(self.labels)),
        }

    def verdict(self) -> str:
        """Returns one sentence on the results."""
        rows = label_scores(self.results, self.labels)
        mean, chance = mean_average_precision(rows), _by_chance(self.results, self.labels)
        if mean is None:
            return "No held-out video has a label, so that there is no average precision."
        known = sum(row.count > 0 for row in rows)
        return (
            f"The mean average precision over the {known} of {counted(len(rows), 'label')} that held-out videos "
            f"have is {mean:.3f}; videos in a random order would reach about {_figure(chance)}."
        )

    def curves(self) -> str:
        """Returns the learning curves as HTML."""
        titles = {"loss": "Loss (binary cross-entropy)", "map": "Mean average precision"}
        return curves(self.history, titles)

    def details(self, path: Path | None) -> str:
        """Returns sections on the results as HTML."""
        table_of_labels = section("Labels", _label_table(self))
        return f"{table_of_labels}\n{section('Clips', _gallery(self.results, path), 'clips')}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _by_chance(results: Sequence[MultiLabelResult], labels: Sequence[str]) -> float | None:
    """The mean share of videos with a label, about which videos in a random order reach."""
    counts = [row.count for row in label_scores(results, labels) if row.count]
    return sum(counts) / len(counts) / len(results) if counts else None


def _label_table(report: MultiLabelReport) -> str:
    trained = report.trained_on()
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
        return "<p>Every label of every held-out video is right.</p>"
    cards = [(one.video, _caption(one)) for _, one in ranked[:_GALLERY]]
    return "<h3>Furthest from the truth</h3>" + clip_cards(cards, page)


def _caption(result: MultiLabelResult) -> str:
    right = [label for label in result.predicted if label in result.truth]
    lines = [f'<b class="right">{text(label)}</b>' for label in right]
    lines += [f'<b class="wrong">{text(label)}</b> predicted' for label in result.invented]
    lines += [f'<b class="wrong">{text(label)}</b> missed' for label in result.missed]
    return "<br>".join([*lines, text(Path(result.video).name)])
