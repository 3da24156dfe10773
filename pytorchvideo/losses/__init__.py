# SPDX-License-Identifier: Apache-2.0
"""Losses that :mod:`torch.nn` does not have."""

from pytorchvideo.losses.soft_target_cross_entropy import SoftTargetCrossEntropyLoss

__all__ = ["SoftTargetCrossEntropyLoss"]
