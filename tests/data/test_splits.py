# SPDX-License-Identifier: Apache-2.0
"""The seeded split: disjoint, complete, balanced, and true to its groups."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data.splits import split_items


def files(per_class: dict[Any, int]) -> list[tuple[str, dict[str, Any]]]:
    return [(f"{c}/{i}.mp4", {"label": c}) for c, count in per_class.items() for i in range(count)]


@given(
    counts=st.lists(st.integers(2, 12), min_size=1, max_size=4),
    fraction=st.floats(0.05, 0.95),
    seed=st.integers(0, 2**31),
)
def test_a_split_is_a_partition_with_every_class_on_both_sides(
    counts: list[int], fraction: float, seed: int
) -> None:
    items = files(dict(enumerate(counts)))
    train, val = split_items(items, fraction, seed=seed)
    assert sorted(p for p, _ in train + val) == sorted(p for p, _ in items)
    for side in (train, val):
        assert {info["label"] for _, info in side} == set(range(len(counts)))
        assert side == [item for item in items if item in side]


@given(seed=st.integers(0, 1000), fraction=st.floats(0.1, 0.9))
def test_files_of_one_group_stay_together(seed: int, fraction: float) -> None:
    items = [(f"source{i // 3}_part{i % 3}.mp4", {"label": i // 9}) for i in range(36)]
    train, val = split_items(items, fraction, seed=seed, group=lambda path: path.split("_")[0])
    groups = [{path.split("_")[0] for path, _ in side} for side in (train, val)]
    assert not groups[0] & groups[1]


def test_same_seed_same_split_whatever_else_is_drawn() -> None:
    items = files({0: 20, 1: 20})
    first = split_items(items, 0.25, seed=3)
    torch.rand(5)
    assert split_items(items, 0.25, seed=3) == first
    assert split_items(items, 0.25, seed=4) != first
    assert len(first[1]) == 10


def test_a_class_with_one_file_trains_only() -> None:
    train, val = split_items(files({0: 1, 1: 4}), 0.5)
    assert [info["label"] for _, info in train].count(0) == 1
    assert all(info["label"] == 1 for _, info in val)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5])
def test_fraction_outside_the_range(fraction: float) -> None:
    with pytest.raises(ValueError, match="`val_split` to be between 0 and 1, but got"):
        split_items(files({0: 4}), fraction)


def test_nothing_to_split() -> None:
    with pytest.raises(ValueError, match="4 files in 1 group cannot be split"):
        split_items(files({0: 4}), 0.5, group=lambda path: "all")
