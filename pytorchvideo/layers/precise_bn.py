# SPDX-License-Identifier: Apache-2.0
"""Running statistics of BatchNorm, computed anew: "precise BN" (Wu and Johnson, arXiv 2105.07576, section 3).

In training a BatchNorm normalises by the statistics of the batch, and keeps a moving average of them for evaluation.
After ``n`` steps at the momentum ``m`` that average still holds ``(1 - m)**n`` of what it began with (12 % after 20
steps at 0.1), and the rest is of weights that have changed since. Short trainings on few clips end before it has
caught up: the loss falls, and in evaluation the model is at chance.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pytorchvideo._checks import expected
from pytorchvideo.layers.distributed import get_world_size
from pytorchvideo.layers.sub_batch_norm import SubBatchNorm3d


def update_bn_stats(
    model: nn.Module,
    data_loader: Iterable[Any],
    num_iters: int = 200,
    *,
    forward: Callable[[Any], Any] | None = None,
    norms: Collection[nn.Module] | None = None,
) -> int:
    """Sets the running mean and variance of every BatchNorm to those of whole batches under the present weights.

    They become the mean and the unbiased variance of all values that the layer sees, as one pass over all batches at
    once would give them. Weights, gradients, modes, momentum and the count of batches stay; all but the norms is in
    eval mode, so nothing is drawn at random. In several processes each passes its own batches, and all get the
    statistics of all; each must call this, with as many batches where norms are synchronised.

    Args:
        model: the network.
        data_loader: batches as the network takes them, without augmentation that evaluation does not see if possible.
        num_iters: batches to look at, at most.
        forward: called with a batch in the place of ``model``.
        norms: the layers to update; None takes every BatchNorm of the model that has running statistics.

    Returns:
        The number of batches that were seen in this process; without any, and in layers that no batch reaches, the
        statistics stay as they were.

    Raises:
        ValueError: ``num_iters`` is below 1.

    >>> model = nn.Sequential(nn.BatchNorm1d(1))
    >>> update_bn_stats(model, [torch.tensor([[1.0], [2.0]]), torch.tensor([[6.0]] * 2)])
    2
    >>> model[0].running_mean, model[0].running_var
    (tensor([3.7500]), tensor([6.9167]))
    """
    if num_iters < 1:
        raise ValueError(expected("num_iters", ">= 1", num_iters))
    found = [_Statistics(norm) for norm in _norms(model, norms)]
    if not found:
        return 0
    seen = 0
    with _measuring(model, found), torch.no_grad():
        with _uncompiled():
            for batch in islice(data_loader, num_iters):
                (forward or model)(batch)
                seen += 1
        _add_over_processes(found)
    for one in found:
        one.apply()
    return seen


class _Statistics:
    """What a BatchNorm has seen: the number of values a channel, their mean, and their summed squared deviations."""

    def __init__(self, norm: _BatchNorm) -> None:
        self.norm = norm
        channels = norm.num_features
        self.count = 0
        self.mean = torch.zeros(channels, dtype=torch.float64)
        self.deviations = torch.zeros(channels, dtype=torch.float64)

    def add(self, count: int, mean: torch.Tensor, deviations: torch.Tensor) -> None:
        """Joins two sets of values (Chan et al. 1979): squares of means are not subtracted."""
        total = self.count + count
        if not count:
            return
        step = mean - self.mean
        self.deviations += deviations + step**2 * (self.count * count / total)
        self.mean += step * (count / total)
        self.count = total

    def on_forward(self, norm: nn.Module, args: tuple[Any, ...], result: Any) -> None:
        """A hook: at a momentum of 1 the running statistics are those of the batch."""
        if isinstance(norm, SubBatchNorm3d):
            norm.merge()
        count = args[0].numel() // max(args[0].shape[1], 1)
        mean, var = (
            stat.detach().to("cpu", torch.float64)
            for stat in (self.norm.running_mean, self.norm.running_var)
            if stat is not None
        )
        self.add(count, mean, var * (count - 1))

    def apply(self) -> None:
        """Writes the statistics into the layer."""
        mean, var = self.norm.running_mean, self.norm.running_var
        if self.count > 1 and mean is not None and var is not None:
            mean.copy_(self.mean)
            var.copy_(self.deviations / (self.count - 1))
            if isinstance(self.norm, SubBatchNorm3d):
                self.norm._split()


def _norms(model: nn.Module, chosen: Collection[nn.Module] | None) -> Iterator[_BatchNorm]:
    for module in model.modules():
        if not isinstance(module, _BatchNorm) or not module.track_running_stats:
            continue
        if module.running_mean is not None and (chosen is None or module in chosen):
            yield module


@contextmanager
def _uncompiled() -> Iterator[None]:
    """Lets compiled modules run as they are: their code would see no hooks, and be compiled for another momentum."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled, and its import takes a second
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def _measuring(model: nn.Module, found: list[_Statistics]) -> Iterator[None]:
    """Puts the norms to measuring and everything else to eval mode, and all back at the end."""
    modes = [(module, module.training) for module in model.modules()]
    kept = [{k: v.clone() for k, v in one.norm.named_buffers(recurse=False)} for one in found]
    momenta = [one.norm.momentum for one in found]
    hooks = [one.norm.register_forward_hook(one.on_forward) for one in found]
    try:
        model.eval()
        for one in found:
            one.norm.train()
            one.norm.reset_running_stats()  # numbers that are none would outlive a momentum of 1
            one.norm.momentum = 1.0
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for one, buffers, momentum in zip(found, kept, momenta, strict=True):
            one.norm.momentum = momentum
            for name, value in buffers.items():
                getattr(one.norm, name).copy_(value)
        for module, mode in modes:
            module.training = mode


def _add_over_processes(found: list[_Statistics]) -> None:
    """Joins the statistics of all processes, in the same order in each."""
    if get_world_size() == 1:
        return
    device = torch.device("cpu" if dist.get_backend() != "nccl" else "cuda")
    for one in found:
        head = torch.full((1, one.mean.numel()), float(one.count), dtype=torch.float64)
        mine = torch.cat([head, one.mean[None], one.deviations[None]]).to(device)
        all_of_them = [torch.empty_like(mine) for _ in range(get_world_size())]
        dist.all_gather(all_of_them, mine)
        joined = _Statistics(one.norm)
        for theirs in all_of_them:
            count, mean, deviations = theirs.cpu()
            joined.add(int(count[0]), mean, deviations)
        one.count, one.mean, one.deviations = joined.count, joined.mean, joined.deviations
