# SPDX-License-Identifier: Apache-2.0
"""Mean average precision of Charades against vectors of the public implementations, and by hand."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytorchvideo.evaluation import charades_map

VECTORS = Path(__file__).resolve().parents[3] / "shared/reference/research/charades_map_cases.json"


def test_every_case_of_the_public_implementations() -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared charades_map_cases.json is not there")
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 10
    for case in cases:
        views = np.array(case["clip_scores"])
        for method, scores in (("max", views.max(axis=1)), ("sum", views.sum(axis=1))):
            wanted = case["expected"][method]
            found = charades_map(scores, case["labels"])
            assert found.mean == pytest.approx(wanted["pyslowfast"]["map"], abs=1e-8), case["id"]
            assert same(found.per_class, wanted["pyslowfast"]["ap"]), case["id"]
            found = charades_map(scores, case["labels"], definition="official")
            mean = wanted["official"]["map_over_classes_with_positives"]
            assert found.mean == pytest.approx(mean, abs=1e-8), case["id"]
            assert same(found.per_class, wanted["official"]["ap"]), case["id"]


def same(found: np.ndarray, wanted: list[float | None]) -> bool:
    return np.allclose(found, np.array(wanted, float), rtol=0, atol=1e-8, equal_nan=True)


def test_definitions_differ_by_ties_and_by_videos_without_a_label() -> None:
    # three videos of one score: one threshold of precision 2/3 here, ranks 1 and 3 there
    tied = ([[0.5], [0.5], [0.5]], [[1], [0], [1]])
    assert charades_map(*tied).mean == pytest.approx(2 / 3)
    assert charades_map(*tied, definition="official").mean == pytest.approx(1.0)
    # the video without a label leads in both classes; officially it comes last
    leads = ([[0.9, 0.9], [0.5, 0.1], [0.1, 0.5]], [[0, 0], [1, 0], [0, 1]])
    assert charades_map(*leads).mean == 0.5
    assert charades_map(*leads, definition="official").mean == 1.0


def test_equal_scores_keep_the_order_of_the_videos_officially() -> None:
    scores, labels = [[0.5, 0.0], [0.5, 0.0]], [[0, 1], [1, 0]]
    assert charades_map(scores, labels, definition="official").per_class.tolist() == [0.5, 1.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_are_taken_and_classes_without_positives_are_nan(dtype: torch.dtype) -> None:
    scores = torch.tensor([[0.75, 0.5], [0.25, 0.5]], dtype=dtype, requires_grad=True)
    found = charades_map(scores, torch.tensor([[True, False], [False, False]]))
    assert found.mean == 1.0
    assert found.per_class[0] == 1.0 and np.isnan(found.per_class[1])
    assert repr(found) == "CharadesMap(mean=1.0000, 1 of 2 classes, definition='pyslowfast')"


def test_a_mean_over_no_class_is_nan() -> None:
    assert np.isnan(charades_map([[0.5]], [[0]]).mean)


@pytest.mark.parametrize(
    ("scores", "labels", "options", "sentence"),
    [
        ([0.5], [1], {}, "Expected `scores` to be of shape (videos, classes), but got (1,)."),
        ([[0.5]], [[1, 0]], {}, "Expected `labels` to be of the shape of scores, (1, 1), but got"),
        (np.zeros((0, 3)), np.zeros((0, 3)), {}, "of one video and one class or more, but got (0"),
        (np.zeros((3, 0)), np.zeros((3, 0)), {}, "of one video and one class or more, but got (3"),
        ([[0.5, 0.1], [0.5, np.nan]], np.eye(2), {}, "no NaN, but that of video 1 and class 1 is."),
        ([[0.5]], [[2]], {}, "Expected `labels` to be 0 or 1 for each class, but got 2."),
        ([[0.5]], [[1]], {"definition": "voc"}, "one of pyslowfast, official, but got 'voc'."),
    ],
)
def test_what_makes_no_sense_is_refused(
    scores: Any, labels: Any, options: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        charades_map(scores, labels, **options)
