# SPDX-License-Identifier: Apache-2.0
"""Transforms of samples (dicts), and pipelines on one of their entries."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytorchvideo.transforms import functional
from pytorchvideo.transforms._pipeline import run


class ApplyTransformToKey:
    """Applies a transform to one entry of a sample, which is changed and returned.

    The steps of a ``Compose`` or ``nn.Sequential`` are run one by one. For clips that means that
    ``Div255`` and ``Normalize`` are done after scales, crops and flips that follow them, on fewer
    pixels, with the same result; that kornia's ``VideoSequential``, which takes batches, also takes
    a single clip; and that torchvision's transforms of colours raise an error if they would take
    time for channels (see :class:`OnFrames`).

    Args:
        key: the entry.
        transform: any callable.

    Raises:
        KeyError: the sample has no such entry.
        ValueError: a transform of torchvision would take time for channels.

    >>> ApplyTransformToKey(key="label", transform=str)({"label": 3})
    {'label': '3'}
    """

    def __init__(self, key: str, transform: Callable[[Any], Any]) -> None:
        self.key = key
        self.transform = transform

    def __call__(self, x: dict[str, Any]) -> dict[str, Any]:
        """Returns the same dict with ``x[key]`` transformed."""
        if self.key not in x:
            raise KeyError(f"Expected the key {self.key!r} in the sample, but it has {list(x)}.")
        x[self.key] = run(self.transform, x[self.key], is_clip=self.key == "video")
        return x

    def __repr__(self) -> str:
        """The key and the transform, indented where it has several lines."""
        inner = repr(self.transform).replace("\n", "\n    ")
        return f"{type(self).__name__}(\n    key={self.key!r},\n    transform={inner},\n)"


class RemoveKey(nn.Module):
    """Removes an entry from a sample, if it is there.

    >>> RemoveKey("audio")({"label": 3, "audio": None})
    {'label': 3}
    """

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def forward(self, x: dict[str, Any]) -> dict[str, Any]:
        """Returns the same dict without the entry."""
        x.pop(self.key, None)
        return x

    def extra_repr(self) -> str:
        return f"key={self.key!r}"


class UniformCropVideo(nn.Module):
    """Cuts the square that belongs to a sample's view: three-crop testing. Takes a whole sample.

    Args:
        size: pixels.
        video_key: the entry with the clip (..., H, W).
        aug_index_key: the entry with the view: 0 left or top, 1 centre, 2 right or bottom.
    """

    def __init__(
        self, size: int, video_key: str = "video", aug_index_key: str = "aug_index"
    ) -> None:
        super().__init__()
        self.size = size
        self.video_key = video_key
        self.aug_index_key = aug_index_key

    def forward(self, x: dict[str, Any]) -> dict[str, Any]:
        """Returns the same dict with its clip cropped."""
        x[self.video_key] = functional.uniform_crop(
            x[self.video_key], self.size, x[self.aug_index_key]
        )
        return x

    def extra_repr(self) -> str:
        return (
            f"size={self.size}, video_key={self.video_key!r}, aug_index_key={self.aug_index_key!r}"
        )


class UniformCrop(nn.Module):
    """One of three crops of a clip along its longer side; see :func:`~pytorchvideo.transforms.functional.uniform_crop`.

    Args:
        size: side of the crop in pixels.
        position: 0 for the left or upper one, 1 for the centre, 2 for the right or lower one.
    """

    def __init__(self, size: int, position: int) -> None:
        super().__init__()
        self.size, self.position = size, position

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Crops a clip (C, T, H, W)."""
        return functional.uniform_crop(clip, self.size, self.position)

    def extra_repr(self) -> str:
        """The arguments, for ``repr``."""
        return f"size={self.size}, position={self.position}"
