# SPDX-License-Identifier: Apache-2.0
"""The three tutorials of PyTorchVideo's accelerator, cell by cell, in our words and with small clips.

Build a model of efficient blocks; use the model zoo; use the transmuter. Each ends in a traced program that is
saved and loaded, in float and, but for the transmuter, in int8. The ``optimize_for_mobile`` of the tutorials needs a
PyTorch that is built with XNNPACK.
"""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

from pytorchvideo.accelerator.deployment.common.model_transmuter import transmute_model
from pytorchvideo.accelerator.deployment.mobile_cpu.utils.model_conversion import (
    convert_to_deployable_form,
)
from pytorchvideo.accelerator.efficient_blocks.efficient_block_base import EfficientBlockBase
from pytorchvideo.layers.accelerator.mobile_cpu.activation_functions import supported_act_functions
from pytorchvideo.layers.accelerator.mobile_cpu.convolutions import Conv3d5x1x1BnAct
from pytorchvideo.layers.accelerator.mobile_cpu.fully_connected import FullyConnected
from pytorchvideo.layers.accelerator.mobile_cpu.pool import AdaptiveAvgPool3dOutSize1
from pytorchvideo.models.accelerator.mobile_cpu import efficient_x3d
from pytorchvideo.models.accelerator.mobile_cpu.efficient_x3d import EfficientX3d
from pytorchvideo.models.accelerator.mobile_cpu.residual_blocks import X3dBottleneckBlock

pytestmark = [
    # PyTorch has announced the end of TorchScript and of eager quantisation
    pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.ao.quantization is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor, torch.quantize_per_channel and"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    # the tutorials leave calibration to the reader
    pytest.mark.filterwarnings("ignore:.*must run observer before calling calculate_qparams"),
]


class TinyNet(nn.Module):
    """The network that the first tutorial builds: a convolution over time, a residual block, a pool, a classifier."""

    def __init__(self, channels: int = 24, expansion: int = 3, classes: int = 4) -> None:
        super().__init__()
        self.stem = Conv3d5x1x1BnAct(3, channels, bias=False, groups=1, use_bn=False)
        self.block = X3dBottleneckBlock(
            in_channels=channels,
            mid_channels=int(channels * expansion),
            out_channels=channels,
            use_residual=True,
            spatial_stride=1,
            se_ratio=0.0625,
            act_functions=("relu", "swish", "relu"),
            use_bn=(True, True, True),
        )
        self.pool = AdaptiveAvgPool3dOutSize1()
        self.classify = FullyConnected(channels, classes, bias=True)
        self.act = supported_act_functions["relu"]()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(self.block(self.stem(x)))
        x = self.classify(x.permute((0, 2, 3, 4, 1)))  # (B, C, 1, 1, 1) -> (B, 1, 1, 1, classes)
        if not self.training:
            x = self.act(x).mean([1, 2, 3])
        return x.view(x.shape[0], -1)


class BetweenStubs(nn.Module):
    """The tutorials' wrapper, which says where int8 begins and ends."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.quant = torch.quantization.QuantStub()
        self.inner = inner
        self.dequant = torch.quantization.DeQuantStub()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dequant(self.inner(self.quant(x)))


def int8_of(deployable: nn.Module, calibration: torch.Tensor | None) -> nn.Module:
    """Prepare, calibrate if there are clips, convert."""
    wrapped = BetweenStubs(copy.deepcopy(deployable))
    wrapped.qconfig = torch.quantization.default_qconfig
    prepared = torch.quantization.prepare(wrapped)
    if calibration is not None:
        prepared(calibration)
    return torch.quantization.convert(prepared)


def check_trace(model: nn.Module, clip: torch.Tensor, folder: Path) -> None:
    """Traces without a flag of the model's own, saves, loads, and gets the same."""
    torch.jit.trace(model, clip, strict=False).save(str(folder / "traced.pt"))
    torch.testing.assert_close(torch.jit.load(str(folder / "traced.pt"))(clip), model(clip))


def check_blocks_are_converted(model: nn.Module) -> None:
    blocks = [m for m in model.modules() if isinstance(m, EfficientBlockBase)]
    assert blocks
    assert all(block.convert_flag for block in blocks)


@torch.no_grad()
def test_build_your_model(tmp_path: Path) -> None:
    net = TinyNet()
    nn.init.uniform_(
        net.classify.model.bias, 0.5, 1.5
    )  # so that the last activation lets values through
    clip = torch.randn((1, 3, 4, 6, 6))
    deployed = convert_to_deployable_form(net, clip)
    assert net.training
    net.eval()
    wanted = net(clip)
    torch.testing.assert_close(deployed(clip), wanted, atol=1e-5, rtol=1e-5)
    check_blocks_are_converted(deployed)
    check_trace(deployed, clip, tmp_path)

    int8 = int8_of(deployed, clip)
    assert not any(isinstance(m, nn.Conv2d | nn.Conv3d | nn.Linear) for m in int8.modules())
    error = (int8(clip) - wanted).abs().max() / wanted.abs().max()
    assert 0 < error < 0.1
    check_trace(int8, clip, tmp_path)
    # as it stands in the tutorial, which skips calibration: it runs, its ranges are arbitrary
    check_trace(int8_of(deployed, None), clip, tmp_path)


@pytest.mark.slow
@torch.no_grad()
def test_use_the_model_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # one block a stage: TorchScript takes a minute for all of them
    monkeypatch.setitem(efficient_x3d._DEPTH_FACTORS, "XS", 0.2)
    torch.save(EfficientX3d(expansion="XS").state_dict(), tmp_path / "efficient_x3d_xs.pth")

    model = EfficientX3d(expansion="XS", head_act="identity")
    with open(tmp_path / "efficient_x3d_xs.pth", "rb") as file:
        checkpoint = torch.load(file, map_location="cpu")
    model.load_state_dict(checkpoint)
    clip = nn.functional.interpolate(torch.randn(1, 3, 2, 8, 8), scale_factor=(1, 4, 4))
    deployed = convert_to_deployable_form(model, clip)
    wanted = model.eval()(clip)
    torch.testing.assert_close(deployed(clip), wanted, atol=1e-4, rtol=1e-4)
    check_blocks_are_converted(deployed)
    check_trace(deployed, clip, tmp_path)

    int8 = int8_of(deployed, clip)
    assert not any(isinstance(m, nn.Conv2d | nn.Conv3d | nn.Linear) for m in int8.modules())
    error = (int8(clip) - wanted).norm() / wanted.norm()
    assert 0 < error < 0.2
    check_trace(int8, clip, tmp_path)


class Residual(nn.Module):
    """A model of a user, of ordinary layers."""

    def __init__(self) -> None:
        super().__init__()
        self.over_3 = nn.Conv3d(3, 3, kernel_size=(3, 1, 1), padding=(1, 0, 0))
        self.over_5 = nn.Conv3d(3, 3, kernel_size=(5, 1, 1), padding=(2, 0, 0))
        self.wide = nn.Conv3d(3, 6, kernel_size=1)
        self.each = nn.Conv3d(6, 6, kernel_size=3, padding=1, groups=6)
        self.narrow = nn.Conv3d(6, 3, kernel_size=1)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.relu(self.wide(self.over_5(self.over_3(x))))
        return self.relu(self.narrow(self.relu(self.each(out))) + x)


@torch.no_grad()
def test_use_the_transmuter(tmp_path: Path) -> None:
    import pytorchvideo.accelerator.deployment.mobile_cpu.transmuter  # noqa: F401

    model = Residual()
    original = copy.deepcopy(model)
    transmute_model(model, target_device="mobile_cpu")
    assert {name: type(layer).__name__ for name, layer in model.named_children()} == {
        "over_3": "Conv3d3x1x1BnAct",
        "over_5": "Conv3d5x1x1BnAct",
        "wide": "Conv3dPwBnAct",
        "each": "Conv3d3x3x3DwBnAct",
        "narrow": "Conv3dPwBnAct",
        "relu": "ReLU",
    }
    clip = torch.randn((1, 3, 2, 6, 6))
    deployed = convert_to_deployable_form(model, clip)
    torch.testing.assert_close(deployed(clip), original(clip), atol=1e-5, rtol=1e-5)
    check_blocks_are_converted(deployed)
    check_trace(deployed, clip, tmp_path)
