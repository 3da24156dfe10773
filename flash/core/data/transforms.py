# SPDX-License-Identifier: Apache-2.0
"""Transforms of single entries of a sample, by either name of the entry."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torchvision.transforms import Compose

from flash.core.data.io.input import TARGET_KEYS, Sample, own_name
from pytorchvideo.transforms import ApplyTransformToKey
from pytorchvideo.transforms._pipeline import steps


class ApplyToKeys:
    """Applies transforms, one after the other, to entries of a sample or batch, which is changed and returned.

    Several keys give the transforms a list of their values, and take a list back. The target may be
    missing, as it is in predict data.

    Args:
        keys: the entry or entries, e.g. ``DataKeys.INPUT``.
        transforms: callables.

    Raises:
        KeyError: the sample has no such entry.

    >>> ApplyToKeys("target", lambda x: x + 1, str)({"label": 3})
    {'label': '4'}
    """

    def __init__(self, keys: str | Sequence[str], *transforms: Callable[[Any], Any]) -> None:
        self.keys = [keys] if isinstance(keys, str) else list(keys)
        self.transform = transforms[0] if len(transforms) == 1 else Compose(list(transforms))

    def __call__(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the sample with the entries transformed."""
        sample = sample if isinstance(sample, Sample) else Sample(sample)
        keys = [key for key in self.keys if key in sample]
        lacking = [own_name(key) for key in self.keys if key not in sample]
        if set(lacking) - set(TARGET_KEYS):
            raise KeyError(
                f"Expected the key {lacking[0]!r} in the sample, but it has {list(sample)}."
            )
        if len(self.keys) == 1:
            for key in keys:
                sample[key] = self.transform(sample[key])
        elif keys:
            values = self.transform([sample[key] for key in keys])
            sample.update(zip(keys, values, strict=True))
        return sample

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.keys))}: {self.transform!r})"


def in_own_names(transform: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a transform that names entries as PyTorchVideo does, so that the dataset recognises its beginning.

    A transform that needs no change is returned as it is.

    >>> in_own_names(ApplyToKeys("input", abs))
    ApplyTransformToKey(
        key='video',
        transform=<built-in function abs>,
    )
    """
    parts = steps(transform)
    named = [_in_own_names(part) for part in parts]
    changed = any(new is not old for new, old in zip(named, parts, strict=True))
    if not changed:
        return transform
    return named[0] if len(named) == 1 else Compose(named)


def _in_own_names(step: Any) -> Any:
    if type(step) is ApplyToKeys and len(step.keys) == 1 and own_name(step.keys[0]) == "video":
        return ApplyTransformToKey("video", step.transform)
    if type(step) is ApplyTransformToKey and own_name(step.key) != step.key:
        return ApplyTransformToKey(own_name(step.key), step.transform)
    return step
