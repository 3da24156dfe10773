# SPDX-License-Identifier: Apache-2.0
"""ONNX: the only file that touches ``onnx`` and ``onnxruntime``."""

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import torch
from torch import nn

from pytorchvideo.accelerator.deployment._errors import export_errors
from pytorchvideo.accelerator.deployment._program import Inputs, make_program, names_of
from pytorchvideo.accelerator.deployment.runtimes._rounding import round_weights

_ADVICE = "Try --to openvino, which reads the graph of torch itself."


def export_onnx(
    model: nn.Module,
    example: Inputs,
    file: Path,
    *,
    precision: str = "fp32",
    calibration: Sequence[Inputs] = (),
    dynamic_batch: bool = False,
) -> None:
    """Writes ``file``, one ONNX model with its weights; see ``runtimes.Runtime`` for the arguments.

    Raises:
        ExportError: the model could not be converted, or the package is not there.
    """
    program = make_program(model, example, runtime="onnx", dynamic_batch=dynamic_batch)
    if precision == "int8":
        round_weights(program, calibration)
    with export_errors("onnx", "converted", _ADVICE), _quiet():
        import onnx

        converted = torch.onnx.export(
            program, dynamo=True, input_names=names_of(example, model), output_names=["logits"]
        )
        if converted is None:
            raise RuntimeError("torch.onnx.export returned nothing")
        proto = converted.model_proto
        if precision == "int8":
            from pytorchvideo.accelerator.deployment.runtimes._nncf import quantized

            names = names_of(example)
            feeds = [{n: x.numpy() for n, x in zip(names, xs, strict=True)} for xs in calibration]
            weighted = ("Conv", "Gemm", "MatMul")
            *_, last = (node.name for node in proto.graph.node if node.op_type in weighted)
            # close scores of classes must not become one
            proto = quantized(proto, feeds, model, kept=[last])
        onnx.save(proto, str(file))


def load_onnx(
    file: Path, *, precision: str = "fp32", threads: int | None = None
) -> Callable[..., torch.Tensor]:
    """Returns a function of the inputs, run by ONNX Runtime on the CPU.

    Raises:
        ExportError: the package is not there, or the file is none of its own.
    """
    with export_errors("onnx", "loaded", "Export it again."):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
    names = [one.name for one in session.get_inputs()]

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        feed = {n: x.numpy() for n, x in zip(names, inputs, strict=True)}
        return torch.from_numpy(session.run(None, feed)[0])

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the exporter's reports of its progress and of deprecated names from users."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
