# SPDX-License-Identifier: Apache-2.0
"""Figures of videos with several labels, against values computed by hand."""

from pathlib import Path

import pytest

from pytorchvideo.evaluation.multi_label import (
    MultiLabelEvaluation,
    MultiLabelResult,
    label_scores,
    mean_average_precision,
    overall_scores,
    write_multi_label_predictions,
)
from pytorchvideo.evaluation.videos import read_predictions

LABELS = ("run", "jump", "swim")
#: The third label is on no video.
ROWS = [
    (("run",), (0.9, 0.6, 0.1)),
    (("jump",), (0.8, 0.7, 0.6)),
    (("run", "jump"), (0.7, 0.2, 0.2)),
    ((), (0.6, 0.1, 0.3)),
]


def results(threshold: float = 0.5) -> list[MultiLabelResult]:
    return [
        MultiLabelResult(f"{number}.mp4", truth, scores, LABELS, threshold)
        for number, (truth, scores) in enumerate(ROWS)
    ]


def test_figures_of_labels() -> None:
    run, jump, swim = label_scores(results(), LABELS)
    # run at ranks 1 and 3, jump at 1 and 3 (0.7, 0.6, 0.2): (1 + 2/3) / 2
    assert run.average_precision == pytest.approx(5 / 6)
    assert jump.average_precision == pytest.approx(5 / 6)
    assert swim.average_precision is None
    # run is predicted for all four, jump for two of which one has it
    assert (run.precision, run.recall, run.count) == (0.5, 1.0, 2)
    assert run.f1 == pytest.approx(2 / 3)
    assert (jump.precision, jump.recall, jump.f1) == (0.5, 0.5, 0.5)
    assert (swim.precision, swim.recall, swim.f1, swim.count) == (0.0, 0.0, 0.0, 0)
    assert mean_average_precision([run, jump, swim]) == pytest.approx(5 / 6)
    # 3 of 7 decisions are right, of 4 labels
    assert overall_scores(results()) == pytest.approx(
        {"precision": 3 / 7, "recall": 3 / 4, "f1": 6 / 11}
    )


def test_the_threshold_of_the_model_counts() -> None:
    first, *_ = results(0.65)
    assert (first.predicted, first.missed, first.invented) == (("run",), (), ())
    third = results(0.5)[2]
    assert (third.predicted, third.missed) == (("run",), ("jump",))
    assert results(0.5)[1].invented == ("run", "swim")
    assert results(0.9)[0].predicted == ("run",)  # from the threshold on


def test_no_video_has_a_label() -> None:
    none = [MultiLabelResult("a.mp4", (), (0.1, 0.2, 0.3), LABELS)]
    assert mean_average_precision(label_scores(none, LABELS)) is None
    assert mean_average_precision(label_scores([], LABELS)) is None
    figures = MultiLabelEvaluation(LABELS, none, [("b.mp4", "damaged")]).to_dict()
    assert figures["mean_average_precision"] is None and figures["labels"] == []
    assert figures["skipped"] == [{"video": "b.mp4", "reason": "damaged"}]


def test_predictions_are_not_taken_for_those_with_one_label(tmp_path: Path) -> None:
    write_multi_label_predictions(tmp_path / "predictions.json", results())
    with pytest.raises(ValueError, match="several labels, of a model trained with --multi-label"):
        read_predictions(tmp_path / "predictions.json")
