# SPDX-License-Identifier: Apache-2.0
"""L2-normalised features of self-supervised models."""

import torch
from torch.nn import functional as F


def unit_vectors(features: torch.Tensor) -> torch.Tensor:
    """Scales features (B, D) to length 1, in single precision at least.

    >>> unit_vectors(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return F.normalize(features.to(torch.promote_types(features.dtype, torch.float32)), dim=1)
