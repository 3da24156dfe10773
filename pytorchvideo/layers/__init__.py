# SPDX-License-Identifier: Apache-2.0
"""Blocks that many architectures share."""

from pytorchvideo.layers.attention import Mlp, MultiScaleAttention, MultiScaleBlock
from pytorchvideo.layers.attention_torchscript import ScriptableMultiScaleBlock
from pytorchvideo.layers.convolutions import Conv2plus1d, create_conv_2plus1d
from pytorchvideo.layers.drop_path import DropPath
from pytorchvideo.layers.positional_encoding import (
    PositionalEncoding,
    SpatioTemporalClsPositionalEncoding,
)
from pytorchvideo.layers.positional_encoding_torchscript import (
    ScriptableSpatioTemporalClsPositionalEncoding,
)
from pytorchvideo.layers.squeeze_excitation import SqueezeExcitation
from pytorchvideo.layers.swish import Swish

__all__ = [
    "Conv2plus1d",
    "DropPath",
    "Mlp",
    "MultiScaleAttention",
    "MultiScaleBlock",
    "PositionalEncoding",
    "ScriptableMultiScaleBlock",
    "ScriptableSpatioTemporalClsPositionalEncoding",
    "SpatioTemporalClsPositionalEncoding",
    "SqueezeExcitation",
    "Swish",
    "create_conv_2plus1d",
]
