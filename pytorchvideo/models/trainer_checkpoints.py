# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of ``pytorchvideo_trainer``: of its classification, SimCLR, BYOL and MoCo modules.

They are Lightning's: tensors under ``state_dict``, named by the attributes of the module. The network of a classifier
is below ``model.``; that of self-supervision below ``model.backbone.``, or ``model.backbone.0.`` where the projector
follows it in one sequence. Beside it are projectors, predictors, the momentum network, a queue and a memory.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.models._registry import create_model, get_weights, model_entry
from pytorchvideo.models._weights.checkpoint import read_checkpoint, tensors_of
from pytorchvideo.models._weights.weights import load_checkpoint
from pytorchvideo.models.pretrained import PretrainedModel

__all__ = ["TrainerCheckpoint", "read_trainer_checkpoint"]

State = dict[str, torch.Tensor]

_WRITE_ANEW = (
    "If it was written by the trainer, it also holds objects of Python: where these are installed, "
    '`torch.save({"state_dict": torch.load(FILE, weights_only=False)["state_dict"]}, NEW)` writes its tensors alone.'
)


@dataclass(frozen=True)
class TrainerCheckpoint:
    """What a checkpoint holds, every tensor of it accounted for.

    Attributes:
        model: the network in eval mode; it gives logits.
        prefix: of its tensors in the file.
        has_classifier: whether the file has a classifier; otherwise it is untrained.
        left: by their part of the module, how many tensors are not of the network: those of projectors, predictors,
            momentum networks, queues, memories and metrics.
    """

    model: PretrainedModel
    prefix: str
    has_classifier: bool
    left: dict[str, int]


def read_trainer_checkpoint(
    file: str | os.PathLike[str],
    name: str,
    *,
    prefix: str | None = None,
    classifier: str | None = None,
    num_classes: int | None = None,
    **model_kwargs: Any,
) -> TrainerCheckpoint:
    """Reads the network out of a checkpoint of ``pytorchvideo_trainer``, or of any LightningModule with one.

    Args:
        file: of Lightning, such as ``last.ckpt``.
        name: the network in the zoo, such as ``"slow_r50"``.
        prefix: of the names of its tensors, such as ``"model.backbone_mmt."`` for the momentum network. None finds the
            one below which all are; of several the first by its name, which is the network that is trained.
        classifier: name of a linear layer beside it that classifies, as ``"model.mlp"`` of ``SSLFineTuningModel``.
        num_classes: of a classifier that the file does not have; None is that of ``name``.
        model_kwargs: for :func:`~pytorchvideo.models.create_model`, where the configuration differs.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, or not of this network: tensors are missing, or below the prefix are others; no
            such classifier.

    Example::

        found = read_trainer_checkpoint("byol/last.ckpt", "slow_r50", num_classes=10)
        print(found.left)  # {'model.backbone_mmt': 320, 'model.predictor': 8}
        found.model.save("start.pt")
    """
    source = os.fspath(file)
    try:
        state = tensors_of(read_checkpoint(file), source)
    except ValueError as error:
        raise ValueError(f"{error} {_WRITE_ANEW}") from error
    arguments = {**model_entry(name).logits_arguments, **model_kwargs}
    with torch.device("meta"):
        empty = create_model(name, **arguments)
    own, layer = empty.state_dict(), _classifier_name(empty)
    trunk = [key for key in own if not key.startswith(layer)]
    chosen = _prefix_of(state, trunk, source, name) if prefix is None else prefix
    part = {
        key.removeprefix(chosen): value for key, value in state.items() if key.startswith(chosen)
    }
    network = {key: part[key] for key in trunk if key in part}
    _check_trunk(network, part, trunk, layer, f"{source} (below {chosen!r})", name)
    head = _classifier(part, layer, own)
    used = {chosen + key for key in (*network, *head)}
    if classifier is not None:
        head = _linear(state, classifier, layer, own, source)
        used |= {key for key in state if key.startswith(f"{classifier}.")}
    classes = len(head[f"{layer}weight"]) if head else num_classes
    sized = arguments if classes is None else {**arguments, "num_classes": classes}
    model = create_model(name, **sized).eval()
    if head:
        load_checkpoint(model, {**network, **head})
    else:
        load_checkpoint(model, {**model.state_dict(), **network})
    trained = PretrainedModel(model, name, get_weights(name).recipe, arguments)
    return TrainerCheckpoint(trained, chosen, bool(head), _left(state, used, chosen))


def _classifier_name(model: Any) -> str:
    """The name of the classifier with a dot behind it."""
    weight = model.classifier.weight
    key = next(key for key, value in model.named_parameters() if value is weight)
    return key.removesuffix("weight")


def _prefix_of(state: State, trunk: list[str], source: str, name: str) -> str:
    """What most of the trunk's names begin with."""
    probe = trunk[0]
    prefixes = sorted(key.removesuffix(probe) for key in state if key.endswith(probe))
    if not prefixes:
        wanted = f"a checkpoint with {name} in it, whose first tensor is {probe}"
        raise ValueError(expected(source, wanted, sorted(state)[:5]))
    return max(prefixes, key=lambda one: sum(one + key in state for key in trunk))


def _check_trunk(
    network: State, part: State, trunk: list[str], layer: str, source: str, name: str
) -> None:
    missing = [key for key in trunk if key not in network]
    other = [key for key in part if key not in network and not key.startswith(layer)]
    # with an empty prefix, or that of a module, other parts of it are below, too
    inside = {key.partition(".")[0] for key in trunk}
    other = [key for key in other if key.partition(".")[0] in inside]
    for keys, what in ((missing, "has no"), (other, "also has")):
        if keys:
            more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
            raise ValueError(f"{source} {what} {', '.join(keys[:3])}{more}: it is not {name}.")


def _classifier(part: State, layer: str, own: Mapping[str, torch.Tensor]) -> State:
    """The classifier of the network itself, if the file has it; a projector in its place is none."""
    names = [key for key in own if key.startswith(layer)]
    weight = part.get(f"{layer}weight")
    if weight is None or weight.shape[1:] != own[f"{layer}weight"].shape[1:]:
        return {}
    return {key: part[key] for key in names if key in part}


def _linear(
    state: State, classifier: str, layer: str, own: Mapping[str, torch.Tensor], source: str
) -> State:
    """A linear layer beside the network as its classifier."""
    found = {key: value for key, value in state.items() if key.startswith(f"{classifier}.")}
    weights = [value for value in found.values() if value.ndim == 2]
    biases = [value for value in found.values() if value.ndim == 1]
    like = own[f"{layer}weight"]
    if len(weights) != 1 or len(biases) != 1 or weights[0].shape[1] != like.shape[1]:
        shapes = {key: tuple(value.shape) for key, value in found.items()}
        wanted = f"the name of one linear layer of {like.shape[1]} features in {source}"
        raise ValueError(expected("classifier", wanted, shapes or classifier))
    weight = weights[0].reshape(len(weights[0]), *like.shape[1:])
    return {f"{layer}weight": weight, f"{layer}bias": biases[0]}


def _left(state: State, used: set[str], chosen: str) -> dict[str, int]:
    """How many tensors of each part of the module are not used."""
    depth = max(1, chosen.count("."))
    return dict(Counter(".".join(key.split(".")[:depth]) for key in state if key not in used))
