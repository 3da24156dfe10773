# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.video.data`."""

from flash.video.data import VideoClassificationData

__all__ = ["VideoClassificationData"]
