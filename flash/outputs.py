# SPDX-License-Identifier: Apache-2.0
"""What a prediction is shown as: logits, probabilities, class numbers or label names."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pytorchvideo._checks import expected


class Output:
    """Turns the logits of one sample into what the caller asked for.

    Args:
        multi_label: whether a sample may have several classes: sigmoid and ``threshold`` instead of
            softmax and the largest.
        threshold: probability from which a class counts, with ``multi_label``.
    """

    def __init__(self, multi_label: bool = False, threshold: float = 0.5) -> None:
        self.multi_label = multi_label
        self.threshold = threshold

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (N,) -> probabilities (N,) in float32."""
        logits = logits.float()
        return torch.sigmoid(logits) if self.multi_label else torch.softmax(logits, dim=-1)

    def transform(self, logits: Tensor) -> Any:
        """Logits (N,) of one sample -> the answer."""
        raise NotImplementedError

    def __call__(self, logits: Tensor) -> Any:
        return self.transform(logits)


class PredsOutput(Output):
    """The logits as the model gave them, a tensor."""

    def transform(self, logits: Tensor) -> Any:
        return logits


class LogitsOutput(Output):
    """The logits as a list of floats.

    >>> LogitsOutput()(torch.tensor([0.5, -1.0]))
    [0.5, -1.0]
    """

    def transform(self, logits: Tensor) -> Any:
        return logits.tolist()


class ProbabilitiesOutput(Output):
    """The probabilities of the classes as a list of floats.

    >>> ProbabilitiesOutput()(torch.tensor([0.0, 0.0]))
    [0.5, 0.5]
    """

    def transform(self, logits: Tensor) -> Any:
        return self.probabilities(logits).tolist()


class ClassesOutput(Output):
    """The number of the likeliest class, or with ``multi_label`` the numbers of all likely ones.

    >>> ClassesOutput()(torch.tensor([0.0, 2.0])), ClassesOutput(multi_label=True)(torch.tensor([3.0, 2.0]))
    (1, [0, 1])
    """

    def transform(self, logits: Tensor) -> Any:
        if self.multi_label:
            return torch.nonzero(self.probabilities(logits) >= self.threshold).flatten().tolist()
        return int(logits.argmax(dim=-1))


class LabelsOutput(ClassesOutput):
    """The name of the likeliest class; without names its number as text.

    Args:
        labels: class names in the order of the logits.

    >>> LabelsOutput(["cat", "dog"])(torch.tensor([0.0, 2.0]))
    'dog'
    """

    def __init__(
        self, labels: Sequence[str] | None = None, multi_label: bool = False, threshold: float = 0.5
    ) -> None:
        super().__init__(multi_label, threshold)
        self.labels = None if labels is None else list(labels)

    def transform(self, logits: Tensor) -> Any:
        classes = super().transform(logits)
        return [self._name(c) for c in classes] if self.multi_label else self._name(classes)

    def _name(self, index: int) -> str:
        return str(index) if self.labels is None else self.labels[index]


#: ``output=`` names of :meth:`flash.Trainer.predict`; ``raw`` keeps the whole sample.
OUTPUTS: dict[str, type[Output]] = {
    "classes": ClassesOutput,
    "labels": LabelsOutput,
    "logits": LogitsOutput,
    "preds": PredsOutput,
    "probabilities": ProbabilitiesOutput,
}
OUTPUT_NAMES = (*sorted(OUTPUTS), "raw")


def resolve_output(
    output: str | Output | None, labels: Sequence[str] | None = None, multi_label: bool = False
) -> Output | None:
    """Returns the output for a name; None for ``"raw"`` and None.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if output is None or output == "raw":
        return None
    if isinstance(output, Output):
        if isinstance(output, LabelsOutput) and output.labels is None:
            return LabelsOutput(labels, output.multi_label, output.threshold)
        return output
    if not isinstance(output, str):
        raise TypeError(expected("output", "a name, an Output or None", output))
    if output not in OUTPUTS:
        raise ValueError(expected("output", f"one of {', '.join(OUTPUT_NAMES)}", output))
    if output == "labels":
        return LabelsOutput(labels, multi_label)
    return OUTPUTS[output](multi_label)
