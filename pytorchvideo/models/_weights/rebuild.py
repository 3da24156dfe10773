# SPDX-License-Identifier: Apache-2.0
"""Rebuilding of networks from untrusted files: the one place that decides what they may set.

A file of a classifier says its network by name and arguments. Here each argument is held against what the builder of
that network takes: numbers, texts and lists of them. Whatever would run code, or read another file or the network, is
refused by name: only the user's own code may ask for these.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from pytorchvideo._checks import expected
from pytorchvideo.models._registry import create_model, is_model, model_entry
from pytorchvideo.models._weights.hugging_face_files import ATTENTIONS, transformers_module
from pytorchvideo.models._weights.shapes import shapes_only

#: In front of the name of a model of Hugging Face.
HUGGING_FACE = "hf:"

_SIZES = frozenset({"num_frames", "crop_size"})
_HF_SIZES = frozenset({"num_frames", "image_size"})
_HF_FAMILIES = frozenset(
    {"timesformer", "videomae", "vivit", "vjepa2", "clip_vision_model", "siglip_vision_model"}
)
_DTYPES = frozenset({None, "float32", "float16", "bfloat16"})
# what a configuration says of where it comes from
_ORIGIN = frozenset({"_name_or_path", "architectures", "transformers_version", "torch_dtype"})


def rebuild_model(
    name: str,
    kwargs: Mapping[str, Any],
    num_classes: int,
    *,
    source: str,
    state: Mapping[str, torch.Tensor] | None = None,
) -> nn.Module:
    """Builds the network that a file names, with initial weights.

    Args:
        name: one of the zoo, or ``"hf:..."`` for a network of ``transformers``, whose configuration is in ``kwargs``.
        kwargs: arguments of its builder.
        num_classes: of its classifier.
        source: what errors call the file.
        state: the tensors of the file. A network with more, or larger, ones is refused before it takes memory.

    Raises:
        ImportError: ``transformers`` is needed, and not there.
        ValueError: there is no such network, or the arguments hold something that a file may not set.
    """
    kwargs = check_network(name, kwargs, num_classes, source=source, state=state)
    return _build(name, kwargs, num_classes, source)


def check_network(
    name: str,
    kwargs: Mapping[str, Any],
    num_classes: int,
    *,
    source: str,
    state: Mapping[str, torch.Tensor] | None = None,
) -> dict[str, Any]:
    """Returns the arguments for a network that a file names; for the errors see :func:`rebuild_model`."""
    kwargs = checked_arguments(name, kwargs, source=source)
    if not isinstance(num_classes, int) or num_classes < 1:
        raise ValueError(expected(f"number of classes in {source}", ">= 1", num_classes))
    if state is not None:
        with _at_most(state, source), shapes_only():
            _build(name, kwargs, num_classes, source)
    return kwargs


def checked_arguments(name: str, kwargs: Mapping[str, Any], *, source: str) -> dict[str, Any]:
    """Returns the arguments that a file has for the builder of a network.

    Raises:
        ImportError: ``transformers`` is needed, and not there.
        ValueError: there is no network of this name, or an argument is none that a file may set.
    """
    if not isinstance(name, str) or not isinstance(kwargs, Mapping):
        raise ValueError(f"{source} does not say what network it holds.")
    if name.startswith(HUGGING_FACE):
        return _checked_hugging_face(kwargs, source)
    if not is_model(name):
        raise ValueError(f"{source} names the network {name!r}, which is none of the zoo.")
    builder = signature(model_entry(name).builder).parameters.values()
    known = {p.name for p in builder if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    for key, value in kwargs.items():
        if key not in known | _SIZES or not is_plain(value):
            raise ValueError(_refused(source, key, value, f"a plain argument of {name}"))
    return dict(kwargs)


def _checked_hugging_face(kwargs: Mapping[str, Any], source: str) -> dict[str, Any]:
    checked = dict(kwargs)
    for key, value in kwargs.items():
        is_size = key in _HF_SIZES and _is_number(value)
        if not is_size and key not in (
            "config",
            "attn_implementation",
        ):  # which are looked at below
            raise ValueError(_refused(source, key, value, "an argument of a configured network"))
    attention = checked.get("attn_implementation")
    if attention not in ATTENTIONS:
        raise ValueError(_refused(source, "attn_implementation", attention, "one of torch's own"))
    config = checked.get("config")
    if not isinstance(config, Mapping):
        advice = "A file that names a network of transformers brings its configuration."
        raise ValueError(f"{source}: " + expected("config", "a mapping", config, advice))
    checked["config"] = _checked_config(config, source)
    return checked


def _checked_config(config: Mapping[str, Any], source: str) -> dict[str, Any]:
    """A configuration with what its class knows, without where it comes from and numbers of former releases."""
    kind = config.get("model_type")
    if kind not in _HF_FAMILIES:
        raise ValueError(_refused(source, "model_type", kind, " or ".join(sorted(_HF_FAMILIES))))
    known = {*transformers_module().CONFIG_MAPPING[kind]().to_dict(), "num_frames"} - _ORIGIN
    checked = {}
    for key, value in config.items():
        if key in known and is_plain(value):
            checked[key] = value
        elif key not in _ORIGIN and not _is_number(value):
            raise ValueError(_refused(source, key, value, f"a plain field of {kind}"))
    if checked.get("dtype") not in _DTYPES:
        raise ValueError(_refused(source, "dtype", checked["dtype"], "a floating-point type"))
    return checked


def _build(name: str, kwargs: Mapping[str, Any], num_classes: int, source: str) -> nn.Module:
    try:
        if not name.startswith(HUGGING_FACE):
            return create_model(name, num_classes=num_classes, **kwargs)
        from pytorchvideo.models.huggingface import create_hugging_face

        options = {key: value for key, value in kwargs.items() if key != "config"}
        return create_hugging_face(kwargs["config"], num_classes, **options)
    except (TypeError, KeyError, IndexError, ZeroDivisionError, RuntimeError) as error:
        raise ValueError(f"{source} holds arguments that build no {name}: {error}") from error


@contextmanager
def _at_most(state: Mapping[str, torch.Tensor], source: str) -> Iterator[None]:
    """While modules are made, refuses more parameters than a file has, of which a damaged one may promise billions."""
    tensors, numbers = len(state), _numbers_in(state, source)
    count = size = 0

    def add(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count, size
        if parameter is None:
            return
        count, size = count + 1, size + parameter.numel()
        # a classifier is made twice where the number of classes is another than the published one
        if count > 2 * tensors + 8 or size > 2 * numbers + (1 << 24):
            raise ValueError(
                f"{source} describes a network with more than the {tensors} tensors of {numbers} numbers that it holds."
            )

    handle = register_module_parameter_registration_hook(add)
    try:
        yield
    finally:
        handle.remove()


def _numbers_in(state: Mapping[str, torch.Tensor], source: str) -> int:
    """How many numbers the file of a state dict holds. A view may repeat one of them billions of times.

    Raises:
        ValueError: something in it is no tensor that has its numbers in the file, such as sparse and meta tensors.
    """
    held: dict[int, int] = {}
    for name, tensor in state.items():
        if not (isinstance(name, str) and _is_dense(tensor)):
            kind = f"a {tensor.layout} tensor" if isinstance(tensor, torch.Tensor) else type(tensor)
            wanted = "a plain tensor with a name"
            raise ValueError(f"{source}: " + expected(repr(name)[:80], wanted, kind))
        storage = tensor.untyped_storage()
        held[storage.data_ptr()] = storage.nbytes() // tensor.itemsize
    return sum(held.values())


def _is_dense(value: Any) -> bool:
    """Whether it is a tensor whose numbers are in memory as they are."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and not (value.is_meta or value.is_nested or value.is_quantized)
    )


def _refused(source: str, key: str, value: Any, wanted: str) -> str:
    shown = repr(value)[:80]
    return (
        f"Refused to build the network of {source}: it sets {key}={shown}, and a file may only set {wanted}. "
        "If you trust it, build the network yourself and load its weights."
    )


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, (bool, int, float)) and math.isfinite(value))


def is_plain(value: Any) -> bool:
    """Whether a value is made of numbers, texts, and lists and mappings of them."""
    if isinstance(value, Mapping):
        return all(isinstance(key, (str, int)) and is_plain(v) for key, v in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(is_plain, value))
    return isinstance(value, str) or _is_number(value)
