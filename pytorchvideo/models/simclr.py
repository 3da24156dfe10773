# SPDX-License-Identifier: Apache-2.0
"""SimCLR (arXiv 2002.05709)."""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.layers.distributed import all_gather_with_grad, get_world_size
from pytorchvideo.models._parts.unit_vectors import unit_vectors


class SimCLR(nn.Module):
    """Trains a network on pairs of views without labels.

    Args:
        mlp: the projection, (B, features) -> (B, D).
        backbone: maps clips to features (B, features); None where the inputs are features.
        temperature: of the softmax over similarities, > 0.

    The loss is the cross-entropy of finding, by cosine, a clip's second view among the second views of all clips of all
    processes, and its first view among all first views; the mean of both. (The paper's loss also has negatives of the
    same view.) Gradients flow through the views of other processes.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(
        self, mlp: nn.Module, backbone: nn.Module | None = None, temperature: float = 0.07
    ) -> None:
        super().__init__()
        if temperature <= 0:
            raise ValueError(expected("temperature", "> 0", temperature))
        self.mlp = mlp
        self.backbone = backbone
        self.temperature = temperature

    def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        """Returns the loss of two views of the same clips, a scalar.

        Args:
            x1: what the backbone takes; of the same number of clips in all processes.
            x2: another view, in the same order.
        """
        # (2, B, D) of this process -> (processes, 2, B, D) -> (2, processes * B, D)
        views = torch.stack((self._project(x1), self._project(x2)))
        everyone = all_gather_with_grad(views).transpose(0, 1).flatten(1, 2)
        batch = views.shape[1]
        rank = dist.get_rank() if get_world_size() > 1 else 0
        own = torch.arange(rank * batch, (rank + 1) * batch, device=views.device)
        forth = views[0] @ everyone[1].T / self.temperature
        back = views[1] @ everyone[0].T / self.temperature
        return (F.cross_entropy(forth, own) + F.cross_entropy(back, own)) / 2

    def _project(self, x: torch.Tensor) -> torch.Tensor:
        features = x if self.backbone is None else self.backbone(x)
        return unit_vectors(self.mlp(features))
