# SPDX-License-Identifier: Apache-2.0
"""Optimisers and learning-rate schedulers by name, class, callable or ``(name, kwargs)``."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.optim import Optimizer, lr_scheduler

from flash.core.optimizers import LAMB, LARS, LinearWarmupCosineAnnealingLR
from flash.core.schedules import SCHEDULES, warmup_steps
from pytorchvideo._checks import expected, near_names

OptimizerSpec = str | Callable[..., Optimizer] | tuple[str, Mapping[str, Any]]
SchedulerSpec = (
    str
    | Callable[[Optimizer], Any]
    | tuple[str, Mapping[str, Any]]
    | tuple[str, Mapping[str, Any], Mapping[str, Any]]
)


def optimizer_classes() -> dict[str, type[Optimizer]]:
    """Every optimiser of ``torch.optim`` and of :mod:`flash.core.optimizers` by its name."""
    of_torch = {
        name: value
        for name, value in vars(torch.optim).items()
        if isinstance(value, type) and issubclass(value, Optimizer) and value is not Optimizer
    }
    return {**of_torch, "LAMB": LAMB, "LARS": LARS}


def schedulers() -> dict[str, Callable[..., lr_scheduler.LRScheduler]]:
    """Every scheduler of ``torch.optim.lr_scheduler`` and of :mod:`flash.core.schedules`, by its name."""
    base = lr_scheduler.LRScheduler
    of_torch: dict[str, Callable[..., lr_scheduler.LRScheduler]] = {
        name: value
        for name, value in vars(lr_scheduler).items()
        if isinstance(value, type) and issubclass(value, base) and not name.startswith("_")
        if name not in ("LRScheduler", "ChainedScheduler", "SequentialLR")
    }
    warmup = {"LinearWarmupCosineAnnealingLR": LinearWarmupCosineAnnealingLR}
    return {**of_torch, **warmup, **SCHEDULES}


def _look_up(kind: str, name: str, classes: Mapping[str, Any]) -> Any:
    by_lower = {known.lower(): value for known, value in classes.items()}
    if name.lower() not in by_lower:
        raise KeyError(
            f"Unknown {kind} {name!r}. {near_names(name, classes)} Names: {', '.join(sorted(classes))}."
        )
    return by_lower[name.lower()]


def _check_arguments(argument: str, factory: Any, kwargs: Mapping[str, Any]) -> None:
    """Raises a TypeError for keywords that the factory does not take."""
    try:
        signature = inspect.signature(factory)
    except ValueError:  # it is not written in Python
        return
    try:
        # the first is the parameters, or the optimiser
        signature.bind_partial(None, **kwargs)
    except TypeError as error:
        names = list(signature.parameters)[1:]
        wanted = f"given arguments among {', '.join(names)}"
        raise TypeError(expected(argument, wanted, dict(kwargs))) from error


def optimizer_factory(
    spec: OptimizerSpec, learning_rate: float | None
) -> Callable[[Iterable[Any]], Optimizer]:
    """Returns the function that builds the optimiser on parameters or groups; wrong arguments fail here.

    Args:
        spec: a name of ``torch.optim`` in any case, a class or callable, or ``(name, kwargs)``.
        learning_rate: passed as ``lr``; None leaves the optimiser's own default.

    Raises:
        KeyError: for an unknown name.
        TypeError: for another kind of argument, or SGD without a learning rate.
        ValueError: if the learning rate is given twice or is negative.

    >>> build = optimizer_factory(("adamw", {"weight_decay": 0.1}), 0.01)
    >>> build([torch.nn.Parameter(torch.zeros(1))]).defaults["weight_decay"]
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
    _check_arguments("optimizer", factory, arguments)
    return lambda parameters: factory(parameters, **arguments)


def scheduler_factory(spec: SchedulerSpec) -> Callable[..., dict[str, Any]]:
    """Returns the function that builds Lightning's scheduler record.

    It is called with the optimiser and, where there is a trainer, a function that says how many steps the
    run has: schedules of :mod:`flash.core.schedules` take ``num_training_steps`` from it.

    Args:
        spec: a name of ``torch.optim.lr_scheduler`` or :mod:`flash.core.schedules` in any case, a callable on
            the optimiser, ``(name, kwargs)``, or ``(name, kwargs, config)`` where ``config`` has Lightning's
            ``interval``, ``frequency``, ``monitor``. The interval is an epoch, and a step for
            :mod:`flash.core.schedules`.

    Raises:
        KeyError: for an unknown name.
        TypeError: for another kind of argument, or keywords that the scheduler does not take.
    """
    parts = spec if isinstance(spec, (tuple, list)) else (spec,)
    name, kwargs, config = (*parts, {}, {})[:3]
    factory = _look_up("lr_scheduler", name, schedulers()) if isinstance(name, str) else name
    mappings = isinstance(kwargs, Mapping) and isinstance(config, Mapping)
    if not callable(factory) or not mappings or not 1 <= len(parts) <= 3:
        wanted = "a name, a callable, (name, kwargs) or (name, kwargs, config)"
        raise TypeError(expected("lr_scheduler", wanted, spec))
    _check_arguments("lr_scheduler", factory, kwargs)
    in_steps = factory in SCHEDULES.values()
    if in_steps:
        _check_warmup(factory, kwargs)
    counts_steps = in_steps and _needs_steps(factory, kwargs)

    def build(optimizer: Optimizer, steps: Callable[[], int] | None = None) -> dict[str, Any]:
        arguments = dict(kwargs)
        if counts_steps and steps is not None:
            arguments["num_training_steps"] = steps()
        return {
            "interval": "step" if in_steps else "epoch",
            **config,
            "scheduler": factory(optimizer, **arguments),
        }

    return build


def _check_warmup(schedule: Any, kwargs: Mapping[str, Any]) -> None:
    if "num_warmup_steps" in inspect.signature(schedule).parameters:
        if "num_warmup_steps" not in kwargs:
            example = f'("{schedule.__name__}", {{"num_warmup_steps": 0.1}})'
            raise TypeError(f"Expected `lr_scheduler` to say num_warmup_steps, as in {example}.")
        warmup_steps(kwargs["num_warmup_steps"], 0)


def _needs_steps(schedule: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a schedule depends on the length of the run, and it is not given."""
    parameter = inspect.signature(schedule).parameters.get("num_training_steps")
    if parameter is None or "num_training_steps" in kwargs:
        return False
    return parameter.default is parameter.empty or isinstance(kwargs["num_warmup_steps"], float)
