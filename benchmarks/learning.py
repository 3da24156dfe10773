# SPDX-License-Identifier: Apache-2.0
"""Fine-tuning accuracy: two data sets, three seeds, full training and parts of it.

    python benchmarks/learning.py demo
    python benchmarks/learning.py recipe
    python benchmarks/learning.py fight --videos FOLDER --weights FILE
    python benchmarks/learning.py table

``demo`` trains x3d_xs from random weights on the videos of ``pytorchvideo demo``, four motions of which a single frame
says next to nothing. ``fight`` starts from the Kinetics-400 weights of I3D-RGB on the surveillance clips of Aktı et
al. (IPTA 2019), 75 with a fight and 75 without; clips of one source video are never on both sides of the split.
``recipe`` trains x3d_xs by its published recipe on the demo's videos, with smaller clips and fewer epochs.
What is measured is the share of held-out videos whose class is named first, two clips of each. ``table`` writes
``docs/learning.md`` from ``results/learning.json``.
"""

import argparse
import dataclasses
import json
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import _report
import multigrid
import pytorch_lightning as pl
import torch
from rich.console import Console

import flash
from flash.configs.files import load_recipe
from flash.runs import train as training
from flash.runs.config import RunConfig
from flash.runs.from_recipe import run_options
from flash.video import VideoClassificationData, VideoClassifier
from pytorchvideo.data.synthetic import write_demo_videos
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.models import ClipRecipe

SEEDS = (0, 1, 2)
PAGE = Path(__file__).parent.parent / "docs" / "learning.md"
OTHERS = "\n## People in boxes"

DEMO_CLIPS = ClipRecipe(
    num_frames=8, sampling_rate=4, frames_per_second=64 / 3, side_size=56, crop_size=48
)
FIGHT_CLIPS = ClipRecipe(
    num_frames=16,
    sampling_rate=3,
    side_size=128,
    crop_size=112,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


@dataclasses.dataclass(frozen=True)
class Run:
    """What is trained, and how long."""

    data: str
    strategy: str
    train_bn: bool
    epochs: int
    learning_rate: float


RUNS = {
    "demo": (
        Run("demo", "no_freeze", True, 6, 3e-3),
        Run("demo", "freeze", True, 6, 3e-3),
    ),
    "fight": (
        Run("fight", "no_freeze", True, 4, 2e-4),
        Run("fight", "freeze", False, 8, 5e-3),
    ),
    "recipe": (Run("recipe", "no_freeze", True, 10, 0.05),),
}
# of the recipe: small clips, and 0.05 for the 8 clips of a step
REDUCED = [
    "data.num_frames=8",
    "data.short_side=[48, 60]",
    "data.crop=48",
    "optimizer.lr=0.8",
    "schedule.epochs=10",
    "schedule.warmup_epochs=1.5",
    "regularize.precise_bn_batches=16",
]


def sources_of(listing: Path) -> Callable[[str], Hashable]:
    """The source of a clip: ``videos.txt`` has an address, then a line for each clip that was cut from it."""
    source, names = "", {}
    for line in listing.read_text(encoding="utf-8").splitlines():
        found = re.match(r"(\w+):\s*\d", line)
        if found is not None:
            names[found[1]] = source
        elif line.strip():
            source = line.strip()
    return lambda path: names.get(Path(path).stem, path)


def train(
    run: Run, data: VideoClassificationData, model: VideoClassifier, seed: int
) -> dict[str, Any]:
    """Trains once and scores the held-out videos."""
    began = time.process_time()
    trainer = flash.Trainer(
        max_epochs=run.epochs,
        accelerator="cpu",
        channels_last_3d=True,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        limit_val_batches=0,
    )
    trainer.finetune(model, datamodule=data, strategy=run.strategy, train_bn=run.train_bn)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    videos = data.val_dataset.reader.videos  # type: ignore[union-attr]
    said = model.predict([path for path, _ in videos], output="classes", clips=2)
    right = sum(answer == info["label"] for answer, (_, info) in zip(said, videos, strict=True))
    return {
        **dataclasses.asdict(run),
        "seed": seed,
        "accuracy": right / len(said),
        "held_out": len(said),
        "trained_on": data.train_dataset.num_videos,  # type: ignore[union-attr]
        "parameters_trained": trained,
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def demo(seed: int, run: Run, folder: Path) -> dict[str, Any]:
    """The demo's videos, x3d_xs from random weights."""
    files = write_demo_videos(folder, train_per_class=40, val_per_class=12, seed=seed)
    pl.seed_everything(seed, verbose=False)
    data = VideoClassificationData.from_folders(
        train_folder=files.train, val_folder=files.val, recipe=DEMO_CLIPS, batch_size=8
    )
    model = VideoClassifier(
        labels=data.labels,
        pretrained=False,
        recipe=DEMO_CLIPS,
        optimizer="AdamW",
        learning_rate=run.learning_rate,
        lr_scheduler=("cosine_schedule_with_warmup", {"num_warmup_steps": 0.15}),
    )
    return train(run, data, model, seed)


def by_recipe(seed: int, run: Run, folder: Path) -> dict[str, Any]:
    """The demo's videos, x3d_xs by its recipe, as ``pytorchvideo train --config x3d_xs --set ...`` does it."""
    files = write_demo_videos(folder / "clips", train_per_class=40, val_per_class=12, seed=seed)
    options = run_options(load_recipe("x3d_xs", REDUCED), batch_size=8)
    options |= {"clip_duration": 1.5, "seed": seed, "workers": 0, "clips": 2}
    config = RunConfig(str(files.train.parent), pretrained=False, batch_size=8, **options)
    began = time.process_time()
    summary = training.train(config, folder / "run", console=Console(quiet=True))
    return {
        **dataclasses.asdict(run),
        "seed": seed,
        "accuracy": summary.accuracy,
        "held_out": len(summary.results),
        "trained_on": len(list(files.train.glob("*/*"))),
        "parameters_trained": sum(
            p.numel() for p in load_predictor(folder / "run").model.parameters()
        ),
        "cpu_seconds": round(time.process_time() - began, 1),
    }


def fight(seed: int, run: Run, videos: Path, weights: Path) -> dict[str, Any]:
    """The surveillance clips, I3D from the weights of Kinetics-400."""
    pl.seed_everything(seed, verbose=False)
    data = VideoClassificationData.from_folders(
        train_folder=videos,
        val_split=0.25,
        val_split_group=sources_of(videos / "videos.txt"),
        seed=seed,
        recipe=FIGHT_CLIPS,
        batch_size=8,
    )
    model = VideoClassifier(
        labels=data.labels,
        backbone="i3d_inception",
        weights=weights,
        recipe=FIGHT_CLIPS,
        optimizer="AdamW",
        learning_rate=run.learning_rate,
        lr_scheduler=("cosine_schedule_with_warmup", {"num_warmup_steps": 0.15}),
    )
    return train(run, data, model, seed)


def record(result: dict[str, Any]) -> None:
    """Adds a result to those that are written, in the place of an earlier one of the same run."""
    path = _report.RESULTS / "learning.json"
    known = json.loads(path.read_text())["runs"] if path.is_file() else []
    key = ("data", "strategy", "seed")
    kept = [run for run in known if any(run[name] != result[name] for name in key)]
    _report.write("learning", {"runs": [*kept, result]})
    print(
        result["data"], result["strategy"], result["seed"], f"{result['accuracy']:.3f}", flush=True
    )


def table() -> str:
    """The page, from the results."""
    runs = json.loads((_report.RESULTS / "learning.json").read_text())["runs"]
    rows = []
    for name, wanted in RUNS.items():
        for run in wanted:
            found = [r for r in runs if (r["data"], r["strategy"]) == (name, run.strategy)]
            found.sort(key=lambda r: r["seed"])
            if not found:
                continue
            scores = [r["accuracy"] for r in found]
            spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
            chance = "50 %" if name == "fight" else "25 %"
            cells = (
                name,
                run.strategy + ("" if run.train_bn else ", `train_bn=False`"),
                str(run.epochs),
                f"{found[0]['parameters_trained']:,}",
                ", ".join(f"{score:.1%}" for score in scores),
                f"{statistics.mean(scores):.1%} ± {spread:.1%}",
                chance,
                f"{statistics.mean(r['cpu_seconds'] for r in found):.0f}",
            )
            rows.append("| " + " | ".join(cells) + " |")
    grid = json.loads((_report.RESULTS / "multigrid.json").read_text())["runs"]
    return _PAGE.format(
        rows="\n".join(rows),
        grid=multigrid.table(grid),
        changes=", ".join(f"`{c}`" for c in REDUCED),
    )


_PAGE = """\
# Does it learn?

The share of held-out videos whose class is named first, two clips of each, for three seeds. A seed also chooses
the split, the videos of the demo, the initial weights and the random clips. These are short trainings on small
clips, on one CPU thread: they show that training works, not how good a model can get.

| videos | strategy | epochs | trained parameters | seeds 0, 1, 2 | mean ± standard deviation | chance | CPU seconds |
| --- | --- | ---: | ---: | --- | --- | ---: | ---: |
{rows}

*demo*: the four motions of `pytorchvideo demo`, of which a single frame says next to nothing; 160 videos to train
on and 48 held out. x3d_xs from random weights, 8 frames of 48 pixels. With `freeze` the classifier and BatchNorm
learn, on top of random filters.

*fight*: 150 surveillance clips of 2 s with a fight or without (Aktı et al., IPTA 2019). A quarter of the sources
is held out, and clips of one source are never on both sides. I3D-RGB from its Kinetics-400 weights, 16 frames of
112 pixels. With `freeze` and `train_bn=False` the classifier alone learns. The 34 to 51 held-out videos
come from few sources.

AdamW, a linear warm-up and a cosine. `python benchmarks/learning.py` is the program,
`benchmarks/results/learning.json` has every run.

*recipe*: x3d_xs on the demo's videos by its published recipe (SGD, warm-up and cosine, no decay of batch norms, precise
BN), as `train --config x3d_xs` carries it out, with smaller clips, fewer epochs and a higher rate: {changes}.
One seed.

## Multigrid

The same four motions, 160 videos to train on and 96 held out, and a network of four convolutions, with SGD and three
steps of the learning rate: an ordinary training, and multigrid (arXiv 1912.00998) in one and a half times as many
epochs, with the long and the short cycle.

{grid}

Epochs of large batches have few steps, and what does not fill a batch is left out. `python benchmarks/multigrid.py` is
the program, `benchmarks/results/multigrid.json` has every run.
"""


def main() -> None:
    """Runs what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["demo", "fight", "recipe", "table"])
    parser.add_argument("--videos", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--strategies", nargs="+", default=["no_freeze", "freeze"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "table":
        # what other programs add stays
        _, mark, others = PAGE.read_text(encoding="utf-8").partition(OTHERS)
        PAGE.write_text(f"{table()}{mark}{others}", encoding="utf-8")
        return
    for seed in args.seeds:
        for run in (run for run in RUNS[args.what] if run.strategy in args.strategies):
            if args.what != "fight":
                make = demo if args.what == "demo" else by_recipe
                with tempfile.TemporaryDirectory() as folder:
                    record(make(seed, run, Path(folder)))
            else:
                record(fight(seed, run, args.videos, args.weights))


if __name__ == "__main__":
    main()
