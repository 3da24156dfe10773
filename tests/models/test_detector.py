# SPDX-License-Identifier: Apache-2.0
"""Heads for boxes on the trunks of the zoo: shapes, places of boxes, weights, files."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pytorchvideo.models import create_model, create_res_roi_pooling_head, model_entry
from pytorchvideo.models.detector import FeatureMaps, load_trunk, with_roi_head
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

BOXES = torch.tensor([[0.0, 4, 2, 40, 60], [1, 0, 0, 63, 63]])
# one of each family, with the stride of its map
TRUNKS = {
    "slow_r50_4x16": 16,
    "csn_r101": 16,
    "r2plus1d_r50": 16,
    "slowfast_r50": 16,
    "x3d_xs": 16,
    "efficient_x3d_xs": 16,
    "i3d_inception": 32,
    "mvit_base_16x4": 32,
}


def clips(name: str, frames: int) -> Any:
    x = torch.rand(2, 3, frames, 64, 64)
    ratio = model_entry(name).weights.recipe.pathway_ratio
    return x if ratio is None else uniform_temporal_subsample_repeated(x, ratio, temporal_dim=2)


@pytest.mark.parametrize("name", TRUNKS)
def test_any_trunk_scores_boxes(
    name: str, shallow: Callable[[], AbstractContextManager[None]]
) -> None:
    frames = 32 if name == "slowfast_r50" else 8
    with shallow():
        model = create_model(
            f"{name}_detection", num_classes=5, num_frames=frames, crop_size=64
        ).eval()
    x = clips(f"{name}_detection", frames)
    with torch.no_grad():
        scores, maps = model(x, BOXES), model.get_submodule("model")(x)
    assert scores.shape == (2, 5)
    assert ((scores > 0) & (scores < 1)).all()  # sigmoids
    side = 64 // TRUNKS[name]
    assert maps.shape[2:] == (1, side, side)
    scale: Any = model.get_submodule("detection_head.roi_layer").spatial_scale
    assert scale == 1 / TRUNKS[name]


def test_a_dilated_stage_has_the_weights_of_the_strided_one() -> None:
    """At every second position the dilated stage sees what the strided one saw, away from the borders."""
    torch.manual_seed(0)
    plain, dilated = (create_model("x3d_xs").eval() for _ in range(2))
    dilated.load_state_dict(plain.state_dict())
    whole = FeatureMaps(plain)
    large = with_roi_head(dilated, 3).model
    assert whole.state_dict().keys() == large.state_dict().keys()
    with torch.no_grad():
        x = torch.rand(1, 3, 4, 64, 64)
        assert whole(x).shape[-1] * 2 == large(x).shape[-1]


def test_softmax_and_logits() -> None:
    torch.manual_seed(0)
    model = create_model("x3d_xs_detection", num_classes=3, head_activation=nn.Softmax).eval()
    x = torch.rand(2, 3, 4, 64, 64)
    with torch.no_grad():
        scores = model(x, BOXES)
        torch.testing.assert_close(scores.sum(dim=1), torch.ones(2))
        model.get_submodule("detection_head").activation = None
        torch.testing.assert_close(model(x, BOXES).softmax(dim=1), scores)


def aligned_scores(aligned: bool) -> Tensor:
    """Scores of a box on a ramp, which are where the middle of the box is taken to be."""
    head = create_res_roi_pooling_head(
        in_features=1,
        out_features=1,
        resolution=(1, 1),
        spatial_scale=0.25,
        pool=None,
        dropout_rate=0.0,
        aligned=aligned,
    ).eval()
    with torch.no_grad():
        head.proj.weight.fill_(1)
        head.proj.bias.zero_()
        ramp = torch.arange(16.0).expand(1, 1, 1, 16, 16)
        return head(ramp, torch.tensor([[0.0, 16.0, 16.0, 32.0, 32.0]]))


def test_aligned_boxes_are_half_a_position_to_the_left() -> None:
    """The box 16..32 has its middle at 24: 6 positions, less the half that a position's middle is off."""
    assert aligned_scores(False).item() == pytest.approx(6.0)
    assert aligned_scores(True).item() == pytest.approx(5.5)


@pytest.mark.parametrize("name", ["slow_r50_detection", "slowfast_r50_detection"])
def test_published_models_take_the_argument(
    name: str, shallow: Callable[[], AbstractContextManager[None]]
) -> None:
    with shallow():
        plain = create_model(name)
        shifted = create_model(name, head_aligned=True)
    assert plain.get_submodule("detection_head.roi_layer").aligned is False
    assert shifted.get_submodule("detection_head.roi_layer").aligned is True


@pytest.mark.parametrize("name", ["x3d_xs_detection", "slow_r50_detection"])
def test_trunk_of_a_classifier(
    name: str, shallow: Callable[[], AbstractContextManager[None]]
) -> None:
    torch.manual_seed(1)
    entry = model_entry(name)
    with shallow():
        whole = create_model(str(entry.trunk), num_classes=7)
        model = create_model(name, num_classes=2)
    head = {k: v.clone() for k, v in model.get_submodule("detection_head").state_dict().items()}
    first = next(whole.parameters()).clone()
    load_trunk(model, whole)
    assert torch.equal(next(model.get_submodule("model").parameters()), first)
    for key, value in model.get_submodule("detection_head").state_dict().items():
        assert torch.equal(value, head[key])


def test_another_trunk_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks its tensor"):
        load_trunk(create_model("x3d_xs_detection"), create_model("efficient_x3d_xs"))


def test_no_such_trunk() -> None:
    with pytest.raises(ValueError, match="no model named 'x3d_detection'"):
        create_model("x3d_detection")
    with pytest.raises(TypeError, match="a network of the zoo"):
        with_roi_head(nn.Conv3d(3, 3, 1), 2)


def test_file_of_a_detector(tmp_path: Path) -> None:
    """The one trained record holds it: labels, recipe, threshold, arguments of the head."""
    kwargs = {"head_activation": None, "head_aligned": False, "num_frames": 4, "crop_size": 64}
    model = create_model("x3d_xs_detection", num_classes=2, **kwargs).eval()
    recipe = ClipRecipe(num_frames=4, sampling_rate=2, side_size=64, crop_size=None)
    trained = PretrainedModel(
        model,
        "x3d_xs_detection",
        recipe,
        kwargs,
        ("run", "walk"),
        multi_label=True,
        threshold=0.3,
    )
    trained.save(tmp_path / "model.pt")
    again = PretrainedModel.from_file(tmp_path / "model.pt")
    assert (again.labels, again.recipe, again.threshold) == (("run", "walk"), recipe, 0.3)
    x = torch.rand(2, 3, 4, 64, 80)
    with torch.no_grad():
        torch.testing.assert_close(again.model.eval()(x, BOXES), model(x, BOXES))
