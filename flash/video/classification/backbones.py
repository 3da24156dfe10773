# SPDX-License-Identifier: Apache-2.0
"""The network inside a classifier: a name of the zoo, a model of Hugging Face, or a module of one's own."""

import inspect
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.models._registry import create_model, list_models, model_entry
from pytorchvideo.models._weights.hugging_face_files import read_config
from pytorchvideo.models._weights.rebuild import HUGGING_FACE
from pytorchvideo.models._weights.weights import load_checkpoint
from pytorchvideo.models.net import DetectionBBoxNetwork
from pytorchvideo.transforms.clip_recipe import ClipRecipe

# what a checkpoint says in the place of a module, which it cannot hold
OWN = "own module: "

Kwargs = dict[str, Any]


@dataclass(frozen=True)
class Backbone:
    """A network with what is known of it.

    Attributes:
        module: clips to logits, or to what a head takes.
        name: what :func:`rebuild_backbone` builds it from again, None for a module of one's own.
        kwargs: the arguments that it was built with.
        recipe: the clips that it was published for.
        labels: class names of its scores, where they are its own.
        clip_size: frames and side of the clips that it was built for.
    """

    module: nn.Module
    name: str | None
    kwargs: Kwargs
    recipe: ClipRecipe | None
    labels: tuple[str, ...] = ()
    clip_size: tuple[int, int] | None = None

    @property
    def num_classes(self) -> int:
        """Number of scores of the classifier."""
        return int(self.module.get_submodule("classifier").out_features)  # type: ignore[arg-type]


class ListsBackbones:
    """The class methods of a task that say which backbones there are."""

    @classmethod
    def available_backbones(cls, head: str | None = None) -> list[str]:
        """Names that ``backbone`` takes, besides those of Hugging Face; every one of them runs."""
        return list_models("video classification")

    @classmethod
    def available_models(cls) -> list[str]:
        """Flash's former name for :meth:`available_backbones`."""
        return cls.available_backbones()

    @classmethod
    def available_heads(cls) -> list[str]:
        """Names that ``head`` takes: none, it is a module."""
        return []

    @classmethod
    def get_backbone_details(cls, key: str) -> list[tuple[str, inspect.Parameter]]:
        """Returns the arguments that the builder of a backbone takes.

        Raises:
            KeyError: for an unknown backbone.
        """
        check_name(key)
        return list(inspect.signature(model_entry(key).builder).parameters.items())

    @classmethod
    def get_model_details(cls, key: str) -> list[tuple[str, inspect.Parameter]]:
        """Flash's former name for :meth:`get_backbone_details`."""
        return cls.get_backbone_details(key)


def build_backbone(
    spec: Any,
    kwargs: Kwargs,
    num_classes: int | None,
    *,
    pretrained: bool,
    weights: str | os.PathLike[str] | None,
    recipe: Any,
    has_head: bool,
) -> Backbone:
    """Builds the network of a classifier.

    Args:
        spec: a name of the zoo, ``"hf:NAME"``, a folder with a model of Hugging Face, or a module.
        kwargs: for its builder.
        num_classes: of its classifier, which is replaced where it has another number; None keeps it.
        pretrained: load the published weights.
        weights: load this file instead.
        recipe: the clips that were asked for: pools of fixed size, and positions, are made for them. Of no effect
            where it is a mapping, that of a checkpoint, which has the sizes among its arguments.
        has_head: a head follows: the network stays as it is.

    Raises:
        KeyError: for an unknown name, or a model for other tasks.
        OSError: for a model of Hugging Face that cannot be found.
        TypeError: for another kind of argument, or a network that scores boxes.
        ValueError: for the module of a checkpoint, which has to be passed again.
    """
    classes = None if has_head else num_classes
    if isinstance(spec, nn.Module):
        return Backbone(_own(spec, kwargs, weights, classes), None, {}, None)
    if not isinstance(spec, (str, os.PathLike)):
        raise TypeError(expected("backbone", "a name or an nn.Module", spec))
    spec = os.fspath(spec)
    if spec.startswith(OWN):
        raise ValueError(own_module_message("backbone", spec))
    pretrained = kwargs.pop("pretrained", pretrained) and weights is None
    if is_hugging_face(spec):
        if isinstance(recipe, ClipRecipe):
            sizes = {"num_frames": recipe.num_frames, "image_size": recipe.crop_size}
            kwargs = {**{key: size for key, size in sizes.items() if size}, **kwargs}
        return _hugging_face(spec, kwargs, classes, pretrained, weights)
    check_name(spec)
    entry = model_entry(spec)
    published = entry.weights.recipe
    kwargs = {**entry.logits_arguments, **kwargs}
    if isinstance(recipe, ClipRecipe) and recipe != published:
        kwargs = {"num_frames": recipe.num_frames, "crop_size": recipe.crop_size, **kwargs}
    module = create_model(
        spec, pretrained=pretrained, weights=weights, num_classes=classes, **kwargs
    )
    size = (
        kwargs.get("num_frames") or entry.num_frames,
        kwargs.get("crop_size") or entry.crop_size,
    )
    return Backbone(module, spec, kwargs, published, clip_size=size)


def check_name(name: str) -> None:
    """Raises a KeyError unless a name is that of a model of the zoo for clips."""
    try:
        model_entry(name, "video classification")
    except ValueError as error:
        raise KeyError(str(error)) from error


def names_its_classes(spec: Any, has_head: bool) -> bool:
    """Whether the number of classes may be left out: a model of Hugging Face brings its own."""
    return (
        isinstance(spec, (str, os.PathLike)) and is_hugging_face(os.fspath(spec)) and not has_head
    )


def is_hugging_face(name: str) -> bool:
    """Whether a name means a model of Hugging Face: one with ``hf:`` in front, or a folder."""
    return name.startswith(HUGGING_FACE) or (name not in list_models() and Path(name).is_dir())


def own_module(module: nn.Module) -> str:
    """What a checkpoint says of a module of one's own."""
    return OWN + type(module).__name__


def own_module_message(argument: str, stored: str) -> str:
    """The sentence for a module that a checkpoint could not hold."""
    kind = stored.removeprefix(OWN)
    return (
        f"Expected `{argument}`: this classifier was saved with a module of your own ({kind}), which a checkpoint "
        f"cannot hold. Pass it again: load_from_checkpoint(path, {argument}=...)."
    )


def _own(
    module: nn.Module,
    kwargs: Kwargs,
    weights: str | os.PathLike[str] | None,
    num_classes: int | None,
) -> nn.Module:
    kind = type(module).__name__
    if isinstance(module, DetectionBBoxNetwork):
        advice = "It scores boxes; create_resnet and create_slowfast build its trunk for clips."
        raise TypeError(expected("backbone", "a classifier of whole clips", kind, advice))
    if kwargs:
        raise TypeError(
            expected("backbone_kwargs", "None for a module that is built already", kwargs)
        )
    if weights is not None:
        load_checkpoint(module, weights)
    reset = getattr(module, "reset_classifier", None)
    if num_classes is not None and callable(reset):
        layer = getattr(module, "classifier", None)
        if num_classes != getattr(layer, "out_features", getattr(layer, "out_channels", None)):
            reset(num_classes)
    return module


def _hugging_face(
    name: str,
    kwargs: Kwargs,
    num_classes: int | None,
    pretrained: bool,
    weights: str | os.PathLike[str] | None,
) -> Backbone:
    """A model of Hugging Face; ``kwargs["config"]``, which a checkpoint has, takes the place of its files."""
    from pytorchvideo.models.huggingface import create_hugging_face

    name = name if name.startswith(HUGGING_FACE) else HUGGING_FACE + name
    source: Any = name.removeprefix(HUGGING_FACE)
    options = {key: value for key, value in kwargs.items() if key != "config"}
    if (
        "config" not in kwargs
        and Path(source).is_dir()
        and not Path(source, "config.json").is_file()
    ):
        raise FileNotFoundError(
            f"Expected the backbone {source} to be a folder that save_pretrained wrote, but it has no config.json."
        )
    if "config" in kwargs or not pretrained:
        source = _config(source, kwargs.get("config"))
    module = create_hugging_face(source, num_classes, **options)
    if weights is not None:
        load_checkpoint(module, weights)
    config = json.loads(module.trunk.config.to_json_string(use_diff=False))
    recipe = module.recipe
    return Backbone(
        module,
        name,
        {**options, "config": config},
        recipe,
        module.labels,
        (recipe.num_frames, recipe.crop_size or recipe.side_size),
    )


def _config(source: str, stored: Mapping[str, Any] | None) -> Any:
    try:
        from transformers import AutoConfig
    except ImportError as error:
        raise ImportError(
            f"The backbone {source} needs the package transformers. Install it with "
            'pip install "pytorchvideo[hf]".'
        ) from error
    return read_config(source, {}) if stored is None else AutoConfig.for_model(**stored)
