# SPDX-License-Identifier: Apache-2.0
"""EfficientX3D with Kinetics-400 weights, in its original form, for training.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of
:class:`pytorchvideo.models.accelerator.mobile_cpu.efficient_x3d.EfficientX3d`.
"""

from typing import Any

from torch import nn

from pytorchvideo.models._registry import create_model


def efficient_x3d_xs(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """EfficientX3D-XS, 4x12 frames of 160x160 pixels: top-1 68.5 on Kinetics-400."""
    return create_model("efficient_x3d_xs", pretrained=pretrained, progress=progress, **kwargs)


def efficient_x3d_s(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """EfficientX3D-S, 13x6 frames of 160x160 pixels: top-1 73.0 on Kinetics-400."""
    return create_model("efficient_x3d_s", pretrained=pretrained, progress=progress, **kwargs)
