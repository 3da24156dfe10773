# SPDX-License-Identifier: Apache-2.0
"""The models for ``torch.hub.load``, from a checkout: ``torch.hub.load(folder, "slow_r50", source="local")``."""

dependencies = ["torch", "torchvision", "safetensors"]

from pytorchvideo.models.hub import (  # noqa: E402
    c2d_r50,
    csn_r101,
    i3d_inception,
    i3d_r50,
    mvit_base_16,
    mvit_base_16x4,
    mvit_base_32x3,
    r2plus1d_r50,
    slow_r50,
    slow_r50_4x16,
    slow_r50_charades,
    slow_r50_ssv2,
    slowfast_16x8_r101_50_50,
    slowfast_r50,
    slowfast_r50_4x16,
    slowfast_r50_charades,
    slowfast_r50_ssv2,
    slowfast_r101,
    x3d_l,
    x3d_m,
    x3d_s,
    x3d_xs,
)

__all__ = [
    "c2d_r50",
    "csn_r101",
    "i3d_inception",
    "i3d_r50",
    "mvit_base_16",
    "mvit_base_16x4",
    "mvit_base_32x3",
    "r2plus1d_r50",
    "slow_r50",
    "slow_r50_4x16",
    "slow_r50_charades",
    "slow_r50_ssv2",
    "slowfast_16x8_r101_50_50",
    "slowfast_r50",
    "slowfast_r50_4x16",
    "slowfast_r50_charades",
    "slowfast_r50_ssv2",
    "slowfast_r101",
    "x3d_l",
    "x3d_m",
    "x3d_s",
    "x3d_xs",
]
