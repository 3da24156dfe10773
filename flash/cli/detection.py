# SPDX-License-Identifier: Apache-2.0
"""The commands of classifiers, for action detectors: ``train``, ``evaluate`` and ``demo`` with ``--task detection``."""

import json
import math
import re
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table

from flash.cli import kept
from flash.cli import options as opt
from flash.cli.command import as_typed
from flash.cli.printing import answer_screen, progress_screen, say, visible
from pytorchvideo._checks import expected

if TYPE_CHECKING:
    from rich.console import Console

    from pytorchvideo.evaluation.detection import FrameMap

_MOST_CLASSES = 20  # that are printed
# of options that mean nothing for boxes: the names of their parameters
_OF_CLIPS = {
    "label_smoothing": "--label-smoothing",
    "mix": "--mix",
    "multi_label": "--multi-label",
    "class_weights": "--class-weights",
    "balanced": "--balanced",
    "views": "--views",
    "clips": "--clips",
    "group_by": "--group-by",
    "groups": "--groups",
    "top_k": "--top-k",
    "theirs": "--pyslowfast",
}

# what two cores learn in less than four minutes
DEMO_RUN: dict[str, Any] = {
    "model": "slow_r50_detection",
    "model_kwargs": {"stem_dim_out": 16},
    "epochs": 8,
    "frames": 6,
    "crop": 64,
    "clip_duration": 1.0,
    "batch_size": 8,
    "lr": 2e-3,
    "jitter": False,
}


def train_detection(ctx: typer.Context, data: str | None, out: Path, *, resume: bool) -> None:
    """Trains an action detector with the options of ``train``, and prints its frame-mAP.

    Args:
        ctx: of the command.
        data: the boxes; None goes on with the run.
        out: folder of the run.
        resume: go on with it.

    Raises:
        ValueError: an option that means nothing here.
    """
    from flash.runs.detection.config import DetectionConfig
    from flash.runs.detection.train import train_detector

    for name, option in _OF_CLIPS.items():
        if name in ctx.params and opt.was_given(ctx, name):
            raise ValueError(
                f"Expected --task detection without {option}, which is of whole clips."
            )
    if ctx.params.get("lr") == "find":
        raise ValueError(expected("--lr", "a number with --task detection", "find"))
    asked = {
        name: _plain(value)
        for name, value in (ctx.params | {"data": data}).items()
        if name in DetectionConfig.__dataclass_fields__ and name not in ("task", "strategy")
    }
    strategy = _plain(ctx.params.get("strategy"))
    config_file, recipe = out / "config.json", ctx.params.get("recipe")
    if recipe is not None:
        if resume and config_file.is_file():
            raise ValueError("Expected --resume without --config: a run keeps its configuration.")
        asked |= _of_recipe(ctx, recipe, asked)
    if resume and config_file.is_file():
        known = DetectionConfig.from_file(config_file)
        # what was not said is as it was
        given = {name: value for name, value in asked.items() if opt.was_given(ctx, name)}
        given["data"] = known.data if data is None else data
        config = DetectionConfig(**given)
    elif data is None:
        raise ValueError("Expected DATA: a csv of boxes, or a folder with train.csv in it.")
    else:
        config = DetectionConfig(**asked, **({"strategy": strategy} if strategy else {}))
    summary = train_detector(
        config, out, resume=resume, console=progress_screen(), command=as_typed(ctx)
    )
    for video, reason in summary.skipped:
        say(f"skipped {video}: {reason}")
    screen = answer_screen()
    print_map(screen, summary.map, summary.labels)
    screen.print(f"run: {summary.folder.path}", soft_wrap=True)


def _of_recipe(ctx: typer.Context, name: str, asked: dict[str, Any]) -> dict[str, Any]:
    """The options that a recipe says, and the command line does not."""
    from flash.configs.files import load_recipe
    from flash.runs.detection.from_recipe import detector_options
    from flash.runs.from_recipe import start_options

    recipe = load_recipe(name, ctx.params.get("changes") or [])
    steps = {"batch_size": asked["batch_size"], "accumulate": asked["accumulate"]}
    options = detector_options(recipe, **steps) | start_options(recipe, asked)
    return {key: value for key, value in options.items() if not opt.was_given(ctx, key)}


def evaluate_detection(
    data: str,
    chosen: opt.ModelOptions,
    *,
    workers: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Prints the frame-mAP of a trained detector on annotated boxes.

    Args:
        data: a file of boxes, or a folder with one that is held out.
        chosen: the model.
        workers: processes that decode.
        out: folder for ``detections.csv`` and ``evaluation.json``.
        as_json: print json.
    """
    from flash.runs.detection.data import held_out_file, read_boxes
    from flash.runs.detection.train import figures
    from flash.runs.progress import showing
    from pytorchvideo._files import write_json
    from pytorchvideo.evaluation.detection import score_boxes, write_detections

    detector = chosen.load_detector()
    names = dict(enumerate(detector.labels, 1))
    boxes = read_boxes(held_out_file(data), detector.recipe, label_map=names)
    count = opt.workers_of(workers, len(boxes), detector.recipe, 1)
    with showing(progress_screen(), "evaluate") as bar:
        scores = score_boxes(detector, boxes, workers=count, progress=bar)
    found = scores.evaluate(boxes.groundtruth)
    for clip in boxes.skipped:
        say(f"skipped {clip.path}: {clip.reason}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_detections(out / "detections.csv", scores.rows(0.001))
        write_json(out / "evaluation.json", figures(found, detector.labels))
    if as_json:
        typer.echo(json.dumps(figures(found, detector.labels), indent=1))
    else:
        print_map(answer_screen(), found, detector.labels)


def demo_detection(out: Path, seed: int) -> None:
    """Writes figures with motions of their own, trains on them, and draws what the detector says of an unseen video."""
    from flash.runs.detection.config import DetectionConfig
    from flash.runs.detection.train import train_detector
    from flash.runs.progress import progress_bar
    from pytorchvideo._locks import alone_in
    from pytorchvideo.data.synthetic_figures import write_figure_videos
    from pytorchvideo.inference.detection.detector import ActionDetector
    from pytorchvideo.inference.detection.files import write_actions
    from pytorchvideo.inference.detection.people_file import PeopleFile

    began, screen = time.perf_counter(), progress_screen()
    with alone_in(out):
        kept.make_room(out)
        with progress_bar(screen) as bar:
            task = bar.add_task("write videos", total=None, note="")
            files = write_figure_videos(
                out / "data",
                seed=seed,
                on_written=lambda _path, total: bar.update(task, advance=1, total=total),
            )
        config = DetectionConfig(data=str(out / "data"), seed=seed, **DEMO_RUN)
        summary = train_detector(config, out / "run", console=screen)
        detector = ActionDetector.from_file(summary.folder.model)
        (found,) = detector.detect([files.unseen], PeopleFile(files.people))
        if isinstance(found, Exception):
            raise found
        drawn = write_actions(found, out / "detected", name="unseen")
    answer = answer_screen()
    print_map(answer, summary.map, summary.labels)
    seconds = time.perf_counter() - began
    answer.print(f"unseen video with boxes: {drawn[0]}", soft_wrap=True)
    answer.print(f"frame-mAP {summary.map.mean:.3f} on the held-out boxes, {seconds:.0f} s in all.")


def export_boxes(
    model: str,
    runtime: str,
    out: Path,
    *,
    weights: Path | None,
    labels: Path | None,
    size: str | None,
) -> None:
    """Makes an artefact of a model that scores boxes, and prints how near it is to the model.

    Args:
        model: as ``export`` takes it.
        runtime: its name.
        out: folder of the artefact.
        weights: of a name of the zoo.
        labels: names of its classes.
        size: ``WIDTHxHEIGHT`` of the videos; None is that of a held-out video of a run.

    Raises:
        ValueError: no size is known.
    """
    from pytorchvideo.inference.detection.export import export_detector
    from pytorchvideo.inference.detection.loading import load_detector

    detector = load_detector(model, weights=weights, labels=labels)
    made = export_detector(
        detector, Path(model).name, out, runtime=runtime, size=_size(size, Path(model)), say=say
    )
    shapes = " and ".join("x".join(map(str, shape)) for shape in made.info.input_shapes)
    boxes = f"{made.info.boxes} boxes at a time" if made.info.boxes else "any number of boxes"
    screen = answer_screen()
    screen.print(
        f"takes clips {shapes} and {boxes}; largest difference of logits {made.max_difference:.1e} of "
        f"{made.max_logit:.1e}",
        soft_wrap=True,
    )
    screen.print(f"artefact: {made.folder}", soft_wrap=True)


def _size(text: str | None, run: Path) -> tuple[int, int]:
    if text is not None:
        found = re.fullmatch(r"(\d+)[xX](\d+)", text)
        if found is None:
            raise ValueError(expected("--size", "WIDTHxHEIGHT, as 640x360", text))
        return int(found[1]), int(found[2])
    config = run / "config.json"
    if not config.is_file():
        raise ValueError(
            "Expected --size WIDTHxHEIGHT, the size of the videos: the artefact is made for it."
        )
    from flash.runs.detection.config import DetectionConfig
    from flash.runs.detection.data import held_out_file, read_boxes

    known = DetectionConfig.from_file(config)
    file = Path(known.val) if known.val else held_out_file(known.data)
    boxes = read_boxes(file, known.recipe(), videos=known.videos, label_map=known.label_map)
    height, width = boxes[0]["frame_size"]
    return width, height


def print_map(screen: "Console", found: "FrameMap", labels: Sequence[str]) -> None:
    """Prints a frame-mAP and the average precisions of the classes, best first."""
    named = zip(found.per_class.items(), labels, strict=True)
    rows = [(label, value, found.num_boxes[number]) for (number, value), label in named]
    known = sorted((row for row in rows if not math.isnan(row[1])), key=lambda row: -row[1])
    table = Table("class", "AP", "boxes", box=box.SIMPLE_HEAD)
    for label, value, count in known[:_MOST_CLASSES]:
        table.add_row(visible(label), f"{value:.3f}", str(count))
    screen.print(table)
    if len(known) > _MOST_CLASSES:
        screen.print(f"and {len(known) - _MOST_CLASSES} more classes")
    screen.print(
        f"frame-mAP {found.mean:.4f} at IoU 0.5 over {len(known)} of {len(rows)} classes "
        f"({found.convention})"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    return str(value) if isinstance(value, Path) else value
