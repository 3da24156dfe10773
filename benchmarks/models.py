# SPDX-License-Identifier: Apache-2.0
"""Speed of the models, against the form in which they were first released.

On the CPU: seconds of a clip in evaluation without gradients ("infer") and of forward and backward in training mode
("train"), for the model's own clip size, one thread, medians of the
CPU time of alternating runs. "original" is the form of the first release
(``_original_form.py``), "ours" the model as it is, "last" the same with weights and clips channels last, "compiled"
under ``torch.compile``. Ratios are original over ours; values must agree to 1e-5 of the largest score, which
is checked. "peak" is the time of the same multiply-adds in one large matrix product.

On a GPU (``--device cuda``): clips a second in fp32, bf16, bf16 with channels last, and compiled, at ``--batch``.

    python benchmarks/models.py [MODEL ...] [--repeats 5] [--compile] [--device cuda --batch 8]
"""

import argparse
import copy
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import torch
from _original_form import original_form
from _report import alternate, geometric_mean, write
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pytorchvideo.models import create_model, model_entry
from pytorchvideo.transforms.functional import uniform_temporal_subsample_repeated

MODELS = (
    *("x3d_xs", "x3d_s", "x3d_m", "efficient_x3d_s", "slow_r50", "c2d_r50", "slowfast_r50"),
    *("csn_r101", "r2plus1d_r50", "i3d_inception", "mvit_base_16x4"),
)
LAST = torch.channels_last_3d
TOLERANCE = 1e-5

Clips = torch.Tensor | list[torch.Tensor]


def build(name: str) -> nn.Module:
    """A model with initial weights that answers logits."""
    torch.manual_seed(0)
    return create_model(name, **model_entry(name).logits_arguments)


def clips_for(name: str, batch: int, device: str = "cpu") -> Clips:
    """Clips of the size that the model is built for."""
    entry = model_entry(name)
    clips = torch.randn(batch, 3, entry.num_frames, entry.crop_size, entry.crop_size, device=device)
    ratio = entry.weights.recipe.pathway_ratio
    return clips if ratio is None else uniform_temporal_subsample_repeated(clips, ratio)


def channels_last(clips: Clips) -> Clips:
    """The same clips in another order of memory."""
    if isinstance(clips, list):
        return [one.contiguous(memory_format=LAST) for one in clips]
    return clips.contiguous(memory_format=LAST)


def infer(model: nn.Module, clips: Clips) -> torch.Tensor:
    """Scores without gradients."""
    with torch.inference_mode():
        return model.eval()(clips)


def train(model: nn.Module, clips: Clips) -> None:
    """Forward and backward."""
    model.zero_grad()
    model.train()(clips).square().mean().backward()


def in_original_form(step: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    """The step on these arguments, in the original form."""

    def run() -> Any:
        with original_form():
            return step(*args)

    return run


def multiply_adds(name: str) -> float:
    """Of one clip."""
    with torch.device("meta"):
        model, clips = build(name).eval(), clips_for(name, 1, "meta")
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(clips)
    return counter.get_total_flops() / 2


def peak_multiply_adds() -> float:
    """Of one thread in a second, in a matrix product of 2048 x 2048."""
    a, b = torch.randn(2, 2048, 2048)
    seconds = alternate({"product": lambda: a @ b}, 5, process_time)["product"]
    return 2048**3 / seconds


def on_cpu(name: str, repeats: int, compiled: bool) -> dict[str, Any]:
    """Seconds of all variants of one model."""
    model, clips = build(name), clips_for(name, 1)
    last, last_clips = copy.deepcopy(model).to(memory_format=LAST), channels_last(clips)
    wanted = in_original_form(infer, model, clips)()
    error = float((infer(model, clips) - wanted).abs().max() / wanted.abs().max())
    if error > TOLERANCE:
        raise SystemExit(f"{name} differs from the original form by {error:.1e}")
    row: dict[str, Any] = {"model": name, "error": error, "gmacs": multiply_adds(name) / 1e9}
    for kind, step in (("infer", infer), ("train", train)):
        runs: dict[str, Callable[[], Any]] = {
            "original": in_original_form(step, model, clips),
            "ours": lambda step=step: step(model, clips),
            "last": lambda step=step: step(last, last_clips),
        }
        if compiled:
            # graphs of other models count towards the limit of recompilations
            torch.compiler.reset()
            fast = torch.compile(copy.deepcopy(model))
            runs["compiled"] = lambda step=step, fast=fast: step(fast, clips)
        seconds = alternate(runs, repeats, process_time)
        row[kind] = seconds
        row[f"{kind}_ratio"] = seconds["original"] / seconds["ours"]
    return row


def cpu_table(names: list[str], repeats: int, compiled: bool) -> Path:
    """All models on one thread; what is measured is written after each."""
    torch.set_num_threads(1)
    peak = peak_multiply_adds()
    kinds = ("original", "ours", "last", *(("compiled",) if compiled else ()))
    heads = [f"{kind:>9s}" for kind in kinds]
    print(f"{'milliseconds':16s} step  {' '.join(heads)}  ratio  {'peak':>6s}")
    rows: list[dict[str, Any]] = []
    for name in names:
        row = on_cpu(name, repeats, compiled)
        rows.append(row)
        for step in ("infer", "train"):
            times = " ".join(f"{row[step][kind] * 1e3:9.0f}" for kind in kinds)
            # a backward pass has twice the multiply-adds of the forward pass
            fastest = row["gmacs"] * 1e12 / peak * (3 if step == "train" else 1)
            print(
                f"{name:16s} {step} {times} {row[f'{step}_ratio']:6.2f} {fastest:7.0f}", flush=True
            )
        means = {
            step: geometric_mean([row[f"{step}_ratio"] for row in rows])
            for step in ("infer", "train")
        }
        about = {"threads": 1, "peak_gmacs_a_second": peak / 1e9, "mean_ratios": means}
        path = write("models_compiled" if compiled else "models", {**about, "models": rows})
    print(f"geometric means: infer {means['infer']:.2f}, train {means['train']:.2f}")
    return path


def on_gpu(name: str, batch: int, repeats: int) -> dict[str, Any]:
    """Clips a second of all variants of one model."""
    model = build(name).cuda()
    clips = clips_for(name, batch, "cuda")
    last, last_clips = copy.deepcopy(model).to(memory_format=LAST), channels_last(clips)
    compiled = torch.compile(copy.deepcopy(last))
    row: dict[str, Any] = {"model": name, "batch": batch}
    for kind, step in (("infer", infer), ("train", train)):

        def timed(
            network: nn.Module,
            inputs: Clips,
            half: bool,
            step: Callable[[nn.Module, Clips], object] = step,
        ) -> Callable[[], None]:
            def run() -> None:
                with torch.autocast("cuda", dtype=torch.bfloat16, enabled=half):
                    step(network, inputs)
                torch.cuda.synchronize()

            return run

        seconds = alternate(
            {
                "fp32": timed(model, clips, False),
                "bf16": timed(model, clips, True),
                "bf16 last": timed(last, last_clips, True),
                "bf16 last compiled": timed(compiled, last_clips, True),
            },
            repeats,
        )
        row[kind] = {variant: batch / one for variant, one in seconds.items()}
    return row


def gpu_table(names: list[str], batch: int, repeats: int) -> dict[str, Any]:
    """All models on the GPU."""
    rows = []
    for name in names:
        rows.append(on_gpu(name, batch, repeats))
        for step in ("infer", "train"):
            rates = ", ".join(f"{k} {v:.0f}" for k, v in rows[-1][step].items())
            print(f"{name:16s} {step} clips a second: {rates}", flush=True)
    return {"models": rows}


def main() -> None:
    """Prints a table and writes ``results/models.json``, ``models_compiled.json`` or ``models_cuda.json``."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="on the CPU, too")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--batch", type=int, default=8, help="on the GPU")
    args = parser.parse_args()
    if args.device == "cuda":
        print(write("models_cuda", gpu_table(args.models, args.batch, args.repeats)))
    else:
        print(cpu_table(args.models, args.repeats, args.compile))


if __name__ == "__main__":
    main()
