# SPDX-License-Identifier: Apache-2.0
"""Backbones of classifiers, and recipes without a crop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from flash.runs.config import RunConfig
from flash.video import VideoClassifier, VideoPredictor
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.models import ClipRecipe, create_resnet, create_resnet_with_roi_head


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("slow_r50_detection", "detection"),
        ("slowfast_r50_detection", "detection"),
        ("mvit_base_16", "image classification"),
    ],
)
def test_models_for_other_tasks_are_refused(name: str, task: str) -> None:
    assert name not in VideoClassifier.available_backbones()
    message = f"{name} is a model for {task}, not for video classification"
    with pytest.raises(KeyError, match=message):
        VideoClassifier(2, backbone=name, pretrained=False)
    with pytest.raises(KeyError, match=message):
        VideoClassifier.get_backbone_details(name)
    with pytest.raises(ValueError, match=message):
        load_predictor(name)
    with pytest.raises(ValueError, match=message):
        RunConfig("data", model=name).completed()


def test_a_network_that_scores_boxes_is_refused() -> None:
    network = create_resnet_with_roi_head(stem_dim_out=4)
    with pytest.raises(
        TypeError, match="a classifier of whole clips, but got 'DetectionBBoxNetwork'"
    ):
        VideoClassifier(2, backbone=network)


def test_a_trunk_with_a_head_of_ones_own() -> None:
    trunk = create_resnet(stem_dim_out=4, head=None)
    head = nn.Sequential(nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(128, 2))
    model = VideoClassifier(2, backbone=trunk, head=head)
    assert model.head_modules() == []
    assert model(torch.zeros(1, 3, 4, 32, 32)).shape == (1, 2)


def test_whole_pictures(make_video: Callable[..., Path]) -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[tuple[int, ...]] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(tuple(x.shape))
            return x.mean(dim=(2, 3, 4))

    recipe = ClipRecipe(2, 4, frames_per_second=16, side_size=32, crop_size=None)
    assert ClipRecipe.from_dict(recipe.to_dict()) == recipe != replace(recipe, crop_size=32)
    model = Mean()
    predictor = VideoPredictor(model, recipe, ["red", "green", "blue"])
    video = make_video("whole.mp4", height=48, width=96)
    predictor.predict(video, clips=1)
    assert model.seen == [(1, 3, 2, 32, 64)]
    with pytest.raises(ValueError, match="`views` to be 1 for pictures that are left whole"):
        predictor.predict(video, views=3)


QUICK = ("c2d_r50", "efficient_x3d_xs", "i3d_inception", "mvit_base_16x4", "slowfast_r50", "x3d_xs")


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in VideoClassifier.available_backbones()
    ],
)
def test_every_backbone_takes_whole_clips(name: str) -> None:
    recipe = ClipRecipe(num_frames=16, sampling_rate=2, side_size=64, crop_size=64)
    with torch.device("meta"):  # shapes without numbers
        model = VideoClassifier(3, backbone=name, pretrained=False, recipe=recipe)
        assert model(torch.zeros(2, 3, 16, 64, 64)).shape == (2, 3)
    assert model.recipe is not None
    assert (model.recipe.pathway_ratio is None) == (not name.startswith("slowfast"))
    heads = {p for module in model.head_modules() for p in module.parameters()}
    assert {p.shape[0] for p in heads} == {3}
