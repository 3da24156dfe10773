# SPDX-License-Identifier: Apache-2.0
"""Recall of planted wrong labels by ``pytorchvideo review``.

The videos of ``pytorchvideo demo`` get wrong labels, 5 % of them by lot, are trained on as the demo does, and ranked by
how doubtful their labels are. What counts is the share of the planted ones in the first tenth of the list, for three
seeds, which also choose the videos and the weights.

    python benchmarks/review.py [--keep FOLDER] [--seeds 0 1 2]

``--keep`` keeps videos and runs, or takes those that are there.
"""

import argparse
import csv
import random
import tempfile
from pathlib import Path
from typing import Any

import torch
from _report import fill, write
from rich.console import Console

from flash.cli.demo import DEMO_RUN
from flash.runs.config import RunConfig
from flash.runs.reports.review import review_run
from flash.runs.train import train
from pytorchvideo.data.synthetic import MOTIONS, write_demo_videos

WRONG, LOOKED_AT = 0.05, 0.1
GUIDE = Path(__file__).parent.parent / "docs" / "reports.md"


def plant(folder: Path, seed: int) -> tuple[Path, dict[str, str]]:
    """Writes the videos and a list of them in which 5 % of the labels are wrong; returns it and those videos."""
    files = write_demo_videos(folder / "data", seed=seed)
    rows = [
        [str(path), path.parent.name, split]
        for split, part in (("train", files.train), ("val", files.val))
        for path in sorted(part.rglob("*.mp4"))
    ]
    chosen = random.Random(seed)
    planted = {}
    for number in sorted(chosen.sample(range(len(rows)), round(WRONG * len(rows)))):
        path, label, _ = rows[number]
        rows[number][1] = planted[path] = chosen.choice([m for m in MOTIONS if m != label])
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["path", "label", "split"], *rows])
    return folder / "labels.csv", planted


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """Trains with planted labels, unless that is done already, and reviews the run."""
    console = Console(stderr=True)
    listing, planted = plant(folder, seed)
    if not (folder / "run" / "model.pt").is_file():
        config = RunConfig(data=str(listing), seed=seed, **DEMO_RUN)
        train(config, folder / "run", resume=(folder / "run").is_dir(), console=console)
    found = review_run(folder / "run", seed=seed, console=console)
    first = [doubt.video for doubt in found.doubts[: round(LOOKED_AT * len(found.doubts))]]
    counted = {doubt.video for doubt in found.doubts if doubt.is_counted}
    right = sum(
        doubt.suggested == Path(doubt.video).parent.name
        for doubt in found.doubts
        if doubt.video in planted
    )
    return {
        "seed": seed,
        "videos": len(found.doubts),
        "planted": len(planted),
        "cross_validated_accuracy": found.accuracy,
        "recall_in_first_tenth": len(planted.keys() & set(first)) / len(planted),
        "counted_as_wrong": len(counted),
        "recall_of_counted": len(planted.keys() & counted) / len(planted),
        "true_class_suggested": right / len(planted),
        "seconds": round(found.seconds, 1),
    }


def main() -> None:
    """Prints a table and writes ``results/review.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or Path(temporary)
        rows = [measure(folder / f"seed{seed}", seed) for seed in args.seeds]
    table = table_of(rows)
    print(table)
    fill(GUIDE, "review", table)
    recall = sum(row["recall_in_first_tenth"] for row in rows) / len(rows)
    print(f"mean recall in the first tenth of the list: {recall:.1%}")
    print(write("review", {"wrong": WRONG, "run": DEMO_RUN, "mean_recall": recall, "seeds": rows}))


def table_of(rows: list[dict[str, Any]]) -> str:
    """The figures as a table of the guide."""
    header = ("seed", "videos", "planted wrong labels", "accuracy, cross-validated")
    header += ("planted in the first tenth", "count as wrong", "planted of these")
    lines = ["| " + " | ".join(header) + " |", "|" + " ---: |" * len(header)]
    for row in rows:
        found = round(row["recall_in_first_tenth"] * row["planted"])
        of_counted = round(row["recall_of_counted"] * row["planted"])
        lines.append(
            f"| {row['seed']} | {row['videos']} | {row['planted']} | {row['cross_validated_accuracy']:.1%} "
            f"| {found} ({row['recall_in_first_tenth']:.0%}) | {row['counted_as_wrong']} | {of_counted} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
