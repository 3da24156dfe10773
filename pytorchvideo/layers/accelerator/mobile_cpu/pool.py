# SPDX-License-Identifier: Apache-2.0
"""Average pools of mobile networks."""

from torch import nn


class AdaptiveAvgPool3dOutSize1(nn.AdaptiveAvgPool3d):
    """The mean over all positions, (B, C, T, H, W) -> (B, C, 1, 1, 1)."""

    def __init__(self) -> None:
        super().__init__(1)


class AdaptiveAvgPool2dOutSize1(nn.AdaptiveAvgPool2d):
    """The mean over all positions, (B, C, H, W) -> (B, C, 1, 1)."""

    def __init__(self) -> None:
        super().__init__(1)


class AdaptiveAvgPool3d(nn.AdaptiveAvgPool3d):
    """An average pool of clips by its output's size."""


class AdaptiveAvgPool2d(nn.AdaptiveAvgPool2d):
    """An average pool of pictures by its output's size."""
