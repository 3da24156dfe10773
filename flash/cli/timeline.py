# SPDX-License-Identifier: Apache-2.0
"""The command ``timeline``: predictions over a long video."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from flash.cli import kept
from flash.cli import options as opt
from flash.cli.interrupts import going_on
from flash.cli.printing import progress_screen, say, visible
from pytorchvideo._text import counted

_Video = Annotated[str, typer.Argument(metavar="VIDEO", help="A video file.", show_default=False)]
_Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder for json, csv, subtitles (srt, vtt) and the chart."),
]
_Every = Annotated[
    float | None,
    typer.Option(
        "--every",
        help="Seconds from the start of a clip to that of the next.",
        show_default="the length of a clip",
    ),
]
_BatchSize = Annotated[int, typer.Option("--batch-size", min=1, help="Clips in the model at once.")]
_MinScore = Annotated[
    float,
    typer.Option("--min-score", min=0, max=1, help="Least probability of what a stretch is named."),
]
_MinDuration = Annotated[
    float,
    typer.Option(
        "--min-duration",
        min=0,
        help="Least seconds of a stretch: shorter changes are averaged away or left out.",
    ),
]
_Resume = Annotated[bool, typer.Option("--resume", help="Go on with what is in --out.")]


@opt.takes_model(zero_shot=True)
def timeline(
    video: _Video,
    out: _Out,
    chosen: opt.ModelOptions,
    every: _Every = None,
    batch_size: _BatchSize = 4,
    views: opt.Views = 1,
    start: opt.Start = 0.0,
    end: opt.End = None,
    top: opt.Top = 5,
    min_score: _MinScore = 0.0,
    min_duration: _MinDuration = 0.0,
    resume: _Resume = False,
    as_json: opt.AsJson = False,
) -> None:
    """Name what happens in each part of a long video, and write it as json, csv, subtitles and a chart."""
    going_on(lambda: kept.by_timeline(out))
    from flash.runs.progress import showing
    from pytorchvideo.inference.timeline.files import FILES
    from pytorchvideo.inference.timeline.make import TimelineOptions, make_timeline
    from pytorchvideo.inference.timeline.timeline import clock

    predictor = chosen.load()
    predictor.batch_size = batch_size
    options = TimelineOptions(every, views, start, end, top, min_score, min_duration)
    screen = progress_screen()
    with showing(screen, "clips") as bar:
        made = make_timeline(predictor, video, out, options, resume=resume, progress=bar)
    meter = bar.last.meter
    if meter is not None and meter.clips:
        first = len(made.windows) - meter.clips
        seconds = made.windows[len(made.windows) - 1][1] - made.windows[first][0]
        speed = f"{meter}, {seconds / meter.seconds:.1f} times as fast as the video"
        screen.print(speed, highlight=False, soft_wrap=True)
    gaps = list(made.gaps())
    if gaps:
        count = sum(gap.clips for gap in gaps)
        where = f"{clock(gaps[0].start_sec)}-{clock(gaps[0].end_sec)}"
        say(
            f"{count} of {counted(len(made.windows), 'clip')} could not be read, the first in {where}: {gaps[0].reason}"
        )
    say(f"{', '.join(FILES)} are in {out}")
    if as_json:
        typer.echo(json.dumps([asdict(segment) for segment in made.segments()], indent=1))
        return
    segments = list(made.segments())
    if not segments:
        say(
            f"no stretch is named: none reaches --min-score {min_score:g} and --min-duration {min_duration:g}"
        )
    for segment in segments:
        span = f"{clock(segment.start_sec)}-{clock(segment.end_sec)}"
        typer.echo(visible(f"{span}  {segment.score:.3f}  {segment.label}"))
