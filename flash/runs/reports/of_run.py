# SPDX-License-Identifier: Apache-2.0
"""The report of a run from what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flash.runs.config import RunConfig
from flash.runs.environment import environment
from flash.runs.folder import RunFolder
from flash.runs.parts import Parts
from flash.runs.reports.commands import plain_fields
from flash.runs.reports.facts import run_evidence, run_facts
from flash.runs.reports.findings import Finding
from flash.runs.reports.maps import ExplainedClip
from flash.runs.reports.multi_label import MultiLabelReport
from flash.runs.reports.report import Report
from flash.runs.reports.run_page import RunPage
from flash.runs.sources import Sources
from pytorchvideo._progress import Progress, silent
from pytorchvideo.evaluation.multi_label import MultiLabelResult
from pytorchvideo.evaluation.scores import ClipResult, accuracy
from pytorchvideo.evaluation.videos import Skipped


@dataclass(frozen=True)
class RunSummary:
    """What came of a run.

    Args:
        folder: its files.
        labels: class names.
        results: a prediction for every held-out video that could be read; none with several labels a video.
        history: a row an epoch.
        skipped: ``(path, reason)`` of the videos that could not be read.
        kept_epoch: the epoch that the model is of, where it is the best one that was asked for.
        multi_label_results: the predictions with several labels a video.
        findings: the judgement of its report, the worst first.
    """

    folder: RunFolder
    labels: Sequence[str]
    results: Sequence[ClipResult]
    history: Sequence[dict[str, float]]
    skipped: Sequence[Skipped]
    kept_epoch: int | None = None
    multi_label_results: Sequence[MultiLabelResult] = ()
    findings: Sequence[Finding] = ()

    @property
    def accuracy(self) -> float:
        """Share of the held-out videos whose class was named first."""
        return accuracy(self.results)


def report_of(
    summary: RunSummary,
    config: RunConfig,
    sources: Sources,
    parts: Parts,
    *,
    explained: Sequence[ExplainedClip] = (),
    progress: Progress = silent,
) -> RunPage[Any]:
    """Returns the report of a run, for which it looks at videos for a while.

    How long that may be says :func:`~flash.runs.reports.facts.seconds_for_leaks`.

    Args:
        summary: what came of the run.
        config: of the run.
        sources: its videos.
        parts: of the run.
        explained: held-out clips with their maps.
        progress: is called after each video that is looked at.
    """
    known = _known(summary, config, sources, parts, progress)
    if config.multi_label:
        return MultiLabelReport(results=summary.multi_label_results, **known)
    if len(summary.labels) > 5:
        top5 = {"top-5 accuracy": f"{accuracy(summary.results, top=5):.1%}"}
        known["figures"] = {**top5, **known["figures"]}
    return Report(results=summary.results, sources=sources, explained=explained, **known)


def _known(
    summary: RunSummary, config: RunConfig, sources: Sources, parts: Parts, progress: Progress
) -> dict[str, Any]:
    """What both kinds of reports say of a run."""
    ways = {"freeze": "Trunk frozen", "probe": "Linear probe"}
    trained = ways.get(config.strategy or "", "Everything trained")
    start = config.weights or ("published weights" if config.pretrained else "random weights")
    recipe, figures = config.recipe(), {}
    if summary.history:
        figures["epochs"] = str(len(summary.history))
    if summary.kept_epoch is not None:
        figures["epoch of the model, the best"] = str(summary.kept_epoch)
    if summary.skipped:
        figures["videos skipped"] = str(len(summary.skipped))
    # it looks at videos for a while, which is time of the run
    evidence = run_evidence(
        config,
        sources,
        summary.results,
        summary.history,
        skipped=len(summary.skipped),
        out=summary.folder.path,
        seconds=sum(part.seconds for part in parts.all()),
        progress=progress,
    )
    now = datetime.now().astimezone()
    return {
        "title": f"{config.model} on {Path(config.data).name}",
        "subtitle": f"{trained}, starting from {start}.",
        "labels": summary.labels,
        "history": summary.history,
        "split": sources.how,
        "skipped": summary.skipped,
        "config": {**plain_fields(config), "seconds a clip": f"{recipe.clip_duration_sec:g}"},
        "environment": environment(),
        "figures": figures,
        "run": run_facts(config, summary.folder.path, parts.all(), now),
        "evidence": evidence,
    }
