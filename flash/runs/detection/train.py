# SPDX-License-Identifier: Apache-2.0
"""Training of an action detector: boxes with actions to a folder with model, scores and figures; resumable.

::

    RUN/
      config.json             what was asked for, with "task": "detection"
      split.json              which videos train, which are held out
      checkpoints/last.ckpt   after every epoch, and best.ckpt with keep="best"
      history.json            a row an epoch
      model.pt                the detector, for ActionDetector.from_file
      detections.csv          scores of the held-out boxes, in the format of AVA's official evaluation
      evaluation.json         the frame-mAP, of all classes and of each
      skipped.json            videos that could not be read, with the reason

Each file is complete, or it is not there. One process at a time works in the folder.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from rich.console import Console

from flash.configs.build import decay_rules, optimizer_arguments
from flash.core.callbacks import PreciseBN
from flash.core.schedules import count_batches
from flash.runs.config import RunConfig
from flash.runs.detection.config import DetectionConfig
from flash.runs.detection.data import training_data
from flash.runs.detection.from_recipe import detector_arguments
from flash.runs.epoch_progress import EpochProgress
from flash.runs.expected_time import Work
from flash.runs.fit import (
    RunRecorder,
    best_epoch,
    clip_norm,
    describe_epoch,
    follow,
    quiet_lightning,
    run_trainer,
    schedule_of,
    seed_epoch,
)
from flash.runs.folder import RunFolder
from flash.runs.loggers import Done, check_logger, make_logger
from flash.runs.parts import Parts
from flash.video.detection.data import VideoActionDetectionData
from flash.video.detection.model import VideoActionDetector
from pytorchvideo._files import remove_unfinished, write_json
from pytorchvideo._locks import alone_in
from pytorchvideo._text import counted
from pytorchvideo.evaluation.detection import FrameMap, write_detections
from pytorchvideo.models._registry import model_entry

_LOSS = "cross_entropy"  # as it is logged by other runs
# what a run that goes on may have otherwise than when it began
_MAY_CHANGE = ("data", "val", "videos", "weights", "epochs", "workers", "device")


@dataclass(frozen=True)
class DetectionSummary:
    """What came of a run.

    Attributes:
        folder: its files.
        labels: class names.
        map: the frame-mAP on the held-out boxes.
        history: a row an epoch.
        skipped: ``(video, reason)`` of the videos that could not be read.
        kept_epoch: the epoch that the model is of, where it is the best one that was asked for.
    """

    folder: RunFolder
    labels: Sequence[str]
    map: FrameMap
    history: Sequence[dict[str, float]]
    skipped: Sequence[tuple[str, str]]
    kept_epoch: int | None = None


def train_detector(
    config: DetectionConfig,
    out: str | Path,
    *,
    resume: bool = False,
    console: Console,
    command: str | None = None,
) -> DetectionSummary:
    """Trains, and evaluates on the held-out boxes.

    Args:
        config: what to do; of a run that goes on only where its files are now, more epochs, workers and device count.
        out: folder of the run.
        resume: go on with the run in ``out``, or start it if it had not begun.
        console: shows the progress.
        command: that was typed for this.

    Raises:
        FileExistsError: ``out`` holds a run, and ``resume`` is False.
        BlockingIOError: another process works in ``out``.
        FileNotFoundError, ValueError, VideoError: for data or options that cannot be used.
    """
    folder = RunFolder(out)
    with alone_in(folder.path):
        remove_unfinished(folder.path)
        goes_on = resume and folder.config_file.is_file()
        parts = Parts(folder.parts_file, command, is_new=not goes_on)
        if goes_on:
            config = _resumed(DetectionConfig.from_file(folder.config_file), config)
            why = ""
        else:
            folder.check_free()
            config, why = _with_start(config)
            config = config.completed()
        check_logger(config)  # type: ignore[arg-type]
        data = training_data(config)
        task = build_detector_task(config, data, goes_on=folder.checkpoint.is_file())
        _say_plan(config, why, data, folder, console)
        write_json(folder.split_file, _split_of(data))
        write_json(folder.config_file, config.to_dict())
        with parts.kept():
            return _learn(config, task, data, folder, console, parts)


def _with_start(config: DetectionConfig) -> tuple[DetectionConfig, str]:
    """Decides whether a run starts from published weights, as :func:`flash.runs.start.choose_start` does."""
    from flash.runs.start import choose_start
    from flash.video.detection.backbones import detector_name

    if config.weights is not None or config.pretrained is not None:
        return replace(config, pretrained=bool(config.pretrained)), ""
    try:
        entry = model_entry(detector_name(config.model), "detection")
    except KeyError as error:
        raise ValueError(error.args[0]) from error
    trunk = RunConfig(config.data, model=str(entry.trunk), pretrained=None)
    found, why = choose_start(trunk)
    return replace(config, pretrained=found.pretrained), why


def _resumed(before: DetectionConfig, asked: DetectionConfig) -> DetectionConfig:
    given = {name: getattr(asked, name) for name in _MAY_CHANGE}
    changes = {
        name: value
        for name, value in given.items()
        if value not in (None, getattr(DetectionConfig, name, None))
    }
    epochs = changes.get("epochs")
    if epochs is not None and epochs < (before.epochs or 0):
        raise ValueError(
            f"The run was started with epochs={before.epochs}, but got {epochs}. More of them extend it; for fewer, "
            "choose another --out."
        )
    return replace(before, **changes)


def _say_plan(
    config: DetectionConfig,
    why: str,
    data: VideoActionDetectionData,
    folder: RunFolder,
    console: Console,
) -> None:
    """Prints what is about to be done, and from where it starts."""
    train, val = _dataset(data, "train"), _dataset(data, "val")
    start = "random weights" + (f" ({why})" if why else "")
    if config.weights is not None:
        start = f"the weights of {config.weights}"
    elif config.pretrained:
        start = "the published weights"
    if folder.checkpoint.is_file():
        start = str(folder.checkpoint)
    on = "a GPU" if config.on_gpu else "the CPU" if config.device == "auto" else config.device
    what = "all of it" if config.strategy == "no_freeze" else "head and BatchNorm"
    recipe = config.recipe()
    batches = math.ceil(len(train) / config.batch_size)
    steps = counted(math.ceil(batches / config.accumulate), "step")
    people = sum(len(frame.people) for frame in train.key_frames)
    console.print(
        f"{config.model} on {on}, {what}, from {start}\n"
        f"{counted(len(train), 'key frame')} with {counted(people, 'box')} to train on, {len(val)} held out; "
        f"{counted(len(data.labels or ()), 'class')}; clips of {counted(recipe.num_frames, 'frame')}, short "
        f"side {recipe.side_size} pixels; {steps} x {counted(config.epochs or 1, 'epoch')}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _dataset(data: VideoActionDetectionData, stage: str) -> Any:
    return getattr(data, f"{stage}_dataset")


def _split_of(data: VideoActionDetectionData) -> dict[str, Any]:
    """The videos of both parts, and the classes."""
    parts = {
        stage: list(dict.fromkeys(frame.video for frame in _dataset(data, stage).key_frames))
        for stage in ("train", "val")
    }
    return {"labels": data.labels, **parts}


def build_detector_task(
    config: DetectionConfig, data: VideoActionDetectionData, *, goes_on: bool = False
) -> VideoActionDetector:
    """Builds the detector of a run from its seed.

    Args:
        config: of the run, complete.
        data: of the run.
        goes_on: whether a checkpoint has all weights, so that those to start from are not needed.

    Raises:
        ValueError: for weights that do not fit the model.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    training, run = config.training_recipe, cast(RunConfig, config)  # whose fields it has
    loss: Any = F.cross_entropy if config.exclusive else F.binary_cross_entropy_with_logits
    task = VideoActionDetector(
        labels=data.labels,
        backbone=config.model,
        backbone_kwargs=_network_arguments(config),
        pretrained=bool(config.pretrained) and not goes_on,
        weights=None if goes_on else config.weights,
        loss_fn={_LOSS: loss},
        recipe=config.recipe(),
        optimizer=(
            config.optimizer,
            optimizer_arguments(training, config.optimizer, config.weight_decay),
        ),
        learning_rate=config.lr,
        layer_decay=config.layer_decay,
        decay_rules=None if training is None else decay_rules(training),
        multi_label=not config.exclusive,
        threshold=config.threshold,
    )
    batches = count_batches(len(_dataset(data, "train")), config.batch_size, config.workers or 0)
    follow(task, schedule_of(run, math.ceil(batches / config.accumulate)))
    for parameter in task.parameters():
        if parameter.ndim == 5:
            # depthwise 3-D convolutions on a CPU are more than twice as fast in this layout
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return task


def _network_arguments(config: DetectionConfig) -> dict[str, Any]:
    """The arguments of the builder: those of the recipe, and before them those that were asked for."""
    training = config.training_recipe
    of_recipe = {} if training is None else detector_arguments(training, config.model)
    return of_recipe | config.model_kwargs


def _learn(
    config: DetectionConfig,
    task: VideoActionDetector,
    data: VideoActionDetectionData,
    folder: RunFolder,
    console: Console,
    parts: Parts,
) -> DetectionSummary:
    history = _fit(config, task, data, folder, console, parts)
    write_json(folder.history_file, history)
    kept = best_epoch(history) if config.keep == "best" else None
    with quiet_lightning():
        run_trainer(config, folder, logger=False).validate(task, datamodule=data, verbose=False)  # type: ignore[arg-type]
    task.cpu().save(folder.model)
    found = task.last_map
    if found is None:
        raise RuntimeError("The validation has found no frame-mAP.")
    write_detections(folder.path / "detections.csv", task.found.rows(0.001))
    labels = list(data.labels or ())
    write_json(folder.path / "evaluation.json", figures(found, labels))
    skipped = [(str(clip.path), str(clip.reason)) for clip in data.skipped]
    write_json(folder.skipped, [{"video": path, "reason": why} for path, why in skipped])
    return DetectionSummary(folder, labels, found, history, skipped, kept)


def _fit(
    config: DetectionConfig,
    task: VideoActionDetector,
    data: VideoActionDetectionData,
    folder: RunFolder,
    console: Console,
    parts: Parts,
) -> list[dict[str, float]]:
    """Trains, from the checkpoint if there is one; returns a row an epoch."""
    run: Any = config
    epochs = config.epochs or 1
    batches = count_batches(len(_dataset(data, "train")), config.batch_size, config.workers or 0)
    held_out = len(_dataset(data, "val")) / config.batch_size
    work = Work([batches] * epochs, held_out, config.precise_bn, predicted=held_out)
    progress = EpochProgress(console, work, describe_epoch)
    recorder = RunRecorder(folder, config.seed, progress, config.keep == "best", parts.keep)
    done = Done()
    if folder.checkpoint.is_file():
        state = torch.load(folder.checkpoint, map_location="cpu", weights_only=True)
        done = Done.of_checkpoint(state)
        recorder.load_state_dict(state["callbacks"][recorder.state_key])
        del state
    if recorder.ended_early >= epochs:  # there is nothing to do but to load it
        epochs = done.epochs
    seed_epoch(config.seed, done.epochs)
    callbacks: list[pl.Callback] = [recorder, progress]
    if config.precise_bn:
        callbacks.insert(0, PreciseBN(config.precise_bn, inputs=_inputs))
    stopping = None
    if config.early_stopping is not None:
        stopping = {"monitor": f"val_{_LOSS}", "patience": config.early_stopping}
        stopping["check_on_train_epoch_end"] = False
    with quiet_lightning():
        trainer = run_trainer(
            run,
            folder,
            max_epochs=epochs,
            logger=make_logger(run, folder, done) or False,
            log_every_n_steps=min(50, max(1, batches)),
            ema=config.ema,
            gradient_clip_val=clip_norm(run),
            early_stopping=stopping,
            callbacks=callbacks,
        )
        trainer.finetune(
            task,
            datamodule=data,
            strategy=config.strategy,
            ckpt_path=str(folder.checkpoint) if done.epochs else None,
        )
    if config.keep == "best" and folder.best_checkpoint.is_file():
        state = torch.load(folder.best_checkpoint, map_location="cpu", weights_only=True)
        task.load_state_dict(state["state_dict"])
    return recorder.history


def _inputs(batch: Any) -> Any:
    """What of a batch the network takes, for the statistics of BatchNorm."""
    return {"video": batch["video"], "boxes": batch["boxes"]}


def figures(found: FrameMap, labels: Sequence[str]) -> dict[str, Any]:
    """Returns a frame-mAP by the names of the classes, for json; None for classes without ground truth.

    >>> figures(FrameMap(0.5, {1: 0.5, 2: float("nan")}, {1: 4, 2: 0}), ["run", "walk"])["per_class"]
    {'run': 0.5, 'walk': None}
    """
    names = dict(zip(found.per_class, labels, strict=True))
    return {
        "map": None if math.isnan(found.mean) else found.mean,
        "convention": found.convention,
        "per_class": {
            names[number]: None if math.isnan(value) else value
            for number, value in found.per_class.items()
        },
        "boxes": {names[number]: count for number, count in found.num_boxes.items()},
    }
