# SPDX-License-Identifier: Apache-2.0
"""The command ``serve``."""

from flash.cli import options as opt
from flash.cli.interrupts import going_on
from flash.cli.printing import say
from pytorchvideo._checks import expected


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
) -> None:
    """Show a page that names what happens in an uploaded or recorded video."""
    from flash.serve.app import build_app, run_app
    from flash.serve.guard import Guard, bind
    from flash.serve.service import Limits, Service

    if token is not None and not token.isalnum():
        raise ValueError(expected("--token", "letters and digits", "something else"))
    with bind(host, port) as listening:
        limits = Limits(max_bytes=int(max_size * 1e6), max_seconds=max_seconds)
        title = chosen.title if chosen.run is None else chosen.run.name
        app = build_app(Service(chosen.load(), limits, top), title)
        port = listening.getsockname()[1]
        going_on(lambda: "the server has ended; the same command starts it again.")
        say(f"http://{host}:{port}  (Ctrl+C ends it)")
        run_app(Guard(app, host=host, allowed_hosts=allow_host or (), token=token), listening)
