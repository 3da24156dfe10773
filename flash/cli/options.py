# SPDX-License-Identifier: Apache-2.0
"""Options of the command line: type, name and help of each."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flash.cli.printing import say

if TYPE_CHECKING:
    from pytorchvideo.inference.predictor import VideoPredictor
    from pytorchvideo.transforms.clip_recipe import ClipRecipe

#: The folder that `train` writes to unless told otherwise.
DEFAULT_RUN = Path("run")

_FROM = "Where the model comes from"
_CLIPS = "Clips"
_TRAINING = "Training"
_SPLIT = "Split"
_RESULT = "Result"
_ENCODING = "Encoding, with --out"
_SHARDS = "Shards, with --shards"


class Strategy(str, Enum):
    """What is trained; the names of :data:`flash.runs.config.STRATEGIES`."""

    no_freeze = "no_freeze"
    freeze = "freeze"
    probe = "probe"


class Optimizer(str, Enum):
    """The names of :data:`flash.runs.config.OPTIMIZERS`."""

    adamw = "AdamW"
    sgd = "SGD"


class X264Preset(str, Enum):
    """The names of x264."""

    ultrafast = "ultrafast"
    superfast = "superfast"
    veryfast = "veryfast"
    faster = "faster"
    fast = "fast"
    medium = "medium"
    slow = "slow"
    slower = "slower"
    veryslow = "veryslow"


def _option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


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

# which model
Run = Annotated[
    Path | None,
    _option(
        "--run",
        help="Folder of a finished run.",
        panel=_FROM,
        show_default="run, if it is one and no model is named",
    ),
]
Model = Annotated[
    str | None,
    _option(
        "--model",
        "-m",
        help="A name of the zoo, hf:NAME, a model on the Hub (owner/name), or a path: of a run, a model file, a saved "
        "model, an artefact.",
        panel=_FROM,
        show_default="none",
    ),
]
Weights = Annotated[
    Path | None,
    _option(
        "--weights",
        "-w",
        help="File of weights; alone, a model file.",
        panel=_FROM,
        show_default="the published ones",
    ),
]
Labels = Annotated[
    Path | None,
    _option(
        "--labels",
        help="Class names of the weights: a line each, or json.",
        panel=_FROM,
        show_default="of the model",
    ),
]
Artefact = Annotated[
    Path | None,
    _option("--artefact", help="Folder that `export` wrote.", panel=_FROM, show_default="none"),
]
Trust = Annotated[
    bool,
    _option(
        "--trust",
        help="Load an artefact whose file can run code: of torch-export or aoti.",
        panel=_FROM,
    ),
]
Device = Annotated[
    str,
    _option(
        "--device",
        help="auto (CUDA where there is one, otherwise the CPU), cpu, cuda, cuda:NUMBER or mps.",
        panel=_FROM,
    ),
]
Clips = Annotated[
    int, _option("--clips", min=1, help="Clips of each video, spread evenly.", panel=_CLIPS)
]
Views = Annotated[
    int, _option("--views", help="Crops of each clip: 1, or 3 for both sides too.", panel=_CLIPS)
]
Protocol = Annotated[
    str,
    _option(
        "--clips",
        help='Clips of each video, spread evenly; "uniform" covers all of it; "10x3" is 10 clips with 3 crops.',
        panel=_CLIPS,
    ),
]
Timeline = Annotated[
    bool, _option("--timeline", help="Also name what happens in each clip.", panel=_RESULT)
]
ZeroShot = Annotated[
    str | None,
    _option(
        "--zero-shot",
        metavar="'LABEL, LABEL...'",
        help="Choose among these, without training: by a CLIP or SigLIP model of Hugging Face (--model).",
        panel=_FROM,
        show_default="none",
    ),
]
Start = Annotated[
    float, _option("--start", help="Look at the video from this second on.", panel=_CLIPS)
]
End = Annotated[
    float | None,
    _option("--end", help="Look at it up to this second.", panel=_CLIPS, show_default="its end"),
]
Top = Annotated[int, _option("--top", "-k", min=1, help="Labels of each video.", panel=_RESULT)]
TopK = Annotated[
    int,
    _option("--top-k", min=1, help="Also count the true class among the K first.", panel=_RESULT),
]
AsJson = Annotated[bool, _option("--json", help="Print json and nothing else.")]
ReportOut = Annotated[
    Path | None,
    _option(
        "--out",
        "-o",
        help="Folder for predictions.json and report.html.",
        panel=_RESULT,
        show_default="none is written",
    ),
]
TableOut = Annotated[
    Path | None,
    _option(
        "--out",
        "-o",
        metavar="FILE",
        help="Write a table (.csv, .json or .parquet) instead: a row for each label of each video.",
        panel=_RESULT,
        show_default="none is written",
    ),
]

# train, demo
DemoOut = Annotated[Path, _option("--out", "-o", help="Folder for the videos and the run.")]
Seed = Annotated[int, _option("--seed", min=0, help="Of everything random.")]
RunOut = Annotated[Path, _option("--out", "-o", help="Folder of the run.", panel=_RESULT)]
Resume = Annotated[
    bool, _option("--resume", help="Go on with a run, DATA or in --out.", panel=_RESULT)
]
MovedData = Annotated[
    str | None,
    _option(
        "--data",
        help="With --resume: where DATA is now.",
        panel=_RESULT,
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
    _option("--data", help="Where the videos of the run are now.", show_default="where they were"),
]
StartModel = Annotated[
    str,
    _option(
        "--model",
        "-m",
        help="A model of the zoo, or hf:NAME (hf:FOLDER), one of Hugging Face.",
        panel=_FROM,
    ),
]
StartWeights = Annotated[
    Path | None,
    _option("--weights", "-w", help="Start from this file.", panel=_FROM, show_default="none"),
]
Pretrained = Annotated[
    bool | None,
    _option(
        "--pretrained/--no-pretrained",
        help="Start from the published weights, or from random ones. Without either: from the published ones if they "
        "are in the cache or can be downloaded.",
        panel=_FROM,
        show_default="whichever can be had",
    ),
]
StrategyName = Annotated[
    Strategy | None,
    _option(
        "--strategy",
        help="Train everything; the classifier and BatchNorm; or the classifier on cached features, which is what "
        "is done with trained weights where there is no GPU.",
        panel=_TRAINING,
        show_default="probe for trained weights without a GPU, otherwise no_freeze",
    ),
]
Epochs = Annotated[
    int | None,
    _option(
        "--epochs",
        help="Passes over the videos.",
        panel=_TRAINING,
        show_default="10, for probe 300",
    ),
]
BatchSize = Annotated[int, _option("--batch-size", help="Clips in a batch.", panel=_TRAINING)]
OptimizerName = Annotated[Optimizer, _option("--optimizer", help="Optimiser.", panel=_TRAINING)]
Decay = Annotated[
    float | None,
    _option(
        "--weight-decay",
        help="Weight decay.",
        panel=_TRAINING,
        show_default="by the strategy and the optimiser: 0.01 for AdamW, 1e-4 for SGD",
    ),
]
LabelSmoothing = Annotated[
    float,
    _option("--label-smoothing", help="Share of a label that all classes get.", panel=_TRAINING),
]
Mix = Annotated[
    bool, _option("--mix/--no-mix", help="Mix clips with CutMix or MixUp.", panel=_TRAINING)
]
LayerDecay = Annotated[
    float,
    _option(
        "--layer-decay",
        help="Share of the learning rate that a layer passes on to the one before it.",
        panel=_TRAINING,
    ),
]
Ema = Annotated[
    float | None,
    _option(
        "--ema",
        help="Decay of a moving average of the weights.",
        panel=_TRAINING,
        show_default="none is kept",
    ),
]
TrainViews = Annotated[
    int, _option("--train-views", help="Cached views of a video, for probe.", panel=_TRAINING)
]
Workers = Annotated[
    int | None,
    _option(
        "--workers",
        help="Processes that decode; 0 decodes in the main one.",
        panel=_TRAINING,
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
    _option("--frames", min=1, help="Frames of a clip.", panel=_CLIPS, show_default=_OF_MODEL),
]
Crop = Annotated[
    int | None,
    _option(
        "--crop", min=1, help="Side of a clip in pixels.", panel=_CLIPS, show_default=_OF_MODEL
    ),
]
ClipDuration = Annotated[
    float | None,
    _option(
        "--clip-duration",
        help="Seconds of a clip.",
        panel=_CLIPS,
        show_default="of the model: its frames keep their distance",
    ),
]
Flip = Annotated[bool, _option("--flip/--no-flip", help="Mirror clips at random.", panel=_CLIPS)]
ValSplit = Annotated[
    float, _option("--val-split", help="Share to hold out, if DATA is not split.", panel=_SPLIT)
]
GroupBy = Annotated[
    str | None,
    _option(
        "--group-by",
        help="Regular expression; what it matches in a path names its source.",
        panel=_SPLIT,
        show_default="each video is its own",
    ),
]
Groups = Annotated[
    Path | None,
    _option(
        "--groups",
        help="File of `path source` lines.",
        panel=_SPLIT,
        show_default="each video is its own",
    ),
]

# check
ChecksOut = Annotated[
    Path | None,
    _option(
        "--out",
        "-o",
        help="Write what was found to this json.",
        panel=_RESULT,
        show_default="none is written",
    ),
]
QuarantineOut = Annotated[
    Path | None,
    _option(
        "--quarantine",
        help="Write the paths of the bad ones here, for the datasets.",
        panel=_RESULT,
        show_default="none is written",
    ),
]
Jobs = Annotated[
    int | None,
    _option("--jobs", min=1, help="Files at a time.", show_default="one for each core"),
]

# prepare
PrepareSource = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="A folder of videos; for --shards alone also a list file.",
        show_default=False,
    ),
]
PreparedOut = Annotated[
    Path | None,
    _option(
        "--out",
        "-o",
        help="Encode the videos into this folder.",
        panel=_RESULT,
        show_default="none is encoded",
    ),
]
Shards = Annotated[
    Path | None,
    _option(
        "--shards",
        help="Pack the videos into tar files in this folder.",
        panel=_RESULT,
        show_default="none is packed",
    ),
]
ShortSide = Annotated[
    int,
    _option("--short-side", min=0, help="Of pictures, in pixels; 0 keeps it.", panel=_ENCODING),
]
Gop = Annotated[int, _option("--gop", min=1, help="Frames to the next key frame.", panel=_ENCODING)]
Crf = Annotated[
    int, _option("--crf", min=0, max=51, help="Quality: less is better.", panel=_ENCODING)
]
Preset = Annotated[X264Preset, _option("--preset", help="Of x264: time for size.", panel=_ENCODING)]
Audio = Annotated[bool, _option("--audio/--no-audio", help="Keep the sound.", panel=_ENCODING)]
ShardMegabytes = Annotated[
    float, _option("--max-size", min=0.001, help="MB of a shard.", panel=_SHARDS)
]
ShardCount = Annotated[int, _option("--max-count", min=1, help="Videos of a shard.", panel=_SHARDS)]

# serve
Host = Annotated[
    str, _option("--host", help="Address to listen on; the default is reached from here only.")
]
Port = Annotated[
    int, _option("--port", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
]
AllowHost = Annotated[
    list[str] | None,
    _option(
        "--allow-host",
        help="Another name by which the server may be called; repeat it.",
        show_default="those of --host",
    ),
]
Token = Annotated[
    str | None,
    _option(
        "--token",
        help="What requests must show.",
        envvar="PYTORCHVIDEO_TOKEN",
        show_default="none is asked for",
    ),
]
MaxMegabytes = Annotated[float, _option("--max-size", help="Largest file, in MB.", panel=_CLIPS)]
MaxSeconds = Annotated[
    float, _option("--max-seconds", help="Longest video, in seconds.", panel=_CLIPS)
]


@dataclass(frozen=True)
class ModelOptions:
    """What a command line says of its model; :func:`takes_model` makes options of the fields."""

    run: Run = None
    model: Model = None
    weights: Weights = None
    labels: Labels = None
    artefact: Artefact = None
    trust: Trust = False
    zero_shot: ZeroShot = None
    device: Device = "auto"

    def or_default_run(self) -> "ModelOptions":
        """Returns the same with the finished run in ``run``, which is said, where no model is named."""
        named = (self.run, self.model, self.weights, self.artefact, self.zero_shot)
        if any(one is not None for one in named) or not (DEFAULT_RUN / "model.pt").is_file():
            return self
        say(f"no model is named: the run in {DEFAULT_RUN} is used")
        return replace(self, run=DEFAULT_RUN)

    @property
    def title(self) -> str:
        """The model in words, for people."""
        if self.model is not None and self.weights is not None:
            return f"{self.model} with {self.weights}"
        if self.zero_shot is not None:
            return self.model or "Zero-shot"
        return str(self.run or self.artefact or self.model or self.weights)

    def load(self, **size: int | None) -> "VideoPredictor":
        """Returns the model on its device; for the errors see :func:`~pytorchvideo.inference.loading.load_predictor`.

        Args:
            size: ``num_frames`` and ``crop_size``, in the place of the model's own.
        """
        from pytorchvideo.inference.loading import load_predictor

        sources: dict[str, str | Path | None] = {
            "run": self.run,
            "artefact": self.artefact,
            "model": self.model,
        }
        given = [name for name, source in sources.items() if source is not None]
        if self.zero_shot is not None and given not in ([], ["model"]):
            raise ValueError(
                "Expected --zero-shot with --model alone: its classes are those that it names."
            )
        if len(given) > 1:
            named = " and ".join(f"--{name}" for name in given)
            raise ValueError(f"Expected one of --model, --run and --artefact, but got {named}.")
        source, weights = (sources[given[0]] if given else None), self.weights
        if not given and self.zero_shot is None:  # a model file has its network
            source, weights = weights, None
        return load_predictor(
            source,
            weights=weights,
            labels=self.labels,
            zero_shot=classes_of(self.zero_shot),
            trust=self.trust,
            kind="run" if self.run else "artefact" if self.artefact else None,
            device=self.device,
            **size,
        )


def takes_model(*, zero_shot: bool = False) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command the options of :class:`ModelOptions` in the place of its parameter ``chosen``.

    Args:
        zero_shot: whether ``--zero-shot`` is one of them.
    """
    names = [one.name for one in fields(ModelOptions) if zero_shot or one.name != "zero_shot"]
    hints = ModelOptions.__annotations__
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(
            name, keyword, default=getattr(ModelOptions, name), annotation=hints[name]
        )
        for name in names
    ]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @wraps(command)
        def with_options(**given: Any) -> None:
            chosen = ModelOptions(**{name: given.pop(name) for name in names})
            command(chosen=chosen.or_default_run(), **given)

        parameters: list[inspect.Parameter] = []
        for parameter in inspect.signature(command).parameters.values():
            is_place = parameter.name == "chosen"
            parameters += options if is_place else [parameter.replace(kind=keyword)]
        with_options.__annotations__ = {one.name: one.annotation for one in parameters}
        # Typer reads the options from it
        with_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return with_options

    return decorate


def clips_of(text: str) -> int | str:
    """``--clips`` as the predictor takes it.

    >>> clips_of("4"), clips_of("10x3")
    (4, '10x3')
    """
    return int(text) if text.isdecimal() else text


def workers_of(asked: int | None, videos: int, recipe: "ClipRecipe", views: int) -> int:
    """``--workers`` for so many videos."""
    from pytorchvideo.inference.clips import workers_for

    return workers_for(videos, recipe, views) if asked is None else asked


def classes_of(text: str | None) -> list[str]:
    """``--zero-shot`` as names of classes.

    >>> classes_of("archery, playing chess,"), classes_of(None)
    (['archery', 'playing chess'], [])
    """
    return [name.strip() for name in (text or "").split(",") if name.strip()]


def was_given(ctx: typer.Context, name: str) -> bool:
    """Whether an option stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
