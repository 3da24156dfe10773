# SPDX-License-Identifier: Apache-2.0
"""Cross-entropy against a distribution over classes, as mixed and smoothed labels are."""

from typing import Literal

import torch
from torch import nn

from pytorchvideo._checks import check_choice, expected

_EPS = torch.finfo(torch.float32).eps


class SoftTargetCrossEntropyLoss(nn.Module):
    """``-sum(target * log_softmax(input))`` for every sample.

    Args:
        ignore_index: targets of this value are left out: classes of a soft target, samples of hard ones.
        reduction: ``"mean"`` over the samples that are not left out, or ``"none"``.
        normalize_targets: divide the targets of a sample by their sum.

    Shape:
        ``input`` float (N, C); ``target`` (N, C) with a weight for every class, or (N,) with class numbers. The
        result is a scalar, or (N,) for ``"none"``, where samples that are left out are 0.

    >>> loss = SoftTargetCrossEntropyLoss()
    >>> loss(torch.zeros(2, 4), torch.tensor([[0.5, 0.5, 0, 0], [0, 0, 0, 1]]))  # log(4)
    tensor(1.3863)
    """

    def __init__(
        self,
        ignore_index: int = -100,
        reduction: Literal["mean", "none"] = "mean",
        normalize_targets: bool = True,
    ) -> None:
        super().__init__()
        check_choice("reduction", reduction, ("mean", "none"))
        self.ignore_index = ignore_index
        self.reduction = reduction
        self.normalize_targets = normalize_targets

    def forward(self, input: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Returns the loss.

        Raises:
            ValueError: for shapes that do not fit, or class numbers out of range.
        """
        if input.ndim != 2:
            raise ValueError(expected("input", "scores (N, C)", tuple(input.shape)))
        weights, valid = self._weights(input, target)
        if self.normalize_targets:
            weights = weights / (weights.sum(dim=1, keepdim=True) + _EPS)
        losses = -(weights * input.log_softmax(dim=1)).sum(dim=1)
        if self.reduction == "none":
            return losses
        return losses.sum() / valid.sum().clamp_min(1)

    def _weights(
        self, input: torch.Tensor, target: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(weights (N, C), which samples count (N,))."""
        kept = target != self.ignore_index
        if target.shape == input.shape:
            return target.to(input.dtype) * kept, kept.any(dim=1)
        if target.shape != input.shape[:1]:
            shapes = f"{tuple(input.shape)} or {tuple(input.shape[:1])}"
            raise ValueError(expected("target", f"of shape {shapes}", tuple(target.shape)))
        classes = target.long().where(kept, 0)
        if bool(((classes < 0) | (classes >= input.shape[1])).any()):
            worst = target[kept].max().item() if kept.any() else None
            raise ValueError(expected("target", f"classes 0 to {input.shape[1] - 1}", worst))
        hard = nn.functional.one_hot(classes, input.shape[1]).to(input.dtype)
        return hard * kept[:, None], kept
