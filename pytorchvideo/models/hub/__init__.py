# SPDX-License-Identifier: Apache-2.0
"""Entry points: every model with published weights, by name."""

from pytorchvideo.models.hub.i3d import i3d_inception
from pytorchvideo.models.hub.resnet import c2d_r50, i3d_r50, slow_r50
from pytorchvideo.models.hub.vision_transformers import (
    mvit_base_16,
    mvit_base_16x4,
    mvit_base_32x3,
)
from pytorchvideo.models.hub.x3d import x3d_l, x3d_m, x3d_s, x3d_xs

__all__ = [
    "c2d_r50",
    "i3d_inception",
    "i3d_r50",
    "mvit_base_16",
    "mvit_base_16x4",
    "mvit_base_32x3",
    "slow_r50",
    "x3d_l",
    "x3d_m",
    "x3d_s",
    "x3d_xs",
]
