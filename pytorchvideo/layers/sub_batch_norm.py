# SPDX-License-Identifier: Apache-2.0
"""Batch norm over parts of a batch, so that large batches have the noise of small ones (arXiv 1912.00998)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from pytorchvideo._checks import expected

__all__ = ["SubBatchNorm3d", "with_sub_batch_norm"]


class SubBatchNorm3d(nn.BatchNorm3d):
    """``BatchNorm3d`` that normalises each of several parts of a batch with its own statistics in training.

    Sample n is of part ``n % num_splits``. Weight and bias are one for all parts. Each part has running statistics,
    which are merged into those of a plain batch norm before evaluation and in every ``state_dict``: the mean is that of
    the parts' means, the variance the mean of their variances plus the variance of their means.
    So checkpoints are those of ``BatchNorm3d``, and fit it.

    Args:
        num_features: channels.
        num_splits: parts of a batch; 1 is plain batch norm.
        **args: the others of ``BatchNorm3d``, by keyword.

    Raises:
        ValueError: fewer than one part; in training, a batch that cannot be split so.

    >>> norm = SubBatchNorm3d(4, num_splits=2)
    >>> norm(torch.rand(6, 4, 2, 3, 3)).shape, sorted(norm.state_dict()) == sorted(nn.BatchNorm3d(4).state_dict())
    (torch.Size([6, 4, 2, 3, 3]), True)
    """

    split_mean: torch.Tensor | None
    split_var: torch.Tensor | None

    def __init__(self, num_features: int, num_splits: int, **args: Any) -> None:
        if isinstance(num_splits, bool) or not isinstance(num_splits, int) or num_splits < 1:
            raise ValueError(expected("num_splits", "a number of parts >= 1", num_splits))
        super().__init__(num_features, **args)
        self.num_splits = num_splits
        for name, running in (("split_mean", self.running_mean), ("split_var", self.running_var)):
            copies = None if running is None else running.repeat(num_splits)
            self.register_buffer(name, copies, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalises (B, C, T, H, W)."""
        if not self.training or self.num_splits == 1:
            return super().forward(x)
        self._check_input_dim(x)
        batch, channels = x.shape[:2]
        if batch % self.num_splits or not batch:
            advice = "Give the loader drop_last=True and such a batch size."
            wanted = f"a batch that has {self.num_splits} equal parts"
            raise ValueError(expected("x", wanted, f"{batch} samples", advice))
        # (B, C, ...) -> (B / S, S * C, ...): channels of a part are channels of their own
        parts = x.reshape(batch // self.num_splits, self.num_splits * channels, *x.shape[2:])
        out = F.batch_norm(
            parts, self.split_mean, self.split_var, None, None, True, self._share(), self.eps
        ).reshape(x.shape)
        if self.weight is None:
            return out
        shape = (1, -1, 1, 1, 1)
        return (out * self.weight.view(shape) + self.bias.view(shape)).to(out.dtype)

    def _share(self) -> float:
        """How much of the running statistics this batch replaces."""
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        if self.momentum is not None:
            return self.momentum
        return 1.0 / float(self.num_batches_tracked or 1)

    @torch.no_grad()
    def merge(self) -> None:
        """Makes the running statistics those of all parts together."""
        if self.split_mean is None or self.split_var is None or self.num_splits == 1:
            return
        if self.running_mean is None or self.running_var is None:
            return
        means = self.split_mean.view(self.num_splits, -1)
        variances = self.split_var.view(self.num_splits, -1)
        self.running_mean.copy_(means.mean(dim=0))
        self.running_var.copy_(variances.mean(dim=0) + means.var(dim=0, correction=0))

    @torch.no_grad()
    def _split(self) -> None:
        """Makes the running statistics of each part those of the whole."""
        for parts, whole in (
            (self.split_mean, self.running_mean),
            (self.split_var, self.running_var),
        ):
            if parts is not None and whole is not None:
                parts.copy_(whole.repeat(self.num_splits))

    def train(self, mode: bool = True) -> "SubBatchNorm3d":
        """Sets the mode; evaluation sees the statistics of all parts together."""
        if self.training and not mode:
            self.merge()
        return super().train(mode)

    def reset_running_stats(self) -> None:
        super().reset_running_stats()
        if hasattr(self, "split_mean"):
            self._split()

    def _save_to_state_dict(self, *args: Any, **kwargs: Any) -> None:
        if self.training:
            self.merge()
        super()._save_to_state_dict(*args, **kwargs)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._split()

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, num_splits={self.num_splits}"


def with_sub_batch_norm(module: nn.Module, num_splits: int) -> nn.Module:
    """Returns the module with another number of parts in each ``BatchNorm3d``; the module itself is changed.

    Parameters stay the same objects, so that optimisers keep theirs. One part gives plain batch norms.
    Classes derived from ``BatchNorm3d``, such as synchronised ones, are left alone.

    Args:
        module: a network, or a single norm.
        num_splits: see :class:`SubBatchNorm3d`.

    >>> net = nn.Sequential(nn.BatchNorm3d(2))
    >>> with_sub_batch_norm(net, 4)[0]
    SubBatchNorm3d(2, ..., num_splits=4)
    >>> with_sub_batch_norm(net, 1)[0]
    BatchNorm3d(2, ...)
    """
    if type(module) in (nn.BatchNorm3d, SubBatchNorm3d):
        return _replaced(module, num_splits)  # type: ignore[arg-type]
    for name, child in module.named_children():
        module.add_module(name, with_sub_batch_norm(child, num_splits))
    return module


def _replaced(norm: nn.BatchNorm3d, num_splits: int) -> nn.BatchNorm3d:
    arguments: dict[str, Any] = {
        "eps": norm.eps,
        "momentum": norm.momentum,
        "affine": norm.affine,
        "track_running_stats": norm.track_running_stats,
    }
    # it merges the parts that there are
    state = norm.state_dict()
    new = SubBatchNorm3d(norm.num_features, num_splits, **arguments)
    if num_splits == 1:
        new = nn.BatchNorm3d(norm.num_features, **arguments)  # type: ignore[assignment]
    tensors = [*norm.parameters(), *norm.buffers()]
    if tensors:
        new.to(tensors[0].device)
    new.load_state_dict(state)
    new.weight, new.bias = norm.weight, norm.bias
    return new.train(norm.training)
