# SPDX-License-Identifier: Apache-2.0
"""Loading of action detectors from all that a command takes as a model."""

import os

import torch

from pytorchvideo.accelerator.deployment.artefact import load_artefact, read_info
from pytorchvideo.inference.detection.detector import ActionDetector
from pytorchvideo.inference.devices import device_named
from pytorchvideo.inference.loading import Kind, find_model, load_trained, model_of_run
from pytorchvideo.models._registry import is_model, model_entry
from pytorchvideo.models._weights.weights import read_checkpoint


def load_detector(
    source: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    labels: str | os.PathLike[str] | None = None,
    kind: Kind | None = None,
    num_frames: int | None = None,
    crop_size: int | None = None,
    device: str = "cpu",
    trust: bool = False,
) -> ActionDetector:
    """Returns the detector of a run, a model file, a saved model, or a name of the zoo.

    Args:
        source: see :func:`~pytorchvideo.inference.loading.load_predictor`, like what follows.
        weights: the same.
        labels: the same.
        kind: the same.
        num_frames: the same.
        crop_size: the same.
        device: the same.
        trust: the same.

    Raises:
        ValueError: an unknown model, one for whole clips, or weights and labels that do not fit.
        FileNotFoundError: a file is not there, or the run is not finished.
        ConnectionError: the published weights cannot be reached.
    """
    place = device_named(device)
    kind, name = find_model(source, kind)
    if kind == "artefact":
        return _of_artefact(name, trust)
    trained = load_trained(
        source,
        weights=weights,
        labels=labels,
        num_frames=num_frames,
        crop_size=crop_size,
        kind=kind,
        task="detection",
    )
    detector = ActionDetector.from_pretrained(trained)
    detector.model.to(memory_format=torch.channels_last_3d)
    detector.model.to(place)
    return detector


def _of_artefact(folder: str, trust: bool) -> ActionDetector:
    network = load_artefact(folder, trust=trust)
    about = network.info
    if about.boxes is None:
        raise ValueError(f"{folder} is an artefact of a model for whole clips: `predict` uses it.")
    return ActionDetector(
        network,
        about.recipe,
        about.labels,
        multi_label=about.multi_label,
        threshold=about.threshold,
    )


def is_for_boxes(source: str | os.PathLike[str], kind: Kind | None = None) -> bool:
    """Whether a source is a model that scores boxes, by its name or the name that its file has.

    Raises:
        FileNotFoundError: there is no such file or folder, or the run in it is not finished.
        ValueError: there is no such name.
    """
    kind, name = find_model(source, kind)
    if kind == "zoo":
        return model_entry(name).task == "detection"
    if kind == "artefact":
        return read_info(name).boxes is not None
    if kind not in ("file", "run"):
        return False
    file = model_of_run(name) if kind == "run" else name
    known = read_checkpoint(file).get("model_name")
    return isinstance(known, str) and is_model(known) and model_entry(known).task == "detection"
