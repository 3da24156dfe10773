# SPDX-License-Identifier: Apache-2.0
"""The command ``models``."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flash.cli import options as opt
from flash.cli.printing import answer_screen, progress_screen, zoo_table

if TYPE_CHECKING:
    from pytorchvideo.models import Weights

_Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help="Models of the zoo.", show_default="all"),
]
_Measure = Annotated[
    bool,
    typer.Option("--measure", help="Time them here: clips a second, one clip at a time."),
]
_Seconds = Annotated[
    float, typer.Option("--seconds", min=0.01, help="With --measure: how long to time each.")
]

#: Below the table.
NOTES = (
    "GFLOPs: as published, of one view; a multiplication with its addition counts once.",
    "suits: a phone up to 2 GFLOPs, a CPU up to 7 (several clips a second on a few cores), beyond that a GPU.",
)


def models(
    ctx: typer.Context,
    names: _Names = None,
    measure: _Measure = False,
    seconds: _Seconds = 1.0,
    device: opt.Device = "auto",
    as_json: opt.AsJson = False,
) -> None:
    """List the models of the zoo: what is published of their weights, and what each suits."""
    from pytorchvideo.models._registry import list_models, model_entry

    for name in ("seconds", "device") if not measure else ():
        if opt.was_given(ctx, name):
            raise ValueError(f"--{name} is of no use without --measure.")
    zoo = [model_entry(name).weights for name in names or list_models()]
    speeds = _measured([one.name for one in zoo], seconds, device) if measure else {}
    if as_json:
        rows = [_row(weights, speeds) for weights in zoo]
        typer.echo(json.dumps(rows, indent=1))
        return
    screen = answer_screen()
    screen.print(zoo_table(zoo, suits=suits, speeds=speeds))
    for note in NOTES:
        screen.print(note, soft_wrap=True)


def suits(weights: "Weights") -> str:
    """Returns the least machine that a model suits, by its cost: ``"phone"``, ``"CPU"`` or ``"GPU"``."""
    return "phone" if weights.gflops <= 2 else "CPU" if weights.gflops <= 7 else "GPU"


def _row(weights: "Weights", speeds: dict[str, float]) -> dict[str, Any]:
    row = {
        "model": weights.name,
        "metrics": dict(weights.metrics),
        "protocol": weights.protocol,
        "gflops": weights.gflops,
        "suits": suits(weights),
        "num_parameters": weights.num_parameters,
        "num_classes": len(weights.labels),
        "recipe": weights.recipe.to_dict(),
        "licence": weights.licence,
        "source": weights.source,
        "url": weights.url,
        "sha256": weights.sha256,
    }
    speed = speeds.get(weights.name)
    return row if speed is None else {**row, "clips_per_second": speed}


def _measured(names: list[str], seconds: float, device: str) -> dict[str, float]:
    """Clips a second of each model, with a bar."""
    from flash.runs.progress import showing
    from pytorchvideo._progress import Step
    from pytorchvideo.inference.speed import clips_per_second

    speeds: dict[str, float] = {}
    with showing(progress_screen(), "measure") as bar:
        for number, name in enumerate(names):
            bar(Step(number, len(names), name))
            speeds[name] = clips_per_second(name, seconds=seconds, device=device)
        bar(Step(len(names), len(names)))
    return speeds
