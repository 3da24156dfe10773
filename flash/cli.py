# SPDX-License-Identifier: Apache-2.0
"""The command line, ``pytorchvideo``: demo, train, evaluate, predict, models, check, doctor.

Exit status: 0 for success; 1 when ``check`` found bad files or ``doctor`` something required that does
not work; 2 for input that cannot be used, with one sentence on standard error. Answers go to standard
output, progress and remarks to standard error.

Commands import what they need when they run, so that ``--help`` does not wait for torch.
"""

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from flash._errors import BAD_INPUT, Commands, say, sentence_of

if TYPE_CHECKING:
    from flash.scores import ClipResult

app = typer.Typer(
    name="pytorchvideo",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train, evaluate and use video classifiers.",
)


class Strategy(str, Enum):
    """What is trained."""

    no_freeze = "no_freeze"
    freeze = "freeze"
    probe = "probe"


class Optimizer(str, Enum):
    """How."""

    adamw = "AdamW"
    sgd = "SGD"


_FROM = "Where the model comes from"
_CLIPS = "Clips"
_TRAINING = "Training"
_SPLIT = "Split"
_RESULT = "Result"


def _option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:
    more.setdefault("show_default", True)
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)


Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder per class (or train/ and val/ of such), or a list file: `path label` lines or a csv.",
        show_default=False,
    ),
]
Run = Annotated[Path | None, _option("--run", help="Folder of a finished run.", panel=_FROM)]
Model = Annotated[str | None, _option("--model", "-m", help="A model of the zoo.", panel=_FROM)]
Weights = Annotated[
    Path | None,
    _option("--weights", "-w", help="File of weights; without it the published ones.", panel=_FROM),
]
Labels = Annotated[
    Path | None,
    _option("--labels", help="Class names of the weights: a line each, or json.", panel=_FROM),
]
Views = Annotated[int, _option("--views", help="Crops of each clip: 1, or 3 for both sides too.")]
Clips = Annotated[int, _option("--clips", min=1, help="Clips of each video, spread evenly.")]
AsJson = Annotated[bool, _option("--json", help="Print json and nothing else.")]
Seed = Annotated[int, _option("--seed", min=0, help="Of everything random.")]


def main() -> None:
    """Entry point of the command."""
    app()


@app.callback()
def _options() -> None:
    """Train, evaluate and use video classifiers."""


def _progress_console() -> Console:
    return Console(stderr=True)


def _answer_console() -> Console:
    return Console(highlight=False)


@app.command()
def demo(
    out: Annotated[Path, _option("--out", "-o", help="Folder for the videos and the run.")] = Path(
        "demo"
    ),
    seed: Seed = 0,
) -> None:
    """Write a small labelled set of videos, train on it, evaluate, predict, report."""
    from flash.demo import run_demo

    answer = _answer_console()
    result = run_demo(out, seed=seed, console=_progress_console())
    _print_results(answer, result.summary.results, result.summary.labels)
    answer.print(f"unseen clip {result.files.unseen} ({result.files.unseen_label}):")
    for label, score in result.unseen:
        answer.print(f"  {label:<10} {score:.3f}")
    answer.print(f"report: {result.summary.folder.report}", soft_wrap=True)
    answer.print(
        f"{result.summary.accuracy:.1%} of {len(result.summary.results)} held-out videos are right, "
        f"{result.seconds:.0f} s in all."
    )


@app.command()
def train(
    ctx: typer.Context,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="DATA",
            help="A folder per class (or train/ and val/ of such), or a list file: "
            "`path label` lines or a csv. Not needed with --resume.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, _option("--out", "-o", help="Folder of the run.", panel=_RESULT)] = Path(
        "run"
    ),
    resume: Annotated[
        bool, _option("--resume", help="Go on with the run in --out.", panel=_RESULT)
    ] = False,
    model: Annotated[
        str, _option("--model", "-m", help="A model of the zoo.", panel=_FROM)
    ] = "x3d_xs",
    weights: Annotated[
        Path | None, _option("--weights", "-w", help="Start from this file.", panel=_FROM)
    ] = None,
    pretrained: Annotated[
        bool, _option("--pretrained", help="Start from the published weights.", panel=_FROM)
    ] = False,
    strategy: Annotated[
        Strategy,
        _option(
            "--strategy",
            help="Train everything, only the classifier and BatchNorm, or the classifier on cached features.",
            panel=_TRAINING,
        ),
    ] = Strategy.no_freeze,
    epochs: Annotated[
        int | None, _option("--epochs", help="Passes over the videos.", panel=_TRAINING)
    ] = None,
    batch_size: Annotated[
        int, _option("--batch-size", help="Clips in a batch.", panel=_TRAINING)
    ] = 8,
    optimizer: Annotated[
        Optimizer, _option("--optimizer", help="Optimiser.", panel=_TRAINING)
    ] = Optimizer.adamw,
    lr: Annotated[
        float | None, _option("--lr", help="Highest learning rate.", panel=_TRAINING)
    ] = None,
    weight_decay: Annotated[
        float | None, _option("--weight-decay", help="Weight decay.", panel=_TRAINING)
    ] = None,
    views: Annotated[
        int, _option("--train-views", help="Cached views of a video, for probe.", panel=_TRAINING)
    ] = 3,
    workers: Annotated[
        int,
        _option(
            "--workers", help="Processes that decode; 0 decodes in the main one.", panel=_TRAINING
        ),
    ] = 0,
    frames: Annotated[
        int | None, _option("--frames", help="Frames of a clip.", panel=_CLIPS)
    ] = None,
    crop: Annotated[
        int | None, _option("--crop", help="Side of a clip in pixels.", panel=_CLIPS)
    ] = None,
    clip_duration: Annotated[
        float | None, _option("--clip-duration", help="Seconds of a clip.", panel=_CLIPS)
    ] = None,
    flip: Annotated[
        bool, _option("--flip/--no-flip", help="Mirror clips at random.", panel=_CLIPS)
    ] = True,
    clips: Annotated[
        int, _option("--clips", help="Clips of each held-out video.", panel=_CLIPS)
    ] = 2,
    val_split: Annotated[
        float, _option("--val-split", help="Share to hold out, if DATA is not split.", panel=_SPLIT)
    ] = 0.25,
    group_by: Annotated[
        str | None,
        _option(
            "--group-by",
            help="Regular expression; what it matches in a path names its source.",
            panel=_SPLIT,
        ),
    ] = None,
    groups: Annotated[
        Path | None, _option("--groups", help="File of `path source` lines.", panel=_SPLIT)
    ] = None,
    seed: Seed = 0,
) -> None:
    """Train a classifier on DATA, evaluate it on held-out videos, write a report."""
    given: dict[str, Any] = {
        "data": data,
        "model": model,
        "weights": None if weights is None else str(weights),
        "pretrained": pretrained,
        "strategy": strategy.value,
        "epochs": epochs,
        "frames": frames,
        "crop": crop,
        "clip_duration": clip_duration,
        "batch_size": batch_size,
        "optimizer": optimizer.value,
        "lr": lr,
        "weight_decay": weight_decay,
        "seed": seed,
        "val_split": val_split,
        "group_by": group_by,
        "groups": None if groups is None else str(groups),
        "flip": flip,
        "clips": clips,
        "views": views,
        "workers": workers,
    }
    from flash import runs

    if resume:
        asked = [name for name in given if _was_given(ctx, name)]
        runs.check_same(runs.RunFolder(out), {name: given[name] for name in asked})
    if data is None:
        config = runs.RunFolder(out).read_config() if resume else None
        if config is None:
            raise ValueError("Expected DATA: a folder of videos per class, or a list file.")
    else:
        config = runs.RunConfig(**given)
    summary = runs.train(config, out, resume=resume, console=_progress_console())
    answer = _answer_console()
    _print_results(answer, summary.results, summary.labels)
    for path, reason in summary.skipped:
        say(f"skipped {path}: {reason}")
    answer.print(f"report: {summary.folder.report}", soft_wrap=True)


def _was_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


@app.command()
def evaluate(
    data: Data,
    run: Run = None,
    model: Model = None,
    weights: Weights = None,
    labels: Labels = None,
    clips: Clips = 4,
    views: Views = 1,
    top_k: Annotated[
        int, _option("--top-k", min=1, help="Also count the true class among the K first.")
    ] = 5,
    out: Annotated[
        Path | None, _option("--out", "-o", help="Folder for predictions.json and report.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how well a trained model does on labelled videos."""
    from flash.evaluation import evaluate_data

    found = evaluate_data(
        data,
        run=run,
        model=model,
        weights=weights,
        labels=labels,
        clips=clips,
        views=views,
        out=out,
        console=_progress_console(),
    )
    for path, reason in found.skipped:
        say(f"skipped {path}: {reason}")
    if as_json:
        typer.echo(json.dumps(found.to_dict(top_k), indent=1))
        return
    answer = _answer_console()
    _print_results(answer, found.results, found.labels)
    if top_k < len(found.labels):
        answer.print(f"top-{top_k} accuracy {found.accuracy(top_k):.1%}")


def _print_results(
    console: Console, results: "list[ClipResult] | Any", labels: "list[str] | Any"
) -> None:
    """A table of the classes, and the accuracy."""
    from flash.scores import accuracy, class_scores

    table = Table("class", box=box.SIMPLE_HEAD)
    for name in ("precision", "recall", "F1", "videos"):
        table.add_column(name, justify="right")
    for row in class_scores(results, labels):
        if row.count:
            numbers = (f"{row.precision:.3f}", f"{row.recall:.3f}", f"{row.f1:.3f}", str(row.count))
            table.add_row(row.label, *numbers)
    console.print(table)
    right = sum(result.correct for result in results)
    console.print(f"accuracy {accuracy(results):.1%} ({right} of {len(results)} videos)")


@app.command()
def predict(
    videos: Annotated[
        list[str], typer.Argument(metavar="VIDEO...", help="Video files.", show_default=False)
    ],
    run: Run = None,
    model: Model = None,
    weights: Weights = None,
    labels: Labels = None,
    top: Annotated[int, _option("--top", "-k", min=1, help="Labels of each video.")] = 5,
    clips: Clips = 4,
    views: Views = 1,
    start: Annotated[
        float, _option("--start", help="Look at the video from this second on.")
    ] = 0.0,
    end: Annotated[float | None, _option("--end", help="Look at it up to this second.")] = None,
    as_json: AsJson = False,
) -> None:
    """Name what happens in videos."""
    from flash.evaluation import load_predictor

    predictor = load_predictor(run=run, model=model, weights=weights, labels=labels)
    answers, bad = [], []
    for video in videos:
        try:
            named = predictor.predict(
                video, clips=clips, views=views, top_k=top, start_sec=start, end_sec=end
            )
        except Exception as error:
            sentence = sentence_of(error)
            if sentence is None:
                raise
            bad.append(video)
            say(sentence)
            continue
        answers.append({"video": video, "labels": [{"label": n, "score": s} for n, s in named]})
        if not as_json:
            _print_answer(video, named)
    if as_json:
        typer.echo(json.dumps(answers, indent=1))
    if bad:
        raise typer.Exit(BAD_INPUT)


def _print_answer(video: str, named: list[tuple[str, float]]) -> None:
    console = _answer_console()
    console.print(video, style="bold", soft_wrap=True, markup=False)
    for label, score in named:
        console.print(f"  {score:6.1%}  {label}", markup=False)


@app.command()
def models(as_json: AsJson = False) -> None:
    """List the models of the zoo with what is published of their weights."""
    from pytorchvideo.models._registry import get_weights, list_models

    zoo = [get_weights(name) for name in list_models()]
    if as_json:
        rows = [
            {
                "model": weights.name,
                "metrics": dict(weights.metrics),
                "protocol": weights.protocol,
                "gflops": weights.gflops,
                "num_parameters": weights.num_parameters,
                "num_classes": len(weights.labels),
                "recipe": weights.recipe.to_dict(),
                "licence": weights.licence,
                "source": weights.source,
                "url": weights.url,
                "sha256": weights.sha256,
            }
            for weights in zoo
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("model", box=box.SIMPLE_HEAD)
    for name in ("top-1 %", "top-5 %", "GFLOPs", "parameters M", "frames", "crop", "classes"):
        table.add_column(name, justify="right")
    for weights in zoo:
        scores = [
            f"{weights.metrics[k]:.2f}" if k in weights.metrics else "–" for k in ("top1", "top5")
        ]
        table.add_row(
            weights.name,
            *scores,
            f"{weights.gflops:g}",
            f"{weights.num_parameters / 1e6:.2f}",
            f"{weights.recipe.num_frames}x{weights.recipe.sampling_rate}",
            str(weights.recipe.crop_size),
            str(len(weights.labels)),
        )
    _answer_console().print(table)


@app.command()
def check(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder of videos, a list file, or one video.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None, _option("--out", "-o", help="Write what was found to this json.")
    ] = None,
    jobs: Annotated[
        int | None, _option("--jobs", min=1, help="Files at a time; all cores by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read every video from its first frame to its last; say which are bad, and why.

    Status 0: all are good. 1: some are bad. 2: nothing could be checked.
    """
    from flash.scan import scan

    found = scan(data, jobs=jobs, console=_progress_console(), out=out)
    bad = [entry for entry in found if not entry.good]
    if as_json:
        typer.echo(json.dumps([entry.to_dict() for entry in found], indent=1))
    else:
        console = _answer_console()
        for entry in bad:
            console.print(f"bad: {entry.path}: {entry.reason}", soft_wrap=True, markup=False)
        console.print(f"{len(found)} videos, {len(bad)} bad")
    if bad:
        raise typer.Exit(1)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say what works here and what does not, with the reason."""
    from flash.doctor import diagnose

    findings = diagnose()
    if as_json:
        typer.echo(json.dumps([finding.to_dict() for finding in findings], indent=1))
    else:
        table = Table("", "what", "detail", box=box.SIMPLE_HEAD)
        for finding in findings:
            mark = "ok" if finding.works else ("BROKEN" if finding.required else "–")
            style = "green" if finding.works else ("bold red" if finding.required else "dim")
            table.add_row(f"[{style}]{mark}[/]", finding.name, finding.detail)
        _answer_console().print(table)
    if any(finding.required and not finding.works for finding in findings):
        raise typer.Exit(1)


if __name__ == "__main__":
    main()
