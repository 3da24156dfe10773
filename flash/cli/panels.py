# SPDX-License-Identifier: Apache-2.0
"""Panels of ``--help``, and options in them."""

from typing import Any

import typer

MODEL = "Where the model comes from"
CLIPS = "Clips"
TRAINING = "Training"
SPLIT = "Split"
RESULT = "Result"
ENCODING = "Encoding, with --out"
SHARDS = "Shards, with --shards"


def option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:
    """Returns an option with its help, in a panel or in the last one."""
    return typer.Option(*names, help=help, rich_help_panel=panel, **more)
