# SPDX-License-Identifier: Apache-2.0
"""The command ``prepare``."""

import json

import typer

from flash._errors import SOME_BAD
from flash.cli import kept
from flash.cli import options as opt
from flash.cli.interrupts import going_on
from flash.cli.printing import progress_screen, say, visible


def prepare(
    ctx: typer.Context,
    source: opt.PrepareSource,
    out: opt.PreparedOut = None,
    shards: opt.Shards = None,
    jobs: opt.Jobs = None,
    short_side: opt.ShortSide = 320,
    gop: opt.Gop = 12,
    crf: opt.Crf = 21,
    preset: opt.Preset = opt.X264Preset.fast,
    audio: opt.Audio = True,
    max_size: opt.ShardMegabytes = 1000.0,
    max_count: opt.ShardCount = 10_000,
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
