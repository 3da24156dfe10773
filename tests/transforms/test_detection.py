# SPDX-License-Identifier: Apache-2.0
"""Boxes follow the pixels below them through scale, crop, mirror and clip."""

import re
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pytorchvideo.transforms import DetectionTransform
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.functional import clip_boxes_to_image

PLAIN: dict[str, Any] = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
RECIPE = ClipRecipe(4, 16, side_size=256, crop_size=None)


def painted(height: int, width: int, box: tuple[int, int, int, int]) -> dict[str, Any]:
    """A clip of two black frames with a white box in it."""
    x1, y1, x2, y2 = box
    video = torch.zeros(3, 2, height, width, dtype=torch.uint8)
    video[:, :, y1:y2, x1:x2] = 255
    return {"video": video, "boxes": torch.tensor([box], dtype=torch.float32)}


def white(video: torch.Tensor) -> list[float] | None:
    """The box around the pixels that are white, None where there is none."""
    rows, cols = (video[0, -1] > 0.5).nonzero(as_tuple=True)
    if not len(rows):
        return None
    found = (cols.min(), rows.min(), cols.max() + 1, rows.max() + 1)
    return [float(edge) for edge in found]


@settings(max_examples=60)
@given(
    height=st.integers(40, 90),
    width=st.integers(40, 90),
    corner=st.tuples(st.floats(0, 0.6), st.floats(0, 0.6)),
    size=st.tuples(st.floats(0.2, 0.4), st.floats(0.2, 0.4)),
    crop=st.sampled_from(["random", "center", "none"]),
    flip_prob=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 9),
)
def test_boxes_follow_pixels(
    height: int,
    width: int,
    corner: tuple[float, float],
    size: tuple[float, float],
    crop: Any,
    flip_prob: float,
    seed: int,
) -> None:
    x1, y1 = int(corner[0] * width), int(corner[1] * height)
    box = (x1, y1, x1 + int(size[0] * width), y1 + int(size[1] * height))
    generator = torch.Generator().manual_seed(seed)
    transform = DetectionTransform(
        (32, 64), 32, crop=crop, flip_prob=flip_prob, generator=generator, **PLAIN
    )
    sample = transform(painted(height, width, box))
    clip, (found,) = sample["video"], sample["boxes"].tolist()
    limits = [clip.shape[-1], clip.shape[-2]] * 2
    assert all(0 <= edge <= limit - 1 for edge, limit in zip(found, limits, strict=True))
    seen = white(clip)
    if seen is None:  # outside of the square: at its border, with little or no area
        assert min(found[2] - found[0], found[3] - found[1]) <= 2
        return
    # a pixel for the rounding of edges, and one for the mirror, whose first column is the last one
    assert found == pytest.approx(seen, abs=2.01)


def test_boxes_are_those_of_the_published_order() -> None:
    """By hand: 80x60, the short side to 30, the square in the middle, then mirrored."""
    transform = DetectionTransform(30, 30, crop="center", flip_prob=1.0, **PLAIN)
    boxes = torch.tensor([[10.0, 20.0, 30.0, 40.0], [-5.0, 0.0, 100.0, 70.0], [0.0, 0.0, 8.0, 9.0]])
    sample = transform({"video": torch.zeros(3, 1, 60, 80), "boxes": boxes, "time": 3})
    # scaled to 40x30, the square begins at column 5: [0, 10, 10, 20], mirrored [19, 10, 29, 20]
    assert sample["boxes"][0].tolist() == [19, 10, 29, 20]
    # clipped to [0, 79] x [0, 59] first, so it ends half a pixel before the border of the scaled picture
    assert sample["boxes"][1].tolist() == [0, 0, 29, 29]
    # outside of the square: kept, on its border, without an area
    assert sample["boxes"][2].tolist() == [29, 0, 29, 4.5]
    assert sample["time"] == 3
    assert sample["video"].shape == (3, 1, 30, 30)


def test_the_long_side_is_rounded_down_and_boxes_go_by_it() -> None:
    sample = DetectionTransform(32)(painted(48, 85, (0, 0, 80, 47)))
    assert sample["video"].shape == (3, 2, 32, 56)
    assert sample["boxes"].tolist() == [pytest.approx([0, 0, 80 * 56 / 85, 47 * 56 / 85])]


def test_training_and_tests_have_the_sizes_of_the_recipes() -> None:
    train = DetectionTransform.train(RECIPE)
    assert (train.side_range, train.crop_size, train.crop) == ((256, 320), 224, "random")
    test = DetectionTransform.evaluation(RECIPE)
    assert (test.side_range, test.crop, test.flip_prob) == ((256, 256), "none", 0.0)
    centre = DetectionTransform.evaluation(RECIPE, whole=False)
    assert (centre.side_range, centre.crop_size, centre.crop) == ((256, 256), 256, "center")
    assert "side_size=(256, 320), crop='random'" in repr(train)
    pixel = test({"video": torch.full((3, 4, 256, 256), 255.0), "boxes": torch.zeros(1, 4)})
    assert pixel["video"].max().item() == pytest.approx((1 - 0.45) / 0.225)


def test_clips_and_boxes_have_the_same_random_numbers_every_time() -> None:
    def run() -> dict[str, Any]:
        generator = torch.Generator().manual_seed(5)
        return DetectionTransform.train(
            ClipRecipe(4, 2, side_size=32, crop_size=28), generator=generator
        )(painted(48, 64, (10, 10, 40, 30)))

    first, second = run(), run()
    assert torch.equal(first["video"], second["video"])
    assert torch.equal(first["boxes"], second["boxes"])


def test_large_frames_scaled_alone_give_the_same_clip() -> None:
    transform = DetectionTransform((64, 96), 48, crop="random", flip_prob=0.5)
    large = torch.randint(0, 256, (3, 2, 720, 1280), dtype=torch.uint8)
    boxes = torch.tensor([[100.0, 50.0, 1279.0, 719.0]])
    torch.manual_seed(3)
    wanted = transform({"video": large, "boxes": boxes})
    torch.manual_seed(3)
    frames = [transform.frame_transform(frame) for frame in large.split(1, dim=1)]
    assert all(frame is not None for frame in frames)
    scaled = torch.cat([frame for frame in frames if frame is not None], 1)
    found = transform({"video": scaled, "boxes": boxes, "frame_size": (720, 1280)})
    assert torch.equal(found["video"], wanted["video"])
    assert torch.equal(found["boxes"], wanted["boxes"])
    assert transform.frame_transform(torch.zeros(3, 1, 48, 64)) is None


def test_boxes_are_clipped_before_anything_else() -> None:
    inside = painted(48, 64, (10, 10, 40, 30))
    outside = {**inside, "boxes": torch.tensor([[-9.0, 10.0, 999.0, 30.0]])}
    wanted = {**inside, "boxes": clip_boxes_to_image(outside["boxes"], 48, 64)}
    found = [DetectionTransform(96)(sample)["boxes"] for sample in (outside, wanted)]
    assert torch.equal(*found)
    # to the last column, 63, and only then twice as far, where the picture has 128 columns
    assert found[0].tolist() == [[0, 20, 126, 60]]


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (((64, 32),), {}, "`side_size` to be 1 <= min <= max pixels, but got (64, 32)"),
        ((32, 33), {"crop": "center"}, "`crop_size` to be in 1..32, but got 33. Scale up first."),
        ((32,), {"crop": "random"}, "`crop_size` to be in 1..32, but got None"),
        ((32,), {"crop": "left"}, "`crop` to be one of random, center, none"),
        ((32,), {"flip_prob": 2.0}, "`flip_prob` to be in [0, 1]"),
    ],
)
def test_bad_arguments_are_said(arguments: Any, options: Any, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        DetectionTransform(*arguments, **options)
