# SPDX-License-Identifier: Apache-2.0
"""Networks with factored 3-D convolutions, CSN and R(2+1)D: their blocks, sizes and outputs."""

import pytest
import torch
from torch import nn

from pytorchvideo.models import create_csn, create_model, create_r2plus1d
from pytorchvideo.models.r2plus1d import create_2plus1d_bottleneck_block


@pytest.mark.parametrize(("width", "groups"), [(1, 64), (4, 16)])
def test_groups_of_csn(width: int, groups: int) -> None:
    with torch.device("meta"):
        model = create_csn(stage_conv_b_width_per_group=width)
    conv = model.blocks[1].res_blocks[0].branch2.conv_b
    assert (conv.groups, conv.in_channels) == (groups, 64)


@pytest.mark.parametrize(
    ("name", "sizes", "kernel"),
    [
        ("csn_r101", {}, (4, 7, 7)),
        ("csn_r101", {"num_frames": 8, "crop_size": 64}, (1, 2, 2)),
        ("r2plus1d_r50", {}, (4, 7, 7)),
        ("r2plus1d_r50", {"num_frames": 6, "crop_size": 100}, (2, 4, 4)),
    ],
)
def test_sizes(name: str, sizes: dict[str, int], kernel: tuple[int, ...]) -> None:
    with torch.device("meta"):
        model = create_model(name, **sizes).eval()
        frames, side = sizes.get("num_frames", 16), sizes.get("crop_size", 224)
        frames = 32 if name == "csn_r101" and not sizes else frames
        assert model(torch.empty(1, 3, frames, side, side)).shape == (1, 400)
    assert model.blocks[-1].pool.kernel_size == kernel


def test_r2plus1d_returns_probabilities_or_logits() -> None:
    arguments = {"num_classes": 3, "num_frames": 4, "crop_size": 32}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = create_model("r2plus1d_r50", **arguments).eval()
        torch.manual_seed(1)
        logits = create_model("r2plus1d_r50", **arguments, head_activation=None).eval()
        clip = torch.rand(2, 3, 4, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(model(clip), logits(clip).softmax(dim=1))


def test_norm_of_r2plus1d_reaches_every_layer() -> None:
    with torch.device("meta"):
        model = create_r2plus1d(norm_eps=1e-3, norm_momentum=0.2)
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm3d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.2)}
    block = create_2plus1d_bottleneck_block(dim_in=4, dim_inner=2, dim_out=4, norm=None)
    assert block.conv_b.norm is None
    assert block(torch.rand(1, 4, 4, 8, 8)).shape == (1, 4, 2, 4, 4)


@pytest.mark.parametrize("build", [create_csn, create_r2plus1d])
def test_unknown_depth(build: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"`model_depth` to be one of \[50, 101, 152\]"):
        build(model_depth=18)


@pytest.mark.parametrize("build", [create_csn, create_r2plus1d])
def test_every_parameter_gets_a_gradient(build: type[nn.Module]) -> None:
    model = build(model_num_class=3, head_pool=None)
    model(torch.rand(2, 3, 8, 64, 64)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
