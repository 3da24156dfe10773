# SPDX-License-Identifier: Apache-2.0
"""Agreement of int8 with float32 predictions, with the published I3D weights on real clips.

The clips are those of the folder of shared data: 25 videos of ``clips``, 15 of ``fight_surv`` and 10 of
``asl_gestures``, taken at equal distances in the order of their names; what cannot be decoded leaves its place to the
next. All but every fifth are what is measured, 40 clips; as many of the other videos, taken likewise, calibrate. A clip
is the middle of its video, prepared by the recipe of the weights. Nothing is drawn by chance.

"agreement" is the share of the 40 clips whose class with the highest score is that of the eager float32 model,
"confident" the same of those clips for which float32 gives its class a probability of at least one half. Seconds are
medians of the processor's time for one clip on one thread, measured in turn.

    python benchmarks/int8.py --runtime executorch [openvino ...]
"""

import argparse
import itertools
import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import torch
from _report import RESULTS, write

from pytorchvideo.accelerator.deployment.runtimes import RUNTIMES, needs_calibration
from pytorchvideo.data import EncodedVideo
from pytorchvideo.data._decode import VideoError
from pytorchvideo.models import create_model, get_weights

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
WEIGHTS = SHARED / "weights" / "i3d_inception_rgb_kinetics400.pth"
# folder of the data: how many of its videos
SHARES = {"clips": 25, "fight_surv": 15, "asl_gestures": 10}
LEAST_FRAMES = 16

Run = Callable[..., torch.Tensor]


def choose_videos() -> tuple[list[Path], list[Path]]:
    """The videos to calibrate with, and those to measure on."""
    calibration, test = [], []
    for folder, share in SHARES.items():
        files = sorted(p for p in (SHARED / "data" / folder).rglob("*") if p.is_file())
        chosen = spread(files, share)
        measured = [file for i, file in enumerate(chosen) if i % 5]
        calibration += spread([file for file in files if file not in measured], len(measured))
        test += measured
    return calibration, test


def spread(files: list[Path], count: int) -> list[Path]:
    """So many of the files that can be used, at equal distances, or fewer where there are not as many."""
    chosen: list[Path] = []
    for i in range(count):
        after = files[i * len(files) // count :]
        usable = (f for f in after if f not in chosen and is_usable(f))
        chosen += itertools.islice(usable, 1)
    return chosen


def is_usable(file: Path) -> bool:
    """Whether all of a video's middle can be decoded, and has some frames."""
    try:
        return decode(file).shape[1] >= LEAST_FRAMES
    except VideoError:
        return False


def decode(file: Path) -> torch.Tensor:
    """The frames in the middle of a video, (3, T, H, W)."""
    seconds = get_weights("i3d_inception").recipe.clip_duration_sec
    with EncodedVideo.from_path(file, decode_audio=False) as video:
        start = max(0.0, (float(video.duration) - seconds) / 2)
        frames = video.get_clip(start, start + seconds)["video"]
    return torch.zeros(3, 0, 1, 1) if frames is None else frames


def load_clip(file: Path) -> torch.Tensor:
    """A clip (1, 3, T, H, W) as the weights expect it."""
    clip: torch.Tensor = get_weights("i3d_inception").recipe.transforms()(decode(file))
    return clip[None]


def artefacts(name: str, folder: Path, calibration: list[Path]) -> dict[str, Run]:
    """The model as float32 and int8 artefacts of a runtime."""
    model = create_model("i3d_inception", weights=WEIGHTS).eval()
    runtime, found = RUNTIMES[name], {}
    inputs = [(load_clip(file),) for file in calibration]
    for precision in runtime.precisions:
        if precision == "bf16":
            continue
        file = folder / f"{precision}{runtime.suffix}"
        used = inputs if needs_calibration(precision) else []
        runtime.export(model, inputs[0], file, precision=precision, calibration=used)
        found[precision] = runtime.load(file, precision=precision, threads=1)
    return found


def measure(name: str, calibration: list[Path], test: list[Path]) -> dict[str, Any]:
    """Agreement and seconds of a runtime."""
    model = create_model("i3d_inception", weights=WEIGHTS).eval()
    scores: dict[str, list[torch.Tensor]] = {}
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        runs: dict[str, Run] = {"eager": model, **artefacts(name, Path(folder), calibration)}
        for file in test:
            clip = load_clip(file)
            for variant, run in runs.items():
                start = process_time()
                scores.setdefault(variant, []).append(run(clip)[0].clone())
                seconds.setdefault(variant, []).append(process_time() - start)
            print(f"  {len(scores['eager'])} of {len(test)}", end="\r", flush=True)
    stacked = {variant: torch.stack(rows) for variant, rows in scores.items()}
    wanted = stacked.pop("eager")
    sure = wanted.softmax(1).amax(1) >= 0.5
    return {
        "runtime": name,
        "clips": len(test),
        "calibration_clips": len(calibration),
        "confident_clips": int(sure.sum()),
        "agreement": {v: agreement(wanted, got) for v, got in stacked.items()},
        "confident": {v: agreement(wanted[sure], got[sure]) for v, got in stacked.items()},
        "deviation": {
            v: float((got - wanted).abs().max() / wanted.abs().max()) for v, got in stacked.items()
        },
        "seconds": {v: statistics.median(values) for v, values in seconds.items()},
        "videos_that_differ": {
            v: [
                file.name
                for file, a, b in zip(test, wanted, got, strict=True)
                if a.argmax() != b.argmax()
            ]
            for v, got in stacked.items()
        },
    }


def agreement(wanted: torch.Tensor, got: torch.Tensor) -> float:
    """The share of rows (N, classes) whose highest score is at the same class."""
    return float((wanted.argmax(1) == got.argmax(1)).float().mean())


def lines(row: dict[str, Any]) -> list[str]:
    """The table of a runtime."""
    return [
        f"{row['runtime']:12s} {variant:10s} {row['agreement'][variant]:9.1%} "
        f"{row['confident'][variant]:9.1%} {row['deviation'][variant]:9.1e} "
        f"{row['seconds'][variant] * 1e3:6.0f} ({row['seconds']['eager'] * 1e3:.0f})"
        for variant in row["agreement"]
    ]


def main() -> None:
    """Prints a table and writes ``results/int8.json``; rows of other runtimes that it has are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    able = [name for name, runtime in RUNTIMES.items() if "int8" in runtime.precisions]
    parser.add_argument("--runtime", nargs="+", choices=able, default=able)
    args = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "int8.json"
    calibration, test = choose_videos()
    print(f"{'':23s} agreement confident deviation     ms (eager)")
    for name in args.runtime:
        row = measure(name, calibration, test)
        print("\n".join(lines(row)), flush=True)
        # read now: another runtime may be measured at the same time
        known = json.loads(file.read_text())["runtimes"] if file.exists() else []
        rows = {one["runtime"]: one for one in known} | {name: row}
        videos = {"calibration": [f.name for f in calibration], "test": [f.name for f in test]}
        write("int8", {"threads": 1, "videos": videos, "runtimes": list(rows.values())})


if __name__ == "__main__":
    main()
