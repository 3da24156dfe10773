# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of PySlowFast: its ``PTV*`` models, and its native SlowFast, Slow, C2D, I3D, X3D and MViT.

The native networks are those of the zoo under other names::

    s1.pathway0_stem.bn.weight             blocks.0.norm.weight
    s2.pathway0_res1.branch2.a.weight      blocks.1.res_blocks.1.branch2.conv_a.weight
    s3_fuse.conv_f2s.weight                blocks.2.multipathway_fusion.conv_fast_to_slow.weight
    head.projection.weight                 blocks.5.proj.weight

Two differences are of more than names. Attention of MViT keeps queries, keys and values in one matrix. And the native
X3D normalises the shortcut of its first stage, which the zoo's does not: the scale goes into the convolution before it,
the shift into the normalisation that it is added to, after which both compute the same in evaluation.
"""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file
from pytorchvideo.models._registry import create_model, get_weights, model_entry
from pytorchvideo.models._weights.checkpoint import read_checkpoint, tensors_of, without_prefix
from pytorchvideo.models._weights.weights import load_checkpoint
from pytorchvideo.models.pretrained import PretrainedModel

__all__ = ["read_pyslowfast", "write_pyslowfast"]

State = dict[str, torch.Tensor]

_EPS = 1e-5  # of PySlowFast's BN.EPSILON
_CONVERT = "Load it in PySlowFast (TRAIN.CHECKPOINT_TYPE caffe2) and save it there as a .pyth file, which this reads."
_WRAPPED = "model."  # what the PTV* models put before every name
# blobs of Caffe2, such as res2_0_branch2a_w and conv1_bn_riv
_CAFFE2 = re.compile(
    r"(t_)?(conv1|res(_conv)?\d\w*|pred|res\d_\w+|nonlocal_\w+)_(w|b|s|rm|riv|bn_\w+)"
)
# of the configuration that a checkpoint holds
_REVERSED = re.compile(r"^\s+REVERSE_INPUT_CHANNEL:\s*true\s*$", re.IGNORECASE | re.MULTILINE)
_PLACE = re.compile(r"blocks\.(\d+)\.(?:multipathway_blocks\.(\d+)\.)?(.*)")

# the zoo's names to the native ones, below a stem, a residual block, a fusion and a head
_STEM = {
    "conv.conv_t.": "conv_xy.",  # PyTorchVideo calls the spatial one so
    "conv.conv_xy.": "conv.",
    "conv.": "conv.",
    "norm.": "bn.",
}
_BLOCK = {
    "branch1_conv.": "branch1.",
    "branch1_norm.": "branch1_bn.",
    "branch2.norm_b.1.block.0.": "branch2.se.fc1.",
    "branch2.norm_b.1.block.2.": "branch2.se.fc2.",
    "branch2.norm_b.0.": "branch2.b_bn.",
    **{f"branch2.conv_{part}.": f"branch2.{part}." for part in "abc"},
    **{f"branch2.norm_{part}.": f"branch2.{part}_bn." for part in "abc"},
}
_FUSION = {"conv_fast_to_slow.": "conv_f2s.", "norm.": "bn."}
_HEAD = {
    "pool.pre_conv.": "conv_5.",
    "pool.pre_norm.": "conv_5_bn.",
    "pool.post_conv.": "lin_5.",
    "pool.post_norm.": "lin_5_bn.",
    "proj.": "projection.",
}
_MVIT = {
    "patch_embed.patch_model.": "patch_embed.proj.",
    "cls_positional_encoding.": "",
    "norm_embed.": "norm.",
    "head.proj.": "head.projection.",
}
_JOINED = re.compile(r"(.*\.attn\.)([qkv])(\.(?:weight|bias))")


def read_pyslowfast(
    file: str | os.PathLike[str], name: str, *, channels: str | None = None, **model_kwargs: Any
) -> PretrainedModel:
    """Reads a checkpoint of PySlowFast into a model of the zoo.

    Args:
        file: ``checkpoint_epoch_00196.pyth`` and the like: tensors under ``model_state``, in the names of the native
            models or in those of the zoo, with the prefix ``model.`` of the ``PTV*`` models or without.
        name: the model of the zoo with the same configuration, such as ``"slowfast_r50"`` for ``SLOWFAST_8x8_R50``.
        channels: ``"rgb"`` or ``"bgr"``, the order of colours that the weights want; None takes it from the
            configuration in the checkpoint (``DATA.REVERSE_INPUT_CHANNEL``), or else from the record of ``name``.
        model_kwargs: for :func:`~pytorchvideo.models.create_model`, where the configuration differs, such as
            ``num_frames``.

    Returns:
        The model in eval mode, which gives logits, with as many classes as the file's; its recipe names the order of
        the colours. Labels are not in such files.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no such checkpoint, one of Caffe2, or not of this model.
    """
    if Path(file).suffix == ".pkl":
        raise ValueError(f"{file} is a checkpoint of Caffe2. {_CONVERT}")
    content = read_checkpoint(file)
    state = tensors_of(content, str(file))
    caffe2 = next((key for key in state if _CAFFE2.fullmatch(key)), None)
    if caffe2 is not None:
        raise ValueError(f"{file} has names of Caffe2, such as {caffe2}. {_CONVERT}")
    arguments = {**model_entry(name).logits_arguments, **model_kwargs}
    with torch.device("meta"):
        empty = create_model(name, **arguments)
    own = empty.state_dict()
    state = without_prefix(state, {k.removeprefix(_WRAPPED): v for k, v in own.items()})
    names = _native_names(own)
    if _is_native(state, names):
        state = _from_native(state, names, str(file), name)
    classifier: Any = empty.classifier
    head = next(key for key, value in empty.named_parameters() if value is classifier.weight)
    weight = state.get(head, state.get(head.removeprefix(_WRAPPED)))
    if weight is None:
        raise ValueError(
            expected(str(file), f"a checkpoint of {name}, with {head}", sorted(state)[:5])
        )
    model = create_model(name, num_classes=len(weight), **arguments).eval()
    load_checkpoint(model, state)
    recipe = get_weights(name).recipe
    if channels is None and isinstance(content.get("cfg"), str):
        channels = "bgr" if _REVERSED.search(content["cfg"]) else "rgb"
    if channels is not None:
        recipe = replace(recipe, channels=channels)
    return PretrainedModel(model, name, recipe, arguments)


def native_state(
    file: str | os.PathLike[str], name: str, own: Mapping[str, torch.Tensor]
) -> State | None:
    """Returns the tensors of a native checkpoint (``.pyth``) in the names of the zoo; None of any other file.

    Args:
        file: of weights.
        name: the model of the zoo.
        own: its tensors.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, one of Caffe2, or has tensors that the model has nothing like.
    """
    if Path(file).suffix == ".pkl":
        raise ValueError(f"{file} is a checkpoint of Caffe2. {_CONVERT}")
    if Path(file).suffix != ".pyth":
        return None
    state, names = tensors_of(read_checkpoint(file), str(file)), _native_names(own)
    return _from_native(state, names, str(file), name) if _is_native(state, names) else None


def write_pyslowfast(
    model: nn.Module | PretrainedModel, file: str | os.PathLike[str], *, native: bool = True
) -> Path:
    """Writes the weights of a model of the zoo as a checkpoint that PySlowFast loads, in one step.

    Args:
        model: SlowFast, Slow, C2D, I3D, X3D or MViT of the zoo, or with ``native=False`` any.
        file: to write, for ``TEST.CHECKPOINT_FILE_PATH`` or ``TRAIN.CHECKPOINT_FILE_PATH``.
        native: in the names of the native models, or those of the ``PTV*`` models.

    Returns:
        The file.

    Raises:
        ValueError: there is no such native model.
        OSError: the file cannot be written.
    """
    network = model.model if isinstance(model, PretrainedModel) else model
    own = network.state_dict()
    state = _to_native(own) if native else {f"{_WRAPPED}{key}": v for key, v in own.items()}
    with whole_file(Path(file)) as part:
        torch.save({"model_state": state}, part)
    return Path(file)


def _native_names(own: Iterable[str]) -> dict[str, str]:
    """The native name of each tensor that has one; of queries, keys and values that of their one matrix."""
    keys = [key.removeprefix(_WRAPPED) for key in own]
    stages = sorted(
        {int(found[1]) for key in keys if (found := _PLACE.match(key)) and "res_blocks." in key}
    )
    numbers = {0: 1, **{index: number for number, index in enumerate(stages, start=2)}}
    last = max((int(found[1]) for key in keys if (found := _PLACE.match(key))), default=0)
    is_mvit = any(key.startswith("patch_embed.") for key in keys)
    names = {}
    for key in keys:
        name = _of_mvit(key) if is_mvit else _of_convolutions(key, numbers, last)
        if name is not None:
            names[key] = name
    return names


def _of_mvit(key: str) -> str:
    joined = _JOINED.fullmatch(key)
    return f"{joined[1]}qkv{joined[3]}" if joined else _renamed(key, _MVIT) or key


def _of_convolutions(key: str, numbers: Mapping[int, int], last: int) -> str | None:
    if key.startswith("detection_head."):
        return _prefixed("head.", _renamed(key.removeprefix("detection_head."), _HEAD))
    found = _PLACE.match(key)
    if found is None:
        return None
    index, pathway, rest = int(found[1]), found[2] or "0", found[3]
    stage = f"s{numbers.get(index)}"
    if rest.startswith("multipathway_fusion."):
        return _prefixed(
            f"{stage}_fuse.", _renamed(rest.removeprefix("multipathway_fusion."), _FUSION)
        )
    if index == 0:
        return _prefixed(f"s1.pathway{pathway}_stem.", _renamed(rest, _STEM))
    block = re.match(r"res_blocks\.(\d+)\.(.*)", rest)
    if block is not None:
        return _prefixed(f"{stage}.pathway{pathway}_res{block[1]}.", _renamed(block[2], _BLOCK))
    return _prefixed("head.", _renamed(rest, _HEAD)) if index == last else None


def _renamed(key: str, table: Mapping[str, str]) -> str | None:
    """A layer's tensor under the layer's other name; None for layers that are not in the table."""
    for old, new in table.items():
        if key.startswith(old) and "." not in key[len(old) :]:
            return new + key[len(old) :]
    return None


def _prefixed(prefix: str, name: str | None) -> str | None:
    return None if name is None else prefix + name


def _is_native(state: State, names: Mapping[str, str]) -> bool:
    """Whether more tensors have native names than names of the zoo."""
    return sum(name in state for name in set(names.values())) > sum(key in state for key in names)


def _from_native(state: State, names: Mapping[str, str], file: str, model: str) -> State:
    """The tensors of the zoo's model."""
    state = dict(state)
    for norm in [key for key in state if key.endswith(".branch1_bn.weight")]:
        if norm not in names.values():
            _fold_shortcut(state, norm.removesuffix("branch1_bn.weight"))
    unknown = sorted(set(state) - set(names.values()))
    if unknown:
        raise ValueError(
            f"{file} has no equal in the zoo: {model} has nothing like {', '.join(unknown[:3])}"
            f"{f' and {len(unknown) - 3} more' if len(unknown) > 3 else ''}. Give the model of its configuration."
        )
    found = {}
    for key, name in names.items():
        if name not in state:
            continue  # load_checkpoint says what is missing
        joined = _JOINED.fullmatch(key)
        value = state[name]
        found[key] = value.chunk(3)["qkv".index(joined[2])].clone() if joined else value
    return found


def _fold_shortcut(state: State, block: str) -> None:
    """Puts the normalisation of a shortcut into the convolution before it and the normalisation that it is added to."""
    weight, bias, mean, var = (
        state.pop(f"{block}branch1_bn.{part}")
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    state.pop(f"{block}branch1_bn.num_batches_tracked", None)
    scale = weight / (var + _EPS).sqrt()
    convolution, shift = f"{block}branch1.weight", f"{block}branch2.c_bn.bias"
    state[convolution] = state[convolution] * scale[:, None, None, None, None]
    state[shift] = state[shift] + bias - mean * scale


def _to_native(own: Mapping[str, torch.Tensor]) -> State:
    own = {key.removeprefix(_WRAPPED): value for key, value in own.items()}
    names = _native_names(own)
    left = sorted(set(own) - set(names))
    if not left and "s1.pathway0_stem.conv_xy.weight" not in names.values():  # not X3D, but CSN
        left = [key for key in own if key.endswith("conv_b.weight") and own[key].shape[1] == 1]
    if left or not names:
        raise ValueError(
            f"PySlowFast has no native model with {next(iter(left), 'these tensors')}. "
            "Write it with native=False, for its PTV* models."
        )
    joined: dict[str, list[torch.Tensor]] = {}
    for key, name in names.items():
        joined.setdefault(name, []).append(own[key])
    # queries, keys and values are in this order in the state dict
    state = {
        name: parts[0] if len(parts) == 1 else torch.cat(parts) for name, parts in joined.items()
    }
    for convolution in [key for key in state if key.endswith("_res0.branch1.weight")]:
        norm = convolution.replace("branch1.", "branch1_bn.")
        if norm not in state:
            state |= _identity(norm.removesuffix("weight"), state[convolution])
    return state


def _identity(prefix: str, convolution: torch.Tensor) -> State:
    """A BatchNorm that changes nothing in evaluation."""
    zeros = convolution.new_zeros(convolution.shape[0])
    return {
        f"{prefix}weight": zeros + 1,
        f"{prefix}bias": zeros,
        f"{prefix}running_mean": zeros.clone(),
        f"{prefix}running_var": zeros + (1 - _EPS),
        f"{prefix}num_batches_tracked": torch.zeros((), dtype=torch.long),
    }
