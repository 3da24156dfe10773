# SPDX-License-Identifier: Apache-2.0
"""Outputs: predictions as logits, probabilities, class indices or labels."""

import copy
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from pytorchvideo._checks import expected, near_names


class Output:
    """Turns the logits of one sample into what the caller asked for.

    Args:
        multi_label: whether a sample may have several classes: sigmoid and ``threshold`` instead of
            softmax and the largest.
        threshold: probability from which a class counts, with ``multi_label``.
    """

    def __init__(self, multi_label: bool = False, threshold: float = 0.5) -> None:
        if not 0 <= threshold <= 1:
            raise ValueError(expected("threshold", "a probability", threshold))
        self.multi_label = multi_label
        self.threshold = threshold

    def probabilities(self, logits: Tensor) -> Tensor:
        """Logits (N,) -> probabilities (N,) in float32."""
        logits = logits.float()
        return torch.sigmoid(logits) if self.multi_label else torch.softmax(logits, dim=-1)

    def transform(self, logits: Tensor) -> Any:
        """Logits (N,) of one sample -> the answer."""
        raise NotImplementedError

    def transform_sample(self, sample: Mapping[str, Any]) -> Any:
        """The sample dict with its logits as ``preds`` -> the answer; by default that for its logits."""
        return self.transform(sample["preds"])

    def with_labels(self, labels: Sequence[str] | None) -> "Output":
        """Returns this output with the names of a task, where it has use for them and none of its own."""
        return self

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


class _NamedOutput(Output):
    """An output that knows the names of the classes.

    Args:
        labels: class names in the order of the logits; None takes the task's.
        multi_label: see :class:`Output`.
        threshold: see :class:`Output`.
    """

    def __init__(
        self, labels: Sequence[str] | None = None, multi_label: bool = False, threshold: float = 0.5
    ) -> None:
        super().__init__(multi_label, threshold)
        self.labels = None if labels is None else list(labels)

    def with_labels(self, labels: Sequence[str] | None) -> Output:
        if self.labels is not None or labels is None:
            return self
        named = copy.copy(self)
        named.labels = list(labels)
        return named

    def name(self, index: int) -> str:
        """The name of a class; without names its number as text."""
        return str(index) if self.labels is None else self.labels[index]

    def likely(self, logits: Tensor) -> list[int]:
        """The number of the likeliest class, or with ``multi_label`` those of all likely ones."""
        classes = ClassesOutput(self.multi_label, self.threshold)(logits)
        return classes if self.multi_label else [classes]


class LabelsOutput(_NamedOutput):
    """The name of the likeliest class, or with ``multi_label`` those of all likely ones, a list.

    >>> LabelsOutput(["cat", "dog"])(torch.tensor([0.0, 2.0]))
    'dog'
    """

    def transform(self, logits: Tensor) -> Any:
        names = [self.name(index) for index in self.likely(logits)]
        return names if self.multi_label else names[0]


class TopKOutput(_NamedOutput):
    """The ``k`` likeliest classes with their probabilities, best first.

    Args:
        k: how many; all where there are fewer.
        labels: see :class:`LabelsOutput`, like what follows.
        multi_label: whether probabilities are sigmoids.
        threshold: of no effect.

    >>> TopKOutput(1, ["cat", "dog"])(torch.tensor([0.0, 0.0]))
    [('cat', 0.5)]
    """

    def __init__(
        self,
        k: int = 5,
        labels: Sequence[str] | None = None,
        multi_label: bool = False,
        threshold: float = 0.5,
    ) -> None:
        super().__init__(labels, multi_label, threshold)
        if k < 1:
            raise ValueError(expected("k", ">= 1", k))
        self.k = k

    def transform(self, logits: Tensor) -> list[tuple[str, float]]:
        best = self.probabilities(logits).topk(min(self.k, len(logits)))
        named = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self.name(index), score) for index, score in named]


class FiftyOneLabelsOutput(_NamedOutput):
    """Labels for the FiftyOne app: ``fiftyone.Classification``, with ``multi_label`` ``Classifications``.

    Args:
        labels: see :class:`LabelsOutput`.
        multi_label: see :class:`Output`.
        threshold: see :class:`Output`; without ``multi_label`` a label below it is None.
        store_logits: keep the logits in the labels.
        return_filepath: answer ``{"filepath": ..., "predictions": ...}`` where the sample says its file.
    """

    def __init__(
        self,
        labels: Sequence[str] | None = None,
        multi_label: bool = False,
        threshold: float | None = None,
        store_logits: bool = False,
        return_filepath: bool = True,
    ) -> None:
        super().__init__(labels, multi_label, 0.5 if threshold is None else threshold)
        self._least = threshold or 0.0
        self.store_logits = store_logits
        self.return_filepath = return_filepath

    def transform(self, logits: Tensor) -> Any:
        """Raises an ImportError where fiftyone is not installed."""
        fiftyone = import_fiftyone()
        scores = self.probabilities(logits).tolist()
        kept = {"logits": logits.tolist()} if self.store_logits else {}
        found = [
            fiftyone.Classification(label=self.name(index), confidence=scores[index], **kept)
            for index in self.likely(logits)
        ]
        if self.multi_label:
            return fiftyone.Classifications(classifications=found, **kept)
        return found[0] if found[0].confidence >= self._least else None

    def transform_sample(self, sample: Mapping[str, Any]) -> Any:
        predictions = self.transform(sample["preds"])
        metadata = sample.get("metadata")
        path = (metadata if isinstance(metadata, Mapping) else {}).get("filepath")
        path = path or sample.get("video_path")
        if not self.return_filepath or path is None:
            return predictions
        return {"filepath": os.fspath(path), "predictions": predictions}


def import_fiftyone() -> Any:
    """Returns the package fiftyone, which is asked for in one sentence where it lacks."""
    try:
        import fiftyone
    except ImportError as error:
        raise ImportError(
            "Labels for FiftyOne need the package fiftyone. Install it with pip install fiftyone."
        ) from error
    return fiftyone


#: ``output=`` names of :meth:`flash.Trainer.predict`; ``raw`` keeps the whole sample.
OUTPUTS: dict[str, type[Output]] = {
    "classes": ClassesOutput,
    "fiftyone": FiftyOneLabelsOutput,
    "labels": LabelsOutput,
    "logits": LogitsOutput,
    "preds": PredsOutput,
    "probabilities": ProbabilitiesOutput,
    "top_k": TopKOutput,
}
OUTPUT_NAMES = (*sorted(OUTPUTS), "raw")


def resolve_output(
    output: str | Output | None,
    labels: Sequence[str] | None = None,
    multi_label: bool = False,
    threshold: float = 0.5,
) -> Output | None:
    """Returns the output for a name; None for ``"raw"`` and None.

    Raises:
        ValueError: for an unknown name, with near ones.
        TypeError: for anything else.
    """
    if output is None or output == "raw":
        return None
    if isinstance(output, Output):
        return output.with_labels(labels)
    if not isinstance(output, str):
        raise TypeError(expected("output", "a name, an Output or None", output))
    if output not in OUTPUTS:
        advice = near_names(output, OUTPUT_NAMES)
        raise ValueError(expected("output", f"one of {', '.join(OUTPUT_NAMES)}", output, advice))
    return OUTPUTS[output](multi_label=multi_label, threshold=threshold).with_labels(labels)


def answers(batch: Mapping[str, Any], task: Any, output: str | Output | None) -> list[Any]:
    """Returns one answer for each sample of a batch dict whose ``preds`` are (B, N) logits.

    Args:
        batch: with entries of length B; numbers and such that are no sequences are every sample's.
        task: whose ``labels``, ``multi_label`` and ``threshold`` count.
        output: see :func:`resolve_output`; None gives the samples as dicts.
    """
    shown = resolve_output(output, task.labels, task.multi_label, task.threshold)
    samples = [
        {key: _sample_of(value, i) for key, value in batch.items()}
        for i in range(len(batch["preds"]))
    ]
    return samples if shown is None else [shown.transform_sample(sample) for sample in samples]


def _sample_of(value: Any, index: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _sample_of(entry, index) for key, entry in value.items()}
    if not isinstance(value, (Tensor, Sequence)) or isinstance(value, str):
        return value
    value = value[index]
    return value.item() if isinstance(value, Tensor) and value.ndim == 0 else value


def flat_answers(predictions: Sequence[Any], keep_inner: bool = False) -> Iterator[Any]:
    """Yields the answers of batches, or of one list; with ``keep_inner`` an answer is a list itself."""
    for batch in predictions:
        several = isinstance(batch, list)
        if several and keep_inner:
            several = bool(batch) and all(isinstance(answer, list) for answer in batch)
        yield from batch if several else (batch,)
