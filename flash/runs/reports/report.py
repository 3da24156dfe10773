# SPDX-License-Identifier: Apache-2.0
"""The report of a run whose videos have one label each: confusion, classes, wrong clips, and a judgement in words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flash.runs.reports.clips import Corrections, clip_cards, players
from flash.runs.reports.commands import corrected_command
from flash.runs.reports.findings import Evidence, Finding, interval_words
from flash.runs.reports.judgement import judge
from flash.runs.reports.maps import ExplainedClip, maps_html
from flash.runs.reports.page import section, table, text
from flash.runs.reports.run_page import RunPage, curves
from flash.runs.sources import Sources
from pytorchvideo._text import are, counted
from pytorchvideo.evaluation.scores import ClipResult, accuracy, class_scores, confusion_counts
from pytorchvideo.evaluation.significance import wilson_interval

_GALLERY = 6  # clips shown at either end
_MATRIX_LIMIT = 20  # classes beyond which a matrix would not be readable


@dataclass
class Report(RunPage[ClipResult]):
    """What the page says of videos with one label each; see :class:`~flash.runs.reports.run_page.RunPage`.

    Args:
        sources: all videos of the run, for a list with corrected labels; None offers none.
        explained: clips with their maps.
    """

    sources: Sources | None = None
    explained: Sequence[ExplainedClip] = ()

    def findings(self) -> list[Finding]:
        """Returns the judgement, the worst first; nothing without results."""
        known = self.evidence or Evidence(
            self.labels, self.results, self.history, skipped=len(self.skipped)
        )
        return judge(known) if self.results else []

    def scores(self) -> dict[str, Any]:
        """Returns the figures of the results as plain types."""
        right = self._right()
        return {
            "accuracy": right / len(self.results),
            "interval": list(wilson_interval(right, len(self.results))),
            "right": right,
            "videos": len(self.results),
            "classes": [vars(row) for row in class_scores(self.results, self.labels)],
            "confusion": confusion_counts(self.results, self.labels).tolist(),
        }

    def headline(self) -> dict[str, str]:
        """Returns the figures of the results that stand on top, name to text."""
        low, high = wilson_interval(self._right(), len(self.results))
        return {
            "accuracy on held-out videos": f"{accuracy(self.results):.1%}",
            "95 % interval": f"{low:.0%} to {high:.0%}",
            "predicted correctly": f"{self._right()} of {len(self.results)}",
            "classes": str(len(self.labels)),
        }

    def verdict(self) -> str:
        """Returns one sentence on the results."""
        right, of = self._right(), counted(len(self.results), "held-out video")
        return f"{right} of {of} {are(right)} right: {interval_words(right, len(self.results))}."

    def curves(self) -> str:
        """Returns the learning curves as HTML."""
        titles = {"loss": "Loss (cross-entropy)", "accuracy": "Accuracy"}
        return curves(self.history, titles, share="accuracy")

    def details(self, path: Path | None) -> str:
        """Returns sections on the results as HTML."""
        clips = _gallery(self.results, path, self._corrections())
        return "\n".join(
            (
                section("Confusion", _confusion(self)),
                section("Classes", _class_table(self)),
                section("Clips", clips, "clips"),
                section("Maps", maps_html(self.explained), "maps"),
            )
        )

    def scripts(self) -> str:
        """Returns what stands at the end of the page as HTML."""
        fixes = self._corrections()
        return players() + ("" if fixes is None or not self.results else fixes.html())

    def _right(self) -> int:
        return sum(result.correct for result in self.results)

    def _corrections(self) -> Corrections | None:
        if self.sources is None:
            return None
        known = self.evidence
        if known is None or known.config is None:
            return Corrections(self.sources)
        return Corrections(self.sources, corrected_command(known.config, known.out))


def _confusion(report: Report) -> str:
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
    trained = report.trained_on()
    header = ["class", "precision", "recall", "F1", "videos"] + ["training videos"] * bool(trained)
    rows = [
        [row.label, f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", row.count]
        + [trained.get(row.label, 0)] * bool(trained)
        for row in class_scores(report.results, report.labels)
    ]
    return table(header, rows)


def _gallery(results: Sequence[ClipResult], page: Path | None, fixes: Corrections | None) -> str:
    """The surest correct predictions and the surest mistakes, or the least sure where none is wrong."""
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
