# SPDX-License-Identifier: Apache-2.0
"""Rounded weights lie on 255 steps, and layers that have them are nearer than with the nearest ones."""

import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from pytorchvideo.accelerator.deployment._program import make_program
from pytorchvideo.accelerator.deployment.runtimes import RUNTIMES
from pytorchvideo.accelerator.deployment.runtimes._rounding import _Moments, round_weights, rounded


def correlated(count: int, size: int) -> torch.Tensor:
    """Inputs as those after a ReLU: with a mean, and few directions."""
    generator = torch.Generator().manual_seed(0)
    few = torch.randn(count, 4, generator=generator) @ torch.randn(4, size, generator=generator)
    return F.relu(few + 0.1 * torch.randn(count, size, generator=generator))


def nearest(weight: torch.Tensor) -> torch.Tensor:
    step = weight.abs().amax(1, keepdim=True) / 127
    return (weight / step).round() * step


def test_errors_cancel() -> None:
    x, weight = (
        correlated(500, 300),
        torch.randn(8, 300, generator=torch.Generator().manual_seed(1)),
    )
    seen, others = x[:400], x[400:]
    found = rounded(weight, seen.T @ seen)

    def error(values: torch.Tensor) -> float:
        return float((others @ (values - weight).T).pow(2).mean())

    assert error(found) < error(nearest(weight)) / 4


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(1, 300), st.integers(0, 99))
def test_weights_lie_on_the_steps_of_the_largest(rows: int, columns: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator)
    x = correlated(50, columns)
    found = rounded(weight, x.T @ x)
    largest = weight.abs().amax(1, keepdim=True)
    torch.testing.assert_close(found.abs().amax(1, keepdim=True), largest, rtol=1e-6, atol=0)
    steps = found / largest * 127
    torch.testing.assert_close(steps, steps.round(), rtol=0, atol=1e-3)


def test_a_channel_without_weights_and_an_input_without_values() -> None:
    weight = torch.tensor([[0.0, 0.0, 0.0], [1.0, -0.3, 0.2]])
    found = rounded(weight, torch.zeros(3, 3))
    torch.testing.assert_close(found[0], weight[0])
    torch.testing.assert_close(found[1], nearest(weight)[1])


LAYERS = {
    "linear": (nn.Linear(5, 3), (2, 7, 5)),
    "pictures": (nn.Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(1, 0)), (2, 2, 5, 6)),
    "clips": (nn.Conv3d(2, 3, (3, 1, 2), padding=(1, 0, 0), dilation=(1, 1, 2)), (1, 2, 4, 3, 5)),
}


@pytest.mark.parametrize("name", list(LAYERS))
def test_moments_are_those_of_what_a_row_is_multiplied_with(name: str) -> None:
    layer, shape = LAYERS[name]
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    model = nn.Sequential(layer, nn.Flatten(), nn.LazyLinear(2))
    model(x)
    graph = make_program(model, (x,), runtime="test").module(check_guards=False)
    moments = _Moments(graph)
    moments.run(x)
    ((weight, found),) = moments.found.values()
    rows = weight.flatten(1).shape[1]
    # the layer of one weight alone gives one column of what rows are multiplied with
    columns = []
    for i in range(rows):
        one = torch.zeros(1, rows)
        one[0, i] = 1
        single = type(layer).forward
        channels = layer.weight.data, layer.bias
        layer.weight.data = one.view(1, *layer.weight.shape[1:])
        layer.bias = None
        columns.append(single(layer, x).flatten())
        layer.weight.data, layer.bias = channels
    inputs = torch.stack(columns, dim=1)
    torch.testing.assert_close(found, inputs.T @ inputs)


class Small(nn.Module):
    """Two layers that are rounded, a depthwise one and a classifier that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm3d(6)
        self.depthwise = nn.Conv3d(6, 6, 3, padding=1, groups=6)
        self.point = nn.Conv3d(6, 8, 1)
        self.classifier = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.norm(self.stem(x)))
        return self.classifier(F.relu(self.point(self.depthwise(x))).mean((2, 3, 4)))


def clips(count: int) -> list[tuple[torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.rand(1, 3, 3, 8, 8, generator=generator),) for _ in range(count)]


@pytest.fixture
def model() -> Small:
    model = Small()
    # its norm scales channels, some by less than zero, after they were rounded
    nn.init.uniform_(model.norm.weight, -2, 2)
    return model.eval().requires_grad_(False)


def test_layers_of_a_program(model: Small) -> None:
    program = make_program(model, clips(1)[0], runtime="test")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    round_weights(program, clips(20))
    changed = [
        name for name, value in before.items() if not torch.equal(program.state_dict[name], value)
    ]
    assert changed == ["stem.weight", "point.weight"]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_twice_is_once(model: Small) -> None:
    states = []
    for _ in range(2):
        program = make_program(model, clips(1)[0], runtime="test")
        round_weights(program, clips(4))
        states.append(program.state_dict)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_openvino_keeps_the_weights(model: Small, tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    calibration, file = clips(4), tmp_path / "model.xml"
    RUNTIMES["openvino"].export(
        model, calibration[0], file, precision="int8", calibration=calibration
    )
    network = openvino.Core().read_model(file)
    kinds = [op.get_type_name() for op in network.get_ordered_ops()]
    assert {"FakeQuantize", "Convolution"} <= set(kinds)
    for op in network.get_ordered_ops():
        # without the rounding of activations, what is left is that of weights
        if op.get_type_name() == "FakeQuantize":
            op.output(0).replace(op.input_value(0))
    run = openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    program = make_program(model, calibration[0], runtime="test")
    round_weights(program, calibration)
    plain = program.module()
    # depthwise weights are rounded by the converter
    weight = model.depthwise.weight.flatten(1)
    program.state_dict["depthwise.weight"].copy_(nearest(weight).view(6, 1, 3, 3, 3))
    for (clip,) in itertools.islice(calibration, 2):
        found = torch.from_numpy(run(clip.numpy())[0])
        torch.testing.assert_close(found, plain(clip), atol=1e-5, rtol=1e-4)
