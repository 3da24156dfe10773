# SPDX-License-Identifier: Apache-2.0
"""Multiscale attention against its formula, and both generations of its state dicts."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytorchvideo.layers import Mlp, MultiScaleAttention, MultiScaleBlock, ScriptableMultiScaleBlock
from pytorchvideo.layers import attention_torchscript as former
from pytorchvideo.layers.attention import from_grid, to_grid

GRID = [2, 4, 4]


def test_without_pools_it_is_attention() -> None:
    layer = MultiScaleAttention(8, 12, num_heads=2, qkv_bias=True, residual_pool=False)
    x = torch.randn(2, 33, 8)
    out, grid = layer(x, GRID)
    q, k, v = (part(x).view(2, 33, 2, 6).transpose(1, 2) for part in (layer.q, layer.k, layer.v))
    shares = (q @ k.transpose(2, 3) / 6**0.5).softmax(dim=-1)
    torch.testing.assert_close(out, layer.proj((shares @ v).transpose(1, 2).reshape(2, 33, 12)))
    assert grid == GRID


def test_one_projection_is_three() -> None:
    three = MultiScaleAttention(8, num_heads=2, qkv_bias=True)
    one = MultiScaleAttention(8, num_heads=2, qkv_bias=True, separate_qkv=False)
    state = {f"proj.{k}": v for k, v in three.proj.state_dict().items()}
    for name in ("weight", "bias"):
        parts = [getattr(layer, name) for layer in (three.q, three.k, three.v)]
        state[f"qkv.{name}"] = torch.cat(parts)
    one.load_state_dict(state)
    x = torch.randn(1, 33, 8)
    torch.testing.assert_close(one(x, GRID)[0], three(x, GRID)[0])


def test_tokens_on_their_grid() -> None:
    x = torch.randn(2, 3, 33, 5)
    cells = to_grid(x, GRID, has_cls=True)
    assert cells.shape == (6, 5, 2, 4, 4)
    assert torch.equal(cells.view(2, 3, 5, 2, 4, 4)[1, 2, :, 1, 2, 3], x[1, 2, 1 + 16 + 8 + 3])
    again, grid = from_grid(cells, x, has_cls=True)
    assert torch.equal(again, x)
    assert grid == GRID
    out, grid = from_grid(nn.functional.avg_pool3d(cells, (1, 2, 2)), x, has_cls=True)
    assert grid == [2, 2, 2]
    assert torch.equal(out[:, :, 0], x[:, :, 0])
    cells = x[:, :, 1:].view(2, 3, 2, 2, 2, 2, 2, 5).mean(dim=(4, 6))
    torch.testing.assert_close(out[:, :, 1:], cells.flatten(2, 4))


def test_the_grid_is_a_new_list_where_queries_are_pooled() -> None:
    x = torch.randn(1, 33, 8)
    for whole in ((2, 4, 4), [2, 4, 4]):
        assert MultiScaleBlock(8, 8, 2)(x, whole)[1] is whole  # type: ignore[arg-type]
        assert MultiScaleBlock(8, 8, 2, stride_q=(1, 2, 2))(x, whole)[1] == [2, 2, 2]  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    mode=st.sampled_from(["conv", "avg", "max"]),
    norm=st.sampled_from(["layer", "batch"]),
    cls=st.booleans(),
    first=st.booleans(),
    residual=st.booleans(),
    separate=st.booleans(),
    in_attention=st.booleans(),
    stride=st.sampled_from([(1, 1, 1), (1, 2, 2), (2, 2, 1)]),
)
def test_every_combination_runs(
    mode: str,
    norm: str,
    cls: bool,
    first: bool,
    residual: bool,
    separate: bool,
    in_attention: bool,
    stride: tuple[int, int, int],
) -> None:
    batch = norm == "batch"
    block = MultiScaleBlock(
        8,
        16,
        2,
        norm_layer=nn.BatchNorm1d if batch else nn.LayerNorm,
        attn_norm_layer=nn.BatchNorm3d if batch else nn.LayerNorm,
        dim_mul_in_att=in_attention,
        kernel_q=(3, 3, 3),
        stride_q=stride,
        kernel_kv=(3, 3, 3),
        stride_kv=(1, 2, 2),
        pool_mode=mode,
        has_cls_embed=cls,
        pool_first=first,
        residual_pool=residual,
        separate_qkv=separate,
        droppath_rate=0.5,
    )
    x = torch.randn(2, 64 + cls, 8)
    out, grid = block(x, [4, 4, 4])
    assert grid == [4 // step for step in stride]
    assert out.shape == (2, int(torch.tensor(grid).prod()) + cls, 16)


def pooled() -> MultiScaleAttention:
    return MultiScaleAttention(8, num_heads=2, kernel_q=(3, 3, 3), kernel_kv=(3, 3, 3))


def test_both_generations_of_names_load() -> None:
    source = nn.ModuleDict({"attn": pooled()})
    once = source.state_dict()
    twice = dict(once)
    for key, value in once.items():
        for part in ("pool", "norm"):
            for name in "qkv":
                if key.startswith(f"attn.{part}_{name}."):
                    rest = key.rpartition(".")[2]
                    twice[f"attn._attention_pool_{name}.{part}.{rest}"] = value
    second_only = {k: v for k, v in twice.items() if "attn.pool_" not in k}
    assert len(twice) == len(once) + 9
    for state in (once, twice, second_only):
        target = nn.ModuleDict({"attn": pooled()})
        before = set(state)
        target.load_state_dict(state)
        assert set(state) == before, "the caller's dict was modified"
        assert all(torch.equal(v, once[k]) for k, v in target.state_dict().items())


def test_mlp() -> None:
    mlp = Mlp(4, 6, 3, act_layer=nn.ReLU, bias_on=False)
    x = torch.randn(2, 5, 4)
    wanted = torch.relu(x @ mlp.fc1.weight.T) @ mlp.fc2.weight.T
    torch.testing.assert_close(mlp(x), wanted)
    assert Mlp(4)(x).shape == (2, 5, 4)


def test_former_names() -> None:
    layer = former.MultiScaleAttention(8, 4)
    assert (layer.num_heads, layer.dim_out) == (4, 8)
    x = torch.randn(1, 32, 8)
    block = ScriptableMultiScaleBlock(8, 16, 2, has_cls_embed=False, separate_qkv=False)
    assert block(x, GRID)[0].shape == (1, 32, 16)
    assert former.Mlp is Mlp
    assert former.ScriptableMultiScaleBlock is ScriptableMultiScaleBlock


def test_positional_order_of_the_former_block() -> None:
    """As that of the present one, without ``dim_mul_in_att``."""
    sizes = ((1, 1, 1), (3, 3, 3), (1, 2, 2), (1, 4, 4))
    former_block = ScriptableMultiScaleBlock(
        *(8, 16, 2, 2.0, True, 0.1, 0.2, nn.ReLU, nn.LayerNorm, nn.LayerNorm),
        *(*sizes, "avg", False, True, True, False, False, False),
    )
    wanted = MultiScaleBlock(
        8,
        16,
        2,
        mlp_ratio=2.0,
        qkv_bias=True,
        dropout_rate=0.1,
        droppath_rate=0.2,
        act_layer=nn.ReLU,
        kernel_q=sizes[0],
        kernel_kv=sizes[1],
        stride_q=sizes[2],
        stride_kv=sizes[3],
        pool_mode="avg",
        has_cls_embed=False,
        pool_first=True,
        residual_pool=True,
        depthwise_conv=False,
        bias_on=False,
        separate_qkv=False,
    )
    assert repr(former_block).partition("(")[2] == repr(wanted).partition("(")[2]
    assert not former_block.attn.has_cls_embed
    assert former_block.attn.residual_pool
    with pytest.raises(TypeError, match="dim_mul_in_att"):
        ScriptableMultiScaleBlock(8, 16, 2, dim_mul_in_att=True)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize(
    "options",
    [
        {"has_cls_embed": False, "separate_qkv": False, "residual_pool": True, "pool_mode": "avg"},
        {"pool_first": True, "dropout_rate": 0.1, "droppath_rate": 0.1, "pool_mode": "max"},
        {"dim_mul_in_att": True, "depthwise_conv": False, "bias_on": False, "qkv_bias": True},
        {"norm_layer": nn.BatchNorm1d, "attn_norm_layer": nn.BatchNorm3d},
        {"stride_q": (1, 1, 1)},
    ],
    ids=str,
)
def test_torchscript_gives_the_same(options: dict[str, Any]) -> None:
    block = MultiScaleBlock(10, 20, 2, **{"stride_q": (2, 2, 1), "stride_kv": (1, 2, 1), **options})
    scripted = torch.jit.script(block.eval())
    x = torch.randn(2, 20 + block.has_cls_embed, 10)
    wanted, grid = block(x, [2, 2, 5])
    got, scripted_grid = scripted(x, [2, 2, 5])
    torch.testing.assert_close(got, wanted)
    assert scripted_grid == grid


def test_errors() -> None:
    with pytest.raises(ValueError, match="`pool_mode` to be one of conv, avg, max, but got 'min'"):
        MultiScaleAttention(8, pool_mode="min")
    with pytest.raises(ValueError, match=r"multiples of num_heads \(3\), but got \(8, 8\)"):
        MultiScaleAttention(8, num_heads=3)
