# SPDX-License-Identifier: Apache-2.0
"""The command ``predict``."""

import json
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import typer

from flash._errors import BAD_INPUT, sentence_of
from flash.cli import options as opt
from flash.cli.printing import answer_screen, print_answer, progress_screen, say
from pytorchvideo._checks import expected
from pytorchvideo._text import counted

if TYPE_CHECKING:
    from pytorchvideo.inference.predictor import VideoPredictor

#: Columns of the table of ``--out``. A row of a clip (``--timeline``) has its times, that of a whole video none.
COLUMNS = ("video", "rank", "label", "score", "start_sec", "end_sec")


@opt.takes_model(zero_shot=True)
def predict(
    videos: opt.Videos,
    chosen: opt.ModelOptions,
    top: opt.Top = 5,
    out: opt.TableOut = None,
    timeline: opt.Timeline = False,
    clips: opt.Protocol = "4",
    views: opt.Views = 1,
    start: opt.Start = 0.0,
    end: opt.End = None,
    workers: opt.Readers = None,
    as_json: opt.AsJson = False,
) -> None:
    """Name what happens in videos.

    Status 2 where a video cannot be read; the others are answered all the same.
    """
    from flash.runs.progress import showing
    from pytorchvideo._locks import alone_at
    from pytorchvideo._progress import Step
    from pytorchvideo._tables import check_table, write_table
    from pytorchvideo.data.preparing.check import videos_in

    if end is not None and end < start:  # said once, not of each video
        raise ValueError(expected("--end", f"at or after --start, {start:g} s", end))
    if out is not None:
        check_table(out)
    files = videos_in(videos)
    with nullcontext() if out is None else alone_at(out):
        predictor = chosen.load()
        answers: list[dict[str, Any]] = []
        # a bar and answers on one screen would be in each other's way
        with nullcontext() if out is None else showing(progress_screen(), "predict") as bar:
            found = _answers(
                predictor,
                files,
                top,
                timeline,
                clips=opt.clips_of(clips),
                views=views,
                start_sec=start,
                end_sec=end,
                workers=opt.workers_of(
                    workers, len(files), predictor.recipe, views, predictor.model
                ),
            )
            for number, answer in enumerate(found, 1):
                if answer is not None:
                    answers.append(answer)
                    if out is None and not as_json:
                        _print(answer)
                if bar is not None:
                    bar(Step(number, len(files)))
        if out is not None:
            write_table(out, COLUMNS, [row for answer in answers for row in _rows(answer)])
    if as_json:
        typer.echo(json.dumps(answers, indent=1))
    elif out is not None:
        answer_screen().print(
            f"{out}: {len(answers)} of {counted(len(files), 'video')}", soft_wrap=True
        )
    if len(answers) < len(files):
        raise typer.Exit(BAD_INPUT)


def _answers(
    predictor: "VideoPredictor",
    files: Sequence[str],
    top: int,
    timeline: bool,
    **options: Any,
) -> Iterator[dict[str, Any] | None]:
    """What is said of each video; None of those that cannot be read, whose reason goes to standard error."""
    rows_of = predictor.predict_videos(files, **options)
    for video, found in zip(files, rows_of, strict=True):
        if isinstance(found, Exception):
            reason = sentence_of(found) or str(found)
            say(reason if str(video) in reason else f"{video}: {reason}")
            yield None
            continue
        best = [{"label": label, "score": score} for label, score in predictor.named(found, top)]
        answer: dict[str, Any] = {"video": video, "labels": best}
        yield answer | ({"timeline": predictor.timeline(found)} if timeline else {})


def _print(answer: dict[str, Any]) -> None:
    named = [(row["label"], row["score"]) for row in answer["labels"]]
    print_answer(answer_screen(), answer["video"], named, answer.get("timeline", ()))


def _rows(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of a video in a table."""
    whole = {"video": answer["video"], "start_sec": None, "end_sec": None}
    for rank, row in enumerate(answer["labels"], 1):
        yield {**whole, "rank": rank, **row}
    for clip in answer.get("timeline", ()):
        yield {**whole, "rank": 1, **clip}
