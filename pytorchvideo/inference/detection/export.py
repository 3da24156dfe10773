# SPDX-License-Identifier: Apache-2.0
"""Export of an action detector to a runtime: an artefact that was compared with the model."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from pytorchvideo._checks import check_choice, expected
from pytorchvideo._locks import alone_in
from pytorchvideo.accelerator.deployment.artefact import (
    INFO,
    ArtefactInfo,
    load_artefact,
    write_artefact,
    write_info,
)
from pytorchvideo.accelerator.deployment.runtimes import ExportError
from pytorchvideo.inference.detection.detector import ActionDetector
from pytorchvideo.inference.detection.inputs import EvaluationInputs
from pytorchvideo.inference.export import TOLERANCE

#: What computes boxes.
BOX_RUNTIMES = ("onnx", "openvino", "executorch")
_FIXED = 8  # boxes at a time, of a runtime that wants to know


@dataclass(frozen=True)
class ExportedDetector:
    """What came of an export.

    Attributes:
        folder: with the artefact.
        info: what it is.
        max_difference: of two logits, on clips and boxes of noise.
        max_logit: the largest of the model's, by its absolute value.
    """

    folder: Path
    info: ArtefactInfo
    max_difference: float
    max_logit: float


def export_detector(
    detector: ActionDetector,
    name: str,
    out: str | os.PathLike[str],
    *,
    runtime: str,
    size: tuple[int, int],
    say: Callable[[str], None] = lambda text: None,
) -> ExportedDetector:
    """Makes an artefact of a detector, and compares the two.

    It takes one clip at a time of pictures of one size, and any number of boxes; that of ExecuTorch takes eight at a
    time. RoIAlign is written in products of matrices, see :mod:`pytorchvideo.accelerator.deployment.boxes`.

    Args:
        detector: the model, on the CPU.
        name: of its network, for people.
        out: folder of the artefact.
        runtime: ``"onnx"``, ``"openvino"`` or ``"executorch"``.
        size: (width, height) of the videos, which are scaled as the recipe says.
        say: is told what is being done.

    Raises:
        ExportError: the runtime cannot have this model, or its artefact computes something else.
        FileExistsError: there is an artefact in ``out``.
        ValueError: another runtime, or no size.
    """
    check_choice("runtime", runtime, BOX_RUNTIMES)
    if min(size) < 1:
        raise ValueError(expected("size", "(width, height) in pixels", size))
    if Path(out, INFO).exists():
        raise FileExistsError(f"{os.fspath(out)} holds an artefact already. Choose another --out.")
    info = ArtefactInfo(
        runtime=runtime,
        model=name,
        recipe=detector.recipe,
        labels=tuple(detector.labels),
        multi_label=detector.multi_label,
        threshold=detector.threshold,
        boxes=_FIXED if runtime == "executorch" else 0,
    )
    example = _noise(detector, size, info.boxes or 3)
    with alone_in(out):
        say(f"convert {name} for {runtime}")
        try:
            info = write_artefact(detector.model, info, out, example=example)
            say("compare it with the model")
            difference, largest = _compare(detector, Path(out), size)
            if not difference <= TOLERANCE * max(largest, 1e-12):
                raise ExportError(
                    f"The artefact of {name} for {runtime} computes something else: logits differ by {difference:.2e}, "
                    f"where the largest is {largest:.2e}. Try another runtime."
                )
            report = {"parity": {"max_difference": difference, "max_logit": largest}}
            info = replace(info, report=report)
            write_info(info, out)
        except BaseException:  # also an interrupt: what is in the folder has not been checked
            Path(out, INFO).unlink(missing_ok=True)
            raise
    return ExportedDetector(Path(out), info, difference, largest)


def _noise(
    detector: ActionDetector, size: tuple[int, int], count: int, seed: int = 0
) -> tuple[Tensor, ...]:
    """Pathways (1, C, T, H, W) of a clip of noise, and boxes (N, 4) in their pixels."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(3, detector.recipe.num_frames, size[1], size[0], generator=generator)
    corners = torch.rand(count, 2, 2, generator=generator).sort(dim=1).values
    boxes = corners.flatten(1)  # x1, y1, x2, y2
    *pathways, pixels = EvaluationInputs(detector.recipe).pathways(255 * frames, boxes)
    return (*(path[None] for path in pathways), pixels)


@torch.inference_mode()
def _compare(detector: ActionDetector, folder: Path, size: tuple[int, int]) -> tuple[float, float]:
    """The largest difference of two logits, and the largest logit, over clips with one box, some, and many."""
    artefact = load_artefact(folder, trust=True)  # written just now
    difference, largest = 0.0, 0.0
    for seed, count in enumerate((1, 3, 11)):
        *pathways, boxes = _noise(detector, size, count, seed)
        x = pathways if detector.recipe.pathway_ratio is not None else pathways[0]
        rows = torch.nn.functional.pad(boxes, (1, 0))
        wanted, got = detector.model(x, rows), artefact(x, rows)
        difference = max(difference, float((wanted - got).abs().max()))
        largest = max(largest, float(wanted.abs().max()))
    return difference, largest
