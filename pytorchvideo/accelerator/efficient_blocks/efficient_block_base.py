# SPDX-License-Identifier: Apache-2.0
"""The base of efficient blocks, which is defined in :mod:`pytorchvideo.layers.accelerator.efficient_block`."""

from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase

__all__ = ["EfficientBlockBase"]
