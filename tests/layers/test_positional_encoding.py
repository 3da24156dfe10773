# SPDX-License-Identifier: Apache-2.0
"""Encodings of positions against their formulas."""

import numpy as np
import pytest
import torch

from pytorchvideo.layers import (
    PositionalEncoding,
    ScriptableSpatioTemporalClsPositionalEncoding,
    SpatioTemporalClsPositionalEncoding,
)
from pytorchvideo.layers.positional_encoding import (
    get_1d_sincos_pos_embed_from_grid,
    get_2d_sincos_pos_embed,
    get_3d_sincos_pos_embed,
    resize_positions,
)


@pytest.mark.parametrize("channels", [6, 7])
def test_waves(channels: int) -> None:
    layer = PositionalEncoding(channels, seq_len=10)
    assert list(layer.state_dict()) == ["pe"]
    out = layer(torch.zeros(2, 4, channels))
    assert out.shape == (2, 4, channels)
    for position in range(4):
        for channel in range(channels):
            angle = position / 10_000 ** (channel // 2 * 2 / channels)
            wanted = np.cos(angle) if channel % 2 else np.sin(angle)
            assert out[1, position, channel].item() == pytest.approx(wanted, abs=1e-5)
    with pytest.raises(ValueError, match="at most 10, but got 11"):
        layer(torch.zeros(1, 11, channels))


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("separate", [True, False])
def test_grid(separate: bool, has_cls: bool) -> None:
    layer = SpatioTemporalClsPositionalEncoding(4, (2, 3, 5), separate, has_cls)
    assert layer.patch_embed_shape() == (2, 3, 5)
    assert (layer.num_temporal_patch, layer.num_spatial_patch) == (2, 15)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_()
        tokens = torch.randn(2, 30, 4)
        out = layer(tokens)
    assert out.shape == (2, 30 + has_cls, 4)
    token = tokens[1, 1 * 15 + 7]
    if separate:
        wanted = token + layer.pos_embed_temporal[0, 1] + layer.pos_embed_spatial[0, 7]
    else:
        wanted = token + layer.pos_embed[0, 22 + has_cls]
    torch.testing.assert_close(out[1, 22 + has_cls], wanted)
    if has_cls:
        encoding = layer.pos_embed_class if separate else layer.pos_embed
        torch.testing.assert_close(out[0, 0], layer.cls_token[0, 0] + encoding[0, 0])


def test_grid_as_a_property() -> None:
    layer = ScriptableSpatioTemporalClsPositionalEncoding(4, (2, 3, 5), True, False)
    assert layer.patch_embed_shape == (2, 3, 5)
    assert layer(torch.zeros(1, 30, 4)).shape == (1, 30, 4)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("separate", [True, False])
def test_torchscript_gives_the_same(separate: bool, has_cls: bool) -> None:
    tokens = torch.randn(2, 30, 4)
    for kind in (
        SpatioTemporalClsPositionalEncoding,
        ScriptableSpatioTemporalClsPositionalEncoding,
    ):
        layer = kind(4, (2, 3, 5), separate, has_cls)
        for parameter in layer.parameters():
            torch.nn.init.normal_(parameter)
        scripted = torch.jit.script(layer)
        assert torch.equal(scripted(tokens), layer(tokens))
        assert scripted.grid == (2, 3, 5)
    waves = torch.jit.script(PositionalEncoding(4, seq_len=30))
    assert torch.equal(waves(tokens), PositionalEncoding(4, seq_len=30)(tokens))
    with pytest.raises(torch.jit.Error, match="at most 30, but got 60"):
        waves(torch.cat((tokens, tokens), dim=1))


def test_positions_of_another_grid() -> None:
    """The sum of time and space is that of both interpolated: trilinear, as torch has it."""
    in_time, in_space = torch.randn(1, 3, 4), torch.randn(1, 20, 4)
    joint = (in_time[:, :, None] + in_space[:, None]).flatten(1, 2)
    old, new = (3, 4, 5), (5, 6, 4)
    wanted = torch.nn.functional.interpolate(
        joint.view(1, *old, 4).permute(0, 4, 1, 2, 3), size=new, mode="trilinear"
    )
    got = resize_positions(joint, old, new)
    torch.testing.assert_close(got.view(1, *new, 4).permute(0, 4, 1, 2, 3), wanted)
    apart = resize_positions(in_time, (3, 1, 1), (5, 1, 1))[:, :, None]
    apart = apart + resize_positions(in_space, (1, 4, 5), (1, 6, 4))[:, None]
    torch.testing.assert_close(got, apart.flatten(1, 2))
    assert torch.equal(resize_positions(joint.half(), old, old), joint.half())


def test_twice_as_many_positions_lie_between_the_old_ones() -> None:
    ramp = torch.arange(4.0).view(1, 4, 1)
    wanted = [0.0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.0]
    assert resize_positions(ramp, (4, 1, 1), (8, 1, 1)).flatten().tolist() == wanted
    nearest = resize_positions(ramp, (4, 1, 1), (8, 1, 1), temporal="nearest")
    assert nearest.flatten().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_sines_and_cosines() -> None:
    one = get_1d_sincos_pos_embed_from_grid(8, np.arange(5))
    assert one.shape == (5, 8)
    assert one.dtype == np.float64
    assert one[3, 1] == pytest.approx(np.sin(3 / 10_000**0.25))
    assert one[3, 5] == pytest.approx(np.cos(3 / 10_000**0.25))

    two = get_2d_sincos_pos_embed(16, 3, cls_token=True)
    assert two.shape == (10, 16)
    assert not two[0].any()
    columns, rows = two[1:].reshape(3, 3, 2, 8).transpose(2, 0, 1, 3)
    assert np.array_equal(columns[0], columns[2])
    assert np.array_equal(rows[:, 0], rows[:, 2])
    assert np.allclose(columns[1], get_1d_sincos_pos_embed_from_grid(8, np.arange(3)))

    three = get_3d_sincos_pos_embed(32, 3, 4, cls_token=True)
    assert three.shape == (37, 32)
    grid = three[1:].reshape(4, 9, 32)
    assert np.allclose(grid[:, 5, :8], get_1d_sincos_pos_embed_from_grid(8, np.arange(4)))
    assert np.allclose(grid[2, :, 8:], get_2d_sincos_pos_embed(24, 3))

    with pytest.raises(ValueError, match="multiple of 16, but got 20"):
        get_3d_sincos_pos_embed(20, 3, 4)
    with pytest.raises(ValueError, match="even, but got 3"):
        get_1d_sincos_pos_embed_from_grid(3, np.arange(2))
