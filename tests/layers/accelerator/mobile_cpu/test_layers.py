# SPDX-License-Identifier: Apache-2.0
"""Layers of mobile networks: sizes, names, and what they compute."""

import pytest
import torch
from torch import nn

from pytorchvideo.layers.accelerator.mobile_cpu import activation_functions, convolutions, pool
from pytorchvideo.layers.accelerator.mobile_cpu.attention import SqueezeExcitation
from pytorchvideo.layers.accelerator.mobile_cpu.fully_connected import FullyConnected

X = torch.linspace(-2, 2, 2 * 4 * 5 * 6 * 6).view(2, 4, 5, 6, 6)


@pytest.mark.parametrize(
    ("layer", "kernel", "shape"),
    [
        (convolutions.Conv3dPwBnAct(4, 8), (1, 1, 1), (2, 8, 5, 6, 6)),
        (convolutions.Conv3d3x3x3DwBnAct(4, 2), (3, 3, 3), (2, 4, 5, 3, 3)),
        (
            convolutions.Conv3dTemporalKernel1BnAct(
                4, 8, spatial_kernel=3, spatial_stride=2, spatial_padding=1
            ),
            (1, 3, 3),
            (2, 8, 5, 3, 3),
        ),
        (convolutions.Conv3d3x1x1BnAct(4, 8), (3, 1, 1), (2, 8, 5, 6, 6)),
        (convolutions.Conv3d5x1x1BnAct(4, 8, groups=4), (5, 1, 1), (2, 8, 5, 6, 6)),
    ],
)
def test_convolutions(layer: nn.Module, kernel: tuple[int, ...], shape: tuple[int, ...]) -> None:
    out = layer.eval()(X)
    assert out.shape == shape
    assert layer.kernel.conv.kernel_size == kernel
    torch.testing.assert_close(out, layer.kernel.bn(layer.kernel.conv(X)).relu())
    assert {k.rpartition(".")[0] for k in layer.state_dict()} == {"kernel.conv", "kernel.bn"}


def test_convolution_without_norm() -> None:
    layer = convolutions.Conv3dPwBnAct(4, 8, bias=True, activation="swish", use_bn=False)
    assert set(layer.state_dict()) == {"kernel.conv.weight", "kernel.conv.bias"}
    torch.testing.assert_close(layer(X), nn.functional.silu(layer.kernel.conv(X)))


def test_activations() -> None:
    make = activation_functions.make_activation
    assert {
        name: type(make().act).__name__
        for name, make in activation_functions.supported_act_functions.items()
    } == {"relu": "ReLU", "swish": "Swish", "hswish": "Hardswish", "identity": "Identity"}
    assert torch.equal(make("identity")(X), X)
    torch.testing.assert_close(make("hswish")(X), X * (X + 3).clamp(0, 6) / 6)
    with pytest.raises(ValueError, match="one of relu, swish, hswish, identity, but got 'gelu'"):
        make("gelu")


def test_squeeze_excitation_of_pictures() -> None:
    layer = SqueezeExcitation(4, activation=nn.GELU)
    picture = X[:, :, 0]
    first, second = layer.se.block[0], layer.se.block[2]
    assert set(layer.state_dict()) == {
        f"se.block.{i}.{name}" for i in (0, 2) for name in ("weight", "bias")
    }
    assert first.out_channels == 2
    means = picture.mean(dim=(2, 3), keepdim=True)
    gate = torch.sigmoid(second(nn.functional.gelu(first(means))))
    torch.testing.assert_close(layer(picture), picture * gate)
    assert SqueezeExcitation(4, 3, is_3d=True)(X).shape == X.shape


def test_pools_and_linear_layer() -> None:
    torch.testing.assert_close(
        pool.AdaptiveAvgPool3dOutSize1()(X), X.mean(dim=(2, 3, 4), keepdim=True)
    )
    picture = X[:, :, 0]
    torch.testing.assert_close(
        pool.AdaptiveAvgPool2dOutSize1()(picture), picture.mean(dim=(2, 3), keepdim=True)
    )
    assert pool.AdaptiveAvgPool3d((5, 2, 2))(X).shape == (2, 4, 5, 2, 2)
    assert pool.AdaptiveAvgPool2d(3)(picture).shape == (2, 4, 3, 3)
    layer = FullyConnected(6, 3, bias=False)
    assert list(layer.state_dict()) == ["model.weight"]
    torch.testing.assert_close(layer(X), X @ layer.model.weight.T)
