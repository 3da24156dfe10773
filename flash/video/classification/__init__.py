# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.video`."""

from flash.video.data import VideoClassificationData
from flash.video.model import VideoClassifier

__all__ = ["VideoClassificationData", "VideoClassifier"]
