# SPDX-License-Identifier: Apache-2.0
"""Metrics of predictions: accuracy, confusion matrix, precision and recall per class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ClipResult:
    """The prediction for one labelled video.

    Args:
        video: path of the file.
        label: the true class.
        scores: a probability for every class, in the order of the class indices.
        labels: the class names in that order.
    """

    video: str
    label: str
    scores: tuple[float, ...]
    labels: tuple[str, ...]

    @property
    def predicted(self) -> str:
        """The class with the highest score."""
        return self.labels[int(np.argmax(self.scores))]

    @property
    def score(self) -> float:
        """The score of the predicted class."""
        return max(self.scores)

    @property
    def true_score(self) -> float:
        """The score of the true class."""
        return self.scores[self.labels.index(self.label)]

    @property
    def correct(self) -> bool:
        """Whether the true class has the highest score."""
        return self.predicted == self.label

    def rank(self) -> int:
        """Returns how many classes come before the true one when sorted by score, ties by index.

        >>> ClipResult("a.mp4", "run", (0.2, 0.5, 0.3), ("run", "walk", "jump")).rank()
        2
        """
        return [label for label, _ in self.top(len(self.labels))].index(self.label)

    def top(self, k: int) -> list[tuple[str, float]]:
        """Returns the ``k`` classes with the highest scores, highest first."""
        order = np.argsort(-np.asarray(self.scores), kind="stable")[:k]
        return [(self.labels[i], self.scores[i]) for i in order]


@dataclass(frozen=True)
class ClassScore:
    """Precision, recall and F1 of one class, and how many videos truly belong to it."""

    label: str
    precision: float
    recall: float
    f1: float
    count: int


def accuracy(results: Sequence[ClipResult], top: int = 1) -> float:
    """Returns the share of results whose true class is among the ``top`` highest scores; NaN for none."""
    if not results:
        return float("nan")
    return sum(result.rank() < top for result in results) / len(results)


def confusion_counts(results: Sequence[ClipResult], labels: Sequence[str]) -> np.ndarray:
    """Returns how often each true class (row) was predicted as each class (column), int64 (N, N)."""
    index = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), np.int64)
    for result in results:
        counts[index[result.label], index[result.predicted]] += 1
    return counts


def class_scores(results: Sequence[ClipResult], labels: Sequence[str]) -> list[ClassScore]:
    """Returns precision, recall and F1 of every class; 0 where a ratio has no denominator."""
    counts = confusion_counts(results, labels)
    rows = []
    for i, label in enumerate(labels):
        hits, truly, said = int(counts[i, i]), int(counts[i].sum()), int(counts[:, i].sum())
        precision, recall = hits / max(said, 1), hits / max(truly, 1)
        f1 = 2 * hits / max(truly + said, 1)
        rows.append(ClassScore(label, precision, recall, f1, truly))
    return rows
