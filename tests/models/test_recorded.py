# SPDX-License-Identifier: Apache-2.0
"""Recorders of Python code on our networks: TorchScript, torch.fx, torchvision's feature extractor.

One model of each family, its depth kept or halved, for small clips.
"""

import io
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor

from pytorchvideo.models import create_model, get_weights, model_entry
from pytorchvideo.models.head import ReplaceableClassifier
from pytorchvideo.models.net import MultiPathWayWithFuse, Net
from pytorchvideo.models.resnet import create_acoustic_resnet
from pytorchvideo.models.slowfast import PoolConcatPathway, create_slowfast
from pytorchvideo.models.stem import ResNetBasicStem

FAMILIES: dict[str, dict[str, Any]] = {
    "c2d_r50": {},
    "csn_r101": {"model_depth": 50},
    "efficient_x3d_xs": {},
    "i3d_inception": {},
    "r2plus1d_r50": {},
    "slow_r50_detection": {},
    "slowfast_r50": {"model_depth": 18},
    "slowfast_r50_detection": {"model_depth": 18},
    "x3d_xs": {"depth_factor": 0.5},
}


@pytest.fixture(autouse=True)
def no_deprecation() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.* is deprecated")
        # EfficientX3D has an activation of its scores in evaluation alone
        warnings.filterwarnings("ignore", message="NOTE: The nodes obtained by tracing")
        # which would optimise anew for each shape
        with torch.jit.optimized_execution(False):
            yield


def inputs_for(name: str, batch: int = 2, side: int = 32) -> tuple[Any, ...]:
    rng = torch.Generator().manual_seed(side)
    clips = torch.rand(batch, 3, 8, side, side, generator=rng)
    ratio = get_weights(name).recipe.pathway_ratio
    x = clips if ratio is None else [clips[:, :, ::step] for step in ratio]
    if model_entry(name).task != "detection":
        return (x,)
    box = torch.tensor([4.0, 4.0, 20.0, 28.0]).expand(batch, 4)
    return x, torch.cat((torch.arange(batch)[:, None], box), dim=1)


def build(name: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return create_model(
            name, num_classes=5, num_frames=8, crop_size=32, **FAMILIES[name]
        ).eval()


def assert_same(got: torch.Tensor, want: torch.Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5 * float(want.abs().max()))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_script(name: str) -> None:
    """Compiled, saved and loaded; the model itself stays as it is."""
    model, inputs = build(name), inputs_for(name)
    kind, keys = type(model), list(model.state_dict())
    scripted = torch.jit.script(model)
    assert (type(model), list(model.state_dict())) == (kind, keys)
    assert list(scripted.state_dict()) == keys
    file = io.BytesIO()
    torch.jit.save(scripted, file)
    file.seek(0)
    again = torch.jit.load(file)
    with torch.inference_mode():
        assert_same(again(*inputs), model(*inputs))
        large = inputs_for(name, batch=1, side=48)
        assert_same(again(*large), model(*large))


@pytest.mark.parametrize("name", FAMILIES)
def test_symbolic_trace(name: str) -> None:
    model = build(name)
    graph = torch.fx.symbolic_trace(model)
    for inputs in (inputs_for(name), inputs_for(name, batch=1, side=48)):
        with torch.inference_mode():
            assert_same(graph(*inputs), model(*inputs))
    convolutions = {n for n, m in model.named_modules() if isinstance(m, nn.Conv3d)}
    called = {node.target for node in graph.graph.nodes if node.op == "call_module"}
    assert convolutions <= called


@pytest.mark.parametrize("name", FAMILIES)
def test_feature_extractor(name: str) -> None:
    model, inputs = build(name), inputs_for(name)
    convolution = [n for n, m in model.named_modules() if isinstance(m, nn.Conv3d)][3]
    head = next(m for m in model.modules() if isinstance(m, ReplaceableClassifier))
    classifier = next(n for n, m in model.named_modules() if m is head.classifier)
    extractor = create_feature_extractor(model, {convolution: "early", classifier: "scores"})
    seen: dict[str, torch.Tensor] = {}
    model.get_submodule(convolution).register_forward_hook(
        lambda module, args, output: seen.update(early=output)
    )
    with torch.inference_mode():
        found = extractor(*inputs)
        model(*inputs)
    assert_same(found["early"], seen["early"])
    assert found["scores"].numel() == 2 * 5


def test_script_of_a_network_inside_another() -> None:
    """The outer module keeps networks that answer as before."""

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = build("slowfast_r50")

        def forward(self, x: list[torch.Tensor]) -> torch.Tensor:
            return self.net(x).softmax(dim=1)

    outer, (clips,) = Outer(), inputs_for("slowfast_r50")
    with torch.inference_mode():
        wanted = outer(clips)
        assert_same(torch.jit.script(outer)(clips), wanted)
        assert_same(outer(clips), wanted)
        assert outer.net.forward_features(clips).shape == (2, 2304)
    assert isinstance(outer.net, Net)
    with pytest.raises(ValueError, match="a list of 2 batches of clips"):
        outer.net(clips[:1])


@pytest.mark.parametrize("record", [torch.jit.script, torch.fx.symbolic_trace])
def test_other_networks(record: Any) -> None:
    """Convolutions side by side, and pathways that are not pooled."""
    sound, spectrogram = (
        create_acoustic_resnet(model_num_class=5).eval(),
        torch.rand(1, 1, 64, 1, 80),
    )
    slowfast = create_slowfast(model_depth=18, model_num_class=5, head_pool=None).eval()
    (clips,) = inputs_for("slowfast_r50")
    with torch.inference_mode():
        assert_same(record(sound)(spectrogram), sound(spectrogram))
        assert_same(record(slowfast)(clips), slowfast(clips))


def test_features_are_scripted_too() -> None:
    model = build("x3d_xs")
    model.blocks[-1].proj = None  # type: ignore[union-attr]
    (clips,) = inputs_for("x3d_xs")
    with torch.inference_mode():
        assert_same(torch.jit.script(model)(clips), model.forward_features(clips))


def test_what_cannot_be_scripted() -> None:
    """TorchScript leaves out children that are None, and would run layers that no chain names."""
    stem = ResNetBasicStem(conv=nn.Conv3d(3, 4, 1))
    stem.extra = nn.ReLU()
    with pytest.raises(ValueError, match=r"children of a ResNetBasicStem .* \['conv', 'extra'\]"):
        torch.jit.script(stem)
    blocks = nn.ModuleList([nn.ReLU(), None])  # type: ignore[list-item]
    pathways = MultiPathWayWithFuse(multipathway_blocks=blocks, multipathway_fusion=None)
    pools = PoolConcatPathway(pool=nn.ModuleList([nn.AvgPool3d(1), None]))  # type: ignore[list-item]
    for module in (pathways, pools):
        with pytest.raises(ValueError, match="modules alone, for TorchScript"):
            torch.jit.script(module)
    pathways.multipathway_blocks[1] = nn.ReLU()
    scripted = torch.jit.script(pathways)
    assert [one.item() for one in scripted([-torch.ones(1), torch.ones(1)])] == [0, 1]
    with pytest.raises(torch.jit.Error, match="a list of tensors, one a pathway"):
        scripted([torch.ones(1)])
