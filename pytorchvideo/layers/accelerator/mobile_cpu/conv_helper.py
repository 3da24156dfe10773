# SPDX-License-Identifier: Apache-2.0
"""Modules for the deployable forms of blocks, as code written for PyTorchVideo builds them."""

from collections.abc import Sequence

import torch
from torch import nn

from pytorchvideo.layers.accelerator._arithmetic import make_arithmetic


class _Reshape(nn.Module):
    """Gives a tensor the shape ``reshape_size``."""

    def __init__(self, reshape_size: Sequence[int]) -> None:
        super().__init__()
        self.reshape_size = tuple(reshape_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(self.reshape_size)

    def extra_repr(self) -> str:
        return f"{self.reshape_size}"


class _SkipConnectMul(nn.Module):
    """``x * layer(x)``, with a product that eager quantisation replaces.

    >>> gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Sigmoid())
    >>> _SkipConnectMul(gate)(torch.zeros(1, 2, 3, 3)).shape
    torch.Size([1, 2, 3, 3])
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.mul_func = make_arithmetic()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mul_func.mul(x, self.layer(x))
