# SPDX-License-Identifier: Apache-2.0
"""Every form of target: what it is taken for, what becomes of it, what is refused."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flash.core.data.utilities import classification as forms
from flash.core.data.utilities.classification import infer_formatter


def fitted(targets: list[Any], multi_label: bool | None = None) -> forms.TargetFormatter:
    formatter = infer_formatter(targets, multi_label)
    formatter.fit(targets)
    return formatter


@pytest.mark.parametrize(
    ("targets", "labels", "numbers"),
    [
        (["dog", "cat", "dog"], ["cat", "dog"], [1, 0, 1]),
        (["ice skating", "running"], ["ice skating", "running"], [0, 1]),
        ([2, 0, 1], None, [2, 0, 1]),
        (list(np.array([1, 0])), None, [1, 0]),
        (list(torch.tensor([1, 0])), None, [1, 0]),
        ([[0, 1], [1, 0]], None, [1, 0]),
        (list(torch.tensor([[0.0, 1.0], [1.0, 0.0]])), None, [1, 0]),
    ],
)
def test_one_class_each(targets: list[Any], labels: list[str] | None, numbers: list[int]) -> None:
    formatter = fitted(targets)
    assert (formatter.multi_label, formatter.labels) == (False, labels)
    assert [formatter(target) for target in targets] == numbers
    assert formatter.num_classes == max(numbers) + 1


@pytest.mark.parametrize(
    ("targets", "labels", "vectors"),
    [
        ([["dog", "cat"], ["dog"], []], ["cat", "dog"], [[1, 1], [0, 1], [0, 0]]),
        (["dog,cat", "dog"], ["cat", "dog"], [[1, 1], [0, 1]]),
        (["ice skating, run", "run"], ["ice skating", "run"], [[1, 1], [0, 1]]),
        ([[0, 2], [1]], None, [[1, 0, 1], [0, 1, 0]]),
        ([[0, 1, 1], [1, 0, 0]], None, [[0, 1, 1], [1, 0, 0]]),
        ([[True, True], [False, False]], None, [[1, 1], [0, 0]]),
        ([[0.25, 0.5], [1, 0]], None, [[0.25, 0.5], [1, 0]]),
        (list(np.array([[0.25, 0.5]])), None, [[0.25, 0.5]]),
    ],
)
def test_several_classes_each(
    targets: list[Any], labels: list[str] | None, vectors: list[list[float]]
) -> None:
    formatter = fitted(targets)
    assert (formatter.multi_label, formatter.labels) == (True, labels)
    made = [formatter(target) for target in targets]
    assert torch.equal(torch.stack(made), torch.tensor(vectors, dtype=torch.float32))
    assert formatter.num_classes == len(vectors[0])


@pytest.mark.parametrize(
    ("targets", "vectors"),
    [
        (["dog cat", "dog"], [[1, 1], [0, 1]]),
        (["dog", "cat"], [[0, 1], [1, 0]]),
        ([1, 0], [[0, 1], [1, 0]]),
        ([[0, 1], [1, 0]], [[0, 1], [1, 0]]),
    ],
)
def test_several_classes_when_told(targets: list[Any], vectors: list[list[float]]) -> None:
    formatter = fitted(targets, multi_label=True)
    made = [formatter(target) for target in targets]
    assert torch.equal(torch.stack(made), torch.tensor(vectors, dtype=torch.float32))


def test_one_class_when_told() -> None:
    formatter = fitted(["put it down, gently", "run"], multi_label=False)
    assert formatter.labels == ["put it down, gently", "run"]
    with pytest.raises(ValueError, match="one class with multi_label=False, but got"):
        infer_formatter([["cat"], ["cat", "dog"]], multi_label=False)


@given(st.lists(st.lists(st.sampled_from("abcdef"), unique=True), min_size=1).filter(any))
def test_names_come_back_from_their_vectors(targets: list[list[str]]) -> None:
    formatter = forms.MultiLabelTargetFormatter()
    formatter.fit(targets)
    assert formatter.labels == sorted({name for names in targets for name in names})
    for names in targets:
        places = formatter(names).nonzero().flatten().tolist()
        assert [formatter.labels[place] for place in places] == sorted(names)
        # the text with commas means the same
        commas = forms.CommaDelimitedMultiLabelTargetFormatter(formatter.labels)
        assert torch.equal(commas(", ".join(names)), formatter(names))


def test_classes_of_later_stages() -> None:
    formatter = fitted([["a", "b"], ["c"]])
    assert formatter.unknown(["b", "x"]) == ["x"]
    with pytest.raises(ValueError, match="`target` to be among a, b, c, but got 'x'"):
        formatter(["x"])
    assert fitted([0, 1]).unknown(2) == [2]
    with pytest.raises(ValueError, match="a vector of 2 values, but got"):
        fitted([[0, 1], [1, 1]]).unknown([0, 1, 0])
    # a known order of names makes numbers readable, too
    assert forms.SingleLabelTargetFormatter(["b", "a"])(1) == 1
    assert forms.SingleLabelTargetFormatter(["b", "a"])("b") == 0
    # but a numeral may be a name
    assert forms.SingleLabelTargetFormatter(["2", "1", "0"])(2) == 0


@pytest.mark.parametrize(
    ("targets", "error", "match"),
    [
        (["cat", 1], TypeError, "class names or class numbers, but got 'cat'"),
        ([1, None], TypeError, "class names or class numbers, but got None"),
        ([0.5, 1], TypeError, "class names or class numbers, but got 0.5"),
        ([True, False], TypeError, "class names or class numbers, but got True"),
        ([10**6, 1], ValueError, "class numbers below 1000000, .*but got 1000000"),
        ([-1, 1], ValueError, "class numbers >= 0, but got -1"),
        ([["a", 1]], TypeError, "a list of names or of numbers, but got 'a'"),
        ([[0, -2], [1, 3]], ValueError, "class numbers >= 0, but got -2"),
        ([[0.5, 2.5], [1, 3]], TypeError, "class names or class numbers, but got 0.5"),
        ([[0, 1], "cat"], TypeError, "class names or class numbers, but got"),
    ],
)
def test_what_is_no_target(targets: list[Any], error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        fitted(targets)


def test_other_forms_than_the_formatter_s() -> None:
    with pytest.raises(TypeError, match="a class name, but got 1"):
        forms.SingleLabelTargetFormatter().fit([1])
    with pytest.raises(ValueError, match="a vector with a single 1, but got"):
        forms.SingleBinaryTargetFormatter().fit([[1, 1]])
    with pytest.raises(TypeError, match="a vector of 0 and 1, but got"):
        forms.MultiBinaryTargetFormatter().fit([[0.5, 1]])
    with pytest.raises(TypeError, match="a list of class names, but got 3"):
        forms.MultiLabelTargetFormatter().fit([3])
