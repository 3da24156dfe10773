# SPDX-License-Identifier: Apache-2.0
"""Scores of a detector on annotated boxes, for the frame-mAP."""

import copy
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from pytorchvideo._processes import EndWithParent
from pytorchvideo._progress import Meter, Progress, Step, silent
from pytorchvideo.data.action_detection import ActionDetectionDataset
from pytorchvideo.evaluation.detection._found import FrameDetections
from pytorchvideo.inference.detection.detector import ActionDetector
from pytorchvideo.inference.detection.inputs import EvaluationInputs


def score_boxes(
    detector: ActionDetector,
    data: ActionDetectionDataset,
    *,
    workers: int = 0,
    progress: Progress = silent,
) -> FrameDetections:
    """Returns the scores of the boxes of a data set, on whole pictures.

    Args:
        detector: the model.
        data: annotated boxes, or detected ones; its transform is not used.
        workers: processes that read; 0 reads in this one.
        progress: is called after each batch.

    Raises:
        ValueError: the data has another number of classes than the model.
        VideoError: (a RuntimeError) a clip cannot be read.
    """
    if len(data.classes) != len(detector.labels):
        raise ValueError(
            f"Expected {data.annotations.source} with the {len(detector.labels)} classes of the model, but got "
            f"{len(data.classes)}."
        )
    found, meter = FrameDetections(data.classes), Meter()
    done = 0
    for samples in _batches(detector, data, workers):
        meter.start_model()
        views = [[sample["inputs"]] for sample in samples]
        for sample, scores in zip(samples, detector.score_inputs(views), strict=True):
            found.add(sample["video_name"], sample["time"], sample["original_boxes"], scores)
        meter.stop_model(len(samples))
        done += len(samples)
        progress(Step(done, len(data), str(samples[-1]["video_name"]), meter))
    return found


class _Inputs:
    """A sample with the inputs of the model in the place of its clip."""

    def __init__(self, detector: ActionDetector) -> None:
        self._inputs = EvaluationInputs(detector.recipe)

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        parts = self._inputs.pathways(sample.pop("video"), sample["original_boxes"])
        return {**sample, "inputs": parts}


def _batches(
    detector: ActionDetector, data: ActionDetectionDataset, workers: int
) -> Iterator[list[dict[str, Any]]]:
    data = copy.copy(data)
    data.transform = _Inputs(detector)
    loader: Any = DataLoader(
        data,
        batch_size=detector.batch_size,
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=EndWithParent(),
    )
    yield from loader
