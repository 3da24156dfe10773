# SPDX-License-Identifier: Apache-2.0
"""Blocks that many architectures share."""

from pytorchvideo.layers.attention import Mlp, MultiScaleAttention, MultiScaleBlock
from pytorchvideo.layers.attention_torchscript import ScriptableMultiScaleBlock
from pytorchvideo.layers.batch_norm import (
    NaiveSyncBatchNorm1d,
    NaiveSyncBatchNorm2d,
    NaiveSyncBatchNorm3d,
)
from pytorchvideo.layers.convolutions import Conv2plus1d, create_conv_2plus1d
from pytorchvideo.layers.drop_path import DropPath
from pytorchvideo.layers.fusion import (
    ConcatFusion,
    ReduceFusion,
    TemporalConcatFusion,
    make_fusion_layer,
)
from pytorchvideo.layers.mlp import make_multilayer_perceptron
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
    "ConcatFusion",
    "Conv2plus1d",
    "DropPath",
    "Mlp",
    "MultiScaleAttention",
    "MultiScaleBlock",
    "NaiveSyncBatchNorm1d",
    "NaiveSyncBatchNorm2d",
    "NaiveSyncBatchNorm3d",
    "PositionalEncoding",
    "ReduceFusion",
    "ScriptableMultiScaleBlock",
    "ScriptableSpatioTemporalClsPositionalEncoding",
    "SpatioTemporalClsPositionalEncoding",
    "SqueezeExcitation",
    "Swish",
    "TemporalConcatFusion",
    "create_conv_2plus1d",
    "make_fusion_layer",
    "make_multilayer_perceptron",
]
