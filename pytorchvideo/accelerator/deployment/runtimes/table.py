# SPDX-License-Identifier: Apache-2.0
"""The table of runtimes: export to each, and execution."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.accelerator.deployment._errors import ExportError
from pytorchvideo.accelerator.deployment._program import Inputs, Positional

__all__ = [
    "RUNTIMES",
    "ExportError",
    "Inputs",
    "Positional",
    "Precision",
    "Runtime",
    "needs_calibration",
]

Precision = Literal["fp32", "bf16", "int8", "int8+bf16"]
Run = Callable[..., torch.Tensor]


def needs_calibration(precision: str) -> bool:
    """Whether ranges of activations must be known.

    >>> [precision for precision in get_args(Precision) if needs_calibration(precision)]
    ['int8', 'int8+bf16']
    """
    return precision.startswith("int8")


@dataclass(frozen=True)
class Runtime:
    """A way to run a model without its Python code.

    Args:
        name: how users call it.
        module: the file that knows its packages, with ``export_NAME`` and ``load_NAME``.
        function: ``NAME`` in these.
        suffix: of its file.
        precisions: that it computes in; the first is what it does unless asked.
        dynamic_batch: whether an artefact can take batches of any size.
        about: a line for users: where it runs.
        runs_code: whether a file of it can run any code when it is loaded.
    """

    name: str
    module: str
    function: str
    suffix: str
    precisions: tuple[Precision, ...]
    dynamic_batch: bool
    about: str
    runs_code: bool = False

    def check(self, precision: str, dynamic_batch: bool) -> None:
        """Raises a ValueError for what the runtime does not have, with the runtimes that do."""
        check_choice("precision", precision, get_args(Precision))
        if precision not in self.precisions:
            others = ", ".join(r.name for r in RUNTIMES.values() if precision in r.precisions)
            got = f"{precision} with {self.name}"
            raise ValueError(expected("precision", f"{precision} with one of {others}", got))
        if dynamic_batch and not self.dynamic_batch:
            others = ", ".join(r.name for r in RUNTIMES.values() if r.dynamic_batch)
            raise ValueError(
                expected("dynamic_batch", f"False, or the runtime one of {others}", self.name)
            )

    def export(
        self,
        model: nn.Module,
        example: Inputs,
        file: Path,
        *,
        precision: Precision = "fp32",
        calibration: Sequence[Inputs] = (),
        dynamic_batch: bool = False,
    ) -> None:
        """Writes an artefact of a copy of the model in evaluation mode.

        Args:
            model: takes the inputs one by one, (B, C, T, H, W) each, and returns logits; :class:`Positional` makes
                one of a network with pathways.
            example: float32, of the shapes that the artefact is to take.
            file: to write, with the suffix of this runtime.
            precision: see ``precisions``.
            calibration: inputs of real clips, of the example's shapes, for int8.
            dynamic_batch: take batches of any size.

        Raises:
            ExportError: the runtime cannot have this model, with the operator where it is known; or a package is
                not installed.
            ValueError: the runtime has not what was asked for; int8 without clips to calibrate with.
        """
        self.check(precision, dynamic_batch)
        if needs_calibration(precision) and not calibration:
            advice = "Give --calibrate DATA, clips like those that it is to be used on."
            raise ValueError(expected("calibration", "at least one clip for int8", 0, advice))
        export = getattr(import_module(self.module), f"export_{self.function}")
        export(
            model,
            example,
            file,
            precision=precision,
            calibration=calibration,
            dynamic_batch=dynamic_batch,
        )

    def load(self, file: Path, *, precision: Precision = "fp32", threads: int | None = None) -> Run:
        """Returns a function of the inputs, one by one, that returns the logits.

        Args:
            file: what :meth:`export` wrote.
            precision: that it was written with.
            threads: processors to use; None is the runtime's own choice. PyTorch's artefacts go by
                ``torch.set_num_threads`` instead.

        Raises:
            ExportError: the file cannot be loaded, or a package is not installed.
        """
        load = getattr(import_module(self.module), f"load_{self.function}")
        run: Run = load(file, precision=precision, threads=threads)
        return run


_HERE = "pytorchvideo.accelerator.deployment.runtimes"

#: All runtimes by name.
RUNTIMES: dict[str, Runtime] = {
    runtime.name: runtime
    for runtime in (
        Runtime(
            name="onnx",
            module=f"{_HERE}._onnx",
            function="onnx",
            suffix=".onnx",
            precisions=("fp32", "int8"),
            dynamic_batch=True,
            about="ONNX Runtime, and whatever reads ONNX",
        ),
        Runtime(
            name="openvino",
            module=f"{_HERE}._openvino",
            function="openvino",
            suffix=".xml",
            precisions=("fp32", "bf16", "int8", "int8+bf16"),
            dynamic_batch=True,
            about="x86 and Arm processors; the fastest here on a server's or a laptop's",
        ),
        Runtime(
            name="executorch",
            module=f"{_HERE}._executorch",
            function="executorch",
            suffix=".pte",
            precisions=("fp32", "int8"),
            dynamic_batch=False,
            about="phones and small devices, by XNNPACK",
        ),
        Runtime(
            name="torch-export",
            module=f"{_HERE}._torch_programs",
            function="torch",
            suffix=".pt2",
            precisions=("fp32",),
            dynamic_batch=True,
            about="PyTorch without this library",
            runs_code=True,  # pickled constants, and formulas that sympy evaluates
        ),
        Runtime(
            name="aoti",
            module=f"{_HERE}._torch_programs",
            function="aoti",
            suffix=".pt2",
            precisions=("fp32",),
            dynamic_batch=True,
            about="a library compiled for this processor, from C++ or Python",
            runs_code=True,
        ),
    )
}
