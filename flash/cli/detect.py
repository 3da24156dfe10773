# SPDX-License-Identifier: Apache-2.0
"""The command ``detect``: who does what in videos, with boxes."""

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flash.cli import options as opt
from flash.cli import panels
from flash.cli.panels import option
from flash.cli.printing import say, visible
from pytorchvideo._text import counted

if TYPE_CHECKING:
    from pytorchvideo.inference.detection.found import VideoActions

_Out = Annotated[
    Path,
    option(
        "--out",
        "-o",
        help="Folder for the videos with boxes, AVA's csv, json, subtitles and charts.",
        panel=panels.RESULT,
    ),
]
People = Annotated[
    str | None,
    option(
        "--people",
        metavar="FILE|DETECTOR",
        help="Boxes of people: a csv (video,time_sec,x1,y1,x2,y2[,person][,score], or AVA's), or a detector of "
        "torchvision by its name.",
        panel=panels.MODEL,
        show_default="fasterrcnn_mobilenet_v3_large_320_fpn",
    ),
]
PeopleWeights = Annotated[
    Path | None,
    option(
        "--people-weights",
        help="File of weights of the detector of people.",
        panel=panels.MODEL,
        show_default="the published ones",
    ),
]
PeopleScore = Annotated[
    float,
    option(
        "--people-score",
        min=0,
        max=1,
        help="Score from which a box is a person.",
        panel=panels.MODEL,
    ),
]
_Every = Annotated[
    float | None,
    option(
        "--every",
        help="Seconds from one look at the people to the next.",
        panel=panels.CLIPS,
        show_default="1, or the times of the file of people",
    ),
]
Threshold = Annotated[
    float | None,
    option(
        "--threshold",
        min=0,
        max=1,
        help="Probability from which an action counts.",
        panel=panels.RESULT,
        show_default="of the model",
    ),
]
_Drawn = Annotated[
    bool,
    option("--video/--no-video", help="Write the video with boxes, too.", panel=panels.RESULT),
]
_BatchSize = Annotated[
    int, option("--batch-size", min=1, help="Clips in the model at once.", panel=panels.CLIPS)
]


@opt.takes_model()
def detect(
    videos: opt.Videos,
    chosen: opt.ModelOptions,
    people: People = None,
    people_weights: PeopleWeights = None,
    people_score: PeopleScore = 0.8,
    every: _Every = None,
    start: opt.Start = 0.0,
    end: opt.End = None,
    threshold: Threshold = None,
    batch_size: _BatchSize = 4,
    workers: opt.Readers = None,
    out: _Out = Path("detected"),
    drawn: _Drawn = True,
    as_json: opt.AsJson = False,
) -> None:
    """Say who does what in videos, and when: boxes with actions that follow people."""
    from flash.cli.people import people_named
    from pytorchvideo.data.preparing.check import videos_of
    from pytorchvideo.inference.detection.files import to_dict, write_actions
    from pytorchvideo.inference.detection.tracks import Tracks

    paths = [path for given in videos for path in videos_of(given)]
    detector = chosen.load_detector()
    detector.batch_size = batch_size
    detector.threshold = detector.threshold if threshold is None else threshold
    finder = people_named(people, people_weights, people_score, chosen.device)
    found = detector.detect(
        paths,
        finder,
        every_sec=every,
        start_sec=start,
        end_sec=end,
        workers=opt.workers_of(workers, len(paths), detector.recipe, 1),
    )
    names = _names(paths)
    printed: list[dict[str, Any]] = []
    for path, name, actions in zip(paths, names, found, strict=True):
        if isinstance(actions, Exception):
            if len(paths) == 1:
                raise actions
            say(f"skipped {path}: {actions}")
            continue
        if not actions.rows:
            say(f"{path}: no people were found{_why(people, people_score)}")
        files = write_actions(actions, out, name=name, video=drawn)
        say(f"{path}: {', '.join(file.name for file in files)} are in {out}")
        if as_json:
            printed.append(to_dict(actions, Tracks(actions).segments()))
        else:
            _print(actions, len(paths) > 1)
    if as_json:
        typer.echo(json.dumps(printed[0] if len(paths) == 1 and printed else printed, indent=1))


def _why(people: str | None, score: float) -> str:
    if people is not None and Path(people).is_file():
        return f" in {people}"
    return f" with a score of {score:g} or more: a lower --people-score may find some"


def _names(paths: list[str]) -> list[str]:
    """A name for the files of each video: its own without the ending, with it where two are the same, then numbered."""
    stems = [Path(path).stem for path in paths]
    counts, seen, names = Counter(stems), Counter[str](), []
    for path, stem in zip(paths, stems, strict=True):
        name = stem if counts[stem] == 1 else Path(path).name
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def _print(actions: "VideoActions", has_several: bool) -> None:
    """Prints what each person does, stretch by stretch."""
    from pytorchvideo.inference.detection.tracks import Tracks

    if has_several:
        typer.echo(visible(f"{actions.video}: {counted(len(actions.persons), 'person')}"))
    for one in Tracks(actions).segments():
        each = zip(one.labels, one.scores, strict=True)
        said = ", ".join(f"{label} {score:.3f}" for label, score in each)
        span = f"{one.start_sec:.1f}-{one.end_sec:.1f} s"
        typer.echo(visible(f"person {one.person}  {span}  {said}"))
