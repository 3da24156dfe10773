# SPDX-License-Identifier: Apache-2.0
"""The command ``serve``."""

import math
from pathlib import Path
from typing import Annotated

import typer

from flash.cli import options as opt
from flash.cli.interrupts import going_on
from flash.cli.printing import say
from pytorchvideo._checks import expected

_EXAMPLES = 4
_LOCAL = ("127.0.0.1", "localhost", "::1")
_Examples = Annotated[
    int | None,
    typer.Option(
        "--examples",
        min=0,
        help="Held-out videos of the run to click.",
        show_default="4 where only this machine reaches the page, otherwise none",
    ),
]


@opt.takes_model()
def serve(
    chosen: opt.ModelOptions,
    top: opt.Top = 5,
    host: opt.Host = "127.0.0.1",
    port: opt.Port = 7860,
    allow_host: opt.AllowHost = None,
    token: opt.Token = None,
    max_size: opt.MaxMegabytes = 100.0,
    max_seconds: opt.MaxSeconds = 600.0,
    examples: _Examples = None,
) -> None:
    """Show a page that names what happens in an uploaded or recorded video.

    Nothing leaves this machine, and nobody else reaches the page, unless --host says otherwise.
    """
    from flash.serve.app import build_app, run_app
    from flash.serve.examples import examples_of
    from flash.serve.guard import Guard, bind
    from flash.serve.service import Limits, Service

    if token is not None and not token.isalnum():
        raise ValueError(expected("--token", "letters and digits", "something else"))
    if not 0 < max_size < math.inf:
        raise ValueError(expected("--max-size", "> 0 MB", max_size))
    with bind(host, port) as listening:
        limits = Limits(max_bytes=int(max_size * 1e6), max_seconds=max_seconds)
        run = _run_of(chosen)
        title = Path(chosen.title).name if run is None else _name_of(run.resolve())
        shown = (_EXAMPLES if host in _LOCAL else 0) if examples is None else examples
        clicked = [] if run is None else examples_of(run, shown)
        app = build_app(Service(chosen.load(), limits, top), title, clicked)
        port = listening.getsockname()[1]
        going_on(lambda: "the server has ended; the same command starts it again.")
        say(f"http://{host}:{port}  (Ctrl+C ends it)")
        run_app(Guard(app, host=host, allowed_hosts=allow_host or (), token=token), listening)


def _run_of(chosen: opt.ModelOptions) -> Path | None:
    """The folder of the run that is served, if it is one."""
    if chosen.run is not None:
        return chosen.run
    is_folder = chosen.model is not None and Path(chosen.model, "split.json").is_file()
    return Path(str(chosen.model)) if is_folder else None


def _name_of(run: Path) -> str:
    """The name of a run's folder; of one that is called as all are by default, with the folder around it."""
    return f"{run.parent.name}/{run.name}" if run.name == "run" else run.name
