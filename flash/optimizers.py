# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedulers by name, class, callable or ``(name, kwargs)``."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer, lr_scheduler

from pytorchvideo._checks import expected, near_names

OptimizerSpec = str | Callable[..., Optimizer] | tuple[str, Mapping[str, Any]]
SchedulerSpec = (
    str
    | Callable[[Optimizer], Any]
    | tuple[str, Mapping[str, Any]]
    | tuple[str, Mapping[str, Any], Mapping[str, Any]]
)


def optimizer_classes() -> dict[str, type[Optimizer]]:
    """Every optimiser of ``torch.optim`` by its name."""
    return {
        name: value
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
    }


def scheduler_classes() -> dict[str, type[lr_scheduler.LRScheduler]]:
    """Every scheduler of ``torch.optim.lr_scheduler`` that is built from an optimiser, by its name."""
    base = lr_scheduler.LRScheduler
    return {
        name: value
        for name, value in vars(lr_scheduler).items()
        if isinstance(value, type) and issubclass(value, base) and not name.startswith("_")
        if name not in ("LRScheduler", "ChainedScheduler", "SequentialLR")
    }


def _look_up(kind: str, name: str, classes: Mapping[str, type]) -> Any:
    by_lower = {known.lower(): value for known, value in classes.items()}
    if name.lower() not in by_lower:
        raise KeyError(
            f"Unknown {kind} {name!r}. {near_names(name, classes)} Names: {', '.join(sorted(classes))}."
        )
    return by_lower[name.lower()]


def optimizer_factory(
    spec: OptimizerSpec, learning_rate: float | None
) -> Callable[[Iterable[nn.Parameter]], Optimizer]:
    """Returns the function that builds the optimiser on parameters; wrong arguments fail here, not later.

    Args:
        spec: a name of ``torch.optim`` in any case, a class or callable, or ``(name, kwargs)``.
        learning_rate: passed as ``lr``; None leaves the optimiser's own default.

    Raises:
        KeyError: for an unknown name.
        TypeError: for another kind of argument, or SGD without a learning rate.
        ValueError: if the learning rate is given twice or is negative.

    >>> build = optimizer_factory(("adamw", {"weight_decay": 0.1}), 0.01)
    >>> build([nn.Parameter(torch.zeros(1))]).defaults["weight_decay"]
    0.1
    """
    name, kwargs = spec if isinstance(spec, (tuple, list)) and len(spec) == 2 else (spec, {})
    factory = _look_up("optimizer", name, optimizer_classes()) if isinstance(name, str) else name
    if not callable(factory) or not isinstance(kwargs, Mapping):
        raise TypeError(
            expected("optimizer", "a name, a class, a callable or (name, kwargs)", spec)
        )
    arguments = dict(kwargs)
    if learning_rate is not None:
        if "lr" in arguments:
            raise ValueError(
                expected("learning_rate", "given once", f"{learning_rate} and lr={arguments['lr']}")
            )
        if learning_rate < 0:
            raise ValueError(expected("learning_rate", ">= 0", learning_rate))
        arguments["lr"] = learning_rate
    if factory is torch.optim.SGD and "lr" not in arguments:
        raise TypeError("The `learning_rate` argument is required when the optimizer is SGD.")
    return lambda parameters: factory(parameters, **arguments)


def scheduler_factory(spec: SchedulerSpec) -> Callable[[Optimizer], dict[str, Any]]:
    """Returns the function that builds Lightning's scheduler record on an optimiser.

    Args:
        spec: a name of ``torch.optim.lr_scheduler`` in any case, a callable on the optimiser,
            ``(name, kwargs)``, or ``(name, kwargs, config)`` where ``config`` has Lightning's
            ``interval``, ``frequency``, ``monitor``.

    Raises:
        KeyError: for an unknown name.
        TypeError: for another kind of argument.
    """
    parts = spec if isinstance(spec, (tuple, list)) else (spec,)
    name, kwargs, config = (*parts, {}, {})[:3]
    factory = _look_up("lr_scheduler", name, scheduler_classes()) if isinstance(name, str) else name
    mappings = isinstance(kwargs, Mapping) and isinstance(config, Mapping)
    if not callable(factory) or not mappings or not 1 <= len(parts) <= 3:
        wanted = "a name, a callable, (name, kwargs) or (name, kwargs, config)"
        raise TypeError(expected("lr_scheduler", wanted, spec))
    return lambda optimizer: {
        "interval": "epoch",
        **config,
        "scheduler": factory(optimizer, **kwargs),
    }
