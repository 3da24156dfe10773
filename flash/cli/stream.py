# SPDX-License-Identifier: Apache-2.0
"""The command ``stream``: predictions on a camera, a stream, a pipe or a file."""

import json
import re
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flash.cli import options as opt
from flash.cli.interrupts import going_on
from flash.cli.printing import say, visible
from pytorchvideo._checks import expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytorchvideo.data.captioned_video import DrawnVideo
    from pytorchvideo.data.live import LiveVideo, RawFormat
    from pytorchvideo.inference.stream.predictor import StreamAnswer

_SOURCE = "Source"
_PACE = "Pace"
_RESULT = "Result"

_Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A file, the number of a camera, an address (rtsp://...), or - for standard input.",
        show_default=False,
    ),
]
_Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WxH",
        help="Of raw frames; of a camera, the mode to ask for.",
        show_default="of the source",
        rich_help_panel=_SOURCE,
    ),
]
_Rate = Annotated[
    str | None,
    typer.Option(
        "--rate",
        help="Frames per second, with --size.",
        rich_help_panel=_SOURCE,
        show_default="30",
    ),
]
_PixelFormat = Annotated[
    str,
    typer.Option("--pixel-format", help="FFmpeg's name, of raw frames.", rich_help_panel=_SOURCE),
]
_Timeout = Annotated[
    float,
    typer.Option(
        "--timeout", help="Seconds without data from the network.", rich_help_panel=_SOURCE
    ),
]
_Reconnect = Annotated[
    int,
    typer.Option(
        "--reconnect",
        min=0,
        help="Attempts in a row to reach a lost stream again.",
        rich_help_panel=_SOURCE,
    ),
]
_Every = Annotated[
    float,
    typer.Option(
        "--every",
        help="Seconds from one prediction to the next; 0 is as often as possible.",
        rich_help_panel=_PACE,
    ),
]
_Realtime = Annotated[
    bool | None,
    typer.Option(
        "--realtime/--no-realtime",
        help="Drop frames rather than fall behind (a file plays at its own speed), or wait and drop none.",
        rich_help_panel=_PACE,
        show_default="--realtime, but --no-realtime for a file",
    ),
]
_Incremental = Annotated[
    bool,
    typer.Option(
        "--incremental",
        help="Compute each frame once (X3D and Slow): far less work, later answers.",
        rich_help_panel=_PACE,
    ),
]
_Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        help="End after so much of the source.",
        rich_help_panel=_PACE,
        show_default="its end",
    ),
]
_Smooth = Annotated[
    float,
    typer.Option(
        "--smooth",
        help="Share of the scores before in each prediction, from 0 to below 1.",
        rich_help_panel=_RESULT,
    ),
]
_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Write the video with the labels on it: .mp4 or .mkv.",
        rich_help_panel=_RESULT,
        show_default="none is written",
    ),
]
_AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print a line of json for each.", rich_help_panel=_RESULT),
]


@opt.takes_model()
def stream(
    source: _Source,
    chosen: opt.ModelOptions,
    size: _Size = None,
    rate: _Rate = None,
    pixel_format: _PixelFormat = "rgb24",
    timeout: _Timeout = 10.0,
    reconnect: _Reconnect = 3,
    every: _Every = 1.0,
    realtime: _Realtime = None,
    incremental: _Incremental = False,
    seconds: _Seconds = None,
    smooth: _Smooth = 0.0,
    top: opt.Top = 3,
    out: _Out = None,
    as_json: _AsJson = False,
) -> None:
    """Name what happens in a camera, a stream, a pipe or a file, while it goes on.

    A live source never waits: frames that the model is too slow for are dropped. Ctrl+C or SIGTERM ends it.
    """
    from pytorchvideo._locks import alone_at
    from pytorchvideo.data.captioned_video import DrawnVideo
    from pytorchvideo.inference.stream.predictor import StreamPredictor

    if seconds is not None and not seconds > 0:
        raise ValueError(expected("--seconds", "> 0", seconds))
    raw = _raw_format(size, rate, pixel_format)
    drawn = None if out is None else DrawnVideo(_other_file(out, source))
    streamed = StreamPredictor(
        chosen.load(), every=every, smooth=smooth, top=top, incremental=incremental
    )
    options = {"realtime": realtime, "raw": raw, "timeout_sec": timeout, "reconnects": reconnect}
    video = streamed.open(source, **options)
    video.on_note = say
    if drawn is not None:
        video.on_frame = drawn.write
    found = streamed.answers(video, seconds=seconds)
    kept = "" if out is None else f"{out} holds what came so far; "
    going_on(lambda: f"{kept}the same command starts anew.")
    with nullcontext() if out is None else alone_at(out):
        count = _follow(found, video, drawn, as_json, is_pipe=_is_pipe(source))
    if count == 0:
        needed = "the first answer of the incremental mode" if incremental else "the first frame"
        raise ValueError(f"{video.name} ended before {needed}.")


def _follow(
    answers: "Iterator[StreamAnswer]",
    video: "LiveVideo",
    drawn: "DrawnVideo | None",
    as_json: bool,
    *,
    is_pipe: bool,
) -> int:
    """Prints answers until there are no more; returns how many there were."""
    from pytorchvideo.inference.stream.predictor import StreamSummary

    summary = StreamSummary(video.name)
    try:
        for answer in answers:
            summary.add(answer)
            if drawn is not None:
                drawn.lines = [f"{label}  {score:.0%}" for label, score in answer.labels]
            typer.echo(json.dumps(answer.to_dict()) if as_json else visible(_line(answer)))
        return summary.answers
    finally:
        video.close()
        if drawn is not None:
            drawn.close()
        say(summary.sentence(video.read, video.dropped, video.seconds))
        if video.dropped and is_pipe:
            say(
                "--no-realtime drops no frame: whoever writes into the pipe then waits for the model."
            )


def _line(answer: "StreamAnswer") -> str:
    words = [f"{label} {score:.3f}" for label, score in answer.labels]
    span = f"{answer.start_sec:.2f}-{answer.end_sec:.2f} s"
    return "  ".join([span, *words, f"({answer.latency_sec:.3f} s late)"])


def _raw_format(size: str | None, rate: str | None, pixel_format: str) -> "RawFormat | None":
    """What raw frames look like, or None where nothing was said of it."""
    if size is None:
        if rate is not None or pixel_format != "rgb24":
            raise ValueError("Expected --rate and --pixel-format with --size, but got no --size.")
        return None
    from pytorchvideo.data.live import RawFormat

    found = re.fullmatch(r"(\d+)[xX](\d+)", size)
    if found is None:
        raise ValueError(expected("--size", "WIDTHxHEIGHT, as 640x480", size))
    try:
        per_second = Fraction("30" if rate is None else rate)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(expected("--rate", "a number, as 30 or 30000/1001", rate)) from error
    return RawFormat(int(found[1]), int(found[2]), per_second, pixel_format)


def _is_pipe(source: str) -> bool:
    return source == "-" or Path(source).is_fifo()


def _other_file(out: Path, source: str) -> Path:
    if out.exists() and Path(source).exists() and out.samefile(source):
        raise ValueError(expected("--out", "another file than the source", str(out)))
    return out
