# SPDX-License-Identifier: Apache-2.0
"""The command ``compare``."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table

from flash.cli import options as opt
from flash.cli.printing import answer_screen

_Out = Annotated[Path, typer.Option("--out", "-o", help="The page to write.")]


def compare(
    runs: opt.FinishedRuns, out: _Out = Path("compare.html"), as_json: opt.AsJson = False
) -> None:
    """Compare runs: figures, curves and classes on one page, and whether they differ by more than chance."""
    from flash.runs.reports.compare import compare_runs
    from flash.runs.reports.compare_page import sentence_of, write_comparison

    found = compare_runs(runs)
    write_comparison(found, out)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
        return
    answer = answer_screen()
    shown = Table("run", box=box.SIMPLE_HEAD)
    for name in ("accuracy", "95 % interval", "videos", "on common", "epochs"):
        shown.add_column(name, justify="right")
    for row in found.rows():
        low, high = row["interval"]
        common = row["accuracy_on_common_videos"]
        shown.add_row(
            row["run"],
            f"{row['accuracy']:.1%}",
            f"{low:.0%} to {high:.0%}",
            str(row["videos"]),
            "–" if common is None else f"{common:.1%}",
            str(row["epochs"] or "–"),
        )
    answer.print(shown)
    for remark in [*found.remarks, *(sentence_of(found, pair) for pair in found.pairs)]:
        answer.print(remark, soft_wrap=True)
    answer.print(f"page: {out}", soft_wrap=True)
