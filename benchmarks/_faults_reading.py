# SPDX-License-Identifier: Apache-2.0
"""Faults while clips are read: ranks and workers, killed workers, limits, shared caches."""

import contextlib
import datetime
import itertools
import json
import multiprocessing
import os
import random
import re
import resource
import signal
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from _faults import Child, Row, command, compared, in_a_process, one_line, write_videos
from torch.utils.data import get_worker_info

from pytorchvideo.data import ClipDataLoader, ClipDataset, LabeledVideoPaths, make_clip_sampler

METHODS = ("fork", "spawn", "forkserver")
Key = tuple[int, int]


def place(sample: dict[str, Any]) -> dict[str, int]:
    """What tells a clip from the others."""
    return {name: sample[name] for name in ("video_index", "clip_index")}


def clips_of(folder: Path, transform: Callable[[Any], Any] = place, **options: Any) -> ClipDataset:
    """Three clips of each video."""
    sampler = make_clip_sampler("constant_clips_per_video", 0.25, 3)
    videos = LabeledVideoPaths.from_path(str(folder))
    return ClipDataset(videos, sampler, transform=transform, decode_audio=False, **options)


def keys_of(batches: Iterator[Any]) -> list[Key]:
    return [
        (int(video), int(clip))
        for batch in batches
        for video, clip in zip(batch["video_index"], batch["clip_index"], strict=True)
    ]


def every(count: int) -> list[Key]:
    return list(itertools.product(range(count), range(3)))


# -- ranks, workers, and how they are started -------------------------------------------------------------------


def loader_of(dataset: ClipDataset, workers: int, method: str, equal: Any = None) -> ClipDataLoader:
    started: dict[str, Any] = {"multiprocessing_context": method} if workers else {}
    return ClipDataLoader(dataset, 2, True, num_workers=workers, equal=equal, **started)


def epoch_that_is_resumed(
    dataset: ClipDataset, workers: int, method: str, equal: Any = None
) -> list[Key]:
    """One epoch of a rank, broken off after two batches, and gone on with by another loader."""
    begun = loader_of(dataset, workers, method, equal)
    batches = iter(begun)
    head = keys_of(itertools.islice(batches, 2))
    state = json.loads(json.dumps(begun.state_dict()))
    del batches  # ends the workers
    resumed = loader_of(dataset, workers, method, equal)
    resumed.load_state_dict(state)
    return head + keys_of(iter(resumed))


def _rank(rank: int, ranks: int, folder: Path, out: Path, runs: list[tuple[int, str, Any]]) -> None:
    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    where = f"file://{out / 'rendezvous'}"
    limit = datetime.timedelta(minutes=30)
    dist.init_process_group("gloo", init_method=where, rank=rank, world_size=ranks, timeout=limit)
    dataset = clips_of(folder)
    found = [epoch_that_is_resumed(dataset, *run) for run in runs]
    (out / f"{rank}.json").write_text(json.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


def loaders(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """Ranks x workers x start methods: each clip once over all ranks, with one resumption on each."""
    count = len(write_videos(folder / "loaders", 5))
    # imported once, by the server
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__])
    for ranks in (1, 2) if short else (1, 2, 3):
        counts = (0, 2) if short else range(5)
        methods = METHODS[:1] if short else METHODS
        runs: list[tuple[int, str, Any]]
        runs = [(w, m, None) for w in counts for m in (methods if w else ("in one process",))]
        runs += [(0, "in one process", equal) for equal in ("pad", "drop")]
        out = scratch / f"ranks-{ranks}"
        out.mkdir()
        torch.multiprocessing.start_processes(
            _rank, (ranks, folder / "loaders", out, runs), ranks, start_method="fork"
        )
        found = [json.loads((out / f"{rank}.json").read_text()) for rank in range(ranks)]
        for number, (workers, method, equal) in enumerate(runs):
            got = [tuple(key) for rank in found for key in rank[number]]
            lost, repeated = compared(got, every(count))
            total, said = 3 * count, ""
            if equal == "pad":  # the first ones again, until all ranks have as many
                repeated, said = repeated - -total % ranks, f"{-total % ranks} more, as asked for"
            elif equal == "drop":
                lost, said = lost - total % ranks, f"{total % ranks} fewer, as asked for"
            name = f"{ranks} ranks, {workers} workers, {method if workers else equal or 'alone'}"
            yield Row("loader", name, 0, ranks, lost, repeated, said)


# -- a worker that is killed ------------------------------------------------------------------------------------


class DyingWorker:
    """Kills the worker that it runs in at one of its samples, once."""

    def __init__(self, mark: Path, sample: int) -> None:
        self._mark, self._sample, self._seen = mark, sample, 0

    def __call__(self, sample: dict[str, Any]) -> dict[str, int]:
        self._seen += 1
        if self._seen == self._sample and get_worker_info() is not None:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self._mark, os.O_CREAT | os.O_EXCL))
                os.kill(os.getpid(), signal.SIGKILL)
        return place(sample)


def _epoch_with_a_dying_worker(
    dataset: ClipDataset, workers: int, method: str
) -> tuple[list[Key], int, str]:
    got: list[Key] = []
    loader, resumes, said = loader_of(dataset, workers, method), 0, ""
    while True:
        batches = iter(loader)
        try:
            for batch in batches:
                got += keys_of(iter([batch]))
            return got, resumes, said
        except RuntimeError as error:
            said, state = one_line(str(error)), loader.state_dict()
            loader, resumes = loader_of(dataset, workers, method), resumes + 1
            loader.load_state_dict(state)


def workers(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """A worker is killed: one clear error, and the loader's state goes on with what was not handed out."""
    count = len(write_videos(folder / "workers", 5))
    draw = random.Random(0)
    for method in METHODS[:1] if short else METHODS:
        kills = 2 if short else 5
        lost, repeated, resumes, said = 0, 0, 0, ""
        for number in range(kills):
            workers = draw.randrange(1, 4)
            dying = DyingWorker(scratch / f"{method}-{number}", draw.randrange(1, 5))
            dataset = clips_of(folder / "workers", dying)
            # in a process of its own: PyTorch raises wherever the main thread is
            work = partial(_epoch_with_a_dying_worker, dataset, workers, method)
            outcome = in_a_process(work)
            got, again, said = outcome.value or ([], 0, outcome.error)
            more = compared(got, every(count))
            lost, repeated, resumes = lost + more[0], repeated + more[1], resumes + again
        said = re.sub(r"\d+", "N", said)  # of processes
        yield Row("worker killed", method, resumes, resumes, lost, repeated, f"the loader: {said}")


# -- two processes and one cache --------------------------------------------------------------------------------


def _brightness(folder: Path, cache: Path) -> list[tuple[int, int, float]]:
    """Every clip, with something of its content."""
    dataset = clips_of(
        folder, lambda sample: sample, index_cache=cache, durations_cache=cache / "durations.json"
    )
    return [
        (s["video_index"], s["clip_index"], round(float(s["video"].mean()), 3)) for s in dataset
    ]


def caches(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """Two processes fill the caches of indices and durations at once; one of them is killed."""
    videos, cache, draw = folder / "caches", scratch / "cache", random.Random(0)
    write_videos(videos, 4)
    work = partial(_brightness, videos, cache)
    counted = in_a_process(partial(_brightness, videos, scratch / "first"), 0)
    wanted, kills, lost, repeated, said = counted.value, 0, 0, 0, ""
    for number in range(4 if short else 40):
        if number % 4 == 0:
            for file in cache.glob("*"):
                file.unlink()
        dying = Child(work, draw.randrange(1, counted.calls))
        other = Child(work).wait()
        kills += dying.wait().killed
        for outcome in (other, in_a_process(work)):
            more = compared(outcome.value or [], wanted)
            lost, repeated, said = lost + more[0], repeated + more[1], said or outcome.error
    yield Row("index cache", "two processes, one killed", kills, kills, lost, repeated, said)


# -- limits of the process --------------------------------------------------------------------------------------


def _limited(limit: int, value: int, folder: Path, workers: int) -> list[Key]:
    if limit == resource.RLIMIT_AS:
        with open("/proc/self/statm") as statm:
            value += int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(limit, (value, value))
    return keys_of(iter(loader_of(clips_of(folder), workers, "fork")))


def limits(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """Few open files, little memory: every clip, or one error, and never a good video that is left out.

    With less than about 5 MB the C library itself ends a process that starts a thread ("cannot allocate memory for
    thread-local data"), as loaders do for their workers.
    """
    cases: list[tuple[str, int, int]] = [("64 open files", resource.RLIMIT_NOFILE, 64)]
    sizes = (10, 40) if short else (10, 15, 20, 30, 40, 80, 160, 320, 640, 1280)
    cases += [(f"{mb} MB of addresses more", resource.RLIMIT_AS, mb << 20) for mb in sizes]
    small, large = folder / "many", folder / "large"
    counts = {
        small: len(write_videos(small, 30)),
        large: len(write_videos(large, 3, size=(1280, 720))),
    }
    for name, limit, value in cases:
        videos = small if limit == resource.RLIMIT_NOFILE else large
        for workers in (0,) if short else (0, 2):
            outcome = in_a_process(partial(_limited, limit, value, videos, workers))
            lost, repeated = compared(outcome.value or [], every(counts[videos]))
            said = one_line(outcome.error or ("killed" if outcome.killed else ""))
            if said:  # one clear error is a right answer
                lost = 0 if outcome.error else lost
            yield Row("limits", f"{name}, {workers} workers", 0, 0, lost, repeated, said)


# -- what cannot be written -------------------------------------------------------------------------------------


def read_only(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """Output into a file as if it were a folder, which no user may write, and into /proc: one sentence each."""
    import_module("flash.runs.train")  # once here takes less than in each forked process
    videos = folder / "read only"
    count = len(write_videos(videos, 4))
    file = scratch / "file"
    file.write_text("no folder")
    for where in (file / "out", Path("/proc/nowhere/out")):
        name = "FILE/out" if where.parent == file else str(where)
        for option, arguments in _commands(videos, where):
            outcome = in_a_process(partial(command, *arguments))
            lines = outcome.stderr.strip().splitlines()
            # `train` first says what it is going to do
            sentences = lines[1:] if option.startswith("train") else lines
            is_right = outcome.value == 2 and len(sentences) == 1
            is_right = is_right and str(where.parent) in sentences[0]
            said = (lines[-1] if lines else outcome.error).replace(str(file), "FILE")
            yield Row("read-only output", f"{option} {name}", lost=int(not is_right), said=said)
        outcome = in_a_process(partial(_cached, videos, where))
        lost, repeated = compared(outcome.value or [], every(count))
        said = f"read all; {one_line(outcome.stderr)}" if outcome.value else outcome.error
        said = said.replace(str(file), "FILE")
        yield Row("read-only output", f"index cache in {name}", 0, 0, lost, repeated, said)


def _commands(videos: Path, where: Path) -> list[tuple[str, tuple[object, ...]]]:
    tiny = ("--no-pretrained", "--epochs", 1, "--frames", 4, "--crop", 32, "--clip-duration", 0.8)
    return [
        ("train --out", ("train", videos, "--out", where, *tiny)),
        ("prepare --out", ("prepare", videos, "--out", where, "--jobs", 1)),
        ("prepare --shards", ("prepare", videos, "--shards", where)),
        ("check --quarantine", ("check", videos, "--quarantine", where)),
        ("demo --out", ("demo", "--out", where)),
    ]


def _cached(videos: Path, where: Path) -> list[Key]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [(s["video_index"], s["clip_index"]) for s in clips_of(videos, index_cache=where)]
