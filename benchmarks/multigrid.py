# SPDX-License-Identifier: Apache-2.0
"""Multigrid training against an ordinary one: accuracy, pixels of clips, time (arXiv 1912.00998).

    python benchmarks/multigrid.py            # three seeds of each, about two minutes a run
    python benchmarks/multigrid.py --seeds 0

A network of four convolutions learns the four motions of ``pytorchvideo demo`` from random weights, by SGD with steps
of the learning rate: plainly for some epochs, and by multigrid for one and a half times as many. What is measured is
the share of held-out videos whose class is named first, from the middle clip, and the pixels of all clips that were
trained on.
"""

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import _report
import pytorch_lightning as pl
import torch
from torch import nn

import flash
from flash.core.callbacks import PreciseBN
from flash.core.multigrid import multigrid_schedule
from flash.core.multigrid_training import Multigrid, MultigridPlan
from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.data.synthetic import write_demo_videos
from pytorchvideo.models import ClipRecipe

CLIPS = ClipRecipe(
    num_frames=8, sampling_rate=4, frames_per_second=64 / 3, side_size=56, crop_size=48
)
STEPS, EPOCHS = [0, 6, 9], 12  # of the plain training
WARMUP = 1.0  # epochs
BATCH, RATE = 4, 0.02
PER_CLASS = 40


def network(classes: int) -> nn.Sequential:
    """Four convolutions of space and time; the frames are halved twice, the sides four times."""
    layers: list[nn.Module] = []
    widths = (3, 16, 32, 64, 128)
    for number, (width, more) in enumerate(itertools.pairwise(widths)):
        stride = (1 if number < 2 else 2, 2, 2)
        convolution = nn.Conv3d(width, more, 3, stride, padding=1, bias=False)
        layers += [convolution, nn.BatchNorm3d(more), nn.ReLU(inplace=True)]
    layers += [nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(widths[-1], classes)]
    return nn.Sequential(*layers)


class Pixels(pl.Callback):
    """Counts the pixels of the clips of a training, and the clips."""

    def __init__(self) -> None:
        self.pixels = self.clips = self.steps = 0

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Adds a batch."""
        video = batch["video"]
        self.clips, self.steps = self.clips + len(video), self.steps + 1
        self.pixels += video[:, 0].numel()


def train(kind: str, seed: int, folder: Path) -> dict[str, Any]:
    """Trains once and scores the held-out videos."""
    files = write_demo_videos(folder, train_per_class=PER_CLASS, val_per_class=24, seed=seed)
    pl.seed_everything(seed, verbose=False)
    plan = None
    if kind == "multigrid":
        sizes = {"num_frames": CLIPS.num_frames, "crop_size": CLIPS.crop_size or 0}
        schedule = multigrid_schedule(STEPS, EPOCHS, **sizes)
        plan = MultigridPlan(schedule, base_clips=BATCH, warmup_epochs=WARMUP)
    data = VideoClassificationData.from_folders(
        files.train, files.val, recipe=CLIPS, batch_size=BATCH, multigrid=plan
    )
    steps = {
        "num_warmup_steps": WARMUP / EPOCHS,
        "steps": [step / EPOCHS for step in STEPS],
        "factors": [1.0, 0.1, 0.01],
    }
    model = VideoClassifier(
        labels=data.labels,
        backbone=network(len(data.labels or ())),
        recipe=CLIPS,
        optimizer=("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}),
        learning_rate=RATE,
        lr_scheduler=("published_steps_schedule", steps) if plan is None else None,
    )
    counted, grid = Pixels(), Multigrid()
    inputs = None if plan is None else grid.whole_clips
    callbacks = [PreciseBN(16, inputs=inputs), counted, *([] if plan is None else [grid])]
    trainer = flash.Trainer(
        max_epochs=EPOCHS if plan is None else plan.schedule.max_epoch,
        accelerator="cpu",
        channels_last_3d=True,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
        callbacks=callbacks,
    )
    began, processor = time.perf_counter(), time.process_time()
    trainer.fit(model, datamodule=data)
    seconds, processor = time.perf_counter() - began, time.process_time() - processor
    videos = data.val_dataset.reader.videos  # type: ignore[union-attr]
    said = model.predict([path for path, _ in videos], output="classes", clips=1)
    right = sum(answer == info["label"] for answer, (_, info) in zip(said, videos, strict=True))
    return {
        "training": kind,
        "seed": seed,
        "accuracy": right / len(said),
        "held_out": len(said),
        "epochs": trainer.max_epochs,
        "steps": counted.steps,
        "clips": counted.clips,
        "clip_pixels": counted.pixels,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(processor, 1),
    }


def table(runs: list[dict[str, Any]]) -> str:
    """The means of each training, and the share of the plain one's pixels."""
    rows = [
        "| training | epochs | steps | accuracy | clip-pixels | CPU seconds |",
        "| --- | ---: | ---: | --- | ---: | ---: |",
    ]
    plain = statistics.mean(run["clip_pixels"] for run in runs if run["training"] == "plain")
    for kind in ("plain", "multigrid"):
        found = [run for run in runs if run["training"] == kind]
        scores = [run["accuracy"] for run in found]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        pixels = statistics.mean(run["clip_pixels"] for run in found)
        cells = (
            kind,
            str(found[0]["epochs"]),
            f"{statistics.mean(run['steps'] for run in found):.0f}",
            f"{statistics.mean(scores):.1%} ± {spread:.1%} ({', '.join(f'{s:.1%}' for s in scores)})",
            f"{pixels / 1e6:.1f} M ({pixels / plain:.0%})",
            f"{statistics.mean(run['cpu_seconds'] for run in found):.0f}",
        )
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    """Trains with each seed and writes ``results/multigrid.json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", default=["plain", "multigrid"])
    asked = parser.parse_args()
    runs = []
    for seed in asked.seeds:
        for kind in asked.kinds:
            with tempfile.TemporaryDirectory() as folder:
                run = train(kind, seed, Path(folder))
            print(
                {
                    key: run[key]
                    for key in ("training", "seed", "accuracy", "clip_pixels", "seconds")
                },
                flush=True,
            )
            runs.append(run)
    _report.write("multigrid", {"threads": torch.get_num_threads(), "runs": runs})
    if len(asked.kinds) > 1:
        print(table(runs))


if __name__ == "__main__":
    main()
