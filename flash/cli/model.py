# SPDX-License-Identifier: Apache-2.0
"""The models that ``export`` takes: all but artefacts, with the videos that a run has held out."""

import os
from pathlib import Path

from flash.runs.folder import RunFolder
from flash.runs.sources import Sources
from pytorchvideo.inference.export import Source
from pytorchvideo.inference.loading import find_model, load_trained
from pytorchvideo.inference.predictor import VideoPredictor


def load_source(
    model: str,
    *,
    weights: Path | None = None,
    labels: Path | None = None,
    frames: int | None = None,
    crop: int | None = None,
    untrained: bool = False,
) -> Source:
    """Loads what is to be exported.

    Args:
        model: any source of :func:`~pytorchvideo.inference.loading.load_predictor` but an artefact.
        weights: for a name of the zoo, a file of weights; None takes the published ones.
        labels: class names of these weights.
        frames: of a clip, in the place of the model's own.
        crop: side of a clip in pixels, likewise.
        untrained: take initial weights, to measure a network before it is trained.

    Raises:
        ConnectionError: the published weights could not be downloaded.
        FileNotFoundError: there is no such file, or the run is not finished.
        ValueError: for an unknown model, or sizes and weights that do not fit it.
    """
    kind, name = find_model(model)
    trained = load_trained(
        model,
        weights=weights,
        labels=labels,
        num_frames=frames,
        crop_size=crop,
        untrained=untrained,
        kind=kind,
    )
    videos = _held_out(RunFolder(name)) if kind == "run" else ()
    return Source(trained.name, VideoPredictor.from_pretrained(trained), videos)


def _held_out(folder: RunFolder) -> tuple[str, ...]:
    """Videos of a run that it did not train on, where they still are."""
    if not folder.split_file.is_file():
        return ()
    sources = Sources.from_file(folder.split_file)
    return tuple(path for path, _label in sources.val if os.path.isfile(path))
