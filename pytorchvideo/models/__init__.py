# SPDX-License-Identifier: Apache-2.0
"""Architectures, the registry of named models, and published weights."""

from pytorchvideo.models._registry import (
    ModelEntry,
    create_model,
    get_weights,
    list_models,
    model_entry,
)
from pytorchvideo.models._weights.weights import Weights, load_checkpoint
from pytorchvideo.models.audio_visual_slowfast import create_audio_visual_slowfast
from pytorchvideo.models.byol import BYOL
from pytorchvideo.models.csn import create_csn
from pytorchvideo.models.head import (
    ResNetBasicHead,
    ResNetRoIHead,
    create_res_basic_head,
    create_res_roi_pooling_head,
)
from pytorchvideo.models.huggingface import HuggingFaceModel, create_hugging_face
from pytorchvideo.models.i3d import create_i3d_inception
from pytorchvideo.models.incremental import IncrementalModel
from pytorchvideo.models.masked_multistream import (
    LSTM,
    LearnMaskedDefault,
    MaskedMultiPathWay,
    MaskedSequential,
    MaskedTemporalPooling,
    TransposeMultiheadAttention,
    TransposeTransformerEncoder,
)
from pytorchvideo.models.memory_bank import MemoryBank
from pytorchvideo.models.net import DetectionBBoxNetwork, MultiPathWayWithFuse, Net
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.models.r2plus1d import create_r2plus1d
from pytorchvideo.models.resnet import (
    BottleneckBlock,
    SeparableBottleneckBlock,
    create_acoustic_bottleneck_block,
    create_acoustic_resnet,
    create_bottleneck_block,
    create_resnet,
    create_resnet_with_roi_head,
)
from pytorchvideo.models.simclr import SimCLR
from pytorchvideo.models.slowfast import create_slowfast, create_slowfast_with_roi_head
from pytorchvideo.models.stem import (
    ResNetBasicStem,
    create_acoustic_res_basic_stem,
    create_conv_patch_embed,
    create_res_basic_stem,
)
from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers
from pytorchvideo.models.weight_init import init_net_weights
from pytorchvideo.models.x3d import create_x3d
from pytorchvideo.models.zero_shot import ZeroShotModel, create_zero_shot
from pytorchvideo.transforms.clip_recipe import ClipRecipe

__all__ = [
    "BYOL",
    "LSTM",
    "BottleneckBlock",
    "ClipRecipe",
    "DetectionBBoxNetwork",
    "HuggingFaceModel",
    "IncrementalModel",
    "LearnMaskedDefault",
    "MaskedMultiPathWay",
    "MaskedSequential",
    "MaskedTemporalPooling",
    "MemoryBank",
    "ModelEntry",
    "MultiPathWayWithFuse",
    "Net",
    "PretrainedModel",
    "ResNetBasicHead",
    "ResNetBasicStem",
    "ResNetRoIHead",
    "SeparableBottleneckBlock",
    "SimCLR",
    "TransposeMultiheadAttention",
    "TransposeTransformerEncoder",
    "Weights",
    "ZeroShotModel",
    "create_acoustic_bottleneck_block",
    "create_acoustic_res_basic_stem",
    "create_acoustic_resnet",
    "create_audio_visual_slowfast",
    "create_bottleneck_block",
    "create_conv_patch_embed",
    "create_csn",
    "create_hugging_face",
    "create_i3d_inception",
    "create_model",
    "create_multiscale_vision_transformers",
    "create_r2plus1d",
    "create_res_basic_head",
    "create_res_basic_stem",
    "create_res_roi_pooling_head",
    "create_resnet",
    "create_resnet_with_roi_head",
    "create_slowfast",
    "create_slowfast_with_roi_head",
    "create_x3d",
    "create_zero_shot",
    "get_weights",
    "init_net_weights",
    "list_models",
    "load_checkpoint",
    "model_entry",
]
