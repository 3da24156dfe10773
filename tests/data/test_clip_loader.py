# SPDX-License-Identifier: Apache-2.0
"""Exactly once, over ranks and workers, and again after a restart."""

import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import chain, product
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import (
    ClipDataLoader,
    ClipDataset,
    LabeledVideoDataset,
    ShardedSampler,
    make_clip_sampler,
)

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

COUNTS = st.integers(0, 40)
RANKS = st.integers(1, 5)
SEEDS = st.integers(0, 2**16)


@given(COUNTS, RANKS, SEEDS, st.integers(0, 9), st.booleans())
@settings(deadline=None)
def test_every_index_once(count: int, ranks: int, seed: int, epoch: int, shuffle: bool) -> None:
    shares = []
    for rank in range(ranks):
        sampler = ShardedSampler(range(count), ranks, rank, shuffle, seed)
        sampler.set_epoch(epoch)
        share = list(sampler)
        assert len(sampler) == len(share)
        assert list(sampler) == share
        shares.append(share)
    assert sorted(chain.from_iterable(shares)) == list(range(count))
    # Put back together, the order is the same for any number of ranks.
    alone = ShardedSampler(range(count), 1, 0, shuffle, seed)
    alone.set_epoch(epoch)
    together = [shares[i % ranks][i // ranks] for i in range(count)]
    assert together == list(alone)


@given(COUNTS, RANKS, SEEDS)
@settings(deadline=None)
def test_equal_counts(count: int, ranks: int, seed: int) -> None:
    for equal, wanted in (("drop", count // ranks), ("pad", -(-count // ranks))):
        shares = [
            list(ShardedSampler(range(count), ranks, rank, seed=seed, equal=equal))
            for rank in range(ranks)
        ]
        assert {len(share) for share in shares} == {wanted}
        times = Counter(chain.from_iterable(shares))
        assert len(times) == (count if equal == "pad" else count // ranks * ranks)
        # Padding repeats the fewest samples that make the counts equal.
        assert sum(times.values()) == wanted * ranks


def test_another_epoch_another_order() -> None:
    sampler = ShardedSampler(range(50))
    first = list(sampler)
    sampler.set_epoch(1)
    assert first != list(sampler)


def test_a_wrong_choice() -> None:
    with pytest.raises(ValueError, match="Expected `equal` to be one of"):
        ShardedSampler(range(3), equal="repeat")
    with pytest.raises(ValueError, match=r"Expected `batch_size` to be >= 1, but got 0"):
        ClipDataLoader(range(3), batch_size=0)


class Epochs(torch.utils.data.Dataset):
    """Numbers that depend on the epoch."""

    def __init__(self) -> None:
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return 11

    def __getitem__(self, index: int) -> int:
        return 100 * int(self._epoch) + index

    def set_epoch(self, epoch: int) -> None:
        self._epoch.fill_(epoch)


def values(batches: Any) -> list[int]:
    return [int(value) for batch in batches for value in batch]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_loader_resumes_to_the_batch(workers: int) -> None:
    def loader() -> ClipDataLoader:
        return ClipDataLoader(Epochs(), 3, shuffle=True, seed=4, num_workers=workers)

    straight = loader()
    first, second = values(straight), values(straight)
    assert sorted(first) == list(range(11))
    assert sorted(second) == list(range(100, 111))
    interrupted = loader()
    assert values(interrupted) == first
    batches = iter(interrupted)
    head = values(next(batches) for _ in range(2))
    state = json.loads(json.dumps(interrupted.state_dict()))
    assert state == {"epoch": 1, "batches": 2}
    # Without the state, an epoch that was broken off starts afresh.
    assert values(interrupted) == second
    resumed = loader()
    resumed.load_state_dict(state)
    assert head + values(resumed) == second
    assert resumed.state_dict() == {"epoch": 2, "batches": 0}


class FakeVideo:
    duration = 3.0

    def __init__(self, name: str) -> None:
        self.name = name

    def get_clip(self, start_sec: Any, end_sec: Any) -> dict[str, Any]:
        return {"video": torch.zeros(3, 1, 1, 1), "audio": None}

    def close(self) -> None:
        pass


class FakeHandler:
    def video_from_path(self, path: str, **options: Any) -> FakeVideo:
        return FakeVideo(path)


def videos(
    count: int, sampler: Any, clips: tuple[Any, ...] = ("constant_clips_per_video", 1, 2, 2)
) -> LabeledVideoDataset:
    paths = [(f"{i}.mp4", {}) for i in range(count)]
    dataset = LabeledVideoDataset(paths, make_clip_sampler(*clips), sampler)
    dataset.video_path_handler = FakeHandler()
    return dataset


def key(sample: dict[str, Any]) -> tuple[int, int, int]:
    return int(sample["video_index"]), int(sample["clip_index"]), int(sample["aug_index"])


EVERY = [(video, clip, view) for video in range(7) for clip in range(2) for view in range(2)]


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_exactly_once_over_ranks_and_workers(ranks: int, workers: int) -> None:
    datasets = [
        videos(7, partial(ShardedSampler, num_replicas=ranks, rank=rank)) for rank in range(ranks)
    ]
    loaders = [DataLoader(one, batch_size=None, num_workers=workers) for one in datasets]
    next(iter(loaders[0]))
    for epoch in range(2):
        for one in datasets:
            one.video_sampler.set_epoch(epoch)
        assert sorted(key(sample) for loader in loaders for sample in loader) == EVERY


@given(
    videos_=st.integers(1, 12),
    clips=st.integers(1, 3),
    views=st.integers(1, 3),
    ranks=st.integers(1, 3),
    workers=st.integers(1, 4),
    seed=SEEDS,
    is_broken_off=st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_each_view_once_however_it_is_shared(
    videos_: int, clips: int, views: int, ranks: int, workers: int, seed: int, is_broken_off: bool
) -> None:
    """The shares of all workers of all ranks, without their processes."""
    found: list[list[tuple[int, int, int]]] = [[], []]
    for rank, worker in product(range(ranks), range(workers)):
        sampler = partial(ShardedSampler, num_replicas=ranks, rank=rank, seed=seed)
        dataset = videos(videos_, sampler, ("constant_clips_per_video", 1, clips, views))
        info = SimpleNamespace(id=worker, num_workers=workers, seed=seed + 10 * rank + worker)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("torch.utils.data.get_worker_info", lambda info=info: info)
            if is_broken_off:
                next(iter(dataset), None)
            for epoch in range(2):
                dataset.video_sampler.set_epoch(epoch)  # type: ignore[attr-defined]
                found[epoch] += [key(sample) for sample in dataset]
    every = list(product(range(videos_), range(clips), range(views)))
    assert [sorted(epoch) for epoch in found] == [every, every]


def in_ranks(rank: int, ranks: int) -> dict[str, Any]:
    """The samples of a rank: two epochs after one that was broken off, for both kinds of data sets."""
    answer: dict[str, Any] = {"iterable": [], "sized": [], "pad": [], "drop": []}
    dataset = videos(7, ShardedSampler)
    loader = DataLoader(dataset, batch_size=None, num_workers=2)
    next(iter(loader))
    for epoch in range(2):
        dataset.video_sampler.set_epoch(epoch)  # type: ignore[attr-defined]
        answer["iterable"].append([key(sample) for sample in loader])
    for name, equal in (("sized", None), ("pad", "pad"), ("drop", "drop")):
        clips = ClipDataset.from_dataset(videos(7, ShardedSampler))
        workers = 1 if equal is None else 0
        sized = ClipDataLoader(
            clips, 3, True, equal=equal, num_workers=workers, collate_fn=lambda batch: batch
        )
        next(iter(sized))
        for _ in range(2):
            answer[name].append([key(sample) for batch in sized for sample in batch])
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [2, 3])
def test_exactly_once_over_the_ranks_of_a_process_group(
    ranks: int, run_ranks: Callable[[str, int], list[Any]]
) -> None:
    found = run_ranks("in_ranks", ranks)
    for epoch in range(2):
        for kind in ("iterable", "sized"):
            assert sorted(sample for rank in found for sample in rank[kind][epoch]) == EVERY
        padded, dropped = ([rank[kind][epoch] for rank in found] for kind in ("pad", "drop"))
        assert {len(share) for share in padded} == {-(-len(EVERY) // ranks)}
        assert set(chain.from_iterable(padded)) == set(EVERY)
        assert {len(share) for share in dropped} == {len(EVERY) // ranks}
        assert len(set(chain.from_iterable(dropped))) == len(EVERY) // ranks * ranks
    # Put back together, the order is that of one process, and another one in every epoch.
    alone = in_order_of_one_process()
    together = [
        [found[i % ranks]["sized"][epoch][i // ranks] for i in range(len(EVERY))]
        for epoch in range(2)
    ]
    assert together == alone
    assert together[0] != together[1]


def in_order_of_one_process() -> list[list[tuple[int, int, int]]]:
    order = ShardedSampler(range(len(EVERY)), 1, 0)
    epochs = []
    for epoch in range(2):
        order.set_epoch(epoch)
        epochs.append([EVERY[i] for i in order])
    return epochs


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_iterable_epochs_are_complete(workers: int) -> None:
    dataset = videos(5, SequentialSampler)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    every = [(video, clip, view) for video in range(5) for clip in range(2) for view in range(2)]
    next(iter(loader))
    for _ in range(2):
        assert sorted(key(sample) for sample in loader) == every
