# SPDX-License-Identifier: Apache-2.0
"""The order of clips in an epoch, over ranks and workers; resumable."""

from collections.abc import Iterator, Sequence, Sized
from typing import Any, Literal, get_args

import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, DistributedSampler

from pytorchvideo._checks import check_choice, expected
from pytorchvideo._machine import DEAD_WORKER, is_of_dead_worker
from pytorchvideo._processes import ending_with_parent

__all__ = ["ClipDataLoader", "ShardedSampler"]

Equal = Literal["drop", "pad"]


class ShardedSampler(DistributedSampler):
    """Gives every index of a data set to exactly one rank, in an order that (seed, epoch) alone decides.

    PyTorch's DistributedSampler repeats samples until all ranks have as many, which counts some twice in an
    evaluation; here that is a choice. It is a ``sampler=`` of a DataLoader, and a ``video_sampler=`` of
    :class:`~pytorchvideo.data.LabeledVideoDataset` (then it gives videos, not clips, to the ranks).

    Args:
        dataset: anything with a length.
        num_replicas: number of ranks; by default those of the process group, 1 without one.
        rank: this one; likewise.
        shuffle: another order in every epoch; else the order of the data set.
        seed: the same on all ranks.
        equal: the ranks differ by at most one sample; "drop" leaves the rest out, "pad" repeats the first
            ones, so that all have as many, as training in step needs.

    >>> [list(ShardedSampler(range(5), 2, rank, shuffle=False)) for rank in range(2)]
    [[0, 2, 4], [1, 3]]
    >>> [list(ShardedSampler(range(5), 2, rank, shuffle=False, equal="drop")) for rank in range(2)]
    [[0, 2], [1, 3]]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        *,
        equal: Equal | None = None,
    ) -> None:
        grouped = dist.is_available() and dist.is_initialized()
        if num_replicas is None:
            num_replicas = dist.get_world_size() if grouped else 1
        if rank is None:
            rank = dist.get_rank() if grouped else 0
        if equal is not None:
            check_choice("equal", equal, get_args(Equal))
        super().__init__(
            dataset,  # type: ignore[arg-type]
            num_replicas,
            rank,
            shuffle=shuffle,
            seed=seed,
            drop_last=equal == "drop",
        )
        self.equal = equal
        self.position = 0

    def _indices(self) -> list[int]:
        """The indices of this rank in this epoch."""
        every, ranks = self._every(), self.num_replicas
        count, order = len(every), list(every)
        if self.shuffle:
            generator = torch.Generator().manual_seed((self.seed << 20) + self.epoch)
            order = [every[i] for i in torch.randperm(count, generator=generator).tolist()]
        if self.equal == "drop":
            order = order[: count // ranks * ranks]
        elif self.equal == "pad" and count:
            order += [order[i % count] for i in range(-count % ranks)]
        return order[self.rank :: ranks]

    def __iter__(self) -> Iterator[int]:
        """Yields the indices of this rank, from where :meth:`load_state_dict` says."""
        indices, first = self._indices(), self.position
        self.position = 0
        return iter(indices[first:])

    def __len__(self) -> int:
        """Number of indices of this rank in a whole epoch."""
        return len(self._indices()) if self.equal is None else self._equal_length()

    def _every(self) -> Sequence[int]:
        """The indices that are shared: not those of clips that are known to have no frame."""
        filled: Sequence[int] | None = getattr(self.dataset, "clips_with_frames", None)
        return range(len(self.dataset)) if filled is None else filled  # type: ignore[arg-type]

    def _equal_length(self) -> int:
        count, ranks = len(self._every()), self.num_replicas
        return count // ranks if self.equal == "drop" else -(-count // ranks)

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order, and the randomness of the data set where that has epochs too."""
        super().set_epoch(epoch)
        forward = getattr(self.dataset, "set_epoch", None)
        if forward is not None:
            forward(epoch)

    def state_dict(self) -> dict[str, int]:
        """Returns the epoch, and the position that the next iteration starts at."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on in the middle of an epoch: the next iteration leaves out what came before."""
        self.set_epoch(state["epoch"])
        self.position = state["position"]


class ClipDataLoader(DataLoader):
    """A DataLoader whose epochs can be broken off and resumed, to the batch.

    It counts the batches that were handed out, not those that workers have prepared. With a
    :class:`~pytorchvideo.data.ClipDataset` the batches that are left after a restart hold the same samples,
    random clips and augmentations included. PyTorch Lightning saves and restores such a loader with its
    checkpoints.

    Args:
        dataset: map-style, such as ClipDataset.
        batch_size: samples a batch.
        shuffle: another order in every epoch.
        seed: of the order.
        equal: see :class:`ShardedSampler`, which gives each rank its share.
        options: further arguments of ``DataLoader``; the order is its own.

    >>> loader = ClipDataLoader(list(range(6)), batch_size=2)
    >>> batches = iter(loader)
    >>> next(batches)
    tensor([0, 1])
    >>> state = loader.state_dict()
    >>> resumed = ClipDataLoader(list(range(6)), batch_size=2)
    >>> resumed.load_state_dict(state)
    >>> list(resumed)
    [tensor([2, 3]), tensor([4, 5])]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        seed: int = 0,
        equal: Equal | None = None,
        **options: Any,
    ) -> None:
        if batch_size < 1:
            raise ValueError(expected("batch_size", ">= 1", batch_size))
        order = ShardedSampler(dataset, shuffle=shuffle, seed=seed, equal=equal)
        super().__init__(dataset, batch_size=batch_size, sampler=order, **options)
        self._order = order
        self._epoch = 0
        self._passed = 0
        self._first = 0

    def set_epoch(self, epoch: int) -> None:
        """Starts another epoch, with an order and randomness of its own."""
        self._epoch, self._passed, self._first = epoch, 0, 0

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]
        """Yields the batches of the epoch, then moves on to the next one.

        An epoch that was broken off starts afresh, unless a state was loaded.

        Raises:
            RuntimeError: a worker was killed; the state goes on after the batches that were handed out.
        """
        first, self._first = self._first, 0
        start = first * (self.batch_size or 1)
        self._order.load_state_dict({"epoch": self._epoch, "position": start})
        self._passed = first
        for batch in self._batches():
            self._passed += 1
            yield batch
        self._epoch, self._passed = self._epoch + 1, 0

    def _batches(self) -> Iterator[Any]:
        with ending_with_parent(self):
            batches = super().__iter__()
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except (EOFError, OSError) as error:
                if is_of_dead_worker(error):
                    raise RuntimeError(DEAD_WORKER) from error
                raise
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Returns the epoch, and how many of its batches were handed out."""
        return {"epoch": self._epoch, "batches": self._passed}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on in the middle of an epoch: the next iteration yields the batches that were left."""
        self._epoch, self._first = state["epoch"], state["batches"]
        self._passed = self._first
