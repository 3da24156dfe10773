# SPDX-License-Identifier: Apache-2.0
"""The command ``reproduce``: a published test, and its figures beside the published ones."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.table import Table

from flash.cli import kept, panels
from flash.cli import options as opt
from flash.cli.interrupts import going_on
from flash.cli.panels import option
from flash.cli.printing import answer_screen, progress_screen, say

if TYPE_CHECKING:
    from pytorchvideo.evaluation.reproduction import Figure

_Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A model of the zoo, or with --protocol any other.",
        show_default=False,
    ),
]
_Protocol = Annotated[
    str | None,
    option(
        "--protocol",
        metavar="CLIPSxCROPS",
        help='Other clips and crops than the published ones, as "10x3".',
        panel=panels.CLIPS,
        show_default="the published one",
    ),
]
_Shard = Annotated[
    str | None,
    option(
        "--shard",
        metavar="K/N",
        help="The K-th of N parts of the videos; the last part to be done writes the figures of all.",
        show_default="all videos, or those of a rank of torchrun",
    ),
]
_Fps = Annotated[
    float,
    option("--fps", min=0.001, help="Frames a second of folders of frames.", panel=panels.CLIPS),
]
_BatchSize = Annotated[int, option("--batch-size", min=1, help="Clips in the model at once.")]
_Out = Annotated[
    Path,
    option(
        "--out",
        "-o",
        help="Folder for the scores of videos and reproduce.json.",
        panel=panels.RESULT,
    ),
]
_Resume = Annotated[
    bool, option("--resume", help="Go on with what is in --out.", panel=panels.RESULT)
]


def reproduce(
    model: _Model,
    data: opt.Data,
    weights: opt.Weights = None,
    labels: opt.Labels = None,
    device: opt.Device = "auto",
    protocol: _Protocol = None,
    batch_size: _BatchSize = 4,
    workers: opt.Readers = None,
    shard: _Shard = None,
    fps: _Fps = 30.0,
    out: _Out = Path("reproduced"),
    resume: _Resume = False,
    as_json: opt.AsJson = False,
) -> None:
    """Run the published test of a model on labelled videos, and compare with its published figures."""
    going_on(lambda: kept.by_reproduce(out))
    import torch

    from flash.runs.progress import showing
    from pytorchvideo.evaluation.labelled import labelled_videos
    from pytorchvideo.evaluation.official import official_test
    from pytorchvideo.evaluation.reproduce import RESULT, Shard, reproduce_shard

    part = Shard.of_ranks() if shard is None else Shard.parse(shard)
    if device == "auto" and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        device = f"cuda:{os.environ['LOCAL_RANK']}"  # of torchrun, which starts one for each
    test = official_test(model, weights=weights, labels=labels, protocol=protocol, device=device)
    videos = labelled_videos(data, test.labels, multi_label=test.multi_label)
    of = test.views.protocol
    readers = opt.workers_of(workers, len(videos.paths), test.views.recipe, of.crops)
    with showing(progress_screen(), "videos") as bar:
        found = reproduce_shard(
            test,
            videos,
            out,
            part,
            workers=readers,
            batch_size=batch_size,
            resume=resume,
            fps=fps,
            progress=bar,
        )
    if found is None:
        say(f"shard {part} is done; the last of the others to be done writes the figures of all.")
        return
    for path, reason in found.skipped:
        say(f"skipped {path}: {reason}")
    if found.table.endswith(".csv"):
        say("The scores are in a csv file: parquet needs pyarrow (pip install pyarrow).")
    said = found.to_dict()
    say(f"{found.table} and {RESULT} are in {out}")
    if as_json:
        typer.echo(json.dumps(said, indent=1))
        return
    screen = answer_screen()
    rule = said["protocol"]
    clips = f"{rule['frames']} frames at a distance of {rule['sampling_rate']}"
    sides = f"short side {rule['short_side']}, crop {rule['crop']}"
    scores = f"{of.activation} of {rule['activation_of']}, {of.combine} over views"
    screen.print(
        f"{model}, {of.clips} x {of.crops} views: {clips}, {sides}, clips begin {rule['start_rule_in_words']}; "
        f"{scores}, {rule['channels'].upper()}",
        soft_wrap=True,
    )
    screen.print(figures_table(found.figures))
    screen.print("{scored} of {listed} videos".format(**said["videos"]))
    for cause in found.causes:
        screen.print(f"- {cause}", soft_wrap=True)


def figures_table(figures: "dict[str, Figure]") -> Table:
    """Figures in percent, a row each, beside the published ones."""
    shown = Table("figure", box=box.SIMPLE_HEAD)
    for name in ("here", "95 % interval", "published", "difference and its interval"):
        shown.add_column(name, justify="right")
    for name, figure in figures.items():
        interval = figure.difference_interval
        shown.add_row(
            name,
            f"{figure.value:.2f}",
            f"{figure.low:.2f} to {figure.high:.2f}",
            "–" if figure.published is None else f"{figure.published:.2f}",
            "–" if interval is None else _difference(figure.difference, interval),
        )
    return shown


def _difference(value: float | None, interval: tuple[float, float]) -> str:
    return f"{value:+.2f} ({interval[0]:+.2f} to {interval[1]:+.2f})"
