# SPDX-License-Identifier: Apache-2.0
"""Layer-wise learning-rate decay.

Trunks that were trained on much data are changed less where they are general (arXiv 1801.06146, section 3.2;
arXiv 2106.08254, appendix). Layer k of n learns at ``decay ** (n - k)`` times the rate of the classifier.
"""

from collections.abc import Iterable, Iterator

from torch import nn
from torch.optim import Optimizer


def parameter_layers(network: nn.Module) -> dict[nn.Parameter, int]:
    """Returns the layer that each parameter belongs to, from 0 next to the pixels.

    Layers are the members of the outermost list of modules with most of the parameters, such as the ``blocks`` of
    the zoo and the ``layer`` list of an encoder; what is registered before it is one layer, what comes
    after another. Without such a list, layers are the parts of the network.

    >>> net = nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)))
    >>> list(parameter_layers(net).values())
    [0, 0, 1, 1, 1, 1]
    """
    layers: dict[nn.Parameter, int] = {}
    trunk = _outermost_list(network) or network
    parts = [part for part in trunk.children() if _count(part)]
    for depth, part in enumerate(parts, start=1):
        layers.update(dict.fromkeys(part.parameters(), depth))
    inside = _holds(network, trunk)
    before = True
    for parameter in network.parameters():
        if parameter in inside:
            before = False
        layers.setdefault(parameter, 0 if before else len(parts) + 1)
    numbers = {layer: number for number, layer in enumerate(sorted(set(layers.values())))}
    return {parameter: numbers[layers[parameter]] for parameter in network.parameters()}


def decayed_groups(
    network: nn.Module, parameters: Iterable[nn.Parameter], decay: float
) -> Iterator[tuple[list[nn.Parameter], float]]:
    """Yields the parameters of each layer with the share of the learning rate that is theirs.

    Args:
        network: whose layers they are.
        parameters: those to train; what is not of ``network`` learns at the full rate.
        decay: from a layer to the one before it.
    """
    layers = parameter_layers(network)
    last = max(layers.values(), default=0)
    groups: dict[int, list[nn.Parameter]] = {}
    for parameter in parameters:
        groups.setdefault(layers.get(parameter, last), []).append(parameter)
    for layer in sorted(groups):
        yield groups[layer], decay ** (last - layer)


def scale_rates(optimizer: Optimizer, shares: Iterable[float]) -> None:
    """Multiplies the learning rate of each parameter group, before a scheduler has seen it."""
    for group, share in zip(optimizer.param_groups, shares, strict=True):
        group["lr"] *= share


def _outermost_list(network: nn.Module) -> nn.Module | None:
    """The list of three or more modules with parameters that holds most of all, nearest to the root."""
    level = [network]
    while level:
        for module in level:
            is_list = isinstance(module, (nn.ModuleList, nn.Sequential))
            if is_list and sum(_count(part) > 0 for part in module.children()) >= 3:
                return module
        level = [
            part
            for module in level
            for part in module.children()
            if 2 * _count(part) > _count(network)
        ]
    return None


def _holds(network: nn.Module, trunk: nn.Module) -> set[nn.Parameter]:
    return set() if trunk is network else set(trunk.parameters())


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
