# SPDX-License-Identifier: Apache-2.0
"""Metrics of videos with several labels: average precision of every label, precision and recall at a threshold."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pytorchvideo._files import write_json
from pytorchvideo._progress import Progress, silent
from pytorchvideo._text import read_json
from pytorchvideo.evaluation.charades import charades_map
from pytorchvideo.evaluation.videos import Skipped, scored_videos
from pytorchvideo.inference.predictor import VideoPredictor


@dataclass(frozen=True)
class MultiLabelResult:
    """The prediction for one video with any number of labels.

    Args:
        video: path of the file.
        truth: its true labels.
        scores: a probability for every label, which do not sum to 1.
        labels: the names of all labels in that order.
        threshold: probability from which a label counts as predicted.
    """

    video: str
    truth: tuple[str, ...]
    scores: tuple[float, ...]
    labels: tuple[str, ...]
    threshold: float = 0.5

    @property
    def predicted(self) -> tuple[str, ...]:
        """The labels whose score reaches the threshold, highest first."""
        return tuple(label for label, score in self.ranked() if score >= self.threshold)

    @property
    def missed(self) -> tuple[str, ...]:
        """The true labels that were not predicted."""
        return tuple(label for label in self.truth if label not in self.predicted)

    @property
    def invented(self) -> tuple[str, ...]:
        """The predicted labels that are not true."""
        return tuple(label for label in self.predicted if label not in self.truth)

    def ranked(self) -> list[tuple[str, float]]:
        """Returns all labels with their scores, highest first, ties in the order of the labels."""
        order = np.argsort(-np.asarray(self.scores), kind="stable")
        return [(self.labels[i], self.scores[i]) for i in order]


@dataclass(frozen=True)
class LabelScore:
    """Figures of one label.

    Args:
        label: its name.
        average_precision: of the videos ranked by the score of the label; None without a video that has it.
        precision: share of the videos with the label among those for which it was predicted.
        recall: share of the videos with the label for which it was predicted.
        f1: harmonic mean of both.
        count: videos that have the label.
    """

    label: str
    average_precision: float | None
    precision: float
    recall: float
    f1: float
    count: int


def label_scores(results: Sequence[MultiLabelResult], labels: Sequence[str]) -> list[LabelScore]:
    """Returns the figures of every label; ratios without a denominator are 0.

    >>> names = ("run", "jump")
    >>> results = [
    ...     MultiLabelResult("a.mp4", ("run",), (0.4, 0.1), names),
    ...     MultiLabelResult("b.mp4", (), (0.9, 0.2), names),
    ... ]
    >>> label_scores(results, names)[0]
    LabelScore(label='run', average_precision=0.5, precision=0.0, recall=0.0, f1=0.0, count=1)
    """
    if not results:
        return [LabelScore(label, None, 0.0, 0.0, 0.0, 0) for label in labels]
    scores, truth = _columns(results, labels)
    precisions = charades_map(scores, truth).per_class
    said = scores >= np.array([[result.threshold] for result in results])
    rows = []
    for i, label in enumerate(labels):
        hits, truly, claimed = (int(x[:, i].sum()) for x in (said & truth, truth, said))
        rows.append(
            LabelScore(
                label,
                float(precisions[i]) if truly else None,
                hits / max(claimed, 1),
                hits / max(truly, 1),
                2 * hits / max(truly + claimed, 1),
                truly,
            )
        )
    return rows


def mean_average_precision(rows: Sequence[LabelScore]) -> float | None:
    """Returns the mean over the labels that some video has; None where there is none.

    >>> rows = [LabelScore("run", 0.5, 0.0, 0.0, 0.0, 1), LabelScore("jump", None, 0.0, 0.0, 0.0, 0)]
    >>> mean_average_precision(rows)
    0.5
    """
    known = [row.average_precision for row in rows if row.average_precision is not None]
    return sum(known) / len(known) if known else None


def overall_scores(results: Sequence[MultiLabelResult]) -> dict[str, float]:
    """Returns precision, recall and F1 over all decisions on all labels (micro averages)."""
    hits = sum(len(result.predicted) - len(result.invented) for result in results)
    truly = sum(len(result.truth) for result in results)
    said = sum(len(result.predicted) for result in results)
    return {
        "precision": hits / max(said, 1),
        "recall": hits / max(truly, 1),
        "f1": 2 * hits / max(truly + said, 1),
    }


def _columns(
    results: Sequence[MultiLabelResult], labels: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Scores and truth of some labels, (videos, labels)."""
    places = [results[0].labels.index(label) for label in labels]
    scores = np.array([result.scores for result in results])[:, places]
    truth = np.array([[label in result.truth for label in labels] for result in results])
    return scores, truth


def evaluate_multi_label(
    predictor: VideoPredictor,
    videos: Sequence[tuple[str, Sequence[str]]],
    *,
    clips: int = 4,
    views: int = 1,
    workers: int = 0,
    progress: Progress = silent,
) -> tuple[list[MultiLabelResult], list[Skipped]]:
    """Predicts videos with several labels each.

    Args:
        predictor: made with ``multi_label``; its threshold counts.
        videos: ``(path, names of its labels)``; the names are among the predictor's labels.
        clips: clips of each video, spread evenly, whose probabilities are averaged.
        views: 1 or 3 crops of each clip.
        workers: processes that read; see :meth:`VideoPredictor.predict_videos`.
        progress: is called after each video.

    Returns:
        The results in the order of ``videos``, and ``(path, reason)`` of those that cannot be read.
    """
    results: list[MultiLabelResult] = []
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
    for (path, truth), scores in zip(videos, found, strict=True):
        if isinstance(scores, Exception):
            skipped.append((path, str(scores)))
        else:
            known = tuple(truth)
            results.append(MultiLabelResult(path, known, scores, labels, predictor.threshold))
    return results, skipped


def write_multi_label_predictions(path: Path, results: Sequence[MultiLabelResult]) -> None:
    """Writes ``[{"video", "labels", "predicted", "threshold", "scores": {label: score}}]``; ``labels`` are true."""
    write_json(
        path,
        [
            {
                "video": result.video,
                "labels": list(result.truth),
                "predicted": list(result.predicted),
                "threshold": result.threshold,
                "scores": dict(zip(result.labels, result.scores, strict=True)),
            }
            for result in results
        ],
    )


def read_multi_label_predictions(path: Path) -> list[MultiLabelResult]:
    """Reads what :func:`write_multi_label_predictions` wrote.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds something else.
    """
    rows = read_json(path, "predictions", finite=True)
    try:
        results = [
            MultiLabelResult(
                row["video"],
                tuple(row["labels"]),
                tuple(float(score) for score in row["scores"].values()),
                tuple(row["scores"]),
                float(row["threshold"]),
            )
            for row in rows
        ]
        is_whole = all(
            isinstance(result.video, str)
            and result.labels == results[0].labels
            and set(result.truth) <= set(result.labels)
            for result in results
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is no file of predictions with several labels a video: {error!r}."
        ) from error
    if not is_whole:
        raise ValueError(f"{path} is no file of predictions: its rows do not fit each other.")
    return results


@dataclass(frozen=True)
class MultiLabelEvaluation:
    """What a model does on videos with several labels each.

    Args:
        labels: all labels of the model.
        results: a prediction for every video that could be read.
        skipped: ``(path, reason)`` of the others.
    """

    labels: Sequence[str]
    results: Sequence[MultiLabelResult]
    skipped: Sequence[Skipped]

    def occurring(self) -> set[str]:
        """Returns the labels that some video has, or was predicted to have."""
        return {name for result in self.results for name in (*result.truth, *result.predicted)}

    def to_dict(self) -> dict[str, Any]:
        """Returns the figures as plain types."""
        return {
            **multi_label_figures(self.results, self.labels),
            "skipped": [{"video": path, "reason": reason} for path, reason in self.skipped],
        }


def multi_label_figures(
    results: Sequence[MultiLabelResult], labels: Sequence[str]
) -> dict[str, Any]:
    """Returns the figures of all labels together, and of each that some video has, as plain types."""
    rows = label_scores(results, labels)
    return {
        "mean_average_precision": mean_average_precision(rows),
        **overall_scores(results),
        "videos": len(results),
        "labels": [vars(row) for row in rows if row.count],
    }
