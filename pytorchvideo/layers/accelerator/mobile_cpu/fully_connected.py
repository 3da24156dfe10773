# SPDX-License-Identifier: Apache-2.0
"""A linear layer of mobile networks."""

import torch
from torch import nn


class FullyConnected(nn.Module):
    """A linear layer, (..., in_features) -> (..., out_features); its state-dict keys begin ``model.``."""

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        self.model = nn.Linear(in_features, out_features, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)
