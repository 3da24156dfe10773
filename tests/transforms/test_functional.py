# SPDX-License-Identifier: Apache-2.0
"""Functional transforms: closed forms, properties, and numbers worked out by hand."""

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.transforms import functional as TF
from pytorchvideo.transforms.functional import random_box

sides = st.integers(1, 40)


def clip(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.rand(shape, generator=generator) * 255


def strided(*shape: int) -> torch.Tensor:
    """A clip (C, T, H, W) that is a view of (T, H, W, C), as some readers return it."""
    channels, frames, height, width = shape
    return clip(frames, height, width, channels).permute(3, 0, 1, 2)


# -- time ----------------------------------------------------------------------------------------


@given(st.integers(1, 300), st.integers(1, 64))
def test_subsample_keeps_ends_and_order(num_frames: int, num_samples: int) -> None:
    picked = TF.uniform_temporal_subsample(torch.arange(num_frames), num_samples, 0).tolist()
    assert len(picked) == num_samples
    assert picked[0] == 0
    assert num_samples == 1 or picked[-1] == num_frames - 1
    assert picked == sorted(picked)
    exact = [i * (num_frames - 1) / max(num_samples - 1, 1) for i in range(num_samples)]
    assert all(e - 1.001 < p <= e + 1e-3 for p, e in zip(picked, exact, strict=True))
    assert num_samples > num_frames or len(set(picked)) == num_samples


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.float32, torch.int64])
def test_subsample_any_dtype_and_layout(dtype: torch.dtype) -> None:
    video = strided(3, 20, 4, 5).to(dtype)
    got = TF.uniform_temporal_subsample(video, 10)
    assert got.dtype == dtype
    assert torch.equal(got, video[:, [0, 2, 4, 6, 8, 10, 12, 14, 16, 19]])


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_subsample_is_scriptable() -> None:
    video = clip(3, 20, 4, 5)
    scripted = torch.jit.script(TF.uniform_temporal_subsample)
    assert torch.equal(scripted(video, 7), TF.uniform_temporal_subsample(video, 7))


def test_subsample_repeated_makes_one_pathway_per_ratio() -> None:
    video = clip(3, 32, 4, 4)
    fast, slow = TF.uniform_temporal_subsample_repeated(video, (1, 4))
    assert torch.equal(fast, video)
    assert torch.equal(slow, TF.uniform_temporal_subsample(video, 8))


# -- scaling -------------------------------------------------------------------------------------


@given(sides, sides, st.integers(1, 50))
def test_short_side_scale_shape(height: int, width: int, size: int) -> None:
    out = TF.short_side_scale(torch.zeros(1, 1, height, width), size)
    short, long = sorted((height, width))
    assert sorted(out.shape[2:]) == sorted((size, long * size // short))
    assert (out.shape[2] > out.shape[3]) <= (height > width)


@pytest.mark.parametrize(("height", "width"), [(115, 112), (112, 230), (112, 244)])
def test_a_clip_of_the_right_size_is_not_changed(height: int, width: int) -> None:
    video = clip(3, 1, height, width)
    assert torch.equal(TF.short_side_scale(video, 112), video)


@pytest.mark.parametrize("make", [clip, strided])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest", "nearest-exact", "area"])
def test_short_side_scale_equals_interpolation_frame_by_frame(make: Any, mode: str) -> None:
    video = make(3, 4, 20, 33)
    corners = {"align_corners": False} if mode in ("bilinear", "bicubic") else {}
    frames = [F.interpolate(video[:, t][None], (12, 19), mode=mode, **corners)[0] for t in range(4)]
    got = TF.short_side_scale(video, 12, mode)
    torch.testing.assert_close(got, torch.stack(frames, dim=1), atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", ["linear", "trilinear"])
def test_linear_names_mean_bilinear(mode: str) -> None:
    video = clip(2, 3, 9, 14)
    assert torch.equal(TF.short_side_scale(video, 6, mode), TF.short_side_scale(video, 6))
    volume = F.interpolate(video[None], (3, 6, 9), mode="trilinear", align_corners=False)[0]
    torch.testing.assert_close(TF.short_side_scale(video, 6, mode), volume, atol=1e-3, rtol=0)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_opencv_backend_agrees_at_half_size(mode: str) -> None:
    pytest.importorskip("cv2")
    video = strided(3, 2, 20, 34)
    got = TF.short_side_scale(video, 40, mode, backend="opencv")
    assert torch.equal(TF._interpolate_opencv(video, size=(40, 68), interpolation=mode), got)
    torch.testing.assert_close(got, TF.short_side_scale(video, 40, mode), atol=0.5, rtol=0)


# -- boxes ---------------------------------------------------------------------------------------


def both(boxes: list[list[float]]) -> list[Any]:
    return [torch.tensor(boxes), np.array(boxes, np.float32)]


@pytest.mark.parametrize("boxes", both([[2.0, 3.0, 9.0, 8.0], [-4.0, 0.0, 40.0, 30.0]]))
def test_box_functions_return_what_they_got_and_leave_it_alone(boxes: Any) -> None:
    before = boxes.copy() if isinstance(boxes, np.ndarray) else boxes.clone()
    images = clip(3, 2, 10, 20)
    results = [
        (TF.clip_boxes_to_image(boxes, 10, 20), [[2, 3, 9, 8], [0, 0, 19, 9]]),
        (TF.crop_boxes(boxes, 2, 1), [[0, 2, 7, 7], [-6, -1, 38, 29]]),
        (TF.short_side_scale_with_boxes(images, boxes, 20)[1], [[4, 6, 18, 16], [-8, 0, 80, 60]]),
        (TF.horizontal_flip_with_boxes(1, images, boxes)[1], [[10, 3, 17, 8], [-21, 0, 23, 30]]),
        (TF.uniform_crop_with_boxes(images, 8, 2, boxes)[1], [[0, 2, 0, 7], [0, 0, 7, 7]]),
        (TF.random_crop_with_boxes(images, 10, boxes)[1][:, 1], [3, 0]),
    ]
    for got, wanted in results:
        assert type(got) is type(boxes)
        np.testing.assert_allclose(np.asarray(got), wanted)
    assert (boxes == before).all()


def test_integer_boxes_scale_to_float() -> None:
    images, boxes = clip(3, 1, 4, 4), torch.tensor([[1, 1, 3, 3]])
    assert TF.short_side_scale_with_boxes(images, boxes, 6)[1].tolist() == [[1.5, 1.5, 4.5, 4.5]]


def test_flip_moves_pixels_and_boxes_alike() -> None:
    images = torch.zeros(1, 1, 6, 10)
    images[..., 2:4, 7:9] = 1
    flipped, boxes = TF.horizontal_flip_with_boxes(1.0, images, torch.tensor([[7, 2, 8, 3]]))
    x1, y1, x2, y2 = boxes[0].tolist()
    assert flipped[..., y1 : y2 + 1, x1 : x2 + 1].sum() == flipped.sum() == 4
    same, kept = TF.horizontal_flip_with_boxes(0.0, images, torch.tensor([[7, 2, 8, 3]]))
    assert torch.equal(same, images)
    assert kept.tolist() == [[7, 2, 8, 3]]


def test_random_crop_reaches_every_offset_and_moves_boxes_alike() -> None:
    images = torch.arange(30.0).view(1, 1, 5, 6)
    corners = set()
    for _ in range(300):
        crop, boxes = TF.random_crop_with_boxes(images, 3, torch.tensor([[0, 0, 5, 4]]))
        assert crop.shape == (1, 1, 3, 3)
        assert boxes.tolist() == [[0, 0, 2, 2]]
        corners.add(int(crop[0, 0, 0, 0]))
    assert corners == {6 * y + x for y in range(3) for x in range(4)}


def test_random_crop_of_the_whole_picture_returns_boxes_too() -> None:
    images, boxes = clip(3, 2, 8, 8), torch.tensor([[1.0, 1.0, 4.0, 4.0]])
    crop, kept = TF.random_crop_with_boxes(images, 8, boxes)
    assert torch.equal(crop, images)
    assert torch.equal(kept, boxes)


def test_random_short_side_scale_includes_both_limits() -> None:
    images, boxes = clip(1, 1, 8, 10), torch.zeros(0, 4)
    seen = {
        TF.random_short_side_scale_with_boxes(images, boxes, 4, 6)[0].shape[2] for _ in range(60)
    }
    assert seen == {4, 5, 6}


@pytest.mark.parametrize(
    ("height", "width", "index", "y", "x"),
    [
        (6, 9, 0, 1, 0),
        (6, 9, 1, 1, 3),  # (9 - 4) / 2 rounded up
        (6, 9, 2, 1, 5),
        (9, 6, 0, 0, 1),
        (9, 6, 1, 3, 1),
        (9, 6, 2, 5, 1),
    ],
)
def test_uniform_crop_positions(height: int, width: int, index: int, y: int, x: int) -> None:
    images = clip(3, 2, height, width)
    got = TF.uniform_crop(images, 4, index)
    assert torch.equal(got, images[..., y : y + 4, x : x + 4])


# -- random resized crop -------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [False, True])
@pytest.mark.parametrize("log_uniform_ratio", [False, True])
def test_random_resized_crop_shape_and_values(shift: bool, log_uniform_ratio: bool) -> None:
    video = strided(3, 5, 20, 30)
    got = TF.random_resized_crop(video, 8, 12, (0.1, 1.0), (3 / 4, 4 / 3), shift, log_uniform_ratio)
    assert got.shape == (3, 5, 8, 12)
    assert got.dtype == video.dtype
    assert video.min() <= got.min() <= got.max() <= video.max()


def test_random_resized_crop_of_everything_is_a_resize() -> None:
    video = clip(3, 2, 20, 30)
    got = TF.random_resized_crop(video, 8, 12, (1, 1), (1.5, 1.5))
    wanted = F.interpolate(video, (8, 12), mode="bilinear", align_corners=False)
    assert torch.equal(got, wanted)


def test_random_resized_crop_falls_back_to_the_centre() -> None:
    video = torch.arange(10.0).expand(1, 1, 10, 10)
    got = TF.random_resized_crop(video, 10, 2, (1, 1), (0.2, 0.2))
    assert torch.equal(got[0, 0, 0], torch.tensor([4.0, 5.0]))


@pytest.mark.parametrize("shift", [False, True])
def test_random_resized_crop_takes_ranges_in_either_order(shift: bool) -> None:
    video, orders = clip(3, 4, 30, 40), []
    for turn in (1, -1):
        torch.manual_seed(5)
        scale, ratio = (0.08, 1.8)[::turn], (3 / 4, 4 / 3)[::turn]
        orders.append(TF.random_resized_crop(video, 29, 29, scale, ratio, shift))
    assert torch.equal(*orders)


def test_random_resized_crop_with_shift_moves_over_time() -> None:
    ramp = torch.arange(100.0).expand(1, 20, 100, 100)
    starts = TF.random_resized_crop(ramp, 4, 4, (0.01, 0.02), (1, 1), shift=True)[0, :, 0, 0]
    steps = starts.diff()
    assert (steps >= -1e-3).all() or (steps <= 1e-3).all()
    assert steps.abs().max() <= abs(float(starts[-1] - starts[0])) / 19 + 2


def test_random_areas_and_ratios_follow_their_limits() -> None:
    boxes = [random_box(200, 200, (0.2, 0.5), (0.5, 2), True, 10) for _ in range(500)]
    areas = torch.tensor([h * w / 200**2 for _, _, h, w in boxes])
    ratios = torch.tensor([w / h for _, _, h, w in boxes])
    assert areas.min() > 0.19
    assert areas.max() < 0.51
    assert areas.mean().item() == pytest.approx(0.35, abs=0.02)
    assert ratios.log().mean().item() == pytest.approx(0, abs=0.06)  # symmetric on a log scale
    assert all(0 <= y <= 200 - h and 0 <= x <= 200 - w for y, x, h, w in boxes)


def test_randomness_is_torchs_alone() -> None:
    def draws() -> list[torch.Tensor]:
        torch.manual_seed(3)
        images, boxes = clip(3, 4, 20, 30), torch.tensor([[1.0, 1.0, 9.0, 9.0]])
        return [
            TF.random_resized_crop(images, 6, 6, (0.1, 0.9), (0.5, 2)),
            *TF.random_crop_with_boxes(images, 7, boxes),
            *TF.random_short_side_scale_with_boxes(images, boxes, 5, 19),
            *TF.horizontal_flip_with_boxes(0.5, images, boxes),
        ]

    assert all(torch.equal(a, b) for a, b in zip(draws(), draws(), strict=True))


# -- labels and errors ---------------------------------------------------------------------------


@given(st.lists(st.integers(0, 9), max_size=5), st.floats(0, 0.99))
def test_one_hot_rows_sum_to_one(ids: list[int], smooth: float) -> None:
    out = TF.convert_to_one_hot(torch.tensor(ids, dtype=torch.long), 10, smooth)
    assert out.shape == (len(ids), 10)
    assert out.dtype == (torch.float32 if smooth else torch.int64)
    torch.testing.assert_close(out.sum(1).float(), torch.ones(len(ids)))
    assert out.argmax(1).tolist() == ids


@pytest.mark.parametrize(("smooth", "count"), [(0.1, 5), (0.2, 5), (0.1, 400), (0.3, 7)])
def test_smoothed_labels_are_exact_to_the_last_bit(smooth: float, count: int) -> None:
    out = TF.convert_to_one_hot(torch.arange(count), count, smooth)
    on = torch.eye(count, dtype=torch.bool)
    assert out[on].unique().tolist() == torch.tensor([1 - smooth + smooth / count]).tolist()
    assert out[~on].unique().tolist() == torch.tensor([smooth / count]).tolist()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TF.uniform_temporal_subsample(clip(1, 4, 2, 2), 0), "`num_samples` to be >= 1"),
        (lambda: TF.uniform_temporal_subsample(clip(1, 0, 2, 2), 2), "time axis is empty"),
        (
            lambda: TF.uniform_temporal_subsample_repeated(clip(1, 4, 2, 2), (8,)),
            "`frame_ratios` to be between 1 and the 4 frames, but got 8",
        ),
        (lambda: TF.short_side_scale(clip(3, 4, 4), 2), r"uint8 clip \(C, T, H, W\)"),
        (
            lambda: TF.short_side_scale(torch.zeros(3, 1, 4, 4, dtype=torch.int16), 2),
            r"got torch.int16 of shape \(3, 1, 4, 4\)",
        ),
        (lambda: TF.short_side_scale(clip(3, 1, 4, 4), 0), "`size` to be >= 1 pixel"),
        (lambda: TF.short_side_scale(clip(3, 1, 4, 4), 2, "cubic"), "one of nearest, .*'cubic'"),
        (
            lambda: TF.short_side_scale(clip(3, 1, 4, 4), 2, backend="pil"),
            "`backend` to be one of pytorch, opencv",
        ),
        (lambda: TF.uniform_crop(clip(3, 1, 4, 6), 5, 0), "short side of 4x6, but got 5"),
        (lambda: TF.uniform_crop(clip(3, 1, 4, 6), 3, 3), "`spatial_idx` .* got 3"),
        (lambda: TF.crop_boxes(torch.zeros(3), 1, 1), r"`boxes` to be of shape \(N, 4\)"),
        (lambda: TF.convert_to_one_hot(torch.tensor([5]), 5), r"class ids in \[0, 5\)"),
        (lambda: TF.convert_to_one_hot(torch.tensor([1]), 5, 1.0), r"`label_smooth` .*\[0, 1\)"),
        (
            lambda: TF.horizontal_flip_with_boxes(2, clip(3, 1, 4, 6), torch.zeros(1, 4)),
            r"`prob` to be in \[0, 1\]",
        ),
        (
            lambda: TF.random_resized_crop(clip(3, 1, 4, 6), 2, 2, (0.9, 0.0), (1, 1)),
            r"`scale` to be \(low, high\), both > 0",
        ),
        (
            lambda: TF.random_resized_crop(clip(3, 1, 4, 6), 0, 2, (0.1, 1), (1, 1)),
            "`target_height, target_width` to be >= 1",
        ),
    ],
)
def test_bad_arguments_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
