# SPDX-License-Identifier: Apache-2.0
"""Start of imports and commands: the time to the first output and to the end, against an older checkout.

Each command runs on a small network and a video of a second, so that what it takes is its start. Times to the first
output, on either stream, are by the clock and those to the end by the processor, in turns between the two trees; the
medians of the repeats are written, and their ratios.

    git worktree add ../before COMMIT
    python benchmarks/import_time.py --before ../before
"""

import argparse
import os
import selectors
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import geometric_mean, write

from pytorchvideo.data.synthetic import write_demo_videos
from pytorchvideo.models import ClipRecipe, PretrainedModel, create_model

REPO = Path(__file__).resolve().parent.parent
RECIPE = ClipRecipe(num_frames=4, sampling_rate=4, side_size=48, crop_size=48)
IMPORTS = ("pytorchvideo.transforms", "pytorchvideo.data", "pytorchvideo.models.hub")
COMMANDS = {
    "--help": "--help",
    "models": "models",
    "predict": "predict {video} --model {model}",
    "evaluate": "evaluate {data} --model {model} --clips 1",
    "embed": "embed {video} --model {model} --out {new}.safetensors",
    "timeline": "timeline {video} --model {model} --out {new}",
    "stream": "stream {video} --model {model}",
    "check": "check {video}",
    "prepare": "prepare {data} --shards {new}",
    "train": "train {data} --out {new} --frames 4 --crop 48 --clip-duration 0.5 --epochs 1",
}
# a command that goes on for long after its first output
ENDED_EARLY = ("train",)


def start(arguments: list[str], tree: Path, until_output: bool) -> tuple[float | None, float]:
    """Seconds to the first output, None where there is none, and processor seconds to the end."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    begun, first = time.perf_counter(), None
    with (
        subprocess.Popen(
            [sys.executable, *arguments],
            cwd=tree,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
        selectors.DefaultSelector() as waiting,
    ):
        for stream in (process.stdout, process.stderr):
            assert stream is not None
            waiting.register(stream, selectors.EVENT_READ)
        while waiting.get_map():
            for key, _ in waiting.select():
                data = os.read(key.fd, 1 << 16)
                if not data:
                    waiting.unregister(key.fileobj)
                elif first is None:
                    first = time.perf_counter() - begun
                    if until_output:
                        process.kill()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0 and not until_output:
            raise RuntimeError(f"{arguments} in {tree} ended with status {process.returncode}.")
    return first, used.ru_utime + used.ru_stime


def measure(
    arguments: str, trees: dict[str, Path], folder: Path, repeats: int
) -> dict[str, object]:
    """The medians of both trees, and how many times as long the older one takes."""
    until_output = arguments.split()[0] in ENDED_EARLY
    times: dict[str, list[tuple[float | None, float]]] = {name: [] for name in trees}
    for number in range(repeats):
        for name, tree in trees.items():
            new = folder / f"{name}{number}{time.monotonic_ns()}"
            line = arguments.format(
                video=next(folder.glob("data/val/*/*.mp4")),
                data=folder / "data/val",
                model=folder / "model.pt",
                new=new,
            )
            command = ["-c", line[3:]] if line.startswith("-c ") else ["-m", "flash", *line.split()]
            times[name].append(start(command, tree, until_output))
    row: dict[str, object] = {}
    for name, found in times.items():
        firsts = [first for first, _ in found if first is not None]
        row[name] = {
            "first_output_sec": statistics.median(firsts) if firsts else None,
            "processor_sec": None if until_output else statistics.median(cpu for _, cpu in found),
        }
    for key in ("first_output_sec", "processor_sec"):
        before, now = (row[name][key] for name in ("before", "now"))  # type: ignore[index]
        if before is not None and now is not None:
            row[key.replace("_sec", "_ratio")] = before / now
    return row


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="an older checkout")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    trees = {"before": asked.before.resolve(), "now": REPO}
    results: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_demo_videos(folder / "data", train_per_class=1, val_per_class=2)
        labels = tuple(sorted(path.name for path in (folder / "data/val").iterdir()))
        sizes = {"num_frames": RECIPE.num_frames, "crop_size": RECIPE.crop_size}
        network = create_model("x3d_xs", num_classes=len(labels), **sizes)
        PretrainedModel(network, "x3d_xs", RECIPE, sizes, labels).save(folder / "model.pt")
        lines = {f"import {one}": f"-c import {one}" for one in IMPORTS} | COMMANDS
        for title, arguments in lines.items():
            results[title] = measure(arguments, trees, folder, asked.repeats)
            print(title, results[title], flush=True)
    means = {
        key: geometric_mean([float(row[key]) for row in results.values() if key in row])  # type: ignore[arg-type]
        for key in ("first_output_ratio", "processor_ratio")
    }
    print(means, write("import_time", {"mean_ratios": means, "starts": results}))


if __name__ == "__main__":
    main()
