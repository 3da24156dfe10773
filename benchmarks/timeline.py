# SPDX-License-Identifier: Apache-2.0
"""Memory and time per clip of timelines of minutes and of hours (``pytorchvideo timeline``).

A video of two hours is made: 160x120, 10 frames a second, a key frame every 25 s, stretches of other colours. Over it
slides X3D-XS with random weights, clip after clip; and a model that costs nothing, at steps of a quarter of a clip. For
each: clips in a second, how many times as fast as the video, the seconds of the processor a clip in the first and the
last tenth, and the memory of the process at the start, in the middle, and at the end.

Then overlapping clips are read from a video of a minute, 640x360, 30 frames a second, in order with each frame decoded
once, and clip by clip with ``get_clip``, in alternating runs. One thread everywhere.

    python benchmarks/timeline.py [--hours 2] [--repeats 3]
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from _report import alternate, write
from torch import Tensor, nn

from pytorchvideo.data._reading.in_order import clips_in_order
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.windows import SlidingWindows
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.inference.timeline.make import TimelineOptions, make_timeline
from pytorchvideo.models import create_model, get_weights
from pytorchvideo.transforms._pushdown import temporal_frame_filter

STEPS = (1.0, 0.75, 0.5, 0.25, 0.1)  # shares of a clip
MEGABYTE = 1e6


class Colours(nn.Module):
    """Names the brightest channel."""

    def forward(self, x: Tensor) -> Tensor:
        return 3 * x.mean(dim=(2, 3, 4))


def write_video(path: Path, seconds: int, *, size: tuple[int, int], fps: int) -> Path:
    """Noise that moves over a colour which changes every few minutes; a key frame every 250 frames."""
    generator = np.random.default_rng(0)
    height, width = size
    noise = generator.integers(0, 40, (height, 2 * width, 3), dtype=np.uint8)
    colours = generator.integers(0, 3, 1 + seconds // 150)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "x264-params": "keyint=250:scenecut=0"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for number in range(seconds * fps):
            offset = 2 * number % width
            picture = noise[:, offset : offset + width].copy()
            picture[..., colours[number // fps // 150]] += 150
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def resident() -> float:
    """Memory of this process in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / MEGABYTE


def slide(predictor: VideoPredictor, video: Path, out: Path, every_sec: float) -> dict[str, Any]:
    """One run over the long video."""
    score, points = predictor.score_inputs, []

    def watched(clips: Any) -> Tensor:
        scores = score(clips)
        points.append((time.process_time(), resident()))
        return scores

    predictor.score_inputs = watched  # type: ignore[method-assign]
    begun = time.perf_counter(), time.process_time()
    made = make_timeline(predictor, video, out, TimelineOptions(every_sec=every_sec))
    wall, cpu = time.perf_counter() - begun[0], time.process_time() - begun[1]
    tenth = len(points) // 10
    per_clip = [
        (points[stop - 1][0] - points[stop - tenth][0]) / ((tenth - 1) * predictor.batch_size)
        for stop in (tenth, len(points))
    ]
    clips = len(made.windows)
    middle = len(points) // 2
    return {
        "every_sec": every_sec,
        "clips": clips,
        "segments": sum(1 for _ in made.segments()),
        "clips_per_sec": clips / wall,
        "times_as_fast_as_the_video": made.windows.length_sec / wall,
        "cpu_sec_per_clip": cpu / clips,
        "cpu_sec_per_clip_in_first_tenth": per_clip[0],
        "cpu_sec_per_clip_in_last_tenth": per_clip[1],
        "memory_mb_start": points[tenth][1],
        "memory_mb_middle": points[middle][1],
        "memory_mb_end": points[-1][1],
        "kilobytes_written": sum(p.stat().st_size for p in out.iterdir()) / 1000,
    }


def reading(video: Path, predictor: VideoPredictor, step: float, repeats: int) -> dict[str, float]:
    """Seconds a clip, read in order and one by one."""
    needed = temporal_frame_filter(predictor.recipe.transforms(key="video"))
    length = predictor.recipe.clip_duration_sec
    with EncodedVideo.from_path(video, decode_audio=False) as opened:
        windows = SlidingWindows(0.0, float(opened.duration), length, step * length)

    dtype = torch.uint8 if step < 1 else torch.float32  # as `make_timeline` opens it

    def in_order() -> None:
        with EncodedVideo.from_path(video, decode_audio=False, dtype=dtype) as opened:
            for _ in clips_in_order(opened, windows, needed):
                pass

    def one_by_one() -> None:
        with EncodedVideo.from_path(video, decode_audio=False) as opened:
            for window in windows:
                opened.get_clip(*window, frame_filter=needed)

    runs: dict[str, Callable[[], object]] = {"in_order": in_order, "one_by_one": one_by_one}
    seconds = alternate(runs, repeats, time.process_time)
    per_clip = {f"{name}_sec": value / len(windows) for name, value in seconds.items()}
    return {"step": step, **per_clip, "gain": seconds["one_by_one"] / seconds["in_order"]}


def main() -> None:
    """Prints the figures and writes ``results/timeline.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    weights = get_weights("x3d_xs")
    network = create_model("x3d_xs").to(memory_format=torch.channels_last_3d)
    model = VideoPredictor(network, weights.recipe, weights.labels)
    free = VideoPredictor(Colours(), weights.recipe, ["red", "green", "blue"])
    clip = weights.recipe.clip_duration_sec
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        small = write_video(root / "small.mp4", 60, size=(360, 640), fps=30)
        read = [reading(small, free, step, args.repeats) for step in STEPS]
        for row in read:
            print(row)
        long = write_video(root / "long.mp4", int(args.hours * 3600), size=(120, 160), fps=10)
        slid = {
            "colours": slide(free, long, root / "colours", clip / 4),
            "x3d_xs": slide(model, long, root / "x3d_xs", clip),
        }
        for name, row in slid.items():
            print(name, row)
    gains = [row["gain"] for row in read if row["step"] < 1]
    print(f"overlapping clips in order: {statistics.median(gains):.1f} times as fast")
    write("timeline", {"hours": args.hours, "sliding": slid, "reading": read})


if __name__ == "__main__":
    main()
