# SPDX-License-Identifier: Apache-2.0
"""Exceptions as the one sentence that a user gets."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

import typer

from pytorchvideo._machine import DEAD_WORKER, MachineError, is_of_dead_worker

BAD_INPUT = 2
#: Of `check` and `prepare`, which go on where videos are bad.
SOME_BAD = 1


class UserError(Exception):
    """An error that the user's input caused; its text is the sentence for the user."""


@contextmanager
def user_errors() -> Iterator[None]:
    """Turns errors that the user's input caused into a :class:`UserError`, and passes all others on."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        raise UserError(sentence) from error


def sentence_of(error: Exception) -> str | None:
    """Returns the sentence for an error that the user's input caused, None for any other.

    >>> sentence_of(FileNotFoundError(2, "No such file or directory", "a.mp4"))
    'a.mp4: no such file or directory.'
    >>> sentence_of(ZeroDivisionError("division by zero")) is None
    True
    """
    if type(error).__name__ == "NoArgsIsHelpError":
        return None
    usage = getattr(error, "format_message", None)
    if usage is not None:  # of Typer's parser, whichever class it has in its version
        return _one_line(usage()).replace(": Value error, ", ": ").rstrip(".") + _got(error)
    if isinstance(error, BrokenPipeError):
        return None
    if isinstance(error, MachineError):
        # of a worker: the text that PyTorch makes has a traceback before it
        return _last_line(str(error)).removeprefix(f"{MachineError.__module__}.MachineError: ")
    if is_of_dead_worker(error):
        return f"{DEAD_WORKER} A run goes on with --resume."
    if isinstance(error, OSError):
        if error.strerror and error.filename:
            return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}."
        return _one_line(error.strerror or str(error))
    if isinstance(error, (ValueError, RuntimeError, KeyError)) and _is_ours(error.__traceback__):
        return _one_line(str(error.args[0]) if error.args else str(error))
    return None


def _got(error: Exception) -> str:
    """The end of a sentence of Typer's parser: what it got, where it was told by the types of options."""
    details: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    got = repr(details[0].get("input")) if details else ""
    return (
        f", but got {got}."
        if got and got not in str(error.__cause__).partition(" [type=")[0]
        else "."
    )


def _last_line(text: str) -> str:
    return text.rstrip().rpartition("\n")[2]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _is_ours(trace: TracebackType | None) -> bool:
    """Whether a statement of this library raised the error: then it has a sentence for the user."""
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    package = str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
    return package in ("pytorchvideo", "flash") and sys.exc_info() is not None
