# SPDX-License-Identifier: Apache-2.0
"""Latency of deployed models, against the eager model in the form of its first release.

Seconds of one clip of the model's own size on one thread: medians of the CPU time of alternating runs in one
process. "original" is the form of the first release (``_original_form.py``), "eager" our model as it is, the others are
artefacts. Ratios are original over artefact; "deviation" is the largest difference of logits over the largest logit
(random weights, a clip of noise: what int8 costs on real clips is measured by ``int8.py``).

"peak" is the time of the same multiply-adds in one large float32 matrix product, and "of peak" its share of the
time of the fastest float32 variant. "real time" is the length of the clip over the fastest variant's time.

    python benchmarks/deploy.py [MODEL ...] [--render] [--repeats 5] [--variants openvino-fp32 openvino-int8 ...]
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any, get_args

import torch
from _report import RESULTS, alternate, fill, write
from models import (
    Clips,
    build,
    clips_for,
    in_original_form,
    infer,
    multiply_adds,
    peak_multiply_adds,
)

from pytorchvideo.accelerator.deployment.runtimes import (
    RUNTIMES,
    ExportError,
    Positional,
    Precision,
    needs_calibration,
)
from pytorchvideo.models import model_entry

MODELS = (
    *("x3d_xs", "x3d_s", "x3d_m", "x3d_l", "slow_r50", "slowfast_r50", "csn_r101", "r2plus1d_r50"),
    *("i3d_inception", "mvit_base_16x4"),
)
VARIANTS = (
    *("openvino-fp32", "openvino-bf16", "openvino-int8", "openvino-int8+bf16"),
    "onnx-fp32",
)
DOCS = Path(__file__).resolve().parent.parent / "docs" / "deployment.md"
# float32 artefacts must compute what the model does
TOLERANCE = 1e-4


def deployed(
    name: str, clips: Clips, variants: list[str], folder: Path
) -> tuple[dict[str, Callable[[], torch.Tensor]], dict[str, str]]:
    """A function for each variant of a model, and the reasons of those that there are none for."""
    inputs = tuple(clips) if isinstance(clips, list) else (clips,)
    model = Positional(build(name).eval(), len(inputs) if isinstance(clips, list) else None)
    runs: dict[str, Callable[[], torch.Tensor]] = {}
    failed: dict[str, str] = {}
    for variant in variants:
        runtime_name, precision = variant.rsplit("-", 1)
        runtime, kind = RUNTIMES[runtime_name], as_precision(precision)
        file = folder / f"{variant}{runtime.suffix}"
        calibration = [inputs] if needs_calibration(kind) else []
        try:
            runtime.export(model, inputs, file, precision=kind, calibration=calibration)
            run = runtime.load(file, precision=kind, threads=1)
        except ExportError as error:
            failed[variant] = str(error)
            continue
        runs[variant] = lambda run=run: run(*inputs)
    return runs, failed


def as_precision(name: str) -> Precision:
    """The precision of this name."""
    known: dict[str, Precision] = {precision: precision for precision in get_args(Precision)}
    return known[name]


def measure(name: str, variants: list[str], repeats: int, peak: float) -> dict[str, Any]:
    """All variants of one model."""
    model, clips = build(name), clips_for(name, 1)
    with tempfile.TemporaryDirectory() as folder:
        runs, failed = deployed(name, clips, variants, Path(folder))
        wanted = in_original_form(infer, model, clips)()
        deviation = {
            variant: float((run() - wanted).abs().max() / wanted.abs().max())
            for variant, run in runs.items()
        }
        for variant, error in deviation.items():
            if variant.endswith("fp32") and error > TOLERANCE:
                raise SystemExit(f"{variant} of {name} differs from the model by {error:.1e}")
        seconds = alternate(
            {
                "original": in_original_form(infer, model, clips),
                "eager": lambda: infer(model, clips),
                **runs,
            },
            repeats,
            process_time,
        )
    gmacs = multiply_adds(name) / 1e9
    fp32 = min(s for v, s in seconds.items() if not v.endswith(("bf16", "int8")))
    recipe = model_entry(name).weights.recipe
    return {
        "model": name,
        "gmacs": gmacs,
        "seconds": seconds,
        "ratios": {v: seconds["original"] / s for v, s in seconds.items() if v != "original"},
        "deviation": deviation,
        "failed": failed,
        "peak_gmacs_a_second": peak / 1e9,
        "of_peak": gmacs * 1e9 / peak / fp32,
        "real_time": recipe.clip_duration_sec / min(seconds.values()),
    }


def line(row: dict[str, Any], variants: list[str]) -> str:
    """A row of the table."""
    cells = [f"{row['seconds']['original'] * 1e3:8.0f}", f"{row['seconds']['eager'] * 1e3:7.0f}"]
    for variant in variants:
        found = row["seconds"].get(variant)
        text = "-" if found is None else f"{found * 1e3:.0f} ({row['ratios'][variant]:.2f}x)"
        cells.append(f"{text:>16s}")
    return f"{row['model']:16s} {' '.join(cells)} {row['of_peak']:8.0%} {row['real_time']:9.1f}x"


def render(rows: list[dict[str, Any]]) -> None:
    """Writes the table into the guide."""
    columns = {variant: variant.removeprefix("openvino-") for variant in VARIANTS[:-1]}

    def times(row: dict[str, Any], variant: str) -> str:
        if variant not in row["seconds"]:
            return "-"
        return f"{row['seconds'][variant] * 1e3:.0f} ms, {row['ratios'][variant]:.1f}x"

    table = [
        f"| model | GMACs | first release | eager | {' | '.join(columns.values())} | of peak | real time |",
        f"| --- |{' ---: |' * (5 + len(columns))}",
        *(
            f"| {row['model']} | {row['gmacs']:.1f} | {row['seconds']['original'] * 1e3:.0f} ms | "
            f"{' | '.join(times(row, variant) for variant in ('eager', *columns))} | "
            f"{row['of_peak']:.0%} | {row['real_time']:.0f}x |"
            for row in rows
        ),
    ]
    fill(DOCS, "deployed speed", "\n".join(table) + "\n")


def main() -> None:
    """Prints a table and writes ``results/deploy.json``; rows of other models that it has are kept."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--render", action="store_true", help="measure nothing, write the guide")
    args = parser.parse_args()
    torch.set_num_threads(1)
    file = RESULTS / "deploy.json"
    rows = (
        {row["model"]: row for row in json.loads(file.read_text())["models"]}
        if file.exists()
        else {}
    )
    heads = " ".join(f"{variant:>16s}" for variant in args.variants)
    print(f"{'milliseconds':16s} original   eager {heads}  of peak  real time")
    for name in [] if args.render else args.models:
        # beside each model: on a machine that others use, too, it changes
        peak = peak_multiply_adds()
        rows[name] = measure(name, args.variants, args.repeats, peak)
        print(line(rows[name], args.variants), flush=True)
        for variant, reason in rows[name]["failed"].items():
            print(f"  {variant}: {reason}")
        ordered = [rows[one] for one in MODELS if one in rows]
        ordered += [row for one, row in rows.items() if one not in MODELS]
        write("deploy", {"threads": 1, "models": ordered})
    render(json.loads(file.read_text())["models"])


if __name__ == "__main__":
    main()
