# SPDX-License-Identifier: Apache-2.0
"""R(2+1)D (arXiv 1711.11248) with Kinetics-400 weights.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of :func:`pytorchvideo.models.create_r2plus1d`.
"""

from typing import Any

from torch import nn

from pytorchvideo.models._registry import create_model
from pytorchvideo.models.hub.utils import MODEL_ZOO_ROOT_DIR, checkpoint_addresses

root_dir = MODEL_ZOO_ROOT_DIR
checkpoint_paths = checkpoint_addresses("r2plus1d_r50")


def r2plus1d_r50(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """R(2+1)D R50 16x4: top-1 76.01 on Kinetics-400.

    It returns probabilities; with ``head_activation=None`` the logits that a cross-entropy takes.
    """
    return create_model("r2plus1d_r50", pretrained=pretrained, progress=progress, **kwargs)
