# SPDX-License-Identifier: Apache-2.0
"""The mean average precision of clips with several labels, as a metric of torchmetrics."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from pytorchvideo.evaluation.charades import charades_map


class MeanAveragePrecision(Metric):
    """The mean over the labels that some clip has, as :func:`pytorchvideo.evaluation.charades_map` computes it.

    NaN where no clip has a label, or a logit is not finite.

    >>> metric = MeanAveragePrecision()
    >>> metric.update(torch.tensor([[2.0, 0.0], [1.0, 0.0]]), torch.tensor([[1, 0], [0, 0]]))
    >>> metric.compute()
    tensor(1.)
    """

    higher_is_better = True
    is_differentiable = False
    full_state_update = False
    logits: Any
    targets: Any

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("logits", default=[], dist_reduce_fx="cat")
        self.add_state("targets", default=[], dist_reduce_fx="cat")

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Takes logits (B, N) and targets (B, N) of 0 and 1."""
        self.logits.append(logits.detach().float())
        self.targets.append(targets.int())

    def compute(self) -> Tensor:
        """Returns the mean average precision, a scalar in float32."""
        # lists become tensors when processes are brought together
        logits, targets = (
            torch.cat(part) if isinstance(part, list) else part
            for part in (self.logits, self.targets)
        )
        if not bool(logits.isfinite().all()):
            return logits.new_tensor(float("nan"))
        return logits.new_tensor(charades_map(logits, targets).mean)
