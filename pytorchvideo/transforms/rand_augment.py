# SPDX-License-Identifier: Apache-2.0
"""RandAugment for clips (Cubuk et al., arXiv 1909.13719)."""

from collections.abc import Mapping
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.transforms._random import RandomTransform
from pytorchvideo.transforms.augmentations import (
    OPERATION_NAMES,
    SAMPLING_DEFAULT_HPARAS,
    AugmentTransform,
    from_unit,
    to_unit,
)

__all__ = ["SAMPLING_RANDAUG_DEFAULT_HPARAS", "RandAugment"]

SAMPLING_RANDAUG_DEFAULT_HPARAS = SAMPLING_DEFAULT_HPARAS


class RandAugment(RandomTransform):
    """Some different augmentations of :class:`AugmentTransform`, one after the other.

    Args:
        magnitude: the level of all of them, in [0, 10].
        num_layers: how many, at most 14.
        prob: probability with which each is applied.
        transform_hparas: see :class:`AugmentTransform`, like all that follow.
        sampling_type: ``"gaussian"`` or ``"uniform"``.
        sampling_hparas: of the sampling.
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
        max_value: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if not 1 <= num_layers <= len(OPERATION_NAMES):
            wanted = f"between 1 and {len(OPERATION_NAMES)}"
            raise ValueError(expected("num_layers", wanted, num_layers))
        self.num_layers = num_layers
        self.max_value = max_value
        self.transforms = [
            AugmentTransform(
                name,
                magnitude,
                prob,
                transform_hparas=transform_hparas,
                sampling_type=sampling_type,
                sampling_hparas=sampling_hparas,
                max_value=max_value,
                generator=generator,
            )
            for name in OPERATION_NAMES
        ]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, C, H, W), or with more axes in front, which share the parameters; same dtype."""
        clip = to_unit(x, self.max_value)
        order = torch.randperm(len(self.transforms), generator=self.generator)
        for index in order[: self.num_layers].tolist():
            clip = self.transforms[index].augment(clip)
        return from_unit(clip, self.max_value)

    def extra_repr(self) -> str:
        each = self.transforms[0].extra_repr().partition(", ")[2]
        return f"num_layers={self.num_layers}, {each}"
