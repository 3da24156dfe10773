# SPDX-License-Identifier: Apache-2.0
"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import ModuleFactory, whole_numbers


def make_multilayer_perceptron(
    fully_connected_dims: Sequence[int],
    norm: ModuleFactory | None = None,
    mid_activation: ModuleFactory | None = nn.ReLU,
    final_activation: ModuleFactory | None = nn.ReLU,
    dropout_rate: float = 0.0,
) -> tuple[nn.Sequential, int]:
    """Builds linear layers (..., D_0) -> (..., D_n), each followed by a norm and an activation.

    Args:
        fully_connected_dims: features D_0 to D_n, those of the input first, two or more.
        norm: called with the features of every layer; None for none. ``BatchNorm1d`` takes inputs (N, D_0) only.
        mid_activation: class of the activation of all layers but the last; None for none.
        final_activation: that of the last layer.
        dropout_rate: of one dropout at the very end, on the result. There is none between the layers, so that the
            keys of the state dict do not depend on it.

    Returns:
        The layers, and the features D_n of their output.

    Raises:
        ValueError: fewer than two numbers, or one that is not a whole number >= 1.

    >>> make_multilayer_perceptron((8, 4, 2), final_activation=None)
    (Sequential(
      (0): Linear(in_features=8, out_features=4, bias=True)
      (1): ReLU()
      (2): Linear(in_features=4, out_features=2, bias=True)
    ), 2)
    """
    dims = whole_numbers("fully_connected_dims", fully_connected_dims)
    if len(dims) < 2:
        raise ValueError(expected("fully_connected_dims", "two numbers or more", dims))
    layers: list[nn.Module] = []
    for layer, (dim_in, dim_out) in enumerate(pairwise(dims), start=1):
        layers.append(nn.Linear(dim_in, dim_out))
        if norm is not None:
            layers.append(norm(dim_out))
        activation = final_activation if layer == len(dims) - 1 else mid_activation
        if activation is not None:
            layers.append(activation())
    if dropout_rate > 0:
        layers.append(nn.Dropout(dropout_rate))
    return nn.Sequential(*layers), dims[-1]
