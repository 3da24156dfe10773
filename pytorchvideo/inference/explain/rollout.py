# SPDX-License-Identifier: Apache-2.0
"""Attention roll-out."""

from torch import nn


def has_rollout(model: nn.Module) -> bool:
    """Whether the attention of a network can be rolled out."""
    return False
