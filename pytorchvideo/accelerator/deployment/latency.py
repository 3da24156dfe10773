# SPDX-License-Identifier: Apache-2.0
"""Latency and memory of models, measured side by side.

Each variant lives in a process of its own, so that its memory is its own, and they are asked in turn, so that a busy
machine is busy for all of them.
"""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pytorchvideo._processes import end, shielded

Step = Callable[[], object]


@dataclass(frozen=True)
class Latency:
    """What was measured of one variant.

    Attributes:
        median_sec: of one call.
        p95_sec: 95 of 100 calls are not slower.
        memory_bytes: by which the process grew from before it was loaded to its largest; None where the system
            does not tell.
        failure: why there are no figures, or None.
    """

    median_sec: float = float("nan")
    p95_sec: float = float("nan")
    memory_bytes: int | None = None
    failure: str | None = None


def measure(
    loaders: Mapping[str, Callable[[], Step]],
    *,
    seconds: float = 20.0,
    least: int = 5,
    most: int = 50,
    threads: int | None = None,
) -> dict[str, Latency]:
    """Measures variants, one call of each in turn.

    Args:
        loaders: for each variant a function that can be pickled and returns what is timed.
        seconds: for which it goes on, beyond the ``least`` calls.
        least: calls of each variant, after two to warm up.
        most: likewise.
        threads: of torch in these processes; None is its own choice.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[str, tuple[Any, Connection]] = {}
    found: dict[str, Latency] = {}
    memory: dict[str, int | None] = {}
    try:
        for name, load in loaders.items():
            here, there = context.Pipe()
            process = context.Process(target=_work, args=(there, load, threads), daemon=True)
            with shielded():
                process.start()
            there.close()
            workers[name] = (process, here)
            answer = _receive(here)
            if isinstance(answer, str):
                found[name] = Latency(failure=answer)
        asked = [name for name in loaders if name not in found]
        times: dict[str, list[float]] = {name: [] for name in asked}
        began = time.perf_counter()
        for count in range(most):
            if count >= least and time.perf_counter() - began > seconds:
                break
            for name in asked:
                workers[name][1].send("run")
                times[name].append(float(_receive(workers[name][1])))
        for name in asked:
            workers[name][1].send("memory")
            memory[name] = _receive(workers[name][1])
    finally:
        for _process, connection in workers.values():
            connection.close()
        end(process for process, _connection in workers.values())
    return {name: found.get(name) or _summary(times[name], memory[name]) for name in loaders}


def _summary(times: list[float], memory: int | None) -> Latency:
    p95 = sorted(times)[min(len(times) - 1, int(0.95 * len(times)))]
    return Latency(statistics.median(times), p95, memory)


def _receive(connection: Connection) -> Any:
    try:
        return connection.recv()
    except EOFError:
        return "the process ended, perhaps for want of memory"


def _work(connection: Connection, load: Callable[[], Step], threads: int | None) -> None:
    """The other process: loads, then runs as often as it is told."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    before = _largest_memory(reset=True)
    try:
        step = load()
        step()
        step()
    except Exception as error:  # noqa: BLE001 - it is the answer
        text = str(error).strip()
        connection.send(f"{type(error).__name__}: {text.splitlines()[0] if text else ''}")
        return
    connection.send(True)
    while True:
        try:
            asked = connection.recv()
        except EOFError:
            return
        if asked == "memory":
            after = _largest_memory()
            connection.send(None if before is None or after is None else after - before)
            continue
        start = time.perf_counter()
        step()
        connection.send(time.perf_counter() - start)


def _largest_memory(reset: bool = False) -> int | None:
    """Most bytes that this process held, since it began or since a reset; None where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    if reset:
        try:
            # see proc(5): 5 resets the peak to what is held now
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            return None
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
