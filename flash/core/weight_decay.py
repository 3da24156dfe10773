# SPDX-License-Identifier: Apache-2.0
"""Parameter groups with and without weight decay, by the rules of published recipes."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from pytorchvideo._checks import expected

_NORMS = (nn.modules.batchnorm._BatchNorm,)


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
        weight_decay: of all parameters but those that follow.
        batch_norm_decay: of the weights and biases of batch norms.
        zero_1d: none for parameters of one dimension, which biases and weights of norms are, and single numbers.
        exempt: names without decay, of parameters in their module or in the network, e.g. ``"pos_embed"``.

    Raises:
        ValueError: a decay is negative, or a name is none of a parameter.

    >>> net = nn.Sequential(nn.Conv3d(1, 2, 1), nn.BatchNorm3d(2))
    >>> [(len(group["params"]), group["weight_decay"]) for group in weight_decay_groups(net, 1e-4)]
    [(2, 0.0001), (2, 0.0)]
    >>> [(len(g["params"]), g["weight_decay"]) for g in weight_decay_groups(net, 0.05, zero_1d=True)]
    [(1, 0.05), (3, 0.0)]
    """
    for name, value in (("weight_decay", weight_decay), ("batch_norm_decay", batch_norm_decay)):
        if value < 0:
            raise ValueError(expected(name, ">= 0", value))
    names = set(exempt)
    of_norms = {
        parameter
        for module in network.modules()
        if isinstance(module, _NORMS)
        for parameter in module.parameters(recurse=False)
    }
    groups: dict[float, list[nn.Parameter]] = {}
    met = set()
    for name, parameter in network.named_parameters():
        own = {name, name.rpartition(".")[2]} & names
        met |= own
        if own or (zero_1d and parameter.ndim <= 1):
            decay = 0.0
        else:
            decay = batch_norm_decay if parameter in of_norms else weight_decay
        if parameter.requires_grad:
            groups.setdefault(decay, []).append(parameter)
    if names - met:
        raise ValueError(expected("exempt", "names of parameters", sorted(names - met)))
    return [{"params": groups[decay], "weight_decay": decay} for decay in groups]
