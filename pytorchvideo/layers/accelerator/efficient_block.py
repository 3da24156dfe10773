# SPDX-License-Identifier: Apache-2.0
"""Efficient blocks: modules with an original form, for training, and a deployable one that computes the same.

A block is built in its original form. :meth:`EfficientBlockBase.convert` turns it, in place, into the deployable one,
and :func:`pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion.convert_to_deployable_form`
does so to all blocks of a copy of a model.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected


class EfficientBlockBase(nn.Module):
    """A module with two forms; a subclass writes :meth:`EfficientBlockBase.convert` and ``forward``.

    ``convert_flag`` says whether the block is in its deployable form; :meth:`convert` sets it.
    """

    convert_flag = False

    def convert(self, *args: Any, **kwargs: Any) -> None:
        """Puts the block into its deployable form, in place.

        Args:
            args: the first is the shape of the input, the batch included.
            kwargs: the conversion of a model gives ``convert_for_quantize`` and
                ``native_conv3d_op_qnnpack``, which blocks of no use for them ignore.
        """
        raise NotImplementedError(
            f"Expected {type(self).__name__} to have a method `convert`, but it has none. Write one."
        )

    def _begin_convert(self) -> None:
        """Raises a RuntimeError if the block is in its deployable form already."""
        if self.convert_flag:
            raise RuntimeError(
                f"Expected {type(self).__name__} to be in its original form, but got one that was converted. "
                "Convert a copy of the block in its original form."
            )


class NoOpConvertBlock(EfficientBlockBase):
    """A block whose two forms are one: it calls ``model``, and its state-dict keys begin ``model.``.

    >>> block = NoOpConvertBlock(nn.ReLU())
    >>> block.convert()
    >>> block(torch.tensor([-1.0, 1.0]))
    tensor([0., 1.])
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def convert(self, *args: Any, **kwargs: Any) -> None:
        """Sets ``convert_flag``; however often it is called, the block computes the same."""
        self.convert_flag = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)


def check_blob_size(size: Sequence[int], ndim: int, channels: int | None = None) -> None:
    """Raises a ValueError unless ``size`` is a shape of ``ndim`` numbers, with this number of channels if given."""
    size = tuple(size)
    if len(size) == ndim and channels in (None, size[1]):
        return
    wanted = f"the shape ({', '.join('BCTHW' if ndim == 5 else 'BCHW')}) of the input"
    if channels is not None:
        wanted += f", with C = {channels}"
    raise ValueError(expected("input_blob_size", wanted, size))
