# SPDX-License-Identifier: Apache-2.0
"""Former names of :mod:`pytorchvideo.layers.attention`, with their former signatures."""

from typing import Any

from torch import nn

from pytorchvideo.layers import attention
from pytorchvideo.layers._factories import ModuleFactory
from pytorchvideo.layers.attention import Mlp, MultiScaleBlock

__all__ = ["Mlp", "MultiScaleAttention", "ScriptableMultiScaleBlock"]


class MultiScaleAttention(attention.MultiScaleAttention):
    """:class:`pytorchvideo.layers.attention.MultiScaleAttention` for results of the same channels."""

    def __init__(self, dim: int, num_heads: int = 8, *args: Any, **kwargs: Any) -> None:
        super().__init__(dim, dim, num_heads, *args, **kwargs)


class ScriptableMultiScaleBlock(MultiScaleBlock):
    """:class:`pytorchvideo.layers.attention.MultiScaleBlock`, whose MLP changes the channels.

    Its arguments are those of that class without ``dim_mul_in_att``, in that order.
    """

    def __init__(
        self,
        dim: int,
        dim_out: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        qkv_bias: bool = False,
        dropout_rate: float = 0.0,
        droppath_rate: float = 0.0,
        act_layer: ModuleFactory = nn.GELU,
        norm_layer: ModuleFactory = nn.LayerNorm,
        attn_norm_layer: ModuleFactory = nn.LayerNorm,
        *pools: Any,
        **options: Any,
    ) -> None:
        dim_mul_in_att = False
        super().__init__(
            dim,
            dim_out,
            num_heads,
            mlp_ratio,
            qkv_bias,
            dropout_rate,
            droppath_rate,
            act_layer,
            norm_layer,
            attn_norm_layer,
            dim_mul_in_att,
            *pools,
            **options,
        )
