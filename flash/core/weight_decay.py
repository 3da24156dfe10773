# SPDX-License-Identifier: Apache-2.0
"""Parameter groups with and without weight decay, by the rules of published recipes."""

from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn
from torch.optim import Optimizer

from pytorchvideo._checks import expected

_NORMS = (nn.modules.batchnorm._BatchNorm,)


def weight_decay_exceptions(
    network: nn.Module,
    *,
    batch_norm_decay: float | None = None,
    zero_1d: bool = False,
    exempt: Iterable[str] = (),
) -> dict[nn.Parameter, float]:
    """Returns the weight decay of each parameter that has another one than the rest.

    Args:
        network: whose parameters they are.
        batch_norm_decay: of the weights and biases of batch norms; None is that of all others.
        zero_1d: none for parameters of one dimension, which biases and weights of norms are, and single numbers.
        exempt: names without decay, of parameters in their module or in the network, e.g. ``"pos_embed"``.

    Raises:
        ValueError: a decay is negative, or a name is none of a parameter.

    >>> net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
    >>> list(weight_decay_exceptions(net, batch_norm_decay=0.0).values())
    [0.0, 0.0]
    """
    if batch_norm_decay is not None and batch_norm_decay < 0:
        raise ValueError(expected("batch_norm_decay", ">= 0", batch_norm_decay))
    names = set(exempt)
    of_norms = {
        parameter
        for module in network.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    found: dict[nn.Parameter, float] = {}
    met = set()
    for name, parameter in network.named_parameters():
        own = {name, name.rpartition(".")[2]} & names
        met |= own
        if own or (zero_1d and parameter.ndim <= 1):
            found[parameter] = 0.0
        elif batch_norm_decay is not None and parameter in of_norms:
            found[parameter] = batch_norm_decay
    if names - met:
        raise ValueError(expected("exempt", "names of parameters", sorted(names - met)))
    return found


def weight_decay_groups(
    network: nn.Module,
    weight_decay: float,
    *,
    batch_norm_decay: float = 0.0,
    zero_1d: bool = False,
    exempt: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Returns the parameters that train in groups for an optimiser, each with its ``weight_decay``.

    Args:
        network: whose parameters they are.
        weight_decay: of all parameters but those of :func:`weight_decay_exceptions`, whose arguments follow.
        batch_norm_decay: of the weights and biases of batch norms.
        zero_1d: none for parameters of one dimension.
        exempt: names without decay.

    Raises:
        ValueError: a decay is negative, or a name is none of a parameter.

    >>> net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
    >>> [(len(group["params"]), group["weight_decay"]) for group in weight_decay_groups(net, 1e-4)]
    [(2, 0.0001), (2, 0.0)]
    >>> [(len(g["params"]), g["weight_decay"]) for g in weight_decay_groups(net, 0.05, zero_1d=True)]
    [(1, 0.05), (3, 0.0)]
    """
    if weight_decay < 0:
        raise ValueError(expected("weight_decay", ">= 0", weight_decay))
    others = weight_decay_exceptions(
        network, batch_norm_decay=batch_norm_decay, zero_1d=zero_1d, exempt=exempt
    )
    groups: dict[float, list[nn.Parameter]] = {}
    for parameter in network.parameters():
        if parameter.requires_grad:
            groups.setdefault(others.get(parameter, weight_decay), []).append(parameter)
    return [{"params": groups[decay], "weight_decay": decay} for decay in groups]


def check_decay_rules(rules: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Returns keywords of :func:`weight_decay_exceptions` as a dict.

    Raises:
        TypeError: something else.
    """
    if rules is None:
        return None
    known = ("batch_norm_decay", "zero_1d", "exempt")
    if not isinstance(rules, Mapping) or not set(rules) <= set(known):
        raise TypeError(expected("decay_rules", f"a mapping with {', '.join(known)}", rules))
    return dict(rules)


def by_decay(
    parameters: Iterable[nn.Parameter], others: Mapping[nn.Parameter, float]
) -> list[tuple[list[nn.Parameter], float | None]]:
    """Returns parameters in parts of one weight decay each, None for that of the optimiser."""
    parts: dict[float | None, list[nn.Parameter]] = {}
    for parameter in parameters:
        parts.setdefault(others.get(parameter), []).append(parameter)
    return [(part, decay) for decay, part in parts.items()]


def set_decays(optimizer: Optimizer, decays: Iterable[float | None]) -> None:
    """Sets the weight decay of each parameter group that has one of its own.

    Raises:
        TypeError: the optimiser knows no weight decay.
    """
    for group, decay in zip(optimizer.param_groups, decays, strict=True):
        if decay is None:
            continue
        if "weight_decay" not in group:
            kind = type(optimizer).__name__
            raise TypeError(expected("optimizer", "one with a weight_decay, for decay_rules", kind))
        group["weight_decay"] = decay
