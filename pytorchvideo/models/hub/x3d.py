# SPDX-License-Identifier: Apache-2.0
"""X3D (arXiv 2004.04730) with Kinetics-400 weights.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of :func:`pytorchvideo.models.create_x3d`.
"""

from typing import Any

from torch import nn

from pytorchvideo.models._registry import create_model
from pytorchvideo.models.hub.utils import MODEL_ZOO_ROOT_DIR, checkpoint_addresses

root_dir = MODEL_ZOO_ROOT_DIR
checkpoint_paths = checkpoint_addresses(
    "x3d_xs",
    "x3d_s",
    "x3d_m",
    "x3d_l",
)


def x3d_xs(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """X3D-XS, 4x12 frames of 182x182 pixels: top-1 69.12 on Kinetics-400."""
    return create_model("x3d_xs", pretrained=pretrained, progress=progress, **kwargs)


def x3d_s(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """X3D-S, 13x6 frames of 182x182 pixels: top-1 73.33 on Kinetics-400."""
    return create_model("x3d_s", pretrained=pretrained, progress=progress, **kwargs)


def x3d_m(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """X3D-M, 16x5 frames of 256x256 pixels: top-1 75.94 on Kinetics-400."""
    return create_model("x3d_m", pretrained=pretrained, progress=progress, **kwargs)


def x3d_l(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """X3D-L, 16x5 frames of 356x356 pixels: top-1 77.44 on Kinetics-400."""
    return create_model("x3d_l", pretrained=pretrained, progress=progress, **kwargs)
