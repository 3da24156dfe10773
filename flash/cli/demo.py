# SPDX-License-Identifier: Apache-2.0
"""The command ``demo``: training to report on a small synthetic data set."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from flash.cli import kept
from flash.cli import options as opt
from flash.cli.command import as_typed
from flash.cli.interrupts import going_on
from flash.cli.printing import answer_screen, print_results, progress_screen
from flash.cli.train_options import Task, TaskName
from pytorchvideo._text import counted

if TYPE_CHECKING:
    from rich.console import Console

    from flash.runs.reports.of_run import RunSummary
    from pytorchvideo.data.synthetic import DemoFiles


def demo(
    ctx: typer.Context,
    out: opt.DemoOut = Path("demo"),
    task: TaskName = Task.classification,
    seed: opt.Seed = 0,
) -> None:
    """Write a small labelled set of videos, train on it, evaluate, predict, report."""
    answer = answer_screen()
    going_on(lambda: kept.by_demo(out))
    if task is Task.detection:
        from flash.cli.detection import demo_detection

        demo_detection(out, seed)
        return
    result = run_demo(out, seed=seed, console=progress_screen(), command=as_typed(ctx))
    print_results(answer, result.summary.results, result.summary.labels)
    answer.print(f"unseen clip {result.files.unseen} ({result.files.unseen_label}):")
    for label, score in result.unseen:
        answer.print(f"  {label:<10} {score:.3f}")
    answer.print(f"report: {result.summary.folder.report}", soft_wrap=True)
    answer.print(
        f"{result.summary.accuracy:.1%} of {counted(len(result.summary.results), 'held-out video')} are right, "
        f"{result.seconds:.0f} s in all."
    )


@dataclass(frozen=True)
class DemoResult:
    """What the demo did.

    Args:
        files: the videos.
        summary: the run: its held-out results and its files.
        unseen: labels of the clip that is in neither part, with their scores, best first.
        seconds: how long all of it took.
    """

    files: "DemoFiles"
    summary: "RunSummary"
    unseen: list[tuple[str, float]]
    seconds: float


# x3d_xs on clips of 8 frames and 48 pixels: what two cores learn in about a minute
DEMO_RUN: dict[str, Any] = {
    "model": "x3d_xs",
    "epochs": 8,
    "frames": 8,
    "crop": 48,
    "clip_duration": 1.5,
    "batch_size": 8,
    "lr": 3e-3,
    "clips": 2,
}


def run_demo(
    out: Path, *, seed: int = 0, console: "Console", command: str | None = None
) -> DemoResult:
    """Writes the videos, trains on them as ``train`` does, and names an unseen one.

    Args:
        out: folder; gets ``data`` and ``run``, in the place of those of an earlier demo.
        seed: of the videos and of the run.
        console: shows the progress.
        command: that was typed for this.

    Raises:
        OSError: the folder cannot be written.
        FileExistsError: ``out`` has a folder ``data`` or ``run`` that no demo has written.
    """
    from flash.runs.config import RunConfig
    from flash.runs.progress import progress_bar
    from flash.runs.train import train
    from pytorchvideo._locks import alone_in
    from pytorchvideo.data.synthetic import MOTIONS, write_demo_videos
    from pytorchvideo.inference.predictor import VideoPredictor

    began = time.perf_counter()
    with alone_in(out):
        kept.make_room(out)
        with progress_bar(console) as bar:
            task = bar.add_task("write videos", total=None, note="")
            files = write_demo_videos(
                out / "data",
                seed=seed,
                on_written=lambda _path, total: bar.update(task, advance=1, total=total),
            )
        config = RunConfig(data=str(out / "data"), seed=seed, **DEMO_RUN)
        summary = train(config, out / "run", console=console, command=command)
        predictor = VideoPredictor.from_file(summary.folder.model)
        unseen = predictor.predict(files.unseen, clips=DEMO_RUN["clips"], top_k=len(MOTIONS))
    return DemoResult(files, summary, unseen, time.perf_counter() - began)
