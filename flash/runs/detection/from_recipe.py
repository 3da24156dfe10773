# SPDX-License-Identifier: Apache-2.0
"""Options of a run of an action detector that carries out a published training recipe."""

from dataclasses import replace
from typing import Any

from flash.configs.recipe import Recipe
from flash.runs.detection.config import DetectionConfig, published_clip
from flash.runs.from_recipe import shared_options
from flash.video.detection.backbones import detector_name
from pytorchvideo._checks import expected


def detector_options(
    recipe: Recipe, *, batch_size: int = DetectionConfig.batch_size, accumulate: int = 1
) -> dict[str, Any]:
    """Returns the fields of a :class:`DetectionConfig` that make a run carry out a recipe.

    Other values in the place of some of them count before the recipe's, as for
    :func:`flash.runs.from_recipe.run_options`; with ``crop``, the short side of whole pictures, those of training and
    their square change alike. ``detection.score_threshold`` is of detected people, which the boxes of a run are not.

    Args:
        recipe: the training.
        batch_size: clips in a batch of the run.
        accumulate: batches of which a step is made.

    Raises:
        ValueError: it is of whole clips, or something of it cannot be carried out.

    >>> from flash.configs.files import load_recipe
    >>> options = detector_options(load_recipe("ava_slow_4x16_r50"), batch_size=16)
    >>> options["model"], options["lr"], options["epochs"], options["crop"]
    ('slow_r50_detection', 0.025, 20, 256)
    """
    if recipe.detection is None:
        raise ValueError(
            f"Expected a recipe that scores boxes with --task detection, but that of {recipe.model} is of whole clips, "
            "as `train --config` carries it out without --task."
        )
    clip = published_clip(recipe.model)
    _check(recipe)
    side = recipe.detection.test_side
    if clip.crop_size is not None and side != recipe.data.crop:
        wanted = f"data.crop ({recipe.data.crop}), since {recipe.model} takes pictures of one size"
        raise ValueError(expected("detection.test_side", wanted, side))
    detector_arguments(
        recipe, recipe.model
    )  # what cannot be built is said before the data is looked at
    return shared_options(recipe, clip, batch_size * accumulate) | {
        "crop": side,
        "exclusive": recipe.loss != "binary_cross_entropy",
    }


def detector_arguments(recipe: Recipe, model: str) -> dict[str, Any]:
    """Returns the arguments of the builder of a model for boxes that a recipe says: of dropout and RoIAlign.

    Args:
        recipe: the training.
        model: a model for boxes, or its trunk.

    Raises:
        ValueError: the model has no such option.
    """
    # PyTorch takes seconds to be imported
    from flash.configs.build import network_arguments

    arguments = network_arguments(replace(recipe, model=detector_name(model)))
    if recipe.detection is not None:
        arguments["head_aligned"] = recipe.detection.roi_aligned
    return arguments


def _check(recipe: Recipe) -> None:
    """Raises a ValueError for what clips with boxes cannot go through."""
    data, augment = recipe.data, recipe.augment
    for name, cannot in (
        ("data.inverse_uniform", data.inverse_uniform),
        ("data.area", data.area is not None),
        ("data.whole_video", data.whole_video),
        ("data.channels bgr", data.channels != "rgb"),
        ("augment.repeats", augment.repeats != 1),
        ("augment.rand_augment", augment.rand_augment is not None),
        ("augment.mixup", augment.mixup > 0),
        ("augment.cutmix", augment.cutmix > 0),
        ("augment.label_smoothing", augment.label_smoothing > 0),
        ("augment.erasing", augment.erasing > 0),
        ("multigrid", recipe.multigrid is not None),
    ):
        if cannot:
            raise ValueError(
                f"Expected a recipe without {name} with --task detection: clips with boxes are scaled, cut out and "
                "mirrored, and nothing else."
            )
