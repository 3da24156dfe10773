# SPDX-License-Identifier: Apache-2.0
"""The command ``export``."""

import json
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from flash.cli import options as opt
from flash.cli.printing import answer_screen, say

if TYPE_CHECKING:
    from pytorchvideo.accelerator.deployment.latency import Latency
    from pytorchvideo.accelerator.deployment.runtimes import Precision
    from pytorchvideo.inference.export import Exported


class RuntimeName(str, Enum):
    """The names of :data:`pytorchvideo.accelerator.deployment.runtimes.RUNTIMES`."""

    onnx = "onnx"
    openvino = "openvino"
    executorch = "executorch"
    torch_export = "torch-export"
    aoti = "aoti"


_ARITHMETIC = "Arithmetic"
_CHECKS = "Checks"

_What = Annotated[
    str,
    typer.Argument(
        metavar="MODEL|RUN",
        help="What --model of the other commands takes, but an artefact.",
        show_default=False,
    ),
]
_To = Annotated[RuntimeName, typer.Option("--to", help="The runtime.", show_default=False)]
_Out = Annotated[
    Path,
    typer.Option("--out", "-o", help="Folder of the artefact.", show_default=False),
]
_Int8 = Annotated[
    bool,
    typer.Option("--int8", help="Weights and activations of 8 bits.", rich_help_panel=_ARITHMETIC),
]
_Bf16 = Annotated[
    bool,
    typer.Option(
        "--bf16",
        help="Compute in bfloat16 where the processor can, with --int8 what that leaves (openvino).",
        rich_help_panel=_ARITHMETIC,
    ),
]
_Calibrate = Annotated[
    str | None,
    typer.Option(
        "--calibrate",
        metavar="DATA",
        help="Videos that --int8 finds its ranges with: a folder, a list file, or one.",
        rich_help_panel=_ARITHMETIC,
        show_default="none",
    ),
]
_Dynamic = Annotated[
    bool, typer.Option("--dynamic-batch", help="Take batches of any size, not of one clip.")
]
_Untrained = Annotated[
    bool,
    typer.Option("--untrained", help="Initial weights: to measure a network before training."),
]
_Check = Annotated[
    str | None,
    typer.Option(
        "--check",
        metavar="DATA",
        help="Videos to compare artefact and model on.",
        rich_help_panel=_CHECKS,
        show_default="those that the run has held out, otherwise noise",
    ),
]
_Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        help="Processors of the timing.",
        rich_help_panel=_CHECKS,
        show_default="all",
    ),
]
_Seconds = Annotated[
    float, typer.Option("--seconds", min=0, help="How long to time.", rich_help_panel=_CHECKS)
]
_Size = Annotated[
    str | None,
    typer.Option(
        "--size",
        metavar="WxH",
        help="Of a model that scores boxes: the size of the videos, which are scaled as a whole.",
        show_default="that of a video that the run has held out",
    ),
]
_Compiled = Annotated[
    bool,
    typer.Option(
        "--compiled/--no-compiled",
        help="Also time the model under torch.compile, which takes a minute or more.",
        rich_help_panel=_CHECKS,
    ),
]


def export(
    model: _What,
    to: _To,
    out: _Out,
    weights: opt.Weights = None,
    labels: opt.Labels = None,
    untrained: _Untrained = False,
    frames: opt.Frames = None,
    crop: opt.Crop = None,
    dynamic_batch: _Dynamic = False,
    int8: _Int8 = False,
    bf16: _Bf16 = False,
    calibrate: _Calibrate = None,
    check: _Check = None,
    threads: _Threads = None,
    seconds: _Seconds = 20.0,
    size: _Size = None,
    compiled: _Compiled = True,
    as_json: opt.AsJson = False,
) -> None:
    """Make an artefact of a model for a runtime, compare it with the model, and time both.

    `predict --artefact DIR` uses it.
    """
    from flash.cli.model import load_source
    from pytorchvideo.inference import export as exporting
    from pytorchvideo.inference.detection.loading import is_for_boxes

    if is_for_boxes(model):
        if int8 or bf16 or calibrate or dynamic_batch or untrained:
            raise ValueError(
                "Expected a model that scores boxes without --int8, --bf16, --dynamic-batch and --untrained."
            )
        from flash.cli.detection import export_boxes

        export_boxes(model, to.value, out, weights=weights, labels=labels, size=size)
        return
    if size is not None:
        raise ValueError("Expected --size with a model that scores boxes alone.")

    precisions: dict[tuple[bool, bool], Precision] = {
        (False, False): "fp32",
        (False, True): "bf16",
        (True, False): "int8",
        (True, True): "int8+bf16",
    }
    source = load_source(
        model, weights=weights, labels=labels, frames=frames, crop=crop, untrained=untrained
    )
    done = exporting.export(
        source,
        out,
        runtime=to.value,
        precision=precisions[int8, bf16],
        calibrate=calibrate,
        check=check,
        dynamic_batch=dynamic_batch,
        threads=threads,
        compiled=compiled,
        seconds=seconds,
        say=say,
    )
    for path, reason in done.skipped:
        say(f"skipped {path}: {reason}")
    if as_json:
        typer.echo(json.dumps(done.info.to_dict(), indent=1))
        return
    _print(answer_screen(), done)


def _print(console: Console, done: "Exported") -> None:
    parity, info = done.parity, done.info
    kind = "real clips" if parity.real else "clip of noise: give --check DATA"
    console.print(
        f"{parity.clips} {kind}; largest difference of logits {parity.max_difference:.1e} "
        f"({parity.relative:.1e} of the largest), same class first in {parity.top1_agreement:.1%}",
        soft_wrap=True,
    )
    table = Table("", "median", "p95", "memory", box=box.SIMPLE_HEAD)
    for name, latency in done.latency.items():
        title = f"{info.runtime} {info.precision}" if name == "artefact" else name
        table.add_row(title, *_cells(latency))
    console.print(table)
    console.print(f"artefact: {done.folder}", soft_wrap=True)


def _cells(latency: "Latency") -> list[Any]:
    if latency.failure is not None:
        return [latency.failure, "", ""]
    memory = "" if latency.memory_bytes is None else f"{latency.memory_bytes / 1e6:.0f} MB"
    return [f"{latency.median_sec * 1e3:.1f} ms", f"{latency.p95_sec * 1e3:.1f} ms", memory]
