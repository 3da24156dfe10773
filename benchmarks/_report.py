# SPDX-License-Identifier: Apache-2.0
"""Shared parts of all benchmarks: alternating runs, medians, the machine, and json files of results."""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import torch
import torchvision

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Returns what the figures depend on, without the name of the machine."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = names[0].split(":", 1)[1].strip() if names else cpu
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "av": av.__version__,
        "threads": torch.get_num_threads(),
    }


def alternate(
    runs: dict[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Runs the candidates in turn after one warm-up each; returns the median seconds of each.

    With one thread on a busy machine, ``time.process_time`` is the fairer clock.
    """
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def geometric_mean(values: list[float]) -> float:
    """Returns the geometric mean of positive numbers."""
    return statistics.geometric_mean(values)


def fill(file: Path, name: str, text: str) -> None:
    """Writes a text into a guide, between the two comments ``NAME: begin`` and ``NAME: end``."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = file.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    file.write_text(before + begin + text + end + after, encoding="utf-8")


def write(name: str, results: dict[str, Any]) -> Path:
    """Writes ``results/NAME.json`` with the machine and returns its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **results}, indent=1) + "\n")
    return path
