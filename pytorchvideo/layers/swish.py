# SPDX-License-Identifier: Apache-2.0
"""Swish, ``x * sigmoid(x)`` (arXiv 1710.05941), also known as SiLU."""

import torch
from torch import nn
from torch.nn import functional as F


class Swish(nn.Module):
    """``x * sigmoid(x)`` for every element of a floating-point tensor of any shape.

    PyTorch's own kernel is used: it keeps the input alone for the backward pass and exports everywhere.

    >>> Swish()(torch.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.silu(x)


class SwishFunction:
    """Swish as ``SwishFunction.apply(x)``, for code that calls it by this name."""

    @staticmethod
    def apply(x: torch.Tensor) -> torch.Tensor:
        """Returns ``x * sigmoid(x)``."""
        return F.silu(x)
