# SPDX-License-Identifier: Apache-2.0
"""Networks of clips as networks of images: every layer of the zoo, and whole networks."""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo.accelerator.deployment._errors import ExportError
from pytorchvideo.accelerator.deployment.images import without_3d_operators
from pytorchvideo.accelerator.deployment.images.operators import (
    ON_IMAGES,
    ImageConv,
    Images,
)
from pytorchvideo.models import create_model, list_models, model_entry
from pytorchvideo.models.i3d import MaxPoolSame

aten = torch.ops.aten


def zoo_layers() -> dict[str, set[tuple[Any, ...]]]:
    """The sizes of all convolutions (with whether they are depthwise) and pools of all models."""
    layers: dict[str, set[tuple[Any, ...]]] = {"conv": set(), "max": set(), "avg": set()}
    for name in list_models():
        with torch.device("meta"):
            model = model_entry(name).build()
        for m in model.modules():
            if isinstance(m, nn.Conv3d):
                depthwise = 1 < m.groups == m.in_channels
                assert m.groups in (1, m.in_channels)
                layers["conv"].add((m.kernel_size, m.stride, m.padding, m.dilation, depthwise))
            elif isinstance(m, nn.MaxPool3d):
                sizes = (m.kernel_size, m.stride, m.padding, m.dilation)
                layers["max"].add(tuple(triple(size) for size in sizes))
            elif isinstance(m, MaxPoolSame):
                layers["max"].add((tuple(m.kernel), tuple(m.stride), (0, 0, 0), (1, 1, 1)))
            elif isinstance(m, nn.AvgPool3d):
                layers["avg"].add(tuple(triple(s) for s in (m.kernel_size, m.stride, m.padding)))
    return layers


def triple(size: Any) -> tuple[int, ...]:
    return (size,) * 3 if isinstance(size, int) else tuple(size)


def clip(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def assert_conv(
    kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int, x: torch.Tensor
) -> None:
    sizes = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    weight, bias = clip(8, x.shape[1] // groups, *kernel), clip(8)
    made = ImageConv(weight, bias, x.shape[2], **sizes)
    with torch.no_grad():
        wanted = F.conv3d(x, weight, bias, **sizes)
        torch.testing.assert_close(made(x).clip(), wanted, rtol=1e-5, atol=1e-4)


def test_every_layer_of_the_zoo() -> None:
    layers = zoo_layers()
    assert {kind: len(sizes) > 2 for kind, sizes in layers.items()} == dict.fromkeys(layers, True)
    for kernel, stride, padding, dilation, depthwise in layers["conv"]:
        for batch, frames in ((1, 7), (2, 8)):
            x = clip(batch, 8 if depthwise else 3, frames, 11, 14)
            assert_conv(kernel, stride, padding, dilation, 8 if depthwise else 1, x)
    for kernel, stride, padding, dilation in layers["max"]:
        x = clip(2, 3, 6, 9, 12) - 3
        wanted = F.max_pool3d(x, kernel, stride, padding, dilation)
        assert_pool(aten.max_pool3d.default, x, wanted, kernel, stride, padding, dilation)
    for kernel, stride, padding in layers["avg"]:
        x = clip(2, 2, *(size + extra for size, extra in zip(kernel, (0, 1, 0), strict=True)))
        wanted = F.avg_pool3d(x, kernel, stride, padding)
        assert_pool(aten.avg_pool3d.default, x, wanted, kernel, stride, padding)


def assert_pool(operator: Any, x: torch.Tensor, wanted: torch.Tensor, *args: Any) -> None:
    got = ON_IMAGES[operator](x, *args)
    assert isinstance(got, Images)
    torch.testing.assert_close(got.clip(), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_other_convolutions(frames: int, groups: int) -> None:
    x = clip(2, 4, frames, 9, 8)
    for kernel, stride, dilation in itertools.product((1, 2, 3), (1, 2, 3), (1, 2)):
        for padding in {dilation * (kernel // 2), dilation * (kernel - 1)}:
            sizes = [(size, size, 1) for size in (kernel, stride)]
            if frames + 2 * padding > dilation * (kernel - 1):
                assert_conv(*sizes, (padding, padding, 0), (dilation, dilation, 1), groups, x)


@pytest.mark.parametrize("frames", [2, 5, 6])
def test_rules_of_pools(frames: int) -> None:
    x = clip(2, 3, frames, 7, 8) - 3
    for kernel, stride, padding in itertools.product((2, 3), (1, 2), (0, 1)):
        for ceil_mode, dilation in itertools.product((False, True), (1, 2)):
            if frames + 2 * padding > dilation * (kernel - 1):
                args = [kernel], [stride], [padding], [dilation], ceil_mode
                assert_pool(aten.max_pool3d.default, x, aten.max_pool3d(x, *args), *args)
        for ceil_mode, counted in itertools.product((False, True), (False, True)):
            if frames >= kernel:
                wanted = F.avg_pool3d(x, kernel, stride, padding, ceil_mode, counted)
                args = [kernel], [stride], [padding], ceil_mode, counted
                assert_pool(aten.avg_pool3d.default, x, wanted, *args)
    with pytest.raises(ExportError, match="no form of avg_pool3d with a divisor"):
        ON_IMAGES[aten.avg_pool3d.default](x, [2], divisor_override=3)
    with pytest.raises(ExportError, match="adaptive_avg_pool3d to more than one position"):
        ON_IMAGES[aten.adaptive_avg_pool3d.default](x, [2, 1, 1])


class Arithmetic(nn.Module):
    """What stands between the layers of networks."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.pool = nn.BatchNorm3d(4), nn.AdaptiveAvgPool3d(1)
        self.scale = nn.Parameter(torch.arange(4.0).view(4, 1, 1, 1))
        self.offset = nn.Parameter(torch.arange(12.0).view(1, 4, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x) * self.pool(x).sigmoid() + self.scale + self.offset
        y = torch.cat([F.pad(y, (1, 2, 0, 1, 1, 0)), F.pad(x * 2, (1, 2, 0, 1, 1, 0), value=1)], 1)
        y = y.relu_() - x.mean((2, 3, 4), keepdim=True).repeat(1, 2, 1, 1, 1)
        return torch.cat([y, y.flip(2)], dim=2) + y.amax()


@pytest.mark.parametrize("batch", [1, 2])
def test_arithmetic_of_clips(batch: int) -> None:
    model, x = Arithmetic(), clip(batch, 4, 3, 5, 6)
    nn.init.normal_(model.norm.running_mean)
    nn.init.uniform_(model.norm.bias)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    made = without_3d_operators(model, (x,))
    wanted = model.eval()(x)
    torch.testing.assert_close(made(x), wanted, rtol=1e-5, atol=1e-5)
    assert not made.training
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_norms_become_part_of_convolutions() -> None:
    model = nn.Sequential(nn.Conv3d(3, 4, 3), nn.BatchNorm3d(4), nn.ReLU(), nn.BatchNorm3d(4))
    x = clip(1, 3, 4, 6, 6)
    for norm in (model[1], model[3]):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    made = without_3d_operators(model, (x,))
    torch.testing.assert_close(made(x), model.eval()(x), rtol=1e-5, atol=1e-5)
    targets = [str(node.target) for node in made.graph.nodes if node.op == "call_function"]
    assert sum("conv2d" in target for target in targets) == 2
    assert not any("batch_norm" in target for target in targets)
    assert sum(p.numel() for p in made.parameters()) == 4 * 3 * 27 + 4 + 4 + 4


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.ConvTranspose3d(3, 4, 2), "no form of aten.conv_transpose3d"),
        (nn.BatchNorm3d(3, track_running_stats=False), "batch_norm with the statistics of a batch"),
        (nn.AdaptiveAvgPool3d(2), "adaptive_avg_pool3d to more than one position"),
        (nn.Conv2d(3, 4, 1), "could not be exported by torch.export for images"),
    ],
)
def test_refusals(model: nn.Module, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        without_3d_operators(model, (clip(1, 3, 4, 6, 6),))


class Pathways(nn.Module):
    """A model that takes a list, as one that takes tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *clips: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self.model(list(clips))
        return scores


def small(name: str, **kwargs: Any) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """A small model with statistics in its batch norms, and its input."""
    kwargs |= model_entry(name).logits_arguments
    model = create_model(name, num_classes=5, num_frames=8, crop_size=32, **kwargs).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm3d):
            nn.init.normal_(norm.running_mean, std=0.1)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    x = clip(1, 3, 8, 32, 32)
    return (Pathways(model), (x[:, :, ::4], x)) if "slowfast" in name else (model, (x,))


NETWORKS = {
    "x3d_xs": {"depth_factor": 0.4},
    "slow_r50": {},
    "slowfast_r50": {"model_depth": 18},
    "csn_r101": {"model_depth": 50},
    "i3d_inception": {},
    "mvit_base_16x4": {"depth": 4},
    "r2plus1d_r50": {},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name: str, shallow: Callable[[], AbstractContextManager[None]]) -> None:
    with shallow():
        model, inputs = small(name, **NETWORKS[name])
    made = without_3d_operators(model, inputs)
    with torch.no_grad():
        torch.testing.assert_close(made(*inputs), model(*inputs), rtol=1e-4, atol=1e-5)
    for node in made.graph.nodes:
        if node.op == "call_function":
            operator = str(node.target)
            dims = {n.meta["val"].ndim for n in (node, *node.all_input_nodes)}
            assert "3d" not in operator
            assert 5 not in dims or not any(word in operator for word in ("conv", "pool", "norm"))
