# SPDX-License-Identifier: Apache-2.0
"""Every runtime computes what the model does, and says in a sentence what it has not."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pytorchvideo.accelerator.deployment._errors import export_errors
from pytorchvideo.accelerator.deployment.runtimes import (
    RUNTIMES,
    ExportError,
    Inputs,
    Positional,
    Precision,
    needs_calibration,
)
from pytorchvideo.models import create_model

EVERY = sorted(RUNTIMES)
# the compiler of AOTInductor takes its time
FAST = [name for name in EVERY if name != "aoti"]


class TwoPathways(nn.Module):
    """A network of clips at two rates, with what 3-D networks are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = nn.Sequential(nn.Conv3d(3, 4, (1, 3, 3), padding=(0, 1, 1)), nn.BatchNorm3d(4))
        self.fast = nn.Sequential(nn.Conv3d(3, 4, 3, stride=(2, 1, 1), padding=1), nn.SiLU())
        self.linear = nn.Linear(4, 5)

    def forward(self, x: list[torch.Tensor]) -> torch.Tensor:
        y = self.slow(x[0]) + self.fast(x[1])
        return self.linear(y.mean((2, 3, 4)))


@pytest.fixture
def model() -> nn.Module:
    return Positional(TwoPathways().eval().requires_grad_(False), 2)


def clips(batch: int = 1) -> Inputs:
    return torch.rand(batch, 3, 2, 12, 10), torch.rand(batch, 3, 4, 12, 10)


@pytest.mark.parametrize("name", [*FAST, pytest.param("aoti", marks=pytest.mark.slow)])
def test_artefact_computes_what_the_model_does(name: str, model: nn.Module, tmp_path: Path) -> None:
    runtime = RUNTIMES[name]
    file = tmp_path / f"model{runtime.suffix}"
    runtime.export(model, clips(), file)
    run = runtime.load(file, threads=1)
    first, second = clips(), clips()
    wanted = model(*first)
    got = run(*first)
    run(*second)
    # what was returned is not the memory of the next answer
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(run(*second), model(*second), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", [name for name in FAST if RUNTIMES[name].dynamic_batch])
def test_batches_of_any_size(name: str, model: nn.Module, tmp_path: Path) -> None:
    runtime = RUNTIMES[name]
    file = tmp_path / f"model{runtime.suffix}"
    runtime.export(model, clips(), file, dynamic_batch=True)
    run = runtime.load(file)
    for batch in (1, 2, 5):
        x = clips(batch)
        torch.testing.assert_close(run(*x), model(*x), atol=1e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "precision"),
    [(n, p) for n in EVERY for p in RUNTIMES[n].precisions if needs_calibration(p)],
)
def test_int8_is_near(name: str, precision: Precision, model: nn.Module, tmp_path: Path) -> None:
    runtime = RUNTIMES[name]
    file = tmp_path / f"model{runtime.suffix}"
    calibration = [clips() for _ in range(8)]
    runtime.export(model, clips(), file, precision=precision, calibration=calibration)
    run = runtime.load(file, precision=precision)
    x = clips()
    wanted, got = model(*x), run(*x)
    assert 0 < float((got - wanted).abs().max()) < 0.05 * float(wanted.abs().max())


@pytest.mark.slow
def test_depthwise_convolutions_are_left_to_bf16(tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    size = {"num_frames": 4, "crop_size": 32}
    model = create_model("x3d_xs", num_classes=5, depth_factor=0.2, **size).eval()
    clip, file = torch.rand(1, 3, 4, 32, 32), tmp_path / "model.xml"
    quantised = {}
    for precision in ("int8", "int8+bf16"):
        calibration = [(clip,), (clip.flip(4),)]
        RUNTIMES["openvino"].export(
            model, (clip,), file, precision=precision, calibration=calibration
        )
        ops = openvino.Core().read_model(file).get_ordered_ops()
        depthwise = [op for op in ops if op.get_type_name() == "GroupConvolution"]
        sources = {op.input_value(0).get_node().get_type_name() for op in depthwise}
        quantised[precision] = "FakeQuantize" in sources
        got = RUNTIMES["openvino"].load(file, precision=precision)(clip)
        with torch.no_grad():
            wanted = model(clip)
        torch.testing.assert_close(got, wanted, rtol=0, atol=0.1 * float(wanted.abs().max()))
    assert quantised == {"int8": True, "int8+bf16": False}


def test_bf16_is_near(model: nn.Module, tmp_path: Path) -> None:
    runtime = RUNTIMES["openvino"]
    runtime.export(model, clips(), tmp_path / "model.xml", precision="bf16")
    x = clips()
    got = runtime.load(tmp_path / "model.xml", precision="bf16")(*x)
    torch.testing.assert_close(got, model(*x), atol=0.02, rtol=0.02)


def test_the_model_stays_as_it_is(model: nn.Module, tmp_path: Path) -> None:
    model.train().requires_grad_(True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    RUNTIMES["onnx"].export(model, clips(), tmp_path / "model.onnx")
    assert model.training and all(p.requires_grad for p in model.parameters())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("name", "precision", "dynamic", "message"),
    [
        ("onnx", "bf16", False, "bf16 with one of openvino, but got 'bf16 with onnx'"),
        ("aoti", "int8", False, "int8 with one of onnx, openvino, executorch"),
        ("executorch", "fp32", True, "dynamic_batch.* one of onnx, openvino, torch-export, aoti"),
    ],
)
def test_what_a_runtime_has_not(
    name: str,
    precision: Precision,
    dynamic: bool,
    message: str,
    model: nn.Module,
    tmp_path: Path,
) -> None:
    with pytest.raises(ValueError, match=message):
        RUNTIMES[name].export(
            model, clips(), tmp_path / "model", precision=precision, dynamic_batch=dynamic
        )


def test_int8_needs_clips(model: nn.Module, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one clip for int8, but got 0"):
        RUNTIMES["openvino"].export(model, clips(), tmp_path / "model.xml", precision="int8")


class NoGraph(nn.Module):
    """Looks at its values in Python."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if float(x.sum()) > 0 else -x


@pytest.mark.parametrize("name", FAST)
def test_a_model_without_a_graph_is_a_sentence(name: str, tmp_path: Path) -> None:
    runtime = RUNTIMES[name]
    with pytest.raises(ExportError, match=r"^The model could not be .* for .*\.$") as caught:
        runtime.export(NoGraph(), (torch.rand(1, 3),), tmp_path / f"model{runtime.suffix}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ValueError("no\nhandler for aten::foo.out here"), "the operator aten::foo.out stands"),
        (KeyError("torchvision.roi_align.default"), "operator torchvision.roi_align.default"),
        (TypeError("other"), "converted for onnx: TypeError: other. Try"),
    ],
)
def test_the_operator_is_named(error: Exception, words: str) -> None:
    with (
        pytest.raises(ExportError, match=words),
        export_errors("onnx", "converted", "Try openvino."),
    ):
        raise error


def test_a_package_that_is_missing_is_named() -> None:
    with (
        pytest.raises(ExportError, match=r"onnx needs the package foo. .*pytorchvideo\[deploy\]"),
        export_errors("onnx", "converted", "Try openvino."),
    ):
        raise ModuleNotFoundError("No module named 'foo'", name="foo")


@pytest.mark.parametrize("name", EVERY)
def test_a_file_that_is_no_artefact(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"model{RUNTIMES[name].suffix}"
    file.write_bytes(b"nothing")
    with pytest.raises(ExportError, match=f"could not be loaded for {name}"):
        RUNTIMES[name].load(file)
