# SPDX-License-Identifier: Apache-2.0
"""Transmuted models: other modules, the same values."""

import logging
from collections import Counter

import pytest
import torch
from torch import nn

import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter
from pytorchvideo.accelerator.deployment.common.model_transmuter import (
    EFFICIENT_BLOCK_TRANSMUTER_REGISTRY,
    transmute_model,
)
from pytorchvideo.accelerator.deployment.mobile_cpu.transmuter import (
    transmuter_mobile_cpu as functions,
)
from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import Conv3dPwBnAct
from pytorchvideo.models.accelerator.mobile_cpu.residual_blocks import X3dBottleneckBlock
from pytorchvideo.models.resnet import create_resnet
from pytorchvideo.models.x3d import create_x3d

CLIP = torch.linspace(0, 400, 3 * 4 * 32 * 32).sin().view(1, 3, 4, 32, 32)
KINDS = {
    "Conv3dPwBnAct": nn.Conv3d(4, 8, 1),
    "Conv3d3x3x3DwBnAct": nn.Conv3d(
        4, 4, 3, stride=(1, 2, 2), padding=1, groups=4, bias=False
    ),
    "Conv3dTemporalKernel1BnAct": nn.Conv3d(
        4, 8, (1, 5, 5), stride=(1, 2, 2), padding=(0, 4, 4), dilation=(1, 2, 2), groups=2
    ),
    "Conv3d3x1x1BnAct": nn.Conv3d(4, 8, (3, 1, 1), padding=(1, 0, 0)),
    "Conv3d5x1x1BnAct": nn.Conv3d(4, 4, (5, 1, 1), padding=(2, 0, 0), groups=4, bias=False),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind(name: str) -> None:
    conv = KINDS[name].eval()
    found = [function(conv) for function in functions.EFFICIENT_BLOCK_TRANSMUTER_MOBILE_CPU]
    blocks = [block for block in found if block is not None]
    assert type(blocks[0]).__name__ == name
    assert getattr(functions, f"transmute_{name}")(conv).kernel.conv is conv
    x = torch.linspace(-2, 2, 4 * 3 * 7 * 6).view(1, 4, 3, 7, 6)
    torch.testing.assert_close(blocks[0](x), conv(x), rtol=1e-5, atol=1e-5)
    blocks[0].convert(x.shape)
    torch.testing.assert_close(blocks[0](x), conv(x), rtol=1e-4, atol=1e-4)


class OwnConv3d(nn.Conv3d):
    """A convolution of a user, which may do anything."""


@pytest.mark.parametrize(
    "module",
    [
        nn.ReLU(),
        OwnConv3d(4, 8, 1),
        nn.Conv3d(4, 8, (3, 3, 3), padding=1),
        nn.Conv3d(4, 8, (3, 1, 1)),
        nn.Conv3d(4, 8, (3, 1, 1), stride=(2, 1, 1), padding=(1, 0, 0)),
        nn.Conv3d(4, 8, (1, 3, 5)),
        nn.Conv3d(4, 8, (1, 3, 3), padding="same"),
        nn.Conv3d(4, 8, (1, 3, 3), padding=(0, 1, 1), padding_mode="replicate"),
    ],
)
def test_other_modules_stay(module: nn.Module) -> None:
    model = nn.Sequential(module)
    transmute_model(model)
    assert model[0] is module


def test_models() -> None:
    x3d = create_x3d(
        input_clip_length=4, input_crop_size=32, model_num_class=5, depth_factor=1.0
    ).eval()  # fmt: skip
    resnet = create_resnet(model_num_class=5, stem_dim_out=4, head_pool_kernel_size=(1, 1, 1))
    for model, kinds in ((x3d, 4), (resnet.eval(), 3)):
        parameters = list(model.parameters())
        with torch.no_grad():
            wanted = model(CLIP)
            transmute_model(model)
            torch.testing.assert_close(model(CLIP), wanted, rtol=1e-4, atol=1e-4)
            made = convert_to_deployable_form(model, CLIP)
            torch.testing.assert_close(made(CLIP), wanted, rtol=1e-4, atol=1e-4)
        assert {id(p) for p in parameters} == {id(p) for p in model.parameters()}
        counts = Counter(type(m).__name__ for m in model.modules())
        assert len({name for name in counts if name in KINDS}) == kinds


def test_blocks_and_shared_layers() -> None:
    conv = nn.Conv3d(3, 3, 1)
    model = nn.Sequential(conv, nn.Sequential(conv), X3dBottleneckBlock(3, 4, 3))
    keys = list(model[2].state_dict())
    transmute_model(model)
    assert isinstance(model[0], Conv3dPwBnAct)
    assert model[0] is model[1][0]
    assert list(model[2].state_dict()) == keys
    transmute_model(model)
    assert model[0].kernel.conv is conv
    transmute_model(conv)


def test_registry(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setitem(
        EFFICIENT_BLOCK_TRANSMUTER_REGISTRY,
        "mine",
        [lambda m: nn.Identity() if isinstance(m, nn.Sequential) else None, lambda m: nn.ReLU()],
    )
    model = nn.ModuleDict({"a": nn.Sequential(nn.Tanh()), "b": nn.Tanh()})
    with caplog.at_level(logging.INFO):
        transmute_model(model, target_device="mine", prefix="net.")
    assert caplog.messages == ["net.a is now a Identity", "net.b is now a ReLU"]
    assert [type(child) for child in model.children()] == [nn.Identity, nn.ReLU]
    wanted = r"`target_device` to be registered \(mine, mobile_cpu\), but got 'phone'. Import its"
    with pytest.raises(ValueError, match=wanted):
        transmute_model(model, target_device="phone")
    package = pytorchvideo.accelerator.deployment.mobile_cpu.transmuter
    listed = package.EFFICIENT_BLOCK_TRANSMUTER_MOBILE_CPU
    assert EFFICIENT_BLOCK_TRANSMUTER_REGISTRY["mobile_cpu"] is listed
