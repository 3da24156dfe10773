# SPDX-License-Identifier: Apache-2.0
"""Training of a run's classifier: batches, learning rate, a checkpoint after every epoch."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from rich.console import Console
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import WeightedRandomSampler

from flash.configs.build import build_schedule, multigrid_plan, stretched
from flash.configs.clips import training_transform
from flash.configs.recipe import Recipe
from flash.core.callbacks import PreciseBN
from flash.core.model import Task
from flash.core.multigrid_training import Multigrid, MultigridPlan
from flash.core.schedules import count_batches
from flash.core.trainer import Trainer
from flash.runs.config import RunConfig
from flash.runs.epoch_progress import EpochProgress
from flash.runs.expected_time import EXPLAINED, Work
from flash.runs.folder import RunFolder
from flash.runs.loggers import Done, make_logger
from flash.runs.sources import Sources
from flash.video.classification.data import VideoClassificationData
from flash.video.classification.model import VideoClassifier
from flash.video.sources.multigrid import MultigridFiles
from pytorchvideo.evaluation.videos import Skipped
from pytorchvideo.transforms.clip_recipe import ClipRecipe

_WARMUP = 0.15  # share of the steps
_SHOWN = 18  # clips in a report, about
_METRICS = {
    "train_loss": "train_cross_entropy_epoch",
    "train_accuracy": "train_accuracy_epoch",
    "train_map": "train_map_epoch",
    "val_loss": "val_cross_entropy",
    "val_accuracy": "val_accuracy",
    "val_map": "val_map",
}


def warmup_cosine(step: int, *, steps: int, warmup: int) -> float:
    """The learning rate over a run, as a share of its highest: a linear rise, then half a cosine.

    Args:
        step: that is to be taken, from 0.
        steps: optimiser steps of the whole run.
        warmup: steps of the rise.

    >>> [round(warmup_cosine(step, steps=10, warmup=2), 2) for step in (0, 1, 2, 6, 10)]
    [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    return 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class RunRecorder(pl.Callback):
    """Keeps the history and writes the checkpoint of every epoch, and that of the best one.

    The random state of an epoch depends on the seed and its number alone: a resumed run draws what the
    uninterrupted one would have drawn.

    Args:
        folder: of the run.
        seed: of the run.
        progress: whose meter is part of the history.
        keeps_best: whether to write the checkpoint of the best epoch.
        on_kept: is called after each checkpoint.

    Attributes:
        ended_early: the epochs that the run was to have when it stopped early; 0 if it did not.
    """

    def __init__(
        self,
        folder: RunFolder,
        seed: int,
        progress: EpochProgress,
        keeps_best: bool = False,
        on_kept: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder, self.seed, self.progress, self.keeps_best = folder, seed, progress, keeps_best
        self._on_kept = on_kept
        self.history = progress.history
        self.ended_early = 0

    def state_dict(self) -> dict[str, Any]:
        return {"history": list(self.history), "ended_early": self.ended_early}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history[:] = state_dict["history"]
        self.ended_early = state_dict.get("ended_early", 0)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # a checkpoint has the rate of the schedule that it was written with, and a run that is extended another one
        for scheduler in (config.scheduler for config in trainer.lr_scheduler_configs):
            if isinstance(scheduler, LambdaLR):
                groups = scheduler.optimizer.param_groups
                rates = zip(groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True)
                for group, base, share in rates:
                    group["lr"] = base * share(scheduler.last_epoch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        row = {"epoch": float(trainer.current_epoch + 1)}
        for name, logged in _METRICS.items():
            if logged in trainer.callback_metrics:
                row[name] = float(trainer.callback_metrics[logged])
        meter = self.progress.meter
        row["clips_per_second"], row["waiting"] = meter.clips_per_second, meter.waiting
        self.history.append(row)
        self.ended_early = (trainer.max_epochs or 0) if trainer.should_stop else 0
        # before saving: a checkpoint holds the state that the next epoch starts from
        seed_epoch(self.seed, trainer.current_epoch + 1)
        # the best one first: the last one, from which a killed run goes on, knows of it
        if self.keeps_best and best_epoch(self.history) == row["epoch"]:
            trainer.save_checkpoint(self.folder.best_checkpoint)
        trainer.save_checkpoint(self.folder.checkpoint)
        self._on_kept()


def best_epoch(history: list[dict[str, float]]) -> int | None:
    """Returns the epoch that is best on the held-out videos, of several that with the lowest loss there.

    It is that with the highest accuracy, or mean average precision.

    >>> best_epoch([{"epoch": 1, "val_accuracy": 0.5}, {"epoch": 2, "val_accuracy": 0.5}])
    1
    """
    known = [
        (row[name], -row.get("val_loss", 0.0), row)
        for row in history
        for name in ("val_accuracy", "val_map")
        if name in row and not math.isnan(row[name])
    ]
    if not known:
        return None
    best = max(known, key=lambda entry: entry[:2])[2]
    return int(best["epoch"])


def seed_epoch(seed: int, epoch: int) -> None:
    """Seeds Python, NumPy and PyTorch for an epoch."""
    pl.seed_everything((seed * 100_003 + epoch) % 2**32, workers=True, verbose=False)


def fit(
    classifier: VideoClassifier,
    config: RunConfig,
    sources: Sources,
    folder: RunFolder,
    console: Console,
    *,
    on_kept: Callable[[], None] = lambda: None,
) -> tuple[list[dict[str, float]], list[Skipped]]:
    """Trains a classifier, from its checkpoint if there is one.

    Args:
        classifier: gets the trained weights: those of the last epoch, or of the best one.
        config: complete.
        sources: the videos.
        folder: of the run; its checkpoint is written after every epoch.
        console: shows the progress.
        on_kept: is called after each checkpoint.

    Returns:
        A row an epoch, and ``(path, reason)`` of the videos that could not be read on the way.
    """
    epochs = config.epochs or 1
    data = training_data(config, sources)
    batches = _batches(config, sources, data)
    if _multigrid(config) is None:
        follow(classifier, schedule_of(config, math.ceil(batches(0) / config.accumulate)))
    progress = EpochProgress(console, _work(config, sources, batches), describe_epoch)
    recorder = RunRecorder(folder, config.seed, progress, config.keep == "best", on_kept)
    done = Done()
    if folder.checkpoint.is_file():
        state = torch.load(folder.checkpoint, map_location="cpu", weights_only=True)
        done = Done.of_checkpoint(state)
        recorder.load_state_dict(state["callbacks"][recorder.state_key])
        del state
    if recorder.ended_early >= epochs:  # there is nothing to do but to load it
        epochs = done.epochs
    seed_epoch(config.seed, done.epochs)
    callbacks = [*_of_batch_norm(config), recorder, progress]
    with quiet_lightning():
        trainer = run_trainer(
            config,
            folder,
            max_epochs=epochs,
            logger=make_logger(config, folder, done) or False,
            log_every_n_steps=min(50, max(1, batches(0))),
            ema=config.ema,
            gradient_clip_val=clip_norm(config),
            early_stopping=_stopping(config),
            callbacks=callbacks,
        )
        trainer.finetune(
            classifier,
            datamodule=data,
            strategy=config.strategy or "no_freeze",
            ckpt_path=str(folder.checkpoint) if done.epochs else None,
        )
    if config.keep == "best" and folder.best_checkpoint.is_file():
        state = torch.load(folder.best_checkpoint, map_location="cpu", weights_only=True)
        classifier.load_state_dict(state["state_dict"])
    skipped = [(clip.path, clip.reason) for clip in data.skipped]
    return recorder.history, skipped


def _multigrid(config: RunConfig) -> MultigridPlan | None:
    """The plan of a run whose recipe is one of multigrid."""
    recipe = config.training_recipe
    return None if recipe is None else multigrid_plan(recipe, config.recipe(), config.epochs or 1)


def _of_batch_norm(config: RunConfig) -> list[pl.Callback]:
    """The callbacks of multigrid, and of precise BN, which looks at whole clips alone."""
    grid = None if _multigrid(config) is None else Multigrid()
    inputs = None if grid is None else grid.whole_clips
    found: list[pl.Callback] = [] if grid is None else [grid]
    return [PreciseBN(config.precise_bn, inputs=inputs), *found] if config.precise_bn else found


def _batches(
    config: RunConfig, sources: Sources, data: VideoClassificationData
) -> Callable[[int], int]:
    """How many batches each epoch has."""
    workers, plan, videos = config.workers or 0, _multigrid(config), data.train_dataset
    count = count_batches(len(sources.train), config.batch_size, workers)
    if plan is None or not isinstance(videos, MultigridFiles):
        return lambda epoch: count
    return lambda epoch: videos.count_batches(workers, epoch)


def _work(config: RunConfig, sources: Sources, batches: Callable[[int], int]) -> Work:
    held_out = len(sources.val) / config.batch_size
    return Work(
        train=[batches(epoch) for epoch in range(config.epochs or 1)],
        validation=held_out,
        statistics=config.precise_bn,
        predicted=held_out * config.clips,
        explained=min(len(sources.val), EXPLAINED) / config.batch_size,
        looked_at=(len(sources.val) + len(sources.train) + _SHOWN) / config.batch_size,
    )


def schedule_of(config: RunConfig, steps_per_epoch: int) -> Callable[[Optimizer], LambdaLR]:
    """Returns what makes the schedule of a run for its optimiser: the recipe's, or a rise and half a cosine.

    Checkpoints hold none of its numbers: a run with more epochs than before follows the schedule of all.
    """
    epochs, recipe = config.epochs or 1, config.training_recipe
    if recipe is not None:
        return partial(build_schedule, stretched(recipe, epochs), steps_per_epoch=steps_per_epoch)
    steps = steps_per_epoch * epochs
    rates = partial(warmup_cosine, steps=steps, warmup=max(1, round(_WARMUP * steps)))
    return partial(LambdaLR, lr_lambda=rates)


def clip_norm(config: RunConfig) -> float | None:
    """Returns the length to which a run's gradients are clipped; None for none."""
    recipe = config.training_recipe
    return None if recipe is None else recipe.regularize.clip_norm


def run_trainer(config: RunConfig, folder: RunFolder, **options: Any) -> Trainer:
    """Returns the trainer of a run on its device, which shows and writes nothing by itself."""
    kind, _, number = config.device.partition(":")
    return Trainer(
        default_root_dir=folder.checkpoint.parent,
        accelerator=kind,
        devices=[int(number)] if number else 1,
        precision=config.precision,
        accumulate_grad_batches=config.accumulate,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )


def _stopping(config: RunConfig) -> dict[str, Any] | None:
    if config.early_stopping is None:
        return None
    # by the loss: of a few held-out videos the accuracy stands still for epochs while the model goes on learning
    return {
        "monitor": _METRICS["val_loss"],
        "patience": config.early_stopping,
        "check_on_train_epoch_end": False,  # but before, so that the checkpoint knows of it
    }


def training_data(config: RunConfig, sources: Sources) -> VideoClassificationData:
    """Returns the datamodule of a run: random clips to train on, the middle of each held-out video."""
    recipe, plan, training = config.recipe(), _multigrid(config), config.training_recipe
    transform: dict[str, Any] = {}
    if training is None:
        flip = 0.5 if config.flip else 0.0
        of_recipe = recipe.transforms(train=True, key="video", horizontal_flip_prob=flip)
        transform["train_transform"] = of_recipe
    elif plan is None:
        transform["train_transform"] = training_transform(training, recipe, flip=config.flip)
    else:
        of_shape = partial(_shape_transform, training, recipe, config.flip)
        transform |= {"multigrid": plan, "multigrid_transform": of_shape}
    return VideoClassificationData.from_files(
        train_files=[path for path, _ in sources.train],
        train_targets=sources.targets(sources.train),
        val_files=[path for path, _ in sources.val],
        val_targets=sources.targets(sources.val),
        multi_label=sources.multi_label or None,
        recipe=recipe,
        **transform,
        batch_size=config.batch_size,
        num_workers=config.workers or 0,
        video_sampler=_balanced(sources) if config.balanced else None,
    )


def _shape_transform(
    training: Recipe, recipe: ClipRecipe, flip: bool, frames: int, crop: int
) -> Any:
    """The transform of samples of a shape of multigrid."""
    clip, whole = replace(recipe, num_frames=frames), recipe.crop_size
    return training_transform(training, clip, crop=crop, flip=flip, whole=whole)


def class_weights(sources: Sources) -> torch.Tensor:
    """Returns a weight a class, float32 (C,): the mean number of training videos of a class over that of this one.

    With several labels a video it is that of the videos that have the label, so that they count as much as those that
    do not.

    >>> class_weights(Sources(["a", "b"], [("1", "a"), ("2", "b"), ("3", "b"), ("4", "b")], []))
    tensor([2.0000, 0.6667])
    """
    counts = sources.counts(sources.train)
    if sources.multi_label:
        total = len(sources.train)
        each = [(total - counts[label]) / max(counts[label], 1) for label in sources.labels]
        # a label that all videos have would not count at all
        return torch.tensor(each).clamp_min(1 / total)
    mean = len(sources.train) / len(sources.labels)
    return torch.tensor([mean / max(counts[label], 1) for label in sources.labels])


def _balanced(sources: Sources) -> Any:
    """A sampler that draws as many videos as there are, of all classes alike often."""
    weights = class_weights(sources)
    each = [float(weights[sources.labels.index(label)]) for _, label in sources.train]
    return partial(WeightedRandomSampler, each, num_samples=len(each))


def describe_epoch(row: Mapping[str, float]) -> str:
    """Returns an epoch's figures in words.

    >>> describe_epoch({"train_loss": 0.5, "val_accuracy": 0.75})
    'loss 0.500  held out 75.0%'
    """
    said = []
    if "train_loss" in row:
        said.append(f"loss {row['train_loss']:.3f}")
    if "train_accuracy" in row:
        said.append(f"training {row['train_accuracy']:.1%}")
    if "val_accuracy" in row:
        said.append(f"held out {row['val_accuracy']:.1%}")
    if "val_map" in row:
        said.append(f"held out mAP {row['val_map']:.3f}")
    return "  ".join(said)


def follow(task: Task, schedule: Callable[[Optimizer], LambdaLR]) -> None:
    """Makes the task's optimiser follow a schedule, step by step."""
    from flash.core.optimizer_names import scheduler_factory

    task._scheduler_factory = scheduler_factory((schedule, {}, {"interval": "step"}))  # type: ignore[arg-type]


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keeps Lightning's remarks on devices, workers and logging intervals off the screen."""
    logger = logging.getLogger("pytorch_lightning")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PossibleUserWarning)
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            yield
    finally:
        logger.setLevel(level)
