# SPDX-License-Identifier: Apache-2.0
"""The page on one run, and the same as json: what reports share whose videos have one label or several."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from flash.runs.reports.clips import players
from flash.runs.reports.findings import Evidence, Finding
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
from pytorchvideo._files import write_json, write_whole
from pytorchvideo._text import counted

_PAIRS_SHOWN = 20
_LEVELS = {"problem": "problem", "caution": "be careful", "fine": "what to do next"}

Result = TypeVar("Result")


@dataclass
class RunPage(ABC, Generic[Result]):
    """What the page says.

    Args:
        title: headline.
        subtitle: one sentence below it.
        labels: class names in the order of their indices.
        results: one entry for each held-out video that could be read.
        history: one mapping an epoch with ``epoch`` and any of ``train_loss``, ``val_loss``, and the same two of
            ``accuracy`` or ``map``.
        split: how training and held-out videos were chosen, as rows of a table.
        skipped: videos that could not be read, with the reason.
        config: what the run was asked to do.
        environment: versions and machine.
        figures: further headline figures, name to text.
        run: date, duration and commands of the run.
        evidence: what the judgement is made from; None of an evaluation.
    """

    title: str
    subtitle: str
    labels: Sequence[str]
    results: Sequence[Result]
    history: Sequence[Mapping[str, float]] = ()
    split: Mapping[str, object] = field(default_factory=dict)
    skipped: Sequence[tuple[str, str]] = ()
    config: Mapping[str, object] = field(default_factory=dict)
    environment: Mapping[str, object] = field(default_factory=dict)
    figures: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, object] = field(default_factory=dict)
    evidence: Evidence | None = None

    @abstractmethod
    def findings(self) -> list[Finding]:
        """Returns the judgement, the worst first; nothing without results."""

    @abstractmethod
    def scores(self) -> dict[str, Any]:
        """Returns the figures of the results as plain types."""

    @abstractmethod
    def headline(self) -> dict[str, str]:
        """Returns the figures of the results that stand on top, name to text."""

    @abstractmethod
    def verdict(self) -> str:
        """Returns one sentence on the results."""

    @abstractmethod
    def curves(self) -> str:
        """Returns the learning curves as HTML."""

    @abstractmethod
    def details(self, path: Path | None) -> str:
        """Returns sections on the results as HTML.

        Args:
            path: of the page, from which clips are played; None shows animations alone.
        """

    def scripts(self) -> str:
        """Returns what stands at the end of the page as HTML."""
        return players()

    def trained_on(self) -> Mapping[str, int]:
        """Returns the training videos of each class; none of an evaluation."""
        return self.evidence.trained_on if self.evidence else {}

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures of the page as plain types."""
        return {
            "title": self.title,
            "findings": [finding.to_dict() for finding in self.findings()],
            "run": dict(self.run),
            "split": dict(self.split),
            "config": dict(self.config),
            "environment": dict(self.environment),
            "skipped": [{"video": path, "reason": reason} for path, reason in self.skipped],
            **(self.scores() if self.results else {}),
        }


def write_report(report: RunPage[Any], path: Path) -> Path:
    """Writes a report, and the same as json beside it, each in one step, so that no half page is ever seen.

    Args:
        report: what it says.
        path: of the page.

    Raises:
        OSError: a file cannot be written.
    """
    write_json(path.with_suffix(".json"), report.to_dict())
    return write_whole(path, render_report(report, path))


def render_report(report: RunPage[Any], path: Path | None = None) -> str:
    """Returns the page as a string of HTML.

    Args:
        report: what it says.
        path: of the page, from which clips are played; None shows animations alone.
    """
    has_results = bool(report.results)
    sections = (
        _judgement(report) if has_results else "",
        section("Learning curves", report.curves()),
        report.details(path) if has_results else "",
        section("Videos that look like training videos", _videos_alike(report)),
        section("Split", settings(report.split)),
        section("Skipped videos", _skipped_videos(report.skipped)),
    )
    pair = section("Configuration", settings(report.config))
    pair += section("Environment", settings({**report.run, **report.environment}))
    return render_page(
        report.title,
        report.subtitle,
        {**(report.headline() if has_results else {}), **report.figures},
        "\n".join(part for part in sections if part) + f'<div class="pair">{pair}</div>',
        report.scripts(),
    )


def curves(
    history: Sequence[Mapping[str, float]], titles: Mapping[str, str], share: str = ""
) -> str:
    """Returns a plot of each quantity over the epochs, in training and held out, as HTML.

    Args:
        history: a row an epoch.
        titles: of the plots, by the quantity's name in the rows after ``train_`` and ``val_``.
        share: the quantity that is one of 1.
    """
    plots = [
        plot(
            [
                Line(points_of(history, f"train_{name}"), "--train", "training", "--"),
                Line(points_of(history, f"val_{name}"), "--val", "held out"),
            ],
            title,
            is_share=name == share,
        )
        for name, title in titles.items()
    ]
    return f'<div class="curves">{"".join(plots)}</div>' if any(plots) else ""


def _judgement(report: RunPage[Any]) -> str:
    """One sentence on the results, and what was found."""
    return (
        f'<section class="verdict">\n<p>{text(report.verdict())}</p>\n'
        f"{_findings_list(report.findings())}\n</section>"
    )


def _findings_list(findings: Sequence[Finding]) -> str:
    following = findings[-1].command if findings else None  # is shown once, at the end
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


def _videos_alike(report: RunPage[Any]) -> str:
    """A table of the held-out videos that look like training videos; nothing without such."""
    leaks: Leaks | None = report.evidence.leaks if report.evidence else None
    if leaks is None or leaks.one_place or not leaks.twins:
        return ""
    rows = [(one, other, f"{share:.1%}") for one, other, share in leaks.twins[:_PAIRS_SHOWN]]
    return (
        f"<p>{counted(len(leaks.twins), 'held-out video')} with the training video that looks most like them, by "
        "hashes of three frames: the share of bits that differ.</p>"
        + table(("held out", "training", "difference"), rows)
    )


def _skipped_videos(skipped: Sequence[tuple[str, str]]) -> str:
    if not skipped:
        return "<p>None: every video could be read.</p>"
    return table(("video", "reason"), skipped)
