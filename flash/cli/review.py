# SPDX-License-Identifier: Apache-2.0
"""The command ``review``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flash.cli import options as opt
from flash.cli.printing import answer_screen, progress_screen, say
from pytorchvideo._text import counted

_Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="Folder for review.html, .csv and .json.",
        show_default="review in the run",
    ),
]
_Folds = Annotated[int, typer.Option("--folds", min=2, help="Parts of the cross-validation.")]
_Page = Annotated[int, typer.Option("--top", "-k", min=1, help="Videos on the page.")]
_SHOWN = 10


def review(
    run: opt.FinishedRun,
    out: _Out = None,
    folds: _Folds = 5,
    clips: opt.Clips = 2,
    top: _Page = 50,
    seed: opt.Seed = 0,
    moved: opt.MovedRunData = None,
    workers: opt.Readers = None,
    as_json: opt.AsJson = False,
) -> None:
    """Rank the videos of RUN by how likely their label is wrong, on a page where they play and can be marked."""
    from flash.runs.progress import showing
    from flash.runs.reports.review import review_run, write_review
    from pytorchvideo._locks import alone_in
    from pytorchvideo._progress import Step

    with alone_in(run):
        found = review_run(
            run,
            folds=folds,
            clips=clips,
            seed=seed,
            data=moved,
            workers=workers or 0,
            console=progress_screen(),
        )
        with showing(progress_screen(), "page") as bar:  # whose clips are read again
            bar(Step(0, 1))
            page = write_review(found, run, out or run / "review", top)
            bar(Step(1, 1))
    for path, reason in found.skipped:
        say(f"skipped {path}: {reason}")
    if not found.is_telling:
        say(
            "The features of this run hardly tell the classes apart: what follows says little of the labels."
        )
    if as_json:
        typer.echo(json.dumps(found.to_dict(), indent=1))
        return
    answer = answer_screen()
    for doubt in found.doubts[:_SHOWN]:
        sign = "!" if doubt.is_counted else " "
        answer.print(
            f"{sign} {doubt.margin:6.2f}  {doubt.label} -> {doubt.suggested}?  {doubt.video}",
            soft_wrap=True,
        )
    wrong = sum(doubt.is_counted for doubt in found.doubts)
    answer.print(
        f"{wrong} of {counted(len(found.doubts), 'label')} {'counts' if wrong == 1 else 'count'} as wrong (!); an "
        f"estimated {found.noise:.1%} are."
    )
    answer.print(f"page: {page}", soft_wrap=True)
