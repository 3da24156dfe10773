# SPDX-License-Identifier: Apache-2.0
"""Speed of incremental inference on a stream, and its difference from inference on clips.

    python benchmarks/incremental.py cost
    python benchmarks/incremental.py real --videos FOLDER
    python benchmarks/incremental.py learnt [--steps 200] [--videos FOLDER]

``cost``: multiply-adds and milliseconds of one new frame, by a step and by the clip that ends with it; one thread,
medians of the CPU time of alternating runs. ``real``: networks with random weights, their norms set for the videos,
on windows of real videos at the rate of the model's clips; the deviation is the length of the difference of the
logits over the length of those for the clip. ``learnt``: an X3D-XS that has learnt the four motions of the demo
from clips of 8 frames, on held-out videos with more and more noise; every answer against that for the same
frames as a clip; with ``--videos`` on real videos, too.
"""

import argparse
import dataclasses
import itertools
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import RESULTS, alternate, write
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.synthetic import MOTIONS, motion_frames
from pytorchvideo.models import ClipRecipe, IncrementalModel, create_model, create_x3d, model_entry

MODELS = ("x3d_xs", "x3d_s", "x3d_m", "slow_r50")
# windows of a real video that are compared, frames from one to the next, and videos at most
WINDOWS, WINDOW_STEP, VIDEOS = 3, 4, 16
# the motions: frames a second, side in pixels, seconds of a video, frames of a clip, clips of a step
RATE, SIDE, SECONDS, CLIP, BATCH = 12, 48, 4.6, 8, 16
# strength of the noise in units of normalised pixels, and frames of the window
CONDITIONS = ((0.0, CLIP), (0.3, CLIP), (0.6, CLIP), (0.0, 2 * CLIP), (0.3, 2 * CLIP))


def save(section: str, rows: list[dict[str, Any]]) -> None:
    """Writes one section of the results and leaves the others."""
    path = RESULTS / "incremental.json"
    old = json.loads(path.read_text()) if path.exists() else {}
    old.pop("machine", None)
    write("incremental", {**old, section: rows})


def multiply_adds(name: str) -> tuple[float, float]:
    """Of a clip and of a step with one frame."""
    entry = model_entry(name)
    with torch.device("meta"):
        model = create_model(name).eval()
        clip = torch.empty(1, 3, entry.num_frames, entry.crop_size, entry.crop_size)
        incremental = IncrementalModel(model, entry.num_frames)
        while incremental.step(clip) is None:
            pass
        counts = []
        for run, x in ((model, clip), (incremental, clip[:, :, :1])):
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                run(x)
            counts.append(counter.get_total_flops() / 2)
    return counts[0], counts[1]


def cost(name: str, repeats: int) -> dict[str, Any]:
    """Of one new frame, by a step and by a whole clip."""
    entry = model_entry(name)
    torch.manual_seed(0)
    model = create_model(name).eval()
    clip = torch.randn(1, 3, entry.num_frames, entry.crop_size, entry.crop_size)
    incremental = IncrementalModel(model, entry.num_frames)
    while incremental.step(clip) is None:
        pass
    runs = {
        "clip": lambda: torch.no_grad()(model)(clip),
        "step": lambda: incremental.step(clip[:, :, :1]),
    }
    seconds = alternate(runs, repeats, time.process_time)
    clip_macs, step_macs = multiply_adds(name)
    recipe = entry.weights.recipe
    row = {
        "model": name,
        "frames": entry.num_frames,
        "clip_gmacs": clip_macs / 1e9,
        "step_gmacs": step_macs / 1e9,
        "clip_ms": seconds["clip"] * 1e3,
        "step_ms": seconds["step"] * 1e3,
        "ratio": seconds["clip"] / seconds["step"],
        "delay_frames": incremental.delay,
        "delay_sec": incremental.delay * recipe.sampling_rate / recipe.frames_per_second,
        "state_mb": incremental.state_bytes / 1e6,
    }
    print(json.dumps(row), flush=True)
    return row


def deviation(answer: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Of each row of logits (B, classes)."""
    return (answer - wanted).norm(dim=1) / wanted.norm(dim=1)


def compared(
    model: nn.Module, window: int, frames: torch.Tensor, step: int = 1
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Answers of the incremental mode for a batch of streams, and those for the same windows as clips."""
    incremental = IncrementalModel(model, window)
    for count in range(1, frames.shape[2] + 1):
        answer = incremental.step(frames[:, :, count - 1 : count])
        end = count - incremental.delay
        if answer is not None and (end - window) % step == 0:
            with torch.inference_mode():
                yield answer, model(frames[:, :, end - window : end])


def real_stream(path: Path, recipe: ClipRecipe) -> torch.Tensor | None:
    """The frames of a recipe from the start of a video, (1, 3, T, H, W); None where it is too short or damaged."""
    rate = recipe.frames_per_second / recipe.sampling_rate
    times = [i / rate for i in range(recipe.num_frames)]
    try:
        with EncodedVideo.from_path(str(path), decode_audio=False) as video:
            if float(video.duration) <= times[-1]:
                return None
            return recipe.transforms()(video.get_frames(timestamps_sec=times).data.float())[None]
    except VideoError as error:
        print(f"left out: {error}")
        return None


def set_norms(model: nn.Module, clips: list[torch.Tensor]) -> None:
    """Gives all norms the statistics of these clips; those that begin with a scale of 0 get 1."""
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm3d)]
    for norm in norms:
        nn.init.ones_(norm.weight)
        norm.reset_running_stats()
        norm.momentum = None
    with torch.no_grad():
        for clip in clips:
            model.train()(clip)
    model.eval()


def real(name: str, folder: Path) -> dict[str, Any]:
    """Deviations with random weights on the videos of a folder that are long enough."""
    entry = model_entry(name)
    window = entry.num_frames
    torch.manual_seed(0)
    model = create_model(name)
    frames = window + IncrementalModel(model, window).delay + (WINDOWS - 1) * WINDOW_STEP
    sides = {"side_size": entry.crop_size, "crop_size": entry.crop_size}
    recipe = dataclasses.replace(entry.weights.recipe, num_frames=frames, **sides)
    found = (real_stream(path, recipe) for path in sorted(folder.iterdir()))
    streams = list(itertools.islice((stream for stream in found if stream is not None), VIDEOS))
    set_norms(model, [stream[:, :, :window] for stream in streams[::2]])
    pairs = [pair for stream in streams for pair in compared(model, window, stream, WINDOW_STEP)]
    row = {"model": name, "videos": len(streams), **agreement(pairs)}
    print(json.dumps(row), flush=True)
    return row


def motions(per_class: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Videos (V, 3, T, H, W) of the demo's motions, normalised, and their classes."""
    classes = torch.arange(per_class * len(MOTIONS)) % len(MOTIONS)
    videos = []
    for i, label in enumerate(classes.tolist()):
        generator = np.random.default_rng([seed, i])
        size = (RATE, SIDE, SIDE)
        frames = motion_frames(MOTIONS[label], generator, size=size, seconds=SECONDS)
        videos.append(torch.from_numpy(np.stack(list(frames))))
    pixels = torch.stack(videos).permute(0, 4, 1, 2, 3)
    return (pixels / 255 - 0.45) / 0.225, classes


def train(videos: torch.Tensor, classes: torch.Tensor, steps: int) -> nn.Module:
    """An X3D-XS for short clips of these videos."""
    model = create_x3d(input_clip_length=CLIP, input_crop_size=SIDE, model_num_class=len(MOTIONS))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(videos), (BATCH,))
        starts = torch.randint(videos.shape[2] - CLIP + 1, (BATCH,))
        pairs = zip(chosen.tolist(), starts.tolist(), strict=True)
        clips = torch.stack([videos[i, :, start : start + CLIP] for i, start in pairs])
        loss = F.cross_entropy(model(clips), classes[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def learnt(steps: int, folder: Path | None) -> list[dict[str, Any]]:
    """Accuracy of both ways on held-out videos, and how far they agree on real ones."""
    torch.manual_seed(0)
    model = train(*motions(60, seed=0), steps)
    videos, classes = motions(12, seed=1)
    rows = []
    for noise, window in CONDITIONS:
        streams = videos + noise * torch.randn(videos.shape)
        about = {"steps": steps, "noise": noise, "window": window, "videos": len(videos)}
        rows.append(about | agreement(compared(model, window, streams), classes))
        print(json.dumps(rows[-1]), flush=True)
    if folder is not None:
        recipe = ClipRecipe(videos.shape[2], 1, RATE, side_size=SIDE, crop_size=SIDE)
        found = (real_stream(path, recipe) for path in sorted(folder.iterdir()))
        streams = torch.cat([stream for stream in found if stream is not None])
        about = {"steps": steps, "real videos": len(streams), "window": CLIP}
        rows.append(about | agreement(compared(model, CLIP, streams)))
        print(json.dumps(rows[-1]), flush=True)
    return rows


def agreement(
    pairs: Iterable[tuple[torch.Tensor, torch.Tensor]], classes: torch.Tensor | None = None
) -> dict[str, Any]:
    """How far answers agree with those for clips, and how often both are right."""
    # (answers of a stream, streams, classes)
    answers, wanted = (torch.stack(one) for one in zip(*pairs, strict=True))
    ours, theirs = answers.argmax(dim=2), wanted.argmax(dim=2)
    deviations = deviation(answers.flatten(0, 1), wanted.flatten(0, 1))
    row = {
        "windows": ours.numel(),
        "top1_agreement": float((ours == theirs).float().mean()),
        "deviation_median": float(deviations.median()),
        "deviation_max": float(deviations.max()),
    }
    if classes is not None:
        row["clip_accuracy"] = float((theirs == classes).float().mean())
        row["incremental_accuracy"] = float((ours == classes).float().mean())
    return row


def main() -> None:
    """Runs one part and writes its section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("cost", "real", "learnt"))
    parser.add_argument("--videos", type=Path, help="a folder of videos")
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, default=200, help="of training, for learnt")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.part == "cost":
        save("cost", [cost(name, options.repeats) for name in options.models])
    elif options.part == "learnt":
        save(f"learnt_{options.steps}_steps", learnt(options.steps, options.videos))
    elif options.videos is None:
        parser.error("real needs --videos")
    else:
        save("real", [real(name, options.videos) for name in options.models])


if __name__ == "__main__":
    main()
