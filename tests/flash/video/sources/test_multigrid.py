# SPDX-License-Identifier: Apache-2.0
"""Videos of a multigrid training: the shapes of batches, their number, and the distance of frames."""

from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

from flash.core.multigrid import multigrid_schedule
from flash.core.multigrid_training import MultigridPlan
from flash.video import VideoClassificationData
from flash.video.sources.multigrid import StretchedClipSampler
from pytorchvideo.transforms.clip_recipe import ClipRecipe

CLIP = ClipRecipe(num_frames=4, sampling_rate=1, frames_per_second=8, side_size=36, crop_size=32)
PLAN = MultigridPlan(multigrid_schedule([0, 4], 6, num_frames=4, crop_size=32), base_clips=2)


def data_of(folder: Path, **options: Any) -> VideoClassificationData:
    options = {"recipe": CLIP, "batch_size": 1, "multigrid": PLAN, **options}
    return VideoClassificationData.from_folders(folder, **options)


def shapes(data: VideoClassificationData, epoch: int) -> list[tuple[int, ...]]:
    loader = data.train_dataloader()
    loader.dataset.set_epoch(epoch)  # type: ignore[attr-defined]
    return [tuple(batch["video"].shape) for batch in loader]


def test_batches_have_the_shapes_of_the_epoch(folder: Path) -> None:
    data = data_of(folder)
    # twelve videos: of 16, 8 and 8 clips there is one batch, which is not full
    assert shapes(data, 0) == [(12, 3, 1, 16, 16)]
    last = PLAN.schedule.max_epoch - 1
    cycle = [(4, 3, 4, 16, 16), (2, 3, 4, 23, 23), (1, 3, 4, 32, 32)]
    assert shapes(data, last) == [*cycle, cycle[0]]  # one video is left, too few for the next
    train: Any = data.train_dataset
    for epoch in (0, last):
        assert train.count_batches(0, epoch) == len(shapes(data, epoch))


def test_each_video_comes_once(folder: Path) -> None:
    data = data_of(folder, multigrid=MultigridPlan(PLAN.schedule, short_cycle=False))
    loader = data.train_dataloader()
    loader.dataset.set_epoch(PLAN.schedule.max_epoch - 1)
    batches = list(loader)
    assert {len(batch["label"]) for batch in batches} == {1}
    assert Counter(name for b in batches for name in b["video_name"]).most_common(1)[0][1] <= 2
    assert sum(len(b["label"]) for b in batches) == 12
    assert batches[0]["video"].shape[2:] == (4, 32, 32)


@pytest.mark.slow
def test_workers_go_through_the_cycle_by_turns(folder: Path) -> None:
    data = data_of(folder, num_workers=2)
    last = PLAN.schedule.max_epoch - 1
    found = shapes(data, last)
    # batches come from each worker by turns: the steps of one are 0, 2, 1 of the cycle, of the other 1, 0, 2
    assert found[:3] == [(4, 3, 4, 16, 16), (2, 3, 4, 23, 23), (1, 3, 4, 32, 32)]
    assert data.train_dataset.count_batches(2, last) == len(found)  # type: ignore[union-attr]


def test_fewer_frames_lie_further_apart() -> None:
    torch.manual_seed(0)
    clip = ClipRecipe(num_frames=8, sampling_rate=2, frames_per_second=30)
    sampler = StretchedClipSampler(clip, 2)
    lengths = set()
    for _ in range(200):
        start, end, *_ = sampler(None, 20, {})
        assert start >= 0 and end <= 20
        lengths.add(end - start)
    # distances of 2 to 8 frames, of two frames each
    assert lengths == {Fraction(2 * rate, 30) for rate in range(2, 9)}
    whole = {StretchedClipSampler(clip, 8)(None, 20, {}) for _ in range(3)}
    assert {end - start for start, end, *_ in whole} == {Fraction(16, 30)}


def test_short_sides_begin_lower_for_small_crops(folder: Path) -> None:
    train: Any = data_of(folder).train_dataset
    train.set_epoch(PLAN.schedule.max_epoch - 1)
    ranges = {}
    for crop, transform in train._transforms.items():
        scale = next(
            s for s in transform.transforms[0].transform.transforms if hasattr(s, "min_size")
        )
        ranges[crop] = (scale.min_size, scale.max_size)
    # 36 to 45 for whole crops of 32 pixels; the lower end goes with the crop
    assert ranges == {16: (18, 45), 23: (26, 45), 32: (36, 45)}


def test_what_does_not_go_together_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="4 frames of 24 pixels, but it is for 4 of 32"):
        data_of(folder, recipe=ClipRecipe(num_frames=4, sampling_rate=1, crop_size=24))
    for options in ({"clip_sampler": "uniform"}, {"train_transform": lambda sample: sample}):
        with pytest.raises(
            TypeError, match="`multigrid` to be None with a sampler of clips, a train"
        ):
            data_of(folder, **options)


def test_fewer_videos_than_parts_are_refused(folder: Path) -> None:
    plan = MultigridPlan(PLAN.schedule, base_clips=1)
    data = data_of(folder, multigrid=plan, batch_size=2)
    with pytest.raises(ValueError, match=r"Expected 16 training videos or more .* but got 12"):
        shapes(data, 0)
