# SPDX-License-Identifier: Apache-2.0
"""Loading of state dicts from all forms of checkpoints, with one error for all that does not fit."""

import logging
import pickle
import struct
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers.attention import MultiScaleAttention
from pytorchvideo.layers.positional_encoding import GridEncoding

_log = logging.getLogger(__name__)

# Keys under which training programs keep the state dict of a model.
_WRAPPERS = ("model_state", "state_dict")
# What torch.load raises on files that are no checkpoints, or cut short, by file content.
UNREADABLE = (
    pickle.UnpicklingError,
    struct.error,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)
_NAMES_SHOWN = 3

State = dict[str, torch.Tensor]


def load_checkpoint(
    model: nn.Module,
    file_or_state: str | PathLike[str] | Mapping[str, Any],
    *,
    strict: bool = True,
    same_classes: bool = False,
) -> None:
    """Loads weights into a model, in place.

    Encodings of positions of an MViT for clips of another size are interpolated, trilinearly, and that is logged once.

    Args:
        model: the model. Where it has a ``classifier`` whose number of classes is not the file's, the
            classifier keeps the weights that it has, and that is logged once. Where its stem takes one channel and the
            file's three colours, the weights are summed over the colours, which is logged too.
        file_or_state: a ``.safetensors`` file, a file of ``torch.save``, or what such a file holds: a state
            dict, or one under ``"model_state"`` or ``"state_dict"``, its keys with or without a common
            prefix such as ``"model."``. Files are read with ``weights_only=True``.
        strict: every tensor of the model must be there, and no other; otherwise what fits is loaded.
        same_classes: refuse another number of classes: a model that is not trained any more names nothing then.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: the file is not a checkpoint, or its weights are not those of the model.
    """
    if isinstance(file_or_state, Mapping):
        source, content = "the state dict", file_or_state
    else:
        source, content = str(file_or_state), read_checkpoint(file_or_state)
    own = model.state_dict()
    state = without_prefix(tensors_of(content, source), own)
    resized, grey = _adapt(model, state), _sum_over_colours(state, own)
    replaced = _drop_other_classifier(model, state, own)
    if replaced and same_classes:
        raise ValueError(
            f"{source} has another number of classes than the model: {' and '.join(replaced)} would start untrained. "
            "Give the names of its classes, or train the model first."
        )
    _check_fit(state, own, replaced, source, strict=strict)
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    model.load_state_dict(fitting, strict=False)
    if resized:
        _log.info(
            "%s is of clips of another size: %s were interpolated.", source, " and ".join(resized)
        )
    if grey:
        _log.info(
            "%s is for colour clips: %s was summed over the colours, for clips of one channel.",
            source,
            " and ".join(grey),
        )
    if replaced:
        _log.info(
            "%s has another classifier than the model: all but %s was loaded, which starts untrained.",
            source,
            " and ".join(replaced),
        )


def read_checkpoint(file: str | PathLike[str]) -> Mapping[str, Any]:
    """Reads a ``.safetensors`` file or a file of ``torch.save``, without running code from it.

    Raises:
        FileNotFoundError: there is no such file.
        IsADirectoryError: it is a folder.
        ValueError: the file is damaged, of another kind, or holds objects other than plain data.
    """
    path = Path(file)
    if path.is_dir():
        raise IsADirectoryError(f"Expected a file of weights, but {path} is a folder.")
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of weights at {path}.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path, device="cpu")
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (*UNREADABLE, SafetensorError) as error:
        raise ValueError(
            f"Cannot read weights from {path}: it is damaged, not a checkpoint, or holds more than plain "
            f"data ({type(error).__name__}). Download or save it again."
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(
            expected(str(path), "a checkpoint of named tensors", type(content).__name__)
        )
    return content


def tensors_of(content: Mapping[str, Any], source: str) -> State:
    """The state dict inside a checkpoint."""
    for key in _WRAPPERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    state = {k: v for k, v in content.items() if isinstance(v, torch.Tensor)}
    if not state:
        wanted = f"named tensors, or to hold them under {' or '.join(map(repr, _WRAPPERS))}"
        raise ValueError(expected(source, wanted, f"the keys {sorted(map(str, content))[:5]}"))
    return state


def without_prefix(state: State, own: Mapping[str, torch.Tensor]) -> State:
    """Removes the prefix under which most of the model's keys are found, with what is not under it."""
    probe = next(iter(own), "")
    prefixes = {key[: -len(probe)] for key in state if probe and key.endswith(probe)}

    def found(prefix: str) -> int:
        return sum(prefix + key in state for key in own)

    best = max(sorted(prefixes), key=found, default="")
    return {k[len(best) :]: v for k, v in state.items() if k.startswith(best)}


def _adapt(model: nn.Module, state: State) -> list[str]:
    """Gives tensors the names and sizes of the model's, in place; returns the keys of those of another size."""
    resized: list[str] = []
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(module, MultiScaleAttention):
            module.canonicalize_state(state, prefix)
        elif isinstance(module, GridEncoding):
            resized += module.resize_state(state, prefix)
    return resized


def _sum_over_colours(state: State, own: Mapping[str, torch.Tensor]) -> list[str]:
    """Sums the weights of stems for three colours where the model's take one channel; returns their keys.

    A clip of one channel then gives what it would give in all three colours.
    """
    keys = [
        key
        for key, weight in state.items()
        if key in own
        and weight.ndim in (4, 5)
        and weight.shape[1] == 3
        and own[key].shape == (weight.shape[0], 1, *weight.shape[2:])
    ]
    for key in keys:
        state[key] = state[key].sum(dim=1, keepdim=True)
    return keys


def _drop_other_classifier(
    model: nn.Module, state: State, own: Mapping[str, torch.Tensor]
) -> list[str]:
    """Takes the classifier out of ``state`` where its number of classes is not the model's; returns its keys."""
    classifier = getattr(model, "classifier", None)
    prefix = next((n for n, m in model.named_modules() if m is classifier), None)
    keys = [k for k in own if prefix is not None and k.startswith(f"{prefix}.")]
    shapes = [(state[k].shape, own[k].shape) for k in keys if k in state]
    # The same layer for other classes: only the first dimension differs.
    if all(a == b for a, b in shapes) or any(a[1:] != b[1:] for a, b in shapes):
        return []
    for key in keys:
        state.pop(key, None)
    return keys


def _check_fit(
    state: State,
    own: Mapping[str, torch.Tensor],
    replaced: list[str],
    source: str,
    *,
    strict: bool,
) -> None:
    """Raises a ValueError that names what does not fit, or where nearly nothing fits."""
    wanted = [k for k in own if k not in replaced]
    # Checkpoints of before PyTorch 0.4.1 have no such counters; they are not weights.
    missing = [k for k in wanted if k not in state and not k.endswith("num_batches_tracked")]
    unexpected = [k for k in state if k not in own]
    other_shape = [
        f"{k} {tuple(state[k].shape)} instead of {tuple(own[k].shape)}"
        for k in wanted
        if k in state and state[k].shape != own[k].shape
    ]
    fitting = sum(k in state and state[k].shape == own[k].shape for k in wanted)
    if fitting < len(wanted) / 2:
        raise ValueError(
            f"{source} holds the weights of another model: {fitting} of this model's {len(wanted)} "
            f"tensors are in it. {_list('missing', missing)}{_list('of another shape', other_shape)}"
            "Build the model that they belong to."
        )
    problems = [
        _list("missing", missing),
        _list("unexpected", unexpected),
        _list("of another shape", other_shape),
    ]
    if not any(problems):
        return
    if strict:
        raise ValueError(
            f"{source} does not fit the model: {''.join(problems)}"
            "Use weights of this model, or load what fits: "
            "pytorchvideo.models.load_checkpoint(model, file, strict=False)."
        )
    _log.warning("%s does not fit the whole model: %s", source, "".join(problems).rstrip())


def _list(what: str, names: list[str]) -> str:
    """``"2 missing: a, b. "``, the first few names; nothing for none."""
    if not names:
        return ""
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return f"{len(names)} {what}: {', '.join(names[:_NAMES_SHOWN])}{more}. "
