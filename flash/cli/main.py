# SPDX-License-Identifier: Apache-2.0
"""The command line, ``pytorchvideo``.

Exit status: 0 for success; 1 when ``check`` or ``prepare`` found bad files or ``doctor`` something required that does
not work; 2 for input that cannot be used, with one sentence on standard error; 130 and 143 after Ctrl+C and
SIGTERM, see :mod:`flash.cli.interrupts`. Answers go to standard output, progress and remarks to standard error.

Commands import what they need when they run, so that ``--help`` does not wait for torch. With no model named, those
that need one use the run in ``./run``, if there is a finished one.
"""

import os
import signal
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flash._errors import BAD_INPUT, UserError, user_errors
from flash.cli.check import check
from flash.cli.command import Command, in_words_of
from flash.cli.compare import compare
from flash.cli.configs import configs
from flash.cli.demo import demo
from flash.cli.detect import detect
from flash.cli.doctor import doctor
from flash.cli.embeddings import embed, probe, search
from flash.cli.evaluate import evaluate
from flash.cli.examples import epilog
from flash.cli.explain import explain
from flash.cli.export import export
from flash.cli.interrupts import Interrupted, going_on, received, run, speak
from flash.cli.models import models
from flash.cli.predict import predict
from flash.cli.prepare import prepare
from flash.cli.printing import plain_warnings, say
from flash.cli.reproduce import reproduce
from flash.cli.review import review
from flash.cli.serve import serve
from flash.cli.stream import stream
from flash.cli.timeline import timeline
from flash.cli.train import train
from pytorchvideo import __version__

# Before torch loads OpenMP: its threads wait for each other by spinning, which on cores that other programs use, too,
# makes a step many times slower, and which gains nothing on idle ones.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

#: In the order of ``--help``.
COMMANDS = (
    demo,
    train,
    evaluate,
    reproduce,
    compare,
    review,
    predict,
    explain,
    embed,
    search,
    probe,
    export,
    timeline,
    detect,
    stream,
    serve,
    models,
    configs,
    check,
    prepare,
    doctor,
)


class Commands(TyperGroup):
    """A group of commands that answers bad input in one sentence on standard error, with status 2.

    What a user can get wrong: usage, paths, files that are no videos, options out of range, folders that
    cannot be written. Anything else is a defect of this library, and keeps its traceback.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs the chosen command."""
        going_on()
        try:
            with user_errors(), plain_warnings():
                return super().invoke(ctx)
        except UserError as error:
            number = received()
            if number is None:
                say(in_words_of(self.commands.get(ctx.invoked_subcommand, self), str(error)))
                raise typer.Exit(BAD_INPUT) from error
        except (Interrupted, KeyboardInterrupt) as stop:
            number = stop.number if isinstance(stop, Interrupted) else signal.SIGINT
        speak(number)
        raise typer.Exit(128 + number) from None


app = typer.Typer(
    name="pytorchvideo",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Train, evaluate and use video classifiers.",
)
for command in COMMANDS:
    app.command(cls=Command, epilog=epilog(command.__name__))(command)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        packages = {"torch": "PyTorch", "torchvision": "torchvision", "av": "PyAV"}
        typer.echo(f"pytorchvideo {__version__}")
        typer.echo(", ".join(f"{title} {_version(name)}" for name, title in packages.items()))
        raise typer.Exit


def _version(package: str) -> str:
    """Of the metadata: the packages themselves take seconds to import."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


@app.callback()
def _options(
    _asked: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show versions, and exit."
        ),
    ] = False,
) -> None:
    """Train, evaluate and use video classifiers."""


def main() -> None:
    """Runs the command, as :func:`flash.__main__.main` does, which Ctrl+C cannot come before."""
    run(app)


if __name__ == "__main__":
    main()
