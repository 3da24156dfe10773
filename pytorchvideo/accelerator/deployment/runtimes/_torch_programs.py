# SPDX-License-Identifier: Apache-2.0
"""PyTorch's own artefacts: a graph that torch runs, and a library compiled ahead of time (AOTInductor)."""

import io
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from pytorchvideo._files import write_whole
from pytorchvideo.accelerator.deployment._errors import export_errors
from pytorchvideo.accelerator.deployment._program import Inputs, make_program


def export_torch(
    model: nn.Module,
    example: Inputs,
    file: Path,
    *,
    precision: str = "fp32",
    calibration: Sequence[Inputs] = (),
    dynamic_batch: bool = False,
) -> None:
    """Writes ``file`` (.pt2), the graph with its weights; see ``runtimes.Runtime`` for the arguments.

    Raises:
        ExportError: the model could not be exported.
    """
    program = make_program(model, example, runtime="torch-export", dynamic_batch=dynamic_batch)
    content = io.BytesIO()  # torch's writer of files ends the process where the disk is full
    torch.export.save(program, content)
    write_whole(file, content.getvalue())


def load_torch(
    file: Path, *, precision: str = "fp32", threads: int | None = None
) -> Callable[..., torch.Tensor]:
    """Returns a function of the inputs; ``threads`` is torch's own setting, ``torch.set_num_threads``.

    Raises:
        ExportError: the file is none of its own.
    """
    with export_errors("torch-export", "loaded", "Export it again."), warnings.catch_warnings():
        # torch 2.10 says of the weights that it has just read
        warnings.filterwarnings("ignore", "The given buffer is not writable")
        return torch.export.load(file).module()


def export_aoti(
    model: nn.Module,
    example: Inputs,
    file: Path,
    *,
    precision: str = "fp32",
    calibration: Sequence[Inputs] = (),
    dynamic_batch: bool = False,
) -> None:
    """Writes ``file`` (.pt2), a library for this processor; see ``runtimes.Runtime`` for the arguments.

    Raises:
        ExportError: the model could not be exported or compiled.
    """
    program = make_program(model, example, runtime="aoti", dynamic_batch=dynamic_batch)
    advice = "It takes a C++ compiler (g++) and the headers of Python. Try --to openvino, which needs neither."
    with export_errors("aoti", "compiled", advice), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch._inductor.aoti_compile_and_package(
            program,
            package_path=str(file),
            # weights in the layout of the processor's kernels
            inductor_configs={"freezing": True},
        )


def load_aoti(
    file: Path, *, precision: str = "fp32", threads: int | None = None
) -> Callable[..., torch.Tensor]:
    """Returns a function of the inputs; ``threads`` is torch's own setting, ``torch.set_num_threads``.

    Raises:
        ExportError: the file is none of its own, or of another processor.
    """
    with export_errors("aoti", "loaded", "Export it again, on the machine that is to run it."):
        run: Callable[..., torch.Tensor] = torch._inductor.aoti_load_package(str(file))
    return run
