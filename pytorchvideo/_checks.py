# SPDX-License-Identifier: Apache-2.0
"""Errors about arguments as one sentence: what was expected, what came, what to do."""

import difflib
import os
from collections.abc import Iterable


def shortened(text: str, most: int = 200) -> str:
    """Returns a text, or its beginning and its length, for an error.

    >>> shortened("walking"), shortened("a" * 300, most=4)
    ('walking', 'aaaa… (300 characters)')
    """
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def expected(name: str, wanted: str, got: object, advice: str = "") -> str:
    """Returns the sentence that every argument error of this library uses.

    Args:
        name: the argument, as the caller writes it.
        wanted: what it must be, e.g. ``"> 0 seconds"``.
        got: what came.
        advice: what to do about it, a sentence of its own.

    >>> expected("clip_duration", "> 0 seconds", -1.0, "Use the length of one clip.")
    'Expected `clip_duration` to be > 0 seconds, but got -1.0. Use the length of one clip.'
    """
    if isinstance(got, os.PathLike):
        got = os.fspath(got)
    # a file may have named the choices
    wanted = shortened(wanted, 1500)
    sentence = f"Expected `{name}` to be {wanted}, but got {shortened(repr(got), 400)}."
    return f"{sentence} {advice}" if advice else sentence


def near_names(name: str, known: Iterable[str]) -> str:
    """Returns a sentence with the names closest to a misspelt one, for an error message.

    >>> near_names("x3d_sx", ["x3d_xs", "x3d_s", "slow_r50"])
    'Did you mean x3d_s, x3d_xs?'
    >>> near_names("zebra", ["x3d_xs", "slow_r50"])
    'Known names: slow_r50, x3d_xs.'
    """
    choices = sorted(known)
    close = difflib.get_close_matches(name, choices, n=3, cutoff=0.6)
    listed = shortened(", ".join(close or choices), 1500)
    return f"Did you mean {listed}?" if close else f"Known names: {listed}."


def check_choice(name: str, value: str, choices: Iterable[str]) -> None:
    """Raises a ValueError that lists the choices unless ``value`` is one of them.

    >>> check_choice("decoder", "pyav", ("auto", "pyav"))
    """
    allowed = tuple(choices)
    if value not in allowed:
        raise ValueError(expected(name, f"one of {', '.join(allowed)}", value))
