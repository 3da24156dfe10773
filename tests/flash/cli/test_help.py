# SPDX-License-Identifier: Apache-2.0
"""Help, examples, defaults, versions and shell completion of the command line."""

import json
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import flash.cli.command
from flash.cli.command import IMPORTING, OTHER
from flash.cli.examples import EXAMPLES
from flash.cli.main import COMMANDS, app

GROUP: Any = typer.main.get_command(app)
NAMES = [command.__name__ for command in COMMANDS]


def shown(name: str) -> str:
    result = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert result.exit_code == 0
    return result.output


@pytest.mark.parametrize("name", NAMES)
def test_examples_of_every_help_are_taken_by_the_command(name: str) -> None:
    assert EXAMPLES[name]
    text = " ".join(shown(name).split())
    for what, line in EXAMPLES[name]:
        assert " ".join(line.split()) in text and what in text
        program, command, *arguments = shlex.split(line)
        assert (program, command) == ("pytorchvideo", name)
        GROUP.commands[name].make_context(name, arguments)


def test_every_command_has_examples() -> None:
    assert set(NAMES) <= set(EXAMPLES)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_says_its_default(name: str) -> None:
    """Its value, or the rule where that is decided later; a flag alone is off."""
    text, context = shown(name), typer.Context(GROUP.commands[name])
    for option in GROUP.commands[name].get_params(context):
        if option.param_type_name != "option" or option.required or option.name == "help":
            continue
        assert option.show_default or option.default is False, (name, option.name)
        if option.default is None:
            assert isinstance(option.show_default, str), (name, option.name)
        assert option.opts[0] in text


@pytest.mark.parametrize("name", NAMES)
def test_what_matters_stands_first(name: str) -> None:
    """What must be given, then its subjects, then the rest."""
    titles = [
        line.split("─ ")[1].split(" ─")[0] for line in shown(name).splitlines() if "╭─ " in line
    ]
    assert titles[-1] == OTHER
    assert titles.count(OTHER) == 1
    if "Arguments" in titles:
        assert titles[0] == "Arguments"
    required = [
        one for one in GROUP.commands[name].params if one.required and one.opts[0][:2] == "--"
    ]
    assert ("Options" in titles) == bool(required)


def test_versions() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    ours, others = result.stdout.splitlines()
    assert ours.startswith("pytorchvideo ")
    found = dict(part.rsplit(" ", 1) for part in others.split(", "))
    names = {"PyTorch": "torch", "torchvision": "torchvision", "PyAV": "av"}
    assert found == {title: version(name) for title, name in names.items()}


@pytest.mark.parametrize(
    ("words", "answers"),
    [
        ("pytorchvideo pre", {"predict", "prepare"}),
        ("pytorchvideo predict --dev", {"--device"}),
        ("pytorchvideo export x --to open", {"openvino"}),
    ],
)
def test_completions(words: str, answers: set[str]) -> None:
    asked = {
        "_PYTORCHVIDEO_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    result = CliRunner().invoke(app, [], prog_name="pytorchvideo", env=asked)
    assert set(result.stdout.split()) == answers


def test_bash_takes_the_completion_script(tmp_path: Path) -> None:
    """The script is that of ``--show-completion``; the program beside it stands for the installed one."""
    asked = {"_PYTORCHVIDEO_COMPLETE": "source_bash"}
    script = CliRunner().invoke(app, [], prog_name="pytorchvideo", env=asked).stdout
    program = tmp_path / "pytorchvideo"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m flash "$@"\n')
    program.chmod(0o755)
    lines = [
        script,
        f"PATH={tmp_path}:$PATH COMP_WORDS=(pytorchvideo time) COMP_CWORD=1",
        "$(complete -p pytorchvideo | sed 's/.*-F \\([^ ]*\\) .*/\\1/') pytorchvideo",
        'echo "${COMPREPLY[@]}"',
    ]
    repo = Path(flash.cli.command.__file__).parents[2]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], capture_output=True, text=True, cwd=repo
    )
    assert done.stdout.split() == ["timeline"], done.stderr


def test_a_command_says_that_it_imports_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, once, before anything else."""
    monkeypatch.setattr(
        flash.cli.command.sys, "modules", {k: v for k, v in sys.modules.items() if k != "torch"}
    )
    result = CliRunner().invoke(app, ["models", "x3d_xs", "--json"])
    assert result.stderr == f"models: {IMPORTING}\n"
    assert [row["model"] for row in json.loads(result.stdout)] == ["x3d_xs"]
