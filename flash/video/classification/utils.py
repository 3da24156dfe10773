# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.video.sources.datasets`."""

from flash.video.sources.datasets import LabeledVideoTensorDataset

__all__ = ["LabeledVideoTensorDataset"]
