# SPDX-License-Identifier: Apache-2.0
"""Networks of clips as networks of images, for runtimes without 3-D operators."""

from pytorchvideo.accelerator.deployment.images.network import (
    export_images,
    without_3d_operators,
)

__all__ = ["export_images", "without_3d_operators"]
