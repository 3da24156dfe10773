# SPDX-License-Identifier: Apache-2.0
"""Names, shapes and values of the models against stored numbers of another implementation.

``data/fingerprints.json`` holds, a line for each case, the number of parameters, the SHA-256 of the sorted lines
``key:shape`` of the state dict, and the first outputs. Weights and inputs are drawn as in :func:`fill` and
:func:`draw_clip`, from the state-dict keys alone, so that the numbers fix names, layers and wiring.
"""

import copy
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from pytorchvideo.layers import (
    create_audio_2d_squeeze_excitation_block,
    create_conv_2plus1d,
    create_nonlocal,
)
from pytorchvideo.models import (
    create_acoustic_resnet,
    create_audio_visual_slowfast,
    create_model,
    create_multiscale_vision_transformers,
    create_res_basic_head,
    create_resnet,
    create_resnet_with_roi_head,
)
from pytorchvideo.models.accelerator.mobile_cpu.efficient_x3d import EfficientX3d
from pytorchvideo.models.csn import create_csn
from pytorchvideo.models.head import create_vit_basic_head
from pytorchvideo.models.r2plus1d import create_r2plus1d
from pytorchvideo.models.slowfast import create_slowfast, create_slowfast_with_roi_head
from pytorchvideo.models.x3d import create_x3d

STORED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "data/fingerprints.json").read_text(encoding="utf-8")
)

Frames = int | tuple[int, ...] | None

# (frames, side); several frames for several pathways, none for a model of images.
HUB_INPUTS: dict[str, tuple[Frames, int]] = {
    "slow_r50": (8, 224),
    "c2d_r50": (8, 224),
    "i3d_r50": (8, 224),
    "csn_r101": (32, 224),
    "r2plus1d_r50": (16, 224),
    "slowfast_r50": ((8, 32), 224),
    "slowfast_r101": ((8, 32), 224),
    "slowfast_16x8_r101_50_50": ((16, 64), 224),
    "x3d_xs": (4, 160),
    "x3d_s": (13, 160),
    "x3d_m": (16, 224),
    "x3d_l": (16, 312),
    "efficient_x3d_xs": (4, 160),
    "efficient_x3d_s": (13, 160),
    "mvit_base_16x4": (16, 224),
    "mvit_base_32x3": (32, 224),
    "mvit_base_16": (None, 224),
    "slow_r50_detection": (4, 224),
    "slowfast_r50_detection": ((8, 32), 224),
}
# What models for detection also take: index of the clip, x1, y1, x2, y2.
BOXES = {
    "slow_r50_detection": [[0, 10.5, 20.25, 100, 180], [0, 60, 5, 220, 194]],
    "slowfast_r50_detection": [[0, 10.5, 20.25, 100, 180], [0, 60, 5, 220, 194]],
    "resnet_roi": [[0, 2, 3, 40, 50], [0, 10, 10, 63, 60]],
    "slowfast_roi": [[0, 2, 3, 40, 50]],
}
SLOW = set(HUB_INPUTS) - {"slow_r50", "x3d_xs", "mvit_base_16", "efficient_x3d_xs"}

MVIT: dict[str, Any] = {
    "spatial_size": 32,
    "temporal_size": 4,
    "depth": 4,
    "head_num_classes": 10,
    "patch_embed_dim": 16,
    "embed_dim_mul": [[1, 2.0]],
    "atten_head_mul": [[1, 2.0]],
    "pool_q_stride_size": [[1, 1, 2, 2]],
    "pool_kv_stride_adaptive": [1, 4, 4],
    "pool_kvq_kernel": [3, 3, 3],
}
MVIT_OPTIONS: dict[str, dict[str, Any]] = {
    "mvit_small": {},
    "mvit_joint_pos_no_cls": {"sep_pos_embed": False, "cls_embed_on": False},
    "mvit_pool_first": {"pool_first": True},
    "mvit_residual_pool_dim_in_att": {"residual_pool": True, "dim_mul_in_att": True},
    "mvit_batchnorm": {"norm": "batchnorm"},
    "mvit_max_pool": {"pooling_mode": "max"},
    "mvit_joint_qkv_no_bias": {"separate_qkv": False, "bias_on": False, "qkv_bias": False},
    "mvit_scriptable": {"create_scriptable_model": True, "norm": "batchnorm"},
    "mvit_no_patch_embed": {
        "enable_patch_embed": False,
        "input_channels": 16,
        "spatial_size": (8, 8),
        "temporal_size": 2,
    },
}

Shape = tuple[int, ...]
SMALL = (1, 3, 8, 64, 64)
PATHWAYS = [(1, 3, 4, 64, 64), (1, 3, 16, 64, 64)]
PATHWAY_POOLS = {"head_pool_kernel_sizes": ((4, 2, 2), (16, 2, 2))}
POOL = {"head_pool_kernel_size": (8, 2, 2)}
BUILDERS: dict[str, tuple[Callable[[], nn.Module], Shape | list[Shape]]] = {
    "resnet50": (lambda: create_resnet(model_num_class=10, **POOL), SMALL),
    "resnet101": (lambda: create_resnet(model_depth=101, model_num_class=5, head_pool=None), SMALL),
    "resnet_no_head": (lambda: create_resnet(head=None), SMALL),
    "resnet_sigmoid_gelu": (
        lambda: create_resnet(
            model_num_class=7, activation=nn.GELU, head_activation=nn.Sigmoid, **POOL
        ),
        SMALL,
    ),
    "resnet_dilated": (
        lambda: create_resnet(
            model_num_class=7,
            stage_conv_b_dilation=((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 2, 2)),
            stage_spatial_h_stride=(1, 2, 2, 1),
            stage_spatial_w_stride=(1, 2, 2, 1),
            head_pool_kernel_size=(8, 4, 4),
        ),
        SMALL,
    ),
    "resnet_roi": (lambda: create_resnet_with_roi_head(model_num_class=6), (1, 3, 4, 64, 64)),
    "slowfast_roi": (
        lambda: create_slowfast_with_roi_head(model_num_class=6),
        [(1, 3, 8, 64, 64), (1, 3, 32, 64, 64)],
    ),
    "csn_r50": (lambda: create_csn(model_num_class=5, head_pool_kernel_size=(1, 2, 2)), SMALL),
    "r2plus1d_small": (
        lambda: create_r2plus1d(model_num_class=5, head_pool_kernel_size=(4, 1, 1)),
        (1, 3, 16, 32, 32),
    ),
    "slowfast_r50_k5": (
        lambda: create_slowfast(
            model_num_class=8, slowfast_fusion_conv_kernel_size=(5, 1, 1), **PATHWAY_POOLS
        ),
        PATHWAYS,
    ),
    "slowfast_r18": (
        lambda: create_slowfast(model_depth=18, model_num_class=8, **PATHWAY_POOLS),
        PATHWAYS,
    ),
    "x3d_small": (
        lambda: create_x3d(input_clip_length=4, input_crop_size=64, model_num_class=5),
        (1, 3, 4, 64, 64),
    ),
    "x3d_deep_bn_lin5": (
        lambda: create_x3d(
            input_clip_length=4,
            input_crop_size=64,
            model_num_class=5,
            depth_factor=3.0,
            head_bn_lin5_on=True,
            se_ratio=0.125,
        ),
        (1, 3, 4, 64, 64),
    ),
    "acoustic_resnet": (
        lambda: create_acoustic_resnet(model_num_class=9, head_pool_kernel_size=(8, 1, 4)),
        (1, 1, 64, 1, 80),
    ),
    "audio_visual_slowfast": (
        lambda: create_audio_visual_slowfast(model_num_class=6),
        [(1, 3, 8, 224, 224), (1, 3, 32, 224, 224), (1, 1, 128, 1, 80)],
    ),
    "nonlocal": (
        lambda: create_nonlocal(dim_in=16, dim_inner=8, pool_size=(1, 2, 2)),
        (1, 16, 2, 8, 8),
    ),
    "nonlocal_dot_product": (
        lambda: create_nonlocal(dim_in=16, dim_inner=8, instantiation="dot_product"),
        (1, 16, 2, 8, 8),
    ),
    "audio_2d_squeeze_excitation": (
        lambda: create_audio_2d_squeeze_excitation_block(16, 16, use_se=True),
        (1, 16, 10, 12),
    ),
    "conv_2plus1d": (
        lambda: create_conv_2plus1d(in_channels=4, out_channels=6, inner_channels=5),
        (1, 4, 8, 16, 16),
    ),
    "res_basic_head": (
        lambda: create_res_basic_head(
            in_features=8, out_features=5, pool_kernel_size=(1, 3, 3), activation=nn.Softmax
        ),
        (1, 8, 1, 6, 6),
    ),
    "efficient_x3d_5_classes": (lambda: EfficientX3d(num_classes=5), (1, 3, 4, 96, 96)),
    "vit_basic_head": (
        lambda: create_vit_basic_head(
            in_features=8, out_features=5, seq_pool_type="mean", activation=nn.Softmax
        ),
        (2, 6, 8),
    ),
}
for _name, _options in MVIT_OPTIONS.items():
    BUILDERS[_name] = (
        partial(create_multiscale_vision_transformers, **(MVIT | _options)),
        (1, 128, 16) if _name == "mvit_no_patch_embed" else (1, 3, 4, 32, 32),
    )


def fill(model: nn.Module, seed: int) -> None:
    """Draws every tensor of the state dict from a generator seeded by its key."""
    for key, tensor in model.state_dict().items():
        rng = np.random.RandomState((zlib.crc32(key.encode()) ^ seed) & 0xFFFFFFFF)
        shape = tuple(tensor.shape)
        if not tensor.is_floating_point():
            values = np.zeros(shape)
        elif key.endswith("running_var"):
            values = rng.uniform(0.5, 1.5, shape)
        elif key.endswith("running_mean"):
            values = 0.1 * rng.standard_normal(shape)
        elif len(shape) >= 2 and not re.search("pos_embed|cls_token", key):
            values = rng.standard_normal(shape) * np.sqrt(0.7 / np.prod(shape[1:]))
        elif key.endswith("weight"):
            values = 1.0 + 0.1 * rng.standard_normal(shape)
        else:
            values = 0.05 * rng.standard_normal(shape)
        tensor.copy_(torch.as_tensor(values))


def draw_clip(shape: tuple[int, ...], seed: int) -> torch.Tensor:
    values = np.random.RandomState(seed).uniform(-1.5, 1.5, shape)
    return torch.from_numpy(values.astype(np.float32))


def keys_hash(model: nn.Module) -> str:
    lines = sorted(f"{k}:{tuple(v.shape)}" for k, v in model.state_dict().items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def check_names(model: nn.Module, stored: dict[str, Any]) -> None:
    assert sum(p.numel() for p in model.parameters()) == stored["parameters"]
    assert keys_hash(model) == stored["keys_sha256"]


Input = torch.Tensor | list[torch.Tensor]


def check_values(model: nn.Module, clip: Input, name: str) -> None:
    stored = STORED[name]
    fill(model.eval(), stored["seed"])
    before = copy.deepcopy(clip)
    boxes = [torch.tensor(BOXES[name])] if name in BOXES else []
    with torch.inference_mode():
        output = model(clip, *boxes)
    assert list(output.shape) == stored["output_shape"]
    wanted = torch.tensor(stored["output"])
    error = (output.flatten()[: len(wanted)] - wanted).abs().max()
    assert error <= 1e-4 * wanted.abs().max()
    torch.testing.assert_close(clip, before, rtol=0, atol=0, msg="the input was modified")


@pytest.mark.parametrize("name", HUB_INPUTS)
def test_names_of_hub_models(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name)
    check_names(model, STORED[name])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in HUB_INPUTS]
)
def test_values_of_hub_models(name: str) -> None:
    frames, side = HUB_INPUTS[name]
    seed = STORED[name]["seed"] + 1
    if isinstance(frames, tuple):
        # one after the other from one generator
        numbers = draw_clip((sum(3 * count * side * side for count in frames),), seed)
        flat = numbers.split([3 * count * side * side for count in frames])
        clips = [one.view(1, 3, -1, side, side) for one in flat]
        check_values(create_model(name), clips, name)
        return
    size = (side, side) if frames is None else (frames, side, side)
    check_values(create_model(name), draw_clip((1, 3, *size), seed), name)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:create_scriptable_model is deprecated")
@pytest.mark.parametrize("name", BUILDERS)
def test_builders(name: str) -> None:
    build, shape = BUILDERS[name]
    model = build()
    check_names(model, STORED[name])
    if isinstance(shape, list):
        clips = [draw_clip(one, 3 + i) for i, one in enumerate(shape)]
        check_values(model, clips, name)
    else:
        check_values(model, draw_clip(shape, 3), name)
