# SPDX-License-Identifier: Apache-2.0
"""The command ``evaluate``."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flash.cli import options as opt
from flash.cli.printing import answer_screen, print_results, progress_screen, say

if TYPE_CHECKING:
    from rich.console import Console

    from pytorchvideo.evaluation.videos import Evaluation


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
        typer.echo(json.dumps(found.to_dict(top_k), indent=1))
        return
    print_results(answer_screen(), found.results, found.labels, top_k)


def evaluate_data(
    data: str,
    chosen: opt.ModelOptions,
    *,
    clips: int = 4,
    views: int = 1,
    workers: int | None = None,
    out: Path | None = None,
    console: "Console",
) -> "Evaluation":
    """Predicts the labelled videos of DATA with a trained model.

    Args:
        data: a folder per class, its held-out part if it is split, or a list file.
        chosen: the model.
        clips: clips of each video.
        views: crops of each clip.
        workers: processes that decode; None is what :func:`~flash.cli.options.workers_of` says.
        out: folder for ``predictions.json`` and ``report.html``; None writes neither.
        console: shows the progress.
    """
    from flash.runs.environment import environment
    from flash.runs.progress import showing
    from flash.runs.reports.report import Report, write_report
    from flash.runs.sources import read_labelled
    from pytorchvideo._locks import alone_in
    from pytorchvideo.data._decode import VideoError
    from pytorchvideo.evaluation.videos import Evaluation, evaluate_videos, write_predictions

    predictor = chosen.load()
    files = read_labelled(data, predictor.labels)
    with nullcontext() if out is None else alone_in(out):
        videos = [(path, predictor.labels[info["label"]]) for path, info in files.items]
        with showing(console, "evaluate") as bar:
            results, skipped = evaluate_videos(
                predictor,
                videos,
                clips=clips,
                views=views,
                workers=opt.workers_of(workers, len(videos), predictor.recipe, views),
                progress=bar,
            )
        if not results:
            raise VideoError(
                f"None of the {len(videos)} videos of {data} can be read; the first: {skipped[0][1]}"
            )
        found = Evaluation(predictor.labels, results, skipped)
        if out is not None:
            write_predictions(out / "predictions.json", results)
            asked = {"data": data, "model": chosen.title, "clips": clips, "views": views}
            # of hundreds of classes only those that occur, or were predicted
            known = {name for result in results for name in (result.label, result.predicted)}
            shown = known if len(predictor.labels) > 100 else set(predictor.labels)
            report = Report(
                title=f"Evaluation on {Path(data).name}",
                subtitle=f"{chosen.title}.",
                labels=[label for label in predictor.labels if label in shown],
                results=results,
                skipped=skipped,
                config=asked,
                environment=environment(),
            )
            write_report(report, out / "report.html")
        return found
