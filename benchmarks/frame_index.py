# SPDX-License-Identifier: Apache-2.0
"""Cost of opening a video with a cached frame index (``index_cache``) and without.

For each video, one thread: opening it ("open"), opening it and asking how many frames it has ("count"), opening it
and reading the frame in the middle by its number ("frame"), the same through torchcodec ("torchcodec"), each without
an index and with one that was kept. "first" is opening a video and writing its index. Milliseconds are those of the
processor. Megabytes are those read from the file, which cost time where it is not in the memory of the system: on a
disk, or behind a network.

    python benchmarks/frame_index.py FOLDER_OR_VIDEO... [--long VIDEO --minutes 20] [--repeats 5]

``--long`` repeats the packets of a short video to make one of many minutes.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import torch
from _report import alternate, geometric_mean, write

from pytorchvideo.data._annotations.video_files import VIDEO_SUFFIXES
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo

TASKS: dict[str, tuple[str, Callable[[EncodedVideo], object]]] = {
    "open": ("pyav", lambda video: video.duration),
    "count": ("pyav", len),
    "frame": ("pyav", lambda video: video[len(video) // 2]),
    "torchcodec": ("torchcodec", lambda video: video[len(video) // 2]),
}


def run(path: Path, task: str, cache: Path | None) -> object:
    """Opens a video and does one thing with it."""
    decoder, work = TASKS[task]
    with EncodedVideo.from_path(
        path, decode_audio=False, decoder=decoder, dtype=torch.uint8, index_cache=cache
    ) as video:
        return work(video)


def first(path: Path, cache: Path) -> None:
    """Opens a video whose index is not there yet."""
    for entry in cache.iterdir():
        entry.unlink()
    run(path, "open", cache)


def megabytes(work: Callable[[], object]) -> float:
    """What a run reads from files."""

    def read() -> int:
        return int(Path("/proc/self/io").read_text().split()[1])  # "rchar: NUMBER ..."

    before = read()
    work()
    return (read() - before) / 1e6


def measure(path: Path, repeats: int) -> dict[str, Any]:
    """The seconds and megabytes of all runs with one video."""
    with tempfile.TemporaryDirectory() as kept, tempfile.TemporaryDirectory() as empty:
        runs: dict[str, Callable[[], object]] = {"first": lambda: first(path, Path(empty))}
        for task in TASKS:
            runs[f"{task} without"] = lambda t=task: run(path, t, None)  # type: ignore[misc]
            runs[f"{task} with"] = lambda t=task: run(path, t, Path(kept))  # type: ignore[misc]
        seconds = alternate(runs, repeats, time.process_time)
        read = {name: megabytes(work) for name, work in runs.items()}
        size = sum(entry.stat().st_size for entry in Path(kept).iterdir())
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            count = len(video)
    return {
        "video": path.name,
        "frames": count,
        "index_bytes": size,
        "seconds": seconds,
        "megabytes": read,
    }


def repeat(source: Path, path: Path, minutes: float) -> Path:
    """Writes the packets of a video again and again, until there are enough."""
    shift = 0
    with av.open(str(path), "w") as out:
        copy = None
        while True:
            with av.open(str(source)) as container:
                stream = container.streams.video[0]
                copy = copy or out.add_stream_from_template(stream)
                for packet in container.demux(stream):
                    if packet.size:
                        packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                        packet.stream = copy
                        out.mux(packet)
                shift += stream.duration
                if shift * stream.time_base > 60 * minutes:
                    return path


def table(rows: list[dict[str, Any]]) -> str:
    """The table of docs/decoding.md."""
    lines = [
        "| | frames | " + " | ".join(f"{task}, ms | MB" for task in TASKS) + " |",
        "| --- |" + " ---: |" * (1 + 2 * len(TASKS)),
    ]
    for row in rows:
        cells = [row["video"], str(row["frames"])]
        for task in TASKS:
            for unit, scale, digits in (("seconds", 1e3, 1), ("megabytes", 1, 2)):
                values = (row[unit][f"{task} {way}"] * scale for way in ("without", "with"))
                cells.append(" → ".join(f"{value:.{digits}f}" for value in values))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Prints a table and writes ``results/frame_index.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--long", type=Path, help="a video to repeat")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    files = [f for p in args.paths for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
    files = [file for file in files if file.suffix.lower() in VIDEO_SUFFIXES]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if args.long is not None:
            name = f"{args.minutes:g}_minutes_of_{args.long.name}"
            files.append(repeat(args.long, Path(folder) / name, args.minutes))
        for path in files:
            try:
                rows.append(measure(path, args.repeats))
            except VideoError as error:
                print(f"left out: {error}")
                continue
            print(path.name, flush=True)
    print(table(rows))
    seconds, read = [row["seconds"] for row in rows], [row["megabytes"] for row in rows]
    result: dict[str, Any] = {
        f"{kind}: without over with": {
            task: geometric_mean([v[f"{task} without"] / v[f"{task} with"] for v in values])
            for task in TASKS
        }
        for kind, values in (("seconds", seconds), ("megabytes", read))
    }
    result["seconds: first over open"] = geometric_mean(
        [v["first"] / v["open without"] for v in seconds]
    )
    for name, ratio in result.items():
        print(name, ratio)
    print(f"written to {write('frame_index', {**result, 'videos': rows})}")


if __name__ == "__main__":
    main()
