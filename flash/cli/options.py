# SPDX-License-Identifier: Apache-2.0
"""Options of the command line: type, name and help of each."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flash.cli import panels
from flash.cli.model_options import Device as Device
from flash.cli.model_options import Labels as Labels
from flash.cli.model_options import ModelOptions as ModelOptions
from flash.cli.model_options import Weights as Weights
from flash.cli.model_options import takes_model as takes_model
from flash.cli.panels import option

if TYPE_CHECKING:
    from torch import nn

    from pytorchvideo.transforms.clip_recipe import ClipRecipe


class Strategy(str, Enum):
    """What is trained; the names of :data:`flash.runs.config.STRATEGIES`."""

    no_freeze = "no_freeze"
    freeze = "freeze"
    probe = "probe"


class Optimizer(str, Enum):
    """The names of :data:`flash.runs.config.OPTIMIZERS`."""

    adamw = "AdamW"
    sgd = "SGD"


def _data(help: str) -> Any:
    return typer.Argument(metavar="DATA", help=help, show_default=False)


_DATA = (
    "A folder per class (or train/ and val/ of such), or a list file: `path label` lines or a csv."
)
Data = Annotated[str, _data(_DATA)]
DataOrResume = Annotated[str | None, _data(f"{_DATA} With --resume, the folder of the run.")]
CheckData = Annotated[str, _data("A folder of videos, a list file, or one video.")]
Videos = Annotated[
    list[str],
    typer.Argument(
        metavar="VIDEO...",
        help="Videos, folders of videos, or list files (.txt, .csv).",
        show_default=False,
    ),
]

Clips = Annotated[
    int, option("--clips", min=1, help="Clips of each video, spread evenly.", panel=panels.CLIPS)
]
Views = Annotated[
    int,
    option("--views", help="Crops of each clip: 1, or 3 for both sides too.", panel=panels.CLIPS),
]
Protocol = Annotated[
    str,
    option(
        "--clips",
        help='Clips of each video, spread evenly; "uniform" covers all of it; "10x3" is 10 clips with 3 crops.',
        panel=panels.CLIPS,
    ),
]
Timeline = Annotated[
    bool, option("--timeline", help="Also name what happens in each clip.", panel=panels.RESULT)
]
Start = Annotated[
    float, option("--start", help="Look at the video from this second on.", panel=panels.CLIPS)
]
End = Annotated[
    float | None,
    option(
        "--end", help="Look at it up to this second.", panel=panels.CLIPS, show_default="its end"
    ),
]
Top = Annotated[
    int, option("--top", "-k", min=1, help="Labels of each video.", panel=panels.RESULT)
]
TopK = Annotated[
    int,
    option(
        "--top-k", min=1, help="Also count the true class among the K first.", panel=panels.RESULT
    ),
]
AsJson = Annotated[bool, option("--json", help="Print json and nothing else.")]
ReportOut = Annotated[
    Path | None,
    option(
        "--out",
        "-o",
        help="Folder for predictions.json and report.html.",
        panel=panels.RESULT,
        show_default="none is written",
    ),
]
TableOut = Annotated[
    Path | None,
    option(
        "--out",
        "-o",
        metavar="FILE",
        help="Write a table (.csv, .json or .parquet) instead: a row for each label of each video.",
        panel=panels.RESULT,
        show_default="none is written",
    ),
]

# train, demo
DemoOut = Annotated[Path, option("--out", "-o", help="Folder for the videos and the run.")]
Seed = Annotated[int, option("--seed", min=0, help="Of everything random.")]
RunOut = Annotated[Path, option("--out", "-o", help="Folder of the run.", panel=panels.RESULT)]
Resume = Annotated[
    bool, option("--resume", help="Go on with a run, DATA or in --out.", panel=panels.RESULT)
]
MovedData = Annotated[
    str | None,
    option(
        "--data",
        help="With --resume: where DATA is now.",
        panel=panels.RESULT,
        show_default="where it was",
    ),
]
FinishedRun = Annotated[
    Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)
]
FinishedRuns = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUN RUN...",
        help="Folders of finished runs, or of what `evaluate --out` wrote.",
        show_default=False,
    ),
]
MovedRunData = Annotated[
    str | None,
    option("--data", help="Where the videos of the run are now.", show_default="where they were"),
]
StartModel = Annotated[
    str,
    option(
        "--model",
        "-m",
        help="A model of the zoo, or hf:NAME (hf:FOLDER), one of Hugging Face.",
        panel=panels.MODEL,
    ),
]
StartWeights = Annotated[
    Path | None,
    option(
        "--weights", "-w", help="Start from this file.", panel=panels.MODEL, show_default="none"
    ),
]
Pretrained = Annotated[
    bool | None,
    option(
        "--pretrained/--no-pretrained",
        help="Start from the published weights, or from random ones. Without either: from the published ones if they "
        "are in the cache or can be downloaded.",
        panel=panels.MODEL,
        show_default="whichever can be had",
    ),
]
StrategyName = Annotated[
    Strategy | None,
    option(
        "--strategy",
        help="Train everything; the classifier and BatchNorm; or the classifier on cached features, which is what "
        "is done with trained weights where there is no GPU.",
        panel=panels.TRAINING,
        show_default="probe for trained weights without a GPU, otherwise no_freeze",
    ),
]
Epochs = Annotated[
    int | None,
    option(
        "--epochs",
        help="Passes over the videos.",
        panel=panels.TRAINING,
        show_default="10, for probe 300",
    ),
]
BatchSize = Annotated[int, option("--batch-size", help="Clips in a batch.", panel=panels.TRAINING)]
OptimizerName = Annotated[
    Optimizer, option("--optimizer", help="Optimiser.", panel=panels.TRAINING)
]
Decay = Annotated[
    float | None,
    option(
        "--weight-decay",
        help="Weight decay.",
        panel=panels.TRAINING,
        show_default="by the strategy and the optimiser: 0.01 for AdamW, 1e-4 for SGD",
    ),
]
LabelSmoothing = Annotated[
    float,
    option(
        "--label-smoothing", help="Share of a label that all classes get.", panel=panels.TRAINING
    ),
]
Mix = Annotated[
    bool, option("--mix/--no-mix", help="Mix clips with CutMix or MixUp.", panel=panels.TRAINING)
]
LayerDecay = Annotated[
    float,
    option(
        "--layer-decay",
        help="Share of the learning rate that a layer passes on to the one before it.",
        panel=panels.TRAINING,
    ),
]
Ema = Annotated[
    float | None,
    option(
        "--ema",
        help="Decay of a moving average of the weights.",
        panel=panels.TRAINING,
        show_default="none is kept",
    ),
]
TrainViews = Annotated[
    int, option("--train-views", help="Cached views of a video, for probe.", panel=panels.TRAINING)
]
Workers = Annotated[
    int | None,
    option(
        "--workers",
        help="Processes that decode; 0 decodes in the main one.",
        panel=panels.TRAINING,
        show_default="0 on a CPU; a core each, up to 8, beside a GPU",
    ),
]
Readers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=0,
        help="Processes that decode.",
        show_default="half of the cores; none for one video or on fewer than 4 cores",
    ),
]
_OF_MODEL = "of the model"
Frames = Annotated[
    int | None,
    option("--frames", min=1, help="Frames of a clip.", panel=panels.CLIPS, show_default=_OF_MODEL),
]
Crop = Annotated[
    int | None,
    option(
        "--crop",
        min=1,
        help="Side of a clip in pixels.",
        panel=panels.CLIPS,
        show_default=_OF_MODEL,
    ),
]
ClipDuration = Annotated[
    float | None,
    option(
        "--clip-duration",
        help="Seconds of a clip.",
        panel=panels.CLIPS,
        show_default="of the model: its frames keep their distance",
    ),
]
Flip = Annotated[
    bool, option("--flip/--no-flip", help="Mirror clips at random.", panel=panels.CLIPS)
]
ValSplit = Annotated[
    float,
    option("--val-split", help="Share to hold out, if DATA is not split.", panel=panels.SPLIT),
]
GroupBy = Annotated[
    str | None,
    option(
        "--group-by",
        help="Regular expression; what it matches in a path names its source.",
        panel=panels.SPLIT,
        show_default="each video is its own",
    ),
]
Groups = Annotated[
    Path | None,
    option(
        "--groups",
        help="File of `path source` lines.",
        panel=panels.SPLIT,
        show_default="each video is its own",
    ),
]

Jobs = Annotated[
    int | None,
    option("--jobs", min=1, help="Files at a time.", show_default="one for each core"),
]

# serve
Host = Annotated[
    str, option("--host", help="Address to listen on; the default is reached from here only.")
]
Port = Annotated[
    int, option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
]
AllowHost = Annotated[
    list[str] | None,
    option(
        "--allow-host",
        help="Another name by which the server may be called; repeat it.",
        show_default="those of --host",
    ),
]
Token = Annotated[
    str | None,
    option(
        "--token",
        help="What requests must show.",
        envvar="PYTORCHVIDEO_TOKEN",
        show_default="none is asked for",
    ),
]
MaxMegabytes = Annotated[
    float, option("--max-size", help="Largest file, in MB.", panel=panels.CLIPS)
]
MaxSeconds = Annotated[
    float, option("--max-seconds", help="Longest video, in seconds.", panel=panels.CLIPS)
]


def clips_of(text: str) -> int | str:
    """``--clips`` as the predictor takes it.

    >>> clips_of("4"), clips_of("10x3")
    (4, '10x3')
    """
    return int(text) if text.isdecimal() else text


def workers_of(
    asked: int | None,
    videos: int,
    recipe: "ClipRecipe",
    views: int,
    model: "nn.Module | None" = None,
) -> int:
    """``--workers`` for so many videos."""
    from pytorchvideo.inference.clips import workers_for

    return workers_for(videos, recipe, views, model=model) if asked is None else asked


def was_given(ctx: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
