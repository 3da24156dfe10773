# SPDX-License-Identifier: Apache-2.0
"""The command ``check``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flash._errors import SOME_BAD
from flash.cli import options as opt
from flash.cli import panels
from flash.cli.panels import option
from flash.cli.printing import answer_screen, progress_screen
from pytorchvideo._text import counted, named

_ChecksOut = Annotated[
    Path | None,
    option(
        "--out",
        "-o",
        help="Write what was found to this json.",
        panel=panels.RESULT,
        show_default="none is written",
    ),
]
_QuarantineOut = Annotated[
    Path | None,
    option(
        "--quarantine",
        help="Write the paths of the bad ones here, for the datasets.",
        panel=panels.RESULT,
        show_default="none is written",
    ),
]


def check(
    data: opt.CheckData,
    out: _ChecksOut = None,
    quarantine: _QuarantineOut = None,
    jobs: opt.Jobs = None,
    as_json: opt.AsJson = False,
) -> None:
    """Read every video from its first frame to its last; say which are bad or odd, and why.

    Status 0: all are good. 1: some are bad. 2: nothing could be checked.
    """
    from flash.runs.progress import showing
    from pytorchvideo.data.preparing.check import scan

    with showing(progress_screen(), "check") as bar:
        found = scan(data, jobs=jobs, progress=bar, out=out, quarantine=quarantine)
    bad = [entry for entry in found if not entry.good]
    if as_json:
        typer.echo(json.dumps([entry.to_dict() for entry in found], indent=1))
    else:
        console = answer_screen()
        for entry in bad:
            console.print(f"bad: {named(entry.path, str(entry.reason))}", soft_wrap=True)
        odd = [entry for entry in found if entry.finding is not None]
        for entry in odd:
            console.print(f"odd: {named(entry.path, str(entry.finding))}", soft_wrap=True)
        console.print(
            f"{counted(len(found), 'video')}, {len(bad)} bad" + (f", {len(odd)} odd" if odd else "")
        )
    if bad:
        raise typer.Exit(SOME_BAD)
