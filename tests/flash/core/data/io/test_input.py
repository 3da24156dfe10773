# SPDX-License-Identifier: Apache-2.0
"""Samples answer to both generations of names, also after they were copied, pickled, collated or moved."""

import copy
import pickle
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pytorch_lightning.utilities import move_data_to_device
from torch.utils.data import default_collate

from flash.core.data.io.input import DataKeys, Sample, own_name

KEYS = ("video", "input", "label", "target", "audio", DataKeys.INPUT)
actions = st.lists(st.tuples(st.sampled_from(KEYS), st.integers(0, 3) | st.none()))


@given(actions)
def test_a_sample_is_a_dict_by_its_own_names(steps: list[tuple[str, int | None]]) -> None:
    sample, plain = Sample(), {}
    for key, value in steps:
        if value is None:
            assert sample.pop(key, None) == plain.pop(own_name(key), None)
        else:
            sample[key] = plain[own_name(key)] = value
        assert dict(sample) == plain
        assert (key in sample, sample.get(key)) == (
            own_name(key) in plain,
            plain.get(own_name(key)),
        )


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), Sample.copy]
)
def test_copies_are_samples(again: Any) -> None:
    sample = again(Sample(video=1, label=2))
    assert type(sample) is Sample
    assert (sample[DataKeys.INPUT], sample["target"]) == (1, 2)


def test_the_newer_name_wins_wherever_it_stands() -> None:
    for entries in ({"input": 1, "video": 0}, {"video": 0, "input": 1}):
        assert dict(Sample(entries)) == {"video": 1}


def test_lacking_entries() -> None:
    sample = Sample(label=0)
    with pytest.raises(KeyError, match="video"):
        sample["input"]
    assert sample.setdefault("input", 5) == sample["video"] == 5
    del sample["target"]
    assert list(sample) == ["video"]


def test_batches_stay_samples_on_their_way() -> None:
    batch = default_collate([Sample(video=torch.ones(2), label=i) for i in range(2)])
    moved = move_data_to_device(batch, torch.device("cpu"))
    assert type(batch) is type(moved) is Sample
    assert moved["target"].tolist() == [0, 1]
