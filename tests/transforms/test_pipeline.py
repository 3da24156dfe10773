# SPDX-License-Identifier: Apache-2.0
"""Pipelines on clips: other libraries' transforms in them, and steps that are done later than written."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision.transforms as tv
import torchvision.transforms.v2 as tv2
from torch import nn

import pytorchvideo.transforms as T

MEAN, STD = (0.45, 0.5, 0.4), (0.225, 0.2, 0.25)


def clip(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7)) * 255


def on_video(transform: Any, video: torch.Tensor) -> torch.Tensor:
    out = T.ApplyTransformToKey("video", transform)({"video": video})["video"]
    assert isinstance(out, torch.Tensor)
    return out


def with_seed(call: Callable[[], torch.Tensor]) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return call()


# -- steps done later ----------------------------------------------------------------------------

LATER: list[list[Any]] = [
    [T.UniformTemporalSubsample(4), T.Div255(), T.Normalize(MEAN, STD), T.ShortSideScale(20)],
    [
        T.Div255(),
        T.Normalize(MEAN, STD),
        T.RandomShortSideScale(20, 30),
        tv.RandomCrop(16),
        tv.RandomHorizontalFlip(),
    ],
    [T.Div255(), tv.Lambda(lambda x: x.clamp(max=0.5)), T.Normalize(MEAN, STD), tv.CenterCrop(9)],
    [T.Normalize(MEAN, STD), tv.RandomCrop(20, padding=4), T.Div255()],
    [T.Normalize(MEAN, STD), tv2.CenterCrop(50), T.Div255()],
    [T.Normalize(MEAN, STD), tv2.RandomCrop(50, pad_if_needed=True)],
    [T.Normalize(MEAN, STD), T.UniformTemporalSubsample(4, temporal_dim=-2)],
    [T.Normalize(MEAN, STD), T.RandomResizedCrop(9, 8, (0.2, 1), (0.5, 2), interpolation="area")],
    [nn.Sequential(T.Div255(), T.Normalize(MEAN, STD)), tv2.RandomVerticalFlip(), torch.square],
]


@pytest.mark.parametrize("parts", LATER)
@pytest.mark.parametrize("shape", [(3, 8, 24, 37), (2, 3, 8, 24, 37)])
def test_a_pipeline_returns_what_its_steps_return_one_by_one(
    parts: list[Any], shape: tuple[int, ...]
) -> None:
    video = clip(*shape)
    before = video.clone()
    for container in (tv.Compose, tv2.Compose):
        pipeline = container(parts)
        wanted = with_seed(lambda pipeline=pipeline: pipeline(video))
        got = with_seed(lambda pipeline=pipeline: on_video(pipeline, video))
        torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-5)
    assert torch.equal(video, before)


def test_normalize_sees_the_cropped_clip_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    forward = T.Normalize.forward
    monkeypatch.setattr(
        T.Normalize, "forward", lambda self, x: seen.append(x.shape) or forward(self, x)
    )
    steps = [T.Normalize(MEAN, STD), T.ShortSideScale(20), tv.CenterCrop(16)]
    assert on_video(tv.Compose(steps), clip(3, 2, 40, 60)).shape == (3, 2, 16, 16)
    on_video(tv.Compose([T.Normalize(MEAN, STD, inplace=True), *steps[1:]]), clip(3, 2, 40, 60))
    assert seen == [(3, 2, 16, 16), (3, 2, 40, 60)]


def test_rounding_and_half_precision_keep_the_order() -> None:
    video = clip(3, 2, 24, 37).to(torch.uint8)
    pipeline = tv.Compose([T.Div255(), T.ShortSideScale(13)])
    assert torch.equal(on_video(pipeline, video), pipeline(video))
    assert torch.equal(on_video(pipeline, video.half()), pipeline(video.half()))


@pytest.mark.parametrize(
    "crop",
    [
        tv.RandomCrop((16, 24)),
        tv2.RandomCrop(16),
        tv.CenterCrop(19),
        tv2.CenterCrop((20, 8)),
        T.RandomCropVideo((16, 24)),
        T.CenterCropVideo(18),
        tv.RandomCrop(23, pad_if_needed=True),
        tv.RandomCrop(16, padding=2),
        tv.CenterCrop(40),
    ],
)
@pytest.mark.parametrize("scale", [T.RandomShortSideScale(20, 40), T.ShortSideScale(24)])
@pytest.mark.parametrize("shape", [(3, 5, 24, 37), (2, 3, 5, 41, 24), (3, 1, 63, 80)])
def test_pixels_that_a_crop_leaves_are_those_of_the_scaled_clip(
    scale: Any, crop: Any, shape: tuple[int, ...]
) -> None:
    video, pipeline = clip(*shape), tv.Compose([scale, crop])
    for layout in (video, video.transpose(-1, -2).contiguous().transpose(-1, -2)):
        for seed in range(5):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                wanted, after = pipeline(video), torch.rand(1)
                torch.manual_seed(seed)
                assert torch.equal(on_video(pipeline, layout), wanted)
                assert torch.equal(torch.rand(1), after)


def test_a_crop_that_is_too_large_is_the_error_of_the_crop() -> None:
    pipeline = tv.Compose([T.ShortSideScale(20), tv.RandomCrop(30)])
    with pytest.raises(ValueError, match=r"Required crop size \(30, 30\) is larger"):
        on_video(pipeline, clip(3, 2, 24, 37))


# -- torchvision ---------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", [tv.Normalize, tv2.Normalize])
@pytest.mark.parametrize(
    "before",
    [
        [T.UniformTemporalSubsample(8)],
        [T.UniformTemporalSubsample(3)],  # as many frames as channels: torchvision would not notice
        [T.UniformTemporalSubsample(3), T.ShortSideScale(8), tv.RandomHorizontalFlip()],
        [tv.Lambda(lambda x: x / 255)],
    ],
)
@pytest.mark.parametrize("lead", [(), (2,)])
def test_normalize_of_pictures_on_a_clip_is_an_error(
    normalize: Any, before: list[Any], lead: tuple[int, ...]
) -> None:
    pipeline = tv.Compose([*before, normalize(MEAN, STD)])
    with pytest.raises(ValueError, match=r"Use pytorchvideo\.transforms\.Normalize\."):
        on_video(pipeline, clip(*lead, 3, 16, 12, 20))


@pytest.mark.parametrize(
    ("transform", "video"),
    [
        (tv.Compose([T.Permute((1, 0, 2, 3)), tv.Normalize(MEAN, STD)]), clip(3, 8, 4, 6)),
        (tv.Compose([T.Permute((1, 0, 2, 3)), tv.Normalize(MEAN, STD)]), clip(3, 3, 4, 6)),
        (
            tv.Compose([tv.Lambda(lambda x: x.permute(1, 0, 2, 3)), tv2.Normalize(MEAN, STD)]),
            clip(3, 3, 4, 6),
        ),
    ],
)
def test_normalize_of_pictures_after_a_permutation(transform: Any, video: torch.Tensor) -> None:
    wanted = T.Normalize(MEAN, STD)(video).transpose(0, 1)
    torch.testing.assert_close(on_video(transform, video), wanted, atol=0, rtol=0)


def test_normalize_with_one_value_and_other_entries() -> None:
    video = clip(3, 8, 4, 6)
    for mean, std in [([0.5], [0.2]), (torch.tensor(0.5), torch.tensor(0.2)), (0.5, 0.2)]:
        assert torch.equal(on_video(tv.Normalize(mean, std), video), (video - 0.5) / 0.2)
    pictures = {"pictures": clip(1, 3, 4, 6)}
    T.ApplyTransformToKey("pictures", tv.Normalize(MEAN, STD))(pictures)
    assert pictures["pictures"].shape == (1, 3, 4, 6)


COLOURS = [
    tv.ColorJitter(0.4, 0.4, 0.4, 0.1),
    tv2.ColorJitter(0.4, 0.4, 0.4, 0.1),
    tv2.RandomPhotometricDistort(p=1),
    tv2.RandAugment(),
    tv2.TrivialAugmentWide(),
    tv2.RandomGrayscale(p=1),
    tv2.RandomChannelPermutation(),
    tv2.RandomAdjustSharpness(2, p=1),
]


@pytest.mark.parametrize("transform", COLOURS, ids=lambda t: type(t).__name__)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_colours_on_frames(transform: Any, dtype: torch.dtype) -> None:
    frame = clip(3, 1, 16, 20)
    video = frame.expand(3, 6, 16, 20).contiguous()
    video = video.to(torch.uint8) if dtype == torch.uint8 else video / 255
    with pytest.raises(ValueError, match=r"OnFrames\("):
        on_video(transform, video)
    got = with_seed(lambda: on_video(T.OnFrames(transform), video))
    assert got.shape == video.shape and got.dtype == dtype
    # One draw for all frames, as for one picture.
    wanted = with_seed(lambda: transform(video[:, 0]))
    torch.testing.assert_close(got, wanted[:, None].expand_as(got), atol=1e-5, rtol=0)
    batch = torch.stack([video, video])
    of_batch = with_seed(lambda: T.OnFrames(transform)(batch))
    torch.testing.assert_close(of_batch, torch.stack([got, got]), atol=1e-5, rtol=0)


PIXELS = [
    tv2.RandomCrop(9),
    tv.RandomCrop(9),
    tv2.CenterCrop(9),
    tv2.Resize((7, 9)),
    tv2.RandomHorizontalFlip(1),
    tv2.RandomResizedCrop((8, 9)),
    tv2.RandomAffine(20),
    tv2.GaussianBlur(3),
    tv2.RandomErasing(1),
]


@pytest.mark.parametrize("transform", PIXELS, ids=lambda t: f"{type(t).__module__[-2:]}-{t}"[:30])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_moving_pixels_needs_no_wrapper(transform: Any, lead: tuple[int, ...]) -> None:
    video = clip(*lead, 3, 6, 12, 20)
    got = with_seed(lambda: on_video(tv.Compose([T.Div255(), transform]), video))
    wanted = with_seed(lambda: T.OnFrames(transform)(video / 255))
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)


def test_resize_of_torchvision_v1_takes_clips() -> None:
    video = clip(3, 6, 12, 20)
    wanted = T.OnFrames(tv2.Resize((7, 9)))(video)
    torch.testing.assert_close(on_video(tv.Resize((7, 9)), video), wanted, atol=1e-3, rtol=0)


# -- kornia --------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("data_format", ["BCTHW", "BTCHW"])
@pytest.mark.parametrize("same_on_frame", [True, False])
def test_kornia_anywhere(data_format: str, same_on_frame: bool) -> None:
    K = pytest.importorskip("kornia.augmentation")
    permuted = data_format == "BTCHW"
    sequence = K.VideoSequential(
        K.Normalize(torch.tensor(MEAN), torch.tensor(STD)),
        K.RandomHorizontalFlip(p=1.0),
        data_format=data_format,
        same_on_frame=same_on_frame,
    )
    video = clip(3, 8, 12, 20) / 255
    wanted = T.Normalize(MEAN, STD)(video).flip(-1)
    front = [T.Permute((1, 0, 2, 3))] if permuted else []
    pipeline = tv.Compose([*front, sequence, *front])
    torch.testing.assert_close(on_video(pipeline, video), wanted, atol=1e-5, rtol=0)
    batch = torch.stack([video, video])
    front = [T.Permute((0, 2, 1, 3, 4))] if permuted else []
    pipeline = tv.Compose([*front, sequence, *front])
    got = on_video(pipeline, batch)
    torch.testing.assert_close(got, torch.stack([wanted, wanted]), atol=1e-5, rtol=0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_kornias_picture_transforms_on_frames() -> None:
    K = pytest.importorskip("kornia.augmentation")
    video = (clip(3, 1, 12, 20) / 255).expand(3, 6, 12, 20)
    jitter = K.ColorJitter(0.3, 0.3, 0.3, 0.1, p=1.0, same_on_batch=True)
    got = with_seed(lambda: on_video(T.OnFrames(jitter), video))
    assert got.shape == video.shape
    torch.testing.assert_close(got, got[:, :1].expand_as(got))
    assert not torch.equal(got, video)
