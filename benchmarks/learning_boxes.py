# SPDX-License-Identifier: Apache-2.0
"""Action detection: the frame-mAP that ``pytorchvideo demo --task detection`` learns, and that of permuted boxes.

    python benchmarks/learning_boxes.py run 0
    python benchmarks/learning_boxes.py table

``run SEED`` writes the videos of that seed, trains on them with one thread as the demo does, and scores the held-out
boxes twice: each as it is, and each with the box of another figure of the same picture, which says nothing about what
the figure does. ``table`` writes the part of ``docs/learning.md`` from ``results/learning_boxes.json``.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import _report
import torch
from rich.console import Console

from flash.cli.detection import DEMO_RUN
from flash.runs.detection.config import DetectionConfig
from flash.runs.detection.data import read_boxes
from flash.runs.detection.train import train_detector
from pytorchvideo.data.synthetic_figures import write_figure_videos
from pytorchvideo.evaluation.detection import frame_map, score_boxes
from pytorchvideo.inference.detection.detector import ActionDetector

RESULTS = Path(__file__).parent / "results" / "learning_boxes.json"
PAGE = Path(__file__).parent.parent / "docs" / "learning.md"


def run(seed: int) -> dict[str, Any]:
    """Trains with a seed, and returns what came of it."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data, out = Path(folder, "data"), Path(folder, "run")
        write_figure_videos(data, seed=seed)
        began = time.process_time()
        config = DetectionConfig(data=str(data), seed=seed, **DEMO_RUN)
        summary = train_detector(config, out, console=Console(stderr=True, width=120))
        seconds = time.process_time() - began
        detector = ActionDetector.from_file(out / "model.pt")
        known = read_boxes(data / "val.csv", detector.recipe)
        truth, annotated = known.groundtruth, list(known.key_frames)
        for number, frame in enumerate(known.key_frames):
            people = frame.people
            # of another figure: the labels that are scored stay where they are
            moved = [people[(place + 1) % len(people)].box for place in range(len(people))]
            known.key_frames[number] = frame._replace(
                people=tuple(p._replace(box=box) for p, box in zip(people, moved, strict=True))
            )
        found = score_boxes(detector, known)
        back = {
            (frame.video, round(frame.time_sec, 6), moved.box): own.box
            for frame, own_frame in zip(known.key_frames, annotated, strict=True)
            for moved, own in zip(frame.people, own_frame.people, strict=True)
        }
        rows = [_moved_back(row, back) for row in found.rows()]
    permuted = frame_map(truth, rows, known.classes)
    classes = len(summary.map.num_boxes)
    return {
        "seed": seed,
        "map": summary.map.mean,
        "permuted_map": permuted.mean,
        "chance": 1 / classes,
        "seconds": seconds,
    }


def _moved_back(row: list[Any], back: dict[Any, Any]) -> list[Any]:
    """A row of scores with the box of the figure that they were said of."""
    near = min(
        (key for key in back if key[0] == row[0] and abs(key[1] - row[1]) < 1e-3),
        key=lambda key: sum(abs(a - b) for a, b in zip(key[2], row[2:6], strict=True)),
    )
    return [*row[:2], *back[near], *row[6:]]


def table(results: list[dict[str, Any]]) -> str:
    """The part of the page."""
    maps, permuted = ([row[name] for row in results] for name in ("map", "permuted_map"))
    seeds = ", ".join(str(row["seed"]) for row in results)
    spread = f" ± {statistics.stdev(maps):.3f}" if len(maps) > 1 else ""
    each = ", ".join(f"{value:.3f}" for value in maps)
    wrong = ", ".join(f"{value:.3f}" for value in permuted)
    seconds = statistics.mean(row["seconds"] for row in results)
    return (
        f"| boxes | seeds | frame-mAP of each | mean{' ± standard deviation' if spread else ''} | boxes permuted "
        "| chance | CPU seconds |\n| --- | --- | --- | --- | --- | ---: | ---: |\n"
        f"| figures | {seeds} | {each} | {statistics.mean(maps):.3f}{spread} | {wrong} | "
        f"{results[0]['chance']:.2f} | {seconds:.0f} |\n"
    )


def main() -> None:
    """Runs a seed, or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("seed", type=int)
    commands.add_parser("table")
    asked = parser.parse_args()
    known = json.loads(RESULTS.read_text()) if RESULTS.is_file() else []
    if asked.command == "run":
        found = run(asked.seed)
        others = [row for row in known if row["seed"] != asked.seed]
        known = sorted([*others, found], key=lambda row: row["seed"])
        RESULTS.write_text(json.dumps(known, indent=1) + "\n")
        return
    _report.fill(PAGE, "boxes", table(known))


if __name__ == "__main__":
    main()
