# SPDX-License-Identifier: Apache-2.0
"""The page for users of ``pytorchvideo_trainer``: every name that it gives is there, every command can be typed."""

import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

import pytorchvideo.data
import pytorchvideo.transforms
from flash.cli.main import app
from flash.configs.files import load_recipe, recipe_names

PAGE = (
    Path(__file__).resolve().parent.parent / "docs/coming_from_pytorchvideo_trainer.md"
).read_text(encoding="utf-8")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
ROWS = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if line.startswith("| ")]
OURS = [row[-1] for row in ROWS if len(row) == 2]


def test_dotted_names_are_there() -> None:
    names = set(re.findall(r"`((?:pytorchvideo|flash)\.[\w.]+)", " ".join(OURS)))
    assert len(names) > 15
    for name in names:
        module, _, attribute = name.rpartition(".")
        try:
            import_module(name)
        except ImportError:
            assert hasattr(import_module(module), attribute), name


@pytest.mark.parametrize("module", [pytorchvideo.transforms, pytorchvideo.data])
def test_transforms_and_samplers_have_their_names(module: Any) -> None:
    rows = [row[0] for row in ROWS if row[-1] == f"`{module.__name__}`"]
    names = re.findall(r"`(\w+)`", " ".join(rows))
    assert len(names) > 4
    assert not [name for name in names if not hasattr(module, name)]


def test_recipes_are_there() -> None:
    named = set(re.findall(r"--config (\w+)", PAGE))
    assert len(named) == 4 and named <= set(recipe_names())
    changes = re.findall(r"--set (\S+?)`?(?:[ ,]|$)", " ".join(OURS))
    assert load_recipe("slow_8x8_r50", changes).optimizer.reference_batch == 512


def test_commands_can_be_typed() -> None:
    lines = re.findall(r"`(pytorchvideo [^`]+)`", " ".join(OURS))
    assert lines
    for line in lines:
        _, name, *arguments = shlex.split(line)
        if arguments:
            COMMANDS[name].make_context(name, arguments)
        assert name in COMMANDS
