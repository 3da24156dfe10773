# SPDX-License-Identifier: Apache-2.0
"""Faults of every kind: whether work is lost or done twice.

Clips, videos and files are counted after processes were killed at random moments (at a call of a function that a seed
draws) and the work was taken up again, with 1 to 3 ranks and 0 to 4 workers started in three ways, with a worker that
is killed, with two processes on one cache, with output that cannot be written, with a clock that goes backwards, with
few open files and little memory, and on a busy machine. "lost" counts what should have come and did not, or came with
other content; "repeated" what came more than was asked for. Both are to be 0 in every row.

    python benchmarks/faults.py [CASE...] [--short]
    python benchmarks/faults.py --encode FOLDER_OR_VIDEO... [--times 8] [--jobs 8]

A table is printed, and the rows of each case replace those in `results/faults.json`, unless the form is short.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

# the others are imported where they are used: each spawned worker imports this file
NAMES = [
    "loaders",
    "workers",
    "caches",
    "limits",
    "read_only",
    "shards",
    "prepare",
    "train",
    "reports",
    "clock",
]
ENCODES = "encodes"
HEAD = f"{'case':20s} {'variant':44s} kills resumes lost repeated"


def cases() -> dict[str, Callable[..., Iterator[Any]]]:
    """The functions of the cases, and in memory what all forked processes need."""
    import _faults_reading
    import _faults_writing
    import torch

    torch.set_num_threads(1)
    both = vars(_faults_reading) | vars(_faults_writing)
    return {name: both[name] for name in NAMES}


def run(name: str, *, short: bool) -> Iterator[Any]:
    """The rows of a case, as they come."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder, "scratch")
        scratch.mkdir()
        yield from cases()[name](Path(folder, "videos"), scratch, short=short)


def print_row(row: Any) -> None:
    counts = f"{row.kills:5d} {row.resumes:7d} {row.lost:4d} {row.repeated:8d}"
    print(f"{row.case:20s} {row.variant[:44]:44s} {counts}  {row.said}", flush=True)


def encode(paths: list[Path], times: int, jobs: int) -> Iterator[Any]:
    """The row of encoding the same videos again and again."""
    from _faults_writing import encodes

    from pytorchvideo.data._annotations.video_files import find_videos

    files = [Path(f) for path in paths for f in (find_videos(path) if path.is_dir() else [path])]
    yield encodes(files, times, jobs)


def keep(name: str, rows: list[Any]) -> None:
    """Puts the rows of a case into ``results/faults.json``, beside those of others."""
    from _report import RESULTS, write

    file = RESULTS / "faults.json"
    known = json.loads(file.read_text(encoding="utf-8"))["cases"] if file.exists() else {}
    found = known | {name: [asdict(row) for row in rows]}
    order = [*NAMES, ENCODES]
    write("faults", {"cases": {case: found[case] for case in order if case in found}})


def main() -> None:
    """Prints a table and writes ``results/faults.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(NAMES))
    parser.add_argument("--short", action="store_true", help="a few kills of each kind")
    parser.add_argument("--json", action="store_true", help="print the rows as json instead")
    parser.add_argument("--encode", nargs="+", type=Path, default=[])
    parser.add_argument("--times", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=8)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    if unknown := set(args.cases) - set(NAMES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    names = args.cases or ([] if args.encode else NAMES)
    works = {name: partial(run, name, short=args.short) for name in names}
    if args.encode:
        works[ENCODES] = partial(encode, args.encode, args.times, args.jobs)
    if not args.json:
        print(HEAD)
    every: list[Any] = []
    for name, work in works.items():
        rows, begun = [], time.perf_counter()
        for row in work():
            rows.append(row)
            if not args.json:
                print_row(row)
        every += rows
        print(f"  {name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        if not (args.short or args.json):
            keep(name, rows)
    if args.json:
        print(json.dumps([asdict(row) for row in every]))


if __name__ == "__main__":
    main()
