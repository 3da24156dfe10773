# SPDX-License-Identifier: Apache-2.0
"""Squeeze-and-excitation (arXiv 1709.01507): channels are weighted by what the whole clip looks like."""

import torch
from torch import nn


class SqueezeExcitation(nn.Module):
    """Weights the channels of (B, C, T, H, W) by a gate in (0, 1) computed from their means.

    Args:
        num_channels: C.
        num_channels_reduced: channels of the hidden layer.

    The gate is ``block``: 1x1x1 convolution, ReLU, 1x1x1 convolution, sigmoid; its state-dict keys are
    ``block.0`` and ``block.2``.
    """

    def __init__(self, num_channels: int, num_channels_reduced: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(num_channels, num_channels_reduced, kernel_size=1),
            nn.ReLU(),
            nn.Conv3d(num_channels_reduced, num_channels, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.block(x.mean(dim=(2, 3, 4), keepdim=True))
