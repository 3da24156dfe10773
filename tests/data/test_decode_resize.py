# SPDX-License-Identifier: Apache-2.0
"""Scaling by the decoder: same sizes, same random numbers, nearly the same pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import SequentialSampler
from torchvision.transforms import Compose, Lambda, RandomCrop, RandomHorizontalFlip

from pytorchvideo.data import labeled_video_dataset, make_clip_sampler
from pytorchvideo.data.clip_dataset import ClipDataset
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Div255,
    RandomShortSideScale,
    ShortSideScale,
    UniformTemporalSubsample,
)

HEIGHT, WIDTH = 96, 130


@pytest.fixture
def path(make_video: Callable[..., Path]) -> Path:
    """Three seconds of smooth frames, of which both ways of scaling make nearly the same."""
    rows, cols = np.mgrid[0:HEIGHT, 0:WIDTH]
    waves = [np.sin(rows / 20 + t / 9) + np.cos(cols / 25 - t / 7) for t in range(90)]
    frames = np.stack([np.stack([w, -w, w / 2], axis=-1) for w in waves]) * 60 + 128
    return make_video("smooth.mp4", frames=frames.astype(np.uint8))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The ``resize`` of every clip."""
    seen = []
    get_clip = EncodedVideo.get_clip

    def spy(self: Any, *args: Any, frame_filter: Any = None, resize: Any = None) -> Any:
        seen.append(resize and resize(HEIGHT, WIDTH))
        return get_clip(self, *args, frame_filter=frame_filter, resize=resize)

    monkeypatch.setattr(EncodedVideo, "get_clip", spy)
    return seen


def samples(path: Path, steps: list[Any], sampler: Any = ("uniform", 1), **kwargs: Any) -> Any:
    transform = ApplyTransformToKey("video", Compose(steps))
    dataset = LabeledVideoDataset(
        [(str(path), {"label": 0})],
        make_clip_sampler(*sampler),
        SequentialSampler,
        transform,
        decode_audio=False,
        **kwargs,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(4)
        return [sample["video"] for sample in dataset]


RANDOM = [
    UniformTemporalSubsample(4),
    Div255(),
    RandomShortSideScale(40, 60),
    RandomCrop(32),
    RandomHorizontalFlip(),
]


def test_random_pipelines_draw_the_same_numbers(path: Path, asked: list[Any]) -> None:
    wanted = samples(path, RANDOM)
    assert asked == [None] * 3
    got = samples(path, RANDOM, decode_resize=True)
    sizes = [size[0] for size in asked[3:]]
    assert len(set(sizes)) > 1 and all(40 <= size <= 60 for size in sizes)
    for a, b in zip(got, wanted, strict=True):
        assert a.shape == b.shape == (3, 4, 32, 32)
        assert (a - b).abs().mean() < 2 / 255  # another crop or a flip would be far off
        assert not torch.equal(a, b)


def test_the_transform_leaves_the_scaled_clip_alone(path: Path, asked: list[Any]) -> None:
    (clip, *_) = samples(path, [ShortSideScale(48)], decode_resize=True)
    assert asked == [(48, 65)] * 3
    with EncodedVideo.from_path(path) as video:
        wanted = video.get_clip(0, 1, resize=lambda height, width: (48, 65))["video"]
    assert wanted is not None and torch.equal(clip, wanted)


def test_a_generator_of_ones_own_is_put_back(path: Path, asked: list[Any]) -> None:
    def pipeline() -> list[Any]:
        generator = torch.Generator().manual_seed(9)
        return [RandomShortSideScale(40, 60, generator=generator)]

    wanted = [tuple(clip.shape[-2:]) for clip in samples(path, pipeline())]
    got = [tuple(clip.shape[-2:]) for clip in samples(path, pipeline(), decode_resize=True)]
    assert got == wanted == asked[3:]


def test_views_of_one_clip_get_sizes_of_their_own(path: Path, asked: list[Any]) -> None:
    sampler = ("constant_clips_per_video", 1, 2, 2)
    random = samples(path, RANDOM[:3], sampler, decode_resize=True)
    assert asked == [None, None] and len(random) == 4
    fixed = samples(path, [ShortSideScale(48)], sampler, decode_resize=True)
    assert asked[2:] == [(48, 65)] * 2
    assert all(view.shape[-2:] == (48, 65) for view in fixed)


def test_several_clips_at_once_are_not_scaled(path: Path, asked: list[Any]) -> None:
    def each(clips: list[torch.Tensor]) -> list[torch.Tensor]:
        return clips

    dataset = LabeledVideoDataset(
        [(str(path), {})],
        make_clip_sampler("random_multi", 1, 2),
        SequentialSampler,
        ApplyTransformToKey("video", ShortSideScale(48)),
        decode_resize=True,
    )
    dataset.reader.transform = ApplyTransformToKey("video", each)
    (sample,) = dataset
    assert asked == [None, None]
    assert [clip.shape[-2:] for clip in sample["video"]] == [(HEIGHT, WIDTH)] * 2


def test_the_map_style_dataset_and_the_functions_take_it(
    path: Path, asked: list[Any], tmp_path: Path
) -> None:
    listing = tmp_path / "videos.txt"
    listing.write_text(f"{path} 3\n")
    made = labeled_video_dataset(
        str(listing),
        make_clip_sampler("uniform", 1),
        SequentialSampler,
        ApplyTransformToKey("video", Compose(RANDOM)),
        decode_audio=False,
        decode_resize=True,
    )
    dataset = ClipDataset.from_dataset(made)
    assert torch.equal(dataset[1]["video"], dataset[1]["video"])
    assert dataset[1]["video"].shape == (3, 4, 32, 32)
    assert None not in asked and len(set(asked)) == 1


def test_folders_of_frames_are_scaled_by_the_transform(tmp_path: Path) -> None:
    from PIL import Image

    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0)).save(folder / f"{number}.png")
    clips = samples(folder, [ShortSideScale(48)], decode_resize=True, fps=2.0)
    assert [clip.shape for clip in clips] == [(3, 2, 48, 65)] * 2


@pytest.mark.parametrize("steps", [[Lambda(lambda x: x / 255), ShortSideScale(8)], [Div255()], []])
def test_a_transform_that_does_not_begin_with_a_scale_is_refused(
    path: Path, steps: list[Any]
) -> None:
    with pytest.raises(ValueError, match=r"`decode_resize` to be False .* ShortSideScale"):
        samples(path, steps, decode_resize=True)
