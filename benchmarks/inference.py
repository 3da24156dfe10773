# SPDX-License-Identifier: Apache-2.0
"""How many clips of many short videos go through a model in a second, read by workers and one video after the other?

X3D-S with random weights looks at some clips of each video, in PyTorch and as an OpenVINO artefact. The engine
(``predict_videos``) decodes in worker processes and fills batches with clips of several videos. Against it runs a plain
loop in this process: open a video, cut each clip with ``get_clip``, transform it, give the clips of this video to the
model. All take turns; the scores must agree. Before that, the work is counted on one thread: how many milliseconds a
clip takes to read and in the model, which bounds what workers can gain. Memory is the peak of this process and its
workers together (proportional set size), which must not grow with the number of videos.

    python benchmarks/inference.py [--videos 200] [--rounds 3] [--workers 1 2] [--runtimes openvino] [--folder VIDEOS]

``--videos 8 --rounds 1 --seconds 3 --size 160x120`` shows within a minute that it works; only 200 videos or more are
written to ``results``.
"""

import argparse
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import write

from pytorchvideo.data._annotations.video_files import find_videos
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.synthetic import MOTIONS, write_motion_video
from pytorchvideo.data.windows import ClipWindows, clip_windows
from pytorchvideo.inference.clips import Clip, read_clips
from pytorchvideo.inference.export import Source, export
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models import create_model, get_weights
from pytorchvideo.transforms._pushdown import clip_reading

MODEL, RATE, ENCODER = "x3d_s", 30, ("libx264", {"preset": "veryfast"})
TOLERANCE = 1e-4  # of two probabilities, summed in batches of other sizes
COUNTED = 4  # videos of which the work is counted, and with which all is warmed up
ENOUGH = 200


def make_videos(folder: Path, count: int, size: tuple[int, int], seconds: float) -> list[str]:
    """Motions, of which no two are the same."""
    paths = [folder / f"{number:04d}.mp4" for number in range(count)]

    def make(number: int) -> None:
        label, generator = MOTIONS[number % len(MOTIONS)], np.random.default_rng(number)
        options: dict[str, Any] = {"encoder": ENCODER, "size": (RATE, *size), "seconds": seconds}
        write_motion_video(paths[number], label, generator, **options)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, range(count)))
    return [str(path) for path in paths]


def in_turn(predictor: VideoPredictor, videos: Sequence[str], clips: int) -> list[torch.Tensor]:
    """The scores (clips, N) of each video by a plain loop in this process."""
    transform = predictor.recipe.transforms()
    reading = clip_reading(predictor.recipe.transforms(key="video"))
    found = []
    for path in videos:
        inputs = []
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            length = predictor.recipe.clip_duration_sec
            for window in clip_windows(float(video.duration), length, clips):
                inputs.append([transform(video.get_clip(*window, **reading)["video"])])
        some = range(0, len(inputs), predictor.batch_size)
        rows = [predictor.score_inputs(inputs[i : i + predictor.batch_size]) for i in some]
        found.append(torch.cat(rows))
    return found


def by_engine(
    predictor: VideoPredictor, videos: Sequence[str], clips: int, workers: int
) -> list[torch.Tensor]:
    """The same by the engine."""
    found = []
    for rows in predictor.predict_videos(videos, clips=clips, workers=workers):
        if isinstance(rows, Exception):
            raise rows
        found.append(torch.stack([clip.scores for clip in rows]))
    return found


def count_work(predictor: VideoPredictor, videos: Sequence[str], clips: int) -> dict[str, float]:
    """Milliseconds of one core that a clip takes, to read and in the model."""
    rule = ClipWindows(predictor.recipe.clip_duration_sec, clips)
    for _ in range(2):
        begin = time.process_time()
        items = [i for i in read_clips(videos, rule, predictor.recipe) if isinstance(i, Clip)]
        read = time.process_time() - begin
        begin = time.process_time()
        for at in range(0, len(items), predictor.batch_size):
            predictor.score_inputs([i.views for i in items[at : at + predictor.batch_size]])
        scored = time.process_time() - begin
    return {"read_ms": 1e3 * read / len(items), "model_ms": 1e3 * scored / len(items)}


def memory_mb() -> float:
    """Memory of this process and those that it started, what they share counted once."""
    own, total = os.getpid(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if own in (int(folder.name), int(parent)):
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except OSError:  # it has ended
            continue
    return total / 1024


@contextmanager
def watching(peaks: list[float]) -> Iterator[None]:
    """Notes the highest memory of what is done meanwhile."""
    done, seen = threading.Event(), [0.0]

    def look() -> None:
        while not done.wait(0.25):
            seen.append(memory_mb())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
        peaks.append(max(seen))


def compare(
    predictor: VideoPredictor, videos: Sequence[str], args: argparse.Namespace
) -> list[dict[str, Any]]:
    """Alternates the loop and the engine; a row for each."""
    runs: dict[str, Callable[[Sequence[str]], list[torch.Tensor]]] = {
        "one process": lambda some: in_turn(predictor, some, args.clips)
    }
    for workers in args.workers:
        runs[f"{workers} workers"] = lambda some, workers=workers: by_engine(  # type: ignore[misc]
            predictor, some, args.clips, workers
        )
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    peaks: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run(videos[:COUNTED])
    clips = 0
    for _ in range(args.rounds):
        answers = {}
        for name, run in runs.items():
            with watching(peaks[name]):
                begin = time.perf_counter()
                answers[name] = torch.cat(run(videos))
                seconds[name].append(time.perf_counter() - begin)
        wanted = answers["one process"]
        difference = max(float((found - wanted).abs().max()) for found in answers.values())
        if difference > TOLERANCE:
            raise SystemExit(f"Expected equal scores, but they differ by {difference:.1e}.")
        clips = len(wanted)
    slow = statistics.median(seconds["one process"])
    return [
        {
            "how": name,
            "clips_per_sec": round(clips / statistics.median(seconds[name]), 2),
            "ratio": round(slow / statistics.median(seconds[name]), 3),
            "peak_mb": round(max(peaks[name])),
        }
        for name in runs
    ]


def main() -> None:
    """Prints a row for each way, and writes ``results/inference.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=ENOUGH)
    parser.add_argument("--clips", type=int, default=4, help="of each video")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each video that is made")
    parser.add_argument("--size", default="640x360", help="of each video that is made")
    parser.add_argument("--folder", type=Path, help="videos in the place of made ones")
    runtimes = ["eager", "openvino"]
    parser.add_argument("--runtimes", nargs="+", choices=runtimes, default=runtimes)
    args = parser.parse_args()
    torch.manual_seed(0)
    weights = get_weights(MODEL)
    network = create_model(MODEL).eval().to(memory_format=torch.channels_last_3d)
    eager = VideoPredictor(network, weights.recipe, weights.labels)
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        if args.folder is None:
            width, height = map(int, args.size.split("x"))
            videos = make_videos(root, args.videos, (width, height), args.seconds)
        else:
            videos = find_videos(args.folder)[: args.videos]
        export(
            Source(MODEL, eager), root / "artefact", runtime="openvino", compiled=False, seconds=1.0
        )
        predictors = {
            "eager": eager,
            "openvino": load_predictor(root / "artefact", trust=True),
        }
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        work = count_work(eager, videos[:COUNTED], args.clips)
        torch.set_num_threads(threads)
        print(f"a clip takes {work['read_ms']:.0f} ms to read, {work['model_ms']:.0f} ms in eager")
        results = {}
        print(f"{'model':10}{'how':14}{'clips/s':>9}{'ratio':>7}{'peak MB':>9}")
        for name in args.runtimes:
            results[name] = compare(predictors[name], videos, args)
            for row in results[name]:
                print(
                    f"{name:10}{row['how']:14}{row['clips_per_sec']:9.2f}{row['ratio']:7.2f}{row['peak_mb']:9d}"
                )
    if len(videos) >= ENOUGH and args.runtimes == runtimes:
        about = {name: value for name, value in vars(args).items() if name != "folder"}
        write("inference", {**about, "model": MODEL, "work": work, "results": results})


if __name__ == "__main__":
    main()
