# SPDX-License-Identifier: Apache-2.0
"""The contract of every model of the registry, whatever its family and its task.

Values are computed on small clips, shapes of clips of full size on the meta device. What takes seconds a model, like
recording its graph, is done with one model of each family and of few blocks.

Tests of one model follow each other: of all models, the largest is the memory that they take.
"""

import copy
import pickle
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pytorchvideo.models import (
    create_model,
    get_weights,
    list_models,
    load_checkpoint,
    model_entry,
)
from pytorchvideo.models.head import ReplaceableClassifier
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

# One of each family, with the arguments that make its graph small; those of 50 layers are built of few blocks.
FAMILIES: dict[str, dict[str, Any]] = {
    "c2d_r50": {},
    "csn_r101": {"model_depth": 50},
    "efficient_x3d_xs": {},
    "i3d_inception": {},
    "mvit_base_16": {"depth": 4},
    "mvit_base_16x4": {"depth": 4},
    "r2plus1d_r50": {},
    "slow_r50_detection": {},
    "slowfast_r50": {"model_depth": 18},
    "x3d_xs": {"depth_factor": 0.4},
}
# Whose heads average over the positions that a larger clip leaves.
POOLED = ["c2d_r50", "csn_r101", "i3d_inception", "r2plus1d_r50", "x3d_xs"]
FRAMES, SIDE = 8, 64

Inputs = tuple[Any, ...]
Shallow = Callable[[], AbstractContextManager[None]]


def frames_of(name: str, frames: int) -> int:
    """As many frames, or the one frame of a picture."""
    return 1 if model_entry(name).task == "image classification" else frames


def inputs_for(
    name: str, *, batch: int = 2, frames: int = FRAMES, side: int = SIDE, device: str = "cpu"
) -> Inputs:
    """What a model takes: clips, a list with a clip a pathway, pictures, or clips with a box for each."""
    rng = torch.Generator().manual_seed(frames + side)
    clips = torch.rand(batch, 3, frames_of(name, frames), side, side, generator=rng) * 2 - 1
    clips = clips.to(device)
    task, ratio = model_entry(name).task, get_weights(name).recipe.pathway_ratio
    if task == "image classification":
        return (clips[:, :, 0],)
    x = clips if ratio is None else uniform_temporal_subsample_repeated(clips, ratio)
    if task != "detection":
        return (x,)
    corners = torch.tensor([side / 8, side / 8, side / 2, side / 1.5]).expand(batch, 4)
    boxes = torch.cat((torch.arange(batch)[:, None], corners), dim=1)
    return x, boxes.to(device)


def build(name: str, *, frames: int = FRAMES, side: int = SIDE, **kwargs: Any) -> nn.Module:
    """A model for clips of this size and five classes, with weights that do not depend on the order of tests."""
    entry = model_entry(name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return create_model(
            name,
            num_classes=5,
            num_frames=frames_of(name, frames),
            crop_size=side,
            **(entry.logits_arguments | kwargs),
        )


def saved_bytes(model: nn.Module, inputs: Inputs) -> int:
    """Memory that a forward pass keeps for the backward pass, without the parameters."""
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = model(*inputs)
    del output
    return sum(size for address, size in kept.items() if address not in own)


def each(names: Iterable[str]) -> pytest.MarkDecorator:
    """The decorator of a test of each of these models, beside the other tests of each."""
    return pytest.mark.parametrize("name", list(names), scope="module")


@pytest.fixture(scope="module")
def model(name: str) -> nn.Module:
    return build(name).eval()


@pytest.fixture(scope="module")
def graph(name: str, shallow: Shallow) -> nn.Module:
    """A small model of a family, for small clips."""
    with shallow():
        return build(name, side=32, **FAMILIES[name]).eval()


@pytest.fixture
def benchmarks() -> Iterator[None]:
    """What benchmarks share can be imported."""
    folder = str(Path(__file__).resolve().parents[2] / "benchmarks")
    sys.path.insert(0, folder)
    yield
    sys.path.remove(folder)


def assert_same(got: torch.Tensor, want: torch.Tensor) -> None:
    """Equal to 1e-5 of the largest score: how memory is aligned decides the order of oneDNN's sums."""
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5 * float(want.abs().max()))


@each(list_models())
def test_forward_and_features(model: nn.Module, name: str) -> None:
    """Of a size that is not that of its recipe."""
    inputs = inputs_for(name)
    before = copy.deepcopy(inputs)
    with torch.inference_mode():
        scores, features = model(*inputs), model.forward_features(*inputs)
        assert scores.shape == (2, 5)
        assert features.shape == (2, model.num_features)
        torch.testing.assert_close(inputs, before, rtol=0, atol=0)
        # The classifier is linear: its scores of the mean are the mean of its scores.
        weight = model.classifier.weight.flatten(1)
        wanted = features @ weight.T + model.classifier.bias
        torch.testing.assert_close(
            scores, wanted, rtol=1e-4, atol=1e-5 + 1e-5 * float(wanted.abs().max())
        )


@each(list_models())
def test_sizes(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The size that it was built for, that of its recipe, and another one."""
    entry, weights = model_entry(name), get_weights(name)
    labels = len(weights.labels) or 400
    # keeps all shapes, and takes half of the time on the meta device
    monkeypatch.setattr(nn.BatchNorm3d, "forward", lambda self, x: x)
    with torch.device("meta"):
        model = create_model(name).eval()
        other = create_model(name, num_frames=frames_of(name, 16), crop_size=96).eval()
    side = weights.recipe.crop_size or weights.recipe.side_size
    with torch.no_grad():
        for pixels in {entry.crop_size, side}:
            inputs = inputs_for(name, batch=1, frames=entry.num_frames, side=pixels, device="meta")
            assert model(*inputs).shape == (1, labels)
        inputs = inputs_for(name, batch=1, frames=16, side=96, device="meta")
        assert other(*inputs).shape == (1, labels)


@each(POOLED)
def test_larger_clips(model: nn.Module) -> None:
    with torch.inference_mode():
        assert model(torch.rand(1, 3, 16, 96, 80)).shape == (1, 5)


@each(POOLED)
def test_clips_smaller_than_the_head_expects(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"at least .* positions \(T, H, W\).*num_frames"):
        model(torch.rand(1, 3, 8, 32, 32))


@each(list_models())
def test_every_parameter_gets_a_gradient(model: nn.Module, name: str) -> None:
    model = copy.deepcopy(model).train()
    model(*inputs_for(name)).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@each(list_models())
def test_reset_classifier(model: nn.Module, name: str) -> None:
    model = copy.deepcopy(model).to("meta")
    shapes = {k: v.shape for k, v in model.state_dict().items()}
    features = model.num_features
    model.reset_classifier(3)
    assert list(model.state_dict()) == list(shapes)
    assert model.num_features == features
    assert model(*inputs_for(name, device="meta")).shape == (2, 3)
    assert sum(v.shape != shapes[k] for k, v in model.state_dict().items()) == 2
    with pytest.raises(ValueError, match="`num_classes` to be >= 1, but got 0"):
        model.reset_classifier(0)


@each(list_models())
def test_classifier_of_none_gives_features(model: nn.Module, name: str) -> None:
    """Code written for PyTorchVideo takes features so: ``model.blocks[-1].proj = None``."""
    model, inputs = copy.copy(model), inputs_for(name)
    head = next(m for m in model.modules() if isinstance(m, ReplaceableClassifier))
    layer = head.classifier
    try:
        setattr(head, head.classifier_name, None)
        with torch.inference_mode():
            assert_same(model(*inputs), model.forward_features(*inputs))
        assert not hasattr(model, "classifier")
    finally:
        setattr(head, head.classifier_name, layer)


@each(list_models())
def test_no_classes(name: str) -> None:
    with pytest.raises(ValueError, match="`num_classes` to be >= 1, but got 0"):
        create_model(name, num_classes=0)
    argument = model_entry(name).classes_argument
    with pytest.raises(ValueError, match="to be >= 1, but got 0"):
        create_model(name, **{argument: 0})


@each(["x3d_xs"])
def test_reset_classifier_keeps_the_dtype(graph: nn.Module) -> None:
    model = copy.deepcopy(graph).to(torch.float64)
    model.reset_classifier(2)
    assert model.classifier.weight.dtype == torch.float64


@each(FAMILIES)
def test_copies(graph: nn.Module, name: str, shallow: Shallow, tmp_path: Path) -> None:
    """Pickled, copied, saved as safetensors and loaded into another model, in turn."""
    inputs = inputs_for(name, side=32)
    copied = copy.deepcopy(pickle.loads(pickle.dumps(graph)))
    # refuses tensors that share memory, and loads what is written strictly
    save_file(copied.state_dict(), tmp_path / "model.safetensors")
    with torch.device("meta"), shallow():
        fresh = build(name, side=32, **FAMILIES[name]).eval()
    fresh.load_state_dict(load_file(tmp_path / "model.safetensors"), strict=True, assign=True)
    torch.testing.assert_close(fresh.state_dict(), graph.state_dict(), rtol=0, atol=0)
    with torch.inference_mode():
        # kernels depend on how a file's tensors are aligned
        torch.testing.assert_close(fresh(*inputs), graph(*inputs), rtol=1e-4, atol=1e-5)


@each(FAMILIES)
def test_load_checkpoint(graph: nn.Module, name: str, shallow: Shallow) -> None:
    with shallow():
        fresh = build(name, side=32, **FAMILIES[name]).eval()
    nn.init.zeros_(next(fresh.parameters()))
    load_checkpoint(fresh, {"model_state": graph.state_dict()})
    inputs = inputs_for(name, side=32)
    with torch.inference_mode():
        assert_same(fresh(*inputs), graph(*inputs))


@each(list_models())
def test_bfloat16(model: nn.Module, name: str) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        scores = model(*inputs_for(name))
    assert scores.shape == (2, 5)
    assert torch.isfinite(scores).all()


@pytest.mark.slow
@each(FAMILIES)
def test_export(graph: nn.Module, name: str) -> None:
    batch = torch.export.Dim("batch", min=1, max=16)
    inputs = inputs_for(name, side=32)
    shapes = tuple([{0: batch}] * len(x) if isinstance(x, list) else {0: batch} for x in inputs)
    program = torch.export.export(graph, inputs, dynamic_shapes=shapes, strict=True).module()
    with torch.no_grad():
        for number in (2, 3):
            some = inputs_for(name, batch=number, side=32)
            torch.testing.assert_close(program(*some), graph(*some), rtol=1e-4, atol=1e-5)


@each(["x3d_xs"])
def test_export_without_strict(graph: nn.Module, name: str) -> None:
    inputs = inputs_for(name, side=32)
    program = torch.export.export(graph, inputs, strict=False).module()
    with torch.no_grad():
        torch.testing.assert_close(program(*inputs), graph(*inputs), rtol=1e-4, atol=1e-5)


# Strict export of the other families records their whole graphs, too.
@pytest.mark.slow
@each(["mvit_base_16x4", "slowfast_r50", "x3d_xs"])
def test_compile_without_graph_break(graph: nn.Module, name: str) -> None:
    """In training, with gradients."""
    model, inputs = copy.deepcopy(graph).train(), inputs_for(name, side=32)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    compiled(*inputs).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.slow
@each(FAMILIES)
def test_trace(graph: nn.Module, name: str) -> None:
    inputs = inputs_for(name, side=32)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.filterwarnings("ignore", message=".*torch.jit.trace.* is deprecated")
        warnings.filterwarnings("ignore", message=".*torch.jit.trace_method.* is deprecated")
        # RoIAlign's own check of the shape of boxes
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        traced = torch.jit.trace(graph, inputs)
        torch.testing.assert_close(traced(*inputs), graph(*inputs), rtol=1e-4, atol=1e-5)


@each(FAMILIES)
@pytest.mark.usefixtures("benchmarks")
def test_memory_is_not_above_the_original_form(name: str, shallow: Shallow) -> None:
    from _original_form import original_form

    # attention of a few tokens has smaller matrices than they are
    side = 224 if "mvit" in name else SIDE
    with shallow():
        model, inputs = build(name, side=side, **FAMILIES[name]), inputs_for(name, side=side)
    ours = saved_bytes(model, inputs)
    with original_form():
        assert 0 < ours <= saved_bytes(model, inputs)


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((3, 8, 64, 64), r"Add the batch dimension"),
        ((1, 8, 64, 64, 3), r"x\.permute\(0, 4, 1, 2, 3\)"),
        ((1, 8, 3, 64, 64), r"x\.transpose\(1, 2\)"),
        ((1, 4, 8, 64, 64), r"clips \(B, 3, T, H, W\), but got \(1, 4, 8, 64, 64\)"),
    ],
)
@each([*POOLED, "efficient_x3d_xs", "mvit_base_16x4"])
def test_wrong_layout(model: nn.Module, shape: tuple[int, ...], advice: str) -> None:
    with pytest.raises(ValueError, match=advice):
        model(torch.rand(shape))
    with pytest.raises(ValueError, match=advice):
        model.forward_features(torch.rand(shape))


@each(["x3d_xs"])
def test_wrong_type(model: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"floating point, but got 'torch\.uint8'"):
        model(torch.zeros(1, 3, 8, 64, 64, dtype=torch.uint8))
    with pytest.raises(ValueError, match="but got 'list'"):
        model([torch.zeros(1, 3, 8, 64, 64)])


@each(list_models())
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
