# SPDX-License-Identifier: Apache-2.0
"""The original I3D (arXiv 1705.07750) with Kinetics-400 weights.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of :func:`pytorchvideo.models.create_i3d_inception`.
"""

from typing import Any

from torch import nn

from pytorchvideo.models._registry import create_model


def i3d_inception(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """I3D on Inception-v1, 64 frames of 224x224 pixels: top-1 71.1 on Kinetics-400."""
    return create_model("i3d_inception", pretrained=pretrained, progress=progress, **kwargs)
