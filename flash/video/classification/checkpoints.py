# SPDX-License-Identifier: Apache-2.0
"""Lightning checkpoints from untrusted sources: read once, checked, then built."""

import ast
import inspect
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import torch
import yaml
from torch import Tensor

from flash.core.plain_yaml import PlainLoader
from flash.video.classification.backbones import OWN
from pytorchvideo._checks import expected
from pytorchvideo._text import SMALL, are, counted, read_text
from pytorchvideo.data._annotations.tables import read_table
from pytorchvideo.models._weights.checkpoint import UNREADABLE
from pytorchvideo.models._weights.rebuild import check_network, is_plain

Model = TypeVar("Model", bound=Any)

_LONGEST = (
    10_000  # characters of a value in csv; Python's own reader may end the process on longer ones
)
_NONE = type(None)
_NUMBER = (int, float)
# what `VideoClassifier._save_hyperparameters` writes
_KINDS: dict[str, tuple[type, ...]] = {
    "backbone": (str,),
    "backbone_kwargs": (Mapping, _NONE),
    "decay_rules": (Mapping,),
    "head": (str, _NONE),
    "label_smoothing": _NUMBER,
    "labels": (list, tuple, _NONE),
    "layer_decay": _NUMBER,
    "learning_rate": (*_NUMBER, _NONE),
    "lr_scheduler": (str, list, tuple, _NONE),
    "mix_video": (bool,),
    "multi_label": (bool,),
    "num_classes": (int,),
    "optimizer": (str, list, tuple),
    "output": (str, _NONE),
    "pretrained": (bool,),
    "recipe": (Mapping, _NONE),
    "threshold": _NUMBER,
}


def load_checked(
    cls: type[Model],
    checkpoint: Any,
    map_location: Any,
    hparams_file: str | os.PathLike[str] | None,
    strict: bool | None,
    given: Mapping[str, Any],
) -> Model:
    """Builds a classifier from a checkpoint that is not trusted.

    Args:
        cls: the class of the classifier.
        checkpoint: a path, an address of fsspec, or an open file.
        map_location: where its tensors go; None leaves them where they were, if there is such a device.
        hparams_file: yaml or csv with hyperparameters, in the place of those of the checkpoint.
        strict: whether all tensors must fit; None is the classifier's own choice.
        given: arguments of the caller, who may set anything.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or sets what no file may set.
    """
    is_path = isinstance(checkpoint, (str, os.PathLike))
    source = os.fspath(checkpoint) if is_path else str(getattr(checkpoint, "name", "the file"))
    content = _read(checkpoint, source, map_location)
    stored = content.get("hyper_parameters", {})
    if hparams_file is not None:
        stored, source = _read_hyperparameters(Path(hparams_file)), os.fspath(hparams_file)
    arguments = {**_checked(stored, source, content["state_dict"], given, cls.__name__), **given}
    known = inspect.signature(cls.__init__).parameters.values()
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known):
        names = {parameter.name for parameter in known}
        arguments = {name: value for name, value in arguments.items() if name in names}
    model = cls(**arguments)
    model.on_load_checkpoint(content)
    state = content["state_dict"]
    is_strict = model.strict_loading if strict is None else strict
    missing, unexpected = model.load_state_dict(state, strict=is_strict)
    for what, keys in (("missing in", missing), ("unknown in", unexpected)):
        if keys:
            warnings.warn(
                f"{counted(len(keys), 'tensor')} {are(len(keys))} {what} {source}: {keys[0]}...",
                stacklevel=3,
            )
    return model.to(next((value.device for value in state.values()), torch.device("cpu")))


def _read(checkpoint: Any, source: str, map_location: Any) -> dict[str, Any]:
    where = _present if map_location is None else map_location
    try:
        if isinstance(checkpoint, (str, os.PathLike)):
            with fsspec.open(os.fspath(checkpoint), "rb") as file:
                content = torch.load(file, map_location=where, weights_only=True)
        else:
            content = torch.load(checkpoint, map_location=where, weights_only=True)
    except UNREADABLE as error:
        raise ValueError(
            f"Cannot read {source}: it is damaged, not a checkpoint, or holds more than plain data "
            f"({type(error).__name__}). If you trust it, pass weights_only=False, which runs code that it holds."
        ) from error
    state = content.get("state_dict") if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in state.items()
    ):
        raise ValueError(f"{source} is no checkpoint of Lightning: it has no `state_dict`.")
    return content


def _present(storage: Any, location: str) -> Any:
    """Tensors of a device that is not here go to the CPU."""
    kind = location.partition(":")[0]
    if kind == "cpu":
        return storage
    device = torch.accelerator.current_accelerator(check_available=True)
    return None if device is not None and device.type == kind else storage.cpu()


def _checked(
    stored: Any, source: str, state: Mapping[str, Tensor], given: Mapping[str, Any], kind: str
) -> dict[str, Any]:
    """The hyperparameters of a file, of which each is one that it may set."""
    if not isinstance(stored, Mapping):
        raise ValueError(f"Refused to load {source}: it has no mapping of hyperparameters.")
    if unknown := sorted(set(map(str, stored)) - set(_KINDS)):
        raise ValueError(
            f"Refused to load {source}: it sets {', '.join(unknown)}, which no checkpoint of a {kind} holds."
        )
    for name, value in stored.items():
        if not isinstance(value, _KINDS[name]) or not (
            name == "backbone_kwargs" or is_plain(value)
        ):
            raise ValueError(
                f"Refused to load {source}: " + expected(name, "what such checkpoints hold", value)
            )
    if stored.get("pretrained"):
        raise ValueError(f"Refused to load {source}: it asks for other weights than its own.")
    if not {"backbone", "num_classes"} <= set(stored) and "backbone" not in given:
        raise ValueError(f"Refused to load {source}: it does not say `backbone` and `num_classes`.")
    checked = dict(stored)
    name = stored.get("backbone", OWN)
    # the caller's own network, or none, in the place of the file's
    if "backbone" not in given and not name.startswith(OWN):
        kwargs = stored.get("backbone_kwargs") or {}
        checked["backbone_kwargs"] = check_network(
            name, kwargs, stored["num_classes"], source=source, state=state
        )
    return checked


# -- hyperparameters in files of their own -------------------------------------------------------


class _Loader(PlainLoader):
    """Reads plain values, and the tuples that Lightning writes."""


_Loader.add_constructor(
    "tag:yaml.org,2002:python/tuple",
    lambda loader, node: tuple(loader.construct_sequence(node, deep=True)),
)


def _read_hyperparameters(file: Path) -> Any:
    """What Lightning's ``hparams.yaml``, or its older csv file ``key,value``, holds."""
    wanted = "the hyperparameters of a checkpoint"
    kind = file.suffix.lower()
    if kind == ".csv":
        return {row["key"]: _literal(row["value"]) for _, row in read_table(file, ("key", "value"))}
    if kind not in (".yml", ".yaml"):
        raise ValueError(expected("hparams_file", "a .csv, .yml or .yaml file", str(file)))
    text = read_text(file, wanted, max_bytes=SMALL)
    try:
        return yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{file}: not plain yaml: {said}.") from error


def _literal(text: str) -> Any:
    if not text:
        return None  # as csv writes it
    try:
        return ast.literal_eval(text) if len(text) <= _LONGEST else text
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
