# SPDX-License-Identifier: Apache-2.0
"""Average pools of mobile networks."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pytorchvideo.layers.accelerator.efficient_block import (
    EfficientBlockBase,
    NoOpConvertBlock,
    check_blob_size,
)

_Size = int | None | tuple[int | None, ...]


class _GlobalMean(EfficientBlockBase):
    """The mean over all positions. Both forms are a mean, which knows no input size and which all runtimes have."""

    ndim: int

    def convert(self, input_blob_size: Sequence[int], **kwargs: Any) -> None:
        """Marks the pool as deployable.

        Args:
            input_blob_size: shape of the input.
            kwargs: of no effect.

        Raises:
            RuntimeError: it was converted before.
            ValueError: the pool takes no input of this shape.
        """
        self._begin_convert()
        check_blob_size(input_blob_size, self.ndim)
        self.convert_flag = True


class AdaptiveAvgPool3dOutSize1(_GlobalMean):
    """The mean over all positions, (B, C, T, H, W) -> (B, C, 1, 1, 1)."""

    ndim = 5

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3, 4), keepdim=True)


class AdaptiveAvgPool2dOutSize1(_GlobalMean):
    """The mean over all positions, (B, C, H, W) -> (B, C, 1, 1)."""

    ndim = 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(2, 3), keepdim=True)


class AdaptiveAvgPool3d(NoOpConvertBlock):
    """An average pool of clips by its output's size."""

    def __init__(self, output_size: _Size) -> None:
        super().__init__(nn.AdaptiveAvgPool3d(output_size))


class AdaptiveAvgPool2d(NoOpConvertBlock):
    """An average pool of images by its output's size."""

    def __init__(self, output_size: _Size) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(output_size))
