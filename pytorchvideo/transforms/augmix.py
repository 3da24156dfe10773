# SPDX-License-Identifier: Apache-2.0
"""AugMix for clips (Hendrycks et al., arXiv 1912.02781)."""

from collections.abc import Mapping
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.transforms._random import RandomTransform, beta, dirichlet, integer
from pytorchvideo.transforms.augmentations import (
    OPERATION_NAMES,
    AugmentTransform,
    from_unit,
    increasing,
    to_unit,
)

__all__ = ["SAMPLING_AUGMIX_DEFAULT_HPARAS", "AugMix"]

_ENHANCEMENTS = ("AdjustBrightness", "AdjustContrast", "AdjustSaturation", "AdjustSharpness")
SAMPLING_AUGMIX_DEFAULT_HPARAS: dict[str, Any] = {
    "sampling_data_type": "float",
    "sampling_min": 0.1,
}
_NAMES = tuple(name for name in OPERATION_NAMES if name != "Invert")
# Unlike in RandAugment the factor of an enhancement grows with the level, from 0.1 to 1.9.
_MAX_PARAS = {
    **dict.fromkeys(_ENHANCEMENTS, (0.1, 1.8)),
    **dict.fromkeys(("TranslateX", "TranslateY"), (0.0, 1 / 3)),
}
_LEVEL_TO_ARG = dict.fromkeys(_ENHANCEMENTS, increasing)


class AugMix(RandomTransform):
    """A weighted mean of several chains of augmentations, mixed with the clip itself.

    The weights of the chains are from a Dirichlet distribution, the share of their mean in the result
    is from Beta(alpha, alpha). The operations are those of :class:`AugmentTransform` but Invert.

    Args:
        magnitude: largest level, a whole number in 1..10; each level is uniform in [0.1, magnitude].
        alpha: of both distributions, > 0.
        width: number of chains.
        depth: operations in each; -1 draws 1 to 3.
        transform_hparas: see :class:`AugmentTransform`, like all that follow.
        sampling_hparas: ``{"sampling_data_type": "float", "sampling_min": 0.1}`` by default.
        max_value: white in float clips, 1 or 255.
        generator: where the randomness comes from.

    Raises:
        ValueError: a number outside of its range.

    >>> clip = torch.zeros(8, 3, 24, 32, dtype=torch.uint8)
    >>> AugMix()(clip).dtype
    torch.uint8
    """

    def __init__(
        self,
        magnitude: int = 3,
        alpha: float = 1.0,
        width: int = 3,
        depth: int = -1,
        transform_hparas: Mapping[str, Any] | None = None,
        sampling_hparas: Mapping[str, Any] | None = None,
        *,
        max_value: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if not isinstance(magnitude, int) or not 1 <= magnitude <= 10:
            raise ValueError(expected("magnitude", "a whole number in 1..10", magnitude))
        if alpha <= 0:
            raise ValueError(expected("alpha", "> 0", alpha))
        if width < 1:
            raise ValueError(expected("width", ">= 1 chain", width))
        if depth != -1 and depth < 1:
            raise ValueError(expected("depth", ">= 1, or -1 for 1 to 3", depth))
        self.alpha = alpha
        self.width = width
        self.depth = depth
        self.max_value = max_value
        self.transforms = [
            AugmentTransform(
                name,
                magnitude,
                prob=1.0,
                level_to_arg=_LEVEL_TO_ARG,
                transform_max_paras=_MAX_PARAS,
                transform_hparas=transform_hparas,
                sampling_type="uniform",
                sampling_hparas={**SAMPLING_AUGMIX_DEFAULT_HPARAS, **(sampling_hparas or {})},
                max_value=max_value,
                generator=generator,
            )
            for name in _NAMES
        ]

    def _chain(self, clip: torch.Tensor) -> torch.Tensor:
        generator = self.generator
        depth = integer(1, 3, generator) if self.depth == -1 else self.depth
        for _ in range(depth):
            clip = self.transforms[integer(0, len(_NAMES) - 1, generator)].augment(clip)
        return clip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, C, H, W), or with more axes in front, which share the parameters; same dtype."""
        clip = to_unit(x, self.max_value)
        weights = dirichlet(self.alpha, self.width, self.generator)
        share = beta(self.alpha, self.generator)
        dtype = clip.dtype if clip.is_floating_point() else torch.float32
        mixed = clip.to(dtype) * (1 - share)
        for weight in weights:
            mixed.add_(self._chain(clip), alpha=share * weight)
        if clip.dtype == torch.uint8:
            mixed = mixed.round_().clamp_(0, 255).to(torch.uint8)
        return from_unit(mixed, self.max_value)

    def extra_repr(self) -> str:
        each = self.transforms[0].extra_repr().partition(", ")[2]
        return f"alpha={self.alpha}, width={self.width}, depth={self.depth}, {each}"
