# SPDX-License-Identifier: Apache-2.0
"""Loading only the frames that a transform keeps must not change what it returns."""

from typing import Any

import pytest
import torch
import torchvision.transforms as tv
import torchvision.transforms.v2 as tv2
from torch import nn

from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Div255,
    Normalize,
    RandomShortSideScale,
    RemoveKey,
    ShortSideScale,
    UniformCropVideo,
    UniformTemporalSubsample,
)
from pytorchvideo.transforms._pushdown import frame_resize, temporal_frame_filter
from pytorchvideo.transforms.functional import uniform_temporal_subsample


@pytest.mark.parametrize("num_samples", range(1, 65))
def test_subsampling_the_filtered_clip_equals_subsampling_the_clip(num_samples: int) -> None:
    keep = temporal_frame_filter(on_video(UniformTemporalSubsample(num_samples)))
    assert keep is not None
    for num_frames in range(1, 401):
        clip = torch.arange(1000, 1000 + num_frames)
        kept = keep(clip.tolist())
        assert len(kept) == min(num_frames, num_samples)
        assert len(set(kept)) == len(kept)
        wanted = uniform_temporal_subsample(clip, num_samples, 0)
        assert torch.equal(uniform_temporal_subsample(torch.tensor(kept), num_samples, 0), wanted)


class Watching(UniformTemporalSubsample):
    """A subclass, which may look at every frame."""


def on_video(transform: Any) -> ApplyTransformToKey:
    return ApplyTransformToKey("video", transform)


SUBSAMPLE = UniformTemporalSubsample(4)


@pytest.mark.parametrize(
    "transform",
    [
        on_video(SUBSAMPLE),
        on_video(tv.Compose([SUBSAMPLE, Div255()])),
        on_video(tv2.Compose([SUBSAMPLE, Div255()])),
        on_video(nn.Sequential(SUBSAMPLE, Div255())),
        tv.Compose([on_video(tv.Compose([tv.Compose([SUBSAMPLE])])), RemoveKey("audio")]),
        tv.Compose([RemoveKey("audio"), ApplyTransformToKey("label", str), on_video(SUBSAMPLE)]),
        nn.Sequential(RemoveKey("audio"), nn.Sequential()),
        tv.Compose([on_video(tv.Compose([])), on_video(SUBSAMPLE)]),
    ],
)
def test_recognised(transform: Any) -> None:
    if isinstance(transform, nn.Sequential):
        transform = tv.Compose([transform, on_video(SUBSAMPLE)])
    keep = temporal_frame_filter(transform)
    assert keep is not None
    assert keep(list(range(10))) == [0, 3, 6, 9]


@pytest.mark.parametrize(
    "transform",
    [
        None,
        SUBSAMPLE,
        lambda sample: sample,
        on_video(tv.Compose([Div255(), SUBSAMPLE])),
        on_video(lambda x: SUBSAMPLE(x)),
        on_video(Watching(4)),
        on_video(UniformTemporalSubsample(4, temporal_dim=0)),
        ApplyTransformToKey("audio", SUBSAMPLE),
        tv.Compose([UniformCropVideo(4), on_video(SUBSAMPLE)]),
        tv.Compose([RemoveKey("video"), on_video(SUBSAMPLE)]),
        tv.Compose([]),
        tv.RandomApply([on_video(SUBSAMPLE)]),
    ],
)
def test_left_alone(transform: Any) -> None:
    assert temporal_frame_filter(transform) is None


def test_other_keys() -> None:
    transform = ApplyTransformToKey("clip", SUBSAMPLE)
    assert temporal_frame_filter(transform) is None
    assert temporal_frame_filter(transform, key="clip") is not None


# -- scaling -------------------------------------------------------------------------------------

SCALE = ShortSideScale(48)


@pytest.mark.parametrize(
    "transform",
    [
        on_video(SCALE),
        on_video(tv.Compose([SUBSAMPLE, Div255(), Normalize((0.4,), (0.2,)), SCALE, SCALE])),
        tv.Compose([RemoveKey("audio"), ApplyTransformToKey("label", str), on_video(SCALE)]),
        tv2.Compose([on_video(SUBSAMPLE), on_video(nn.Sequential(Div255())), on_video(SCALE)]),
    ],
)
def test_scales_recognised(transform: Any) -> None:
    resize = frame_resize(transform, is_viewed_again=True)
    assert resize is not None
    assert resize(96, 130) == (48, 65)
    assert resize(130, 97) == (64, 48)


@pytest.mark.parametrize(
    "transform",
    [
        None,
        SCALE,
        on_video(ShortSideScale(48, "bicubic")),
        on_video(tv.Compose([tv.CenterCrop(8), SCALE])),
        on_video(tv.Compose([UniformTemporalSubsample(4, temporal_dim=-2), SCALE])),
        on_video(tv.Compose([tv.Lambda(lambda x: x / 255), SCALE])),
        tv.Compose([RemoveKey("video"), on_video(SCALE)]),
        tv.Compose([ApplyTransformToKey("audio", str), on_video(RandomShortSideScale(8, 9))]),
        tv.RandomApply([on_video(SCALE)]),
    ],
)
def test_scales_left_alone(transform: Any) -> None:
    assert frame_resize(transform) is None


def test_random_scales_are_drawn_in_advance() -> None:
    scale = RandomShortSideScale(10, 90)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for _ in range(20):
            resize = frame_resize(on_video(scale))
            assert resize is not None
            assert min(resize(100, 200)) == scale.draw()
    assert frame_resize(on_video(scale), is_viewed_again=True) is None
