# SPDX-License-Identifier: Apache-2.0
"""The transform of Flash's last release: its fields, by closed forms."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from flash.core.data.io.input import Sample
from flash.video import VideoClassificationData, VideoClassificationInputTransform


def run(stage: str, clip: torch.Tensor, **fields: Any) -> torch.Tensor:
    hooks = VideoClassificationInputTransform(**fields).hooks(stage)
    assert hooks.sample_transform is not None
    result = hooks.on_device(hooks.collate([hooks.sample_transform(Sample(video=clip))]))["input"]
    assert isinstance(result, torch.Tensor)
    return result


def test_frames_crop_and_range() -> None:
    clip = torch.arange(10.0).view(1, 10, 1, 1) * 20 + torch.zeros(3, 10, 6, 8)
    clip[:, :, 1:5, 2:6] += 5  # the centre of four pixels
    batch = run("val", clip, image_size=4, temporal_sub_sample=4, mean=[0.5] * 3, std=[0.25] * 3)
    # frames 0, 3, 6 and 9 of a clip in 0..255
    wanted = (torch.tensor([0.0, 60.0, 120.0, 180.0]) + 5) / 255
    assert batch.shape == (1, 3, 4, 4, 4)
    assert torch.allclose(batch[0, :, :, 0, 0], (wanted.expand(3, 4) - 0.5) / 0.25, atol=1e-6)
    assert batch.std(dim=(-1, -2)).max() < 1e-6


@pytest.mark.parametrize("stage", ["train", "test"])
def test_pictures_that_are_too_small_get_a_border(stage: str) -> None:
    batch = run(stage, torch.full((3, 2, 4, 6), 255.0), mean=[0.0] * 3, std=[1.0] * 3)
    assert batch.shape == (1, 3, 8, 244, 244)
    assert batch.sum() == pytest.approx(3 * 8 * 4 * 6)


def test_crops_are_random_in_training_only() -> None:
    clip = torch.rand(3, 8, 40, 40) * 255
    crops = {
        stage: [run(stage, clip, image_size=8) for _ in range(3)] for stage in ("train", "val")
    }
    assert torch.equal(crops["val"][0], crops["val"][1])
    assert len({crop.sum().item() for crop in crops["train"]}) > 1


def test_axes_of_the_batch() -> None:
    with pytest.raises(ValueError, match="`data_format` to be one of BCTHW, BTCHW, but got 'BHWC'"):
        VideoClassificationInputTransform(data_format="BHWC")
    hook = VideoClassificationInputTransform(data_format="BTCHW", mean=[1, 2, 3], std=[1, 1, 1])
    batch = {"video": torch.zeros(1, 5, 3, 2, 2)}
    assert hook.hooks("val").on_device(batch)["video"][0, 0, :, 0, 0].tolist() == [-1, -2, -3]


@pytest.mark.parametrize(
    "options",
    [
        {"transform": VideoClassificationInputTransform(image_size=32)},
        {"transform": VideoClassificationInputTransform, "transform_kwargs": {"image_size": 32}},
        {"transform": partial(VideoClassificationInputTransform, image_size=32)},
        {"train_transform": partial(VideoClassificationInputTransform, image_size=32)},
        {"transform_kwargs": {"image_size": 32}},
    ],
)
def test_every_way_to_say_so(options: Any, make_video: Callable[..., Path]) -> None:
    file = make_video("whole.mp4", num_frames=20, fps=10)
    module = VideoClassificationData.from_files([file], [0], **options)
    (batch,) = list(module.train_dataloader())
    assert batch["video"].shape == (1, 3, 8, 32, 32)
    assert 0 <= batch["video"].min() <= batch["video"].max() <= 1
    assert module.recipe is None
    normal = module.transforms["train"].on_device(batch)["video"]
    assert -2 - 1e-6 <= normal.min() < -1  # (0 - 0.45) / 0.225


def test_for_all_stages_or_for_each(make_video: Callable[..., Path]) -> None:
    with pytest.raises(
        TypeError, match=r"one of `transform`, .*, and `val_transform`, but got both"
    ):
        VideoClassificationData.from_files(
            [make_video("whole.mp4", num_frames=20, fps=10)],
            [0],
            transform=VideoClassificationInputTransform,
            val_transform=VideoClassificationInputTransform,
        )
