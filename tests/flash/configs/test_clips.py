# SPDX-License-Identifier: Apache-2.0
"""Training clips of recipes: the order of their steps, their sizes, and what each draws."""

from typing import Any

import pytest
import torch

from flash.configs.clips import augmentation_steps, training_transform
from flash.configs.files import load_recipe
from pytorchvideo.models import get_weights
from pytorchvideo.transforms.clip_recipe import ClipRecipe, sized


def clip_of(name: str, crop: int = 224) -> ClipRecipe:
    return sized(get_weights(name).recipe, crop=crop)


def steps(name: str, *changes: str, crop: int = 224) -> list[Any]:
    recipe = load_recipe(name, changes)
    return augmentation_steps(recipe, clip_of(recipe.model, crop))


def names(of: list[Any]) -> list[str]:
    return [type(getattr(step, "transform", step)).__name__ for step in of]


def test_steps_of_recipes() -> None:
    plain = ["Div255", "Normalize", "RandomShortSideScale", "RandomCropVideo"]
    assert names(steps("slow_8x8_r50")) == [*plain, "RandomHorizontalFlipVideo"]
    # frames of bytes are augmented, normal noise erases normalised clips
    drawn = ["RandomShortSideScale", "LevelsToUint8", "RandAugment", "Div255", "Normalize"]
    rest = ["RandomResizedCrop", "RandomHorizontalFlipVideo", "RandomErasing"]
    assert names(steps("mvit_b_16x4")) == drawn + rest
    augment = steps("mvit_b_16x4")[2].transform
    assert augment.transforms[0].transform_hparas == {"fill": (0.45, 0.45, 0.45)}
    resized = steps("mvit_b_16x4")[5]
    assert (resized.scale, resized.aspect_ratio) == ((0.08, 1.0), (0.75, 1.3333))
    erasing = steps("mvit_b_16x4")[7].transform
    assert (erasing.probability, erasing.mode, erasing.cube) == (0.25, "pixel", True)


def test_short_sides_go_with_the_crop() -> None:
    for crop, wanted in ((224, (256, 320)), (112, (128, 160)), (56, (64, 80))):
        scale = steps("slow_8x8_r50", crop=crop)[2]
        assert (scale.min_size, scale.max_size, scale.inverse_uniform) == (*wanted, False)
    assert steps("charades_slow_8x8_r50")[2].inverse_uniform
    assert steps("charades_slow_8x8_r50")[2].max_size == 340


def test_flips() -> None:
    shares = [
        steps("slow_8x8_r50")[4].p,
        steps("slow_8x8_r50", "data.horizontal_flip=0.3")[4].p,
        steps("ssv2_slow_8x8_r50")[4].p,
    ]
    assert shares == [0.5, 0.3, 0.0]
    still = augmentation_steps(load_recipe("x3d_s"), clip_of("x3d_s", 160), flip=False)
    assert still[4].p == 0.0


def test_colours_and_pathways_come_last() -> None:
    recipe = load_recipe("ssv2_slowfast_8x8_r50", ["data.short_side=[32, 40]", "data.crop=32"])
    transform = training_transform(recipe, clip_of(recipe.model, 32))
    blue = torch.zeros(3, 40, 48, 64)
    blue[2] = 255
    slow, fast = transform({"video": blue})["video"]
    assert (slow.shape, fast.shape) == ((3, 8, 32, 32), (3, 32, 32, 32))
    # blue, white minus the mean over the deviation, is the first of three channels
    assert fast[0].unique().item() == pytest.approx((1 - 0.45) / 0.225)
    assert fast[2].unique().item() == pytest.approx(-0.45 / 0.225)


def test_copies_of_a_clip_differ() -> None:
    sizes = ["data.short_side=[32, 40]", "data.crop=32", "data.num_frames=4", "augment.repeats=3"]
    recipe = load_recipe("mvit_b_16x4", sizes)
    clip = sized(get_weights(recipe.model).recipe, 4, 32)
    several = training_transform(recipe, clip)(
        {"video": torch.rand(3, 9, 40, 50) * 255, "label": 1}
    )
    assert [one["label"] for one in several] == [1, 1, 1]
    assert {tuple(one["video"].shape) for one in several} == {(3, 4, 32, 32)}
    assert not torch.equal(several[0]["video"], several[1]["video"])
