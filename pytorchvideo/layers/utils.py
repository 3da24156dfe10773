# SPDX-License-Identifier: Apache-2.0
"""Rounding of widths and depths of scaled networks, and a helper for attributes."""

import math
from collections.abc import Mapping
from typing import Any


def set_attributes(self: object, params: Mapping[str, Any] | None = None) -> None:
    """Sets every entry of ``params`` but ``self`` as an attribute, for ``set_attributes(self, locals())``.

    Kept for code that imports it; the layers here name their attributes one by one.

    >>> class Point:
    ...     def __init__(self, x, y=2):
    ...         set_attributes(self, locals())
    >>> vars(Point(1))
    {'x': 1, 'y': 2}
    """
    for name, value in (params or {}).items():
        if name != "self":
            setattr(self, name, value)


def round_width(
    width: float, multiplier: float, min_width: int = 8, divisor: int = 8, ceil: bool = False
) -> int:
    """Scales a number of channels and rounds it to a multiple of ``divisor``.

    Args:
        width: channels before scaling.
        multiplier: the scale; 0 leaves the width as it is.
        min_width: the smallest result; 0 stands for ``divisor``.
        divisor: the result is a multiple of it.
        ceil: round up instead of to the nearest multiple.

    Rounding to the nearest never takes away more than a tenth of the channels.

    >>> [round_width(width, 0.0625) for width in (54, 108, 216, 432)]
    [8, 8, 16, 32]
    """
    if not multiplier:
        return int(width)
    scaled = width * multiplier
    min_width = min_width or divisor
    if ceil:
        return max(min_width, math.ceil(scaled / divisor) * divisor)
    rounded = max(min_width, int(scaled + divisor / 2) // divisor * divisor)
    return int(rounded + divisor if rounded < 0.9 * scaled else rounded)


def round_repeats(repeats: int, multiplier: float) -> int:
    """Scales the depth of a stage, rounding up; a multiplier of 0 leaves it as it is.

    >>> [round_repeats(depth, 2.2) for depth in (1, 2, 5, 3)]
    [3, 5, 11, 7]
    """
    return math.ceil(multiplier * repeats) if multiplier else repeats
