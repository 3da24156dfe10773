# SPDX-License-Identifier: Apache-2.0
"""Squeeze-and-excitation with the options of mobile networks."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from pytorchvideo.layers import squeeze_excitation
from pytorchvideo.layers._factories import ModuleFactory
from pytorchvideo.layers.accelerator._arithmetic import make_arithmetic
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase, check_blob_size


class SqueezeExcitation(EfficientBlockBase):
    """:class:`pytorchvideo.layers.SqueezeExcitation` of clips or images; state-dict keys ``se.block.0`` and ``.2``.

    In the deployable form the layers of the gate are linear ones.

    Args:
        num_channels: channels of the input.
        num_channels_reduced: channels of the hidden layer; None is ``num_channels / reduction_ratio``.
        reduction_ratio: see there.
        is_3d: (B, C, T, H, W) instead of (B, C, H, W).
        activation: class of the activation between the layers; None is ReLU.
    """

    def __init__(
        self,
        num_channels: int,
        num_channels_reduced: int | None = None,
        reduction_ratio: float = 2.0,
        is_3d: bool = False,
        activation: ModuleFactory | None = None,
    ) -> None:
        super().__init__()
        self.is_3d = is_3d
        self.se: nn.Module = squeeze_excitation.SqueezeExcitation(
            num_channels,
            num_channels_reduced or int(num_channels // reduction_ratio),
            is_3d=is_3d,
            activation=activation or nn.ReLU,
        )

    def convert(self, input_blob_size: Sequence[int], **kwargs: Any) -> None:
        """Makes linear layers of the gate's convolutions, in place.

        Args:
            input_blob_size: shape of the input.
            kwargs: of no effect.

        Raises:
            RuntimeError: it was converted before.
            ValueError: the block takes no input of this shape.
        """
        self._begin_convert()
        block = cast(squeeze_excitation.SqueezeExcitation, self.se).block
        channels = cast(nn.Conv2d | nn.Conv3d, block[0]).in_channels
        check_blob_size(input_blob_size, 5 if self.is_3d else 4, channels)
        self.se = _LinearExcitation(block)
        self.convert_flag = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.se(x)


class _LinearExcitation(nn.Module):
    """The same computation on vectors (B, C)."""

    def __init__(self, block: nn.Sequential) -> None:
        super().__init__()
        self.block = nn.Sequential(*(_as_linear(layer) for layer in block))
        self.arithmetic = make_arithmetic()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # (B, C, ...) -> (B, C)
        gate = self.block(x.flatten(2).mean(dim=2))
        shape = [gate.shape[0], gate.shape[1]] + [1] * (x.ndim - 2)
        return self.arithmetic.mul(x, gate.reshape(shape))


def _as_linear(layer: nn.Module) -> nn.Module:
    if not isinstance(layer, nn.Conv2d | nn.Conv3d):
        return layer
    weight = layer.weight.detach().flatten(1)
    linear = nn.utils.skip_init(
        nn.Linear,
        layer.in_channels,
        layer.out_channels,
        bias=layer.bias is not None,
        device=weight.device,
        dtype=weight.dtype,
    )
    linear.weight = nn.Parameter(weight.clone())
    if layer.bias is not None:
        linear.bias = nn.Parameter(layer.bias.detach().clone())
    return linear.train(layer.training)
