# SPDX-License-Identifier: Apache-2.0
"""Maps and boxes: values that can be counted by hand, and boxes that a recipe moves as it moves the picture."""

import pytest
import torch

from pytorchvideo.inference.explain.pointing import (
    box_in_clip,
    check_box,
    points_at,
    share_within,
)
from pytorchvideo.transforms.clip_recipe import ClipRecipe


def test_share_is_that_of_the_pixels_within() -> None:
    heat = torch.zeros(2, 4, 4)
    heat[0, 1, 1], heat[1, 3, 3] = 3.0, 1.0
    assert share_within(heat, (1, 1, 2, 2)) == pytest.approx(0.75)
    assert share_within(heat, (0, 0, 4, 4)) == 1.0
    assert share_within(heat, (0, 0, 1, 1)) == 0.0
    assert share_within(torch.zeros(2, 4, 4), (0, 0, 4, 4)) is None


def test_the_greatest_value_points() -> None:
    heat = torch.zeros(2, 4, 4)
    assert points_at(heat, (0, 0, 4, 4)) is None
    heat[1, 2, 0] = 1.0
    assert points_at(heat, (0, 2, 1, 3)) is True
    assert points_at(heat, (1, 0, 4, 4)) is False
    heat[0, 0, 3] = 1.0  # as great, elsewhere
    assert points_at(heat, (0, 2, 1, 3)) is False


@pytest.mark.parametrize("size", [(60, 100), (100, 60), (40, 40)])
def test_a_box_goes_where_its_pixels_go(size: tuple[int, int]) -> None:
    recipe = ClipRecipe(num_frames=1, sampling_rate=1, side_size=40, crop_size=32, mean=(0,) * 3)
    clip = torch.zeros(3, 1, *size)
    height, width = size
    y, x = height // 2 - 6, width // 2 - 10
    clip[:, :, y : y + 14, x : x + 18] = 255
    for step in recipe.evaluation_steps():
        clip = step(clip)
    found = box_in_clip((x, y, x + 18, y + 14), size, recipe, (32, 32))
    assert found is not None
    rows, columns = (clip[0, 0] > clip.max() / 2).nonzero().unbind(1)
    seen = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert torch.tensor(found) == pytest.approx(torch.tensor(seen).float(), abs=1.1)


def test_a_box_outside_of_the_clip_is_none() -> None:
    recipe = ClipRecipe(num_frames=1, sampling_rate=1, side_size=40, crop_size=40)
    assert box_in_clip((0, 0, 10, 40), (40, 80), recipe, (40, 40)) is None
    with pytest.raises(ValueError, match="x1 < x2"):
        check_box((3, 0, 1, 4))
