# SPDX-License-Identifier: Apache-2.0
"""Mean average precision of videos with several labels, by the two definitions that Charades is published with.

The definitions differ in two points:

===================  ===========================================  ================================================
                     ``"pyslowfast"``                             ``"official"``
===================  ===========================================  ================================================
equal scores         one threshold, as scikit-learn has it        in the order of the videos
videos without a     negatives by their scores                    behind all others, whatever their scores
single label
===================  ===========================================  ================================================
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pytorchvideo._checks import check_choice, expected
from pytorchvideo._text import counted

_DEFINITIONS = ("pyslowfast", "official")


@dataclass(frozen=True)
class CharadesMap:
    """Average precisions of classes.

    Attributes:
        mean: over the classes with positives, in 0..1; NaN where there is none.
        per_class: (classes,), NaN for a class without positives.
        definition: they are by.
    """

    mean: float
    per_class: np.ndarray
    definition: str

    def __repr__(self) -> str:
        known = int(np.isfinite(self.per_class).sum())
        classes = f"{known} of {counted(len(self.per_class), 'class')}"
        return f"CharadesMap(mean={self.mean:.4f}, {classes}, definition={self.definition!r})"


def charades_map(
    scores: Any,
    labels: Any,
    *,
    definition: Literal["pyslowfast", "official"] = "pyslowfast",
) -> CharadesMap:
    """Returns the mean average precision of videos.

    Args:
        scores: (videos, classes), arrays or tensors; of the views of a video, Charades takes the maximum.
        labels: the same shape, 1 or True where a video has the class and 0 or False elsewhere.
        definition: see :mod:`pytorchvideo.evaluation.charades`.

    Raises:
        ValueError: another shape, no video or class, NaN among the scores, or labels other than 0 and 1.

    >>> charades_map([[0.9, 0.1], [0.2, 0.8], [0.4, 0.3]], [[1, 0], [0, 0], [1, 0]])
    CharadesMap(mean=1.0000, 1 of 2 classes, definition='pyslowfast')
    """
    check_choice("definition", definition, _DEFINITIONS)
    values, positive = _checked(scores, labels)
    if definition == "official":
        values = np.where(positive.any(axis=1, keepdims=True), values, -np.inf)
    precision = _grouped if definition == "pyslowfast" else _in_order
    columns = zip(values.T, positive.T, strict=True)
    found = [precision(score, truth) if truth.any() else float("nan") for score, truth in columns]
    per_class = np.array(found)
    known = per_class[positive.any(axis=0)]
    return CharadesMap(float(known.mean()) if len(known) else float("nan"), per_class, definition)


def _in_order(scores: np.ndarray, positive: np.ndarray) -> float:
    """Mean over the positives of the precision at their rank."""
    hits = positive[np.argsort(-scores, kind="stable")]
    ranks = np.arange(1, len(hits) + 1)
    return float((hits.cumsum() / ranks)[hits].mean())


def _grouped(scores: np.ndarray, positive: np.ndarray) -> float:
    """Sum over thresholds of the recall gained times the precision there, ``sum (R_n - R_{n-1}) P_n``."""
    order = np.argsort(-scores, kind="stable")
    # a threshold is the last of equal scores
    last = np.append(np.diff(scores[order]) != 0, True)
    hits = positive[order].cumsum()[last]
    ranks = np.arange(1, len(order) + 1)[last]
    gained = np.diff(hits, prepend=0) / hits[-1]
    return float((gained * hits / ranks).sum())


def _checked(scores: Any, labels: Any) -> tuple[np.ndarray, np.ndarray]:
    values, truth = _array(scores).astype(np.float64), _array(labels)
    if values.ndim != 2:
        raise ValueError(expected("scores", "of shape (videos, classes)", values.shape))
    if truth.shape != values.shape:
        raise ValueError(expected("labels", f"of the shape of scores, {values.shape}", truth.shape))
    if 0 in values.shape:
        raise ValueError(expected("scores", "of one video and one class or more", values.shape))
    if np.isnan(values).any():
        video, number = (int(i) for i in np.argwhere(np.isnan(values))[0])
        raise ValueError(
            f"Expected `scores` to have no NaN, but that of video {video} and class {number} is. "
            "Leave out videos without a prediction, and say so."
        )
    if not np.isin(truth, (0, 1)).all():
        wrong = truth[~np.isin(truth, (0, 1))][0]
        advice = "Numbers of classes become such rows by numpy.isin(range(classes), numbers)."
        raise ValueError(expected("labels", "0 or 1 for each class", wrong.item(), advice))
    return values, truth.astype(bool)


def _array(given: Any) -> np.ndarray:
    # tensors on a device, or of bfloat16, are none that NumPy reads
    if hasattr(given, "detach"):
        given = given.detach().cpu()
        given = given.double() if given.is_floating_point() else given
    return np.asarray(given)
