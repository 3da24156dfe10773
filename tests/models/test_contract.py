# SPDX-License-Identifier: Apache-2.0
"""What every model of the registry can do, whatever its family."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn

from pytorchvideo.models import (
    create_model,
    get_weights,
    list_models,
    load_checkpoint,
    model_entry,
)
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

# One of each family, for what takes seconds a model.
POOLED = ["c2d_r50", "i3d_inception", "x3d_xs"]
FAMILIES = [*POOLED, "mvit_base_16x4", "efficient_x3d_xs"]
VIDEO = list_models("video classification")
# Recording a graph takes seconds a model: the smallest graph always, the others in the long run.
RECORDED = [
    pytest.param("c2d_r50", marks=pytest.mark.slow),
    "i3d_inception",
    pytest.param("x3d_xs", marks=pytest.mark.slow),
    pytest.param("mvit_base_16x4", marks=pytest.mark.slow),
]


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    """Every model, for small clips and five classes, with initial weights that do not depend on the order."""
    built = {}
    with torch.random.fork_rng(devices=[]):
        for name in VIDEO:
            torch.manual_seed(1)
            built[name] = create_model(
                name,
                num_classes=5,
                num_frames=8,
                crop_size=64,
                **model_entry(name).logits_arguments,
            ).eval()
    return built


@pytest.fixture
def clips() -> torch.Tensor:
    return torch.rand(2, 3, 8, 64, 64) * 2 - 1


Input = torch.Tensor | list[torch.Tensor]


def inputs_for(name: str, clips: torch.Tensor) -> Input:
    """What a model takes of these clips: the pathways of its recipe, or the clips themselves."""
    ratio = get_weights(name).recipe.pathway_ratio
    return clips if ratio is None else uniform_temporal_subsample_repeated(clips, ratio)


@pytest.mark.parametrize("name", VIDEO)
def test_forward_and_features(models: dict[str, nn.Module], clips: torch.Tensor, name: str) -> None:
    model, before = models[name], clips.clone()
    given = inputs_for(name, clips)
    with torch.inference_mode():
        scores, features = model(given), model.forward_features(given)
        assert scores.shape == (2, 5)
        assert features.shape == (2, model.num_features)
        torch.testing.assert_close(given, inputs_for(name, before), rtol=0, atol=0)
        # The classifier is linear: its scores of the mean are the mean of its scores.
        weight = model.classifier.weight.flatten(1)
        torch.testing.assert_close(features @ weight.T + model.classifier.bias, scores)


@pytest.mark.parametrize("name", POOLED)
def test_larger_clips(models: dict[str, nn.Module], name: str) -> None:
    with torch.inference_mode():
        assert models[name](torch.rand(1, 3, 16, 96, 80)).shape == (1, 5)


@pytest.mark.parametrize("name", POOLED)
def test_clips_smaller_than_the_head_expects(models: dict[str, nn.Module], name: str) -> None:
    with pytest.raises(ValueError, match=r"at least .* positions \(T, H, W\).*num_frames"):
        models[name](torch.rand(1, 3, 8, 32, 32))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_parameter_gets_a_gradient(clips: torch.Tensor, name: str) -> None:
    model = create_model(name, num_classes=5, num_frames=8, crop_size=64)
    model(clips).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert without == []


@pytest.mark.parametrize("name", FAMILIES)
def test_reset_classifier(models: dict[str, nn.Module], clips: torch.Tensor, name: str) -> None:
    model = copy.deepcopy(models[name])
    keys = list(model.state_dict())
    trunk = {k: v.clone() for k, v in model.state_dict().items()}
    features = model.num_features
    model.reset_classifier(3)
    assert list(model.state_dict()) == keys
    assert model.num_features == features
    with torch.inference_mode():
        assert model(clips).shape == (2, 3)
    changed = [k for k, v in model.state_dict().items() if v.shape != trunk[k].shape]
    assert len(changed) == 2
    with pytest.raises(ValueError, match="`num_classes` to be >= 1, but got 0"):
        model.reset_classifier(0)


def test_reset_classifier_keeps_the_dtype(models: dict[str, nn.Module]) -> None:
    model = copy.deepcopy(models["x3d_xs"]).to(torch.float64)
    model.reset_classifier(2)
    assert model.classifier.weight.dtype == torch.float64


@pytest.mark.parametrize("name", FAMILIES)
def test_copy_pickle_and_state_dict(
    models: dict[str, nn.Module], clips: torch.Tensor, name: str
) -> None:
    model = models[name]
    fresh = create_model(name, num_classes=5, num_frames=8, crop_size=64).eval()
    load_checkpoint(fresh, model.state_dict())
    with torch.inference_mode():
        wanted = model(clips)
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), fresh):
            assert torch.equal(other(clips), wanted)


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("strict", [pytest.param(True, marks=pytest.mark.slow), False])
def test_export(models: dict[str, nn.Module], clips: torch.Tensor, name: str, strict: bool) -> None:
    batch = {0: torch.export.Dim("batch", min=1, max=16)}
    program = torch.export.export(
        models[name], (clips,), dynamic_shapes=(batch,), strict=strict
    ).module()
    with torch.no_grad():
        for some in (clips, clips.repeat(2, 1, 1, 1, 1)):
            torch.testing.assert_close(program(some), models[name](some))


@pytest.mark.parametrize("name", RECORDED)
def test_compile_without_graph_break(
    models: dict[str, nn.Module], clips: torch.Tensor, name: str
) -> None:
    compiled = torch.compile(models[name], backend="eager", fullgraph=True)
    with torch.no_grad():
        torch.testing.assert_close(compiled(clips), models[name](clips))


@pytest.mark.parametrize("name", RECORDED)
def test_trace(models: dict[str, nn.Module], clips: torch.Tensor, name: str) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", message=".*torch.jit.trace.* is deprecated")
        warnings.filterwarnings("ignore", message=".*torch.jit.trace_method.* is deprecated")
        traced = torch.jit.trace(models[name], clips)
        torch.testing.assert_close(traced(clips), models[name](clips))


@pytest.mark.parametrize("name", FAMILIES)
def test_bfloat16(models: dict[str, nn.Module], clips: torch.Tensor, name: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        scores = models[name](clips)
    assert scores.shape == (2, 5)
    assert torch.isfinite(scores).all()


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((3, 8, 64, 64), r"Add the batch dimension"),
        ((1, 8, 64, 64, 3), r"x\.permute\(0, 4, 1, 2, 3\)"),
        ((1, 8, 3, 64, 64), r"x\.transpose\(1, 2\)"),
        ((1, 4, 8, 64, 64), r"clips \(B, 3, T, H, W\), but got \(1, 4, 8, 64, 64\)"),
    ],
)
@pytest.mark.parametrize("name", FAMILIES)
def test_wrong_layout(
    models: dict[str, nn.Module], name: str, shape: tuple[int, ...], advice: str
) -> None:
    with pytest.raises(ValueError, match=advice):
        models[name](torch.rand(shape))
    with pytest.raises(ValueError, match=advice):
        models[name].forward_features(torch.rand(shape))


def test_wrong_type(models: dict[str, nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"floating point, but got 'torch\.uint8'"):
        models["x3d_xs"](torch.zeros(1, 3, 8, 64, 64, dtype=torch.uint8))
    with pytest.raises(ValueError, match="but got 'list'"):
        models["x3d_xs"]([torch.zeros(1, 3, 8, 64, 64)])


@pytest.mark.parametrize("name", list_models())
def test_weights_record(name: str) -> None:
    entry = model_entry(name)
    weights, recipe = entry.weights, entry.weights.recipe
    assert weights.name == name
    assert recipe.num_frames == entry.num_frames
    assert (recipe.crop_size or recipe.side_size) >= entry.crop_size
    assert all(0 < score < 100 for score in weights.metrics.values())
    assert len(set(weights.labels)) == len(weights.labels)
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == weights.num_parameters
    # of the pictures that mvit_base_16 was trained on, the names are not published
    assert model.classifier.weight.shape[0] == (len(weights.labels) or 400)


def test_no_two_weights_share_a_file() -> None:
    files = [get_weights(name).file for name in list_models()]
    assert len(set(files)) == len(files)
