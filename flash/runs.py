# SPDX-License-Identifier: Apache-2.0
"""A run: from labelled videos to a folder with a model, its predictions and a report, whatever kills it on the way.

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
      report.html

Each file is written under another name and then renamed: it is complete, or it is not there. Paths in them are
absolute: a run goes on from any working directory. One process at a time works in the folder.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from flash.doctor import environment
from flash.evaluation import evaluate_videos, write_json, write_predictions
from flash.fitting import fit
from flash.moved import check_in_place, moved_to, with_absolute_paths
from flash.probe import train_probe
from flash.progress import progress_bar
from flash.report import Report, write_report
from flash.run_config import PATHS, RunConfig, absolute
from flash.scores import ClipResult, accuracy
from flash.sources import Skipped, Sources, read_sources
from flash.video.model import VideoClassifier
from pytorchvideo._files import remove_unfinished
from pytorchvideo._locks import alone_in


class RunFolder:
    """The files of a run.

    Args:
        path: its folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.split_file = self.path / "split.json"
        self.history_file = self.path / "history.json"
        self.checkpoint = self.path / "checkpoints" / "last.ckpt"
        self.features = self.path / "features"
        self.model = self.path / "model.pt"
        self.predictions = self.path / "predictions.json"
        self.skipped = self.path / "skipped.json"
        self.report = self.path / "report.html"

    def check_free(self) -> None:
        """Raises a FileExistsError if there is a run in the folder already."""
        if self.config_file.exists():
            raise FileExistsError(
                f"{self.path} holds a run already. Give --resume to go on with it, or another --out."
            )

    def read_config(self) -> RunConfig:
        """Returns the configuration of the run that is in the folder.

        Raises:
            FileNotFoundError: there is none.
            ValueError: the file is not that of a run.
        """
        if not self.config_file.is_file():
            raise FileNotFoundError(
                f"{self.path} holds no run: there is no {self.config_file.name} in it."
            )
        return RunConfig.from_file(self.config_file)

    def model_file(self) -> Path:
        """Returns the file of the trained model.

        Raises:
            FileNotFoundError: there is no run, or it is not finished.
        """
        if not self.model.is_file():
            self.read_config()
            raise FileNotFoundError(
                f"The run in {self.path} is not finished: there is no {self.model.name}. "
                "Finish it with train --resume."
            )
        return self.model


#: What a run that goes on may have otherwise than when it began.
_MAY_CHANGE = ("data", "weights", "epochs", "workers")


def resumed(folder: RunFolder, asked: Mapping[str, Any]) -> RunConfig:
    """Returns the configuration with which a run goes on.

    Args:
        folder: of the run.
        asked: fields of its configuration: ``data``, and ``weights`` that are gone, where these are now; more
            ``epochs``; any number of ``workers``; all others only as they are.

    Raises:
        ValueError: something else was asked for than when the run began.
    """
    before = folder.read_config()
    changes: dict[str, Any] = {}
    for name, value in asked.items():
        known, got = getattr(before, name), absolute(value) if name in PATHS and value else value
        if known == got:
            continue
        if not _may_change(name, known, got):
            advice = "Leave the option out to go on with it, or choose another --out."
            if name == "epochs":
                advice = "More of them extend it; for fewer, choose another --out."
            raise ValueError(
                f"The run in {folder.path} was started with {name.replace('_', '-')}={known}, but got {got}. {advice}"
            )
        changes[name] = got
    return replace(before, **changes)


def _may_change(name: str, known: Any, got: Any) -> bool:
    if name == "epochs":
        return known is None or got > known
    if name == "weights":  # of another machine
        return known is not None and not os.path.exists(known) and os.path.isfile(got)
    return name in _MAY_CHANGE


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
        config: what to do; where a run is resumed, which goes by its own, only what :func:`resumed` says counts.
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
            asked = {name: getattr(config, name) for name in _MAY_CHANGE}
            config = resumed(folder, {k: v for k, v in asked.items() if v is not None})
            sources = _known_split(folder, before, config)
        else:
            folder.check_free()
            config = config.completed()
            sources = None
        return _train(config, sources or _split(config, console), folder, console)


def _train(config: RunConfig, sources: Sources, folder: RunFolder, console: Console) -> RunSummary:
    # nothing is written before the data and the weights have turned out to be usable
    classifier = build_classifier(config, sources.labels, goes_on=folder.checkpoint.is_file())
    write_json(folder.split_file, sources.to_dict())
    write_json(folder.config_file, config.to_dict())  # last: what makes the folder one of a run
    if config.strategy == "probe":
        history, unread = _probe(classifier, config, sources, folder, console)
    else:
        history, unread = fit(classifier, config, sources, folder.checkpoint, console)
    write_json(folder.history_file, history)
    classifier.save(folder.model)
    results, bad = evaluate_videos(
        classifier.predictor(), sources.val, clips=config.clips, console=console, title="held out"
    )
    skipped = list(dict(sources.skipped + unread + bad).items())
    summary = RunSummary(folder, sources.labels, results, history, skipped)
    write_predictions(folder.predictions, results)
    write_json(folder.skipped, [{"video": path, "reason": why} for path, why in skipped])
    write_run_report(summary, config, sources)
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


def _probe(
    classifier: VideoClassifier,
    config: RunConfig,
    sources: Sources,
    folder: RunFolder,
    console: Console,
) -> tuple[list[dict[str, float]], list[Skipped]]:
    return train_probe(
        classifier.network,
        sources.train,
        sources.val,
        labels=sources.labels,
        recipe=config.recipe(),
        folder=folder.features,
        views=config.views,
        flip=0.5 if config.flip else 0.0,
        epochs=config.epochs or 1,
        lr=config.lr or 0.0,
        weight_decay=config.weight_decay or 0.0,
        seed=config.seed,
        workers=config.workers or 0,
        console=console,
    )


def write_run_report(summary: RunSummary, config: RunConfig, sources: Sources) -> Path:
    """Writes the report of a run into its folder."""
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
        ),
        summary.folder.report,
    )
