# SPDX-License-Identifier: Apache-2.0
"""Activations by name, as efficient blocks: their deployable form is of operators that int8 has."""

from collections.abc import Callable
from typing import Any

from torch import nn

from pytorchvideo._checks import check_choice
from pytorchvideo.layers import swish
from pytorchvideo.layers._chain import Wrapper
from pytorchvideo.layers.accelerator._arithmetic import QuantizableSwish
from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase

__all__ = ["HardSwish", "Identity", "ReLU", "Swish", "make_activation"]


class _Activation(Wrapper, EfficientBlockBase):
    """An activation of tensors of any shape."""

    def convert(self, *args: Any, **kwarg: Any) -> None:
        """Leaves the activation as it is: inputs of all shapes have the same two forms."""


class Swish(_Activation):
    """``x * sigmoid(x)``."""

    def __init__(self) -> None:
        super().__init__(swish.Swish())

    def convert(self, *args: Any, convert_for_quantize: bool = False, **kwarg: Any) -> None:
        """With ``convert_for_quantize``, puts a sigmoid and a product, which int8 has, in Swish's place."""
        if convert_for_quantize:
            self.kernel = QuantizableSwish()


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


_ACTIVATIONS: dict[str, Callable[[], EfficientBlockBase]] = {
    "relu": ReLU,
    "swish": Swish,
    "hswish": HardSwish,
    "identity": Identity,
}


def make_activation(name: str) -> EfficientBlockBase:
    """Returns an activation.

    Raises:
        ValueError: the name is none of relu, swish, hswish, identity.

    >>> make_activation("hswish")
    HardSwish(
      (kernel): Hardswish()
    )
    """
    check_choice("activation", name, _ACTIVATIONS)
    return _ACTIVATIONS[name]()
