# SPDX-License-Identifier: Apache-2.0
"""RoIAlign as products of matrices, against torchvision's, and artefacts with boxes."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.ops import RoIAlign

from pytorchvideo.accelerator.deployment.boxes import BoxScores, SeparableRoIAlign
from pytorchvideo.data.synthetic_figures import ACTIONS, FigureFiles
from pytorchvideo.inference.detection.detector import ActionDetector
from pytorchvideo.inference.detection.export import export_detector
from pytorchvideo.inference.detection.found import VideoActions
from pytorchvideo.inference.detection.loading import is_for_boxes, load_detector
from pytorchvideo.inference.detection.people_file import PeopleFile
from pytorchvideo.inference.loading import load_predictor
from pytorchvideo.models._registry import create_model
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(
    num_frames=4, sampling_rate=4, frames_per_second=16, side_size=48, crop_size=None
)


@given(st.booleans(), st.sampled_from([0, 1, 2, 3]), st.integers(0, 2**31), st.integers(1, 9))
def test_products_of_matrices_are_roi_align(
    aligned: bool, ratio: int, seed: int, cells: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    theirs = RoIAlign((cells, 7), 1 / 16, ratio, aligned)
    x = torch.rand(1, 3, 6, 11, generator=generator)
    sides = torch.tensor([11 * 16.0, 6 * 16.0])
    corners = (torch.rand(20, 2, 2, generator=generator) * sides).sort(dim=1).values
    boxes = torch.nn.functional.pad(corners.flatten(1), (1, 0))
    boxes[0, 3:] = boxes[0, 1:3]  # without an area
    boxes[1] = torch.tensor([0, 0, 0, *sides])
    ours = SeparableRoIAlign.of(theirs)
    torch.testing.assert_close(ours(x, boxes), theirs(x, boxes), atol=2e-5, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("runtime", ["onnx", "openvino", "executorch"])
def test_artefacts_score_any_number_of_boxes(
    runtime: str,
    shallow: Callable[[], AbstractContextManager[None]],
    figures: FigureFiles,
    tmp_path: Path,
) -> None:
    pytest.importorskip({"onnx": "onnxruntime"}.get(runtime, runtime))
    torch.manual_seed(0)
    with shallow():
        model = create_model(
            "slow_r50_detection", num_classes=4, stem_dim_out=4, head_activation=None
        )
    detector = ActionDetector(model, RECIPE, ACTIONS)
    made = export_detector(detector, "small", tmp_path / "a", runtime=runtime, size=(96, 64))
    assert made.max_difference <= 1e-3 * made.max_logit
    assert is_for_boxes(tmp_path / "a")
    loaded = load_detector(tmp_path / "a")
    people = PeopleFile(figures.people)
    for one in (detector, loaded):
        one.threshold = 0.01
    wanted, found = (next(one.detect([figures.unseen], people)) for one in (detector, loaded))
    assert isinstance(wanted, VideoActions)
    assert isinstance(found, VideoActions)
    for ours, theirs in zip(wanted.rows, found.rows, strict=True):
        torch.testing.assert_close(ours.scores, theirs.scores, atol=1e-4, rtol=1e-3)
    with pytest.raises(ValueError, match="`pytorchvideo detect --artefact`"):
        load_predictor(tmp_path / "a")


def test_networks_without_boxes_are_refused(detector: ActionDetector, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="with a head for boxes"):
        BoxScores(create_model("x3d_xs"), None)
    with pytest.raises(ValueError, match="runtime"):
        export_detector(detector, "small", tmp_path / "a", runtime="aoti", size=(96, 64))
