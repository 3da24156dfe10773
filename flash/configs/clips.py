# SPDX-License-Identifier: Apache-2.0
"""Training clips of a recipe: scale, RandAugment, crop, flip and erasing, of each copy of a decoded clip."""

from typing import Any

import torch  # noqa: F401 - of the doctest
from torchvision.transforms import Compose

from flash.configs.recipe import Recipe
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Div255,
    Normalize,
    OnFrames,
    RandAugment,
    RandomCropVideo,
    RandomErasing,
    RandomHorizontalFlipVideo,
    RandomResizedCrop,
    RandomShortSideScale,
    RepeatedAugmentation,
    UniformTemporalSubsample,
)
from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.transforms_factory import LevelsToUint8


def training_transform(
    recipe: Recipe,
    clip: ClipRecipe,
    *,
    crop: int | None = None,
    flip: bool = True,
    whole: int | None = None,
) -> Compose:
    """Returns the transform of samples whose ``video`` is a decoded clip (C, T, H, W) in 0..255.

    With ``augment.repeats`` it makes a list of so many samples of each, which flash's loaders join to one batch.

    Args:
        recipe: of the training; its short sides are of its own crop, and change with another one.
        clip: what the network takes: frames, crop, colours, pathways.
        crop: side in pixels; None is that of ``clip``.
        flip: False mirrors no clip, whatever the recipe says.
        whole: crop of whole clips, where these are smaller ones of multigrid, whose short sides reach as far.

    >>> from flash.configs.files import load_recipe
    >>> from pytorchvideo.models import get_weights
    >>> transform = training_transform(load_recipe("x3d_xs"), get_weights("x3d_xs").recipe, crop=160)
    >>> transform({"video": torch.zeros(3, 8, 200, 240)})["video"].shape
    torch.Size([3, 4, 160, 160])
    """
    subsample = UniformTemporalSubsample(clip.num_frames)
    steps = [
        *augmentation_steps(recipe, clip, crop=crop, flip=flip, whole=whole),
        *clip.pathway_steps(),
    ]
    if recipe.augment.repeats == 1:
        return Compose([ApplyTransformToKey(key="video", transform=Compose([subsample, *steps]))])
    # frames are picked first, so that only these are decoded
    augment = ApplyTransformToKey(key="video", transform=Compose(steps))
    return Compose(
        [
            ApplyTransformToKey(key="video", transform=subsample),
            RepeatedAugmentation(recipe.augment.repeats, augment),
        ]
    )


def augmentation_steps(
    recipe: Recipe,
    clip: ClipRecipe,
    *,
    crop: int | None = None,
    flip: bool = True,
    whole: int | None = None,
) -> list[Any]:
    """Returns the steps between the choice of frames and the split into pathways; see :func:`training_transform`.

    RandAugment works on scaled frames of bytes, before they are normalised; a resized crop is cut out of scaled frames,
    as PySlowFast's decoder gives them; noise that erases is normal, as normalised clips are.
    """
    data, augment = recipe.data, recipe.augment
    side = crop or clip.crop_size or clip.side_size
    low, high = data.short_side
    low = max(side, round(low * side / data.crop))
    high = max(low, round(high * (whole or side) / data.crop))
    scale = RandomShortSideScale(low, high, inverse_uniform=data.inverse_uniform)
    cut: Any = RandomCropVideo(side)
    if data.area is not None:
        cut = RandomResizedCrop(side, side, data.area, data.aspect)
    colours = [Div255(), Normalize(clip.mean, clip.std)]
    if augment.rand_augment is None:
        steps = [*colours, scale, cut]
    else:
        drawn = RandAugment.from_string(
            augment.rand_augment, transform_hparas={"fill": tuple(clip.mean)}
        )
        steps = [scale, LevelsToUint8(), OnFrames(drawn), *colours, cut]
    steps.append(RandomHorizontalFlipVideo(data.horizontal_flip if flip else 0.0))
    if augment.erasing:
        steps.append(OnFrames(RandomErasing(augment.erasing, mode="pixel")))
    return steps
