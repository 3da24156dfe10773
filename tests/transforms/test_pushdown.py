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
from pytorchvideo.transforms._pushdown import (
    clip_reading,
    frame_resize,
    frame_scale,
    temporal_frame_filter,
)
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


LARGE = torch.linspace(0, 255, 3 * 5 * 720 * 1280).reshape(3, 5, 720, 1280).frac() * 255


@pytest.mark.parametrize(
    "steps",
    [
        [ShortSideScale(256)],
        [Div255(), Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)), ShortSideScale(256)],
        [UniformTemporalSubsample(4), Div255(), ShortSideScale(300, "nearest")],
        [ShortSideScale(200), tv.CenterCrop(180), Div255()],
        [Div255(), RandomShortSideScale(200, 256), tv.RandomCrop(160)],
    ],
)
def test_frames_scaled_one_by_one_pass_with_the_same_result(steps: list[Any]) -> None:
    transform = on_video(tv.Compose(steps))
    whole = LARGE.clone()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        scale = frame_scale(transform)
        assert scale is not None
        scaled = torch.cat([scale(whole[:, t : t + 1].contiguous()) for t in range(5)], dim=1)
        one_by_one = transform({"video": scaled})["video"]
        torch.manual_seed(3)
        wanted = transform({"video": whole})["video"]
    assert min(scaled.shape[-2:]) < 301 and scaled.is_contiguous()
    # of 0..255, or of 0..1 that may be normalised
    torch.testing.assert_close(one_by_one, wanted, rtol=1e-6, atol=1e-4)


def test_bytes_are_scaled_one_by_one_where_nothing_stands_before() -> None:
    whole = LARGE.to(torch.uint8)
    first = on_video(tv.Compose([UniformTemporalSubsample(4), ShortSideScale(256), Div255()]))
    scale = frame_scale(first, dtype=torch.uint8)
    assert scale is not None
    scaled = torch.cat([scale(whole[:, t : t + 1]) for t in range(5)], dim=1)
    assert torch.equal(first({"video": scaled})["video"], first({"video": whole})["video"])
    after = on_video(tv.Compose([Div255(), ShortSideScale(256)]))
    assert frame_scale(after, dtype=torch.uint8) is None and frame_scale(after) is not None


@pytest.mark.parametrize(
    "transform",
    [
        None,
        ShortSideScale(256),
        on_video(Div255()),
        on_video(tv.Compose([Normalize(0.5, 0.2, inplace=True), ShortSideScale(256)])),
        on_video(tv.Compose([lambda x: x / 255, ShortSideScale(256)])),
        tv.Compose([lambda sample: sample, on_video(ShortSideScale(256))]),
    ],
)
def test_frames_are_left_whole_where_something_else_comes_first(transform: Any) -> None:
    assert frame_scale(transform) is None
    assert clip_reading(transform)["frame_transform"] is None


def test_small_frames_are_left_whole() -> None:
    scale = frame_scale(on_video(ShortSideScale(256)))
    assert scale is not None and scale(torch.zeros(3, 1, 500, 1000)) is None
    bigger = scale(torch.zeros(3, 1, 501, 1000))
    assert bigger is not None and bigger.shape == (3, 1, 256, 510)
    again = frame_scale(on_video(RandomShortSideScale(256, 320)), is_viewed_again=True)
    assert again is None


def test_long_thin_frames_that_become_large_are_scaled_one_by_one() -> None:
    """Their pixels grow by the square of their short side: all of a clip took 26 GB for a few bytes of video."""
    scale = frame_scale(ApplyTransformToKey("video", ShortSideScale(64)))
    assert scale is not None
    scaled = scale(torch.zeros(3, 1, 2, 400))
    assert scaled is not None and scaled.shape == (3, 1, 64, 12_800)
    with pytest.raises(ValueError, match="short side is scaled to 64, but got frames of 70000x2"):
        scale(torch.zeros(1, 1, 2, 70_000))


def test_a_clip_is_read_with_what_its_transform_looks_at() -> None:
    reading = clip_reading(on_video(tv.Compose([SUBSAMPLE, Div255(), ShortSideScale(256)])))
    assert reading["frame_filter"](list(range(10))) == [0, 3, 6, 9]
    scaled = reading["frame_transform"](LARGE[:, :1].to(torch.uint8))
    assert scaled.dtype == torch.float32 and scaled.shape == (3, 1, 256, 455)
