# SPDX-License-Identifier: Apache-2.0
"""Class-activation maps against vectors of another implementation, for every CNN of the zoo, and what they refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo.inference.explain.gradcam import grad_cam
from pytorchvideo.inference.explain.pictures import overlay
from pytorchvideo.models import create_model, list_models
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models._weights.shapes import shapes_only

VECTORS = Path(__file__).resolve().parents[4] / "shared/reference/research/explain_vectors.json"


class Toy(nn.Module):
    """The network of the vectors; its activation may work in place."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, (1, 2, 2), stride=2)
        self.act = nn.ReLU(inplace=inplace)
        self.fc = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.act(self.conv(x)).mean(dim=(2, 3, 4)))


class TwoPathways(nn.Module):
    """Two inputs, a layer for each; it writes into the list that it is given, as SlowFast does."""

    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = nn.Conv3d(3, 4, 1), nn.Conv3d(3, 4, 1)
        self.fc = nn.Linear(8, 3)

    def forward(self, x: list[Tensor]) -> Tensor:
        x[0], x[1] = self.slow(x[0]), self.fast(x[1])
        return self.fc(torch.cat([one.mean(dim=(2, 3, 4)) for one in x], dim=1))


def by_hand(model: nn.Module, x: Any, layers: tuple[str, ...]) -> list[Tensor]:
    """The maps of the likeliest class with the whole graph, as the formula says."""
    kept: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_layer: nn.Module, _given: Any, output: Tensor) -> None:
            output.retain_grad()
            kept[name] = output

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in layers]
    model(x if isinstance(x, Tensor) else list(x)).max(dim=1).values.sum().backward()
    for hook in hooks:
        hook.remove()
    found = []
    for name, clip in zip(layers, [x] if isinstance(x, Tensor) else x, strict=True):
        activations, gradients = kept[name], kept[name].grad
        assert gradients is not None
        small = (gradients.mean((3, 4), keepdim=True) * activations).sum(1, keepdim=True).relu()
        heat = F.interpolate(small, size=clip.shape[2:], mode="trilinear", align_corners=False)[
            :, 0
        ]
        low, high = heat.amin((1, 2, 3), True), heat.amax((1, 2, 3), True)
        found.append(((heat - low) / (high - low + 1e-6)).detach())
    return found


def hooks_of(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


@pytest.mark.parametrize("inplace", [False, True])
def test_vectors_of_pyslowfast(inplace: bool) -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared vectors are not here")
    known = json.loads(VECTORS.read_text())["gradcam"]
    model = Toy(inplace)
    state = {
        "conv.weight": torch.tensor(known["conv_w"]).reshape(4, 3, 1, 2, 2),
        "conv.bias": torch.tensor(known["conv_b"]),
        "fc.weight": torch.tensor(known["fc_w"]).reshape(3, 4),
        "fc.bias": torch.tensor(known["fc_b"]),
    }
    model.load_state_dict(state)
    x = torch.tensor(known["input"]).reshape(2, 3, 4, 4, 4)
    found = grad_cam(model, x, ["conv"])
    assert torch.allclose(found.logits.flatten(), torch.tensor(known["pred"]), atol=1e-6)
    assert torch.allclose(found.maps[0].flatten(), torch.tensor(known["map_top1"]), atol=1e-6)
    labelled = grad_cam(model, x, ["conv"], labels=known["labels"])
    assert torch.allclose(labelled.maps[0].flatten(), torch.tensor(known["map_labels"]), atol=1e-6)
    assert labelled.classes.tolist() == known["labels"]

    def toy_colours(value: Tensor) -> Tensor:
        return torch.stack([value, torch.zeros_like(value), 1 - value], dim=-1)

    frames = x.transpose(1, 2) * 0.225 + 0.45  # (B, C, T, H, W) -> (B, T, C, H, W)
    shown = overlay(frames, found.maps[0], colours=toy_colours)
    first = torch.tensor(known["overlay_top1_first_frame"])
    assert torch.allclose(shown[0, 0].flatten(), first, atol=1e-6)


SMALL = {
    "x3d_xs": (4, 64),
    "slow_r50": (4, 32),
    "c2d_r50": (4, 32),
    "slowfast_r50": (8, 32),
    "r2plus1d_r50": (4, 32),
    "efficient_x3d_xs": (4, 64),
}


@pytest.mark.parametrize("name", SMALL)
def test_maps_of_the_zoo_are_those_of_the_whole_graph(name: str) -> None:
    torch.manual_seed(0)
    frames, side = SMALL[name]
    entry = model_entry(name)
    # frozen, with its softmax, called in inference mode
    model = entry.build(num_classes=5, num_frames=frames, crop_size=side).eval()
    clip = torch.randn(1, 3, frames, side, side)
    ratio = entry.weights.recipe.pathway_ratio
    x: Any = clip if ratio is None else [clip[:, :, ::step] for step in ratio]
    model.requires_grad_(False)
    with torch.inference_mode():
        found = grad_cam(model, x, entry.map_layers)
    assert hooks_of(model) == 0
    assert all(parameter.grad is None for parameter in model.parameters())
    reference = entry.build(
        num_classes=5, num_frames=frames, crop_size=side, **entry.logits_arguments
    ).eval()
    reference.load_state_dict(model.state_dict())
    for one, other in zip(found.maps, by_hand(reference, x, entry.map_layers), strict=True):
        assert torch.allclose(one, other, atol=1e-4)
    assert found.merged().shape == (1, frames, side, side)


def test_every_cnn_of_the_zoo_has_layers_one_a_pathway() -> None:
    shapes = {}
    for name in list_models():
        entry = model_entry(name)
        pathways = 0 if name.startswith("mvit") else 2 if name.startswith("slowfast") else 1
        assert len(entry.map_layers) == pathways, name
        shapes[entry.builder, entry.map_layers] = entry
    for entry in shapes.values():  # one of each that is built otherwise
        with shapes_only():
            model = entry.build()
        for layer in entry.map_layers:
            model.get_submodule(layer)


def test_nothing_of_a_network_is_changed() -> None:
    torch.manual_seed(0)
    model = Toy(inplace=True).train()
    model.act.eval()
    x = torch.randn(2, 3, 4, 4, 4)
    before = x.clone()
    first, second = (grad_cam(model, x, ["conv"]).maps[0] for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(x, before)
    assert [model.training, model.conv.training, model.act.training] == [True, True, False]
    assert hooks_of(model) == 0
    assert torch.is_grad_enabled()
    with torch.no_grad():
        assert torch.equal(grad_cam(model, x, ["conv"]).maps[0], first)
        assert not torch.is_grad_enabled()


def test_a_map_that_is_nowhere_positive_is_zero() -> None:
    model = Toy()
    with torch.no_grad():
        model.conv.weight.abs_()
        model.conv.bias.zero_()
        model.fc.weight.copy_(-torch.ones(3, 4))
    found = grad_cam(model, torch.rand(1, 3, 4, 4, 4), ["conv"], labels=0)
    assert torch.equal(found.maps[0], torch.zeros(1, 4, 4, 4))


def test_layers_of_other_pathways_are_refused() -> None:
    model = TwoPathways()
    x = [torch.randn(1, 3, 2, 4, 4), torch.randn(1, 3, 8, 4, 4)]
    assert [m.shape[1] for m in grad_cam(model, x, ["slow", "fast"]).maps] == [2, 8]
    assert [clip.shape[1] for clip in x] == [3, 3]
    with pytest.raises(ValueError, match=r"of the pathway with 2 frames.*'fast', whose map has 8"):
        grad_cam(model, x, ["fast", "slow"])
    with pytest.raises(ValueError, match="2, one a pathway"):
        grad_cam(model, x, ["slow"])

    class Once(TwoPathways):
        def forward(self, x: list[Tensor]) -> Tensor:
            return self.fc(torch.cat([self.slow(one).mean(dim=(2, 3, 4)) for one in x], dim=1))

    with pytest.raises(ValueError, match="'slow' several times"):
        grad_cam(Once(), x, ["slow", "fast"])


def test_what_cannot_be_explained_is_said() -> None:
    x = torch.randn(1, 3, 4, 4, 4)
    with pytest.raises(ValueError, match=r"no layer 'convv' in this Toy\. Did you mean conv"):
        grad_cam(Toy(), x, ["convv"])
    with pytest.raises(ValueError, match=r"layers that return maps .*'fc' does not"):
        grad_cam(Toy(), x, ["fc"])
    with pytest.raises(ValueError, match=r"0\.\.2, one a clip"):
        grad_cam(Toy(), x, ["conv"], labels=3)
    with pytest.raises(ValueError, match=r"returns logits.*sum is 1"):
        grad_cam(nn.Sequential(Toy(), nn.Softmax(dim=1)), x, ["0.conv"])
    with pytest.raises(ValueError, match=r"`inputs` to be clips .* got \(3, 4, 4, 4\)"):
        grad_cam(Toy(), x[0], ["conv"])

    class Cut(Toy):
        def forward(self, x: Tensor) -> Tensor:
            return self.fc(self.conv(x).mean(dim=(2, 3, 4)).detach())

    model = Cut()
    with pytest.raises(ValueError, match="do not depend on the layer 'conv'"):
        grad_cam(model, x, ["conv"])
    assert hooks_of(model) == 0


def test_layers_are_counted_from_the_end() -> None:
    torch.manual_seed(0)
    model = create_model("x3d_xs", num_classes=3, num_frames=4, crop_size=32)
    x = torch.randn(1, 3, 4, 32, 32)
    one, other = (grad_cam(model, x, [name]).maps[0] for name in ("blocks.-2", "blocks.4"))
    assert torch.equal(one, other)
