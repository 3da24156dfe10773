# SPDX-License-Identifier: Apache-2.0
"""Multiscale vision transformers with Kinetics-400 and ImageNet weights.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of
:func:`pytorchvideo.models.create_multiscale_vision_transformers`.
"""

from typing import Any

from torch import nn

from pytorchvideo.models._registry import create_model, model_entry
from pytorchvideo.models.hub.utils import checkpoint_addresses

checkpoint_paths = checkpoint_addresses(
    "mvit_base_16x4",
    "mvit_base_32x3",
    "mvit_base_16",
)
# Arguments of `create_multiscale_vision_transformers` for each of them.
mvit_video_base_config = dict(model_entry("mvit_base_16x4").config)
mvit_video_base_32x3_config = dict(model_entry("mvit_base_32x3").config)
mvit_image_base_16_config = dict(model_entry("mvit_base_16").config)


def mvit_base_16x4(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """MViT-B 16x4 (arXiv 2104.11227), 224x224 pixels: top-1 78.85 on Kinetics-400."""
    return create_model("mvit_base_16x4", pretrained=pretrained, progress=progress, **kwargs)


def mvit_base_32x3(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """MViT-B 32x3 (arXiv 2104.11227), 224x224 pixels: top-1 80.30 on Kinetics-400."""
    return create_model("mvit_base_32x3", pretrained=pretrained, progress=progress, **kwargs)


def mvit_base_16(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """MViT-B-16 (arXiv 2104.11227) for images (B, 3, 224, 224): top-1 83 on ImageNet."""
    return create_model("mvit_base_16", pretrained=pretrained, progress=progress, **kwargs)
