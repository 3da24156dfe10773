# SPDX-License-Identifier: Apache-2.0
"""The command ``evaluate``."""

import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flash.cli import options as opt
from flash.cli.printing import (
    answer_screen,
    print_label_scores,
    print_results,
    progress_screen,
    say,
)
from pytorchvideo._text import none_of

if TYPE_CHECKING:
    from rich.console import Console

    from pytorchvideo.evaluation.multi_label import MultiLabelEvaluation
    from pytorchvideo.evaluation.videos import Evaluation
    from pytorchvideo.inference.predictor import VideoPredictor


@opt.takes_model()
def evaluate(
    data: opt.Data,
    chosen: opt.ModelOptions,
    clips: opt.Clips = 4,
    views: opt.Views = 1,
    top_k: opt.TopK = 5,
    out: opt.ReportOut = None,
    workers: opt.Readers = None,
    as_json: opt.AsJson = False,
) -> None:
    """Say how well a trained model does on labelled videos."""
    if chosen.is_for_boxes():
        from flash.cli.detection import evaluate_detection

        evaluate_detection(data, chosen, workers=workers, out=out, as_json=as_json)
        return
    from pytorchvideo.evaluation.videos import Evaluation

    found = evaluate_data(
        data,
        chosen,
        clips=clips,
        views=views,
        workers=workers,
        out=out,
        console=progress_screen(),
    )
    for path, reason in found.skipped:
        say(f"skipped {path}: {reason}")
    if as_json:
        figures = found.to_dict(top_k) if isinstance(found, Evaluation) else found.to_dict()
        typer.echo(json.dumps(figures, indent=1))
    elif isinstance(found, Evaluation):
        print_results(answer_screen(), found.results, found.labels, top_k)
    else:
        print_label_scores(answer_screen(), found.results, found.labels)


def evaluate_data(
    data: str,
    chosen: opt.ModelOptions,
    *,
    clips: int = 4,
    views: int = 1,
    workers: int | None = None,
    out: Path | None = None,
    console: "Console",
) -> "Evaluation | MultiLabelEvaluation":
    """Predicts the labelled videos of DATA with a trained model.

    Args:
        data: a folder per class, its held-out part if it is split, or a list file.
        chosen: the model; one for several labels takes videos with any number of them.
        clips: clips of each video.
        views: crops of each clip.
        workers: processes that decode; None is what :func:`~flash.cli.options.workers_of` says.
        out: folder for ``predictions.json`` and ``report.html``; None writes neither.
        console: shows the progress.
    """
    from flash.runs.progress import showing
    from flash.runs.sources import names_of_target, read_labelled
    from pytorchvideo._locks import alone_in
    from pytorchvideo.data._decode import VideoError
    from pytorchvideo.evaluation.multi_label import MultiLabelEvaluation, evaluate_multi_label
    from pytorchvideo.evaluation.videos import Evaluation, evaluate_videos

    predictor = chosen.load()
    labels = predictor.labels
    several = predictor.multi_label
    files = read_labelled(data, labels, multi_label=several)
    named = [(path, names_of_target(info["label"], labels)) for path, info in files.items]
    with nullcontext() if out is None else alone_in(out):
        with showing(console, "evaluate") as bar:
            how: dict[str, Any] = {
                "clips": clips,
                "views": views,
                "workers": opt.workers_of(
                    workers, len(named), predictor.recipe, views, predictor.model
                ),
                "progress": bar,
            }
            found: Evaluation | MultiLabelEvaluation
            if several:
                found = MultiLabelEvaluation(labels, *evaluate_multi_label(predictor, named, **how))
            else:
                videos = [(path, name) for path, (name,) in named]
                found = Evaluation(labels, *evaluate_videos(predictor, videos, **how))
        if not found.results:
            raise VideoError(
                f"{none_of(len(named), 'video')} of {data} can be read; the first: {found.skipped[0][1]}"
            )
        if out is not None:
            asked = {"data": data, "model": chosen.title, "clips": clips, "views": views}
            _write(found, out, asked, predictor)
        return found


def _write(
    found: "Evaluation | MultiLabelEvaluation",
    out: Path,
    asked: dict[str, Any],
    predictor: "VideoPredictor",
) -> None:
    """Writes predictions and report."""
    from flash.runs.config import absolute
    from flash.runs.environment import environment
    from flash.runs.reports.maps import explained_clips
    from flash.runs.reports.multi_label import MultiLabelReport
    from flash.runs.reports.report import Report
    from flash.runs.reports.run_page import RunPage, write_report
    from pytorchvideo.evaluation.multi_label import write_multi_label_predictions
    from pytorchvideo.evaluation.videos import Evaluation, write_predictions

    said: dict[str, Any] = {
        "title": f"Evaluation on {Path(asked['data']).name}",
        "subtitle": f"{asked['model']}.",
        "skipped": found.skipped,
        "config": asked,
        "environment": environment(),
    }
    # of hundreds of classes only those that occur, or were predicted
    known = set(found.labels) if len(found.labels) <= 100 else found.occurring()
    labels = [label for label in found.labels if label in known]
    report: RunPage[Any]
    if isinstance(found, Evaluation):
        # absolute as those of a run are, with which `compare` compares them
        results = [replace(one, video=absolute(one.video)) for one in found.results]
        write_predictions(out / "predictions.json", results)
        said["explained"] = explained_clips(predictor, results)
        report = Report(labels=labels, results=results, **said)
    else:
        write_multi_label_predictions(out / "predictions.json", found.results)
        report = MultiLabelReport(labels=labels, results=found.results, **said)
    write_report(report, out / "report.html")
