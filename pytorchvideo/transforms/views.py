# SPDX-License-Identifier: Apache-2.0
"""Several inputs from one sample: repeated augmentation, and pathways of SlowFast."""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils.data import default_collate

from pytorchvideo._checks import expected
from pytorchvideo.transforms import functional
from pytorchvideo.transforms.transforms import ApplyTransformToKey

__all__ = [
    "ApplyTransformToKeyOnList",
    "RepeatandConverttoList",
    "RepeatedAugmentation",
    "SlowFastPackPathway",
    "multiple_samples_collate",
]


class RepeatandConverttoList(nn.Module):
    """Turns every entry of a sample into a list of itself: repeated augmentation (arXiv 1901.09335).

    :class:`ApplyTransformToKeyOnList` then augments each item differently, and
    :func:`multiple_samples_collate` makes a batch of them.

    Args:
        repeat_num: length of the lists. The items are one object: nothing must change them in place.

    >>> RepeatandConverttoList(2)({"label": 3})
    {'label': [3, 3]}
    """

    def __init__(self, repeat_num: int) -> None:
        super().__init__()
        if repeat_num < 1:
            raise ValueError(expected("repeat_num", ">= 1", repeat_num))
        self.repeat_num = repeat_num

    def forward(self, x: dict[str, Any]) -> dict[str, list[Any]]:
        """Returns a new dict with the same keys."""
        return {key: [value] * self.repeat_num for key, value in x.items()}

    def extra_repr(self) -> str:
        return f"repeat_num={self.repeat_num}"


class ApplyTransformToKeyOnList(ApplyTransformToKey):
    """Applies a transform to every item of a list in a sample, which is changed and returned.

    Args:
        key: the entry, a list.
        transform: any callable.

    Raises:
        KeyError: the sample has no such entry.

    >>> ApplyTransformToKeyOnList("label", str)({"label": [3, 4]})
    {'label': ['3', '4']}
    """

    def __call__(self, x: dict[str, Any]) -> dict[str, Any]:
        """Returns the same dict with each item of ``x[key]`` transformed."""
        return ApplyTransformToKey(self.key, self._each)(x)

    def _each(self, items: Iterable[Any]) -> list[Any]:
        return [self.transform(item) for item in items]


class RepeatedAugmentation:
    """Makes several augmented samples of a decoded one (arXiv 1901.09335).

    Args:
        repeats: how many.
        transform: of a sample, random; each time it gets a copy of the clip.
        key: the entry with the clip.

    Raises:
        ValueError: ``repeats`` is below 1.

    >>> augment = RepeatedAugmentation(2, lambda sample: sample)
    >>> len(augment({"video": torch.zeros(3, 4, 8, 8), "label": 1}))
    2
    """

    def __init__(
        self, repeats: int, transform: Callable[[dict[str, Any]], Any], *, key: str = "video"
    ) -> None:
        if repeats < 1:
            raise ValueError(expected("repeats", ">= 1", repeats))
        self.repeats, self.transform, self.key = repeats, transform, key

    def __call__(self, sample: dict[str, Any]) -> list[Any]:
        """Returns as many samples."""
        return [self.transform(self._copy(sample)) for _ in range(self.repeats)]

    def _copy(self, sample: dict[str, Any]) -> dict[str, Any]:
        """A sample of the same kind, whose clip a transform may change in place."""
        copied = copy.copy(sample)
        copied[self.key] = copied[self.key].clone()
        return copied

    def __repr__(self) -> str:
        inner = repr(self.transform).replace("\n", "\n    ")
        return f"{type(self).__name__}(\n    repeats={self.repeats},\n    transform={inner},\n)"


def multiple_samples_collate(batch: Sequence[dict[str, list[Any]]]) -> Any:
    """Makes one batch of samples whose entries are lists: B lists of R items become B * R items.

    For the ``collate_fn`` of a ``DataLoader`` whose dataset repeats samples with
    :class:`RepeatandConverttoList`.

    Raises:
        ValueError: the lists of a sample differ in length.

    >>> multiple_samples_collate([{"label": [1, 1]}, {"label": [2, 2]}])
    {'label': tensor([1, 1, 2, 2])}
    """
    items: list[dict[str, Any]] = []
    for sample in batch:
        lengths = {key: len(values) for key, values in sample.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(expected("sample", "made of lists of one length", lengths))
        items += [
            dict(zip(sample, values, strict=True)) for values in zip(*sample.values(), strict=True)
        ]
    return default_collate(items)


class SlowFastPackPathway(nn.Module):
    """A clip as the two inputs of SlowFast (arXiv 1812.03982): few frames, and all.

    Args:
        alpha: frames of the fast pathway for each of the slow one.

    >>> slow, fast = SlowFastPackPathway(4)(torch.zeros(3, 32, 8, 8))
    >>> slow.shape[1], fast.shape[1]
    (8, 32)
    """

    def __init__(self, alpha: int) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(..., C, T, H, W) -> a list of (..., C, T // alpha, H, W) and (..., C, T, H, W)."""
        return functional.uniform_temporal_subsample_repeated(x, (self.alpha, 1))

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"
