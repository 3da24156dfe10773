# SPDX-License-Identifier: Apache-2.0
"""Squeeze-and-excitation with the options of mobile networks."""

import torch
from torch import nn

from pytorchvideo.layers import squeeze_excitation
from pytorchvideo.layers._build import ModuleFactory


class SqueezeExcitation(nn.Module):
    """:class:`pytorchvideo.layers.SqueezeExcitation` of clips or pictures; state-dict keys ``se.block.0`` and ``.2``.

    Args:
        num_channels: channels of the input.
        num_channels_reduced: channels of the hidden layer; None is ``num_channels / reduction_ratio``.
        reduction_ratio: see there.
        is_3d: (B, C, T, H, W) instead of (B, C, H, W).
        activation: class of the activation between the layers; None is ReLU.
    """

    def __init__(
        self,
        num_channels: int,
        num_channels_reduced: int | None = None,
        reduction_ratio: float = 2.0,
        is_3d: bool = False,
        activation: ModuleFactory | None = None,
    ) -> None:
        super().__init__()
        self.se = squeeze_excitation.SqueezeExcitation(
            num_channels,
            num_channels_reduced or int(num_channels // reduction_ratio),
            is_3d=is_3d,
            activation=activation or nn.ReLU,
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.se(x)
