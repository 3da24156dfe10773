# SPDX-License-Identifier: Apache-2.0
"""Random erasing for clips (Zhong et al., arXiv 1708.04896)."""

import math
from typing import NamedTuple

import torch

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.transforms._random import RandomTransform, happens, integer, uniform

__all__ = ["RandomErasing"]

# Rectangles that do not fit are drawn again, so many times.
_TRIES = 10


class _Rectangle(NamedTuple):
    y: int
    x: int
    height: int
    width: int


class RandomErasing(RandomTransform):
    """Covers rectangles of a clip with zeros or noise.

    The noise is standard normal, as clips are after :class:`Normalize`.

    Args:
        probability: share of the clips (with ``cube=False`` of the frames) to change.
        min_area: smallest area of all rectangles together, as a share of the frame.
        max_area: largest area.
        min_aspect: smallest height / width of a rectangle.
        max_aspect: the largest, by default ``1 / min_aspect``.
        mode: ``"const"`` for zeros, ``"rand"`` for one random colour per rectangle, ``"pixel"`` for a
            random colour per pixel.
        min_count: smallest number of rectangles.
        max_count: largest number, by default ``min_count``.
        num_splits: with 2 or more, the first ``T // num_splits`` frames are left as they are.
        cube: the same rectangles, filled with the same, in all frames; False draws for each frame.
        generator: where the randomness comes from.

    Raises:
        ValueError: a number outside of its range, or an unknown mode.

    >>> clip = torch.ones(4, 3, 20, 20)
    >>> bool((RandomErasing(probability=1.0)(clip) == 0).any())
    True
    """

    def __init__(
        self,
        probability: float = 0.5,
        min_area: float = 0.02,
        max_area: float = 1 / 3,
        min_aspect: float = 0.3,
        max_aspect: float | None = None,
        mode: str = "const",
        min_count: int = 1,
        max_count: int | None = None,
        num_splits: int = 0,
        cube: bool = True,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if not 0 <= probability <= 1:
            raise ValueError(expected("probability", "in [0, 1]", probability))
        if not 0 < min_area <= max_area <= 1:
            areas = (min_area, max_area)
            raise ValueError(expected("min_area, max_area", "0 < min <= max <= 1", areas))
        if max_aspect is None and min_aspect > 0:
            max_aspect = 1 / min_aspect
        if max_aspect is None or not 0 < min_aspect <= max_aspect:
            aspects = (min_aspect, max_aspect)
            raise ValueError(expected("min_aspect, max_aspect", "0 < min <= max", aspects))
        counts = (min_count, min_count if max_count is None else max_count)
        if not 1 <= counts[0] <= counts[1]:
            raise ValueError(expected("min_count, max_count", "1 <= min <= max", counts))
        check_choice("mode", mode, ("const", "rand", "pixel"))
        self.probability = probability
        self.areas = (min_area, max_area)
        self.aspects = (min_aspect, max_aspect)
        self.mode = mode
        self.counts = counts
        self.num_splits = num_splits
        self.cube = cube

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, C, H, W) -> a new tensor of the same shape, dtype and device."""
        if x.ndim != 4:
            raise ValueError(expected("x", "a clip (T, C, H, W)", tuple(x.shape)))
        if self.mode != "const" and not x.is_floating_point():
            advice = 'Use mode="const", or erase after Normalize.'
            raise ValueError(expected("x", f'float for mode="{self.mode}"', x.dtype, advice))
        erased = x.clone()
        changing = erased[len(x) // self.num_splits :] if self.num_splits > 1 else erased
        for frames in [changing] if self.cube else changing.split(1):
            self._erase(frames)
        return erased

    def _erase(self, frames: torch.Tensor) -> None:
        """Covers the same rectangles in all of some frames (T, C, H, W), in place."""
        generator = self.generator
        if not happens(self.probability, generator):
            return
        for y, x, h, w in self._rectangles(*frames.shape[-2:]):
            part = frames[..., y : y + h, x : x + w]
            if self.mode == "const":
                part.zero_()
            else:
                size = (h, w) if self.mode == "pixel" else (1, 1)
                part.copy_(torch.randn(frames.shape[1], *size, generator=generator))

    def _rectangles(self, height: int, width: int) -> list[_Rectangle]:
        generator = self.generator
        count = integer(*self.counts, generator)
        rectangles = []
        for _ in range(count):
            for _ in range(_TRIES):
                area = uniform(*self.areas, generator) * height * width / count
                low, high = self.aspects
                aspect = math.exp(uniform(math.log(low), math.log(high), generator))
                h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
                if 1 <= h < height and 1 <= w < width:
                    y, x = integer(0, height - h, generator), integer(0, width - w, generator)
                    rectangles.append(_Rectangle(y, x, h, w))
                    break
        return rectangles

    def extra_repr(self) -> str:
        return (
            f"probability={self.probability}, areas={self.areas}, aspects={self.aspects}, "
            f"mode={self.mode!r}, counts={self.counts}, num_splits={self.num_splits}, "
            f"cube={self.cube}"
        )
