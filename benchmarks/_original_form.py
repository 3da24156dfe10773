# SPDX-License-Identifier: Apache-2.0
"""Our models computed in the form of their first release, as a reference for speed and memory.

Every layer is called by itself, Swish is an autograd function in Python that keeps its input, and attention
makes the matrix of all pairs of tokens. Values are the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from pytorchvideo.layers import _cpu_fast_path as _chain
from pytorchvideo.layers.swish import Swish


class _SwishFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        gate = torch.sigmoid(x)
        return grad * gate * (1 + x * (1 - gate))


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    return weights.softmax(dim=-1) @ v


@contextmanager
def original_form() -> Iterator[None]:
    """Models that are called inside compute in the original form."""
    with (
        patch.object(_chain, "_is_eager_on_cpu", lambda x: False),
        patch.object(Swish, "forward", lambda self, x: _SwishFunction.apply(x)),
        patch.object(nn.functional, "scaled_dot_product_attention", _attention),
    ):
        yield
