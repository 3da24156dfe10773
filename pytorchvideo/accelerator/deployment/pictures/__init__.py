# SPDX-License-Identifier: Apache-2.0
"""Networks of clips as networks of images, for runtimes without 3-D operators."""

from pytorchvideo.accelerator.deployment.pictures.network import (
    export_pictures,
    without_3d_operators,
)

__all__ = ["export_pictures", "without_3d_operators"]
