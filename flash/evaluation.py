# SPDX-License-Identifier: Apache-2.0
"""Predictions for labelled videos, and how they are kept."""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from flash.loading import load_predictor
from flash.progress import Meter, progress_bar
from flash.report import Report, write_report
from flash.scores import ClipResult, accuracy, class_scores
from flash.sources import Labelled, Skipped, read_labelled
from flash.video.predict import VideoPredictor
from pytorchvideo._files import write_whole
from pytorchvideo._locks import alone_in
from pytorchvideo.data._decode import VideoError


def evaluate_videos(
    predictor: VideoPredictor,
    videos: Sequence[Labelled],
    *,
    clips: int = 4,
    views: int = 1,
    console: Console,
    title: str = "evaluate",
) -> tuple[list[ClipResult], list[Skipped]]:
    """Predicts labelled videos.

    Args:
        predictor: names the classes.
        videos: ``(path, class name)``; the names are among the predictor's labels.
        clips: clips of each video, spread evenly.
        views: 1 or 3 crops of each clip.
        console: shows the progress.
        title: in front of the bar.

    Returns:
        The results in the order of ``videos``, and ``(path, reason)`` of those that cannot be read.
    """
    results: list[ClipResult] = []
    skipped: list[Skipped] = []
    labels = tuple(predictor.labels)
    meter = Meter()
    with meter.watching(predictor.model), progress_bar(console) as bar:
        task = bar.add_task(title, total=len(videos), meter=meter, note="")
        for path, label in videos:
            try:
                named = predictor.predict(path, clips=clips, views=views, top_k=len(labels))
            except (VideoError, OSError) as error:
                skipped.append((path, str(error)))
            else:
                scores = dict(named)
                results.append(
                    ClipResult(path, label, tuple(scores[name] for name in labels), labels)
                )
            bar.advance(task)
    return results, skipped


def write_json(path: Path, content: Any) -> None:
    """Writes a json file that is complete or not there."""
    write_whole(path, json.dumps(content, indent=1) + "\n")


def write_predictions(path: Path, results: Sequence[ClipResult]) -> None:
    """Writes ``[{"video", "label", "predicted", "scores": {class: score}}]``."""
    write_json(
        path,
        [
            {
                "video": result.video,
                "label": result.label,
                "predicted": result.predicted,
                "scores": dict(zip(result.labels, result.scores, strict=True)),
            }
            for result in results
        ],
    )


@dataclass(frozen=True)
class Evaluation:
    """What a model does on labelled videos.

    Args:
        labels: class names of the model.
        results: a prediction for every video that could be read.
        skipped: ``(path, reason)`` of the others.
    """

    labels: Sequence[str]
    results: Sequence[ClipResult]
    skipped: Sequence[Skipped]

    def accuracy(self, top: int = 1) -> float:
        """Share of the videos whose class is among the ``top`` first."""
        return accuracy(self.results, top)

    def to_dict(self, top: int = 5) -> dict[str, Any]:
        """Returns the figures as plain types."""
        classes = class_scores(self.results, self.labels)
        return {
            "accuracy": self.accuracy(),
            f"top{top}_accuracy": self.accuracy(top),
            "videos": len(self.results),
            "classes": [vars(row) for row in classes if row.count],
            "skipped": [{"video": path, "reason": reason} for path, reason in self.skipped],
        }


def evaluate_data(
    data: str,
    *,
    run: Path | None = None,
    model: str | None = None,
    weights: Path | None = None,
    labels: Path | None = None,
    artefact: Path | None = None,
    trust: bool = False,
    clips: int = 4,
    views: int = 1,
    out: Path | None = None,
    console: Console,
) -> Evaluation:
    """Predicts the labelled videos of DATA with a trained model; see :func:`flash.loading.load_predictor` for which.

    Args:
        data: a folder per class, its held-out part if it is split, or a list file.
        run, model, weights, labels, artefact, trust: the model.
        clips: clips of each video.
        views: crops of each clip.
        out: folder for ``predictions.json`` and ``report.html``; None writes neither.
        console: shows the progress.
    """
    from flash.doctor import environment

    predictor = load_predictor(
        run=run, model=model, weights=weights, labels=labels, artefact=artefact, trust=trust
    )
    files = read_labelled(data, predictor.labels)
    with nullcontext() if out is None else alone_in(out):
        videos = [(path, predictor.labels[info["label"]]) for path, info in files.items]
        results, skipped = evaluate_videos(
            predictor, videos, clips=clips, views=views, console=console
        )
        if not results:
            raise VideoError(
                f"None of the {len(videos)} videos of {data} can be read; the first: {skipped[0][1]}"
            )
        found = Evaluation(predictor.labels, results, skipped)
        if out is not None:
            write_predictions(out / "predictions.json", results)
            source = run or weights or artefact or "published weights"
            asked = {"data": data, "model": source, "clips": clips, "views": views}
            report = Report(
                title=f"Evaluation on {Path(data).name}",
                subtitle=f"{model or 'The model'} of {source}.",
                labels=[
                    label for label in predictor.labels if any(r.label == label for r in results)
                ]
                if len(predictor.labels) > 100
                else predictor.labels,
                results=results,
                skipped=skipped,
                config=asked,
                environment=environment(),
            )
            write_report(report, out / "report.html")
        return found
