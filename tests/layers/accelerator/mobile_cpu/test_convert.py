# SPDX-License-Identifier: Apache-2.0
"""The deployable form of every block computes what its original form does in evaluation mode."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from pytorchvideo.layers.accelerator.efficient_block import EfficientBlockBase, NoOpConvertBlock
from pytorchvideo.layers.accelerator.mobile_cpu import activation_functions, convolutions, pool
from pytorchvideo.layers.accelerator.mobile_cpu.attention import SqueezeExcitation
from pytorchvideo.layers.accelerator.mobile_cpu.fully_connected import FullyConnected

SIZE = (2, 4, 5, 9, 8)
X = torch.linspace(-3, 3, 2 * 4 * 5 * 9 * 8).sin().view(SIZE) * 3
BLOCKS: dict[str, Callable[..., EfficientBlockBase]] = {
    "pointwise": lambda **kwargs: convolutions.Conv3dPwBnAct(4, 8, **kwargs),
    "depthwise": lambda **kwargs: convolutions.Conv3d3x3x3DwBnAct(4, **kwargs),
    "depthwise, stride 2": lambda **kwargs: convolutions.Conv3d3x3x3DwBnAct(4, 2, **kwargs),
    "frames": lambda **kwargs: convolutions.Conv3dTemporalKernel1BnAct(4, 8, **kwargs),
    "frames, stride 2": lambda **kwargs: convolutions.Conv3dTemporalKernel1BnAct(
        4, 8, spatial_stride=2, **kwargs
    ),
    "frames, 3x3": lambda **kwargs: convolutions.Conv3dTemporalKernel1BnAct(
        4, 8, groups=2, spatial_kernel=3, spatial_padding=2, spatial_dilation=2, **kwargs
    ),
    "3x1x1": lambda **kwargs: convolutions.Conv3d3x1x1BnAct(4, 8, **kwargs),
    "5x1x1": lambda **kwargs: convolutions.Conv3d5x1x1BnAct(4, 8, groups=4, **kwargs),
}
SWITCHES = [
    {},
    {"convert_for_quantize": True},
    {"native_conv3d_op_qnnpack": True},
    {"convert_for_quantize": True, "native_conv3d_op_qnnpack": True},
]


def trained(block: nn.Module) -> nn.Module:
    """The block, in evaluation mode, with norms that have seen something."""
    for i, norm in enumerate(m for m in block.modules() if isinstance(m, nn.BatchNorm3d)):
        steps = torch.arange(norm.num_features) + i
        norm.running_mean.copy_(steps.sin())
        norm.running_var.copy_(1.5 + steps.cos())
        norm.weight.data.copy_(1 + 0.5 * (2 * steps).sin())
        norm.bias.data.copy_((3 * steps).cos())
    return block.eval()


def scripted(block: nn.Module) -> nn.Module:
    with pytest.warns(FutureWarning, match=r"torch.jit.script"):
        return torch.jit.script(block)


def check_conversion(block: nn.Module, x: torch.Tensor, **switches: Any) -> nn.Module:
    """Both forms agree to 1e-4, on clips of another size as well, and TorchScript takes the deployable one."""
    made: Any = copy.deepcopy(trained(block))
    made.convert(x.shape, **switches)
    with torch.no_grad():
        wanted = block(x)
        torch.testing.assert_close(made(x), wanted, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(scripted(made)(x), wanted, rtol=1e-4, atol=1e-4)
        other = torch.cat([x, x])[..., :-1]
        torch.testing.assert_close(made(other), block(other), rtol=1e-4, atol=1e-4)
    blocks = [m for m in (block, made) for m in m.modules() if isinstance(m, EfficientBlockBase)]
    assert [m.convert_flag for m in blocks] == [m in set(made.modules()) for m in blocks]
    return made


@pytest.mark.parametrize("activation", ["relu", "swish", "hswish", "identity"])
@pytest.mark.parametrize("name", BLOCKS)
def test_convolutions(name: str, activation: str) -> None:
    for switches, bias in zip(SWITCHES, (True, False, True, False), strict=True):
        made = check_conversion(BLOCKS[name](activation=activation, bias=bias), X, **switches)
        kinds = {type(m) for m in made.modules()}
        assert nn.BatchNorm3d not in kinds
        assert (nn.Conv3d in kinds) == ("native_conv3d_op_qnnpack" in switches)
    check_conversion(BLOCKS[name](activation=activation, use_bn=False), X)


@pytest.mark.parametrize("is_3d", [False, True])
@pytest.mark.parametrize("quantize", [False, True])
def test_squeeze_excitation(is_3d: bool, quantize: bool) -> None:
    x = X if is_3d else X[:, :, 0]
    block = SqueezeExcitation(4, is_3d=is_3d, activation=nn.GELU)
    made = check_conversion(block, x, convert_for_quantize=quantize)
    assert not any(isinstance(m, nn.Conv2d | nn.Conv3d) for m in made.modules())


def test_pools_and_what_has_one_form() -> None:
    check_conversion(pool.AdaptiveAvgPool3dOutSize1(), X)
    check_conversion(pool.AdaptiveAvgPool2dOutSize1(), X[:, :, 0])
    for block, x in [
        (pool.AdaptiveAvgPool3d((5, 2, 2)), X),
        (pool.AdaptiveAvgPool2d(3), X[:, :, 0]),
        (FullyConnected(8, 3), X),
        (NoOpConvertBlock(nn.ReLU()), X),
    ]:
        wanted = block(x)
        block.convert(x.shape)
        block.convert()
        assert block.convert_flag
        assert torch.equal(block(x), wanted)


@pytest.mark.parametrize("name", ["relu", "swish", "hswish", "identity"])
def test_activations(name: str) -> None:
    for switches in SWITCHES:
        block = activation_functions.supported_act_functions[name]()
        check_conversion(block, X, **switches)
        block.convert()
        block.convert()


def test_training_mode_is_kept_and_the_norm_is_that_of_evaluation() -> None:
    block = trained(convolutions.Conv3dPwBnAct(4, 8))
    wanted = block(X)
    block.train().convert(SIZE)
    assert all(m.training for m in block.modules())
    torch.testing.assert_close(block(X), wanted, rtol=1e-4, atol=1e-4)


def test_the_input_is_not_modified() -> None:
    x = X.clone()
    for make in BLOCKS.values():
        block = make(activation="relu").eval()
        with torch.no_grad():
            block(x)
            block.convert(SIZE)
            block(x)
    assert torch.equal(x, X)


def test_two_conversions() -> None:
    squeeze = SqueezeExcitation(4, is_3d=True)
    for block in (
        convolutions.Conv3dPwBnAct(4, 8),
        squeeze,
        pool.AdaptiveAvgPool3dOutSize1(),
    ):
        block.convert(SIZE)
        with pytest.raises(RuntimeError, match="in its original form, but got one that was conver"):
            block.convert(SIZE)


def test_wrong_sizes() -> None:
    block = convolutions.Conv3dPwBnAct(4, 8)
    wanted = (
        r"`input_blob_size` to be the shape \(B, C, T, H, W\) of the input, with C = 4, but got"
    )
    with pytest.raises(ValueError, match=rf"{wanted} \(2, 3, 5, 6, 6\)"):
        block.convert((2, 3, 5, 6, 6))
    with pytest.raises(ValueError, match=rf"{wanted} \(2, 4, 6, 6\)"):
        block.convert(torch.Size((2, 4, 6, 6)))
    block.convert(SIZE)
    with pytest.raises(ValueError, match=r"shape \(B, C, H, W\) of the input, but got \(2, 4\)"):
        pool.AdaptiveAvgPool2dOutSize1().convert((2, 4))


def test_a_block_without_conversion() -> None:
    with pytest.raises(NotImplementedError, match="EfficientBlockBase to have a method `convert`"):
        EfficientBlockBase().convert(SIZE)
