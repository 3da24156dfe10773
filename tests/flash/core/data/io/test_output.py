# SPDX-License-Identifier: Apache-2.0
"""Outputs agree with each other, and unknown ones are refused."""

import pytest
import torch

from flash.core.data.io.output import (
    OUTPUT_NAMES,
    ClassesOutput,
    LabelsOutput,
    LogitsOutput,
    PredsOutput,
    ProbabilitiesOutput,
    resolve_output,
)

LOGITS = torch.tensor([0.0, 2.0, -1.0])


def test_single_label_outputs_agree() -> None:
    probabilities = ProbabilitiesOutput()(LOGITS)
    assert sum(probabilities) == pytest.approx(1)
    # softmax by hand
    exponentials = [1.0, 7.389056, 0.367879]
    assert probabilities == pytest.approx([e / sum(exponentials) for e in exponentials], rel=1e-5)
    assert ClassesOutput()(LOGITS) == probabilities.index(max(probabilities)) == 1
    assert LabelsOutput(["a", "b", "c"])(LOGITS) == "b"
    assert LabelsOutput()(LOGITS) == "1"
    assert LogitsOutput()(LOGITS) == [0.0, 2.0, -1.0]
    assert PredsOutput()(LOGITS) is LOGITS


def test_multi_label_outputs_agree() -> None:
    assert ProbabilitiesOutput(multi_label=True)(LOGITS)[0] == pytest.approx(0.5)
    assert ClassesOutput(multi_label=True)(LOGITS) == [0, 1]
    assert ClassesOutput(multi_label=True, threshold=0.6)(LOGITS) == [1]
    assert LabelsOutput(["a", "b", "c"], multi_label=True)(LOGITS) == ["a", "b"]


def test_names() -> None:
    assert set(OUTPUT_NAMES) == {
        *("classes", "fiftyone", "labels", "logits", "preds", "probabilities", "raw", "top_k")
    }
    assert resolve_output(None) is None
    assert resolve_output("raw") is None
    named = resolve_output("labels", ["x", "y", "z"])
    assert named is not None
    assert named(LOGITS) == "y"
    unnamed = resolve_output(LabelsOutput(), ["x", "y", "z"])
    assert unnamed is not None
    assert unnamed(LOGITS) == "y"
    own = ClassesOutput()
    assert resolve_output(own) is own


def test_unfit_outputs() -> None:
    with pytest.raises(
        ValueError, match=r"`output` to be one of classes, .* but got 'label'. Did you mean labels"
    ):
        resolve_output("label")
    with pytest.raises(TypeError, match="`output` to be a name, an Output or None"):
        resolve_output(3)  # type: ignore[arg-type]
