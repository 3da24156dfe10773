# SPDX-License-Identifier: Apache-2.0
"""A block of one form, which is defined in :mod:`pytorchvideo.layers.accelerator.efficient_block`."""

from pytorchvideo.layers.accelerator.efficient_block import NoOpConvertBlock

__all__ = ["NoOpConvertBlock"]
