# SPDX-License-Identifier: Apache-2.0
"""The usual training and evaluation pipelines."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torchvision.transforms
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.transforms._video import RandomCropVideo, RandomHorizontalFlipVideo
from pytorchvideo.transforms.augmix import AugMix
from pytorchvideo.transforms.rand_augment import RandAugment
from pytorchvideo.transforms.transforms import (
    ApplyTransformToKey,
    Div255,
    Normalize,
    OnFrames,
    RandomResizedCrop,
    RandomShortSideScale,
    RemoveKey,
    ShortSideScale,
    UniformTemporalSubsample,
)

__all__ = ["LevelsToUint8", "create_video_transform"]

_Steps = list[Callable[[Any], Any]]

_AUGMENTATIONS: dict[str, Callable[..., nn.Module]] = {"randaug": RandAugment, "augmix": AugMix}


class LevelsToUint8(nn.Module):
    """Values in 0..255 of any dtype, rounded to uint8: decoded frames come back bit for bit."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.round().clamp_(0, 255).to(torch.uint8) if x.is_floating_point() else x


def create_video_transform(
    mode: str,
    video_key: str | None = None,
    remove_key: Sequence[str] | None = None,
    num_samples: int | None = 8,
    convert_to_float: bool = True,
    video_mean: Sequence[float] = (0.45, 0.45, 0.45),
    video_std: Sequence[float] = (0.225, 0.225, 0.225),
    min_size: int = 256,
    max_size: int = 320,
    crop_size: int | tuple[int, int] = 224,
    horizontal_flip_prob: float = 0.5,
    aug_type: str = "default",
    aug_paras: Mapping[str, Any] | None = None,
    random_resized_crop_paras: Mapping[str, Any] | None = None,
    *,
    generator: torch.Generator | None = None,
) -> torchvision.transforms.Compose:
    """Makes the transform of clips (C, T, H, W), or batches of them, into normalised ones of one size.

    =========================================  ==================================
    training                                   evaluation
    =========================================  ==================================
    ``num_samples`` frames at equal distances  the same
    RandAugment or AugMix, if asked for
    values to 0..1, mean and deviation         the same
    short side to a random size, random crop,  short side to ``min_size``,
    or random resized crop                     centre crop
    flip
    =========================================  ==================================

    Args:
        mode: ``"train"``, or ``"val"`` or ``"test"`` for evaluation.
        video_key: for samples that are dicts, the entry with the clip.
        remove_key: entries to remove from such samples.
        num_samples: number of frames; None keeps all.
        convert_to_float: says what the values of the clips are, which is never guessed from them. True:
            0..255, as uint8 or as the float32 that datasets deliver, to be divided by 255. False: float
            in 0..1 already.
        video_mean: per channel, of values in 0..1.
        video_std: per channel.
        min_size: smallest short side in training, and that of evaluation, in pixels.
        max_size: largest short side in training.
        crop_size: pixels, or (height, width), not larger than ``min_size``.
        horizontal_flip_prob: share of the training clips to mirror.
        aug_type: ``"default"`` for none, ``"randaug"`` or ``"augmix"``; of training only.
        aug_paras: keywords of :class:`RandAugment` or :class:`AugMix`.
        random_resized_crop_paras: keywords of :class:`RandomResizedCrop`, which then takes the place of
            scale and crop in training; by default ``crop_size``, ``scale=(0.08, 1)`` and
            ``aspect_ratio=(3/4, 4/3)``.
        generator: where the randomness comes from; by default torch's global generator.

    Raises:
        ValueError: a mode that does not exist, a crop that is larger than ``min_size``, or arguments that
            would have no effect.
        NotImplementedError: there is no augmentation of this name.
        TypeError: ``crop_size`` is neither a number nor a pair.

    >>> transform = create_video_transform("val", num_samples=4, min_size=32, crop_size=24)
    >>> transform(torch.zeros(3, 16, 48, 64)).shape
    torch.Size([3, 4, 24, 24])
    """
    check_choice("mode", mode, ("train", "val", "test"))
    if aug_type != "default" and aug_type not in _AUGMENTATIONS:
        wanted = f"one of default, {', '.join(_AUGMENTATIONS)}"
        raise NotImplementedError(expected("aug_type", wanted, aug_type))
    if aug_type == "default" and aug_paras is not None:
        raise ValueError(expected("aug_paras", "None without an aug_type", dict(aug_paras)))
    if video_key is None and remove_key is not None:
        raise ValueError(expected("remove_key", "None without a video_key", remove_key))
    if not isinstance(crop_size, int | Sequence) or isinstance(crop_size, str):
        raise TypeError(expected("crop_size", "pixels, or (height, width)", crop_size))
    crop = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
    if len(crop) != 2 or not 1 <= min(crop) <= max(crop) <= min_size:
        raise ValueError(expected("crop_size", f"in 1..{min_size} (min_size)", crop_size))

    steps: _Steps = [] if num_samples is None else [UniformTemporalSubsample(num_samples)]
    if mode == "train" and aug_type != "default":
        steps += _augmentation(aug_type, aug_paras or {}, convert_to_float, generator)
    if convert_to_float:
        steps.append(Div255())
    steps.append(Normalize(video_mean, video_std))
    if mode != "train":
        steps += [ShortSideScale(min_size), torchvision.transforms.CenterCrop(crop)]
    else:
        if random_resized_crop_paras is None:
            scale = RandomShortSideScale(min_size, max_size, generator=generator)
            steps += [scale, RandomCropVideo(crop, generator=generator)]
        else:
            steps.append(_random_resized_crop(crop, random_resized_crop_paras, generator))
        steps.append(RandomHorizontalFlipVideo(horizontal_flip_prob, generator=generator))

    transform = torchvision.transforms.Compose(steps)
    if video_key is None:
        return transform
    removals = [RemoveKey(key) for key in remove_key or ()]
    return torchvision.transforms.Compose([ApplyTransformToKey(video_key, transform), *removals])


def _augmentation(
    name: str,
    parameters: Mapping[str, Any],
    levels: bool,
    generator: torch.Generator | None,
) -> _Steps:
    """An augmentation, after a step that makes clips of any dtype with values in 0..255 alike."""
    augment = OnFrames(_AUGMENTATIONS[name](**{"generator": generator, **parameters}))
    return [LevelsToUint8(), augment] if levels else [augment]


def _random_resized_crop(
    crop: tuple[int, ...], parameters: Mapping[str, Any], generator: torch.Generator | None
) -> RandomResizedCrop:
    defaults: dict[str, Any] = {
        "target_height": crop[0],
        "target_width": crop[1],
        "scale": (0.08, 1.0),
        "aspect_ratio": (3 / 4, 4 / 3),
        "generator": generator,
    }
    return RandomResizedCrop(**{**defaults, **parameters})
