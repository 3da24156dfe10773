# SPDX-License-Identifier: Apache-2.0
"""Targets in all their forms as class indices and multi-hot vectors."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytorchvideo._checks import expected

MOST_CLASSES = 1_000_000


class TargetFormatter:
    """Turns targets of one form into class numbers, or with ``multi_label`` into vectors.

    A formatter learns the classes of the training data (:meth:`fit`), unless it is given their names,
    and gives every class of every stage its number. The form is that of the subclass;
    :func:`infer_formatter` finds it.

    Args:
        labels: class names in the order of their numbers; None learns them.

    Attributes:
        num_classes: how many classes there are; None before :meth:`fit`.
        multi_label: whether a target may have any number of classes.
    """

    multi_label = False

    def __init__(self, labels: Sequence[str] | None = None) -> None:
        self.labels = None if labels is None else [str(label) for label in labels]
        self.num_classes = None if labels is None else len(labels)

    def parse(self, target: Any) -> list[Any]:
        """Returns the classes of a target: names, or numbers.

        Raises:
            TypeError: the target has another form.
            ValueError: it has another size, or a number that cannot be a class.
        """
        raise NotImplementedError

    def fit(self, targets: Sequence[Any]) -> None:
        """Learns the classes: names are numbered as they sort, numbers go up to the largest."""
        classes = {found for target in targets for found in self.parse(target)}
        if not classes:
            raise ValueError(expected("target", "a class in at least one of them", "none in all"))
        if all(isinstance(found, str) for found in classes):
            self.labels = sorted(classes)
            self.num_classes = len(self.labels)
        elif max(classes) >= MOST_CLASSES:
            wanted = f"class numbers below {MOST_CLASSES}, as a network has an output for each"
            raise ValueError(expected("target", wanted, max(classes)))
        else:
            self.num_classes = 1 + max(classes)

    def unknown(self, target: Any) -> list[Any]:
        """Returns the classes of a target that :meth:`fit` did not see."""
        return [found for found in self.parse(target) if self._number(found) is None]

    def __call__(self, target: Any) -> int | Tensor:
        """Returns the class number, or with ``multi_label`` a float32 vector (num_classes,) of 0 and 1.

        Raises:
            ValueError: for a class that :meth:`fit` did not see.
        """
        numbers = []
        for found in self.parse(target):
            number = self._number(found)
            if number is None:
                raise ValueError(expected("target", f"among {self.describe_classes()}", found))
            numbers.append(number)
        if not self.multi_label:
            return numbers[0]
        vector = torch.zeros(self.num_classes or 0)
        vector[numbers] = 1.0
        return vector

    def describe_classes(self) -> str:
        """Returns the known classes as text."""
        return ", ".join(self.labels) if self.labels else f"0 to {(self.num_classes or 0) - 1}"

    def _number(self, found: Any) -> int | None:
        if isinstance(found, str):
            return self.labels.index(found) if self.labels and found in self.labels else None
        return int(found) if self.num_classes is not None and found < self.num_classes else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.describe_classes() if self.num_classes else ''})"


class SingleLabelTargetFormatter(TargetFormatter):
    """One class name; a number where the names are known.

    >>> formatter = SingleLabelTargetFormatter()
    >>> formatter.fit(["dog", "cat"])
    >>> formatter("dog"), formatter.labels
    (1, ['cat', 'dog'])
    """

    def parse(self, target: Any) -> list[Any]:
        if isinstance(target, str):
            return [target]
        if self.labels is None:
            raise TypeError(expected("target", "a class name", target, _ALL_ALIKE))
        number = _class_number(target)
        # a name may be a numeral, too
        return [str(number) if str(number) in self.labels else number]


class SingleNumericTargetFormatter(TargetFormatter):
    """One class number."""

    def parse(self, target: Any) -> list[Any]:
        return [_class_number(target)]


class VectorTargetFormatter(TargetFormatter):
    """A vector with a value for each class."""

    def parse(self, target: Any) -> list[Any]:
        values = _vector(target)
        if self.num_classes is not None and len(values) != self.num_classes:
            wanted = f"a vector of {self.num_classes} values"
            raise ValueError(expected("target", wanted, _plain(target)))
        return [place for place, value in enumerate(values) if value]

    def fit(self, targets: Sequence[Any]) -> None:
        """Learns the number of classes, which is the length of the vectors."""
        self.num_classes = len(_vector(targets[0]))
        for target in targets:
            self.parse(target)


class SingleBinaryTargetFormatter(VectorTargetFormatter):
    """A vector with a single 1, the place of which is the class.

    >>> formatter = SingleBinaryTargetFormatter()
    >>> formatter.fit([[0, 1, 0]])
    >>> formatter([0, 0, 1])
    2
    """

    def parse(self, target: Any) -> list[Any]:
        if sorted(set(_vector(target))) != [0, 1] or sum(_vector(target)) != 1:
            raise ValueError(expected("target", "a vector with a single 1", _plain(target)))
        return super().parse(target)


class MultiLabelTargetFormatter(TargetFormatter):
    """A list of class names, which may be empty.

    >>> formatter = MultiLabelTargetFormatter()
    >>> formatter.fit([["dog", "cat"], ["fox"]])
    >>> formatter(["dog"])
    tensor([0., 1., 0.])
    """

    multi_label = True

    def parse(self, target: Any) -> list[Any]:
        names = [target] if isinstance(target, str) else _plain(target)
        if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
            raise TypeError(expected("target", "a list of class names", target, _ALL_ALIKE))
        return list(names)


class CommaDelimitedMultiLabelTargetFormatter(MultiLabelTargetFormatter):
    """Class names with commas between them.

    >>> CommaDelimitedMultiLabelTargetFormatter().parse("ice skating, running")
    ['ice skating', 'running']
    """

    separator: str | None = ","

    def parse(self, target: Any) -> list[Any]:
        if not isinstance(target, str):
            return super().parse(target)
        return [name.strip() for name in target.split(self.separator) if name.strip()]


class SpaceDelimitedTargetFormatter(CommaDelimitedMultiLabelTargetFormatter):
    """Class names of one word each, with spaces between them."""

    separator = None


class MultiNumericTargetFormatter(TargetFormatter):
    """A list of class numbers."""

    multi_label = True

    def parse(self, target: Any) -> list[Any]:
        numbers = _plain(target)
        return [_class_number(n) for n in (numbers if isinstance(numbers, list) else [numbers])]


class MultiBinaryTargetFormatter(VectorTargetFormatter):
    """A vector of 0 and 1.

    >>> formatter = MultiBinaryTargetFormatter(["cat", "dog", "fox"])
    >>> formatter([1, 0, 1])
    tensor([1., 0., 1.])
    """

    multi_label = True

    def parse(self, target: Any) -> list[Any]:
        if any(value not in (0, 1) for value in _vector(target)):
            raise TypeError(expected("target", "a vector of 0 and 1", _plain(target), _ALL_ALIKE))
        return super().parse(target)


class MultiSoftTargetFormatter(VectorTargetFormatter):
    """A vector of probabilities, which is kept.

    >>> formatter = MultiSoftTargetFormatter(["cat", "dog"])
    >>> formatter([0.25, 1])
    tensor([0.2500, 1.0000])
    """

    multi_label = True

    def __call__(self, target: Any) -> Tensor:
        """Returns the vector in float32."""
        self.parse(target)
        return torch.tensor(_vector(target))


_ALL_ALIKE = "All targets must have one form."


def infer_formatter(targets: Sequence[Any], multi_label: bool | None = None) -> TargetFormatter:
    """Returns the formatter for the form that all of these targets have.

    ======================================= ========================================================
    names, numbers                          one class each
    lists of names, names with commas       several classes each
    names with spaces                       one class each; several with ``multi_label=True``
    vectors of 0 and 1                      several, unless each has a single 1
    vectors of numbers between 0 and 1      several, each to some degree
    lists of numbers                        several
    ======================================= ========================================================

    Args:
        targets: of the training data.
        multi_label: True where a target may have several classes, though none happens to have;
            False where a comma is part of a name.

    Raises:
        TypeError: the targets have different forms, or one that is no target.
        ValueError: several classes, but ``multi_label=False``.

    >>> infer_formatter(["ice skating", "running"])
    SingleLabelTargetFormatter()
    """
    plain = [_plain(target) for target in targets]
    if all(isinstance(target, str) for target in plain):
        return _for_texts(plain, multi_label)
    if all(isinstance(target, (list, tuple)) for target in plain):
        formatter = _for_lists(plain, multi_label)
        if multi_label is False and formatter.multi_label:
            several = next((t for t in plain if len(t) > 1), plain[0])
            raise ValueError(expected("target", "one class with multi_label=False", several))
        return formatter
    for target in plain:
        _class_number(target)
    return MultiNumericTargetFormatter() if multi_label else SingleNumericTargetFormatter()


def _for_texts(targets: list[str], multi_label: bool | None) -> TargetFormatter:
    if multi_label is not False and any("," in target for target in targets):
        return CommaDelimitedMultiLabelTargetFormatter()
    return SpaceDelimitedTargetFormatter() if multi_label else SingleLabelTargetFormatter()


def _for_lists(targets: list[Any], multi_label: bool | None) -> TargetFormatter:
    values = [value for target in targets for value in target]
    if all(isinstance(value, str) for value in values):
        return MultiLabelTargetFormatter()
    for value in values:
        if not isinstance(value, (int, float)):
            raise TypeError(expected("target", "a list of names or of numbers", value, _ALL_ALIKE))
    sizes = {len(target) for target in targets}
    is_vector = len(sizes) == 1 and sizes != {1} and all(0 <= value <= 1 for value in values)
    if is_vector and all(value in (0, 1) for value in values):
        one_each = all(sum(target) == 1 for target in targets)
        return (
            SingleBinaryTargetFormatter()
            if one_each and not multi_label
            else MultiBinaryTargetFormatter()
        )
    return MultiSoftTargetFormatter() if is_vector else MultiNumericTargetFormatter()


def _plain(target: Any) -> Any:
    """Arrays, tensors and their scalars as Python's own numbers and lists."""
    return target.tolist() if hasattr(target, "tolist") else target


def _class_number(target: Any) -> int:
    target = _plain(target)
    if isinstance(target, float) and target.is_integer():
        target = int(target)  # a data frame's column of numbers with a gap is one of floats
    if isinstance(target, bool) or not isinstance(target, int):
        raise TypeError(expected("target", "class names or class numbers", target, _ALL_ALIKE))
    if target < 0:
        raise ValueError(expected("target", "class numbers >= 0", target))
    return target


def _vector(target: Any) -> list[float]:
    values = _plain(target)
    if not isinstance(values, (list, tuple)) or not all(
        isinstance(value, (int, float)) and 0 <= value <= 1 for value in values
    ):
        raise TypeError(expected("target", "a vector of numbers from 0 to 1", target, _ALL_ALIKE))
    return [float(value) for value in values]
