# SPDX-License-Identifier: Apache-2.0
"""Loading of ``transformers`` models, from the Hub or a folder, without remote code."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from pytorchvideo._checks import expected
from pytorchvideo.models._weights.hub_files import waiting_options

#: What the Hub's files are found by; other keywords are for the model alone.
HUB_OPTIONS = ("cache_dir", "local_files_only", "revision", "subfolder", "token")
#: Other names mean a kernel that transformers fetches from the Hub and runs.
ATTENTIONS = frozenset({None, "eager", "sdpa", "flash_attention_2"})
#: Without it, transformers asks on the terminal whether to run the code of a model.
TRUST: dict[str, Any] = {"trust_remote_code": False}


def transformers_module() -> Any:
    """Returns ``transformers``.

    Raises:
        ImportError: it is not there.
    """
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            "Models of Hugging Face need the package transformers. Install it with "
            'pip install "pytorchvideo[hf]".'
        ) from error
    return transformers


@contextlib.contextmanager
def loading(name: str) -> Iterator[None]:
    """Turns what ``from_pretrained`` raises into one sentence.

    Raises:
        OSError: the model cannot be found.
        ValueError: its files are not those of a model.
    """
    try:
        yield
    except OSError as error:
        raise OSError(
            f"Cannot load {name!r}: it is no folder with config.json and weights, and no model that was found on the "
            f"Hub or in its cache. Where this machine is offline, run `hf download {name}` on another one and give "
            "the folder."
        ) from error
    except _unfit() as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"Cannot load {name!r}: {reason}") from error


def _unfit() -> tuple[type[Exception], ...]:
    """What transformers raises for files that are broken or made so."""
    from huggingface_hub import errors

    strict = getattr(errors, "StrictDataclassError", ValueError)
    return (
        AttributeError,
        LookupError,
        RecursionError,
        RuntimeError,
        TypeError,
        ValueError,
        strict,
    )


def read_config(name: str | os.PathLike[str], options: Mapping[str, Any]) -> Any:
    """Returns the configuration of a model.

    Args:
        name: on the Hub, or a folder.
        options: of the caller; those of ``HUB_OPTIONS`` and ``trust_remote_code`` count.

    Raises:
        ImportError: ``transformers`` is not there.
        OSError: there is no such model.
        ValueError: the configuration is none, or names code.
    """
    transformers = transformers_module()
    name = os.fspath(name)
    hub_options = {key: value for key, value in options.items() if key in HUB_OPTIONS}
    if not os.path.isdir(name):
        hub_options = {**waiting_options(), **hub_options}
    elif not os.path.isfile(os.path.join(name, "config.json")):
        raise FileNotFoundError(
            f"{name} holds no model of Hugging Face: there is no config.json in it."
        )
    with loading(name):
        values, _ = transformers.PretrainedConfig.get_config_dict(name, **hub_options)
        trust = {key: options.get(key, value) for key, value in TRUST.items()}
        kind = values.get("model_type")
        if trust == TRUST and kind not in transformers.CONFIG_MAPPING:
            wanted = "a kind of model that transformers knows; code of the model's own is not run"
            raise ValueError(expected("model_type", wanted, kind))
        _check_attention(values)
        return transformers.AutoConfig.from_pretrained(name, **trust, **hub_options)


def _check_attention(values: Mapping[str, Any]) -> None:
    """Raises a ValueError if a configuration, or one inside it, names another attention than torch's own."""
    level: list[tuple[str, Any]] = list(values.items())
    while level:
        inner: list[tuple[str, Any]] = []
        for key, value in level:
            if isinstance(value, Mapping):
                prefix = key if "attn_implementation" in key else ""
                inner += [(f"{prefix}{name}", part) for name, part in value.items()]
            elif "attn_implementation" in key and value not in ATTENTIONS:
                wanted = "one of torch's own, in config.json"
                advice = "Pass `attn_implementation` yourself if you trust it."
                raise ValueError(expected(key, wanted, value, advice))
        level = inner
