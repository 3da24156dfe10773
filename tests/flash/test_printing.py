# SPDX-License-Identifier: Apache-2.0
"""What the command line shows of names that strangers chose."""

import io

import pytest
from rich.table import Table

from flash._errors import say
from flash._printing import Screen

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
