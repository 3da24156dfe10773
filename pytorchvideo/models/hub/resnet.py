# SPDX-License-Identifier: Apache-2.0
"""3-D ResNets with weights of Kinetics-400, Something-Something V2, Charades and AVA.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of :func:`pytorchvideo.models.create_resnet`.
"""

from functools import partial
from typing import Any

from torch import nn

from pytorchvideo.models._registry import create_model
from pytorchvideo.models.hub.utils import (
    MODEL_ZOO_ROOT_DIR,
    checkpoint_addresses,
    hub_model_builder,
)
from pytorchvideo.models.resnet import create_resnet

root_dir = MODEL_ZOO_ROOT_DIR
checkpoint_paths = checkpoint_addresses(
    "slow_r50",
    "slow_r50_4x16",
    "slow_r50_charades",
    "slow_r50_detection",
    "slow_r50_ssv2",
    "c2d_r50",
    "i3d_r50",
)
# Entry points of users: a checkpoint of their own, `_resnet(checkpoint_path=..., default_config=...)`.
_resnet = partial(hub_model_builder, create_resnet)


def slow_r50(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """Slow R50 8x8 (arXiv 1812.03982): top-1 74.58 on Kinetics-400."""
    return create_model("slow_r50", pretrained=pretrained, progress=progress, **kwargs)


def slow_r50_4x16(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """Slow R50 4x16 (arXiv 1812.03982): top-1 72.40 on Kinetics-400."""
    return create_model("slow_r50_4x16", pretrained=pretrained, progress=progress, **kwargs)


def slow_r50_ssv2(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """Slow R50 8x8, 174 classes: top-1 60.04 on Something-Something V2."""
    return create_model("slow_r50_ssv2", pretrained=pretrained, progress=progress, **kwargs)


def slow_r50_charades(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """Slow R50 8x8, logits of 157 classes that exclude nothing: mAP 34.72 on Charades."""
    return create_model("slow_r50_charades", pretrained=pretrained, progress=progress, **kwargs)


def slow_r50_detection(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """Slow R50 4x16 (arXiv 1812.03982), probabilities of 80 actions for each box: mAP 19.5 on AVA v2.2.

    Its input are clips and boxes; see :func:`pytorchvideo.models.resnet.create_resnet_with_roi_head`.
    """
    return create_model("slow_r50_detection", pretrained=pretrained, progress=progress, **kwargs)


def c2d_r50(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """C2D R50 8x8 (arXiv 1711.07971): top-1 71.46 on Kinetics-400."""
    return create_model("c2d_r50", pretrained=pretrained, progress=progress, **kwargs)


def i3d_r50(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """I3D R50 8x8 (arXiv 1711.07971): top-1 73.27 on Kinetics-400."""
    return create_model("i3d_r50", pretrained=pretrained, progress=progress, **kwargs)
