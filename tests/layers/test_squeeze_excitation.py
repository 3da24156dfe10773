# SPDX-License-Identifier: Apache-2.0
"""Excitation of spectrograms."""

import pickle

import pytest
import torch
from torch import nn

from pytorchvideo.layers import (
    SqueezeAndExcitationLayer2D,
    SqueezeExcitation,
    create_audio_2d_squeeze_excitation_block,
)


def test_the_layer_is_that_of_clips_under_other_names() -> None:
    layer = SqueezeAndExcitationLayer2D(32, reduction_ratio=4)
    other = SqueezeExcitation(32, 8, is_3d=False)
    state = {k.replace("excitation", "block"): v for k, v in layer.state_dict().items()}
    other.load_state_dict(state)
    x = torch.randn(2, 32, 5, 7)
    torch.testing.assert_close(layer(x), other(x))


def test_channels_of_the_hidden_layer() -> None:
    assert SqueezeAndExcitationLayer2D(32).excitation[0].out_channels == 2
    assert SqueezeAndExcitationLayer2D(32, reduced_planes=5).excitation[0].out_channels == 5
    assert SqueezeAndExcitationLayer2D(32, None, 5).excitation[0].out_channels == 5
    with pytest.raises(ValueError, match="`reduction_ratio` to be at most the 8 channels"):
        SqueezeAndExcitationLayer2D(8)
    with pytest.raises(ValueError, match="> 0, or `reduced_planes` given, but got None"):
        SqueezeAndExcitationLayer2D(8, None)


@pytest.mark.parametrize(
    ("dim_out", "stride", "projected"), [(16, 1, False), (24, 1, True), (16, 2, True)]
)
def test_block(dim_out: int, stride: int, projected: bool) -> None:
    block = create_audio_2d_squeeze_excitation_block(
        16, dim_out, use_se=True, se_reduction_ratio=8, conv_a_stride=stride, norm_eps=0.5
    )
    x = torch.randn(2, 16, 10, 12)
    assert block(x).shape == (2, dim_out, 10 // stride, 12 // stride)
    assert (block.branch1_conv is not None) == projected
    assert all(m.eps == 0.5 for m in block.modules() if isinstance(m, nn.BatchNorm2d))
    block(x).sum().backward()
    assert all(p.grad is not None for p in block.parameters())
    assert torch.equal(pickle.loads(pickle.dumps(block.eval()))(x), block(x))


def test_bare_block() -> None:
    block = create_audio_2d_squeeze_excitation_block(
        4, 4, branch_fusion=torch.maximum, norm=None, activation=None
    )
    assert [type(layer) for layer in block.branch2] == [nn.Conv2d, nn.Conv2d]
    x = torch.randn(1, 4, 6, 6)
    torch.testing.assert_close(block(x), torch.maximum(x, block.branch2(x)))
