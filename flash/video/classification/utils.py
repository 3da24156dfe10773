# SPDX-License-Identifier: Apache-2.0
"""Old import path; the home is :mod:`flash.video._datasets`."""

from flash.video._datasets import LabeledVideoTensorDataset

__all__ = ["LabeledVideoTensorDataset"]
