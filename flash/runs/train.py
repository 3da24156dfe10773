# SPDX-License-Identifier: Apache-2.0
"""Training of a run: labelled videos to a folder with model, predictions and report; resumable.

::

    RUN/
      config.json             what was asked for
      split.json              which videos train, which are held out, which cannot be read
      checkpoints/last.ckpt   after every epoch, and best.ckpt with keep="best"
      features/               cached features of the strategy "probe"
      history.json            a row an epoch
      parts.json              each call that began the run or went on with it: when, how long, the command
      model.pt                the classifier, for VideoPredictor.from_file
      predictions.json        a score for every class of every held-out video
      skipped.json            videos that could not be read, with the reason
      report.html, .json      with a judgement
      recordings.csv          which videos look like clips of one recording, where some are on both sides of the split

Each file is written under another name and then renamed: it is complete, or it is not there. Paths in them are
absolute: a run goes on from any working directory. One process at a time works in the folder.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from flash.configs.build import build_mix, decay_rules, network_arguments, optimizer_arguments
from flash.core.average_precision import MeanAveragePrecision
from flash.runs.config import RunConfig
from flash.runs.fit import best_epoch, class_weights, fit
from flash.runs.fit_head import train_probe
from flash.runs.folder import MAY_CHANGE, RunFolder, resumed
from flash.runs.loggers import check_logger
from flash.runs.moved import check_in_place, moved_to, with_absolute_paths
from flash.runs.parts import Parts
from flash.runs.progress import progress_bar, showing
from flash.runs.rates import find_rate
from flash.runs.reports.maps import explained_clips
from flash.runs.reports.of_run import RunSummary as RunSummary
from flash.runs.reports.of_run import report_of
from flash.runs.reports.run_page import write_report
from flash.runs.sources import Sources, read_sources
from flash.runs.start import choose_start, describe_start, doubtful_name
from flash.video.classification.model import VideoClassifier
from pytorchvideo._files import remove_unfinished, write_json
from pytorchvideo._locks import alone_in
from pytorchvideo._text import counted
from pytorchvideo.evaluation.multi_label import (
    MultiLabelResult,
    evaluate_multi_label,
    write_multi_label_predictions,
)
from pytorchvideo.evaluation.scores import ClipResult
from pytorchvideo.evaluation.videos import evaluate_videos, write_predictions
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.transforms import MixVideo


def train(
    config: RunConfig,
    out: str | Path,
    *,
    resume: bool = False,
    console: Console,
    command: str | None = None,
) -> RunSummary:
    """Trains, evaluates on the held-out videos, and writes the report.

    Args:
        config: what to do; where a run is resumed, which goes by its own, only what ``resumed`` of
            ``flash.runs.folder`` says counts.
        out: folder of the run.
        resume: go on with the run in ``out``, or start it if it had not begun.
        console: shows the progress.
        command: that was typed for this, which the report states.

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
            before = folder.read_config()
            asked = {name: getattr(config, name) for name in MAY_CHANGE}
            config = resumed(folder, {k: v for k, v in asked.items() if v is not None})
            sources, why = _known_split(folder, before, config), ""
        else:
            folder.check_free()
            config, why = choose_start(config)
            config, sources = config.completed(), None
        check_logger(config)  # a package that is missing is said before the work
        sources = sources or _split(config, console)
        _say_plan(config, why, sources, folder, console)
        return _train(config, sources, folder, console, parts)


def _say_plan(
    config: RunConfig, why: str, sources: Sources, folder: RunFolder, console: Console
) -> None:
    """Prints what is about to be done, and from where it starts."""
    recipe, epochs = config.recipe(), config.epochs or 1
    start = describe_start(config, why, sources)
    if folder.checkpoint.is_file():
        start = f"from {folder.checkpoint}"
    on = (
        "a GPU" if config.on_gpu else config.device.replace("auto", "cpu").replace("cpu", "the CPU")
    )
    trained = {"probe": "its classifier on cached features", "freeze": "classifier and BatchNorm"}
    what = trained.get(config.strategy or "", "all of it")
    if (config.pretrained or config.weights) and config.of_trunks() and not config.on_gpu:
        what += f" ({config.of_trunks()} cannot be had with cached features)"
    batches = math.ceil(len(sources.train) / config.batch_size)
    steps = counted(math.ceil(batches / config.accumulate), "step")
    steps = f"{steps} x {counted(epochs, 'epoch')}"
    if config.training_recipe is not None and config.training_recipe.multigrid is not None:
        steps = f"multigrid in {counted(epochs, 'epoch')}"
    if config.strategy == "probe":
        steps = f"{counted(config.views, 'view')} of each, then {counted(epochs, 'step')}"
    doubtful = None if config.multi_label else doubtful_name(sources.labels)
    note = (
        f"\n{doubtful!r} is one class; if it is several labels, give --multi-label"
        if doubtful
        else ""
    )
    console.print(
        f"{config.model} on {on}, {what}, {start}\n"
        f"{counted(len(sources.train), 'video')} to train on, {len(sources.val)} held out; clips of "
        f"{counted(recipe.num_frames, 'frame')} of "
        f"{recipe.crop_size} pixels; {steps}{note}",
        soft_wrap=True,
        highlight=False,
        markup=False,
    )


def _train(
    config: RunConfig, sources: Sources, folder: RunFolder, console: Console, parts: Parts
) -> RunSummary:
    # nothing is written before the data and the weights have turned out to be usable
    goes_on = folder.checkpoint.is_file()
    classifier = build_classifier(config, sources, goes_on=goes_on)
    write_json(folder.split_file, sources.to_dict())
    write_json(folder.config_file, config.to_dict())  # last: what makes the folder one of a run
    with parts.kept():
        return _learn(config, classifier, sources, folder, console, parts)


def _learn(
    config: RunConfig,
    classifier: VideoClassifier,
    sources: Sources,
    folder: RunFolder,
    console: Console,
    parts: Parts,
) -> RunSummary:
    if config.lr is None:
        config = replace(config, lr=find_rate(classifier, config, sources, folder, console))
        write_json(folder.config_file, config.to_dict())
        classifier = build_classifier(config, sources)  # as it was
    device = _device(config)
    if config.strategy == "probe":
        network = classifier.network.to(device)
        history, unread = train_probe(
            network, sources, config, folder.features, console, on_kept=parts.keep
        )
    else:
        history, unread = fit(classifier, config, sources, folder, console, on_kept=parts.keep)
    write_json(folder.history_file, history)
    classifier.cpu().save(folder.model)
    kept = best_epoch(history) if config.keep == "best" else None
    if kept is not None:
        said = f"{folder.model.name} is of epoch {kept} of {len(history)}, the best on the held-out videos"
        console.print(said, soft_wrap=True, highlight=False, markup=False)
    summary = RunSummary(folder, sources.labels, (), history, sources.skipped + unread, kept)
    predictor = classifier.to(device).predictor()
    summary = _evaluate(summary, predictor, config, sources, console)
    write_json(folder.skipped, [{"video": path, "reason": why} for path, why in summary.skipped])
    with showing(console, "maps") as bar:
        explained = explained_clips(predictor, summary.results, progress=bar)
    with showing(console, "look for clips of one recording") as bar:
        report = report_of(summary, config, sources, parts, explained=explained, progress=bar)
    write_report(report, folder.report)
    return replace(summary, findings=report.findings())


def _evaluate(
    summary: RunSummary,
    predictor: VideoPredictor,
    config: RunConfig,
    sources: Sources,
    console: Console,
) -> RunSummary:
    """Predicts the held-out videos, and writes the predictions."""
    results: list[ClipResult] = []
    several: list[MultiLabelResult] = []
    with showing(console, "held out") as bar:
        if config.multi_label:
            named = [(path, sources.names_of(label)) for path, label in sources.val]
            several, bad = evaluate_multi_label(predictor, named, clips=config.clips, progress=bar)
        else:
            results, bad = evaluate_videos(predictor, sources.val, clips=config.clips, progress=bar)
    if config.multi_label:
        write_multi_label_predictions(summary.folder.predictions, several)
    else:
        write_predictions(summary.folder.predictions, results)
    skipped = list(dict([*summary.skipped, *bad]).items())
    return replace(summary, results=results, multi_label_results=several, skipped=skipped)


def _device(config: RunConfig) -> str:
    """The device of a run by PyTorch's name."""
    if config.device == "auto":
        return "cuda" if config.on_gpu else "cpu"
    return config.device


def build_classifier(
    config: RunConfig, sources: Sources, *, goes_on: bool = False
) -> VideoClassifier:
    """Builds the classifier of a run from its seed.

    Args:
        config: of the run.
        sources: whose classes, and perhaps their shares, count.
        goes_on: whether a checkpoint has all weights, so that those to start from are not needed.

    Raises:
        ValueError: for weights that do not fit the model.
    """
    import pytorch_lightning as pl
    import torch

    pl.seed_everything(config.seed, workers=True, verbose=False)
    recipe, training = config.recipe(), config.training_recipe
    weights = class_weights(sources) if config.class_weights else None
    # by the name of the plain loss, under which it is logged
    loss: dict[str, Any] | None = None
    if config.multi_label:
        loss = {"cross_entropy": torch.nn.BCEWithLogitsLoss(pos_weight=weights)}
    elif weights is not None:
        loss = {"cross_entropy": torch.nn.CrossEntropyLoss(weights)}
    classifier = VideoClassifier(
        labels=sources.labels,
        backbone=config.model,
        backbone_kwargs=None if training is None else network_arguments(training),
        pretrained=bool(config.pretrained) and not goes_on,
        loss_fn=loss,
        metrics={"map": MeanAveragePrecision()} if config.multi_label else None,
        weights=None if goes_on else config.weights,
        recipe=recipe,
        optimizer=(
            config.optimizer,
            optimizer_arguments(training, config.optimizer, config.weight_decay),
        ),
        learning_rate=config.lr,
        label_smoothing=config.label_smoothing,
        mix_video=_mix(config, len(sources.labels)),
        layer_decay=config.layer_decay,
        decay_rules=None if training is None else decay_rules(training),
        multi_label=config.multi_label,
    )
    for parameter in classifier.parameters():
        if parameter.ndim == 5:
            # depthwise 3-D convolutions on a CPU are more than twice as fast in this layout
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
    return classifier


def _mix(config: RunConfig, num_classes: int) -> bool | MixVideo:
    """The mix of batches: that of the recipe, if it has one."""
    if config.mix and config.training_recipe is not None:
        return build_mix(config.training_recipe, num_classes) or True
    return config.mix


def _known_split(folder: RunFolder, before: RunConfig, config: RunConfig) -> Sources | None:
    """The split of a run that goes on, at the places where its videos are now; None if it has none yet."""
    if not folder.split_file.is_file():
        return None
    sources = Sources.from_file(folder.split_file)
    if (config.data, config.val) == (before.data, before.val):
        check_in_place(sources, before.data, folder.path)
        return sources
    return moved_to(sources, before.data, config.data, config.val)


def _split(config: RunConfig, console: Console) -> Sources:
    with progress_bar(console) as bar:
        task = bar.add_task("open files", total=None, note="")
        sources = read_sources(
            config.data,
            val=config.val,
            val_split=config.val_split,
            seed=config.seed,
            group_by=config.group_by,
            groups=config.groups,
            multi_label=config.multi_label,
            on_checked=lambda done, total: bar.update(task, completed=done, total=total),
        )
    return with_absolute_paths(sources)
