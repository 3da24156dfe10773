# SPDX-License-Identifier: Apache-2.0
"""Scaling of dataset reading with the workers of a ``DataLoader``.

An epoch of ``LabeledVideoDataset`` over the videos: three clips of two seconds each, 8 frames of each, short side 256,
centre of 224, batches of four, one thread a worker. Workers persist, so that their start is not part of it.

"seconds" are those of the clock: worth something only where a processor is free for each worker. "busiest" are the
seconds of the processor of the worker that has most to do, which is what an epoch would take then; the main process,
and waiting for each other, are not in it. "free" is the share of a processor that a busy loop got in each of as many
processes, just before and just after.

    python benchmarks/workers.py FOLDER_OR_VIDEO... [--workers 1 2] [--epochs 3] [--repeat 4]
"""

import argparse
import multiprocessing
import statistics
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from _report import write
from torch.utils.data import DataLoader, SequentialSampler, get_worker_info
from torchvision.transforms import Compose

from pytorchvideo.data import ConstantClipsPerVideoSampler, LabeledVideoDataset
from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    CenterCropVideo,
    Div255,
    ShortSideScale,
    UniformTemporalSubsample,
)


def note_time(sample: dict[str, Any]) -> dict[str, Any]:
    """Adds the seconds of the processor that the worker has used so far."""
    worker = get_worker_info()
    return {**sample, "worker": 0 if worker is None else worker.id, "used": time.process_time()}


def loader(files: list[Path], workers: int) -> DataLoader:
    """The loader of all clips, in the form that users write."""
    steps = [UniformTemporalSubsample(8), ShortSideScale(256), CenterCropVideo(224), Div255()]
    transform = ApplyTransformToKey("video", torch.nn.Sequential(*steps))
    dataset = LabeledVideoDataset(
        [(str(file), {"label": 0}) for file in files],
        ConstantClipsPerVideoSampler(2, 3),
        SequentialSampler,
        Compose([transform, note_time]),
        decode_audio=False,
    )
    return DataLoader(dataset, batch_size=4, num_workers=workers, persistent_workers=True)


def epoch(batches: DataLoader) -> tuple[float, int, dict[int, float]]:
    """Seconds and clips of one epoch, and what each worker has used of the processor since it began."""
    start, clips = time.perf_counter(), 0
    used: dict[int, float] = {}
    for batch in batches:
        clips += len(batch["video"])
        used[int(batch["worker"][-1])] = float(batch["used"][-1])
    return time.perf_counter() - start, clips, used


def share(_: int) -> float:
    """The share of a processor that this process gets for half a second."""
    start, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - start < 0.5:
        pass
    return (time.process_time() - used) / (time.perf_counter() - start)


def free(workers: int) -> float:
    """The share of a processor that each of some processes gets."""
    with multiprocessing.Pool(workers) as pool:
        return statistics.mean(pool.map(share, range(workers), chunksize=1))


def main() -> None:
    """Prints a table and writes ``results/workers.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=4, help="how often the set holds each video")
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    files = [f for p in args.paths for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
    files = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    files *= args.repeat
    rows: list[dict[str, Any]] = []
    loaders = {workers: loader(files, workers) for workers in args.workers}
    used = {workers: epoch(batches)[2] for workers, batches in loaders.items()}  # warm up
    runs: dict[int, list[tuple[float, float, float]]] = {workers: [] for workers in loaders}
    for _ in range(args.epochs):
        for workers, batches in loaders.items():
            share_before = free(workers)
            seconds, clips, now = epoch(batches)
            busiest = max(now[worker] - used[workers][worker] for worker in now)
            used[workers] = now
            runs[workers].append((seconds, busiest, (share_before + free(workers)) / 2))
    for workers, measured in runs.items():
        seconds, busiest, share_free = map(statistics.median, zip(*measured, strict=True))
        row = {"workers": workers, "clips": clips, "seconds": seconds, "busiest": busiest}
        rows.append({**row, "free": share_free})
        rows[-1]["times_as_fast"] = rows[0]["seconds"] / seconds
        rows[-1]["times_as_fast_on_free_processors"] = rows[0]["busiest"] / busiest
        print({name: round(value, 3) for name, value in rows[-1].items()})
    print(f"written to {write('workers', {'videos': len(files), 'loaders': rows})}")


if __name__ == "__main__":
    main()
