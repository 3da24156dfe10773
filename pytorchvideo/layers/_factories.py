# SPDX-License-Identifier: Apache-2.0
"""Arguments of builders (sizes, module classes) and the modules made of them."""

import operator
from collections.abc import Callable, Sequence

from torch import nn

from pytorchvideo._checks import expected

# One number for each of (T, H, W).
Size3 = Sequence[int]

# A module class, or a function that builds a module: `nn.BatchNorm3d`, `create_conv_2plus1d`.
ModuleFactory = Callable[..., nn.Module]


def size3(size: Size3) -> tuple[int, int, int]:
    """Returns a size as a tuple of three.

    Raises:
        ValueError: it has not three numbers.
    """
    if len(size) != 3:
        raise ValueError(expected("size", "three numbers (T, H, W)", tuple(size)))
    return size[0], size[1], size[2]


def whole_numbers(name: str, values: Sequence[int]) -> tuple[int, ...]:
    """Returns whole numbers >= 1 of any type, NumPy's for instance, as a tuple of ``int``.

    Raises:
        ValueError: there is none, or one of them is something else.

    >>> whole_numbers("feature_dims", [8, 0])
    Traceback (most recent call last):
    ValueError: Expected `feature_dims` to be whole numbers >= 1, but got [8, 0].
    """
    try:
        numbers = tuple(operator.index(value) for value in values)
    except TypeError as error:
        raise ValueError(expected(name, "whole numbers >= 1", values)) from error
    if not numbers or min(numbers) < 1:
        raise ValueError(expected(name, "whole numbers >= 1", values))
    return numbers


def same_padding(kernel: Size3, dilation: Size3 = (1, 1, 1)) -> tuple[int, ...]:
    """Returns the padding that keeps the size of an odd kernel at stride 1.

    >>> same_padding((1, 3, 3), (1, 2, 2))
    (0, 2, 2)
    """
    return tuple(size // 2 * step for size, step in zip(kernel, dilation, strict=True))


def build_norm(
    norm: ModuleFactory | None, channels: int, eps: float = 1e-5, momentum: float = 0.1
) -> nn.Module | None:
    """Builds a norm with these channels, eps and momentum; None for none."""
    return norm(num_features=channels, eps=eps, momentum=momentum) if norm else None


def build_activation(activation: ModuleFactory | None, dim: int = 1) -> nn.Module | None:
    """Builds an activation; a softmax runs over the channels, dimension ``dim``; None for none."""
    if activation is None:
        return None
    return activation(dim=dim) if activation in (nn.Softmax, nn.LogSoftmax) else activation()
