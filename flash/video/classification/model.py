# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.video.model`."""

from flash.video.model import VideoClassifier

__all__ = ["VideoClassifier"]
