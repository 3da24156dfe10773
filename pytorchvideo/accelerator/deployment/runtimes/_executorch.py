# SPDX-License-Identifier: Apache-2.0
"""ExecuTorch with its XNNPACK back end: the only file that touches ``executorch`` and torchao's quantisation.

XNNPACK has no operators of clips, so that networks are rewritten as networks of images before. It computes in
channels-last order, in float32 or, after calibration, in int8 with a scale for each channel of a weight and a fixed one
for each activation.
"""

import logging
import os
import shutil
import sysconfig
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any, cast

import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.accelerator.deployment._errors import ExportError, export_errors
from pytorchvideo.accelerator.deployment._program import Inputs
from pytorchvideo.accelerator.deployment.images.network import export_images
from pytorchvideo.accelerator.deployment.runtimes._rounding import round_weights

_log = logging.getLogger(__name__)

_ADVICE = "Try --to openvino or --to onnx."


def export_executorch(
    model: nn.Module,
    example: Inputs,
    file: Path,
    *,
    precision: str = "fp32",
    calibration: Sequence[Inputs] = (),
    dynamic_batch: bool = False,
) -> None:
    """Writes ``file`` (.pte) for clips of the example's shapes, the number of clips among them.

    See ``runtimes.Runtime`` for the arguments; ``dynamic_batch`` is False here.

    Raises:
        ExportError: the model could not be exported, or executorch is not installed.
    """
    lowered = lower(model, example, calibration=calibration if precision == "int8" else ())
    outside = undelegated(lowered)
    if outside:
        names = ", ".join(f"{count} {name}" for name, count in outside.most_common())
        _log.info("Computed by ExecuTorch's own operators, not by XNNPACK: %s.", names)
    write(lowered, file)


def write(lowered: Any, file: Path) -> None:
    """Writes what :func:`lower` returned.

    Raises:
        ExportError: ExecuTorch cannot plan its memory, or lacks an operator.
    """
    with export_errors("executorch", "written", _ADVICE), _quiet():
        file.write_bytes(lowered.to_executorch().buffer)


def lower(model: nn.Module, example: Inputs, *, calibration: Sequence[Inputs] = ()) -> Any:
    """Returns the model as a program of ExecuTorch (``EdgeProgramManager``), as far as possible on XNNPACK.

    Args:
        model: takes the example's tensors one by one and returns logits; it is not modified.
        example: (B, C, T, H, W), one a pathway.
        calibration: inputs of the example's shapes; with any, the program computes in int8, and the ranges of its
            activations are those that these inputs have.

    Raises:
        ExportError: the model could not be exported, or executorch is not installed.
    """
    program = export_images(model, example, runtime="executorch", instead=_INSTEAD)
    _point_at_flatc()
    with export_errors("executorch", "converted", _ADVICE), _quiet():
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.exir import to_edge_transform_and_lower

        if calibration:
            round_weights(program, calibration)
            program = _quantized(program, example, calibration)
        return to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])


def undelegated(lowered: Any) -> Counter[str]:
    """How often which operator of a lowered program is computed outside of XNNPACK, by ExecuTorch's own code."""
    counts: Counter[str] = Counter()
    for node in lowered.exported_program().graph.nodes:
        name = getattr(node.target, "__name__", str(node.target))
        if node.op == "call_function" and name not in ("executorch_call_delegate", "getitem"):
            counts[name] += 1
    return counts


def _quantized(
    program: ExportedProgram, example: Inputs, calibration: Sequence[Inputs]
) -> ExportedProgram:
    """The program with operators between conversions to int8 and back, whose ranges are those of the calibration."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    class Quantizer(XNNPACKQuantizer):
        def annotate(self, model: fx.GraphModule) -> fx.GraphModule:
            # scores of classes that are close must not become one number of 256
            classifier = [node for node in model.graph.nodes if node.target in _LAYERS][-1:]
            self.set_filter_function(lambda node: node not in classifier)
            annotated: fx.GraphModule = super().annotate(model)
            _keep_ranges(annotated)
            return annotated

    quantizer = Quantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    with torch.no_grad():
        prepared = prepare_pt2e(program.module(check_guards=False), quantizer)
        for inputs in calibration:
            prepared(*inputs)
        return torch.export.export(convert_pt2e(prepared), example, strict=False)


def _keep_ranges(model: fx.GraphModule) -> None:
    """Gives the results of pads the range of their input, as XNNPACK wants it in int8, and so on for what follows."""
    from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, SharedQuantizationSpec
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY as key

    for node in model.graph.nodes:
        if node.target not in _MOVES or key in node.meta:
            continue
        source = node.args[0]
        known = source.meta.get(key)
        if known is not None and known.output_qspec is not None:
            same = SharedQuantizationSpec(source)
            node.meta[key] = QuantizationAnnotation(
                input_qspec_map={source: same}, output_qspec=same, _annotated=True
            )


_LAYERS = {torch.ops.aten.conv2d.default, torch.ops.aten.linear.default}
# Operators whose results are values of their input, or zero.
_MOVES = {
    torch.ops.aten.pad.default,
    torch.ops.aten.constant_pad_nd.default,
    torch.ops.aten.slice.Tensor,
    torch.ops.aten.max_pool2d.default,
}


def _attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *args: Any, **kwargs: Any
) -> torch.Tensor:
    """Attention without a mask, (B, heads, N, C) each; ExecuTorch's own looks for rows without any key."""
    if args or kwargs or q.ndim != 4:
        return F.scaled_dot_product_attention(q, k, v, *args, **kwargs)
    # (B, heads, N, C) -> (B * heads, N, C)
    queries, keys, values = (x.flatten(0, 1) for x in (q * q.shape[-1] ** -0.5, k, v))
    weights = torch.bmm(queries, keys.transpose(1, 2)).softmax(dim=-1)
    return torch.bmm(weights, values).unflatten(0, q.shape[:2])


def _layer_norm(
    x: torch.Tensor,
    shape: Sequence[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = False,
) -> torch.Tensor:
    """A layer norm over one dimension of means over the positions of images, the only ones that XNNPACK has."""
    if len(shape) > 1:
        return F.layer_norm(x, shape, weight, bias, eps)
    # (..., C) -> (N, 1, 1, C)
    y = x.reshape(-1, 1, 1, shape[0])
    y = y - y.mean(dim=(2, 3), keepdim=True)
    y = (y * ((y * y).mean(dim=(2, 3), keepdim=True) + eps).rsqrt()).reshape(x.shape)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


_INSTEAD: dict[Any, Callable[..., torch.Tensor]] = {
    torch.ops.aten.scaled_dot_product_attention.default: _attention,
    torch.ops.aten.layer_norm.default: _layer_norm,
}


def load_executorch(
    file: Path, *, precision: str = "fp32", threads: int | None = None
) -> Callable[..., torch.Tensor]:
    """Returns a function of the inputs, one by one, that returns the logits.

    Args:
        file: what :func:`export_executorch` wrote.
        precision: of no effect: the file has it.
        threads: of all models of this process, which share one pool; None takes ``torch.get_num_threads()``.

    Raises:
        ExportError: the file is none of ExecuTorch's, or executorch is not installed.
    """
    with export_errors("executorch", "loaded", "Export it again."), _quiet():
        from executorch.extension.pybindings.portable_lib import _unsafe_reset_threadpool
        from executorch.runtime import Runtime

        said = StringIO()
        with redirect_stderr(said):
            # the only name that the runtime has for it
            _unsafe_reset_threadpool(threads or torch.get_num_threads())
            try:
                method = Runtime.get().load_program(file).load_method("forward")
            except RuntimeError as error:
                reason = _last_line(said.getvalue()) or error
                raise ExportError(
                    f"{file} could not be loaded for executorch: {reason}. Export it again."
                ) from error
    execute, about = cast(Any, method).execute, cast(Any, method).metadata
    shapes = [tuple(about.input_tensor_meta(i).sizes()) for i in range(about.num_inputs())]

    def run(*inputs: torch.Tensor) -> torch.Tensor:
        got = [tuple(x.shape) for x in inputs]
        if got != shapes:
            advice = "Export the model for these sizes."
            raise ValueError(expected("inputs", f"of the shapes {shapes}", got, advice))
        return cast(torch.Tensor, execute([x.contiguous() for x in inputs])[0])

    return run


def _point_at_flatc() -> None:
    """Names the compiler that executorch installs beside Python.

    Early releases look for it on the PATH, where it is only while the environment is activated.
    """
    flatc = shutil.which("flatc") or shutil.which("flatc", path=sysconfig.get_path("scripts"))
    if flatc:
        os.environ.setdefault("FLATC_EXECUTABLE", flatc)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the packages warn and log at import and while lowering from users, and their hands off logging."""
    handlers, level = list(logging.root.handlers), logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        logging.root.handlers[:] = handlers


def _last_line(log: str) -> str:
    """
    >>> _last_line("[a.cpp:1] Reading file\\n[b.cpp:168] Program identifier 'abcd' != expected 'ET12'\\n")
    "Program identifier 'abcd' != expected 'ET12'"
    """
    lines = log.strip().splitlines()
    return lines[-1].split("] ", 1)[-1].rstrip(". ") if lines else ""
