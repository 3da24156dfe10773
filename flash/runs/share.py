# SPDX-License-Identifier: Apache-2.0
"""The classifier of a run as a folder or on the Hub, with its labels, clip recipe and scores.

::

    trained_model("runs/gestures").push_to_hub("me/gestures")
    trained = PretrainedModel.from_pretrained("me/gestures")
    VideoPredictor.from_pretrained(trained).predict("clip.mp4")
"""

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from flash.runs.folder import RunFolder
from flash.video.classification.backbones import is_hugging_face
from flash.video.classification.model import VideoClassifier
from pytorchvideo._text import counted
from pytorchvideo.evaluation.multi_label import (
    label_scores,
    mean_average_precision,
    read_multi_label_predictions,
)
from pytorchvideo.evaluation.scores import accuracy
from pytorchvideo.evaluation.videos import read_predictions
from pytorchvideo.models.huggingface import HuggingFaceModel
from pytorchvideo.models.pretrained import PretrainedModel


def trained_model(
    source: str | os.PathLike[str] | VideoClassifier, *, licence: str = "Apache-2.0"
) -> PretrainedModel:
    """Returns the classifier of a run with the scores of its held-out videos, or another one, of which none are known.

    Args:
        source: folder of a finished run, a file that ``VideoClassifier.save`` wrote, or a classifier.
        licence: under which the weights are given away.

    Raises:
        FileNotFoundError: there is no such file, or the run is not finished.
        ValueError: it is no run and no model file, or its network is one of ``transformers`` or your own.
    """
    if isinstance(source, VideoClassifier):
        with tempfile.TemporaryDirectory() as folder:
            source.save(Path(folder) / "model.pt")
            return trained_model(Path(folder) / "model.pt", licence=licence)
    run, file = _run_and_file(source)
    trained = PretrainedModel.from_file(file)
    if is_hugging_face(trained.name):
        raise ValueError(
            f"{file} holds a model of transformers: transformers_model(path) returns it as theirs."
        )
    metrics, protocol = ({}, "") if run is None else _scores(run)
    return replace(trained, metrics=metrics, protocol=protocol, licence=licence)


def transformers_model(path: str | os.PathLike[str]) -> Any:
    """Returns the classifier of a run whose backbone is one of ``transformers`` as their own model, with its labels.

    It has ``save_pretrained`` and ``push_to_hub`` of its own.

    Args:
        path: folder of a finished run, or a file that ``VideoClassifier.save`` wrote.

    Raises:
        FileNotFoundError: there is no such file, or the run is not finished.
        ValueError: it is no run and no model file, or its network is one of the zoo.
    """
    _, file = _run_and_file(path)
    trained = PretrainedModel.from_file(file)
    if not isinstance(trained.model, HuggingFaceModel):
        raise ValueError(f"{file} holds a model of the zoo: trained_model(path) returns it.")
    trained.model.labels = trained.labels
    model = trained.model.to_transformers()
    if trained.multi_label:
        # their pipeline then takes sigmoids; the threshold is ours
        model.config.problem_type = "multi_label_classification"
        model.config.threshold = trained.threshold
    return model


def _run_and_file(path: str | os.PathLike[str]) -> tuple[RunFolder | None, Path]:
    """The run in a folder, or None, and the file of the classifier."""
    run = RunFolder(Path(path)) if Path(path).is_dir() else None
    return run, Path(path) if run is None else run.model_file()


def _scores(run: RunFolder) -> tuple[dict[str, float], str]:
    """The accuracy over the held-out videos, or the mean average precision, in percent, and how it came about."""
    if not run.predictions.is_file():
        return {}, ""
    config = run.read_config()
    metrics: dict[str, float | None]
    if config.multi_label:
        several = read_multi_label_predictions(run.predictions)
        count, labels = len(several), several[0].labels if several else ()
        metrics = {"mAP": mean_average_precision(label_scores(several, labels))}
    else:
        single = read_predictions(run.predictions)
        count, metrics = len(single), {"top1": accuracy(single) if single else None}
    name = Path(config.data).name
    protocol = (
        f"{counted(count, 'held-out video')} of {name}, {counted(config.clips, 'clip')} a video"
    )
    known = {key: round(100 * share, 2) for key, share in metrics.items() if share is not None}
    return known, protocol if known else ""
