# SPDX-License-Identifier: Apache-2.0
"""Former names of :mod:`pytorchvideo.layers.attention`, with their former signatures."""

from typing import Any

from pytorchvideo.layers import attention
from pytorchvideo.layers.attention import Mlp, MultiScaleBlock

__all__ = ["Mlp", "MultiScaleAttention", "ScriptableMultiScaleBlock"]


class MultiScaleAttention(attention.MultiScaleAttention):
    """:class:`pytorchvideo.layers.attention.MultiScaleAttention` for results of the same channels."""

    def __init__(self, dim: int, num_heads: int = 8, *args: Any, **kwargs: Any) -> None:
        super().__init__(dim, dim, num_heads, *args, **kwargs)


class ScriptableMultiScaleBlock(MultiScaleBlock):
    """:class:`pytorchvideo.layers.attention.MultiScaleBlock`, whose MLP changes the channels.

    Its arguments are those of that class without ``dim_mul_in_att``; the first ten may be given by position.
    """
