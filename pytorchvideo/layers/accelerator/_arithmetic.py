# SPDX-License-Identifier: Apache-2.0
"""Sums and products as modules, which int8 quantisation needs."""

from typing import Any

import torch
from torch import nn


class Arithmetic(nn.Module):
    """``add`` and ``mul`` of two tensors."""

    def add(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x + y``."""
        return x + y

    def mul(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Returns ``x * y``."""
        return x * y


def make_arithmetic() -> Any:
    """Returns PyTorch's module with the methods of :class:`Arithmetic`, which eager quantisation replaces."""
    try:
        # imported on use: this part of PyTorch is deprecated, and without it nothing is quantised
        from torch.ao.nn.quantized import FloatFunctional
    except ImportError:
        return Arithmetic()
    return FloatFunctional()


class QuantizableSwish(nn.Module):
    """Swish of operators that PyTorch has in int8."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Sigmoid()
        self.arithmetic = make_arithmetic()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.arithmetic.mul(x, self.gate(x))
