# SPDX-License-Identifier: Apache-2.0
"""The fast way through a chain gives the values of its layers, and is taken only where nobody can tell."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytorchvideo.layers import _cpu_fast_path as _chain
from pytorchvideo.layers._cpu_fast_path import Chain, Layers, run_chain
from pytorchvideo.layers.swish import Swish


class Block(Chain):
    """Convolution, norm, activation."""

    def __init__(self, conv: nn.Module, norm: nn.Module | None, act: nn.Module | None) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, act

    def chain(self) -> Layers:
        return self.conv, self.norm, self.act


def trained_norm(channels: int) -> nn.BatchNorm3d:
    norm = nn.BatchNorm3d(channels)
    for tensor in norm.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(channels) + 0.5)
    return norm.eval()


def one_by_one(layers: list[nn.Module], x: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        x = layer(x)
    return x


@pytest.fixture
def block() -> Block:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Block(nn.Conv3d(4, 6, 1), trained_norm(6), nn.ReLU()).eval()


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.randn(1, 4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


sizes = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    kernel=sizes,
    stride=sizes,
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1), st.integers(0, 1)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2), st.integers(1, 2)),
    groups=st.sampled_from([1, 2, 6]),
    bias=st.booleans(),
    normed=st.booleans(),
    act=st.sampled_from([nn.ReLU, nn.SiLU, Swish, nn.GELU]),
    batch=st.integers(1, 2),
    frames=st.integers(5, 6),
    channels_last=st.booleans(),
)
def test_values_are_those_of_the_layers(
    kernel: tuple[int, int, int],
    stride: tuple[int, int, int],
    padding: tuple[int, int, int],
    dilation: tuple[int, int, int],
    groups: int,
    bias: bool,
    normed: bool,
    act: type[nn.Module],
    batch: int,
    frames: int,
    channels_last: bool,
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        conv = nn.Conv3d(6, 12, kernel, stride, padding, dilation, groups, bias)
        x = torch.randn(batch, 6, frames, 9, 7)
        layers = [conv, *([trained_norm(12)] if normed else []), act()]
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last_3d)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(run_chain(layers, x), one_by_one(layers, x))
    assert torch.equal(x, before)
    mine, wanted = (copy.deepcopy(nn.Sequential(*layers)) for _ in range(2))
    run_chain([mine], x).square().sum().backward()
    wanted(x).square().sum().backward()
    for name, parameter in wanted.named_parameters():
        torch.testing.assert_close(
            mine.get_parameter(name).grad, parameter.grad, rtol=1e-4, atol=1e-3
        )


@pytest.mark.parametrize("shape", [(1, 64, 4, 100, 6), (1, 6, 1, 1, 1), (0, 6, 2, 4, 4)])
def test_values_of_large_small_and_no_clips(shape: tuple[int, ...]) -> None:
    channels = shape[1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        convs = [nn.Conv3d(channels, 6, 1), nn.Conv3d(6, 6, (3, 1, 1), padding=(1, 0, 0))]
        x = torch.randn(shape)
    with torch.no_grad():
        torch.testing.assert_close(run_chain(convs, x), one_by_one(convs, x))


@pytest.mark.parametrize("normed", [False, True])
@pytest.mark.parametrize(
    ("kernel_t", "stride", "channels_last"),
    [(1, 1, False), (1, 2, False), (3, 1, True), (3, 2, True)],
)
def test_one_frame_is_a_product_of_matrices(
    kernel_t: int, stride: int, channels_last: bool, normed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        conv = nn.Conv3d(6, 12, (kernel_t, 1, 1), (1, stride, stride))
        x = torch.randn(1, 6, kernel_t, 9, 7)
    if channels_last:
        conv = conv.to(memory_format=torch.channels_last_3d)
    layers = [conv, *([trained_norm(12)] if normed else []), nn.ReLU()]
    with torch.no_grad():
        wanted = one_by_one(layers, x)
        for name in ("conv2d", "conv3d"):
            monkeypatch.delattr(f"torch.nn.functional.{name}")
        out = run_chain(layers, x)
    torch.testing.assert_close(out, wanted)
    # the next layer need not copy it
    assert out.is_contiguous(memory_format=torch.channels_last_3d)


def test_nested_chains_are_one(block: Block, clip: torch.Tensor) -> None:
    nested = Block(block, nn.Sequential(nn.Identity(), trained_norm(6)), Swish()).eval()
    with torch.no_grad():
        wanted = one_by_one([block.conv, block.norm, block.act, nested.norm, nested.act], clip)
        torch.testing.assert_close(nested(clip), wanted)


def test_hooks_see_every_layer(block: Block, clip: torch.Tensor) -> None:
    seen = {}
    for name, layer in block.named_children():
        layer.register_forward_hook(lambda m, args, out, name=name: seen.__setitem__(name, out))
    with torch.no_grad():
        out = block(clip)
        wanted = {"conv": block.conv(clip)}
        wanted["norm"] = block.norm(wanted["conv"])
        wanted["act"] = block.act(wanted["norm"])
        assert torch.equal(out, wanted["act"])
    for name, value in wanted.items():
        assert torch.equal(seen[name], value), f"{name} was changed after its hook saw it"


@pytest.mark.parametrize("name", ["conv", "norm", "act"])
def test_one_hook_is_enough(block: Block, clip: torch.Tensor, name: str) -> None:
    """The result of a hook counts, whichever layer it is on."""
    layer = getattr(block, name)
    layer.register_forward_hook(lambda m, args, out: out * 0 + 2)
    rest = [block.conv, block.norm, block.act]
    rest = rest[rest.index(layer) + 1 :]
    with torch.no_grad():
        wanted = one_by_one(rest, torch.full((1, 6, 3, 8, 8), 2.0))
        torch.testing.assert_close(block(clip), wanted)


def test_replaced_forward_counts(block: Block, clip: torch.Tensor) -> None:
    block.conv.forward = lambda x: torch.ones(1, 6, *x.shape[2:])  # type: ignore[method-assign]
    with torch.no_grad():
        wanted = block.norm(torch.ones(1, 6, 3, 8, 8)).relu()
        torch.testing.assert_close(block(clip), wanted)


def test_norm_in_training_keeps_its_statistics_up(block: Block, clip: torch.Tensor) -> None:
    block.norm.train()
    before = block.norm.running_mean.clone()
    with torch.no_grad():
        out = block(clip)
    assert not torch.equal(block.norm.running_mean, before)
    torch.testing.assert_close(out, block.norm(block.conv(clip)).relu())


def test_backward_hooks_see_every_layer(block: Block, clip: torch.Tensor) -> None:
    seen = []
    for layer in block.children():
        layer.register_full_backward_hook(lambda m, inputs, outputs: seen.append(m))
    block(clip.requires_grad_()).sum().backward()
    assert seen == [block.act, block.norm, block.conv]


def test_norms_are_not_folded_where_there_are_gradients(block: Block, clip: torch.Tensor) -> None:
    block(clip).sum().backward()
    assert all(parameter.grad is not None for parameter in block.parameters())


def test_layers_are_called_in_graphs_and_in_other_precisions(
    block: Block, clip: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*args: object) -> None:
        raise AssertionError

    monkeypatch.setattr(_chain, "_convolved", forbidden)
    with torch.no_grad():
        block.double()(clip.double())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            copy.deepcopy(block).float()(clip)
        graph = torch.export.export(block, (clip.double(),)).graph
    names = [node.target.__name__ for node in graph.nodes if node.op == "call_function"]
    assert names[0].startswith("conv3d")
