# SPDX-License-Identifier: Apache-2.0
"""Training of a run's classifier: batches, learning rate, a checkpoint after every epoch."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.warnings import PossibleUserWarning
from rich.console import Console

from flash.core.schedules import count_batches
from flash.core.trainer import Trainer
from flash.runs.config import RunConfig
from flash.runs.epoch_progress import EpochProgress
from flash.runs.sources import Sources
from flash.video.classification.data import VideoClassificationData
from flash.video.classification.model import VideoClassifier
from pytorchvideo.evaluation.videos import Skipped

_WARMUP = 0.15  # share of the steps
_METRICS = {
    "train_loss": "train_cross_entropy_epoch",
    "train_accuracy": "train_accuracy_epoch",
    "val_loss": "val_cross_entropy",
    "val_accuracy": "val_accuracy",
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
    """Keeps the history and writes the checkpoint of every epoch.

    The random state of an epoch depends on the seed and its number alone: a resumed run draws what the
    uninterrupted one would have drawn.

    Args:
        checkpoint: its file.
        seed: of the run.
        progress: whose meter is part of the history.
    """

    def __init__(self, checkpoint: Path, seed: int, progress: EpochProgress) -> None:
        self.checkpoint, self.seed, self.progress = checkpoint, seed, progress
        self.history = progress.history

    def state_dict(self) -> dict[str, Any]:
        return {"history": list(self.history)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.history[:] = state_dict["history"]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        row = {"epoch": float(trainer.current_epoch + 1)}
        for name, logged in _METRICS.items():
            if logged in trainer.callback_metrics:
                row[name] = float(trainer.callback_metrics[logged])
        meter = self.progress.meter
        row["clips_per_second"], row["waiting"] = meter.clips_per_second, meter.waiting
        self.history.append(row)
        # before saving: a checkpoint holds the state that the next epoch starts from
        seed_epoch(self.seed, trainer.current_epoch + 1)
        trainer.save_checkpoint(self.checkpoint)


def seed_epoch(seed: int, epoch: int) -> None:
    """Seeds Python, NumPy and PyTorch for an epoch."""
    pl.seed_everything((seed * 100_003 + epoch) % 2**32, workers=True, verbose=False)


def fit(
    classifier: VideoClassifier,
    config: RunConfig,
    sources: Sources,
    checkpoint: Path,
    console: Console,
) -> tuple[list[dict[str, float]], list[Skipped]]:
    """Trains a classifier, from its checkpoint if there is one.

    Args:
        classifier: gets the trained weights.
        config: complete.
        sources: the videos.
        checkpoint: written after every epoch.
        console: shows the progress.

    Returns:
        A row an epoch, and ``(path, reason)`` of the videos that could not be read on the way.
    """
    epochs = config.epochs or 1
    data = training_data(config, sources)
    batches = count_batches(len(sources.train), config.batch_size, config.workers or 0)
    steps = batches * epochs
    # a partial, which a checkpoint does not hold: a run with more epochs than before follows the schedule of all
    schedule = partial(warmup_cosine, steps=steps, warmup=max(1, round(_WARMUP * steps)))
    _follow(classifier, schedule)
    done = 0
    if checkpoint.is_file():
        done = int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1
    progress = EpochProgress(console, batches, describe_epoch)
    recorder = RunRecorder(checkpoint, config.seed, progress)
    seed_epoch(config.seed, done)
    with _quiet_lightning():
        trainer = Trainer(
            default_root_dir=checkpoint.parent,
            max_epochs=epochs,
            accelerator="auto",
            devices=1,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            ema=config.ema,
            callbacks=[recorder, progress],
        )
        trainer.finetune(
            classifier,
            datamodule=data,
            strategy=config.strategy or "no_freeze",
            ckpt_path=str(checkpoint) if done else None,
        )
    skipped = [(clip.path, clip.reason) for clip in data.skipped]
    return recorder.history, skipped


def training_data(config: RunConfig, sources: Sources) -> VideoClassificationData:
    """Returns the datamodule of a run: random clips to train on, the middle of each held-out video."""
    recipe = config.recipe()
    flip = 0.5 if config.flip else 0.0
    labels = sources.labels
    return VideoClassificationData.from_files(
        train_files=[path for path, _ in sources.train],
        train_targets=[labels.index(label) for _, label in sources.train],
        val_files=[path for path, _ in sources.val],
        val_targets=[labels.index(label) for _, label in sources.val],
        recipe=recipe,
        train_transform=recipe.transforms(train=True, key="video", horizontal_flip_prob=flip),
        batch_size=config.batch_size,
        num_workers=config.workers or 0,
    )


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
    return "  ".join(said)


def _follow(classifier: VideoClassifier, schedule: Callable[[int], float]) -> None:
    """Makes the classifier's optimiser follow a schedule, step by step."""
    from flash.core.optimizer_names import scheduler_factory

    classifier._scheduler_factory = scheduler_factory(
        ("LambdaLR", {"lr_lambda": schedule}, {"interval": "step"})
    )


@contextmanager
def _quiet_lightning() -> Iterator[None]:
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
