# SPDX-License-Identifier: Apache-2.0
"""Confident learning: counts by hand, the example of the paper, labels that were planted wrongly."""

import numpy as np
import pytest

from pytorchvideo.evaluation.label_errors import (
    calibrated_joint,
    class_thresholds,
    confident_classes,
    confident_joint,
    label_doubts,
)

LABELS = np.array([0, 0, 0, 1, 1])
SCORES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.45, 0.55]])


def test_counts_by_hand() -> None:
    # thresholds: (0.9 + 0.8 + 0.1) / 3 and (0.7 + 0.55) / 2
    assert class_thresholds(LABELS, SCORES).tolist() == pytest.approx([0.6, 0.625])
    assert confident_classes(LABELS, SCORES).tolist() == [0, 0, 1, 1, -1]
    assert confident_joint(LABELS, SCORES).tolist() == [[2, 1], [0, 1]]


def test_joint_of_the_paper() -> None:
    """Figure 1 of arXiv:1911.00068: dogs, foxes and cows."""
    joint = np.array([[100, 40, 20], [56, 60, 0], [32, 12, 80]])
    found = calibrated_joint(joint, joint.sum(axis=1))
    assert found.round(2).tolist() == [[0.25, 0.1, 0.05], [0.14, 0.15, 0.0], [0.08, 0.03, 0.2]]


def test_calibrated_rows_have_the_share_of_each_label() -> None:
    found = calibrated_joint(np.array([[2, 2], [0, 0]]), np.array([30, 10]))
    assert found.tolist() == [[0.375, 0.375], [0.0, 0.25]]
    with pytest.raises(ValueError, match="`joint` to be of the shape"):
        calibrated_joint(np.eye(2), np.ones(3))


def test_two_confident_classes_are_the_likelier_one() -> None:
    labels = np.array([0, 1, 2])
    scores = np.array([[0.4, 0.35, 0.25], [0.5, 0.3, 0.2], [0.3, 0.45, 0.25]])
    # thresholds 0.4, 0.3, 0.25: the last video reaches that of 1 and of 2, and 1 is likelier
    assert confident_classes(labels, scores).tolist() == [0, 0, 1]


def test_most_doubtful_first() -> None:
    found = label_doubts(LABELS, SCORES)
    assert [doubt.index for doubt in found] == [2, 4, 3, 1, 0]
    assert (found[0].given, found[0].suggested, found[0].is_counted) == (0, 1, True)
    assert found[0].self_confidence == pytest.approx(0.1)
    assert not any(doubt.is_counted for doubt in found[1:])
    # 0.1 - 0.9, each beside what is usual: 0.6 and 0.625
    assert found[0].margin == pytest.approx((0.1 - 0.6) - (0.9 - 0.625))


def test_class_that_a_model_favours_is_not_suggested_for_that() -> None:
    """The scores of class 1 are high throughout; the plain margin of the first video would be the lowest."""
    labels = np.array([0, 0, 1, 1])
    scores = np.array([[0.4, 0.6], [0.4, 0.6], [0.05, 0.95], [0.6, 0.4]])
    assert label_doubts(labels, scores)[0].index == 3


def test_planted_labels_are_found() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 5, 1000)
    scores = random.dirichlet(np.ones(5), 1000)
    scores = 0.3 * scores + 0.7 * np.eye(5)[truth]
    wrong = random.choice(1000, 50, replace=False)
    labels = truth.copy()
    labels[wrong] = (truth[wrong] + random.integers(1, 5, 50)) % 5
    found = label_doubts(labels, scores)
    assert {doubt.index for doubt in found[:50]} == set(wrong.tolist())
    assert all(doubt.suggested == truth[doubt.index] for doubt in found[:50])
    joint = calibrated_joint(confident_joint(labels, scores), np.bincount(labels))
    assert 1 - np.trace(joint) == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("labels", "scores", "match"),
    [
        ([0], [[0.5, 0.5], [0.5, 0.5]], "`scores` to be"),
        ([0], [[1.0]], "K >= 2 classes"),
        ([2], [[0.5, 0.5]], "integers in 0..1"),
        ([0.0], [[0.5, 0.5]], "integers in 0..1"),
        ([0], [[np.nan, 0.5]], "finite"),
    ],
)
def test_scores_that_do_not_fit(labels: list[int], scores: list[list[float]], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        label_doubts(np.array(labels), np.array(scores))
