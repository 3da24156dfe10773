# SPDX-License-Identifier: Apache-2.0
"""A residual block around any branch (arXiv 1512.03385, equations 1 and 2)."""

from collections.abc import Callable

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._cpu_fast_path import run_chain

BranchFusion = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def add_branches(shortcut: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    """The fusion of a residual network."""
    return shortcut + residual


class ResBlock(nn.Module):
    """A residual block: shortcut and ``branch2`` are fused, then activated.

    Args:
        branch1_conv: convolution of the shortcut; None for the identity.
        branch1_norm: norm after it, or None.
        branch2: the residual branch.
        activation: of the result, or None.
        branch_fusion: called with shortcut and residual; None adds them. A module-level function keeps
            the network picklable.
    """

    def __init__(
        self,
        branch1_conv: nn.Module | None = None,
        branch1_norm: nn.Module | None = None,
        branch2: nn.Module | None = None,
        activation: nn.Module | None = None,
        branch_fusion: BranchFusion | None = None,
    ) -> None:
        super().__init__()
        if branch2 is None:
            raise ValueError(expected("branch2", "a module", branch2))
        self.branch1_conv = branch1_conv
        self.branch1_norm = branch1_norm
        self.branch2 = branch2
        self.activation = activation
        self.branch_fusion = add_branches if branch_fusion is None else branch_fusion

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x
        if self.branch1_conv is not None:
            if torch.jit.is_scripting():
                shortcut = self.branch1_conv(x)
                shortcut = shortcut if self.branch1_norm is None else self.branch1_norm(shortcut)
            else:
                shortcut = run_chain((self.branch1_conv, self.branch1_norm), x)
        x = self.branch_fusion(shortcut, self.branch2(x))
        return x if self.activation is None else self.activation(x)
