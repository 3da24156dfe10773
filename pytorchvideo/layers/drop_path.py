# SPDX-License-Identifier: Apache-2.0
"""Stochastic depth, also known as drop path (arXiv 1603.09382)."""

import torch
from torch import nn

from pytorchvideo._checks import expected


def drop_path(x: torch.Tensor, drop_prob: float = 0.0, training: bool = False) -> torch.Tensor:
    """Zeroes whole samples of ``x`` (B, ...) and scales the others by ``1 / (1 - drop_prob)``.

    Args:
        x: output of a residual branch, the batch first.
        drop_prob: the share of samples to drop, in [0, 1].
        training: nothing is dropped outside training.
    """
    if drop_prob == 0.0 or not training:
        return x
    keep = 1.0 - drop_prob
    # (B, 1, ..., 1): one draw a sample
    mask = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(keep)
    return x * mask if keep == 0.0 else x * mask / keep


class DropPath(nn.Module):
    """:func:`drop_path` as a module, active in training mode only.

    Args:
        drop_prob: the share of samples to drop, in [0, 1].

    Raises:
        ValueError: ``drop_prob`` is outside [0, 1].
    """

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        if not 0.0 <= drop_prob <= 1.0:
            raise ValueError(expected("drop_prob", "in [0, 1]", drop_prob))
        self.drop_prob = drop_prob

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return drop_path(x, self.drop_prob, self.training)

    def extra_repr(self) -> str:
        return f"drop_prob={self.drop_prob}"
