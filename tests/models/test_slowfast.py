# SPDX-License-Identifier: Apache-2.0
"""SlowFast: pathways and fusions, lists that stay as they were, sizes, and what every model can do."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from pytorchvideo.models import MultiPathWayWithFuse, create_bottleneck_block, create_model
from pytorchvideo.models.slowfast import (
    FastToSlowFusionBuilder,
    FuseFastToSlow,
    PoolConcatPathway,
    create_slowfast,
)

SMALL = {"num_classes": 5, "num_frames": 8, "crop_size": 32, "model_depth": 18}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return create_model("slowfast_r50", **SMALL).eval()


@pytest.fixture
def clips() -> list[torch.Tensor]:
    return [torch.rand(2, 3, 2, 32, 32), torch.rand(2, 3, 8, 32, 32)]


def test_pathways_run_side_by_side() -> None:
    layer = MultiPathWayWithFuse(
        multipathway_blocks=nn.ModuleList([nn.ReLU(), None]),  # type: ignore[list-item]
        multipathway_fusion=PoolConcatPathway(retain_list=True),
    )
    given = [-torch.ones(1, 2, 1, 1, 1), -torch.ones(1, 1, 1, 1, 1)]
    kept = list(given)
    (joined,) = layer(given)
    assert joined.flatten().tolist() == [0, 0, -1]
    assert all(a is b for a, b in zip(given, kept, strict=True))
    without = MultiPathWayWithFuse(
        multipathway_blocks=layer.multipathway_blocks, multipathway_fusion=None, inplace=False
    )
    assert [one.shape[1] for one in without(given)] == [2, 1]
    with pytest.raises(
        ValueError, match=r"a list of 2 tensors, one a pathway, but got \[\(1, 2, 1, 1, 1\)\]"
    ):
        layer(given[:1])


def test_pool_concat_pathway() -> None:
    pools = nn.ModuleList([nn.AvgPool3d((1, 2, 2)), None])  # type: ignore[list-item]
    layer = PoolConcatPathway(pool=pools)
    slow, fast = torch.arange(4.0).view(1, 1, 1, 2, 2), torch.ones(1, 3, 1, 1, 1)
    assert layer([slow, fast]).flatten().tolist() == [1.5, 1, 1, 1]
    with pytest.raises(ValueError, match="a list of 2 tensors, but got 1"):
        layer([slow])


def test_fusion_by_hand() -> None:
    """A kernel of ones sums windows of three of the eight fast frames, every fourth window."""
    builder = FastToSlowFusionBuilder(8, 2, 3, 4, norm=None, activation=None)
    fusion = builder.create_module(fusion_dim_in=8, stage_idx=3)
    assert isinstance(fusion, FuseFastToSlow)
    nn.init.ones_(fusion.conv_fast_to_slow.weight)
    slow, fast = torch.zeros(1, 8, 2, 1, 1), torch.arange(8.0).view(1, 1, 8, 1, 1)
    fused, unchanged = fusion([slow, fast])
    assert unchanged is fast
    # frames -1, 0, 1 and 3, 4, 5
    assert fused[0, 8:, :, 0, 0].tolist() == [[1.0, 12.0]] * 2
    assert isinstance(builder.create_module(fusion_dim_in=8, stage_idx=4), nn.Identity)


def test_frames_that_do_not_fit(model: nn.Module) -> None:
    slow, fast = torch.rand(1, 3, 4, 32, 32), torch.rand(1, 3, 8, 32, 32)
    with pytest.raises(ValueError, match=r"but got 4 and 8, of which it makes 2\."):
        model([slow, fast])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (torch.rand(1, 3, 8, 32, 32), "a list of 2 batches .* but got 'Tensor'"),
        ([torch.rand(1, 3, 8, 32, 32)], r"a list of 2 batches .* but got \[\(1, 3, 8, 32, 32\)\]"),
        ([torch.rand(3, 2, 32, 32), torch.rand(3, 8, 32, 32)], "Add the batch dimension"),
    ],
)
def test_wrong_inputs(model: nn.Module, given: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(given)
    with pytest.raises(ValueError, match=message):
        model.forward_features(given)


def test_clips_smaller_than_the_head_expects(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"at least .* positions \(T, H, W\).*num_frames"):
        model([torch.rand(1, 3, 1, 32, 32), torch.rand(1, 3, 4, 32, 32)])


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"`model_depth` to be one of \[18, 50, 101, 152\]"):
        create_slowfast(model_depth=34)
    with pytest.raises(ValueError, match=r"`stem_dim_out` .* each of the 2 pathways"):
        create_slowfast(stem_dim_outs=(64, 8, 4))
    with pytest.raises(ValueError, match=r"`head_pool_kernel_sizes` .* each of the 2 pathways"):
        create_slowfast(model_depth=18, head_pool_kernel_sizes=((8, 7, 7),))


def test_no_head_and_custom_fusion(clips: list[torch.Tensor]) -> None:
    class Half(nn.Module):
        def forward(self, x: list[torch.Tensor]) -> list[torch.Tensor]:
            slow, fast = x
            channels = slow.shape[1] // 4
            return [torch.cat([slow, slow[:, :channels]], dim=1), fast]

    def build(fusion_dim_in: int, stage_idx: int) -> nn.Module:
        return Half() if stage_idx < 4 else nn.Identity()

    model = create_slowfast(model_depth=18, head=None, head_pool=None, fusion_builder=build)
    with torch.inference_mode():
        assert model(clips).shape == (2, 2304, 2, 1, 1)
    model = create_slowfast(
        model_depth=18, head=None, head_pool=nn.AdaptiveAvgPool3d, fusion_builder=build
    ).eval()
    with torch.inference_mode():
        assert model(clips).shape == (2, 2304, 1, 1, 1)
        assert model.forward_features(clips).shape == (2, 2304)


def test_one_bottleneck_for_all() -> None:
    built = []

    def bottleneck(**kwargs: Any) -> nn.Module:
        built.append(kwargs["dim_out"])
        return create_bottleneck_block(**kwargs)

    widths = [256, 32, 512, 64, 1024, 128, 2048, 256]
    for given in (bottleneck, (bottleneck,) * 2, ((bottleneck,) * 4, bottleneck)):
        built.clear()
        create_slowfast(model_depth=18, bottleneck=given)
        assert built == widths


def test_without_a_pool_scores_are_those_of_positions(
    model: nn.Module, clips: list[torch.Tensor]
) -> None:
    """The classifier is linear: the mean of its scores is the score of the mean."""
    bare = create_slowfast(model_depth=18, model_num_class=5, head_pool=None).eval()
    bare.load_state_dict(model.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(bare(clips), model(clips), rtol=1e-4, atol=1e-5)
    positions = create_slowfast(
        model_depth=18, head_pool=None, head_output_with_global_average=False
    ).eval()
    with torch.inference_mode():
        assert positions(clips).shape == (2, 400, 2, 1, 1)


def test_every_parameter_gets_a_gradient(clips: list[torch.Tensor]) -> None:
    model = create_model("slowfast_r50", **SMALL)
    model(clips).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_copy_pickle_and_reset(model: nn.Module, clips: list[torch.Tensor]) -> None:
    with torch.inference_mode():
        wanted = model(clips)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert torch.equal(other(clips), wanted)
        other.reset_classifier(3)
        assert other(clips).shape == (2, 3)
        assert other.num_features == 2304


def test_one_list_twice(model: nn.Module, clips: list[torch.Tensor]) -> None:
    with torch.inference_mode():
        assert torch.equal(model(clips), model(clips))
        assert torch.equal(model(tuple(clips)), model(clips))


@pytest.mark.slow
def test_export_with_a_dynamic_batch(model: nn.Module, clips: list[torch.Tensor]) -> None:
    batch = {0: torch.export.Dim("batch", min=1, max=16)}
    program = torch.export.export(model, (clips,), dynamic_shapes=([batch, batch],)).module()
    with torch.no_grad():
        for some in (clips, [one.repeat(2, 1, 1, 1, 1) for one in clips]):
            torch.testing.assert_close(program(some), model(some))


@pytest.mark.slow
def test_compile_without_graph_break(model: nn.Module, clips: list[torch.Tensor]) -> None:
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(clips), model(clips))
