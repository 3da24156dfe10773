# SPDX-License-Identifier: Apache-2.0
"""Export of every model of the zoo to every runtime: parity and latency.

For every model and every runtime: an artefact in float32 for one clip of the model's own size, with initial weights;
the largest difference of its scores from the model's over the largest score; and the median CPU time of three calls
on one thread. A cell that fails names the operator. Detection models take a clip and three boxes.

Every model is tried in a process of its own: one that a converter brings down is a cell, too. What is measured is
written to ``results/export_matrix.json`` and into ``docs/deployment.md`` after each model.

    python benchmarks/export_matrix.py [MODEL ...] [--runtimes openvino onnx ...] [--timeout 900] [--render]
"""

import argparse
import json
import multiprocessing
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs" / "deployment.md"
RESULT = Path(__file__).resolve().parent / "results" / "export_matrix.json"
BOXES = [
    [0.0, 10.0, 20.0, 120.0, 180.0],
    [0.0, 0.0, 0.0, 200.0, 200.0],
    [0.0, 50.0, 60.0, 90.0, 99.0],
]


def example(name: str) -> tuple[tuple[Any, ...], int | None]:
    """Inputs of a model one by one, and how many of them are pathways of one list."""
    import torch
    from models import clips_for

    from pytorchvideo.models import model_entry

    entry = model_entry(name)
    torch.manual_seed(0)
    if entry.task == "image classification":
        return (torch.randn(1, 3, entry.crop_size, entry.crop_size),), None
    clips = clips_for(name, 1)
    inputs = tuple(clips) if isinstance(clips, list) else (clips,)
    pathways = len(inputs) if isinstance(clips, list) else None
    boxes = (torch.tensor(BOXES),) if entry.task == "detection" else ()
    return (*inputs, *boxes), pathways


def work(connection: Connection, name: str, runtimes: list[str]) -> None:
    """The other process: sends a cell for each runtime."""
    from time import process_time

    import torch
    from _report import alternate
    from models import build

    from pytorchvideo.accelerator.deployment.runtimes import RUNTIMES, ExportError, Positional

    torch.set_num_threads(1)
    inputs, pathways = example(name)
    model = Positional(build(name).eval(), pathways)
    with torch.inference_mode():
        wanted = model(*inputs)
    for runtime_name in runtimes:
        runtime = RUNTIMES[runtime_name]
        with tempfile.TemporaryDirectory() as folder, torch.inference_mode(False):
            file = Path(folder) / f"model{runtime.suffix}"
            try:
                runtime.export(model, inputs, file)
                run = runtime.load(file, threads=1)
                with torch.inference_mode():
                    difference = float((run(*inputs) - wanted).abs().max() / wanted.abs().max())
                    seconds = alternate({"run": lambda run=run: run(*inputs)}, 3, process_time)[
                        "run"
                    ]
            except (ExportError, RuntimeError) as error:
                connection.send({"failed": str(error).splitlines()[0]})
                continue
            size = sum(path.stat().st_size for path in Path(folder).iterdir())
        connection.send({"difference": difference, "seconds": seconds, "bytes": size})


def cells(name: str, runtimes: list[str], timeout: float) -> dict[str, dict[str, Any]]:
    """The row of a model."""
    context = multiprocessing.get_context("spawn")
    found: dict[str, dict[str, Any]] = {}
    left = list(runtimes)
    while left:
        here, there = context.Pipe()
        process = context.Process(target=work, args=(there, name, left))
        process.start()
        there.close()
        try:
            while left:
                if not here.poll(timeout):
                    found[left.pop(0)] = {"failed": f"not done after {timeout:.0f} s"}
                    break
                found[left[0]] = here.recv()
                left.pop(0)
        except EOFError:
            process.join()
            found[left.pop(0)] = {"failed": f"the process ended with status {process.exitcode}"}
        process.kill()
        process.join()
    return found


def short(reason: str) -> str:
    """Why there is no artefact, for a cell of the table.

    >>> short("The model could not be loaded for x: the operator aten::foo.out stands in the way (...). Try y.")
    '`aten::foo.out`'
    """
    words = reason.partition("the operator ")[2].partition(" ")[0]
    return f"`{words}`" if words else reason.partition(": ")[2][:60] or reason


def cell(found: dict[str, Any] | None) -> str:
    """A cell of the table."""
    if found is None:
        return "not measured"
    if "failed" in found:
        return f"no: {short(found['failed'])}"
    return f"{found['seconds'] * 1e3:.0f} ms, {found['difference']:.0e}"


def render(rows: dict[str, dict[str, dict[str, Any]]], machine: dict[str, Any]) -> None:
    """Writes the table into the guide."""
    from _report import fill

    names = sorted({runtime for row in rows.values() for runtime in row})
    table = [
        f"| model | {' | '.join(names)} |",
        f"| --- |{' --- |' * len(names)}",
        *(
            f"| {name} | {' | '.join(cell(row.get(runtime)) for runtime in names)} |"
            for name, row in sorted(rows.items())
        ),
    ]
    about = (
        f"Measured on one thread of an {machine['cpu']} with torch {machine['torch']}: time of a clip of the model's "
        "own size, and the largest difference of its scores over the largest score.\n\n"
    )
    fill(DOCS, "export matrix", about + "\n".join(table) + "\n")


def main() -> None:
    """Fills the matrix, or with ``--render`` only writes the table again."""
    from _report import write

    from pytorchvideo.accelerator.deployment.runtimes import RUNTIMES
    from pytorchvideo.models import list_models

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=list_models())
    parser.add_argument("--runtimes", nargs="+", choices=list(RUNTIMES), default=list(RUNTIMES))
    parser.add_argument("--timeout", type=float, default=900.0, help="seconds of one cell")
    parser.add_argument("--render", action="store_true", help="measure nothing")
    args = parser.parse_args()
    for name in [] if args.render else args.models:
        row = cells(name, args.runtimes, args.timeout)
        # read again: other runtimes may be measured at the same time
        rows = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else {}
        rows[name] = {**rows.get(name, {}), **row}
        print(name, {runtime: cell(found) for runtime, found in row.items()}, flush=True)
        write("export_matrix", {"threads": 1, "rows": rows})
        render(rows, json.loads(RESULT.read_text())["machine"])
    if args.render:
        kept = json.loads(RESULT.read_text())
        render(kept["rows"], kept["machine"])


if __name__ == "__main__":
    main()
