# SPDX-License-Identifier: Apache-2.0
"""RandAugment for clips (Cubuk et al., arXiv 1909.13719), also by timm's strings."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.transforms._random import RandomTransform
from pytorchvideo.transforms.augmentations import (
    OPERATION_NAMES,
    SAMPLING_DEFAULT_HPARAS,
    TIMM_NAMES,
    AugmentTransform,
    from_unit,
    to_unit,
)

__all__ = ["SAMPLING_RANDAUG_DEFAULT_HPARAS", "RandAugment"]

SAMPLING_RANDAUG_DEFAULT_HPARAS = SAMPLING_DEFAULT_HPARAS

_FORM = "rand-m7-n4-mstd0.5-inc1"
# a part of timm's string: its name, and a number
_PART = re.compile(r"(mstd|inc|m|n|p)(\d+(?:\.\d+)?)")


def _enhanced(level: float, _: Sequence[float]) -> tuple[float, ...]:
    return (0.1 + level / 10 * 1.8,)


def _bits(level: float, _: Sequence[float]) -> tuple[float, ...]:
    return (int(level / 10 * 4),)


def _threshold(level: float, _: Sequence[float]) -> tuple[float, ...]:
    return (min(256, int(level / 10 * 256)) / 255,)


# what timm makes of a level without inc1: some operations change less at a higher one
_NOT_INCREASING: dict[str, Callable[[float, Sequence[float]], tuple[float, ...]]] = {
    **dict.fromkeys([name for name in TIMM_NAMES if name.startswith("Adjust")], _enhanced),
    "Posterize": _bits,
    "Solarize": _threshold,
}


class RandAugment(RandomTransform):
    """Some different augmentations of :class:`AugmentTransform`, one after the other.

    Args:
        magnitude: the level of all of them, in [0, 10].
        num_layers: how many, at most 14.
        prob: probability with which each is applied.
        transform_hparas: see :class:`AugmentTransform`, like all that follow.
        sampling_type: ``"gaussian"`` or ``"uniform"``.
        sampling_hparas: of the sampling.
        operations: names of those to draw from.
        replacement: whether one may come more than once.
        level_to_arg: see :class:`AugmentTransform`.
        max_value: white in float clips, 1 or 255.
        generator: where the randomness comes from.

    Raises:
        ValueError: a number outside of its range.

    >>> clip = torch.zeros(8, 3, 24, 32, dtype=torch.uint8)
    >>> RandAugment(magnitude=7, num_layers=4)(clip).shape
    torch.Size([8, 3, 24, 32])
    """

    def __init__(
        self,
        magnitude: float = 9,
        num_layers: int = 2,
        prob: float = 0.5,
        transform_hparas: Mapping[str, Any] | None = None,
        sampling_type: str = "gaussian",
        sampling_hparas: Mapping[str, Any] | None = None,
        *,
        operations: Sequence[str] = OPERATION_NAMES,
        replacement: bool = False,
        level_to_arg: Mapping[str, Callable[..., tuple[float, ...]]] | None = None,
        max_value: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if num_layers < 1 or (num_layers > len(operations) and not replacement):
            wanted = "a whole number >= 1" if replacement else f"between 1 and {len(operations)}"
            raise ValueError(expected("num_layers", wanted, num_layers))
        self.num_layers = num_layers
        self.replacement = replacement
        self.max_value = max_value
        self.transforms = [
            AugmentTransform(
                name,
                magnitude,
                prob,
                level_to_arg=level_to_arg,
                transform_hparas=transform_hparas,
                sampling_type=sampling_type,
                sampling_hparas=sampling_hparas,
                max_value=max_value,
                generator=generator,
            )
            for name in operations
        ]

    @classmethod
    def from_string(cls, spec: str, **options: Any) -> "RandAugment":
        """Makes the augmentation that a string in timm's words means, as recipes of MViT have it.

        Args:
            spec: ``"rand"`` and parts with ``-`` between them: ``m7`` the level (10 without it), ``n4`` how many (2),
                ``mstd0.5`` the deviation of the level (0), ``p0.5`` the probability of each, ``inc1`` operations
                that all change more at a higher level. They are drawn from timm's fifteen, one perhaps more than once.
            **options: ``transform_hparas``, ``max_value`` and ``generator``.

        Raises:
            ValueError: another string.

        >>> augment = RandAugment.from_string("rand-m7-n4-mstd0.5-inc1")
        >>> augment.num_layers, len(augment.transforms)
        (4, 15)
        """
        head, *parts = spec.split("-")
        found = [_PART.fullmatch(part) for part in parts]
        values = {part[1]: float(part[2]) for part in found if part is not None}
        if head != "rand" or None in found or len(values) < len(parts):
            wanted = "rand and parts mNUMBER, nNUMBER, mstdNUMBER, pNUMBER, inc1, each once"
            raise ValueError(expected("spec", wanted, spec, f"The recipe of MViT has {_FORM!r}."))
        return cls(
            values.get("m", 10.0),
            int(values.get("n", 2)),
            values.get("p", 0.5),
            sampling_hparas={"sampling_std": values.get("mstd", 0.0)},
            operations=TIMM_NAMES,
            replacement=True,
            level_to_arg=None if values.get("inc") else _NOT_INCREASING,
            **options,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, C, H, W), or with more axes in front, which share the parameters; same dtype."""
        clip = to_unit(x, self.max_value)
        count, generator = len(self.transforms), self.generator
        if self.replacement:
            chosen = torch.randint(count, (self.num_layers,), generator=generator)
        else:
            chosen = torch.randperm(count, generator=generator)[: self.num_layers]
        for index in chosen.tolist():
            clip = self.transforms[index].augment(clip)
        return from_unit(clip, self.max_value)

    def extra_repr(self) -> str:
        each = self.transforms[0].extra_repr().partition(", ")[2]
        return f"num_layers={self.num_layers}, {each}"
