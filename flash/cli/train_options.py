# SPDX-License-Identifier: Apache-2.0
"""Options of the command ``train`` alone; those that it shares with others are in :mod:`flash.cli.options`."""

from enum import Enum
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from pytorchvideo._checks import expected

_option = partial(typer.Option, rich_help_panel="Training")


class Task(str, Enum):
    """Of whole clips, or of people in boxes."""

    classification = "classification"
    detection = "detection"


class Keep(str, Enum):
    """The names of :data:`flash.runs.config.KEEPS`."""

    best = "best"
    last = "last"


class Precision(str, Enum):
    """The names of :data:`flash.runs.config.PRECISIONS`."""

    full = "32"
    bf16 = "bf16-mixed"
    half = "16-mixed"


class LoggerName(str, Enum):
    """The names of :data:`flash.runs.config.LOGGERS`."""

    csv = "csv"
    tensorboard = "tensorboard"
    wandb = "wandb"


def _rate(text: str) -> float | str:
    """A rate, or ``"find"``."""
    try:
        return text if text == "find" else float(text)
    except ValueError as error:
        raise typer.BadParameter(expected("lr", "a number or find", text)) from error


Rate = Annotated[
    Any,
    _option(
        "--lr",
        parser=_rate,
        metavar="RATE|find",
        help="Highest learning rate, or find: Lightning's finder looks for it, and draws lr_find.png.",
        show_default="by the start, the strategy and the optimiser",
    ),
]
Recipe = Annotated[
    str | None,
    _option(
        "--config",
        metavar="RECIPE",
        help="A published recipe (see `configs`), or a yaml file. Options that are given count before it.",
        show_default="none",
    ),
]
PySlowFast = Annotated[
    Path | None,
    _option(
        "--pyslowfast",
        metavar="FILE.yaml",
        help="Train by a configuration of PySlowFast; says which of its keys have no use here.",
        show_default="none",
    ),
]
Pairs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY VALUE",
        help="With --pyslowfast: other values of it, as SOLVER.BASE_LR 0.05.",
        show_default=False,
    ),
]
Changes = Annotated[
    list[str] | None,
    _option(
        "--set",
        metavar="KEY=VALUE",
        help="With --config: another value of it, as optimizer.lr=0.05; repeat it.",
        show_default="none",
    ),
]
PreciseBN = Annotated[
    int,
    _option(
        "--precise-bn",
        min=0,
        help="Compute BatchNorm's statistics anew from so many batches before each validation and at the end, which "
        "short trainings need; 0 leaves the moving averages.",
    ),
]
TaskName = Annotated[
    Task,
    typer.Option("--task", help="Name whole clips, or say what the people in boxes do."),
]
Videos = Annotated[
    str | None,
    _option(
        "--videos",
        help="With --task detection: folder of the videos that the file of boxes names.",
        show_default="that of the file",
    ),
]
Exclusive = Annotated[
    bool,
    _option(
        "--exclusive",
        help="With --task detection: a person does one thing at a time.",
    ),
]
MultiLabel = Annotated[
    bool,
    _option(
        "--multi-label",
        help='A video may have several labels, in one cell of a list ("run|jump"): a probability for each.',
    ),
]
ClassWeights = Annotated[
    bool,
    _option("--class-weights", help="Weigh rare classes more in the loss."),
]
Balanced = Annotated[bool, _option("--balanced", help="Draw all classes alike often.")]
KeepName = Annotated[
    Keep,
    _option(
        "--keep",
        help="Whether model.pt is of the last epoch, or the best on the held-out videos.",
    ),
]
EarlyStopping = Annotated[
    int | None,
    _option(
        "--early-stopping",
        metavar="EPOCHS",
        help="End when the loss on the held-out videos has not fallen for so many epochs.",
        show_default="all epochs",
    ),
]
Device = Annotated[
    str,
    _option("--device", help="auto, cpu, cuda, cuda:NUMBER or mps."),
]
PrecisionName = Annotated[Precision, _option("--precision", help="Of the arithmetic.")]
Accumulate = Annotated[int, _option("--accumulate", help="Batches of which a step is made.")]
Logger = Annotated[
    LoggerName | None,
    _option("--logger", help="Also log in Lightning's way, into the run.", show_default="none"),
]
HeldOut = Annotated[
    str | None,
    _option(
        "--val",
        metavar="DATA",
        help="Folder or list of the held-out videos, where DATA has none.",
        show_default="those of DATA, otherwise --val-split of it",
        rich_help_panel="Split",
    ),
]
