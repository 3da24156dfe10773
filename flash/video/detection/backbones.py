# SPDX-License-Identifier: Apache-2.0
"""The network inside an action detector: a model for boxes, or any trunk of the zoo with a head for them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.models._registry import DETECTION, create_model, list_models, model_entry
from pytorchvideo.models._weights.checkpoint import read_checkpoint, tensors_of
from pytorchvideo.models._weights.weights import load_checkpoint
from pytorchvideo.models.detector import load_trunk
from pytorchvideo.models.net import DetectionBBoxNetwork
from pytorchvideo.transforms.clip_recipe import ClipRecipe

Kwargs = dict[str, Any]


@dataclass(frozen=True)
class Backbone:
    """A network for boxes with what is known of it.

    Attributes:
        module: clips and boxes (N, 5) -> logits (N, num_classes).
        name: what :func:`~pytorchvideo.models.create_model` builds it from again, None for a module of one's own.
        kwargs: the arguments that it was built with.
        recipe: the clips that it takes.
    """

    module: nn.Module
    name: str | None
    kwargs: Kwargs
    recipe: ClipRecipe | None


def detector_name(name: str) -> str:
    """Returns the name of a model for boxes, of that or of its trunk.

    Raises:
        KeyError: for an unknown name.

    >>> detector_name("x3d_s"), detector_name("slow_r50_detection")
    ('x3d_s_detection', 'slow_r50_detection')
    """
    found = name if name.endswith(DETECTION) else f"{name}{DETECTION}"
    try:
        if not name.endswith(DETECTION):
            model_entry(name, "video classification")
        model_entry(found, "detection")
    except ValueError as error:
        raise KeyError(str(error)) from error
    return found


def available_detectors() -> list[str]:
    """Names that a detector takes: the models for boxes with published weights, and all trunks."""
    return [*list_models("detection"), *list_models("video classification")]


def build_detector(
    spec: Any,
    kwargs: Mapping[str, Any],
    num_classes: int,
    *,
    pretrained: bool,
    weights: str | os.PathLike[str] | None,
    recipe: Any,
) -> Backbone:
    """Builds the network of an action detector, which returns logits.

    Args:
        spec: a name, see :func:`detector_name`, or a module ``(clips, boxes) -> logits``.
        kwargs: for its builder.
        num_classes: of its classifier.
        pretrained: load the published weights: those for boxes, or where there are none those of the trunk.
        weights: load this file instead, of a model for boxes or of the trunk's model for whole clips.
        recipe: the clips that were asked for; of no effect where it is a mapping, that of a checkpoint.

    Raises:
        KeyError: for an unknown name.
        TypeError: for another kind of argument.
        ValueError: for weights that fit neither.
    """
    if isinstance(spec, nn.Module):
        if kwargs:
            wanted = "None for a module that is built already"
            raise TypeError(expected("backbone_kwargs", wanted, dict(kwargs)))
        if weights is not None:
            load_checkpoint(spec, weights)
        reset = getattr(spec, "reset_classifier", None)
        if isinstance(spec, DetectionBBoxNetwork) and callable(reset):
            layer: Any = spec.classifier
            if layer.out_features != num_classes:
                reset(num_classes)
        return Backbone(spec, None, {}, None)
    if not isinstance(spec, str):
        raise TypeError(expected("backbone", "a name or an nn.Module", spec))
    name = detector_name(spec)
    entry = model_entry(name, "detection")
    published = entry.weights.recipe
    arguments = {**entry.logits_arguments, **kwargs}
    if isinstance(recipe, ClipRecipe) and recipe != published:
        sizes = {"num_frames": recipe.num_frames, "crop_size": recipe.crop_size or recipe.side_size}
        arguments = {**sizes, **arguments}
    if weights is None and pretrained and entry.weights.url is not None:
        module = create_model(name, pretrained=True, num_classes=num_classes, **arguments)
        return Backbone(module, name, arguments, published)
    module = create_model(name, num_classes=num_classes, **arguments)
    if weights is not None and _is_for_boxes(weights):
        load_checkpoint(module, weights)
    elif weights is not None or pretrained:
        known: Kwargs = {key: arguments.get(key) for key in ("num_frames", "crop_size")}
        whole = create_model(str(entry.trunk), pretrained=weights is None, weights=weights, **known)
        load_trunk(module, whole)
    return Backbone(module, name, arguments, published)


def _is_for_boxes(weights: str | os.PathLike[str]) -> bool:
    """Whether a file holds a head for boxes, too."""
    state = tensors_of(read_checkpoint(weights), os.fspath(weights))
    return any("detection_head." in key for key in state)
