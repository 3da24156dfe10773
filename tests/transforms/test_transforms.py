# SPDX-License-Identifier: Apache-2.0
"""Transform modules: they call their function, print themselves, and refuse what cannot work."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision.transforms as tv
from torch import nn

import pytorchvideo.transforms as T
from pytorchvideo.transforms import functional as TF
from pytorchvideo.transforms import transforms


def clip(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(7)) * 255


EVERY: list[tuple[Any, str]] = [
    (T.RemoveKey("a"), "RemoveKey(key='a')"),
    (T.ReverseChannels(), "ReverseChannels()"),
    (
        T.UniformTemporalSubsample(8),
        "UniformTemporalSubsample(num_samples=8, temporal_dim=-3)",
    ),
    (
        T.UniformTemporalSubsampleRepeated([1, 4]),
        "UniformTemporalSubsampleRepeated(frame_ratios=(1, 4), temporal_dim=-3)",
    ),
    (
        T.ShortSideScale(8),
        "ShortSideScale(size=8, interpolation='bilinear', backend='pytorch')",
    ),
    (
        T.RandomShortSideScale(8, 9),
        "RandomShortSideScale(min_size=8, max_size=9, interpolation='bilinear', backend='pytorch')",
    ),
    (
        T.UniformCropVideo(4),
        "UniformCropVideo(size=4, video_key='video', aug_index_key='aug_index')",
    ),
    (T.Normalize((0.45,), (0.225,)), "Normalize(mean=(0.45,), std=(0.225,))"),
    (T.Div255(), "Div255()"),
    (T.ConvertUint8ToFloat(), "ConvertUint8ToFloat()"),
    (T.ConvertFloatToUint8(), "ConvertFloatToUint8()"),
    (T.MoveChannelRear(), "MoveChannelRear()"),
    (T.MoveChannelFront(), "MoveChannelFront()"),
    (
        T.RandomResizedCrop(4, 5, (0.1, 1), (1, 2)),
        "RandomResizedCrop(target_height=4, target_width=5, scale=(0.1, 1), aspect_ratio=(1, 2), "
        "shift=False, log_uniform_ratio=True, interpolation='bilinear', num_tries=10)",
    ),
    (T.Permute((1, 0)), "Permute(dims=(1, 0))"),
    (
        T.OpSampler([abs]),
        "OpSampler(transforms_list=[<built-in function abs>], transforms_prob=[1.0], "
        "num_sample_op=1, randomly_sample_depth=False, replacement=False)",
    ),
    (T.OnFrames(abs), "OnFrames(transform=<built-in function abs>)"),
]


@pytest.mark.parametrize(("transform", "text"), EVERY)
def test_repr(transform: Any, text: str) -> None:
    assert repr(transform) == text
    assert isinstance(transform, nn.Module)


def test_every_public_module_is_covered() -> None:
    covered = {type(transform).__name__ for transform, _ in EVERY}
    assert covered | {"ApplyTransformToKey"} == set(transforms.__all__)


def test_apply_transform_to_key_changes_the_dict_it_got() -> None:
    sample = {"video": clip(3, 4, 5, 6), "label": 1}
    video = sample["video"]
    transform = T.ApplyTransformToKey(key="video", transform=tv.Compose([T.Div255()]))
    out = transform(sample)
    assert out is sample
    assert list(out) == ["video", "label"]
    assert torch.equal(out["video"], video / 255)
    assert "key='video'" in repr(transform)
    assert "Div255()" in repr(transform)


def test_apply_transform_to_key_names_the_keys_there_are() -> None:
    with pytest.raises(KeyError, match=r"key 'video' in the sample, but it has \['label'\]"):
        T.ApplyTransformToKey("video", T.Div255())({"label": 1})


def test_modules_call_their_functions() -> None:
    video = clip(3, 16, 20, 33)
    assert torch.equal(
        T.UniformTemporalSubsample(5)(video), TF.uniform_temporal_subsample(video, 5)
    )
    for a, b in zip(
        T.UniformTemporalSubsampleRepeated((2, 4))(video),
        TF.uniform_temporal_subsample_repeated(video, (2, 4)),
        strict=True,
    ):
        assert torch.equal(a, b)
    assert torch.equal(T.ShortSideScale(12)(video), TF.short_side_scale(video, 12))
    assert T.RandomResizedCrop(6, 7, (0.2, 1.0), (0.8, 1.2))(video).shape == (3, 16, 6, 7)
    sample = T.UniformCropVideo(11)({"video": video, "aug_index": 2})
    assert torch.equal(sample["video"], TF.uniform_crop(video, 11, 2))


def test_random_short_side_scale_includes_both_limits() -> None:
    transform = T.RandomShortSideScale(6, 8)
    assert {min(transform(clip(1, 1, 10, 12)).shape[2:]) for _ in range(60)} == {6, 7, 8}


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize(
    "transform", [T.UniformTemporalSubsample(5), T.RandomShortSideScale(6, 9)], ids=repr
)
def test_scripted_modules_agree(transform: nn.Module) -> None:
    video = clip(3, 16, 20, 33)
    scripted = torch.jit.script(transform)
    torch.manual_seed(1)
    wanted = transform(video)
    torch.manual_seed(1)
    assert torch.equal(scripted(video), wanted)


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["contiguous", "strided", "time first"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16])
def test_normalize_equals_torchvision_per_frame(layout: str, dtype: torch.dtype) -> None:
    video = (clip(4, 5, 6, 3) / 255).to(dtype).permute(3, 0, 1, 2)
    if layout == "contiguous":
        video = video.contiguous()
    elif layout == "time first":
        video = video.transpose(0, 1).contiguous().transpose(0, 1)
    before = video.clone()
    mean, std = (0.45, 0.5, 0.4), (0.225, 0.2, 0.25)
    frames = [tv.Normalize(mean, std)(video[:, t]) for t in range(4)]
    got = T.Normalize(mean, std)(video)
    assert got.dtype == dtype
    torch.testing.assert_close(got, torch.stack(frames, dim=1), atol=0, rtol=0)
    assert torch.equal(video, before)


def test_normalize_in_place_batches_and_one_value_for_all() -> None:
    batch = clip(2, 3, 4, 5, 6) / 255
    wanted = (batch - 0.45) / 0.225
    torch.testing.assert_close(T.Normalize((0.45,), (0.225,))(batch), wanted)
    for mean, std in [(0.45, 0.225), (torch.tensor(0.45), torch.tensor(0.225))]:
        torch.testing.assert_close(T.Normalize(mean, std)(batch), wanted)
        per_channel = [torch.as_tensor(mean)] * 3, [torch.as_tensor(std)] * 3
        torch.testing.assert_close(T.Normalize(*per_channel)(batch), wanted)
    out = T.Normalize((0.45,), (0.225,), inplace=True)(batch)
    assert out is batch
    torch.testing.assert_close(batch, wanted)


def test_uint8_and_float_are_inverse() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    as_float = T.ConvertUint8ToFloat()(every)
    assert as_float.dtype == torch.float32
    assert as_float.max() == 1
    assert torch.equal(T.ConvertFloatToUint8()(as_float), every)
    assert torch.equal(T.Div255()(every), as_float)


def test_channel_moves_are_inverse() -> None:
    video = clip(3, 4, 5, 6)
    rear = T.MoveChannelRear()(video)
    assert rear.shape == (4, 5, 6, 3)
    assert torch.equal(rear[1, 2, 3], video[:, 1, 2, 3])
    assert torch.equal(T.MoveChannelFront()(rear), video)


# -- OpSampler -----------------------------------------------------------------------------------


def adders() -> list[Callable[[int], int]]:
    return [lambda x, n=n: x + 10**n for n in range(3)]  # type: ignore[misc]


def test_op_sampler_applies_distinct_ops_unless_told() -> None:
    assert {T.OpSampler(adders(), num_sample_op=3)(0) for _ in range(10)} == {111}
    twice = {T.OpSampler(adders(), num_sample_op=2, replacement=True)(0) for _ in range(80)}
    assert twice == {2, 20, 200, 11, 101, 110}


def test_op_sampler_depth_and_weights() -> None:
    sampler = T.OpSampler(adders(), num_sample_op=3, randomly_sample_depth=True)
    depths = {str(sampler(0)).count("1") for _ in range(60)}
    assert depths == {1, 2, 3}
    weighted = T.OpSampler(adders(), transforms_prob=[1e-6, 1e6, 1e-6])
    assert {weighted(0) for _ in range(30)} == {10}


# -- errors --------------------------------------------------------------------------------------

UINT8 = torch.zeros(3, 1, 4, 4, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: T.UniformTemporalSubsample(0), "`num_samples` to be >= 1 frame"),
        (lambda: T.RandomShortSideScale(9, 8), r"1 <= min <= max, but got \(9, 8\)"),
        (lambda: T.Normalize((0.5,), (0.0,)), "`std` to be different from 0"),
        (lambda: T.Normalize(0.5, torch.tensor(0.0)), "`std` to be different from 0"),
        (lambda: T.Normalize((0.5,), (0.2,))(UINT8), "Expected a float clip .* torch.uint8"),
        (lambda: T.Normalize((0.5,) * 3, (0.2,) * 3)(clip(4, 2, 3, 3)), "clip with 3 channels"),
        (lambda: T.ConvertUint8ToFloat()(clip(3, 1, 4, 4)), "`x` to be uint8"),
        (lambda: T.ConvertFloatToUint8()(UINT8), r"`x` to be float in 0\.\.1"),
        (lambda: T.Permute((0, 0, 1)), r"`dims` .* got \(0, 0, 1\)"),
        (lambda: T.OpSampler([]), "`transforms_list` to be one transform at least"),
        (lambda: T.OpSampler([abs], [1, 2]), "`transforms_prob` to be 1 weights > 0"),
        (lambda: T.OpSampler([abs, abs], [1, 0]), "`transforms_prob` to be 2 weights > 0"),
        (lambda: T.OpSampler([abs], num_sample_op=2), "`num_sample_op` to be between 1 and 1"),
    ],
)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_inverse_sizes_are_uniform() -> None:
    scale = T.RandomShortSideScale(256, 340, inverse_uniform=True)
    torch.manual_seed(0)
    sizes = torch.tensor([scale.draw() for _ in range(4000)], dtype=torch.float64)
    assert sizes.min() >= 256 and sizes.max() <= 340
    # the mean of 1 / u for u uniform in [1 / 340, 1 / 256] is ln(340 / 256) / (1 / 256 - 1 / 340)
    wanted = math.log(340 / 256) / (1 / 256 - 1 / 340)
    assert sizes.mean() == pytest.approx(wanted, abs=1.5)
    assert (1 / sizes).mean() == pytest.approx((1 / 256 + 1 / 340) / 2, rel=0.004)
    torch.manual_seed(3)
    peeked = scale.peek()
    assert peeked == scale.draw()
