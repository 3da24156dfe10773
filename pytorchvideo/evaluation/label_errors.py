# SPDX-License-Identifier: Apache-2.0
"""Wrong labels found by confident learning.

Curtis G. Northcutt, Lu Jiang, Isaac L. Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels,
JAIR 70 (2021), arXiv:1911.00068. The scores must come from models that have not seen the video that they score,
see :func:`pytorchvideo.evaluation.probe.cross_validated_scores`.
"""

from dataclasses import dataclass

import numpy as np

from pytorchvideo._checks import expected


@dataclass(frozen=True)
class LabelDoubt:
    """How doubtful the label of one video is.

    Args:
        index: of the video among those that were scored.
        given: class that the label names.
        suggested: class with the highest score beside it.
        self_confidence: score of the given class.
        margin: that score minus the highest other one, both relative to what is usual for their class, so in about
            -1..1; the lower, the likelier the label is wrong.
        is_counted: whether the video is off the diagonal of the confident joint, so counts as wrong.
    """

    index: int
    given: int
    suggested: int
    self_confidence: float
    margin: float
    is_counted: bool


def class_thresholds(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns the mean score of each class over the videos labelled so, float64 (K,) (Eq. 2 of the paper).

    A class without videos has the threshold infinity: nothing is ever confidently of it.
    """
    labels, scores = _checked(labels, scores)
    thresholds = np.full(scores.shape[1], np.inf)
    for label in np.unique(labels):
        thresholds[label] = scores[labels == label, label].mean()
    return thresholds


def confident_classes(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Returns the class that each video is confidently of, int64 (N,); -1 for none.

    That is the class of the highest score among those that reach the threshold of their class.
    """
    labels, scores = _checked(labels, scores)
    reached = (
        scores >= class_thresholds(labels, scores) - 1e-12
    )  # a mean of equal scores is rounded
    best = np.where(reached, scores, -np.inf).argmax(axis=1)
    return np.where(reached.any(axis=1), best, -1)


def confident_joint(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Counts given labels (rows) against the classes that videos are confidently of (columns).

    Args:
        labels: class of each video as it was labelled, integers (N,).
        scores: of every class, by a model that has not seen the video, (N, K).

    Returns:
        int64 (K, K) (Eq. 1 of the paper).

    Raises:
        ValueError: shapes that do not fit, or labels that are no classes.
    """
    labels, scores = _checked(labels, scores)
    likely = confident_classes(labels, scores)
    joint = np.zeros((scores.shape[1],) * 2, np.int64)
    np.add.at(joint, (labels[likely >= 0], likely[likely >= 0]), 1)
    return joint


def calibrated_joint(joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Returns the joint distribution of given and true labels, whose rows sum up to the share of each given label.

    Args:
        joint: what :func:`confident_joint` counted, (K, K).
        counts: videos of each given label, (K,).

    Returns:
        float64 (K, K) (Eq. 3 of the paper). A row of which nothing was counted is taken to be right.
    """
    joint, counts = np.asarray(joint, np.float64), np.asarray(counts, np.float64)
    if joint.shape != (len(counts),) * 2:
        raise ValueError(expected("joint", f"of the shape {(len(counts),) * 2}", joint.shape))
    sums = joint.sum(axis=1, keepdims=True)
    rows = np.where(sums > 0, joint / np.maximum(sums, 1), np.eye(len(counts)))
    weighted = rows * counts[:, None]
    return np.asarray(weighted / max(weighted.sum(), 1))


def label_doubts(labels: np.ndarray, scores: np.ndarray) -> list[LabelDoubt]:
    """Returns the videos, the most doubtful label first.

    Args:
        labels: class of each video as it was labelled, integers (N,).
        scores: of every class, by a model that has not seen the video, (N, K).

    Raises:
        ValueError: shapes that do not fit, or labels that are no classes.
    """
    labels, scores = _checked(labels, scores)
    likely = confident_classes(labels, scores)
    thresholds = class_thresholds(labels, scores)
    # a model may favour some classes: what counts is the score beside that which is usual for the class
    usual = np.where(np.isfinite(thresholds), thresholds, 1.0)
    relative = scores - usual + usual.mean()
    rows = np.arange(len(labels))
    others = relative.copy()
    others[rows, labels] = -np.inf
    suggested = others.argmax(axis=1)
    margins = relative[rows, labels] - others[rows, suggested]
    return [
        LabelDoubt(
            index=int(index),
            given=int(labels[index]),
            suggested=int(suggested[index]),
            self_confidence=float(scores[index, labels[index]]),
            margin=float(margins[index]),
            is_counted=bool(likely[index] not in (-1, labels[index])),
        )
        for index in np.argsort(margins, kind="stable")
    ]


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels), np.asarray(scores, np.float64)
    if scores.ndim != 2 or scores.shape[1] < 2 or labels.shape != scores.shape[:1]:
        wanted = "(N, K) for N labels and K >= 2 classes"
        raise ValueError(expected("scores", wanted, (scores.shape, labels.shape)))
    if not np.issubdtype(labels.dtype, np.integer) or (
        len(labels) and not (labels.min() >= 0 and labels.max() < scores.shape[1])
    ):
        raise ValueError(expected("labels", f"integers in 0..{scores.shape[1] - 1}", labels))
    if not np.isfinite(scores).all():
        raise ValueError(expected("scores", "finite", "NaN or infinity among them"))
    return labels, scores
