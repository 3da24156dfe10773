# SPDX-License-Identifier: Apache-2.0
"""The command ``explain``."""

import json
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from flash.cli import options as opt
from flash.cli import panels
from flash.cli.printing import progress_screen, say, visible
from pytorchvideo._checks import expected


class MethodName(str, Enum):
    """The names of :data:`pytorchvideo.inference.explain.explanation.METHODS`."""

    gradcam = "gradcam"
    rollout = "rollout"
    occlusion = "occlusion"
    integrated_gradients = "integrated-gradients"


_Video = Annotated[str, typer.Argument(metavar="VIDEO", help="A video file.", show_default=False)]
_Out = Annotated[
    Path, typer.Option("--out", "-o", help="Folder for an mp4, a GIF, a strip, a curve and json.")
]
_Label = Annotated[
    str | None, typer.Option("--label", "-l", help="What to explain.", show_default="the likeliest")
]
_Method = Annotated[
    MethodName | None,
    typer.Option(
        "--method",
        help="Class-activation maps, attention roll-out, occlusion, or integrated gradients.",
        show_default="gradcam for the CNNs of the zoo, rollout for transformers, otherwise occlusion",
    ),
]
_Layer = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        help="Layer of the network, for gradcam; repeat it, once a pathway.",
        show_default="the last feature maps",
    ),
]
_Box = Annotated[
    str | None,
    typer.Option(
        "--box",
        metavar="X1,Y1,X2,Y2",
        help="Pixels of the video: the json says which share of the map is within.",
        show_default="none",
    ),
]
_Clips = Annotated[
    str,
    opt.option(
        "--clips",
        help='Clips of the video, spread evenly; one is its middle, and "uniform" covers all of it.',
        panel=panels.CLIPS,
    ),
]


@opt.takes_model()
def explain(
    video: _Video,
    out: _Out,
    chosen: opt.ModelOptions,
    label: _Label = None,
    method: _Method = None,
    layer: _Layer = None,
    box: _Box = None,
    clips: _Clips = "1",
    start: opt.Start = 0.0,
    end: opt.End = None,
    as_json: opt.AsJson = False,
) -> None:
    """Show what a label of a video rests on: maps on its frames, as an animation, an image and numbers."""
    from flash.runs.progress import showing
    from pytorchvideo._locks import alone_in

    corners = None if box is None else _corners(box)
    with alone_in(out):
        predictor = chosen.load()
        with showing(progress_screen(), "explain") as bar:
            found = predictor.explain(
                video,
                label=label,
                method=None if method is None else method.value,
                clips=opt.clips_of(clips),
                start_sec=start,
                end_sec=end,
                layers=layer or None,
                box=corners,
                progress=bar,
            )
        names = found.save(out)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
        return
    for clip in found.clips:
        share = clip.share_in_box
        within = "" if share is None else f"  {share:.1%} within the box"
        span = f"{clip.start_sec:.2f}-{clip.end_sec:.2f} s"
        typer.echo(visible(f"{span}  {clip.score:.3f}  {found.label} ({found.method}){within}"))
    say(f"{', '.join(names)} are in {out}")


def _corners(text: str) -> list[float]:
    """``--box`` as four numbers."""
    from pytorchvideo.inference.explain.pointing import check_box

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(expected("--box", "four numbers X1,Y1,X2,Y2", text)) from error
    return list(check_box(numbers))
