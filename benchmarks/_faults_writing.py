# SPDX-License-Identifier: Apache-2.0
"""Faults while files are written: kills at any moment, a clock that goes backwards, a busy machine."""

import contextlib
import hashlib
import itertools
import json
import multiprocessing
import os
import random
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import torch
from _faults import (
    Child,
    Row,
    command,
    compared,
    in_a_process,
    killed_on_the_way,
    one_line,
    write_videos,
)

from pytorchvideo.data import LabeledVideoPaths, ShardedVideos, TrainingFormat, write_shards
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav.transcode import transcode
from pytorchvideo.data.preparing.encode import Preparation

SMALL = TrainingFormat(short_side=32, preset="ultrafast")
_TINY = ("--frames", 4, "--crop", 32, "--clip-duration", 0.8)
_TRAINING = (
    *("--model", "x3d_xs", "--no-pretrained", "--epochs", 3, "--batch-size", 4, "--clips", 1),
    *_TINY,
)


def contents(folder: Path, pattern: str = "*") -> dict[str, str]:
    """The files below a folder, by a digest of their bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob(pattern))
        if path.is_file()
    }


# -- shards -----------------------------------------------------------------------------------------------------


def _pack(source: Path, target: Path) -> None:
    for _ in write_shards(LabeledVideoPaths.from_path(str(source)), target, max_count=3):
        pass


def shards(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """``write_shards`` killed: refused by readers until it has come to its end, and then as if it never had been."""
    source, whole = folder / "shards", scratch / "whole"
    count, draw = len(write_videos(source, 10)), random.Random(0)
    in_a_process(partial(_pack, source, whole))
    wanted, total, read = contents(whole), 0, 0
    lost = repeated = 0
    for number in range(3 if short else 40):
        target = scratch / f"shards-{number}"

        def check(target: Path = target) -> None:
            nonlocal read
            with contextlib.suppress(ValueError, FileNotFoundError):
                read += len(ShardedVideos(target)) != count  # a part of it as if it were all

        kills, outcome = killed_on_the_way(
            partial(_pack, source, target),
            5,
            draw,
            check,
            rehearse=partial(_pack, source, scratch / f"rehearsal-{number}"),
        )
        more = compared(contents(target).items(), wanted.items())
        total, lost, repeated = total + kills, lost + more[0], repeated + more[1]
        if outcome.error:
            lost += 1
    said = f"{count} videos; {read} times a part was read as if it were all"
    yield Row("write_shards", "killed", total, total, lost + read, repeated, said)


# -- prepare ----------------------------------------------------------------------------------------------------


def _encode(source: Path, target: Path) -> list[str]:
    return [done.source for done in Preparation(source, target, SMALL).run(jobs=1)]


def prepare(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """``prepare`` killed: what is finished stands and is not encoded again, and all files are what they would be."""
    source, whole, draw = folder / "prepare", scratch / "whole", random.Random(0)
    write_videos(source, 6)
    wanted_names = in_a_process(partial(_encode, source, whole)).value
    wanted, total, lost, repeated = contents(whole, "*.mp4"), 0, 0, 0
    for number in range(1 if short else 10):
        target, finished = scratch / f"prepared-{number}", set[str]()

        def check(target: Path = target, finished: set[str] = finished) -> None:
            finished.clear()
            finished.update(d.source for d in Preparation(source, target, SMALL).finished)

        kills, outcome = killed_on_the_way(
            partial(_encode, source, target),
            4,
            draw,
            check,
            rehearse=partial(_encode, source, scratch / f"rehearsal-{number}"),
        )
        names = [*finished, *(outcome.value or [])]
        for more in (
            compared(names, wanted_names),
            compared(contents(target, "*.mp4").items(), wanted.items()),
        ):
            lost, repeated = lost + more[0], repeated + more[1]
        total += kills
    yield Row("prepare", "one process, killed", total, total, lost, repeated)
    if not short:
        yield _prepare_in_two(source, scratch / "two", wanted)


def _prepare_in_two(source: Path, target: Path, wanted: dict[str, str]) -> Row:
    """The command with two processes, of which the first is killed: the others must do no harm."""
    work = partial(command, "prepare", source, "--out", target, "--jobs", 2)
    work, draw = partial(work, "--short-side", 32, "--preset", "ultrafast"), random.Random(0)
    begun = time.perf_counter()
    in_a_process(work)
    seconds, kills, lost, repeated = time.perf_counter() - begun, 0, 0, 0
    for _ in range(3):
        shutil.rmtree(target)
        for _ in range(2):
            kills += Child(work).kill_after(draw.uniform(seconds / 2, seconds)).killed
        in_a_process(work)
        more = compared(contents(target, "*.mp4").items(), wanted.items())
        lost, repeated = lost + more[0], repeated + more[1]
    return Row("prepare", "two processes, the first killed", kills, kills, lost, repeated)


# -- train, check, embed ----------------------------------------------------------------------------------------


def _train(videos: Path, out: Path, *options: object) -> dict[str, Any]:
    torch.set_num_threads(1)
    status = command("train", videos, "--out", out, "--resume", *_TRAINING, *options)
    if status:
        raise RuntimeError(f"status {status}")
    saved = torch.load(out / "model.pt", weights_only=True)
    digest = hashlib.sha256()
    for name, value in saved["model_state"].items():
        digest.update(name.encode() + value.numpy().tobytes())
    history = json.loads((out / "history.json").read_text())
    return {"epochs": [row["epoch"] for row in history], "weights": digest.hexdigest()}


def train(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """``train`` killed and resumed: each epoch once, and the weights of a run that was not killed, to the bit."""
    videos, draw = folder / "train", random.Random(0)
    write_videos(videos, 8)
    for strategy in ("train",) if short else ("train", "probe"):
        work = partial(_train, videos)
        trained = scratch / "train-whole" / "model.pt"
        options = () if strategy == "train" else ("--strategy", "probe", "--weights", trained)
        whole = in_a_process(partial(work, scratch / f"{strategy}-whole", *options))
        if whole.value is None:
            raise RuntimeError(f"The work fails without a kill: {whole.error or whole.stderr}")
        total, lost, repeated, same, runs = 0, 0, 0, 0, 1 if short else 5
        for number in range(runs):
            kills, outcome = killed_on_the_way(
                partial(work, scratch / f"{strategy}-{number}", *options),
                2 if short else 4,
                draw,
                rehearse=partial(work, scratch / f"{strategy}-rehearsal-{number}", *options),
            )
            found = outcome.value or {"epochs": [], "weights": outcome.error}
            more = compared(found["epochs"], whole.value["epochs"])
            total, lost, repeated = total + kills, lost + more[0], repeated + more[1]
            same += found["weights"] == whole.value["weights"]
        said = f"{same} of {runs} runs with the weights of the whole one"
        yield Row(strategy, "killed", total, total, lost + runs - same, repeated, said)


def reports(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """``check`` and ``embed`` killed: their files are not there or whole, and the next call makes them."""
    videos, run, draw = folder / "reports", scratch / "run", random.Random(0)
    write_videos(videos, 6)
    (videos / "run" / "bad.mp4").write_text("not a video")
    cases: list[tuple[str, tuple[object, ...], str]] = [
        ("check", ("check", videos, "--quarantine", "FILE"), "bad.txt")
    ]
    if not short:
        in_a_process(partial(_train, videos, run))
        embedding = ("embed", videos, "--run", run, "--out", "FILE", "--clips", 1)
        cases.append(("embed", embedding, "embeddings.safetensors"))
    for name, arguments, ending in cases:
        whole = scratch / f"whole {ending}"
        in_a_process(partial(_report, arguments, whole))
        half = total = lost = 0
        for number in range(2 if short else 8):
            out = scratch / f"{number} {ending}"

            def check(out: Path = out, whole: Path = whole) -> None:
                nonlocal half
                half += out.exists() and out.read_bytes() != whole.read_bytes()

            kills, _ = killed_on_the_way(
                partial(_report, arguments, out),
                3,
                draw,
                check,
                rehearse=partial(_report, arguments, scratch / f"rehearsal {ending}"),
            )
            total += kills
            lost += not out.exists() or out.read_bytes() != whole.read_bytes()
        yield Row(name, "killed, begun again", total, total, lost + half)


def _report(arguments: tuple[object, ...], out: Path) -> int:
    torch.set_num_threads(1)
    return command(*(out if argument == "FILE" else argument for argument in arguments))


# -- a clock that goes backwards --------------------------------------------------------------------------------


def _backwards() -> None:
    """An hour back at each look at the clock, in this process."""
    now = time.time_ns()
    hours = itertools.count()
    time.time_ns = lambda: now - 3600 * 10**9 * next(hours)
    time.time = lambda: time.time_ns() / 10**9


def _after(turn: Any, work: Any) -> Any:
    turn()
    return work()


def clock(folder: Path, scratch: Path, *, short: bool) -> Iterator[Row]:
    """The clock goes backwards: files that changed are known by another time, not by a later one."""
    from _faults_reading import _brightness

    source = folder / "clock"
    paths = write_videos(source, 6)
    work = {
        "index and duration caches": lambda: _brightness(source, scratch / "cache"),
        "prepare": lambda: len(_encode(source, scratch / "prepared")),
    }
    for name, do in work.items():
        first = in_a_process(partial(_after, _backwards, do))
        again = in_a_process(partial(_after, _backwards, do))
        changed = paths[0]
        before = changed.stat()
        kept = changed.read_bytes()
        changed.write_bytes(paths[1].read_bytes())  # older than what was kept of the first
        os.utime(changed, ns=(0, before.st_mtime_ns - 10**12))
        third = in_a_process(partial(_after, _backwards, do))
        changed.write_bytes(kept)
        os.utime(changed, ns=(0, before.st_mtime_ns))
        if name == "prepare":
            results = [first.value, again.value, third.value]
            lost, repeated = compared([0] * (third.value or 0), [0])
            lost += results[:2] != [6, 0]
            said = f"encoded: {results}"
        else:
            lost, repeated = compared(again.value or [], first.value or [0])
            rows = {row[2] for row in third.value or [] if row[0] == 0}
            lost += rows != {row[2] for row in first.value if row[0] == 3}
            said = one_line(third.error)
        yield Row("clock goes backwards", name, 0, 2, lost, repeated, said)
    yield from _clock_of_a_run(folder, scratch)


def _clock_of_a_run(folder: Path, scratch: Path) -> Iterator[Row]:
    videos, draw = folder / "train", random.Random(1)
    write_videos(videos, 8)
    whole = in_a_process(partial(_train, videos, scratch / "whole"))
    kills, outcome = killed_on_the_way(
        partial(_after, _backwards, partial(_train, videos, scratch / "run")),
        2,
        draw,
        rehearse=partial(_train, videos, scratch / "rehearsal"),
    )
    found = outcome.value or {"epochs": [], "weights": ""}
    lost, repeated = compared(found["epochs"], whole.value["epochs"])
    lost += found["weights"] != whole.value["weights"]
    yield Row(
        "clock goes backwards", "train", kills, kills, lost, repeated, one_line(outcome.error)
    )


# -- the same bytes ---------------------------------------------------------------------------------------------


def _digest(video: Path) -> tuple[str, str] | None:
    with tempfile.TemporaryDirectory() as place:
        target = Path(place, "new.mp4")
        try:
            transcode(video, target, TrainingFormat())
        except VideoError:
            return None
        return str(video), hashlib.sha256(target.read_bytes()).hexdigest()


def encodes(videos: list[Path], times: int, jobs: int) -> Row:
    """Encodes each video several times, in more processes than there are processors."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    begun = time.process_time(), time.perf_counter()
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        for answer in pool.map(_digest, videos * times):
            if answer is not None:
                found[answer[0]][answer[1]] += 1
    count = sum(sum(digests.values()) for digests in found.values())
    lost = count - sum(max(digests.values()) for digests in found.values())
    said = f"{count} encodes of {len(found)} videos, {time.perf_counter() - begun[1]:.0f} s"
    return Row("encodes", f"{jobs} processes on {os.cpu_count()} processors", lost=lost, said=said)
