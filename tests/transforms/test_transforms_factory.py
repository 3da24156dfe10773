# SPDX-License-Identifier: Apache-2.0
"""The factory of pipelines: its steps in their order, every option, the kinds of input, and what it refuses."""

import copy
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import pytorchvideo.transforms as T
from pytorchvideo.transforms import create_video_transform

SMALL: dict[str, Any] = {"num_samples": 4, "min_size": 24, "max_size": 30, "crop_size": 20}


def levels(*shape: int) -> torch.Tensor:
    """uint8 frames."""
    values = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(3))
    return values.to(torch.uint8)


def names(transform: Any) -> list[str]:
    return [type(step).__name__ for step in transform.transforms]


def test_steps_of_evaluation_are_the_closed_form() -> None:
    x = levels(3, 9, 30, 45).float()
    wanted = T.functional.uniform_temporal_subsample(x, 4)
    wanted = (wanted / 255 - 0.45) / 0.225
    wanted = T.functional.short_side_scale(wanted, 24)[..., 2:22, 8:28]
    for mode in ("val", "test"):
        torch.testing.assert_close(create_video_transform(mode, **SMALL)(x), wanted)


def test_steps_of_training() -> None:
    start = ["UniformTemporalSubsample", "Div255", "Normalize"]
    scale = ["RandomShortSideScale", "RandomCropVideo", "RandomHorizontalFlipVideo"]
    crop = ["RandomResizedCrop", "RandomHorizontalFlipVideo"]
    assert names(create_video_transform("train", **SMALL)) == start + scale
    resized = create_video_transform("train", **SMALL, random_resized_crop_paras={})
    assert names(resized) == start + crop
    for aug_type in ("randaug", "augmix"):
        steps = names(create_video_transform("train", **SMALL, aug_type=aug_type))
        assert steps == [start[0], "LevelsToUint8", "OnFrames", *start[1:], *scale]
    no_samples = create_video_transform("val", **{**SMALL, "num_samples": None})
    assert names(no_samples) == [*start[1:], "ShortSideScale", "CenterCrop"]


@pytest.mark.parametrize("mode", ["train", "val"])
@pytest.mark.parametrize("aug_type", ["default", "randaug", "augmix"])
@pytest.mark.parametrize("resized", [None, {}, {"scale": (0.5, 1.0), "shift": True}])
@pytest.mark.parametrize("crop", [20, (16, 24)])
def test_shapes(mode: str, aug_type: str, resized: dict[str, Any] | None, crop: Any) -> None:
    transform = create_video_transform(
        mode,
        **{**SMALL, "crop_size": crop},
        aug_type=aug_type,
        random_resized_crop_paras=resized,
    )
    size = (crop, crop) if isinstance(crop, int) else crop
    for x in (levels(3, 9, 33, 45), levels(3, 9, 45, 33).float()):
        out = transform(x)
        assert out.shape == (3, 4, *size)
        assert out.dtype == torch.float32
        assert -2.1 < out.min() < out.max() < 2.5


@pytest.mark.parametrize("aug_type", ["default", "randaug", "augmix"])
def test_what_datasets_deliver_is_what_uint8_gives(aug_type: str) -> None:
    transform = create_video_transform("train", **SMALL, aug_type=aug_type)
    x = levels(3, 9, 33, 45)
    for seed in range(5):
        torch.manual_seed(seed)
        of_uint8 = transform(x)
        torch.manual_seed(seed)
        assert torch.equal(transform(x.float()), of_uint8)
        # The frames of a decoder are a permuted view of (T, H, W, C).
        strided = x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2)
        torch.manual_seed(seed)
        torch.testing.assert_close(transform(strided.float()), of_uint8, atol=1e-5, rtol=0)


@pytest.mark.parametrize("aug_type", ["default", "randaug", "augmix"])
def test_values_in_0_to_1_are_said_not_guessed(aug_type: str) -> None:
    arguments = {**SMALL, "aug_type": aug_type}
    unit = create_video_transform("train", convert_to_float=False, **arguments)
    whole = create_video_transform("train", **arguments)
    x = levels(3, 9, 33, 45)
    for seed in range(5):
        torch.manual_seed(seed)
        out = unit(x / 255)
        torch.manual_seed(seed)
        of_uint8 = whole(x)
        assert (out - of_uint8).abs().mean() < (1e-5 if aug_type == "default" else 0.05)
    with pytest.raises(ValueError, match="Expected a float clip"):
        create_video_transform("val", convert_to_float=False, **SMALL)(x)
    dark = torch.full((3, 9, 33, 45), 1.0)
    out = create_video_transform("val", **SMALL)(dark)
    torch.testing.assert_close(out, torch.full_like(out, (1 / 255 - 0.45) / 0.225))


@pytest.mark.parametrize("resized", [None, {}])
@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_flip_stays_with_every_crop(resized: dict[str, Any] | None, prob: float) -> None:
    ramp = torch.arange(45.0).expand(3, 9, 33, 45)
    transform = create_video_transform(
        "train", **SMALL, horizontal_flip_prob=prob, random_resized_crop_paras=resized
    )
    for _ in range(5):
        out = transform(ramp)
        assert (out[..., 0] > out[..., -1]).all() == bool(prob)


def test_own_parameters_reach_the_crop() -> None:
    paras = {"target_height": 10, "target_width": 12, "scale": (1.0, 1.0), "aspect_ratio": (1, 1)}
    transform = create_video_transform("train", **SMALL, random_resized_crop_paras=paras)
    assert transform(levels(3, 9, 33, 45)).shape == (3, 4, 10, 12)


@pytest.mark.parametrize("aug_type", ["randaug", "augmix"])
def test_own_parameters_reach_the_augmentation(aug_type: str) -> None:
    paras = {"magnitude": 5, "transform_hparas": {"fill": (0.1, 0.2, 0.3)}}
    transform = create_video_transform("train", **SMALL, aug_type=aug_type, aug_paras=paras)
    augment = next(s for s in transform.transforms if isinstance(s, T.OnFrames)).transform
    assert isinstance(augment, T.RandAugment if aug_type == "randaug" else T.AugMix)
    for operation in augment.transforms:
        assert operation.magnitude == 5
        assert operation.transform_hparas == {"fill": (0.1, 0.2, 0.3)}


def test_the_dicts_of_the_caller_stay_as_they_are() -> None:
    paras: dict[str, Any] = {"magnitude": 5, "transform_hparas": {"fill": 0.0}}
    crops: dict[str, Any] = {"scale": (0.5, 1.0)}
    before = copy.deepcopy((paras, crops))
    for _ in range(2):
        create_video_transform(
            "train", **SMALL, aug_type="randaug", aug_paras=paras, random_resized_crop_paras=crops
        )(levels(3, 9, 33, 45))
    assert (paras, crops) == before


def test_samples() -> None:
    transform = create_video_transform("val", "video", ["audio", "absent"], **SMALL)
    sample = {"video": levels(3, 9, 33, 45).float(), "audio": None, "label": 2}
    plain = create_video_transform("val", **SMALL)(sample["video"])
    out = transform(sample)
    assert list(out) == ["video", "label"]
    torch.testing.assert_close(out["video"], plain, atol=1e-5, rtol=0)


def test_batches_share_the_draw() -> None:
    x = levels(1, 3, 9, 33, 45).expand(2, -1, -1, -1, -1)
    for aug_type in ("default", "randaug", "augmix"):
        out = create_video_transform("train", **SMALL, aug_type=aug_type)(x)
        assert out.shape == (2, 3, 4, 20, 20)
        assert torch.equal(out[0], out[1])


class Clips(Dataset[torch.Tensor]):
    """Eight times the same clip."""

    def __init__(self, transform: Any) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> torch.Tensor:
        out = self.transform(levels(3, 9, 33, 45))
        assert isinstance(out, torch.Tensor)
        return out


@pytest.mark.parametrize("own", [True, False])
def test_a_seed_repeats_an_epoch_with_workers(own: bool) -> None:
    def epoch(seed: int) -> torch.Tensor:
        transform = create_video_transform(
            "train",
            **SMALL,
            aug_type="randaug",
            aug_paras={"prob": 1.0},
            generator=torch.Generator().manual_seed(5) if own else None,
        )
        loader_seed = torch.Generator().manual_seed(seed)
        loader = DataLoader(Clips(transform), 4, num_workers=2, generator=loader_seed)
        return torch.cat(list(loader))

    first = epoch(0)
    assert torch.equal(epoch(0), first)
    assert not torch.equal(epoch(1), first)
    assert len({out.sum().item() for out in first}) == 8


def test_own_generator_is_the_only_one() -> None:
    x = levels(3, 9, 33, 45)
    for resized in (None, {}):
        runs = []
        for _ in range(2):
            generator = torch.Generator().manual_seed(5)
            transform = create_video_transform(
                "train",
                **SMALL,
                aug_type="augmix",
                random_resized_crop_paras=resized,
                generator=generator,
            )
            state = torch.get_rng_state()
            runs.append([transform(x) for _ in range(3)])
            assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "trian"}, "`mode` to be one of train, val, test, but got 'trian'"),
        ({"aug_paras": {}}, "`aug_paras` to be None without an aug_type"),
        ({"remove_key": ["audio"]}, "`remove_key` to be None without a video_key"),
        ({"crop_size": (9,)}, r"`crop_size` to be in 1\.\.24 \(min_size\), but got \(9,\)"),
        ({"crop_size": 25}, r"`crop_size` to be in 1\.\.24 \(min_size\), but got 25"),
        ({"crop_size": (20, 25)}, r"`crop_size` to be in 1\.\.24 \(min_size\), but got \(20, 25\)"),
        ({"max_size": 20}, "`min_size, max_size` to be 1 <= min <= max"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_video_transform(**{"mode": "train", **SMALL, **arguments})


def test_unknown_augmentation() -> None:
    with pytest.raises(NotImplementedError, match="one of default, randaug, augmix, but got 'ra'"):
        create_video_transform("train", aug_type="ra")


def test_crop_size_of_another_type() -> None:
    with pytest.raises(TypeError, match=r"`crop_size` to be pixels, or .*, but got 's'"):
        create_video_transform("val", crop_size="s")  # type: ignore[arg-type]
