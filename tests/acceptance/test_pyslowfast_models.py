# SPDX-License-Identifier: Apache-2.0
"""What PySlowFast asks of PyTorchVideo in its ``PTV*`` models: calls, shapes and numbers.

Written from a description of these calls, not from its code. Networks are small, in every other way they are built
with the arguments that its models pass: heads without activation that leave their positions, over which the wrapper
takes the softmax and the mean in evaluation.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.ops import RoIAlign

from pytorchvideo.models import net
from pytorchvideo.models.csn import create_csn
from pytorchvideo.models.head import create_res_basic_head, create_res_roi_pooling_head
from pytorchvideo.models.r2plus1d import create_2plus1d_bottleneck_block, create_r2plus1d
from pytorchvideo.models.resnet import create_bottleneck_block, create_resnet
from pytorchvideo.models.slowfast import create_slowfast
from pytorchvideo.models.vision_transformers import create_multiscale_vision_transformers
from pytorchvideo.models.x3d import create_x3d, create_x3d_bottleneck_block

CLASSES = 5
NORMS: dict[str, Any] = {"norm": nn.BatchNorm3d, "activation": nn.ReLU}
LOGITS: dict[str, Any] = {"head_activation": None, "head_output_with_global_average": False}
SIDE, FRAMES, RATE = 64, 4, 2


class Wrapped(nn.Module):
    """Logits in training; in evaluation the mean over positions of their softmax. One pathway comes in a list."""

    def __init__(self, model: nn.Module, pathways: int = 1) -> None:
        super().__init__()
        self.model, self.pathways = model, pathways

    def forward(self, clips: list[torch.Tensor], bboxes: torch.Tensor | None = None) -> Any:
        inputs: Any = clips[0] if self.pathways == 1 else clips
        out = self.model(inputs) if bboxes is None else self.model(inputs, bboxes)
        if not self.training:
            out = out.softmax(dim=1)
        if out.ndim == 5:
            out = out.mean((2, 3, 4))
        return out.flatten(1)


def resnet(**more: Any) -> nn.Module:
    """Of PTVResNet with ``slow``; ``c2d`` and ``i3d`` have other kernels."""
    return create_resnet(
        input_channel=3,
        model_depth=50,
        model_num_class=CLASSES,
        dropout_rate=0.5,
        stem_dim_out=16,
        stem_conv_kernel_size=(1, 7, 7),
        stem_conv_stride=(1, 2, 2),
        stem_pool=nn.MaxPool3d,
        stem_pool_kernel_size=(1, 3, 3),
        stem_pool_stride=(1, 2, 2),
        stage_conv_a_kernel_size=((1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1)),
        stage_conv_b_kernel_size=((1, 3, 3), (1, 3, 3), (1, 3, 3), (1, 3, 3)),
        stage_conv_b_num_groups=(1, 1, 1, 1),
        stage_conv_b_dilation=((1, 1, 1), (1, 1, 1), (1, 1, 1), (1, 1, 1)),
        stage_spatial_h_stride=(1, 2, 2, 2),
        stage_spatial_w_stride=(1, 2, 2, 2),
        stage_temporal_stride=(1, 1, 1, 1),
        bottleneck=create_bottleneck_block,
        **{"head": create_res_basic_head, **_HEAD, **more},
        **NORMS,
    )


_HEAD: dict[str, Any] = {
    "head_pool": nn.AvgPool3d,
    "head_pool_kernel_size": (FRAMES, 1, 1),
    "head_output_size": (1, 1, 1),
    **LOGITS,
}


def slowfast(**more: Any) -> nn.Module:
    """Of PTVSlowFast: tuples of the two pathways."""
    return create_slowfast(
        slowfast_channel_reduction_ratio=8,
        slowfast_conv_channel_fusion_ratio=2,
        slowfast_fusion_conv_kernel_size=(7, 1, 1),
        slowfast_fusion_conv_stride=(4, 1, 1),
        input_channels=(3, 3),
        model_depth=50,
        model_num_class=CLASSES,
        dropout_rate=0.5,
        stem_dim_outs=(64, 8),
        stem_conv_kernel_sizes=((1, 7, 7), (5, 7, 7)),
        stem_conv_strides=((1, 2, 2), (1, 2, 2)),
        stem_pool=nn.MaxPool3d,
        stem_pool_kernel_sizes=((1, 3, 3), (1, 3, 3)),
        stem_pool_strides=((1, 2, 2), (1, 2, 2)),
        stage_conv_a_kernel_sizes=(
            ((1, 1, 1), (1, 1, 1), (3, 1, 1), (3, 1, 1)),
            ((3, 1, 1), (3, 1, 1), (3, 1, 1), (3, 1, 1)),
        ),
        stage_conv_b_kernel_sizes=(((1, 3, 3),) * 4,) * 2,
        stage_conv_b_num_groups=((1, 1, 1, 1), (1, 1, 1, 1)),
        stage_conv_b_dilations=(((1, 1, 1),) * 4,) * 2,
        stage_spatial_strides=((1, 2, 2, 2), (1, 2, 2, 2)),
        stage_temporal_strides=((1, 1, 1, 1), (1, 1, 1, 1)),
        bottleneck=create_bottleneck_block,
        **{
            "head": create_res_basic_head,
            "head_pool": nn.AvgPool3d,
            "head_pool_kernel_sizes": ((1, 1, 1), (4, 1, 1)),
            "head_output_size": (1, 1, 1),
            **LOGITS,
            **more,
        },
        **NORMS,
    )


def x3d() -> nn.Module:
    return create_x3d(
        input_channel=3,
        input_clip_length=FRAMES,
        input_crop_size=SIDE,
        model_num_class=CLASSES,
        dropout_rate=0.5,
        width_factor=2.0,
        depth_factor=0.4,
        stem_dim_in=12,
        stem_conv_kernel_size=(5, 3, 3),
        stem_conv_stride=(1, 2, 2),
        stage_conv_kernel_size=((3, 3, 3),) * 4,
        stage_spatial_stride=(2, 2, 2, 2),
        stage_temporal_stride=(1, 1, 1, 1),
        bottleneck=create_x3d_bottleneck_block,
        bottleneck_factor=2.25,
        se_ratio=0.0625,
        inner_act=nn.SiLU,
        head_dim_out=2048,
        head_pool_act=nn.ReLU,
        head_bn_lin5_on=False,
        **LOGITS,
        **NORMS,
    )


def csn() -> nn.Module:
    return create_csn(
        input_channel=3,
        model_depth=50,
        model_num_class=CLASSES,
        dropout_rate=0.5,
        stem_dim_out=16,
        stem_conv_kernel_size=(3, 7, 7),
        stem_conv_stride=(1, 2, 2),
        stem_pool=nn.MaxPool3d,
        stem_pool_kernel_size=(1, 3, 3),
        stage_conv_a_kernel_size=(1, 1, 1),
        stage_conv_b_kernel_size=(3, 3, 3),
        stage_conv_b_width_per_group=1,
        stage_spatial_stride=(1, 2, 2, 2),
        stage_temporal_stride=(1, 2, 2, 2),
        bottleneck=create_bottleneck_block,
        bottleneck_ratio=4,
        **{**_HEAD, "head_pool_kernel_size": (1, 1, 1)},
        **NORMS,
    )


def r2plus1d() -> nn.Module:
    return create_r2plus1d(
        input_channel=3,
        model_depth=50,
        model_num_class=CLASSES,
        dropout_rate=0.5,
        stem_dim_out=16,
        stem_conv_kernel_size=(1, 7, 7),
        stem_conv_stride=(1, 2, 2),
        stage_conv_a_kernel_size=((1, 1, 1),) * 4,
        stage_conv_b_kernel_size=((3, 3, 3),) * 4,
        stage_conv_b_num_groups=(1, 1, 1, 1),
        stage_conv_b_dilation=((1, 1, 1),) * 4,
        stage_spatial_stride=(2, 2, 2, 2),
        stage_temporal_stride=(1, 1, 2, 2),
        stage_bottleneck=(create_2plus1d_bottleneck_block,) * 4,
        **{**_HEAD, "head_pool_kernel_size": (1, 1, 1)},
        **NORMS,
    )


def mvit() -> nn.Module:
    """The head pools tokens: it has no positions, and no such argument."""
    return create_multiscale_vision_transformers(
        spatial_size=SIDE,
        temporal_size=FRAMES,
        cls_embed_on=True,
        sep_pos_embed=True,
        depth=2,
        norm="layernorm",
        input_channels=3,
        patch_embed_dim=32,
        conv_patch_embed_kernel=(3, 7, 7),
        conv_patch_embed_stride=(2, 4, 4),
        conv_patch_embed_padding=(1, 3, 3),
        enable_patch_embed_norm=False,
        use_2d_patch=False,
        num_heads=1,
        mlp_ratio=4.0,
        qkv_bias=True,
        dropout_rate_block=0.0,
        droppath_rate_block=0.2,
        pooling_mode="conv",
        pool_first=False,
        embed_dim_mul=[[1, 2.0]],
        atten_head_mul=[[1, 2.0]],
        pool_q_stride_size=[[1, 1, 2, 2]],
        pool_kv_stride_size=None,
        pool_kv_stride_adaptive=[1, 8, 8],
        pool_kvq_kernel=[3, 3, 3],
        head_dropout_rate=0.5,
        head_activation=None,
        head_num_classes=CLASSES,
    )


BUILDERS: dict[str, tuple[Callable[..., nn.Module], int]] = {
    "PTVResNet": (resnet, 1),
    "PTVSlowFast": (slowfast, 2),
    "PTVX3D": (x3d, 1),
    "PTVCSN": (csn, 1),
    "PTVR2plus1D": (r2plus1d, 1),
    "PTVMViT": (mvit, 1),
}


@pytest.fixture(autouse=True)
def _shallow(shallow: Callable[[], AbstractContextManager[None]]) -> Iterator[None]:
    with shallow():
        yield


def clips_for(pathways: int, batch: int = 2) -> list[torch.Tensor]:
    fast = torch.rand(batch, 3, FRAMES, SIDE, SIDE)
    return [fast] if pathways == 1 else [fast[:, :, ::4], fast]


@pytest.mark.parametrize("name", BUILDERS)
def test_models_train_and_evaluate(name: str) -> None:
    build, pathways = BUILDERS[name]
    model = Wrapped(build(), pathways)
    labels = torch.tensor([0, 3])
    logits = model(clips_for(pathways))
    nn.functional.cross_entropy(logits, labels).backward()
    assert logits.shape == (2, CLASSES)
    assert all(p.grad is not None for p in model.parameters())
    with torch.no_grad():
        scores = model.eval()(clips_for(pathways))
    assert torch.allclose(scores.sum(1), torch.ones(2)) and (scores >= 0).all()
    # a larger clip has several positions, but where the size is that of the network
    if name not in ("PTVMViT", "PTVX3D"):
        large = [nn.functional.interpolate(c, scale_factor=(1, 2, 2)) for c in clips_for(pathways)]
        inputs = large[0] if pathways == 1 else large
        assert model.model(inputs).shape[-2:] != (1, 1) and model(large).shape == (2, CLASSES)


@pytest.mark.parametrize("pathways", [1, 2])
def test_models_with_boxes(pathways: int) -> None:
    """A network without a head, and a head with another RoIAlign, in ``DetectionBBoxNetwork``."""
    channels = {1: 16 * 32, 2: 2048 + 256}[pathways]
    trunk = resnet(head=None) if pathways == 1 else slowfast(head=None)
    head = create_res_roi_pooling_head(
        in_features=channels,
        out_features=CLASSES,
        pool=None if pathways == 2 else nn.AvgPool3d,
        output_size=(1, 1, 1),
        pool_kernel_size=(FRAMES, 1, 1),
        dropout_rate=0.5,
        activation=None,
        output_with_global_average=False,
        pool_spatial=nn.MaxPool2d,
        resolution=[7, 7],
        spatial_scale=1.0 / 16.0,
        sampling_ratio=0,
        roi=partial(RoIAlign, aligned=True),
    )
    model = Wrapped(net.DetectionBBoxNetwork(trunk, head), pathways)
    boxes = torch.tensor([[0, 0, 0, 30, 30], [1, 5, 5, 60, 60], [1, 0, 0, 9, 9]]).float()
    assert model(clips_for(pathways), boxes).shape == (3, CLASSES)
