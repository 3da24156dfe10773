# SPDX-License-Identifier: Apache-2.0
"""Stream prediction: lag behind the source, and memory.

A file plays at its own speed through a model with random weights, as `pytorchvideo stream FILE --realtime` reads it,
on one thread: clip by clip, incrementally, and with a model that is too slow. Latency is from the arrival of the newest
frame to the answer; the growth of memory is that of the process from the first quarter of the time to its end.

    python benchmarks/stream.py [--seconds 90] [--height 240] [--width 320]
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import write

from pytorchvideo.data._decode._pyav.write import Encoding, write_video
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.inference.stream.predictor import StreamPredictor, percentile
from pytorchvideo.models._registry import create_model, model_entry

RATE = 30
# model, incrementally, seconds from one answer to the next
CASES = (
    ("x3d_s", False, 1.0),
    ("x3d_s", True, 1.0),
    ("x3d_s", False, 0.2),
    ("x3d_s", True, 0.2),
    ("slow_r50", False, 1.0),
)


def make_video(path: Path, seconds: float, height: int, width: int) -> None:
    """A bright square that moves over noise."""
    generator = np.random.default_rng(0)
    background = generator.integers(0, 200, (height // 8, width // 8, 3), np.uint8)
    background = background.repeat(8, axis=0).repeat(8, axis=1)

    def frames() -> Any:
        for number in range(round(seconds * RATE)):
            picture = np.roll(background, number % width, axis=1)
            top, left = 7 * number % (height - 32), 5 * number % (width - 32)
            picture[top : top + 32, left : left + 32] = 255
            yield picture

    encoding = Encoding(options={"preset": "veryfast", "g": "60"})
    write_video(path, frames(), Fraction(RATE), encoding)


def resident_bytes() -> int:
    """Memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(path: Path, name: str, incremental: bool, every: float) -> dict[str, Any]:
    """One row of the results."""
    entry = model_entry(name, "video classification")
    recipe, labels = entry.weights.recipe, entry.weights.labels
    model = create_model(name, num_classes=len(labels), **entry.logits_arguments)
    predictor = VideoPredictor(model, recipe, labels)
    predictor.model.to(memory_format=torch.channels_last_3d)
    stream = StreamPredictor(predictor, every=every, incremental=incremental)
    latencies, memory = [], []
    begin, cpu_begin = time.perf_counter(), time.process_time()
    with stream.open(path, realtime=True) as video:
        for answer in stream.answers(video):
            latencies.append(answer.latency_sec)
            memory.append((answer.time_sec, resident_bytes()))
        wall = time.perf_counter() - begin
        read, dropped, seconds = video.read, video.dropped, video.seconds
    early = [size for moment, size in memory if moment > seconds / 4]
    late = answer.time_sec - answer.end_sec + video.frame_sec
    return {
        "model": name,
        "every_sec": every,
        "mode": "incremental" if incremental else "clip by clip",
        "video_seconds": round(seconds, 1),
        "wall_seconds": round(wall, 1),
        "cpu_share": round((time.process_time() - cpu_begin) / wall, 3),
        "predictions": len(latencies),
        "latency_median_sec": round(statistics.median(latencies), 4),
        "latency_p95_sec": round(percentile(latencies, 95), 4),
        "window_ends_before_newest_frame_sec": round(late, 2),
        "frames_read": read,
        "frames_dropped": dropped,
        "memory_mb": round(memory[-1][1] / 1e6),
        "memory_growth_mb": round((memory[-1][1] - early[0]) / 1e6, 2),
    }


def main() -> None:
    """Plays the video through each case, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--width", type=int, default=320)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        make_video(path, options.seconds, options.height, options.width)
        for case in CASES:
            rows.append(measure(path, *case))
            sys.stdout.write(f"{rows[-1]}\n")
            sys.stdout.flush()
    write("stream", {**vars(options), "rate": RATE, "rows": rows})


if __name__ == "__main__":
    main()
