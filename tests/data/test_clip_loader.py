# SPDX-License-Identifier: Apache-2.0
"""Exactly once, over ranks and workers, and again after a restart."""

import json
from collections import Counter
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributed
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import ClipDataLoader, LabeledVideoDataset, ShardedSampler, make_clip_sampler

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


def videos(count: int, sampler: Any) -> LabeledVideoDataset:
    paths = [(f"{i}.mp4", {}) for i in range(count)]
    dataset = LabeledVideoDataset(
        paths, make_clip_sampler("constant_clips_per_video", 1, 2, 2), sampler
    )
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


def rank_main(rank: int, ranks: int, rendezvous: str, folder: str) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=ranks
    )
    dataset = videos(7, ShardedSampler)
    found = [[key(sample) for sample in dataset], values(ClipDataLoader(range(13), 2, True))]
    Path(folder, f"{rank}.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()


@pytest.mark.slow
def test_the_ranks_of_a_process_group_are_found(tmp_path: Path) -> None:
    mp.spawn(rank_main, (2, str(tmp_path / "rendezvous"), str(tmp_path)), nprocs=2)
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2)]
    assert sorted(tuple(sample) for one in found for sample in one[0]) == EVERY
    assert sorted(chain.from_iterable(one[1] for one in found)) == list(range(13))


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_iterable_epochs_are_complete(workers: int) -> None:
    dataset = videos(5, SequentialSampler)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    every = [(video, clip, view) for video in range(5) for clip in range(2) for view in range(2)]
    next(iter(loader))
    for _ in range(2):
        assert sorted(key(sample) for sample in loader) == every
