# SPDX-License-Identifier: Apache-2.0
"""Squeeze-and-excitation (arXiv 1709.01507): channels are weighted by what the whole clip looks like."""

import torch
from torch import nn

from pytorchvideo.layers._build import ModuleFactory


class SqueezeExcitation(nn.Module):
    """Weights the channels of (B, C, T, H, W) by a gate in (0, 1) computed from their means.

    Args:
        num_channels: C.
        num_channels_reduced: channels of the hidden layer.
        is_3d: clips (B, C, T, H, W); otherwise pictures (B, C, H, W).
        activation: class of the activation between the layers.

    The gate is ``block``: 1x1x1 convolution, activation, 1x1x1 convolution, sigmoid; its state-dict keys are
    ``block.0`` and ``block.2``.
    """

    def __init__(
        self,
        num_channels: int,
        num_channels_reduced: int,
        *,
        is_3d: bool = True,
        activation: ModuleFactory = nn.ReLU,
    ) -> None:
        super().__init__()
        conv: ModuleFactory = nn.Conv3d if is_3d else nn.Conv2d
        self.block = nn.Sequential(
            conv(num_channels, num_channels_reduced, kernel_size=1),
            activation(),
            conv(num_channels_reduced, num_channels, kernel_size=1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.block(x.mean(dim=tuple(range(2, x.ndim)), keepdim=True))
