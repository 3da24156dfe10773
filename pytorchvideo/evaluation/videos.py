# SPDX-License-Identifier: Apache-2.0
"""Evaluation of a predictor on labelled videos."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytorchvideo._files import write_json
from pytorchvideo._progress import Meter, Progress, Step, silent
from pytorchvideo._text import read_json
from pytorchvideo.evaluation.scores import ClipResult, accuracy, class_scores
from pytorchvideo.inference.predictor import VideoPredictor, mean_scores

#: A video and its class name; a video and why it cannot be read.
Labelled = tuple[str, str]
Skipped = tuple[str, str]


def evaluate_videos(
    predictor: VideoPredictor,
    videos: Sequence[Labelled],
    *,
    clips: int = 4,
    views: int = 1,
    workers: int = 0,
    progress: Progress = silent,
) -> tuple[list[ClipResult], list[Skipped]]:
    """Predicts labelled videos.

    Args:
        predictor: names the classes.
        videos: ``(path, class name)``; the names are among the predictor's labels.
        clips: clips of each video, spread evenly.
        views: 1 or 3 crops of each clip.
        workers: processes that read; see :meth:`VideoPredictor.predict_videos`.
        progress: is called after each video.

    Returns:
        The results in the order of ``videos``, and ``(path, reason)`` of those that cannot be read.
    """
    results: list[ClipResult] = []
    skipped: list[Skipped] = []
    labels = tuple(predictor.labels)
    found = scored_videos(
        predictor,
        [path for path, _ in videos],
        clips=clips,
        views=views,
        workers=workers,
        progress=progress,
    )
    for (path, label), scores in zip(videos, found, strict=True):
        if isinstance(scores, Exception):
            skipped.append((path, str(scores)))
        else:
            results.append(ClipResult(path, label, scores, labels))
    return results, skipped


def scored_videos(
    predictor: VideoPredictor,
    paths: Sequence[str],
    *,
    clips: int,
    views: int,
    workers: int,
    progress: Progress,
) -> Iterator[tuple[float, ...] | Exception]:
    """Yields the mean scores of each video, or why it cannot be read; for the arguments see :func:`evaluate_videos`."""
    meter = Meter()
    progress(Step(0, len(paths)))
    with meter.watching(predictor.model):
        found = predictor.predict_videos(paths, clips=clips, views=views, workers=workers)
        for done, rows in enumerate(found, 1):
            yield rows if isinstance(rows, Exception) else tuple(mean_scores(rows).tolist())
            progress(Step(done, len(paths), meter=meter))


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


def read_predictions(path: Path) -> list[ClipResult]:
    """Reads what :func:`write_predictions` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else, or videos with several labels.
    """
    rows = read_json(path, "predictions", finite=True)
    if isinstance(rows, list) and rows and isinstance(rows[0], dict) and "labels" in rows[0]:
        raise ValueError(
            f"{path} has videos with several labels, of a model trained with --multi-label. Expected predictions with "
            "one label a video."
        )
    try:
        results = [
            ClipResult(
                row["video"],
                row["label"],
                tuple(float(score) for score in row["scores"].values()),
                tuple(row["scores"]),
            )
            for row in rows
        ]
        is_whole = all(
            isinstance(result.video, str) and result.label in result.labels == results[0].labels
            for result in results
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is no file of predictions: {error!r}.") from error
    if not is_whole:
        raise ValueError(f"{path} is no file of predictions: its rows do not fit each other.")
    return results


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

    def occurring(self) -> set[str]:
        """Returns the classes that some video has, or was predicted to have."""
        return {name for result in self.results for name in (result.label, result.predicted)}

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
