# SPDX-License-Identifier: Apache-2.0
"""Whole models in their deployable form: the same values, in TorchScript, in exported graphs and in int8."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import nn

from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.accelerator.efficient_blocks.efficient_block_base import EfficientBlockBase
from pytorchvideo.accelerator.efficient_blocks.no_op_convert_block import NoOpConvertBlock
from pytorchvideo.layers.accelerator.mobile_cpu.attention import SqueezeExcitation
from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import Conv3dPwBnAct
from pytorchvideo.layers.accelerator.mobile_cpu.fully_connected import FullyConnected
from pytorchvideo.layers.accelerator.mobile_cpu.pool import AdaptiveAvgPool3dOutSize1
from pytorchvideo.models.accelerator.mobile_cpu.efficient_x3d import EfficientX3d

CLIP = torch.linspace(0, 400, 3 * 4 * 46 * 39).sin().view(1, 3, 4, 46, 39)


@pytest.fixture(scope="module")
def x3d_xs(shallow: Callable[[], AbstractContextManager[None]]) -> Iterator[EfficientX3d]:
    with torch.random.fork_rng(), shallow():
        torch.manual_seed(0)
        model = EfficientX3d(num_classes=7)
        for norm in model.modules():
            if isinstance(norm, nn.BatchNorm3d):
                nn.init.uniform_(norm.running_mean, -0.2, 0.2)
                nn.init.uniform_(norm.running_var, 0.5, 1.5)
                nn.init.uniform_(norm.weight, 0.8, 1.2)
        yield model.eval()


def scripted(model: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript and eager quantisation are deprecated
        return torch.jit.script(model)


@pytest.mark.parametrize(
    "switches", [{}, {"convert_for_quantize": True}, {"native_conv3d_op_qnnpack": True}]
)
def test_efficient_x3d(x3d_xs: EfficientX3d, switches: dict[str, bool]) -> None:
    clip = CLIP.clone()
    made = convert_to_deployable_form(x3d_xs, clip, **switches)
    with torch.no_grad():
        wanted = x3d_xs(clip)
        torch.testing.assert_close(made(clip), wanted, rtol=1e-4, atol=1e-4)
        other = torch.cat([clip, clip.flip(2)])[:, :, :3, :37]
        torch.testing.assert_close(made(other), x3d_xs(other), rtol=1e-4, atol=1e-4)
    assert torch.equal(clip, CLIP)
    blocks = [m for m in made.modules() if isinstance(m, EfficientBlockBase)]
    assert len(blocks) == sum(isinstance(m, EfficientBlockBase) for m in x3d_xs.modules())
    assert all(m.convert_flag for m in blocks)
    kinds = {type(m) for m in made.modules()}
    assert (nn.Conv3d in kinds) == ("native_conv3d_op_qnnpack" in switches)
    assert nn.BatchNorm3d not in kinds
    with pytest.raises(RuntimeError, match="in its original form, but got one that was converted"):
        convert_to_deployable_form(made, clip)


@pytest.mark.slow
def test_torchscript_and_export(x3d_xs: EfficientX3d) -> None:
    made = convert_to_deployable_form(x3d_xs, CLIP)
    with torch.no_grad():
        wanted = x3d_xs(CLIP)
        for model in (x3d_xs, made):
            torch.testing.assert_close(scripted(model)(CLIP), wanted, rtol=1e-4, atol=1e-4)
        dims = {"x": {0: torch.export.Dim("batch", min=1, max=8)}}
        twice = CLIP.repeat(2, 1, 1, 1, 1)
        exported = torch.export.export(made, (twice,), dynamic_shapes=dims)
        torch.testing.assert_close(exported.module()(CLIP), wanted, rtol=1e-4, atol=1e-4)
    operators = {str(node.target) for node in exported.graph.nodes}
    assert not any("3d" in operator for operator in operators)


def test_the_model_is_left_alone() -> None:
    model = nn.Sequential(Conv3dPwBnAct(3, 4), nn.Dropout(), Conv3dPwBnAct(4, 2)).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    made = convert_to_deployable_form(model, CLIP)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(m.training and not m._forward_pre_hooks for m in model.modules())
    assert not any(m.training or m._forward_pre_hooks for m in made.modules())
    model.eval()
    torch.testing.assert_close(made(CLIP), model(CLIP), rtol=1e-4, atol=1e-4)


def test_int8(x3d_xs: EfficientX3d) -> None:
    quantization = pytest.importorskip("torch.ao.quantization")
    clips = torch.cat([CLIP, CLIP.flip(3), CLIP.abs(), CLIP.flip(1) * 0.7])
    made = convert_to_deployable_form(x3d_xs, CLIP)
    wrapped = quantization.QuantWrapper(made)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        wrapped.qconfig = quantization.get_default_qconfig("fbgemm")
        prepared = quantization.prepare(wrapped)
        prepared(clips)
        int8 = quantization.convert(prepared)
        wanted, scores = x3d_xs(clips), int8(clips)
        assert not any(isinstance(m, nn.Conv2d | nn.Linear) for m in int8.modules())
        torch.testing.assert_close(scripted(int8)(clips), scores)
    error = (scores - wanted).norm() / wanted.norm()
    assert 0 < error < 0.1


class Classifier(nn.Module):
    """What users build of blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            Conv3dPwBnAct(3, 4, activation="hswish"),
            SqueezeExcitation(4, is_3d=True),
            NoOpConvertBlock(nn.MaxPool3d((1, 2, 2))),
            AdaptiveAvgPool3dOutSize1(),
        )
        self.classifier = FullyConnected(4, 2)
        self.unused = Conv3dPwBnAct(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(x).flatten(1))


def test_a_model_of_blocks(caplog: pytest.LogCaptureFixture) -> None:
    model = Classifier().eval()
    with caplog.at_level(logging.WARNING):
        made = convert_to_deployable_form(model, CLIP)
    assert caplog.messages == ["unused was not reached: it stays in its original form."]
    torch.testing.assert_close(made(CLIP), model(CLIP), rtol=1e-4, atol=1e-4)
    assert isinstance(made, Classifier)
    assert made.features[0].convert_flag
    assert not made.unused.convert_flag


class Seen(EfficientBlockBase):
    """A block of a user, with another in it that is its own business."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Conv3dPwBnAct(3, 3)
        self.got: Any = None

    def convert(self, input_blob_size: Any, **kwargs: Any) -> None:
        self.got = (tuple(input_blob_size), kwargs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x)


def test_what_a_block_is_told() -> None:
    made: Any = convert_to_deployable_form(Seen(), CLIP, convert_for_quantize=True)
    switches = {"convert_for_quantize": True, "native_conv3d_op_qnnpack": False}
    assert made.got == ((1, 3, 4, 46, 39), switches)
    assert not made.inner.convert_flag
    with pytest.raises(ValueError, match=r"Expected `model` to be an nn.Module, but got 'str'"):
        convert_to_deployable_form("x3d", CLIP)  # type: ignore[arg-type]
