# SPDX-License-Identifier: Apache-2.0
"""Videos over several processes: each gets its share, and all take the same number of training steps.

Data with a length is shared out by Lightning. Videos have none: how many clips they give shows when they are opened,
some cannot be read, and a rank that trains on while another has no batch left waits for it for ever.
"""

import os
from collections.abc import Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, SequentialSampler

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
        sampler = ShardedSampler(
            videos.reader.videos,
            shuffle=not isinstance(sampler, SequentialSampler),
            seed=int(os.environ.get("PL_GLOBAL_SEED", 0)),
            equal="pad" if train or few else None,
        )
        videos.video_sampler = sampler
    sampler.set_epoch(epoch)
    return EqualSteps(loader, sampler) if train else loader


def _all_have(has_batch: bool) -> bool:
    device = torch.accelerator.current_accelerator() if dist.get_backend() == "nccl" else None
    flag = torch.tensor(has_batch, dtype=torch.int32, device=device)
    dist.all_reduce(flag, op=dist.ReduceOp.MIN)
    return bool(flag)
