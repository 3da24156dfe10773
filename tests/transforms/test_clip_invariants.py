# SPDX-License-Identifier: Apache-2.0
"""Invariants of all transforms of clips: sizes, memory layouts, dtypes, batches, boxes, generators."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.transforms as tv
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

import pytorchvideo.transforms as T
from pytorchvideo.transforms import functional as TF

few = settings(max_examples=40, deadline=None, derandomize=True)
sides = st.integers(4, 33)
frames = st.integers(1, 5)

Generator = torch.Generator | None


def values(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def layouts(clip: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same values (C, T, H, W), as a decoder, a stack of frames, a crop, or a copy holds them."""
    room = torch.zeros(*clip.shape[:2], clip.shape[2] + 3, clip.shape[3] + 5, dtype=clip.dtype)
    crop = room[..., 1:-2, 2:-3]
    crop.copy_(clip)
    return {
        "planes": clip.contiguous(),
        "interleaved": clip.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
        "frames": clip.transpose(0, 1).contiguous().transpose(0, 1),
        "crop": crop,
        "columns": clip.transpose(2, 3).contiguous().transpose(2, 3),
    }


# Everything that takes clips; random ones are made with a generator.
MAKE: dict[str, Callable[[Generator], Callable[[torch.Tensor], torch.Tensor]]] = {
    "UniformTemporalSubsample": lambda g: T.UniformTemporalSubsample(3),
    "ShortSideScale": lambda g: T.ShortSideScale(11),
    "ShortSideScale bicubic": lambda g: T.ShortSideScale(11, "bicubic"),
    "ShortSideScale nearest": lambda g: T.ShortSideScale(11, "nearest"),
    "ShortSideScale area": lambda g: T.ShortSideScale(3, "area"),
    "RandomShortSideScale": lambda g: T.RandomShortSideScale(5, 19, generator=g),
    "RandomResizedCrop": lambda g: T.RandomResizedCrop(7, 6, (0.2, 1), (0.5, 2), generator=g),
    "RandomResizedCrop shift": lambda g: T.RandomResizedCrop(
        7, 6, (0.2, 1), (0.5, 2), shift=True, generator=g
    ),
    "Div255": lambda g: T.Div255(),
    "OpSampler": lambda g: T.OpSampler(
        [T.ShortSideScale(5), T.ShortSideScale(9), lambda x: x.flip(-1)], generator=g
    ),
    "uniform_crop": lambda g: lambda x: TF.uniform_crop(x, 4, 2),
    "random_crop_with_boxes": lambda g: (
        lambda x: TF.random_crop_with_boxes(x, 4, torch.zeros(1, 4), generator=g)[0]
    ),
    "random_short_side_scale_with_boxes": lambda g: (
        lambda x: TF.random_short_side_scale_with_boxes(x, torch.zeros(1, 4), 5, 19, generator=g)[0]
    ),
    "horizontal_flip_with_boxes": lambda g: (
        lambda x: TF.horizontal_flip_with_boxes(0.5, x, torch.zeros(1, 4), generator=g)[0]
    ),
}
every = pytest.mark.parametrize("name", MAKE)


def seeded(name: str, seed: int = 3) -> Callable[[torch.Tensor], torch.Tensor]:
    return MAKE[name](torch.Generator().manual_seed(seed))


# -- input ---------------------------------------------------------------------------------------


@every
@few
@given(frames, sides, sides, st.sampled_from(["uint8", "levels", "unit"]))
def test_memory_layout_and_batches_change_nothing(
    name: str, num_frames: int, height: int, width: int, kind: str
) -> None:
    clip = values(3, num_frames, height, width)
    if kind != "uint8":
        clip = clip.float() / (255 if kind == "unit" else 1)
    tolerance = {"uint8": 1, "levels": 1e-3, "unit": 1e-5}[kind]
    wanted = seeded(name)(clip.clone())
    assert wanted.dtype == (torch.float32 if name == "Div255" else clip.dtype)
    for layout, given_clip in layouts(clip).items():
        got = seeded(name)(given_clip)
        torch.testing.assert_close(got, wanted, atol=tolerance, rtol=0, msg=layout)
        assert torch.equal(given_clip, clip), f"{layout} was changed"
    batch = torch.stack([clip, clip.flip(0)])
    got = seeded(name)(batch)
    torch.testing.assert_close(got[0], wanted, atol=tolerance, rtol=0)
    torch.testing.assert_close(got[1], wanted.flip(0), atol=tolerance, rtol=0)


@every
def test_uint8_is_the_rounded_float(name: str) -> None:
    clip = values(3, 4, 13, 18)
    wanted = seeded(name)(clip.float())
    got = seeded(name)(clip)
    wanted = wanted if got.is_floating_point() else wanted.round().clamp(0, 255)
    assert torch.equal(got.float(), wanted)


@every
def test_meta_tensors_go_through(name: str) -> None:
    # Nothing is made on another device than that of the clip.
    clip = torch.empty(3, 4, 13, 18, device="meta")
    assert seeded(name)(clip).device.type == "meta"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every
def test_the_gpu_returns_what_the_cpu_returns(name: str) -> None:
    batch = values(2, 3, 4, 37, 50)
    for clip in (batch, batch.float()):
        got = seeded(name)(clip.cuda()).cpu()
        torch.testing.assert_close(
            got, seeded(name)(clip), atol=1 if got.dtype == torch.uint8 else 1e-3, rtol=0
        )


@few
@given(sides, sides, st.integers(4, 40), st.integers(0, 2))
def test_crops_lie_inside(height: int, width: int, size: int, index: int) -> None:
    size = min(size, height, width)
    clip = torch.arange(height * width).view(1, 1, height, width)
    boxes = torch.tensor([[0, 0, width - 1, height - 1]])
    for crop in (
        TF.uniform_crop(clip, size, index),
        TF.random_crop_with_boxes(clip, size, boxes)[0],
    ):
        corner = int(crop[0, 0, 0, 0])
        y, x = divmod(corner, width)
        assert torch.equal(crop, clip[..., y : y + size, x : x + size])


@few
@given(frames, sides, sides)
def test_two_flips_are_none(num_frames: int, height: int, width: int) -> None:
    clip = values(3, num_frames, height, width)
    boxes = torch.tensor([[1.0, 2.0, width - 2.0, 3.0]])
    once = TF.horizontal_flip_with_boxes(1, clip, boxes)
    twice = TF.horizontal_flip_with_boxes(1, *once)
    assert torch.equal(twice[0], clip)
    assert torch.equal(twice[1], boxes)


# -- boxes ---------------------------------------------------------------------------------------


@st.composite
def painted(draw: st.DrawFn) -> tuple[torch.Tensor, list[int]]:
    """A dark clip with a bright box in it, and the box: its first and last column and row."""
    height, width = draw(st.integers(12, 40)), draw(st.integers(12, 40))
    x1, y1 = draw(st.integers(0, width - 4)), draw(st.integers(0, height - 4))
    x2, y2 = draw(st.integers(x1 + 3, width - 1)), draw(st.integers(y1 + 3, height - 1))
    clip = torch.zeros(1, draw(frames), height, width)
    clip[..., y1 : y2 + 1, x1 : x2 + 1] = 255
    return clip, [x1, y1, x2, y2]


def found(clip: torch.Tensor) -> list[int] | None:
    """The box of what is bright, which is the same in every frame."""
    assert all(torch.equal(clip[:, 0], clip[:, t]) for t in range(clip.shape[1]))
    ys, xs = torch.nonzero(clip[0, 0] > 127, as_tuple=True)
    return [int(v) for v in (xs.min(), ys.min(), xs.max(), ys.max())] if len(xs) else None


@few
@given(painted(), st.integers(0, 2), st.booleans())
def test_boxes_follow_pixels(
    example: tuple[torch.Tensor, list[int]], index: int, as_array: bool
) -> None:
    clip, corners = example
    boxes: Any = np.array([corners]) if as_array else torch.tensor([corners])
    size = min(clip.shape[-2:]) - 3
    for moved, there in (
        TF.horizontal_flip_with_boxes(1.0, clip, boxes),
        TF.uniform_crop_with_boxes(clip, size, index, boxes),
        TF.random_crop_with_boxes(clip, size, boxes),
    ):
        seen = found(moved)
        if seen is not None:  # a box that lies outside is a line on the border
            assert there.tolist() == [seen]
    assert boxes.tolist() == [corners]


@few
@given(painted(), st.integers(8, 60))
def test_boxes_are_scaled_like_pixels(example: tuple[torch.Tensor, list[int]], size: int) -> None:
    clip, (x1, y1, x2, y2) = example
    # Edges rather than pixels: these scale exactly.
    edges = torch.tensor([[x1, y1, x2 + 1, y2 + 1]], dtype=torch.float64)
    scaled, boxes = TF.short_side_scale_with_boxes(clip, edges, size)
    seen = found(scaled)
    assert seen is not None
    wanted = [seen[0], seen[1], seen[2] + 1, seen[3] + 1]
    # Both axes are scaled by the ratio of the long sides, which rounding makes a little smaller.
    slack = 1.5 + max(scaled.shape[-2:]) / max(clip.shape[-2:])
    np.testing.assert_allclose(boxes[0].numpy(), wanted, atol=slack)
    assert boxes.min() >= 0 and boxes[0, 2] <= scaled.shape[3] + 1e-9
    assert boxes[0, 3] <= scaled.shape[2] + 1e-9
    assert edges.tolist() == [[x1, y1, x2 + 1, y2 + 1]]


# -- randomness ----------------------------------------------------------------------------------

RANDOM = [
    name for name in MAKE if "andom" in name or name in ("OpSampler", "horizontal_flip_with_boxes")
]


@pytest.mark.parametrize("name", RANDOM)
def test_a_generator_makes_a_sample(name: str) -> None:
    clip = values(3, 4, 30, 40).float()
    before = torch.get_rng_state()
    one, two = seeded(name, 11), seeded(name, 11)
    first = [one(clip) for _ in range(12)]
    for a, b in zip(first, [two(clip) for _ in range(12)], strict=True):
        assert a.shape == b.shape and torch.equal(a, b)
    assert any(a.shape != first[0].shape or not torch.equal(a, first[0]) for a in first)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", RANDOM)
def test_without_a_generator_torch_is_asked(name: str) -> None:
    clip = values(3, 4, 30, 40).float()

    def draw() -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(2)
            return MAKE[name](None)(clip)

    assert torch.equal(draw(), draw())


@pytest.mark.parametrize(
    "transform",
    [
        T.RandomShortSideScale(5, 19, generator=torch.Generator().manual_seed(1)),
        T.RandomResizedCrop(7, 6, (0.2, 1), (0.5, 2), generator=torch.Generator().manual_seed(1)),
        T.OpSampler([T.ShortSideScale(5), T.Div255()], generator=torch.Generator().manual_seed(1)),
    ],
)
def test_generators_travel_with_copies(transform: Any) -> None:
    clip = values(3, 4, 30, 40).float()
    others = [copy.deepcopy(transform), pickle.loads(pickle.dumps(transform))]
    for _ in range(5):
        wanted = transform(clip)
        assert all(torch.equal(other(clip), wanted) for other in others)


class Sizes(Dataset[int]):
    """Short sides that a transform draws."""

    def __init__(self, generator: Generator) -> None:
        self.scale = T.RandomShortSideScale(1, 10**6, generator=generator)

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> int:
        return self.scale.draw()


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("own", [False, True])
def test_workers_draw_different_numbers_that_a_seed_repeats(own: bool) -> None:
    def epoch() -> list[int]:
        generator = torch.Generator().manual_seed(5) if own else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(8)
            loader = DataLoader(Sizes(generator), batch_size=None, num_workers=2)
            return [int(size) for size in loader]

    sizes = epoch()
    assert len(set(sizes)) == 8
    assert sizes == epoch()


# -- time ----------------------------------------------------------------------------------------


def test_one_frame_goes_through_a_whole_pipeline() -> None:
    pipeline = tv.Compose(
        [
            T.UniformTemporalSubsample(1),
            T.Div255(),
            T.Normalize((0.45,) * 3, (0.225,) * 3),
            T.RandomShortSideScale(20, 30),
            tv.RandomCrop(17),
        ]
    )
    sample = {"video": values(3, 1, 21, 33).float()}
    assert T.ApplyTransformToKey("video", pipeline)(sample)["video"].shape == (3, 1, 17, 17)


def test_a_clip_of_the_right_length_is_not_copied() -> None:
    clip = values(3, 8, 4, 4)
    assert TF.uniform_temporal_subsample(clip, 8) is clip
    assert TF.short_side_scale(clip, 4) is clip


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
@pytest.mark.parametrize("shape", [(3, 4, 20, 33), (2, 3, 4, 20, 33)])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_scaling_is_scriptable_for_all_it_takes(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    clip = values(*shape).to(dtype)
    for module in (T.ShortSideScale(12), T.UniformTemporalSubsample(3)):
        scripted = torch.jit.script(module)
        assert torch.equal(scripted(clip), module(clip))
        interleaved = clip.movedim(-4, -1).contiguous().movedim(-1, -4)
        assert torch.equal(scripted(interleaved), module(interleaved))
