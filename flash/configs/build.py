# SPDX-License-Identifier: Apache-2.0
"""Arguments of the network, optimiser, learning rates and mixed batches of a training recipe."""

import math
from dataclasses import replace
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from flash.configs.recipe import Recipe
from flash.core.layer_decay import parameter_layers
from flash.core.multigrid import multigrid_schedule
from flash.core.multigrid_training import MultigridPlan
from flash.core.published_rates import batch_scale
from flash.core.schedules import published_cosine_schedule, published_steps_schedule
from flash.core.weight_decay import weight_decay_groups
from pytorchvideo._checks import expected
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.transforms import MixVideo
from pytorchvideo.transforms.clip_recipe import ClipRecipe

# of 239 epochs, SlowFast with multigrid (facebookresearch/SlowFast, configs/Kinetics)
_PUBLISHED_STEPS = (0, 94 / 239, 154 / 239, 196 / 239)
_DROPOUTS = ("dropout_rate", "head_dropout_rate")
_DROP_PATH = "droppath_rate_block"


def build_optimizer(
    recipe: Recipe, network: nn.Module, *, batch_size: int, ranks: int = 1
) -> Optimizer:
    """Returns the optimiser of a recipe on the parameters of a network that train.

    Args:
        recipe: the training.
        network: with its classifier.
        batch_size: clips of a process in a step, with accumulated ones, before any is repeated.
        ranks: processes; the learning rate grows with the batch of all.

    >>> from flash.configs.files import load_recipe
    >>> net = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4))
    >>> optimizer = build_optimizer(load_recipe("slow_8x8_r50"), net, batch_size=8, ranks=64)
    >>> [(group["lr"], group["weight_decay"]) for group in optimizer.param_groups]
    [(0.8, 0.0001), (0.8, 0.0)]
    """
    options = recipe.optimizer
    lr = options.lr * batch_scale(batch_size, ranks, options.reference_batch)
    groups = weight_decay_groups(
        network,
        options.weight_decay,
        batch_norm_decay=options.batch_norm_decay,
        zero_1d=options.zero_1d,
        exempt=options.no_decay,
    )
    if recipe.regularize.layer_decay < 1:
        groups = _by_layers(groups, network, lr, recipe.regularize.layer_decay)
    if options.name == "adamw":
        return torch.optim.AdamW(groups, lr=lr, betas=options.betas)
    return torch.optim.SGD(groups, lr=lr, momentum=options.momentum, nesterov=options.nesterov)


def _by_layers(
    groups: list[dict[str, object]], network: nn.Module, lr: float, decay: float
) -> list[dict[str, object]]:
    """Splits groups by the layers of their parameters, whose learning rates fall towards the pixels."""
    layers = parameter_layers(network)
    last = max(layers.values(), default=0)
    split: dict[tuple[object, int], list[nn.Parameter]] = {}
    for group in groups:
        parameters: list[nn.Parameter] = group["params"]  # type: ignore[assignment]
        for parameter in parameters:
            split.setdefault((group["weight_decay"], layers[parameter]), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay, "lr": lr * decay ** (last - layer)}
        for (weight_decay, layer), parameters in split.items()
    ]


def build_schedule(recipe: Recipe, optimizer: Optimizer, steps_per_epoch: int) -> LambdaLR:
    """Returns the schedule of a recipe, which takes a step with each of the optimiser.

    Its first and its last rate grow with the batch as the optimiser's does.

    Args:
        recipe: the training.
        optimizer: see :func:`build_optimizer`.
        steps_per_epoch: of the optimiser.

    Raises:
        ValueError: no step.
    """
    if steps_per_epoch < 1:
        raise ValueError(expected("steps_per_epoch", ">= 1", steps_per_epoch))
    schedule = recipe.schedule
    scale = optimizer.defaults["lr"] / recipe.optimizer.lr
    steps = schedule.epochs * steps_per_epoch
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    start = schedule.warmup_start_lr * scale
    if schedule.policy == "steps":
        shares = [step / schedule.epochs for step in schedule.steps]
        return published_steps_schedule(
            optimizer, warmup, steps, shares, schedule.factors, warmup_start_lr=start
        )
    return published_cosine_schedule(
        optimizer,
        warmup,
        steps,
        warmup_start_lr=start,
        lr_end=schedule.end_lr * scale,
        cosine_after_warmup=schedule.cosine_after_warmup,
    )


def decay_rules(recipe: Recipe) -> dict[str, Any]:
    """Returns the recipe's keywords of :func:`flash.core.weight_decay.weight_decay_exceptions`."""
    options = recipe.optimizer
    return {
        "batch_norm_decay": options.batch_norm_decay,
        "zero_1d": options.zero_1d,
        "exempt": list(options.no_decay),
    }


def optimizer_arguments(
    recipe: Recipe | None, name: str, weight_decay: float | None
) -> dict[str, Any]:
    """Returns the arguments of a run's optimiser but for its rate: those of its recipe, or without one the usual.

    Args:
        recipe: of the run.
        name: ``"AdamW"`` or ``"SGD"``.
        weight_decay: of the run, which counts before the recipe's.
    """
    published = None if recipe is None else recipe.optimizer
    arguments: dict[str, Any] = {"weight_decay": weight_decay}
    if name == "SGD":
        momentum = 0.9 if published is None else published.momentum
        arguments |= {"momentum": momentum, "nesterov": published is None or published.nesterov}
    elif published is not None:
        arguments["betas"] = published.betas
    return arguments


def network_arguments(recipe: Recipe) -> dict[str, Any]:
    """Returns the arguments of the builder of the recipe's model that its dropout and drop path need.

    Raises:
        ValueError: the model has no such option.

    >>> from flash.configs.files import load_recipe
    >>> network_arguments(load_recipe("mvit_b_16x4")), network_arguments(load_recipe("x3d_s"))
    ({'droppath_rate_block': 0.2}, {})
    """
    wanted, regularize, known = {}, recipe.regularize, {}
    if not recipe.model.startswith(HUGGING_FACE):
        entry = model_entry(recipe.model)
        defaults = signature(entry.builder).parameters
        known = {name: parameter.default for name, parameter in defaults.items()}
        known |= dict(entry.config)
    names = [name for name in _DROPOUTS if name in known]
    for key, value, name in (
        ("dropout", regularize.dropout, names[0] if names else ""),
        ("drop_path", regularize.drop_path, _DROP_PATH),
    ):
        if name in known and known[name] != value:
            wanted[name] = value
        elif name not in known and value:
            advice = f"{recipe.model} has no such option."
            raise ValueError(expected(f"regularize.{key}", "0", value, advice))
    return wanted


def build_mix(recipe: Recipe, num_classes: int) -> MixVideo | None:
    """Returns the mix of batches of a recipe, on soft labels (B, num_classes); None without one.

    >>> from flash.configs.files import load_recipe
    >>> build_mix(load_recipe("mvit_b_16x4"), 400)
    MixVideo(
      cutmix_prob=0.5, mix_prob=1.0
      (mixup): MixUp(alpha=0.8, label_smoothing=0.0, num_classes=400, one_hot=True)
      (cutmix): CutMix(alpha=1.0, label_smoothing=0.0, num_classes=400, one_hot=True)
    )
    """
    augment = recipe.augment
    if not augment.mixup and not augment.cutmix:
        return None
    share = augment.cutmix_share
    if not augment.mixup or not augment.cutmix:
        share = 1.0 if augment.cutmix else 0.0
    return MixVideo(
        share,
        augment.mixup or 1.0,
        augment.cutmix or 1.0,
        num_classes=num_classes,
        one_hot=True,
        mix_prob=augment.mix_probability,
    )


def stretched(recipe: Recipe, epochs: int) -> Recipe:
    """Returns a recipe with another number of epochs, whose warm-up and steps keep their shares of the training.

    >>> from flash.configs.files import load_recipe
    >>> stretched(load_recipe("slow_8x8_r50"), 98).schedule.warmup_epochs
    17.0
    """
    schedule = recipe.schedule
    share = epochs / schedule.epochs
    return replace(
        recipe,
        schedule=replace(
            schedule,
            epochs=epochs,
            warmup_epochs=schedule.warmup_epochs * share,
            steps=tuple(step * share for step in schedule.steps),
        ),
    )


def multigrid_plan(recipe: Recipe, clip: ClipRecipe, epochs: int) -> MultigridPlan | None:
    """Returns the multigrid training of a recipe; None of one without.

    The steps of the learning rate are those of its schedule. With a cosine they are ``multigrid.steps``, or
    those that were published with multigrid: at 94, 154 and 196 of 239 epochs.

    Args:
        recipe: the training.
        clip: whole clips.
        epochs: of the run; the recipe's are ``schedule.epochs`` times ``multigrid.epoch_factor``.

    Raises:
        ValueError: steps that multigrid does not know.
    """
    grid, schedule = recipe.multigrid, recipe.schedule
    if grid is None:
        return None
    steps = [round(step) for step in schedule.steps] or list(grid.steps)
    steps = steps or [round(share * schedule.epochs) for share in _PUBLISHED_STEPS]
    steps = [step for step in steps if step < schedule.epochs]
    for number, factor in enumerate(schedule.factors[: len(steps)]):
        if not math.isclose(factor, grid.gamma**number):
            wanted = f"powers of multigrid.gamma ({grid.gamma:g})"
            raise ValueError(expected("schedule.factors", wanted, schedule.factors))
    plan = multigrid_schedule(
        steps,
        schedule.epochs,
        num_frames=clip.num_frames,
        crop_size=clip.crop_size or clip.side_size,
        epoch_factor=epochs / schedule.epochs,
        gamma=grid.gamma,
        long_cycle=grid.long_cycle,
    )
    usual = schedule.epochs * grid.epoch_factor
    return MultigridPlan(
        plan,
        short_cycle=grid.short_cycle,
        base_clips=grid.base_clips,
        warmup_epochs=schedule.warmup_epochs * epochs / usual,
        warmup_start=schedule.warmup_start_lr / recipe.optimizer.lr,
    )
