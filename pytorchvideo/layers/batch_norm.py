# SPDX-License-Identifier: Apache-2.0
"""Batch norm synchronised over several processes.

Unlike :class:`torch.nn.SyncBatchNorm` these run on the CPU too, in groups of any size, and weigh all processes alike.
"""

from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers.distributed import all_gather_with_grad, get_world_size, sync_group


def sync_batch_norm(
    norm: nn.modules.batchnorm._BatchNorm, x: torch.Tensor, num_sync_devices: int | None = None
) -> torch.Tensor:
    """Normalises ``x`` (N, C, ...) in training with statistics averaged over processes, each with the same weight.

    Gradients flow through the statistics to all processes. With batches of one size the result, the gradients and
    the running statistics are those of one process with the whole batch.

    Args:
        norm: the affine parameters, running statistics (which are updated), momentum and eps.
        x: this process' batch.
        num_sync_devices: average over groups of so many neighbours on this machine; None averages over all processes.

    Raises:
        ValueError: there is one value a channel, or none.
    """
    precise = x.to(torch.promote_types(x.dtype, torch.float32))
    var, mean = torch.var_mean(precise, dim=[0, *range(2, x.ndim)], correction=0)
    stats = all_gather_with_grad(torch.stack((mean, var)), local=num_sync_devices is not None)
    if num_sync_devices is not None:
        stats = sync_group(stats, num_sync_devices)
    # (processes, 2, C) -> two of (processes, C); squares of means are not subtracted, which would lose all digits of
    # a variance that is small beside its mean.
    means, variances = stats.unbind(dim=1)
    mean, var = means.mean(dim=0), variances.mean(dim=0) + means.var(dim=0, correction=0)
    count = x.numel() // x.shape[1] * len(stats)
    if count < 2:
        raise ValueError(expected("x", "two values a channel or more", tuple(x.shape)))
    _track(norm, mean, var, count)
    scale = (var + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight
    shift = -mean * scale
    if norm.bias is not None:
        shift = shift + norm.bias
    shape = (1, -1) + (1,) * (x.ndim - 2)
    return (precise * scale.view(shape) + shift.view(shape)).to(x.dtype)


@torch.no_grad()
def _track(
    norm: nn.modules.batchnorm._BatchNorm, mean: torch.Tensor, var: torch.Tensor, count: int
) -> None:
    """Updates running statistics as torch's batch norm does: with the unbiased variance of ``count`` values."""
    if norm.running_mean is None or norm.running_var is None:
        return
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    share = norm.momentum
    if share is None:
        share = 1.0 / float(norm.num_batches_tracked or 1)
    unbiased = var * (count / (count - 1))
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), share)
    norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), share)


class _NaiveSync(nn.modules.batchnorm._BatchNorm):
    """What the three norms share; comes before a batch norm among the bases of a class."""

    def __init__(
        self, num_sync_devices: int | None = None, global_sync: bool = True, **args: Any
    ) -> None:
        if global_sync and num_sync_devices is not None:
            advice = "Use global_sync=False for groups."
            raise ValueError(
                expected("num_sync_devices", "None with global_sync", num_sync_devices, advice)
            )
        if not global_sync and (num_sync_devices is None or num_sync_devices < 1):
            wanted = ">= 1 without global_sync"
            raise ValueError(expected("num_sync_devices", wanted, num_sync_devices))
        super().__init__(**args)
        self.num_sync_devices = num_sync_devices
        self.global_sync = global_sync

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.num_sync_devices == 1 or get_world_size() == 1:
            return super().forward(x)
        self._check_input_dim(x)
        return sync_batch_norm(self, x, self.num_sync_devices)

    def extra_repr(self) -> str:
        scope = "global_sync" if self.global_sync else f"num_sync_devices={self.num_sync_devices}"
        return f"{super().extra_repr()}, {scope}"


class NaiveSyncBatchNorm1d(_NaiveSync, nn.BatchNorm1d):
    """``BatchNorm1d`` with the statistics of several processes in training: see :func:`sync_batch_norm`.

    Args:
        num_sync_devices: with ``global_sync=False``, the size of the groups of neighbouring processes that share
            statistics; it divides the number of processes on a machine, which
            :func:`~pytorchvideo.layers.distributed.init_distributed_training` tells. 1 is plain batch norm.
        global_sync: all processes share statistics.
        **args: those of ``BatchNorm1d``, ``num_features`` among them, by keyword.

    In evaluation, and in a single process, it is plain batch norm.

    Raises:
        ValueError: ``num_sync_devices`` is given with ``global_sync``, or missing without it.

    >>> NaiveSyncBatchNorm1d(num_features=8)
    NaiveSyncBatchNorm1d(8, eps=1e-05, momentum=0.1, ..., global_sync)
    """


class NaiveSyncBatchNorm2d(_NaiveSync, nn.BatchNorm2d):
    """``BatchNorm2d`` with the statistics of several processes: see :class:`NaiveSyncBatchNorm1d`."""


class NaiveSyncBatchNorm3d(_NaiveSync, nn.BatchNorm3d):
    """``BatchNorm3d`` with the statistics of several processes: see :class:`NaiveSyncBatchNorm1d`."""
