# SPDX-License-Identifier: Apache-2.0
"""The command ``train``."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flash.cli import kept, pyslowfast
from flash.cli import options as opt
from flash.cli import train_options as training
from flash.cli.command import as_typed
from flash.cli.interrupts import going_on
from flash.cli.printing import (
    answer_screen,
    print_label_scores,
    print_results,
    progress_screen,
    say,
)

if TYPE_CHECKING:
    from flash.runs.from_pyslowfast import PySlowFastTraining


def train(
    ctx: typer.Context,
    data: opt.DataOrResume = None,
    words: training.Pairs = None,
    task: training.TaskName = training.Task.classification,
    out: opt.RunOut = Path("run"),
    resume: opt.Resume = False,
    moved: opt.MovedData = None,
    model: opt.StartModel = "x3d_xs",
    recipe: training.Recipe = None,
    changes: training.Changes = None,
    theirs: training.PySlowFast = None,
    weights: opt.StartWeights = None,
    pretrained: opt.Pretrained = None,
    strategy: opt.StrategyName = None,
    epochs: opt.Epochs = None,
    batch_size: opt.BatchSize = 8,
    optimizer: opt.OptimizerName = opt.Optimizer.adamw,
    lr: training.Rate = None,
    weight_decay: opt.Decay = None,
    label_smoothing: opt.LabelSmoothing = 0.0,
    mix: opt.Mix = False,
    layer_decay: opt.LayerDecay = 1.0,
    ema: opt.Ema = None,
    precise_bn: training.PreciseBN = 16,
    multi_label: training.MultiLabel = False,
    class_weights: training.ClassWeights = False,
    balanced: training.Balanced = False,
    keep: training.KeepName = training.Keep.last,
    early_stopping: training.EarlyStopping = None,
    device: training.Device = "auto",
    precision: training.PrecisionName = training.Precision.full,
    accumulate: training.Accumulate = 1,
    logger: training.Logger = None,
    views: opt.TrainViews = 2,
    workers: opt.Workers = None,
    frames: opt.Frames = None,
    crop: opt.Crop = None,
    clip_duration: opt.ClipDuration = None,
    flip: opt.Flip = True,
    clips: opt.Clips = 2,
    videos: training.Videos = None,
    exclusive: training.Exclusive = False,
    val: training.HeldOut = None,
    val_split: opt.ValSplit = 0.25,
    group_by: opt.GroupBy = None,
    groups: opt.Groups = None,
    seed: opt.Seed = 0,
    top_k: opt.TopK = 5,
) -> None:
    """Train a classifier on DATA, evaluate it on held-out videos, write a report.

    --resume goes on with a run; with --data NEW, if its videos have moved; with more --epochs, beyond its end.
    --pyslowfast trains by a configuration of PySlowFast, with KEY VALUE pairs behind it.
    --task detection trains on boxes: DATA is a csv (video,time_sec,x1,y1,x2,y2,label), or a folder with train.csv.
    """
    if changes and recipe is None:
        raise ValueError("Expected --set with --config RECIPE, whose values it changes.")
    if task is training.Task.detection or (resume and _is_of_boxes(data, out)):
        if resume and data is not None and not opt.was_given(ctx, "out"):
            out, data = _run_to_resume(data, out)
        going_on(lambda: kept.by_train(out))
        say(f"{data or out}: {f'recipe {recipe}' if recipe else model}, to {out}")
        from flash.cli.detection import train_detection

        train_detection(ctx, moved or data, out, resume=resume)
        return
    if videos is not None or exclusive:
        raise ValueError("Expected --videos and --exclusive with --task detection alone.")
    if words and theirs is None:
        raise ValueError(
            f"Expected one DATA, but also got {words[0]}. Pairs of KEY VALUE are for --pyslowfast."
        )
    if recipe is not None and theirs is not None:
        raise ValueError("Expected either --config or --pyslowfast, but got both.")
    asked_of = None
    if theirs is not None:
        data, pairs = pyslowfast.words_of(data, words or [])
        asked_of = pyslowfast.read(theirs, pairs)
        out = out if asked_of.out is None or opt.was_given(ctx, "out") else Path(asked_of.out)
    if resume and data is not None and not opt.was_given(ctx, "out"):
        out, data = _run_to_resume(data, out)
    if moved is not None and data is not None:
        raise ValueError("Expected either DATA or --data, but got both.")
    if moved is not None and not resume:
        raise ValueError(
            "Expected --data with --resume, for videos that have moved; a new run takes DATA."
        )
    data = moved if data is None else data
    going_on(lambda: kept.by_train(out))
    if asked_of is not None and data is None and not resume:
        data = pyslowfast.videos(asked_of, out)
    if data is not None:
        from flash.runs.outline import outline

        named = f"recipe {recipe or theirs}" if recipe or theirs else model
        say(f"{outline(data)}: {named}, to {out}")  # PyTorch takes seconds to be imported
    from flash.runs import train as runs
    from flash.runs.config import RunConfig
    from flash.runs.folder import RunFolder

    # the options that describe the run carry the names of its fields
    asked = {
        name: _plain(value)
        for name, value in (ctx.params | {"data": data}).items()
        if name in RunConfig.__dataclass_fields__
    }
    if lr == "find":
        asked |= {"lr": None, "lr_find": True}
    folder = RunFolder(out)
    if recipe is not None or theirs is not None:
        if resume and folder.config_file.is_file():
            option = "--config" if theirs is None else "--pyslowfast"
            raise ValueError(f"Expected --resume without {option}: a run keeps its configuration.")
        asked |= _of_recipe(ctx, recipe, changes or [], asked_of, asked | {"out": out})
    if resume and (data is None or folder.config_file.is_file()):
        given = {name: value for name, value in asked.items() if opt.was_given(ctx, name)}
        given |= {"lr_find": True} if lr == "find" else {}
        given["data"] = data
        config = runs.resumed(folder, {k: v for k, v in given.items() if v is not None})
    elif data is not None:
        config = RunConfig(**asked)
    else:
        raise ValueError("Expected DATA: a folder of videos per class, or a list file.")
    if asked_of is not None:
        say(f"its test, when it is trained: {asked_of.test_command(config.data, str(out))}")
    summary = runs.train(
        config, out, resume=resume, console=progress_screen(), command=as_typed(ctx)
    )
    answer = answer_screen()
    if config.multi_label:
        print_label_scores(answer, summary.multi_label_results, summary.labels)
    else:
        print_results(answer, summary.results, summary.labels, top_k)
    for path, reason in summary.skipped:
        say(f"skipped {path}: {reason}")
    for finding in summary.findings:
        if finding.level == "problem":
            answer.print(f"{finding.level}: {finding.text}", soft_wrap=True)
    answer.print(f"report: {summary.folder.report}", soft_wrap=True)


def _of_recipe(
    ctx: typer.Context,
    name: str | None,
    changes: list[str],
    asked_of: "PySlowFastTraining | None",
    asked: dict[str, Any],
) -> dict[str, Any]:
    """The options that a recipe says, or a configuration of PySlowFast, and the command line does not."""
    from flash.configs.files import load_recipe
    from flash.runs.from_recipe import run_options, start_options

    own: dict[str, Any] = {}
    if asked_of is None:
        recipe = load_recipe(name or "", changes)
    else:
        recipe, own = asked_of.recipe, pyslowfast.options(asked_of, asked)
    known = asked | {key: value for key, value in own.items() if not opt.was_given(ctx, key)}
    steps = {"batch_size": known["batch_size"], "accumulate": known["accumulate"]}
    options = run_options(recipe, **steps) | start_options(recipe, known) | own
    return {key: value for key, value in options.items() if not opt.was_given(ctx, key)}


def _run_to_resume(data: str, out: Path) -> tuple[Path, str | None]:
    """The folder of the run in ``train --resume DATA``, and DATA if it is that of the run in ``out``.

    Raises:
        FileNotFoundError: neither is a run. A list file may begin one, as a folder that is named with ``--out`` may.
    """
    if _is_run(Path(data)):
        return Path(data), None
    if not _is_run(out) and not Path(data).is_file():
        raise FileNotFoundError(
            f"{data} holds no run: there is no config.json in it. Expected the folder of one with --resume; to begin "
            f"one with the videos of {data}, leave out --resume, or name its folder with --out."
        )
    return out, data


def _is_of_boxes(data: str | None, out: Path) -> bool:
    """Whether the run to go on with is that of a detector."""
    from flash.runs.detection.task import is_detection_run

    return any(is_detection_run(folder) for folder in (out, data) if folder is not None)


def _is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
