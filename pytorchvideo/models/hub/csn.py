# SPDX-License-Identifier: Apache-2.0
"""Channel-separated networks (arXiv 1904.02811) with Kinetics-400 weights.

All take ``pretrained`` (load the published weights), ``progress`` (show a bar while downloading) and the
arguments of :func:`pytorchvideo.models.create_model` and of :func:`pytorchvideo.models.create_csn`.
"""

from typing import Any

from torch import nn

from pytorchvideo.models._registry import create_model
from pytorchvideo.models.hub.utils import MODEL_ZOO_ROOT_DIR, checkpoint_addresses

root_dir = MODEL_ZOO_ROOT_DIR
checkpoint_paths = checkpoint_addresses("csn_r101")


def csn_r101(pretrained: bool = False, progress: bool = True, **kwargs: Any) -> nn.Module:
    """CSN R101 32x2: top-1 77.00 on Kinetics-400."""
    return create_model("csn_r101", pretrained=pretrained, progress=progress, **kwargs)
