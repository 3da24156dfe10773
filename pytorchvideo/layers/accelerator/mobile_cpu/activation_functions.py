# SPDX-License-Identifier: Apache-2.0
"""Activations by name."""

from torch import nn

from pytorchvideo._checks import check_choice
from pytorchvideo.layers._build import ModuleFactory
from pytorchvideo.layers.swish import Swish

__all__ = ["HardSwish", "Identity", "ReLU", "Swish", "make_activation"]

HardSwish = nn.Hardswish
Identity = nn.Identity
ReLU = nn.ReLU

_ACTIVATIONS: dict[str, ModuleFactory] = {
    "relu": ReLU,
    "swish": Swish,
    "hswish": HardSwish,
    "identity": Identity,
}


def make_activation(name: str) -> nn.Module:
    """Returns an activation.

    Raises:
        ValueError: the name is none of relu, swish, hswish, identity.

    >>> make_activation("hswish")
    Hardswish()
    """
    check_choice("activation", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]()
