# SPDX-License-Identifier: Apache-2.0
"""SlowFast (arXiv 1812.03982) with weights of Kinetics-400, Something-Something V2, Charades and AVA.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of :func:`pytorchvideo.models.create_slowfast`. The
input is a list, [slow (B, 3, T / alpha, H, W), fast (B, 3, T, H, W)].
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
from pytorchvideo.models.slowfast import create_slowfast

root_dir = MODEL_ZOO_ROOT_DIR
checkpoint_paths = checkpoint_addresses(
    "slowfast_r50",
    "slowfast_r50_4x16",
    "slowfast_r50_charades",
    "slowfast_r50_detection",
    "slowfast_r50_ssv2",
    "slowfast_r101",
    "slowfast_16x8_r101_50_50",
)
# Entry points of users: a checkpoint of their own, `_slowfast(checkpoint_path=..., default_config=...)`.
_slowfast = partial(hub_model_builder, create_slowfast)


def slowfast_r50(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """SlowFast R50 8x8, alpha 4, 32 fast frames: top-1 76.94 on Kinetics-400."""
    return create_model("slowfast_r50", pretrained=pretrained, progress=progress, **kwargs)


def slowfast_r50_4x16(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """SlowFast R50 4x16, alpha 8, 32 fast frames: top-1 75.34 on Kinetics-400."""
    return create_model("slowfast_r50_4x16", pretrained=pretrained, progress=progress, **kwargs)


def slowfast_r101(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """SlowFast R101 8x8, alpha 4, 32 fast frames: top-1 77.90 on Kinetics-400."""
    return create_model("slowfast_r101", pretrained=pretrained, progress=progress, **kwargs)


def slowfast_16x8_r101_50_50(
    pretrained: bool = False, progress: bool = True, **kwargs: Any
) -> nn.Module:
    """SlowFast R101 16x8, stage 3 as in R50, 64 fast frames: top-1 78.70 on Kinetics-400."""
    return create_model(
        "slowfast_16x8_r101_50_50", pretrained=pretrained, progress=progress, **kwargs
    )


def slowfast_r50_ssv2(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """SlowFast R50 8x8, 174 classes: top-1 61.68 on Something-Something V2."""
    return create_model("slowfast_r50_ssv2", pretrained=pretrained, progress=progress, **kwargs)


def slowfast_r50_charades(
    pretrained: bool = False, progress: bool = True, **kwargs: Any
) -> nn.Module:
    """SlowFast R50 8x8, logits of 157 classes that exclude nothing: mAP 37.24 on Charades."""
    return create_model("slowfast_r50_charades", pretrained=pretrained, progress=progress, **kwargs)


def slowfast_r50_detection(
    pretrained: bool = False, progress: bool = True, **kwargs: Any
) -> nn.Module:
    """SlowFast R50 8x8, alpha 4, 32 fast frames, probabilities of 80 actions for each box: mAP 24.67 on AVA v2.2.

    Its input are a list of clips and boxes; see
    :func:`pytorchvideo.models.slowfast.create_slowfast_with_roi_head`.
    """
    return create_model(
        "slowfast_r50_detection", pretrained=pretrained, progress=progress, **kwargs
    )
