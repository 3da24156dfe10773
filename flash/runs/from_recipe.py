# SPDX-License-Identifier: Apache-2.0
"""Options of a run from a published training recipe, and what of the recipe a run cannot honour."""

from collections.abc import Callable, Mapping
from inspect import signature
from typing import Any

from flash.configs.recipe import Recipe
from flash.core.published_rates import batch_scale
from flash.runs.config import RunConfig, published_recipe
from pytorchvideo.models._registry import model_entry
from pytorchvideo.transforms.clip_recipe import TRAIN_SIDE_RANGE, sized

#: Fields of a recipe that are about it.
ABOUT = ("source", "differences", "dataset", "published", "optimizer.reference_batch")
_OPTIMIZERS = {"sgd": "SGD", "adamw": "AdamW"}
_DROPOUTS = ("dropout_rate", "head_dropout_rate")
_WARMUP_NOTE = "a run rises over 15 % of its steps"
_DECAY_NOTE = "a run decays all parameters alike, by optimizer.weight_decay"

Test = Callable[[Recipe, Any], bool]


def _mixes(recipe: Recipe) -> bool:
    return recipe.augment.mixup > 0 or recipe.augment.cutmix > 0


def _sgd(recipe: Recipe) -> bool:
    return recipe.optimizer.name == "sgd"


#: By field: whether a run does what its value says, and what it does otherwise.
LEFT: dict[str, tuple[Test, str]] = {
    "data.short_side": (
        lambda r, v: tuple(v) == _run_sides(r),
        "a run draws the short side from 1 to 1.25 times that of the model's test",
    ),
    "data.inverse_uniform": (lambda r, v: not v, "a run draws the short side itself, all alike"),
    "data.area": (lambda r, v: v is None, "a run cuts out crops of one size"),
    "data.aspect": (lambda r, v: r.data.area is None, "a run cuts out squares"),
    "data.horizontal_flip": (
        lambda r, v: v in (0, 0.5),
        "a run mirrors half of the clips, or none",
    ),
    "data.channels": (
        lambda r, v: v == published_recipe(r.model).channels,
        "a run keeps the order of channels of the model",
    ),
    "data.whole_video": (lambda r, v: not v, "a run takes stretches of clip-duration seconds"),
    "augment.repeats": (lambda r, v: v == 1, "a run augments a clip once"),
    "augment.rand_augment": (lambda r, v: v is None, "a run scales, crops and mirrors only"),
    "augment.mixup": (lambda r, v: not _mixes(r) or v == 1, "--mix has an alpha of 1"),
    "augment.cutmix": (lambda r, v: not _mixes(r) or v == 1, "--mix has an alpha of 1"),
    "augment.mix_probability": (lambda r, v: not _mixes(r) or v == 1, "--mix mixes every batch"),
    "augment.cutmix_share": (lambda r, v: not _mixes(r) or v == 0.5, "--mix cuts half of them"),
    "augment.erasing": (lambda r, v: v == 0, "a run erases nothing"),
    "optimizer.batch_norm_decay": (lambda r, v: v == r.optimizer.weight_decay, _DECAY_NOTE),
    "optimizer.zero_1d": (lambda r, v: not v, _DECAY_NOTE),
    "optimizer.momentum": (lambda r, v: not _sgd(r) or v == 0.9, "a run's SGD has 0.9"),
    "optimizer.nesterov": (lambda r, v: not _sgd(r) or v, "a run's SGD has Nesterov's momentum"),
    "optimizer.betas": (lambda r, v: _sgd(r) or tuple(v) == (0.9, 0.999), "a run's are 0.9, 0.999"),
    "schedule.policy": (lambda r, v: v == "cosine", "a run's rate falls by a cosine"),
    "schedule.warmup_epochs": (lambda r, v: v == 0.15 * r.schedule.epochs, _WARMUP_NOTE),
    "schedule.warmup_start_lr": (lambda r, v: v == 0, _WARMUP_NOTE),
    "schedule.end_lr": (lambda r, v: v == 0, "a run's rate ends at 0"),
    "schedule.cosine_after_warmup": (
        lambda r, v: v or r.schedule.policy != "cosine",
        "the cosine of a run begins after the rise",
    ),
    "schedule.steps": (lambda r, v: not v, "a run's rate falls by a cosine"),
    "schedule.factors": (lambda r, v: not v, "a run's rate falls by a cosine"),
    "regularize.dropout": (lambda r, v: v == _dropout(r.model), "a run keeps that of the model"),
    "regularize.drop_path": (lambda r, v: v == 0, "a run drops no paths"),
    "regularize.clip_norm": (lambda r, v: v is None, "a run does not clip gradients"),
    "detection": (lambda r, v: v is None, "a run classifies whole clips"),
    "init": (lambda r, v: v is None, "give the weights by --weights, or --pretrained"),
}


def run_options(
    recipe: Recipe, *, batch_size: int = RunConfig.batch_size, accumulate: int = 1
) -> dict[str, Any]:
    """Returns the fields of a :class:`RunConfig` that a recipe says.

    Args:
        recipe: the training.
        batch_size: clips in a batch of the run.
        accumulate: batches of which a step is made. The learning rate is that of so many clips in a step, by
            :func:`flash.core.published_rates.batch_scale`.

    Raises:
        ValueError: its model does not classify clips.

    >>> from flash.configs.files import load_recipe
    >>> options = run_options(load_recipe("slowfast_8x8_r50"), batch_size=16)
    >>> options["model"], options["lr"], options["epochs"]
    ('slowfast_r50', 0.025, 196)
    """
    data, optimizer, regularize = recipe.data, recipe.optimizer, recipe.regularize
    rate = published_recipe(recipe.model).frames_per_second
    scale = batch_scale(batch_size * accumulate, 1, optimizer.reference_batch)
    return {
        "model": recipe.model,
        "pretrained": False,
        "strategy": "no_freeze",
        "frames": data.num_frames,
        "clip_duration": data.num_frames * data.sampling_rate / rate,
        "crop": data.crop,
        "flip": data.horizontal_flip > 0,
        "epochs": recipe.schedule.epochs,
        "optimizer": _OPTIMIZERS[optimizer.name],
        "lr": optimizer.lr * scale,
        "weight_decay": optimizer.weight_decay,
        "multi_label": recipe.loss == "binary_cross_entropy",
        "label_smoothing": recipe.augment.label_smoothing,
        "mix": _mixes(recipe),
        "layer_decay": regularize.layer_decay,
        "ema": regularize.ema,
        "precise_bn": regularize.precise_bn_batches,
    }


#: Fields of a recipe that :func:`run_options` takes.
TAKEN = (
    *("model", "loss", "data.num_frames", "data.sampling_rate", "data.crop", "schedule.epochs"),
    *("optimizer.name", "optimizer.lr", "optimizer.weight_decay", "augment.label_smoothing"),
    *("regularize.layer_decay", "regularize.ema", "regularize.precise_bn_batches"),
)


def not_honoured(recipe: Recipe, given: Mapping[str, Any] | None = None) -> list[str]:
    """Returns a sentence for each value of a recipe that a run does not do.

    Args:
        recipe: the training.
        given: options of the run that stand beside the recipe: weights to begin with.
    """
    started = bool(given) and any((given or {}).get(name) for name in ("weights", "pretrained"))
    sentences = []
    for name, (is_done, instead) in LEFT.items():
        value: Any = recipe
        for part in name.split("."):
            value = getattr(value, part)
        if not is_done(recipe, value) and not (name == "init" and started):
            shown = value if isinstance(value, (str, int, float, tuple, bool)) else "given"
            sentences.append(f"{name} is {shown}: {instead}.")
    return sentences


def _run_sides(recipe: Recipe) -> tuple[int, int]:
    """Between which short sides a run draws, in pixels."""
    clip = sized(published_recipe(recipe.model), recipe.data.num_frames, recipe.data.crop)
    return clip.side_size, round(clip.side_size * TRAIN_SIDE_RANGE)


def _dropout(model: str) -> float | None:
    """Before the classifier of a model; None where its builder does not say."""
    entry = model_entry(model)
    for name in _DROPOUTS:
        if name in entry.config:
            return float(entry.config[name])
        if name in signature(entry.builder).parameters:
            return float(signature(entry.builder).parameters[name].default)
    return None
