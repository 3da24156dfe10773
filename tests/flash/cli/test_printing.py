# SPDX-License-Identifier: Apache-2.0
"""Console output for names that strangers chose."""

import io
from pathlib import Path

import pytest
from rich.table import Table
from typer.testing import CliRunner

import flash
from flash.cli.main import app
from flash.cli.printing import Screen, say

# ECMA-48: OSC, CSI, the 8-bit CSI; the title of xterm; and a mark that turns the order of letters round
NAME = "a\x1b]0;title\x07\x1b[2J\x9b31m\u202egp.mp4 [red] :smile: é 走"
SHOWN = r"a\x1b]0;title\x07\x1b[2J\x9b31m\u202egp.mp4 [red] :smile: é 走"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_names_command_no_terminal(is_terminal: bool) -> None:
    out = io.StringIO()
    console = Screen(file=out, markup=False, force_terminal=is_terminal, width=200, highlight=False)
    console.print(NAME, soft_wrap=True)
    table = Table("name")
    table.add_row(NAME)
    console.print(table)
    assert out.getvalue().count(SHOWN) == 2
    for command in ("\x07", "\x9b", "\u202e", "\x1b[2J", "\x1b]0;"):
        assert command not in out.getvalue()


def test_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"{NAME} is no video.\nA second line of it.")
    assert capsys.readouterr().err == f"{SHOWN} is no video.\nA second line of it.\n"


def test_answers_of_commands(tmp_path: Path) -> None:
    (tmp_path / NAME[: NAME.index(" ")]).write_bytes(b"no video")
    result = CliRunner().invoke(app, ["check", str(tmp_path)], env={"COLUMNS": "300"})
    assert result.exit_code == 1
    assert SHOWN[: SHOWN.index(" ")] in result.output
    assert not {"\x07", "\x1b", "\x9b", "\u202e"} & set(result.output)


def test_commands_print_on_nothing_else() -> None:
    """A plain console of rich, and ``typer.echo`` of a name, would hand everything through."""
    for path in Path(flash.__file__).parent.glob("cli*.py"):
        source = path.read_text(encoding="utf-8")
        assert "Console(" not in source, path
