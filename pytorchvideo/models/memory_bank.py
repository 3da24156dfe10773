# SPDX-License-Identifier: Apache-2.0
"""Instance discrimination with a memory bank (arXiv 1805.01978)."""

import logging

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo._checks import expected
from pytorchvideo.layers.distributed import cat_all_gather
from pytorchvideo.models._parts.unit_vectors import unit_vectors

_logger = logging.getLogger(__name__)
_LARGE_BYTES = 2**30


class MemoryBank(nn.Module):
    """Trains a network to recognise every clip of a data set among others, without labels.

    Args:
        backbone: maps clips to features.
        mlp: follows the backbone; None for none. The result is (B, dim).
        neg_size: entries of the bank that a batch is told from, drawn with replacement in every step. A clip's own
            entry does not count among them.
        temperature: of the softmax over similarities, > 0.
        bank_size: clips in the data set. **The bank takes 4 * bank_size * dim bytes of memory, 10.5 GB by default**,
            and as much in checkpoints: give the size of your data set. Under ``with torch.device("cuda"):`` it is
            allocated there at once. A bank of more than 1 GiB is logged as a warning.
        dim: features of an entry.
        mmt: an entry keeps this share of itself when its clip is seen, in [0, 1].

    The buffer ``memory`` (bank_size, dim) holds unit vectors, random ones at first. In training the entries of a batch
    move after the loss has been computed; with several processes, every bank gets the entries of all of them.

    Raises:
        ValueError: an argument is out of range.
    """

    memory: torch.Tensor

    def __init__(
        self,
        backbone: nn.Module,
        mlp: nn.Module | None = None,
        neg_size: int = 4096,
        temperature: float = 0.07,
        bank_size: int = 1280000,
        dim: int = 2048,
        mmt: float = 0.999,
    ) -> None:
        super().__init__()
        for name, value in (("neg_size", neg_size), ("bank_size", bank_size), ("dim", dim)):
            if value < 1:
                raise ValueError(expected(name, ">= 1", value))
        if temperature <= 0:
            raise ValueError(expected("temperature", "> 0", temperature))
        if not 0.0 <= mmt <= 1.0:
            raise ValueError(expected("mmt", "in [0, 1]", mmt))
        self.backbone = backbone
        self.mlp = mlp
        self.neg_size = neg_size
        self.temperature = temperature
        self.bank_size = bank_size
        self.dim = dim
        self.mmt = mmt
        memory = torch.empty(bank_size, dim)
        size = memory.numel() * memory.element_size()
        if size > _LARGE_BYTES:
            advice = "bank_size is the number of clips of your data set."
            _logger.warning("The memory bank takes %.1f GB. %s", size / 1e9, advice)
        # In place: a second copy of a large bank would not fit.
        memory.normal_()
        self.register_buffer("memory", memory.div_(memory.norm(dim=1, keepdim=True)))

    def forward(self, x: torch.Tensor, x_ind: torch.Tensor) -> torch.Tensor:
        """Returns the loss of clips, a scalar: the cross-entropy of finding their entries among negatives.

        Args:
            x: what the backbone takes, B clips.
            x_ind: their numbers in the data set, (B,) of integers, which are their entries in the bank.

        Raises:
            ValueError: ``x_ind`` has another shape or type.
            IndexError: a number is outside the bank.
        """
        features = self.backbone(x)
        features = features if self.mlp is None else self.mlp(features)
        features = unit_vectors(features)
        x_ind = self._checked_indices(x_ind, len(features))
        negatives = torch.randint(self.bank_size, (self.neg_size,), device=self.memory.device)
        # All clips of a batch share the negatives: (neg_size, dim) are read, not (B, neg_size, dim).
        positive = (features * self.memory[x_ind]).sum(dim=1, keepdim=True)
        negative = features @ self.memory[negatives].to(features.dtype).T
        negative = negative.masked_fill(negatives == x_ind[:, None], float("-inf"))
        scores = torch.cat((positive, negative), dim=1) / self.temperature
        loss = F.cross_entropy(scores, torch.zeros_like(x_ind))
        if self.training:
            self._update(features, x_ind)
        return loss

    def _checked_indices(self, x_ind: torch.Tensor, batch: int) -> torch.Tensor:
        if x_ind.shape != (batch,) or x_ind.is_floating_point() or x_ind.dtype == torch.bool:
            got = (x_ind.dtype, tuple(x_ind.shape))
            raise ValueError(expected("x_ind", f"integers of shape ({batch},)", got))
        x_ind = x_ind.to(self.memory.device, torch.long)
        outside = x_ind[(x_ind < 0) | (x_ind >= self.bank_size)]
        if len(outside):
            wanted = f"in the bank, 0 to {self.bank_size - 1}"
            advice = "bank_size is the number of clips of your data set."
            raise IndexError(expected("x_ind", wanted, outside[0].item(), advice))
        return x_ind

    @torch.no_grad()
    def _update(self, features: torch.Tensor, x_ind: torch.Tensor) -> None:
        features, x_ind = cat_all_gather(features), cat_all_gather(x_ind)
        entries = self.memory[x_ind].lerp(features.to(self.memory.dtype), 1.0 - self.mmt)
        self.memory.index_copy_(0, x_ind, F.normalize(entries, dim=1))
