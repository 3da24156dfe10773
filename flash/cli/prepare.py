# SPDX-License-Identifier: Apache-2.0
"""The command ``prepare``."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from flash._errors import SOME_BAD
from flash.cli import kept, panels
from flash.cli import options as opt
from flash.cli.interrupts import going_on
from flash.cli.panels import option
from flash.cli.printing import progress_screen, say, visible


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


_PrepareSource = Annotated[
    str,
    typer.Argument(
        metavar="SRC",
        help="A folder of videos; for --shards alone also a list file.",
        show_default=False,
    ),
]
_PreparedOut = Annotated[
    Path | None,
    option(
        "--out",
        "-o",
        help="Encode the videos into this folder.",
        panel=panels.RESULT,
        show_default="none is encoded",
    ),
]
_Shards = Annotated[
    Path | None,
    option(
        "--shards",
        help="Pack the videos into tar files in this folder.",
        panel=panels.RESULT,
        show_default="none is packed",
    ),
]
_ShortSide = Annotated[
    int,
    option(
        "--short-side", min=0, help="Of pictures, in pixels; 0 keeps it.", panel=panels.ENCODING
    ),
]
_Gop = Annotated[
    int,
    option(
        "--gop", min=1, max=100_000, help="Frames to the next key frame.", panel=panels.ENCODING
    ),
]
_Crf = Annotated[
    int, option("--crf", min=0, max=51, help="Quality: less is better.", panel=panels.ENCODING)
]
_Preset = Annotated[
    X264Preset, option("--preset", help="Of x264: time for size.", panel=panels.ENCODING)
]
_Audio = Annotated[
    bool, option("--audio/--no-audio", help="Keep the sound.", panel=panels.ENCODING)
]
_ShardMegabytes = Annotated[
    float, option("--max-size", min=0.001, help="MB of a shard.", panel=panels.SHARDS)
]
_ShardCount = Annotated[
    int, option("--max-count", min=1, help="Videos of a shard.", panel=panels.SHARDS)
]


def prepare(
    ctx: typer.Context,
    source: _PrepareSource,
    out: _PreparedOut = None,
    shards: _Shards = None,
    jobs: opt.Jobs = None,
    short_side: _ShortSide = 320,
    gop: _Gop = 12,
    crf: _Crf = 21,
    preset: _Preset = X264Preset.fast,
    audio: _Audio = True,
    max_size: _ShardMegabytes = 1000.0,
    max_count: _ShardCount = 10_000,
    as_json: opt.AsJson = False,
) -> None:
    """Encode a folder of videos for training (--out), or pack videos into shards (--shards), or both.

    SRC is never written. A second run with the same --out does what is left. Status 0: all are good. 1: some are
    bad. 2: nothing could be done.
    """
    going_on(lambda: kept.by_prepare(out, shards))
    from flash.runs.progress import showing
    from pytorchvideo.data.preparing.encode import TrainingFormat
    from pytorchvideo.data.preparing.prepare import prepare_videos

    for name in ("short_side", "gop", "crf", "preset", "audio") if out is None else ():
        if opt.was_given(ctx, name):
            raise ValueError(f"--{name.replace('_', '-')} is of no use without --out.")
    with showing(progress_screen(), "prepare") as bar:
        summary = prepare_videos(
            source,
            out,
            shards,
            TrainingFormat(short_side or None, gop, crf, preset.value, audio),
            jobs=jobs,
            limits={"max_bytes": int(max_size * 1e6), "max_count": max_count},
            progress=bar,
            say=say,
        )
    typer.echo(
        json.dumps(summary.to_dict(), indent=1) if as_json else visible("\n".join(summary.lines()))
    )
    if summary.bad:
        raise typer.Exit(SOME_BAD)
