# SPDX-License-Identifier: Apache-2.0
"""Distributed training on videos: each rank gets its share, and all take the same number of steps.

Data with a length is shared out by Lightning. Videos have none: how many clips they give shows when they are opened,
some cannot be read, and a rank that trains on while another has no batch left waits for it for ever.
"""

import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

from pytorchvideo.data.clip_loader import ShardedSampler
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset


class EqualSteps:
    """The batches of one rank, up to where the first rank has none left.

    The ranks tell each other before every batch. What is left of the others' share, a batch or so, is another one in
    the next epoch.

    Args:
        loader: the batches of this rank.
        sampler: the order of its videos, which Lightning gives the number of the epoch.
    """

    def __init__(self, loader: DataLoader[Any], sampler: ShardedSampler) -> None:
        self.loader = loader
        self.sampler = sampler

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # not there yet, as in a copy
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.loader:
            if not _all_have(True):
                return
            yield batch
        _all_have(False)


class SharedDraws(ShardedSampler):
    """Gives every index that another sampler draws to one rank: all draw the same, by (seed, epoch).

    Args:
        sampler: with a length, such as a WeightedRandomSampler.
        seed: the same on all ranks.
        equal: see :class:`ShardedSampler`.
    """

    def __init__(self, sampler: Any, *, seed: int = 0, equal: Any = None) -> None:
        super().__init__(sampler, shuffle=False, seed=seed, equal=equal)
        self._drawn: tuple[int, list[int]] | None = None

    def _indices(self) -> list[int]:
        if self._drawn is None or self._drawn[0] != self.epoch:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((self.seed << 20) + self.epoch)
                self._drawn = self.epoch, list(self.dataset)  # type: ignore[call-overload]
        drawn = self._drawn[1]
        return [drawn[place] for place in super()._indices()]


def share_among_ranks(loader: DataLoader[Any], *, train: bool, epoch: int = 0) -> Any:
    """Returns a loader of this rank's share of the videos; without a process group it is the loader itself.

    In training, shares are of equal size, as some videos are in two of them. Elsewhere each video is in one,
    unless there are fewer videos than ranks. An order at random follows Lightning's ``seed_everything`` and the epoch.
    """
    videos = loader.dataset
    if not isinstance(videos, LabeledVideoDataset) or not dist.is_available():
        return loader
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return loader
    sampler = videos.video_sampler
    if not isinstance(sampler, ShardedSampler):
        few = len(videos.reader.videos) < dist.get_world_size()
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0))
        equal: Any = "pad" if train or few else None
        if _is_plain(sampler):
            shuffle = not isinstance(sampler, SequentialSampler)
            sampler = ShardedSampler(videos.reader.videos, shuffle=shuffle, seed=seed, equal=equal)
        else:
            sampler = SharedDraws(sampler, seed=seed, equal=equal)
        videos.video_sampler = sampler
    sampler.set_epoch(epoch)
    return EqualSteps(loader, sampler) if train else loader


def _is_plain(sampler: Sampler[Any]) -> bool:
    """Whether a sampler takes each video once, in its order or at random, or gives shares of its own."""
    if isinstance(sampler, RandomSampler):
        return not sampler.replacement and sampler.num_samples == len(sampler.data_source)
    return isinstance(sampler, (SequentialSampler, DistributedSampler))


def _all_have(has_batch: bool) -> bool:
    device = torch.accelerator.current_accelerator() if dist.get_backend() == "nccl" else None
    flag = torch.tensor(has_batch, dtype=torch.int32, device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MIN)
    return bool(flag)
