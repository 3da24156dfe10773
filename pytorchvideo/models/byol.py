# SPDX-License-Identifier: Apache-2.0
"""BYOL (Bootstrap your own latent, arXiv 2006.07733)."""

import copy
from itertools import chain

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.layers._factories import ModuleFactory
from pytorchvideo.layers.batch_norm import NaiveSyncBatchNorm1d
from pytorchvideo.models._parts.unit_vectors import unit_vectors


class BYOL(nn.Module):
    """Trains a network on pairs of views without labels and without negatives.

    Args:
        backbone: maps clips to features, (B, feature_dim) after the projector.
        projector: follows the backbone; None for none.
        predictor: maps projections to predictions, both (B, feature_dim). None builds linear layer, norm, ReLU and
            linear layer.
        feature_dim: features of projections.
        predictor_inner: hidden features of the predictor that is built.
        mmt: the momentum network keeps this share of itself in every step, in [0, 1].
        norm: norm of the predictor that is built, called with ``predictor_inner``. For ``SyncBatchNorm``, which does
            not run on CPUs, it is :class:`~pytorchvideo.layers.NaiveSyncBatchNorm1d`: statistics of all processes,
            plain batch norm in a single one.

    ``backbone_mmt`` begins as a copy of backbone and projector. In training, every forward pass first moves its
    parameters and floating-point buffers towards theirs and copies the other buffers; in evaluation it stays as it is.
    Gradients never reach it.

    Raises:
        ValueError: ``mmt`` is outside [0, 1].
    """

    def __init__(
        self,
        backbone: nn.Module,
        projector: nn.Module | None = None,
        predictor: nn.Module | None = None,
        feature_dim: int = 2048,
        predictor_inner: int = 4096,
        mmt: float = 0.99,
        norm: ModuleFactory = nn.SyncBatchNorm,
    ) -> None:
        super().__init__()
        self.update_mmt(mmt)
        self.backbone = backbone if projector is None else nn.Sequential(backbone, projector)
        self.backbone_mmt = copy.deepcopy(self.backbone).requires_grad_(False)
        if predictor is None:
            inner_norm = (
                NaiveSyncBatchNorm1d(num_features=predictor_inner)
                if norm is nn.SyncBatchNorm
                else norm(predictor_inner)
            )
            predictor = nn.Sequential(
                nn.Linear(feature_dim, predictor_inner, bias=False),
                inner_norm,
                nn.ReLU(inplace=True),
                nn.Linear(predictor_inner, feature_dim),
            )
        self.predictor = predictor

    def update_mmt(self, mmt: float) -> None:
        """Sets the momentum, which the paper raises to 1 along a cosine.

        Raises:
            ValueError: it is outside [0, 1].
        """
        if not 0.0 <= mmt <= 1.0:
            raise ValueError(expected("mmt", "in [0, 1]", mmt))
        self.mmt = mmt

    def get_mmt(self) -> float:
        """Returns the momentum."""
        return self.mmt

    def sim_loss(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        """Returns the negative mean cosine of unit vectors (B, D), a scalar in [-1, 1].

        It is the paper's squared distance of equation 2, divided by 2, less 1.
        """
        return -(q * k).sum(dim=1).mean()

    def forward_backbone(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns projections and predictions of clips, unit vectors (B, feature_dim) each."""
        projection = self.backbone(x)
        return unit_vectors(projection), unit_vectors(self.predictor(projection))

    @torch.no_grad()
    def forward_backbone_mmt(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the momentum network's projections of clips, unit vectors (B, feature_dim) without gradient."""
        return unit_vectors(self.backbone_mmt(x))

    def forward(self, x1: torch.Tensor, x2: torch.Tensor) -> torch.Tensor:
        """Returns the loss of two views of the same clips, a scalar in [-1, 1]: the mean of both directions.

        Args:
            x1: what the backbone takes.
            x2: another view, in the same order.
        """
        if self.training:
            self._move_momentum_network()
        _, prediction1 = self.forward_backbone(x1)
        _, prediction2 = self.forward_backbone(x2)
        target1, target2 = self.forward_backbone_mmt(x1), self.forward_backbone_mmt(x2)
        return (self.sim_loss(prediction1, target2) + self.sim_loss(prediction2, target1)) / 2

    @torch.no_grad()
    def _move_momentum_network(self) -> None:
        slow, fast = self.backbone_mmt, self.backbone
        tensors = zip(
            chain(slow.parameters(), slow.buffers()),
            chain(fast.parameters(), fast.buffers()),
            strict=True,
        )
        for mine, theirs in tensors:
            if mine.is_floating_point():
                mine.lerp_(theirs, 1.0 - self.mmt)
            else:
                mine.copy_(theirs)
