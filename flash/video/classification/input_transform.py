# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.video.input_transform`."""

from flash.video.input_transform import VideoClassificationInputTransform

__all__ = ["VideoClassificationInputTransform"]
