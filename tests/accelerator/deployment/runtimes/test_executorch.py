# SPDX-License-Identifier: Apache-2.0
"""Models through ExecuTorch's XNNPACK back end, in float32 and int8."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo.accelerator.deployment._errors import ExportError
from pytorchvideo.accelerator.deployment.runtimes import _executorch
from pytorchvideo.accelerator.deployment.runtimes._executorch import (
    export_executorch,
    load_executorch,
    lower,
    undelegated,
    write,
)
from pytorchvideo.models import create_model
from pytorchvideo.models.i3d import InceptionBlock, MaxPoolSame
from pytorchvideo.models.net import Net
from pytorchvideo.models.x3d import (
    create_x3d_bottleneck_block,
    create_x3d_head,
    create_x3d_res_stage,
    create_x3d_stem,
)


class Network(nn.Module):
    """The layers of mobile networks, few of each: two pathways in, logits out."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 8, (5, 3, 3), stride=(2, 2, 2), padding=(2, 1, 1))
        self.norm, self.other = nn.BatchNorm3d(8), nn.BatchNorm3d(8)
        self.deep = nn.Conv3d(8, 8, 3, padding=1, groups=8, bias=False)
        self.same = MaxPoolSame((3, 3, 3), (1, 2, 2))
        self.gate = nn.Conv3d(8, 8, 1)
        self.branches, self.halved = InceptionBlock(8, (2,) * 6), MaxPoolSame((2, 2, 2), (2, 2, 2))
        self.lateral = nn.Conv3d(3, 8, 1)
        self.head, self.last = nn.AdaptiveAvgPool3d(1), nn.Linear(8, 5)

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> torch.Tensor:
        x = self.same(self.norm(self.stem(fast)).relu_())
        y = self.other(self.deep(x))
        y = F.silu(y * self.gate(self.head(y)).sigmoid()) + x
        y, z = self.head(y), self.head(self.halved(self.branches(x)))
        return self.last((y + z + self.head(self.lateral(slow))).flatten(1))


@pytest.fixture
def network() -> Network:
    model = Network().eval()
    for norm in (model.norm, model.other):
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return model


def inputs(number: int, side: int = 16) -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(number)
    # each frame costs seconds of lowering
    fast = torch.rand(1, 3, 4, side, side, generator=rng)
    return fast[:, :, ::2].contiguous(), fast


@pytest.mark.slow
def test_float32(network: Network, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    level, handlers = logging.root.manager.disable, list(logging.root.handlers)
    export_executorch(network, inputs(0), tmp_path / "model.pte")
    run = load_executorch(tmp_path / "model.pte", threads=1)
    with torch.no_grad():
        wanted = network(*inputs(9))
    first = run(*inputs(9))
    torch.testing.assert_close(first, wanted, rtol=1e-4, atol=1e-5)
    # a result stays what it is when the next one is computed
    run(*inputs(1))
    torch.testing.assert_close(first, wanted, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=r"`inputs` to be of the shapes \[\(1, 3, 2, 16, 16\), "):
        run(*inputs(9, side=18))
    assert capfd.readouterr() == ("", "")
    assert (logging.root.manager.disable, logging.root.handlers) == (level, handlers)


@pytest.mark.slow
def test_int8(network: Network, tmp_path: Path) -> None:
    calibration = [inputs(i) for i in range(4)]
    lowered = lower(network, inputs(0), calibration=calibration)
    assert not undelegated(lowered)
    write(lowered, tmp_path / "model.pte")
    got = load_executorch(tmp_path / "model.pte")(*inputs(9))
    with torch.no_grad():
        wanted = network(*inputs(9))
    assert not torch.equal(got, wanted)
    spread = float(wanted.max() - wanted.min())
    torch.testing.assert_close(got, wanted, rtol=0, atol=0.1 * spread)


@pytest.mark.slow
def test_what_is_outside(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    with caplog.at_level(logging.INFO):
        export_executorch(Wave(), (torch.rand(2, 3),), tmp_path / "model.pte")
    assert "not by XNNPACK: 1 aten.atan.default." in caplog.text
    x = torch.rand(2, 3)
    torch.testing.assert_close(load_executorch(tmp_path / "model.pte")(x), (x + x).atan())


class Wave(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x + x).atan()


def test_attention_and_layer_norm() -> None:
    rng = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 8, generator=rng) for n in (5, 7, 7))
    wanted = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(_executorch._attention(q, k, v), wanted)
    mask = torch.randn(5, 7, generator=rng)
    wanted = F.scaled_dot_product_attention(q, k, v, mask)
    torch.testing.assert_close(_executorch._attention(q, k, v, mask), wanted)
    for shape, affine in (((8,), True), ((8,), False), ((5, 8), True)):
        weights = [torch.randn(*shape, generator=rng) for _ in range(2)] if affine else []
        wanted = F.layer_norm(q, shape, *weights, eps=1e-3)
        torch.testing.assert_close(_executorch._layer_norm(q, shape, *weights, eps=1e-3), wanted)


class Sorted(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(x)


def test_errors(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"could not be .* for executorch"):
        export_executorch(Sorted(), (torch.eye(4),), tmp_path / "a.pte")
    text = tmp_path / "b.pte"
    text.write_text("no program of ExecuTorch" * 9)
    with pytest.raises(ExportError, match=r"b\.pte could not be loaded for executorch: Program id"):
        load_executorch(text)
    with pytest.raises(ExportError, match=r"c\.pte could not be loaded for executorch: .*No such"):
        load_executorch(tmp_path / "c.pte")


def test_nothing_is_imported_before_it_is_used() -> None:
    code = (
        "import sys, pytorchvideo.accelerator.deployment.runtimes._executorch;"
        "assert not {'executorch', 'torchao'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def shallow() -> nn.Module:
    """An X3D of a stage of two blocks, the second without squeeze-excitation: each costs seconds of lowering."""
    stem = create_x3d_stem(in_channels=3, out_channels=8)
    widths = {"dim_in": 8, "dim_inner": 16, "dim_out": 8}
    stage = create_x3d_res_stage(depth=2, bottleneck=create_x3d_bottleneck_block, **widths)
    head = create_x3d_head(
        dim_in=8,
        dim_inner=16,
        dim_out=32,
        num_classes=5,
        pool_kernel_size=(2, 8, 8),
        activation=None,
    )
    return Net(blocks=nn.ModuleList([stem, stage, head])).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "calibrated"),
    # lowering takes its time: one network has its full depth
    [("x3d_xs", False), ("efficient_x3d_xs", False), ("x3d_xs", True)],
)
def test_x3d(name: str, calibrated: bool, tmp_path: Path) -> None:
    if name == "efficient_x3d_xs":
        model = create_model(name, num_classes=5, num_frames=4, crop_size=64).eval()
        clips = torch.rand(3, 1, 3, 4, 64, 64)
    else:
        model = shallow()
        clips = torch.rand(3, 1, 3, 2, 32, 32)
    lowered = lower(model, (clips[0],), calibration=[(clip,) for clip in clips if calibrated])
    assert not undelegated(lowered)
    write(lowered, tmp_path / "model.pte")
    with torch.no_grad():
        wanted = model(clips[0])
    tolerance = 0.1 * float(wanted.abs().max()) if calibrated else 1e-5
    got = load_executorch(tmp_path / "model.pte")(clips[0])
    torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance)


def test_its_compiler_is_found_outside_of_an_activated_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """executorch 1.1 to 1.3 call ``flatc`` by name, or what ``FLATC_EXECUTABLE`` names."""
    flatc = tmp_path / "flatc"
    flatc.write_text("#!/bin/sh\n")
    flatc.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("FLATC_EXECUTABLE", "mine")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    _executorch._point_at_flatc()
    assert os.environ["FLATC_EXECUTABLE"] == "mine"
    monkeypatch.delenv("FLATC_EXECUTABLE")
    _executorch._point_at_flatc()
    assert os.environ["FLATC_EXECUTABLE"] == str(flatc)
