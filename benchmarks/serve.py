# SPDX-License-Identifier: Apache-2.0
"""Concurrent requests to the server: correctness, latency and memory.

`pytorchvideo serve` runs in a process of its own, on this machine's loopback, with an X3D-XS of random weights, on one
thread. In each round a video of 3 s is sent as often as `--requests` says: one request after the other, and all at
once. Every answer must be the same to the last digit. Memory is that of the server after a round, the first of which
is not counted: PyTorch and the allocator keep what they once needed.

    python benchmarks/serve.py [--requests 60] [--rounds 5] [--limit-sec 300]
"""

import argparse
import contextlib
import http.client
import importlib.metadata
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from _report import write

from pytorchvideo.data._decode._pyav.write import Encoding, write_video
from pytorchvideo.models._registry import create_model, model_entry
from pytorchvideo.models.pretrained import PretrainedModel

HOST = "127.0.0.1"
MODEL, SECONDS, RATE, HEIGHT, WIDTH = "x3d_xs", 3, 30, 240, 320


def make_video(path: Path) -> bytes:
    """A bright square that moves over noise."""
    generator = np.random.default_rng(0)
    background = generator.integers(0, 200, (HEIGHT // 8, WIDTH // 8, 3), np.uint8)
    background = background.repeat(8, axis=0).repeat(8, axis=1)

    def frames() -> Iterator[np.ndarray]:
        for number in range(SECONDS * RATE):
            picture = np.roll(background, number, axis=1)
            picture[50:82, number : number + 32] = 255
            yield picture

    write_video(path, frames(), Fraction(RATE), Encoding(options={"preset": "veryfast"}))
    return path.read_bytes()


def make_weights(path: Path) -> None:
    """A model file of random weights."""
    weights = model_entry(MODEL, "video classification").weights
    torch.manual_seed(0)
    model = create_model(MODEL, num_classes=len(weights.labels))
    PretrainedModel(model, MODEL, weights.recipe, labels=weights.labels).save(path)


class Server:
    """The command in its process."""

    def __init__(self, process: subprocess.Popen[str], port: int, timeout_sec: float) -> None:
        self._process, self._port, self._timeout_sec = process, port, timeout_sec

    def ask(self, video: bytes) -> bytes:
        """Returns the answer to one video."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=self._timeout_sec)
        with contextlib.closing(connection):
            connection.request("POST", "/api/predict", video, {"content-type": "video/mp4"})
            reply = connection.getresponse()
            answer = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"Status {reply.status}: {answer.decode()}")
        return answer

    def resident_mb(self) -> float:
        """Memory of the process."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextlib.contextmanager
def serving(weights: Path, timeout_sec: float) -> Iterator[Server]:
    """Starts the server on a free port and ends it."""
    command = [
        sys.executable,
        "-m",
        "flash.cli.main",
        "serve",
        "--weights",
        str(weights),
        "--port",
        "0",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            assert process.stderr is not None
            found = (re.search(rf"http://{HOST}:(\d+)", line) for line in process.stderr)
            port = next(int(match[1]) for match in found if match)
            yield Server(process, port, timeout_sec)
        finally:
            process.terminate()


def timed(run: Callable[[], list[bytes]]) -> tuple[float, list[bytes]]:
    """Seconds of a round, and its answers."""
    start = time.perf_counter()
    answers = run()
    return time.perf_counter() - start, answers


def main() -> None:
    """Alternates the rounds, and prints a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=60, choices=range(2, 65), metavar="2..64")
    parser.add_argument("--rounds", type=int, default=5, choices=range(2, 21), metavar="2..20")
    parser.add_argument("--limit-sec", type=float, default=300, help="no round begins after it")
    options = parser.parse_args()
    torch.set_num_threads(1)  # as the server has
    rows = []
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        video = make_video(Path(folder) / "video.mp4")
        make_weights(Path(folder) / "model.pt")
        with (
            serving(Path(folder) / "model.pt", options.limit_sec) as server,
            ThreadPoolExecutor(options.requests) as pool,
        ):
            videos = [video] * options.requests
            wanted = server.ask(video)
            print("round  one after the other [s]  at once [s]  ratio  memory [MB]")
            for number in range(options.rounds + 1):
                if time.perf_counter() - began > options.limit_sec:
                    break
                in_turn, first = timed(lambda: [server.ask(one) for one in videos])
                at_once, second = timed(lambda: list(pool.map(server.ask, videos)))
                if {*first, *second} != {wanted}:
                    sys.exit("Expected equal answers, but they differ.")
                memory = server.resident_mb()
                row = (number, in_turn, at_once, at_once / in_turn, memory)
                print("{:5d}  {:23.2f}  {:11.2f}  {:5.2f}  {:11.1f}".format(*row))
                if number:  # the first is the warm-up
                    rows.append(row)
    if len(rows) < 2:
        sys.exit(f"Expected two rounds within {options.limit_sec:g} s, but there was less time.")
    growth = rows[-1][4] - rows[0][4]
    print(f"{2 * options.requests * (len(rows) + 1)} equal answers; memory grew by {growth:.1f} MB")
    names = ("round", "in_turn_sec", "at_once_sec", "ratio", "memory_mb")
    write(
        "serve",
        {
            **vars(options),
            "gradio": importlib.metadata.version("gradio"),
            "model": MODEL,
            "video": f"{SECONDS} s of {WIDTH}x{HEIGHT} at {RATE} frames per second",
            "equal_answers": 2 * options.requests * (len(rows) + 1),
            "ratio_median": round(statistics.median(row[3] for row in rows), 3),
            "memory_growth_mb": round(growth, 1),
            "rows": [
                {name: round(value, 3) for name, value in zip(names, row, strict=True)}
                for row in rows
            ],
        },
    )


if __name__ == "__main__":
    main()
