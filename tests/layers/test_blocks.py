# SPDX-License-Identifier: Apache-2.0
"""Layers against closed forms."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pytorchvideo.layers import (
    Conv2plus1d,
    DropPath,
    SqueezeExcitation,
    Swish,
    create_conv_2plus1d,
)
from pytorchvideo.layers._factories import build_activation, build_norm, size3
from pytorchvideo.layers.drop_path import drop_path
from pytorchvideo.layers.swish import SwishFunction
from pytorchvideo.layers.utils import round_repeats, round_width, set_attributes


@given(
    width=st.integers(1, 2048), multiplier=st.floats(0.01, 5), divisor=st.sampled_from([1, 4, 8])
)
def test_round_width(width: int, multiplier: float, divisor: int) -> None:
    scaled = width * multiplier
    rounded = round_width(width, multiplier, divisor=divisor)
    assert rounded >= max(8, 0.9 * scaled)
    assert rounded % divisor == 0
    assert rounded <= max(8, scaled + divisor)
    up = round_width(width, multiplier, divisor=divisor, ceil=True)
    assert scaled <= up + 1e-6


def test_round_edges() -> None:
    assert round_width(30, 0) == 30
    assert round_width(3, 1.0, min_width=0, divisor=16) == 16
    assert round_repeats(7, 0) == 7
    assert [round_repeats(d, 5.0) for d in (1, 2, 5, 3)] == [5, 10, 25, 15]


def test_set_attributes_without_parameters() -> None:
    holder = nn.Module()
    set_attributes(holder)
    assert list(holder.children()) == []


def test_swish() -> None:
    x = torch.linspace(-6, 6, 50, dtype=torch.float64, requires_grad=True)
    wanted = x * torch.sigmoid(x)
    torch.testing.assert_close(Swish()(x), wanted)
    torch.testing.assert_close(SwishFunction.apply(x), wanted)
    assert torch.autograd.gradcheck(Swish(), x)
    assert torch.export.export(Swish(), (x.detach(),)).module()(x.detach()).shape == (50,)


def test_drop_path() -> None:
    x = torch.ones(4000, 2, 3)
    out = drop_path(x, 0.25, training=True)
    kept = out.flatten(1)[:, 0] > 0
    assert torch.equal(out[kept], torch.full_like(out[kept], 1 / 0.75))
    assert torch.equal(out[~kept], torch.zeros_like(out[~kept]))
    # Standard deviation of the share is sqrt(0.25 * 0.75 / 4000) = 0.007.
    assert kept.float().mean().item() == pytest.approx(0.75, abs=0.035)
    assert drop_path(x, 0.25, training=False) is x
    assert DropPath()(x) is x
    assert torch.equal(DropPath(1.0)(x), torch.zeros_like(x))
    assert repr(DropPath(0.5)) == "DropPath(drop_prob=0.5)"
    with pytest.raises(ValueError, match=r"drop_prob` to be in \[0, 1\], but got 1.5"):
        DropPath(1.5)


def test_squeeze_excitation() -> None:
    layer = SqueezeExcitation(6, 2)
    assert set(layer.state_dict()) == {
        f"block.{i}.{name}" for i in (0, 2) for name in ("weight", "bias")
    }
    x = torch.randn(2, 6, 3, 4, 5)
    means = x.flatten(2).mean(dim=2)
    hidden = torch.relu(means @ layer.block[0].weight.flatten(1).T + layer.block[0].bias)
    gate = torch.sigmoid(hidden @ layer.block[2].weight.flatten(1).T + layer.block[2].bias)
    torch.testing.assert_close(layer(x), x * gate[:, :, None, None, None])


@pytest.mark.parametrize("conv_xy_first", [False, True])
def test_conv_2plus1d(conv_xy_first: bool) -> None:
    """Without norm and activation it is one convolution with the product of both kernels."""
    layer = create_conv_2plus1d(
        in_channels=2,
        out_channels=3,
        inner_channels=4,
        conv_xy_first=conv_xy_first,
        stride=(1, 2, 2),
        norm=None,
        activation=None,
    )
    first, last = (layer.conv_xy, layer.conv_t) if conv_xy_first else (layer.conv_t, layer.conv_xy)
    assert (first.in_channels, first.out_channels) == (2, 4)
    assert (last.in_channels, last.out_channels) == (4, 3)
    kernel = joint_kernel(first.weight, last.weight)
    x = torch.randn(2, 2, 5, 9, 8)
    wanted = nn.functional.conv3d(x, kernel, stride=(1, 2, 2), padding=1)
    torch.testing.assert_close(layer(x), wanted, atol=1e-5, rtol=1e-5)


def joint_kernel(first: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Two kernels of which each has size 1 where the other has not, as one: (O, M, ...) x (M, I, ...)."""
    return (last[:, :, None] * first[None]).sum(dim=1)


def test_conv_2plus1d_order_and_errors() -> None:
    layer = create_conv_2plus1d(in_channels=2, out_channels=3)
    assert [name for name, _ in layer.named_children()] == [
        "conv_t",
        "norm",
        "activation",
        "conv_xy",
    ]
    assert layer.conv_t.out_channels == 3
    assert layer.conv_t.bias is None
    with pytest.raises(ValueError, match="`groups` to be 1, but got 2"):
        create_conv_2plus1d(in_channels=2, out_channels=2, groups=2)
    with pytest.raises(ValueError, match="`dilation` to be"):
        create_conv_2plus1d(in_channels=2, out_channels=2, dilation=(1, 2, 2))
    with pytest.raises(ValueError, match="conv_t and conv_xy"):
        Conv2plus1d(conv_t=nn.Identity())


def test_build() -> None:
    norm = build_norm(nn.BatchNorm3d, 4, 1e-3, 0.2)
    assert isinstance(norm, nn.BatchNorm3d)
    assert (norm.num_features, norm.eps, norm.momentum) == (4, 1e-3, 0.2)
    assert build_norm(None, 4) is None
    assert build_activation(None) is None
    softmax = build_activation(nn.Softmax)
    assert isinstance(softmax, nn.Softmax)
    assert softmax.dim == 1
    with pytest.raises(ValueError, match=r"three numbers \(T, H, W\), but got \(3, 3\)"):
        size3([3, 3])
