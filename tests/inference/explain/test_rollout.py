# SPDX-License-Identifier: Apache-2.0
"""Attention roll-out: against matrices that are written out, and the properties that it must have."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytorchvideo.inference.explain.gradcam import resized
from pytorchvideo.inference.explain.hugging_face_rollout import divided_step
from pytorchvideo.inference.explain.rollout import attention_rollout, has_rollout, pooled_step
from pytorchvideo.inference.explain.rollout_steps import from_class_token, plain_step, rolled_out
from pytorchvideo.layers.attention import MultiScaleBlock
from pytorchvideo.models import create_model, create_multiscale_vision_transformers
from pytorchvideo.models.huggingface import create_hugging_face

VECTORS = Path(__file__).resolve().parents[4] / "shared/reference/research/explain_vectors.json"
GRID = (2, 4, 4)


def attention(rows: int, columns: int, batch: int = 1) -> Tensor:
    return torch.rand(batch, rows, columns).softmax(dim=-1)


def block(*, residual_pool: bool = False, has_cls: bool = True) -> MultiScaleBlock:
    """Queries pooled by 1x2x2, keys and values by 1x4x4."""
    return MultiScaleBlock(
        8,
        8,
        2,
        kernel_q=(3, 3, 3),
        stride_q=(1, 2, 2),
        kernel_kv=(3, 3, 3),
        stride_kv=(1, 4, 4),
        has_cls_embed=has_cls,
        residual_pool=residual_pool,
    )


def cell_means(stride: tuple[int, int, int], has_cls: bool) -> Tensor:
    """The matrix (N_pooled, N) that averages the cell of every pooled token."""
    places = torch.cartesian_prod(*(torch.arange(size) for size in GRID))
    cells = places // torch.tensor(stride)
    pooled = cells.unique(dim=0)
    means = (cells[None] == pooled[:, None]).all(dim=2).float()
    means /= means.sum(dim=1, keepdim=True)
    return torch.block_diag(torch.eye(1), means) if has_cls else means


def matrix(step: Callable[[Tensor], Tensor], count: int) -> Tensor:
    """The matrix M of a step, a row for each token that comes out."""
    return torch.cat([step(row[None]) for row in torch.eye(count)])


def test_vectors_of_the_formula() -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared vectors are not here")
    known = json.loads(VECTORS.read_text())["rollout"]
    blocks = torch.tensor(known["attention"]).reshape(2, 1, 2, 5, 5)
    row = from_class_token(5, 1, blocks)
    found = rolled_out([plain_step(one) for one in blocks], row)
    assert torch.allclose(found[0], torch.tensor(known["relevance"]), atol=1e-6)


@pytest.mark.parametrize("has_cls", [True, False])
@pytest.mark.parametrize("residual_pool", [True, False])
def test_a_pooling_block_is_the_matrix_that_is_written_out(
    has_cls: bool, residual_pool: bool
) -> None:
    torch.manual_seed(0)
    made = block(residual_pool=residual_pool, has_cls=has_cls)
    weights = attention(8 + has_cls, 2 + has_cls)
    found = matrix(pooled_step(made, weights, GRID), 8 + has_cls)
    inside = weights[0] @ cell_means((1, 4, 4), has_cls)
    if residual_pool:
        inside = (inside + cell_means((1, 2, 2), has_cls)) / 2
    wanted = (inside + cell_means((1, 2, 2), has_cls)) / 2
    assert torch.allclose(found, wanted, atol=1e-6)
    assert torch.allclose(found.sum(dim=1), torch.ones(8 + has_cls), atol=1e-6)
    assert (found >= 0).all()


def test_divided_attention_is_the_matrix_that_is_written_out() -> None:
    torch.manual_seed(0)
    patches, frames = 3, 2
    time, space = attention(frames, frames, patches), attention(1 + patches, 1 + patches, frames)
    count = 1 + patches * frames
    over_time, over_space = torch.zeros(count, count), torch.zeros(count, count)
    over_time[0, 0] = 1

    def place(patch: int, frame: int) -> int:
        return 1 + patch * frames + frame

    for p in range(patches):
        for t in range(frames):
            for other in range(frames):
                over_time[place(p, t), place(p, other)] = time[p, t, other]
    for t in range(frames):
        names = [0, *(place(p, t) for p in range(patches))]
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                share = 1 / frames if row == 0 else 1
                over_space[row, column] += share * space[t, i, j]
    eye = torch.eye(count)
    first = (over_time + eye) / 2
    first[0] = eye[0]
    wanted = (over_space + eye) / 2 @ first
    found = matrix(divided_step(time, space, 1), count)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert torch.allclose(found.sum(dim=1), torch.ones(count), atol=1e-6)


def mvit(cls: bool = True) -> nn.Module:
    torch.manual_seed(0)
    return create_multiscale_vision_transformers(
        spatial_size=32,
        temporal_size=4,
        depth=3,
        patch_embed_dim=16,
        num_heads=1,
        cls_embed_on=cls,
        head_num_classes=5,
        pool_q_stride_size=[[1, 1, 2, 2]],
        pool_kv_stride_adaptive=[1, 2, 2],
        pool_kvq_kernel=[3, 3, 3],
    )


@pytest.mark.parametrize("cls", [True, False])
def test_uniform_attention_of_an_mvit_gives_an_even_map(cls: bool) -> None:
    model = mvit(cls)
    clips = torch.randn(2, 3, 4, 32, 32)
    found = attention_rollout(model, clips)
    assert found.maps[0].shape == (2, 4, 32, 32)
    assert torch.allclose(found.maps[0].amax(dim=(1, 2, 3)), torch.ones(2))
    assert torch.allclose(found.logits, model.eval()(clips), atol=1e-5)
    assert float(found.maps[0].min()) < 0.99
    with torch.no_grad():
        for made in model.blocks:
            for name in ("q", "k"):  # every token is looked at alike
                getattr(made.attn, name).weight.zero_()
                getattr(made.attn, name).bias.zero_()
    even = attention_rollout(model, clips).maps[0]
    assert torch.allclose(even, torch.ones_like(even), atol=1e-4)


def test_one_hot_attention_moves_the_map() -> None:
    weights = torch.zeros(1, 9, 3)
    weights[:, :, 2] = 1  # all look at the second pooled key: the second frame
    row = pooled_step(block(), weights, GRID)(from_class_token(9, 1, weights))
    first, second = row[0, 1:].unflatten(0, GRID).sum(dim=(1, 2))
    assert [float(row[0, 0]), float(first), float(second)] == [0.5, 0.0, 0.5]


SMALL: dict[str, Any] = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2}
FAMILIES: dict[str, dict[str, Any]] = {
    "videomae": {"intermediate_size": 32, "image_size": 32, "patch_size": 16, "num_frames": 4},
    "vivit": {
        "intermediate_size": 32,
        "image_size": 32,
        "tubelet_size": [2, 16, 16],
        "num_frames": 4,
    },
    "timesformer": {"intermediate_size": 32, "image_size": 32, "patch_size": 16, "num_frames": 4},
    "vjepa2": {
        "crop_size": 32,
        "patch_size": 16,
        "frames_per_clip": 4,
        "mlp_ratio": 1.0,
        "num_pooler_layers": 1,
        "pred_hidden_size": 24,
        "pred_num_attention_heads": 2,
        "pred_num_hidden_layers": 1,
    },
}


@pytest.mark.parametrize(
    ("family", "changes"),
    [
        *((family, {}) for family in FAMILIES),
        ("videomae", {"use_mean_pooling": False}),
        ("timesformer", {"attention_type": "joint_space_time"}),
        ("timesformer", {"attention_type": "space_only"}),
    ],
)
def test_transformers(family: str, changes: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        family, **{**SMALL, **FAMILIES[family], **changes, "num_labels": 3}
    )
    model = create_hugging_face(config)
    clips = torch.randn(2, 3, 4, 32, 32)
    before = model.trunk.config._attn_implementation
    assert has_rollout(model)
    with torch.inference_mode():
        found = attention_rollout(model, clips)
    assert found.maps[0].shape == (2, 4, 32, 32)
    assert torch.isfinite(found.maps[0]).all()
    assert torch.allclose(found.maps[0].amax(dim=(1, 2, 3)), torch.ones(2))
    assert torch.allclose(found.logits, model.eval()(clips), atol=1e-5)
    assert model.trunk.config._attn_implementation == before
    assert not any(one._forward_hooks for one in model.modules())
    alone = attention_rollout(model, clips[1:])
    assert torch.allclose(alone.maps[0][0], found.maps[0][1], atol=1e-5)


def test_relevance_of_videomae_is_the_product_of_its_matrices() -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(
        "videomae", **{**SMALL, **FAMILIES["videomae"], "num_labels": 3}
    )
    model = create_hugging_face(config).eval()
    clips = torch.randn(1, 3, 4, 32, 32)
    model.trunk.set_attn_implementation("eager")
    with torch.no_grad():
        every = model.trunk(pixel_values=clips.transpose(1, 2), output_attentions=True).attentions
    product = torch.eye(8)
    for one in every:
        product = (one[0].mean(dim=0) + torch.eye(8)) / 2 @ product
    wanted = product.mean(dim=0).reshape(1, 2, 2, 2)
    wanted = resized(wanted, (4, 32, 32))
    found = attention_rollout(model, clips).maps[0]
    assert torch.allclose(found, wanted / wanted.max(), atol=1e-5)


def test_others_have_none() -> None:
    model = create_model("x3d_xs", num_classes=2, num_frames=4, crop_size=32)
    assert not has_rollout(model)
    with pytest.raises(ValueError, match="for a roll-out, but got 'Net'"):
        attention_rollout(model, torch.zeros(1, 3, 4, 32, 32))
