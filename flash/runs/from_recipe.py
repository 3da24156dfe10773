# SPDX-License-Identifier: Apache-2.0
"""Options of a run that carries out a published training recipe."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from inspect import signature
from typing import Any

from flash.configs.recipe import Recipe
from flash.core.published_rates import batch_scale
from flash.runs.config import RunConfig, published_recipe
from flash.runs.start import why_not_had
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.transforms.clip_recipe import ClipRecipe, sized

_OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}


def run_options(
    recipe: Recipe, *, batch_size: int = RunConfig.batch_size, accumulate: int = 1
) -> dict[str, Any]:
    """Returns the fields of a :class:`RunConfig` that make a run carry out a recipe.

    Other values in the place of some of them count before the recipe's: of ``epochs``, warm-up and steps keep their
    shares; with ``lr``, the first and the last rate change alike; with ``crop``, the short sides.

    Args:
        recipe: the training.
        batch_size: clips in a batch of the run, before any is repeated.
        accumulate: batches of which a step is made. The learning rate is that of so many clips in a step, by
            :func:`flash.core.published_rates.batch_scale`.

    Raises:
        ValueError: its model does not classify clips, or something of it cannot be carried out.

    >>> from flash.configs.files import load_recipe
    >>> options = run_options(load_recipe("slowfast_8x8_r50"), batch_size=16)
    >>> options["model"], options["lr"], options["epochs"]
    ('slowfast_r50', 0.025, 196)
    """
    # PyTorch takes seconds to be imported
    from flash.configs.build import network_arguments
    from flash.configs.clips import training_transform

    if recipe.detection is not None:
        raise ValueError(
            f"Expected a recipe of whole clips, but that of {recipe.model} scores boxes, which `train --config` takes "
            "with --task detection."
        )
    clip = published_recipe(recipe.model)
    # what cannot be carried out is said before the data is looked at
    network_arguments(recipe)
    training_transform(recipe, clip)
    _check_multigrid(recipe, clip)
    return shared_options(recipe, clip, batch_size * accumulate) | {
        "strategy": "no_freeze",
        "crop": recipe.data.crop,
        "multi_label": recipe.loss == "binary_cross_entropy",
        "label_smoothing": recipe.augment.label_smoothing,
        "mix": recipe.augment.mixup > 0 or recipe.augment.cutmix > 0,
    }


def shared_options(recipe: Recipe, clip: ClipRecipe, clips: int) -> dict[str, Any]:
    """Returns the fields that runs of classifiers and of detectors have in common.

    Args:
        recipe: the training.
        clip: of its model.
        clips: in a step of the run.
    """
    data, optimizer, regularize = recipe.data, recipe.optimizer, recipe.regularize
    return {
        "model": recipe.model,
        "frames": data.num_frames,
        "clip_duration": data.num_frames * data.sampling_rate / clip.frames_per_second,
        "flip": data.horizontal_flip > 0,
        "epochs": _epochs(recipe),
        "optimizer": _OPTIMIZERS[optimizer.name],
        "lr": optimizer.lr * batch_scale(clips, 1, optimizer.reference_batch),
        "weight_decay": optimizer.weight_decay,
        "layer_decay": regularize.layer_decay,
        "ema": regularize.ema,
        "precise_bn": regularize.precise_bn_batches,
        "training": json.loads(json.dumps(asdict(recipe))),  # as the file of a run has it
    }


def _epochs(recipe: Recipe) -> int:
    factor = 1.0 if recipe.multigrid is None else recipe.multigrid.epoch_factor
    return round(recipe.schedule.epochs * factor)


def _check_multigrid(recipe: Recipe, clip: ClipRecipe) -> None:
    """Raises a ValueError for a multigrid training that cannot be."""
    from flash.configs.build import multigrid_plan

    if recipe.multigrid is None:
        return
    multigrid_plan(recipe, sized(clip, recipe.data.num_frames, recipe.data.crop), _epochs(recipe))
    is_of_convolutions = not recipe.model.startswith(HUGGING_FACE)
    if is_of_convolutions:
        is_of_convolutions = (
            "temporal_size" not in signature(model_entry(recipe.model).builder).parameters
        )
    for name, cannot in (
        ("regularize.ema", recipe.regularize.ema is not None),
        ("data.whole_video", recipe.data.whole_video),
        (f"model ({recipe.model})", not is_of_convolutions),
    ):
        if cannot:
            raise ValueError(
                f"Expected a recipe without `multigrid`, which does not go together with its {name}: it is for "
                "networks of convolutions, and clips of a stretch of video, without a moving average."
            )


def start_options(recipe: Recipe, given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``weights`` and ``pretrained`` of a run: what the recipe begins with, unless that was said.

    Args:
        recipe: the training.
        given: those of the two that were asked for; ``pretrained=False`` asks for random weights.

    Raises:
        ValueError: the weights cannot be had.
    """
    if given.get("weights") or given.get("pretrained") is not None:
        return {}
    if recipe.init is None:
        return {"pretrained": False}
    published = model_entry(recipe.init).weights
    why = ""
    if not published.file.is_file():
        why = why_not_had(published.url, published.file, published.sha256)
    if why:
        raise ValueError(
            f"The recipe begins with the published weights of {recipe.init}, and {why}. Give --weights FILE, or "
            "--no-pretrained to begin with random ones."
        )
    return {"pretrained": False, "weights": str(published.file)}
