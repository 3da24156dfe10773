# SPDX-License-Identifier: Apache-2.0
"""Activations by name, as efficient blocks that int8 can run."""

from collections.abc import Callable
from typing import Any

from torch import nn

from pytorchvideo._checks import check_choice
from pytorchvideo.layers import swish
from pytorchvideo.layers._cpu_fast_path import Activation
from pytorchvideo.layers.accelerator._arithmetic import QuantizableSwish
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase

__all__ = ["HardSwish", "Identity", "ReLU", "Swish", "make_activation", "supported_act_functions"]


class _Activation(Activation, EfficientBlockBase):
    """An activation of tensors of any shape; the module that computes it is ``act``."""

    def convert(self, *args: Any, **kwarg: Any) -> None:
        """Sets ``convert_flag``: inputs of all shapes have the same two forms."""
        self.convert_flag = True


class Swish(_Activation):
    """``x * sigmoid(x)``."""

    def __init__(self) -> None:
        super().__init__(swish.Swish())

    def convert(self, *args: Any, **kwarg: Any) -> None:
        """Puts a sigmoid and a product, which int8 has, in Swish's place."""
        self.act = QuantizableSwish()
        self.convert_flag = True


class HardSwish(_Activation):
    """``x * clamp(x + 3, 0, 6) / 6`` (arXiv 1905.02244)."""

    def __init__(self) -> None:
        super().__init__(nn.Hardswish())


class ReLU(_Activation):
    """``max(x, 0)``."""

    def __init__(self) -> None:
        super().__init__(nn.ReLU())


class Identity(_Activation):
    """``x``."""

    def __init__(self) -> None:
        super().__init__(nn.Identity())


# Activations by name, to which a user may add.
supported_act_functions: dict[str, Callable[[], EfficientBlockBase]] = {
    "relu": ReLU,
    "swish": Swish,
    "hswish": HardSwish,
    "identity": Identity,
}


def make_activation(name: str) -> EfficientBlockBase:
    """Returns an activation.

    Raises:
        ValueError: the name is not in ``supported_act_functions``.

    >>> make_activation("hswish")
    HardSwish(
      (act): Hardswish()
    )
    """
    check_choice("activation", name, supported_act_functions)
    return supported_act_functions[name]()
