# SPDX-License-Identifier: Apache-2.0
"""The models that ``export`` takes: runs, model files, names of the zoo and of Hugging Face."""

import os
from pathlib import Path
from typing import Any

from flash.runs.folder import RunFolder
from flash.runs.sources import Sources
from pytorchvideo.inference.export import Source
from pytorchvideo.inference.loading import load_predictor, of_zoo
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.models._registry import model_entry
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.models.pretrained import PretrainedModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe, sized


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
        model: folder of a run, a model file that a run wrote, a name of the zoo, or ``hf:NAME``.
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
    path = Path(model)
    if path.is_dir() or path.is_file():
        if weights is not None or labels is not None or untrained:
            raise ValueError(
                f"Expected {model} alone: a run has its own weights and labels, but got more."
            )
        return _of_run(path, frames, crop)
    if model.startswith(HUGGING_FACE):
        if frames is not None or crop is not None:
            raise ValueError(f"Expected {model} without --frames and --crop: it has one size.")
        return Source(model, load_predictor(model=model, weights=weights, labels=labels))
    recipe = sized(model_entry(model, "video classification").weights.recipe, frames, crop)
    sizes = {} if frames is crop is None else _sizes(recipe)
    network, names = of_zoo(model, weights, labels, untrained=untrained, **sizes)
    return Source(model, VideoPredictor(network, recipe, names))


def _of_run(path: Path, frames: int | None, crop: int | None) -> Source:
    folder = RunFolder(path) if path.is_dir() else None
    file = path if folder is None else folder.model_file()
    trained = PretrainedModel.from_file(file, num_frames=frames, crop_size=crop)
    videos = () if folder is None else _held_out(folder)
    return Source(trained.name, VideoPredictor.from_pretrained(trained), videos)


def _sizes(recipe: ClipRecipe) -> dict[str, Any]:
    return {"num_frames": recipe.num_frames, "crop_size": recipe.crop_size}


def _held_out(folder: RunFolder) -> tuple[str, ...]:
    """Videos of a run that it did not train on, where they still are."""
    if not folder.split_file.is_file():
        return ()
    sources = Sources.from_file(folder.split_file)
    return tuple(path for path, _label in sources.val if os.path.isfile(path))
