# SPDX-License-Identifier: Apache-2.0
"""Invariants of all augmentations, whatever the clip: odd sizes, one frame, every dtype and memory layout."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pytorchvideo.transforms as T
from pytorchvideo.transforms.augmentations import OPERATION_NAMES

Transform = Callable[[torch.Tensor], torch.Tensor]

# The same examples in every run: an augmentation of four pixels may amplify a difference in rounding.
few = settings(max_examples=25, deadline=None, derandomize=True)

# Makes the transform of frames (T, C, H, W) for clips whose white is the argument.
AUGMENTATIONS: dict[str, Callable[[float], Transform]] = {
    "RandAugment": lambda white: T.RandAugment(num_layers=3, prob=1.0, max_value=white),
    "AugMix": lambda white: T.AugMix(magnitude=9, max_value=white),
    "ColorJitterVideoSSl": lambda white: T.ColorJitterVideoSSl(
        [0.4] * 3, 0.1, 1.0, 0.5, max_value=white
    ),
    "GaussianBlur": lambda white: T.GaussianBlur(),
    "RandomErasing": lambda white: T.RandomErasing(probability=1.0),
}
for _name in OPERATION_NAMES:
    AUGMENTATIONS[_name] = lambda white, name=_name: T.AugmentTransform(
        name, prob=1.0, max_value=white
    )
# Identity at level 0; the others change a clip at any level.
GENTLE = [
    name
    for name in OPERATION_NAMES
    if name not in ("AutoContrast", "Equalize", "Invert", "Posterize")
]

KINDS = {"uint8": 255.0, "unit": 1.0, "levels": 255.0}
every = pytest.mark.parametrize("name", AUGMENTATIONS)


@st.composite
def clips(draw: st.DrawFn, still: bool = False) -> tuple[torch.Tensor, float]:
    """Frames (T, C, H, W) of a kind and the value of their white; ``still`` repeats the first frame."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    shape = [draw(st.integers(1, 4)), draw(st.sampled_from([1, 3]))]
    shape += [draw(st.integers(1, 13)), draw(st.integers(1, 13))]
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    frames = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    if kind != "uint8":
        frames = frames.float() * KINDS[kind] / 255
    if still:
        frames = frames[:1].repeat(len(frames), 1, 1, 1)
    if draw(st.booleans()):
        # As a decoder gives them: interleaved channels.
        frames = frames.permute(2, 3, 1, 0).contiguous().permute(3, 2, 0, 1)
    return frames, KINDS[kind]


def again(transform: Transform, x: torch.Tensor, seed: int) -> torch.Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transform(x)


@every
@few
@given(clip=clips(), seed=st.integers(0, 2**31))
def test_shape_dtype_and_input_stay(name: str, clip: tuple[torch.Tensor, float], seed: int) -> None:
    x, white = clip
    before = x.clone()
    out = again(AUGMENTATIONS[name](white), x, seed)
    assert out.shape == x.shape
    assert out.dtype == x.dtype
    assert torch.equal(x, before)
    assert out.min() >= -1e-3 * white
    assert out.max() <= 1.001 * white


@every
@few
@given(clip=clips(), seed=st.integers(0, 2**31))
def test_memory_layout_does_not_matter(
    name: str, clip: tuple[torch.Tensor, float], seed: int
) -> None:
    x, white = clip
    transform = AUGMENTATIONS[name](white)
    out, of_planes = again(transform, x, seed), again(transform, x.contiguous(), seed)
    # Sums in another order may fall to the other side of a rounding.
    tolerance = 1.0 if x.dtype == torch.uint8 else 1e-2 * white
    share = ((out.double() - of_planes.double()).abs() <= tolerance).float().mean()
    assert share > 0.98


@every
@few
@given(clip=clips(still=True), seed=st.integers(0, 2**31))
def test_all_frames_get_the_same(name: str, clip: tuple[torch.Tensor, float], seed: int) -> None:
    x, white = clip
    out = again(AUGMENTATIONS[name](white), x, seed)
    torch.testing.assert_close(out, out[:1].expand_as(out), atol=1e-4 * white, rtol=0)


@pytest.mark.parametrize("name", [n for n in AUGMENTATIONS if n != "RandomErasing"])
@few
@given(clip=clips(), seed=st.integers(0, 2**31))
def test_a_batch_is_treated_as_its_clips(
    name: str, clip: tuple[torch.Tensor, float], seed: int
) -> None:
    x, white = clip
    transform = AUGMENTATIONS[name](white)
    batch = torch.stack([x, x.flip(0)])
    out = again(transform, batch, seed)
    assert out.shape == batch.shape
    tolerance = 1.0 if x.dtype == torch.uint8 else 1e-2 * white
    for one, alone in zip(out, batch, strict=True):
        wanted = again(transform, alone, seed)
        assert ((one.double() - wanted.double()).abs() <= tolerance).float().mean() > 0.98


@pytest.mark.parametrize("name", GENTLE)
@few
@given(clip=clips(), seed=st.integers(0, 2**31))
def test_level_0_is_the_identity(name: str, clip: tuple[torch.Tensor, float], seed: int) -> None:
    x, white = clip
    transform = T.AugmentTransform(
        name, 0, prob=1.0, sampling_hparas={"sampling_std": 0.0}, max_value=white
    )
    torch.testing.assert_close(again(transform, x, seed), x, atol=1e-5 * white, rtol=0)


@few
@given(clip=clips(), seed=st.integers(0, 2**31))
def test_probability_0_is_the_identity(clip: tuple[torch.Tensor, float], seed: int) -> None:
    x, white = clip
    jitter = T.ColorJitterVideoSSl([0.4] * 3, 0.1, 0.0, 0.0, 0.0, max_value=white)
    for transform in (T.RandAugment(prob=0.0, max_value=white), jitter, T.RandomErasing(0.0)):
        torch.testing.assert_close(again(transform, x, seed), x, atol=1e-4, rtol=0)


@few
@given(clip=clips())
def test_twice_is_the_identity(clip: tuple[torch.Tensor, float]) -> None:
    x, white = clip
    flip = T.RandomHorizontalFlipVideo(1.0)
    assert torch.equal(flip(flip(x)), x)
    invert = T.AugmentTransform("Invert", prob=1.0, max_value=white)
    torch.testing.assert_close(invert(invert(x)), x, atol=1e-4, rtol=0)


@pytest.mark.parametrize("mix", [T.MixUp, T.CutMix, T.MixVideo])
@few
@given(
    clip=clips(),
    size=st.integers(2, 5),
    smoothing=st.floats(0, 0.9),
    seed=st.integers(0, 2**31),
)
def test_mixed_labels_sum_to_one(
    mix: Any, clip: tuple[torch.Tensor, float], size: int, smoothing: float, seed: int
) -> None:
    x = clip[0].transpose(0, 1)
    batch = torch.stack([x.roll(shift, -1) for shift in range(size)])
    before = batch.clone()
    labels = torch.arange(size) % 3
    video, soft = again(
        lambda b: mix(label_smoothing=smoothing, num_classes=4)(b, labels), batch, seed
    )
    torch.testing.assert_close(soft.sum(1), torch.ones(size))
    assert soft.min() >= 0
    assert video.shape == batch.shape
    assert video.dtype == batch.dtype
    assert torch.equal(batch, before)


@few
@given(
    clip=clips(),
    mode=st.sampled_from(["train", "val"]),
    aug_type=st.sampled_from(["default", "randaug", "augmix"]),
    crops=st.none() | st.just({}),
    seed=st.integers(0, 2**31),
)
def test_factory_takes_every_size(
    clip: tuple[torch.Tensor, float],
    mode: str,
    aug_type: str,
    crops: dict[str, Any] | None,
    seed: int,
) -> None:
    x, white = clip
    colours = x.shape[1]
    transform = T.create_video_transform(
        mode,
        num_samples=3,
        min_size=9,
        max_size=11,
        crop_size=(7, 9),
        convert_to_float=white == 255,
        video_mean=[0.5] * colours,
        video_std=[0.5] * colours,
        aug_type=aug_type,
        random_resized_crop_paras=crops,
    )
    out = again(transform, x.transpose(0, 1), seed)
    assert out.shape == (colours, 3, 7, 9)
    assert out.dtype == torch.float32
    assert -1.01 <= out.min() <= out.max() <= 1.01
