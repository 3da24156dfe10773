# SPDX-License-Identifier: Apache-2.0
"""Training of a run: labelled videos to a folder with model, predictions and report; resumable.

::

    RUN/
      config.json             what was asked for
      split.json              which videos train, which are held out, which cannot be read
      checkpoints/last.ckpt   after every epoch
      features/               cached features of the strategy "probe"
      history.json            a row an epoch
      model.pt                the classifier, for VideoPredictor.from_file
      predictions.json        a score for every class of every held-out video
      skipped.json            videos that could not be read, with the reason
      report.html, .json      with a judgement

Each file is written under another name and then renamed: it is complete, or it is not there. Paths in them are
absolute: a run goes on from any working directory. One process at a time works in the folder.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from flash.runs.config import RunConfig
from flash.runs.environment import environment
from flash.runs.facts import run_evidence, run_facts
from flash.runs.fit import fit
from flash.runs.fit_head import train_probe
from flash.runs.folder import MAY_CHANGE, RunFolder, resumed
from flash.runs.moved import check_in_place, moved_to, with_absolute_paths
from flash.runs.progress import progress_bar, showing
from flash.runs.report import Report, write_report
from flash.runs.sources import Sources, read_sources
from flash.video.classification.model import VideoClassifier
from pytorchvideo._files import remove_unfinished, write_json
from pytorchvideo._locks import alone_in
from pytorchvideo.evaluation.scores import ClipResult, accuracy
from pytorchvideo.evaluation.videos import Skipped, evaluate_videos, write_predictions


@dataclass(frozen=True)
class RunSummary:
    """What came of a run.

    Args:
        folder: its files.
        labels: class names.
        results: a prediction for every held-out video that could be read.
        history: a row an epoch.
        skipped: ``(path, reason)`` of the videos that could not be read.
    """

    folder: RunFolder
    labels: Sequence[str]
    results: Sequence[ClipResult]
    history: Sequence[dict[str, float]]
    skipped: Sequence[Skipped]

    @property
    def accuracy(self) -> float:
        """Share of the held-out videos whose class was named first."""
        return accuracy(self.results)


def train(
    config: RunConfig, out: str | Path, *, resume: bool = False, console: Console
) -> RunSummary:
    """Trains, evaluates on the held-out videos, and writes the report.

    Args:
        config: what to do; where a run is resumed, which goes by its own, only what ``resumed`` of
            ``flash.runs.folder`` says counts.
        out: folder of the run.
        resume: go on with the run in ``out``, or start it if it had not begun.
        console: shows the progress.

    Raises:
        FileExistsError: ``out`` holds a run, and ``resume`` is False.
        BlockingIOError: another process works in ``out``.
        FileNotFoundError, ValueError, VideoError: for data or options that cannot be used.
    """
    folder = RunFolder(out)
    with alone_in(folder.path):
        remove_unfinished(folder.path)
        if resume and folder.config_file.is_file():
            before = folder.read_config()
            asked = {name: getattr(config, name) for name in MAY_CHANGE}
            config = resumed(folder, {k: v for k, v in asked.items() if v is not None})
            sources = _known_split(folder, before, config)
        else:
            folder.check_free()
            config = config.completed()
            sources = None
        return _train(config, sources or _split(config, console), folder, console)


def _train(config: RunConfig, sources: Sources, folder: RunFolder, console: Console) -> RunSummary:
    began = time.monotonic()
    # nothing is written before the data and the weights have turned out to be usable
    classifier = build_classifier(config, sources.labels, goes_on=folder.checkpoint.is_file())
    write_json(folder.split_file, sources.to_dict())
    write_json(folder.config_file, config.to_dict())  # last: what makes the folder one of a run
    if config.strategy == "probe":
        history, unread = train_probe(classifier.network, sources, config, folder.features, console)
    else:
        history, unread = fit(classifier, config, sources, folder.checkpoint, console)
    write_json(folder.history_file, history)
    classifier.save(folder.model)
    with showing(console, "held out") as bar:
        results, bad = evaluate_videos(
            classifier.predictor(), sources.val, clips=config.clips, progress=bar
        )
    skipped = list(dict(sources.skipped + unread + bad).items())
    summary = RunSummary(folder, sources.labels, results, history, skipped)
    write_predictions(folder.predictions, results)
    write_json(folder.skipped, [{"video": path, "reason": why} for path, why in skipped])
    write_run_report(summary, config, sources, seconds=time.monotonic() - began)
    return summary


def build_classifier(
    config: RunConfig, labels: Sequence[str], *, goes_on: bool = False
) -> VideoClassifier:
    """Builds the classifier of a run from its seed.

    Args:
        config: of the run.
        labels: class names.
        goes_on: whether a checkpoint has all weights, so that those to start from are not needed.

    Raises:
        ValueError: for weights that do not fit the model.
    """
    import pytorch_lightning as pl
    import torch

    pl.seed_everything(config.seed, workers=True, verbose=False)
    recipe = config.recipe()
    classifier = VideoClassifier(
        labels=list(labels),
        backbone=config.model,
        pretrained=config.pretrained and not goes_on,
        weights=None if goes_on else config.weights,
        recipe=recipe,
        optimizer=(config.optimizer, _optimizer_arguments(config)),
        learning_rate=config.lr,
        label_smoothing=config.label_smoothing,
        mix_video=config.mix,
        layer_decay=config.layer_decay,
    )
    # depthwise 3-D convolutions on a CPU are more than twice as fast in this layout
    return classifier.to(memory_format=torch.channels_last_3d)


def _optimizer_arguments(config: RunConfig) -> dict[str, Any]:
    momentum = {"momentum": 0.9, "nesterov": True} if config.optimizer == "SGD" else {}
    return {"weight_decay": config.weight_decay, **momentum}


def _known_split(folder: RunFolder, before: RunConfig, config: RunConfig) -> Sources | None:
    """The split of a run that goes on, at the places where its videos are now; None if it has none yet."""
    if not folder.split_file.is_file():
        return None
    sources = Sources.from_file(folder.split_file)
    if config.data == before.data:
        check_in_place(sources, before.data, folder.path)
        return sources
    return moved_to(sources, before.data, config.data)


def _split(config: RunConfig, console: Console) -> Sources:
    with progress_bar(console) as bar:
        task = bar.add_task("open files", total=None, note="")
        sources = read_sources(
            config.data,
            val_split=config.val_split,
            seed=config.seed,
            group_by=config.group_by,
            groups=config.groups,
            on_checked=lambda done, total: bar.update(task, completed=done, total=total),
        )
    return with_absolute_paths(sources)


def write_run_report(
    summary: RunSummary, config: RunConfig, sources: Sources, *, seconds: float
) -> Path:
    """Writes the report of a run that took so long into its folder; looking for leaks adds a tenth at most."""
    parts = {"freeze": "Trunk frozen", "probe": "Linear probe"}
    trained = parts.get(config.strategy or "", "Everything trained")
    start = config.weights or ("published weights" if config.pretrained else "random weights")
    recipe = config.recipe()
    settings = {**config.to_dict(), "seconds a clip": f"{recipe.clip_duration_sec:g}"}
    top5 = accuracy(summary.results, top=5)
    figures = {"top-5 accuracy": f"{top5:.1%}"} if len(summary.labels) > 5 else {}
    if summary.history:
        figures["epochs"] = str(len(summary.history))
    if summary.skipped:
        figures["videos skipped"] = str(len(summary.skipped))
    return write_report(
        Report(
            title=f"{config.model} on {Path(config.data).name}",
            subtitle=f"{trained}, starting from {start}.",
            labels=summary.labels,
            results=summary.results,
            history=summary.history,
            split=sources.how,
            skipped=summary.skipped,
            config=settings,
            environment=environment(),
            figures=figures,
            run=run_facts(config, summary.folder.path, seconds, datetime.now().astimezone()),
            evidence=run_evidence(
                config,
                sources,
                summary.results,
                summary.history,
                skipped=len(summary.skipped),
                out=summary.folder.path,
                seconds=seconds,
            ),
            sources=sources,
        ),
        summary.folder.report,
    )
