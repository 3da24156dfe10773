# SPDX-License-Identifier: Apache-2.0
"""The command ``doctor``."""

import json

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from flash.cli import options as opt
from flash.cli.printing import answer_screen, progress_screen


def doctor(as_json: opt.AsJson = False) -> None:
    """Say what works here and what does not, with the reason."""
    from flash.cli.diagnosis import advice, diagnose
    from flash.runs.progress import showing
    from pytorchvideo._progress import Step

    with showing(progress_screen(), "look") as bar:  # every package is imported
        bar(Step(0))
        findings = diagnose()
    if as_json:
        typer.echo(json.dumps([finding.to_dict() for finding in findings], indent=1))
    else:
        table = Table("", "what", "detail", box=box.SIMPLE_HEAD)
        for finding in findings:
            mark = "ok" if finding.works else ("BROKEN" if finding.required else "–")
            style = "green" if finding.works else ("bold red" if finding.required else "dim")
            table.add_row(Text(mark, style=style), finding.name, finding.detail)
        answer_screen().print(table)
        if mend := advice(findings):
            answer_screen().print(mend, soft_wrap=True)
    if any(finding.required and not finding.works for finding in findings):
        raise typer.Exit(1)
