# SPDX-License-Identifier: Apache-2.0
"""Multiscale vision transformers: the table of blocks, folded norms, sizes, checkpoints."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pytorchvideo.models import (
    create_model,
    create_multiscale_vision_transformers,
    load_checkpoint,
)
from pytorchvideo.models.head import SequencePool, VisionTransformerBasicHead, create_vit_basic_head
from pytorchvideo.models.vision_transformers import (
    VARIANTS,
    MultiscaleVisionTransformers,
    block_shapes,
)


def small(**options: Any) -> MultiscaleVisionTransformers:
    arguments: dict[str, Any] = {
        "spatial_size": 16,
        "temporal_size": 4,
        "depth": 3,
        "patch_embed_dim": 8,
        "embed_dim_mul": [[1, 2.0]],
        "atten_head_mul": [[1, 2.0]],
        "pool_q_stride_size": [[1, 1, 2, 2]],
        "pool_kv_stride_adaptive": (1, 2, 2),
        "pool_kvq_kernel": (3, 3, 3),
        "head_num_classes": 5,
    }
    return create_multiscale_vision_transformers(**(arguments | options))


def randomised(model: nn.Module) -> nn.Module:
    """All tensors away from the ones and zeros that they begin with."""
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5) if name.endswith("running_var") else tensor.normal_(0, 0.4)
    return model.eval()


def test_blocks_of_the_paper() -> None:
    variant = VARIANTS["mvit_base_16x4"]
    shapes = block_shapes(
        16,
        96,
        1,
        dim_mul=variant["embed_dim_mul"],
        head_mul=variant["atten_head_mul"],
        q_strides=variant["pool_q_stride_size"],
        kv_stride_adaptive=variant["pool_kv_stride_adaptive"],
        kernel=variant["pool_kvq_kernel"],
    )
    assert [s.dim for s in shapes] == [96, 192, 192] + [384] * 11 + [768] * 2
    assert [s.dim_out for s in shapes] == [192, 192] + [384] * 11 + [768] * 3
    assert [s.num_heads for s in shapes] == [1, 2, 2] + [4] * 11 + [8] * 2
    assert [i for i, s in enumerate(shapes) if s.stride_q] == [1, 3, 14]
    strides = [s.stride_kv[1] if s.stride_kv else None for s in shapes]
    assert strides == [8, 4, 4] + [2] * 11 + [1] * 2


def test_tables_of_strides() -> None:
    shapes = block_shapes(3, 8, 1, q_strides=[[1, 1, 2, 2]], kv_strides=[[2, 1, 3, 3]])
    assert [s.stride_kv for s in shapes] == [None, None, (1, 3, 3)]
    assert [s.kernel_kv for s in shapes] == [None, None, (1, 4, 4)]
    assert shapes[1].kernel_q == (1, 3, 3)
    with pytest.raises(ValueError, match="None where pool_kv_stride_adaptive is given"):
        block_shapes(3, 8, 1, kv_strides=[[1, 1, 2, 2]], kv_stride_adaptive=(1, 2, 2))


def test_empty_table_beside_adaptive_strides() -> None:
    assert block_shapes(2, 8, 1, kv_strides=[], kv_stride_adaptive=(1, 2, 2)) == block_shapes(
        2, 8, 1, kv_stride_adaptive=(1, 2, 2)
    )
    assert small(pool_kv_stride_size=[])(torch.randn(1, 3, 4, 16, 16)).shape == (1, 5)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"use_2d_patch": True}, "`temporal_size` to be 1 with use_2d_patch=True, but got 4"),
        (
            {"use_2d_patch": True, "temporal_size": 1},
            r"`conv_patch_embed_kernel` to be 2 numbers \(H, W\).*but got \(3, 7, 7\)",
        ),
        ({"conv_patch_embed_stride": (4, 4)}, r"`conv_patch_embed_stride` to be 3 numbers"),
        ({"conv_patch_embed_padding": 3}, r"`conv_patch_embed_padding` to be 3 numbers.*got 3"),
        ({"spatial_size": (16, 16, 16)}, r"`spatial_size` to be one number, or two \(H, W\)"),
        ({"spatial_size": 0}, "`spatial_size` to be whole numbers >= 1"),
        ({"temporal_size": 0}, "`temporal_size` to be whole numbers >= 1"),
        (
            {"spatial_size": 4, "conv_patch_embed_padding": (1, 0, 0)},
            r"at least as large as the patches \(3, 7, 7\), but got \(4, 4, 4\)",
        ),
        ({"pool_q_stride_size": [[1, 2, 2]]}, r"to be rows \[block, T, H, W\], but got"),
        ({"embed_dim_mul": [1, 2.0]}, r"`embed_dim_mul` to be rows \[block, factor\]"),
        ({"pool_kv_stride_adaptive": (2, 2)}, r"three numbers \(T, H, W\), but got \(2, 2\)"),
        ({"pool_kv_stride_adaptive": [[2, 2, 2]]}, "to be whole numbers >= 1"),
    ],
)
def test_sizes_that_do_not_go_together(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        small(**options)


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_graphs_of_published_settings(name: str) -> None:
    sizes = {"depth": 3, "patch_embed_dim": 8, "spatial_size": 32, "head_num_classes": 3}
    images = name == "mvit_base_16"
    variant = {**VARIANTS[name], **sizes, "temporal_size": 1 if images else 4}
    model = create_multiscale_vision_transformers(**variant).eval()
    x = torch.randn((2, 3, 32, 32) if images else (2, 3, 4, 32, 32))
    with torch.no_grad():
        wanted = model(x)
        scripted = torch.jit.script(model)
        torch.testing.assert_close(scripted(x), wanted)
        assert torch.equal(torch.fx.symbolic_trace(model)(x), wanted)
        torch.testing.assert_close(torch.jit.trace(model, x)(x), wanted)
        if images:
            torch.testing.assert_close(scripted(x[:, :, None]), wanted)
    with pytest.raises(torch.jit.Error, match="the size that the model was built for"):
        scripted(x[..., :16])


class OwnEncoding(nn.Module):
    """As clients write one, with nothing but what the model calls."""

    def patch_embed_shape(self) -> tuple[int, int, int]:
        return 4, 2, 4

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 2


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("norm", ["layernorm", "batchnorm"])
def test_scriptable_models(norm: str) -> None:
    """With and without the deprecated flag, with tokens or clips for input."""
    options: dict[str, Any] = {"cls_embed_on": False, "norm": norm, "depth": 2}
    with pytest.warns(DeprecationWarning, match="create_scriptable_model is deprecated") as caught:
        model = small(**options, create_scriptable_model=True).eval()
    assert [Path(one.filename).name for one in caught] == [Path(__file__).name]
    clip = torch.randn(2, 3, 4, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(model)(clip), model(clip))
    whole = small(**options, sep_pos_embed=False, enable_patch_embed=False, spatial_size=(2, 4))
    tokens = torch.randn(2, 32, 8)
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(whole.eval())(tokens), whole(tokens))
    whole.cls_positional_encoding = OwnEncoding()
    with torch.no_grad():
        torch.testing.assert_close(torch.jit.script(whole)(tokens), whole(tokens))


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"cls_embed_on": False}, 0),
        ({"cls_embed_on": False, "dim_mul_in_att": True, "residual_pool": True}, 0),
        # The class token goes through the projections, but not through the norms of the pools.
        ({}, 7),
        ({"cls_embed_on": False, "separate_qkv": False}, 7),
        ({"cls_embed_on": False, "pool_first": True}, 10),
    ],
)
def test_folded_norms(options: dict[str, Any], left: int) -> None:
    model = randomised(small(norm="batchnorm", **options))
    assert isinstance(model, MultiscaleVisionTransformers)
    clip = torch.randn(2, 3, 4, 16, 16)
    with torch.no_grad():
        wanted = model(clip)
        model.fuse_bn()
        norms = [m for m in model.modules() if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm3d))]
        torch.testing.assert_close(model(clip), wanted, rtol=1e-4, atol=1e-5)
    assert len(norms) == left


def test_fold_errors() -> None:
    with pytest.raises(ValueError, match=r"call model\.eval\(\)"):
        small(norm="batchnorm").fuse_bn()
    with pytest.raises(ValueError, match="Expected a model with batch norms"):
        small().eval().fuse_bn()
    with pytest.raises(NotImplementedError, match="`norm` to be one of layernorm, batchnorm"):
        small(norm="groupnorm")


def test_fold_of_a_norm() -> None:
    bn, linear = randomised(nn.BatchNorm1d(4)), nn.Linear(4, 8, bias=False)
    after = randomised(nn.BatchNorm1d(4))
    x = torch.randn(3, 4)
    fused = MultiscaleVisionTransformers.fuse_norm_before_linear(bn, linear)
    torch.testing.assert_close(fused(x), linear(bn(x)))
    # Two heads of four channels, one norm for both.
    fused = MultiscaleVisionTransformers.fuse_norm_after_linear(linear, after)
    heads = torch.cat([after(part) for part in linear(x).chunk(2, dim=1)], dim=1)
    torch.testing.assert_close(fused(x), heads)


def test_other_sizes_and_options() -> None:
    model = small(
        spatial_size=(18, 24),
        temporal_size=5,
        enable_patch_embed_norm=True,
        dropout_rate_block=0.1,
        droppath_rate_block=0.3,
        head_activation=nn.Softmax,
    )
    assert [getattr(b.drop_path, "drop_prob", 0.0) for b in model.blocks] == [0.0, 0.15, 0.3]
    scores = model(torch.randn(2, 3, 5, 18, 24))
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))
    assert small(head=None)(torch.randn(1, 3, 4, 16, 16)).shape == (1, 9, 16)
    assert small(head=None).forward_features(torch.randn(1, 3, 4, 16, 16)).shape == (1, 16)


def test_clips_of_another_size() -> None:
    with pytest.raises(ValueError, match=r"\(B, 3, 4, 16, 16\), the size .* num_frames=\.\.\."):
        small()(torch.zeros(1, 3, 8, 16, 16))
    with pytest.raises(ValueError, match=r"Add the batch dimension"):
        small()(torch.zeros(3, 4, 16, 16))
    tokens = small(enable_patch_embed=False, spatial_size=(2, 4))
    with pytest.raises(ValueError, match=r"\(B, 32, 8\), .* but got \(1, 33, 8\).*of the grid"):
        tokens(torch.zeros(1, 33, 8))


def test_pictures() -> None:
    model = create_model("mvit_base_16", num_classes=3, crop_size=32).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        scores = model(images)
        assert scores.shape == (2, 3)
        # As clips of one frame, which is what the recipe of its weights makes.
        assert torch.equal(model(images[:, :, None]), scores)
    with pytest.raises(ValueError, match=r"\(B, 3, 32, 32\), the size .* create_model\(name, crop"):
        model(torch.zeros(1, 3, 64, 64))
    with pytest.raises(ValueError, match="`num_frames` to be 1 for a model of images, but got 8"):
        create_model("mvit_base_16", num_frames=8)


@pytest.mark.parametrize("twice", [False, True])
def test_checkpoints_of_both_generations(tmp_path: Path, twice: bool) -> None:
    source = randomised(small())
    state = source.state_dict()
    if twice:
        for key in list(state):
            block, part, rest = key.rpartition("attn.")
            if part and rest.startswith(("pool_", "norm_")):
                kind, letter = rest[:4], rest[5]
                state[f"{block}attn._attention_pool_{letter}.{kind}{rest[6:]}"] = state[key]
    torch.save({"model_state": state}, tmp_path / "a.pyth")
    model = small()
    load_checkpoint(model, tmp_path / "a.pyth")
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in source.state_dict().items())


def test_safetensors(tmp_path: Path) -> None:
    source = small()
    save_file(source.state_dict(), tmp_path / "a.safetensors")
    model = small()
    load_checkpoint(model, tmp_path / "a.safetensors")
    assert torch.equal(model.head.proj.weight, source.head.proj.weight)


def test_weights_of_clips_of_another_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Positions are interpolated, everything else is the same."""
    shape = {"depth": 2, "patch_embed_dim": 8}
    source = create_model("mvit_base_16x4", crop_size=32, num_frames=8, **shape)
    encoding = randomised(source).cls_positional_encoding
    assert encoding.patch_embed_shape() == (4, 8, 8)
    torch.save({"model_state": source.state_dict()}, tmp_path / "mvit.pyth")
    with caplog.at_level("INFO"):
        model = create_model(
            "mvit_base_32x3",
            weights=tmp_path / "mvit.pyth",
            temporal_size=12,
            spatial_size=(48, 64),
            **shape,
        )
    assert "pos_embed_spatial and cls_positional_encoding.pos_embed_temporal" in caplog.text
    assert "were interpolated" in caplog.text
    got = model.cls_positional_encoding
    in_space = encoding.pos_embed_spatial.view(8, 8, 8).permute(2, 0, 1)[None]
    wanted = nn.functional.interpolate(in_space, size=(12, 16), mode="bilinear")
    torch.testing.assert_close(got.pos_embed_spatial, wanted.flatten(2).transpose(1, 2))
    in_time = encoding.pos_embed_temporal.transpose(1, 2)
    wanted = nn.functional.interpolate(in_time, size=6, mode="linear")
    torch.testing.assert_close(got.pos_embed_temporal, wanted.transpose(1, 2))
    for key, value in source.state_dict().items():
        assert torch.equal(model.state_dict()[key], value) or "pos_embed_" in key
    assert model(torch.zeros(1, 3, 12, 48, 64)).shape == (1, 400)


def test_weights_of_a_grid_that_cannot_be_known() -> None:
    state = small(sep_pos_embed=False).state_dict()
    with pytest.raises(ValueError, match=r"cls_positional_encoding\.pos_embed \(1, 33, 8\)"):
        load_checkpoint(small(sep_pos_embed=False, spatial_size=32), state)
    state = small(spatial_size=(16, 32)).state_dict()
    with pytest.raises(ValueError, match=r"pos_embed_spatial \(1, 32, 8\) instead of"):
        load_checkpoint(small(), state)


def test_custom_class() -> None:
    class Mine(MultiscaleVisionTransformers):
        pass

    assert type(small(multiscale_vit_class=Mine)) is Mine


def test_head() -> None:
    x = torch.randn(2, 6, 8)
    assert torch.equal(SequencePool("cls")(x), x[:, 0])
    torch.testing.assert_close(SequencePool("mean")(x), x.mean(dim=1))
    assert SequencePool("none")(x) is x
    assert repr(SequencePool("cls")) == "SequencePool(mode='cls')"
    with pytest.raises(ValueError, match="`mode` to be one of cls, mean, none"):
        SequencePool("max")
    every = create_vit_basic_head(
        in_features=8, out_features=5, seq_pool_type="none", activation=nn.Softmax
    ).eval()
    torch.testing.assert_close(every(x).sum(dim=2), torch.ones(2, 6))
    assert every.features(x).shape == (2, 8)
    with pytest.raises(ValueError, match="`proj` to be a module"):
        VisionTransformerBasicHead()
