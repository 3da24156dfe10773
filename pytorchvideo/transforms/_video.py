# SPDX-License-Identifier: Apache-2.0
"""Clip transforms in the names of torchvision's private video module.

They take clips (C, T, H, W) and batches (B, C, T, H, W). Random ones treat all frames, and all clips of
a batch, alike.
"""

from collections.abc import Sequence

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.transforms import functional
from pytorchvideo.transforms._random import RandomTransform, happens, integer

__all__ = [
    "CenterCropVideo",
    "RandomCropVideo",
    "RandomHorizontalFlipVideo",
    "RandomResizedCropVideo",
    "ToTensorVideo",
]


def _pair(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    """A size as (height, width); one number is a square."""
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(expected(name, "pixels, or (height, width) in pixels", size))
    return pair


def _check_clip(clip: torch.Tensor) -> None:
    if clip.ndim not in (4, 5):
        wanted = "(C, T, H, W) or (B, C, T, H, W)"
        raise ValueError(f"Expected a clip {wanted}, but got shape {tuple(clip.shape)}.")


def _room(clip: torch.Tensor, size: tuple[int, int]) -> tuple[int, int]:
    """How far a window may move down and right inside the frames."""
    _check_clip(clip)
    height, width = clip.shape[-2:]
    if size[0] > height or size[1] > width:
        raise ValueError(
            f"Expected a clip of at least {size[0]}x{size[1]} pixels, but got {height}x{width}. "
            "Scale it up first."
        )
    return height - size[0], width - size[1]


class CenterCropVideo(nn.Module):
    """Cuts out the centre.

    Args:
        crop_size: pixels, or (height, width).

    Raises:
        ValueError: the clip is smaller.
    """

    def __init__(self, crop_size: int | Sequence[int]) -> None:
        super().__init__()
        self.crop_size = _pair("crop_size", crop_size)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """(..., C, T, H, W) -> (..., C, T, height, width), a view."""
        down, right = _room(clip, self.crop_size)
        h, w = self.crop_size
        y, x = round(down / 2), round(right / 2)
        return clip[..., y : y + h, x : x + w]

    def extra_repr(self) -> str:
        return f"crop_size={self.crop_size}"


class RandomCropVideo(RandomTransform):
    """Cuts out a window; every place inside the frame is equally likely.

    Args:
        size: pixels, or (height, width).
        generator: where the randomness comes from.

    Raises:
        ValueError: the clip is smaller.
    """

    def __init__(
        self, size: int | Sequence[int], *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(generator)
        self.size = _pair("size", size)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """(..., C, T, H, W) -> (..., C, T, height, width), a view."""
        down, right = _room(clip, self.size)
        h, w = self.size
        y, x = integer(0, down, self.generator), integer(0, right, self.generator)
        return clip[..., y : y + h, x : x + w]

    def extra_repr(self) -> str:
        return f"size={self.size}"


class RandomResizedCropVideo(RandomTransform):
    """Cuts out a random part and resizes it; see :func:`functional.random_resized_crop`.

    Args:
        size: pixels of the result, or (height, width).
        scale: smallest and largest share of the area.
        ratio: smallest and largest width / height.
        interpolation_mode: see :func:`functional.short_side_scale`.
        generator: where the randomness comes from.
    """

    def __init__(
        self,
        size: int | Sequence[int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation_mode: str = "bilinear",
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        self.size = _pair("size", size)
        self.scale = scale
        self.ratio = ratio
        self.interpolation_mode = interpolation_mode

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """(..., C, T, H, W) -> (..., C, T, height, width)."""
        return functional.random_resized_crop(
            clip,
            *self.size,
            self.scale,
            self.ratio,
            interpolation=self.interpolation_mode,
            generator=self.generator,
        )

    def extra_repr(self) -> str:
        return (
            f"size={self.size}, scale={self.scale}, ratio={self.ratio}, "
            f"interpolation_mode={self.interpolation_mode!r}"
        )


class RandomHorizontalFlipVideo(RandomTransform):
    """Mirrors left and right.

    Args:
        p: share of the clips.
        generator: where the randomness comes from.
    """

    def __init__(self, p: float = 0.5, *, generator: torch.Generator | None = None) -> None:
        super().__init__(generator)
        if not 0 <= p <= 1:
            raise ValueError(expected("p", "in [0, 1]", p))
        self.p = p

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """(..., C, T, H, W) -> the same shape."""
        _check_clip(clip)
        return clip.flip(-1) if happens(self.p, self.generator) else clip

    def extra_repr(self) -> str:
        return f"p={self.p}"


class ToTensorVideo(nn.Module):
    """uint8 (T, H, W, C) -> float32 (C, T, H, W) in 0..1.

    >>> ToTensorVideo()(torch.full((2, 4, 5, 3), 255, dtype=torch.uint8)).shape
    torch.Size([3, 2, 4, 5])
    """

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Returns a contiguous tensor."""
        if clip.ndim != 4 or clip.dtype != torch.uint8:
            raise ValueError(
                f"Expected a uint8 clip (T, H, W, C), but got {clip.dtype} of shape "
                f"{tuple(clip.shape)}. Use Div255 for a clip (C, T, H, W)."
            )
        return clip.permute(3, 0, 1, 2).contiguous().float().div_(255)
