# SPDX-License-Identifier: Apache-2.0
"""Arguments of three generations of Flash, and their form in checkpoints."""

import inspect
from collections.abc import Mapping
from typing import Any

from flash.core.optimizer_names import OptimizerSpec
from pytorchvideo._checks import expected


def one_of(name: str, value: Any, former: str, other: Any) -> Any:
    """Returns the one of two names of an argument that was given; both are a TypeError."""
    if value is not None and other is not None:
        raise TypeError(
            f"Expected one of `{name}` and `{former}`, two names of one argument, but got both."
        )
    return other if value is None else value


def with_kwargs(name: str, spec: Any, kwargs: Mapping[str, Any] | None) -> Any:
    """An optimiser or scheduler with the keywords that Flash 0.5.0 took apart from it."""
    if kwargs is None:
        return spec
    if spec is None or isinstance(spec, (tuple, list)):
        raise TypeError(expected(f"{name}_kwargs", "given with a name or class", spec))
    return spec, kwargs


def plain_optimizer(optimizer: OptimizerSpec) -> Any:
    """The optimiser as a checkpoint may hold it: classes of torch by their name."""
    if isinstance(optimizer, (tuple, list)) and len(optimizer) == 2:
        return plain_optimizer(optimizer[0]), dict(optimizer[1])
    is_torch = inspect.isclass(optimizer) and optimizer.__module__.startswith("torch.optim")
    return optimizer.__name__ if is_torch else optimizer  # type: ignore[union-attr]


def is_plain(value: Any) -> bool:
    """Whether a checkpoint may hold a value: numbers, text, and lists and mappings of them."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return all(is_plain(item) for item in value)
    return value is None or isinstance(value, (bool, int, float, str))
