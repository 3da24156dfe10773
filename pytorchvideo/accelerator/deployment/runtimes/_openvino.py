# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: the only file that touches ``openvino``."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorchvideo.accelerator.deployment._errors import export_errors
from pytorchvideo.accelerator.deployment._program import Inputs, make_program, names_of
from pytorchvideo.accelerator.deployment.runtimes._rounding import round_weights
from pytorchvideo.accelerator.deployment.runtimes.table import needs_calibration

_ADVICE = "Try --to onnx, or --to torch-export, which runs whatever torch does."
# What the CPU computes with where the processor can, but for layers of int8.
_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32", "int8+bf16": "bf16"}
# Operators that int8 makes no faster than bfloat16: depthwise convolutions, and the gates and means between them.
_FOR_BF16 = ("GroupConvolution", "Multiply", "ReduceMean")


def export_openvino(
    model: nn.Module,
    example: Inputs,
    file: Path,
    *,
    precision: str = "fp32",
    calibration: Sequence[Inputs] = (),
    dynamic_batch: bool = False,
) -> None:
    """Writes ``file`` (.xml) and its weights beside it (.bin); see ``runtimes.Runtime`` for the arguments.

    Raises:
        ExportError: the model could not be converted, or the package is not there.
    """
    program = make_program(model, example, runtime="openvino", dynamic_batch=dynamic_batch)
    int8 = needs_calibration(precision)
    if int8:
        round_weights(program, calibration)
    with export_errors("openvino", "converted", _ADVICE), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import openvino

        converted = openvino.convert_model(program)
        for port, name in zip(converted.inputs, names_of(example, model), strict=True):
            port.get_tensor().set_names({name})
        if int8:
            from pytorchvideo.accelerator.deployment.runtimes._nncf import quantized

            feeds = [[x.numpy() for x in inputs] for inputs in calibration]
            weighted = ("Convolution", "GroupConvolution", "MatMul")
            *_, last = (op for op in converted.get_ordered_ops() if op.get_type_name() in weighted)
            # close scores of classes must not become one
            kept = [last]
            if precision == "int8+bf16":
                kept += (
                    op for op in converted.get_ordered_ops() if op.get_type_name() in _FOR_BF16
                )
            names = [op.get_friendly_name() for op in kept]
            converted = quantized(converted, feeds, model, kept=names)
        openvino.save_model(converted, str(file), compress_to_fp16=False)


def load_openvino(
    file: Path, *, precision: str = "fp32", threads: int | None = None
) -> Callable[..., torch.Tensor]:
    """Returns a function of the inputs, run on the CPU.

    Raises:
        ExportError: the package is not there, or the file is none of its own.
    """
    with export_errors("openvino", "loaded", "Export it again."):
        import openvino

        config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": _HINTS[precision],
        }
        if threads is not None:
            config["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        request = core.compile_model(
            core.read_model(str(file)), "CPU", config
        ).create_infer_request()

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        arrays = [x.numpy() for x in inputs]
        found = request.infer(arrays, share_inputs=True, share_outputs=True)[0]
        # the memory of the result is that of the next call's
        return torch.from_numpy(found).clone()

    return run
