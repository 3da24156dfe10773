# SPDX-License-Identifier: Apache-2.0
"""The command ``predict``."""

import json
from typing import Any

import typer

from flash._errors import BAD_INPUT, sentence_of
from flash.cli import options as opt
from flash.cli.printing import answer_screen, print_answer, say


@opt.takes_model(zero_shot=True)
def predict(
    videos: opt.Videos,
    chosen: opt.ModelOptions,
    top: opt.Top = 5,
    clips: opt.Protocol = "4",
    views: opt.Views = 1,
    start: opt.Start = 0.0,
    end: opt.End = None,
    timeline: opt.Timeline = False,
    workers: opt.Readers = None,
    as_json: opt.AsJson = False,
) -> None:
    """Name what happens in videos."""
    predictor = chosen.load()
    answers, bad = [], []
    rows_of = predictor.predict_videos(
        videos,
        clips=opt.clips_of(clips),
        views=views,
        start_sec=start,
        end_sec=end,
        workers=opt.workers_of(workers, len(videos), predictor.recipe, views),
    )
    for video, found in zip(videos, rows_of, strict=True):
        if isinstance(found, Exception):
            say(sentence_of(found) or str(found))
            bad.append(video)
            continue
        best = predictor.named(found, top)
        rows = predictor.timeline(found) if timeline else []
        answer: dict[str, Any] = {"video": video}
        answer["labels"] = [{"label": label, "score": score} for label, score in best]
        answers.append(answer | ({"timeline": rows} if timeline else {}))
        if not as_json:
            print_answer(answer_screen(), video, best, rows)
    if as_json:
        typer.echo(json.dumps(answers, indent=1))
    if bad:
        raise typer.Exit(BAD_INPUT)
