# SPDX-License-Identifier: Apache-2.0
"""Layouts, times, writing a clip, shares of workers, tables of dataclasses."""

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler

from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.utils import (
    DataclassFieldCaster,
    MultiProcessSampler,
    export_video_array,
    load_dataclass_dict_from_csv,
    optional_threaded_foreach,
    pts_to_secs,
    save_dataclass_objs_to_headered_csv,
    secs_to_pts,
)


@given(st.integers(0, 10**9), st.fractions(Fraction(1, 10**5), 1), st.integers(-(10**6), 10**6))
def test_ticks_and_seconds_are_inverse(ticks: int, base: Fraction, start: int) -> None:
    assert secs_to_pts(ticks * base, base, start) == ticks + start
    assert secs_to_pts(ticks * base, base, start, "ceil") == ticks + start
    assert math.isclose(pts_to_secs(ticks + start, base, start), ticks * base)


def test_infinity_and_bad_rounding() -> None:
    assert secs_to_pts(math.inf, 0.1, 3) == math.inf == pts_to_secs(math.inf, 0.1, 3)
    with pytest.raises(ValueError, match="`round_mode` to be one of floor, ceil"):
        secs_to_pts(1, 0.1, 0, "nearest")  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_clip_survives_export(tmp_path: Path, dtype: torch.dtype) -> None:
    clip = torch.zeros(3, 10, 32, 48, dtype=dtype)
    for t in range(10):
        clip[:, t] = torch.tensor([20 * t, 255 - 20 * t, 128]).view(3, 1, 1).to(dtype)
    path = tmp_path / "out.mp4"
    export_video_array(clip, path, rate=10, bit_rate=2_000_000)
    with EncodedVideo.from_path(path) as video:
        assert (video.rate, video.duration) == (10, 1)
        frames = video.get_clip(0, 1)["video"]
    assert frames is not None and frames.shape == clip.shape
    assert float((frames - clip.float()).abs().mean()) < 6
    with pytest.raises(ValueError, match=r"a clip \(C, T, H, W\)"):
        export_video_array(clip[0], path, rate=10)


@pytest.mark.parametrize("multithreaded", [False, True])
def test_errors_of_threads_come_through(multithreaded: bool) -> None:
    done: list[int] = []
    optional_threaded_foreach(done.append, [(i,) for i in range(50)], multithreaded)
    assert sorted(done) == list(range(50))
    with pytest.raises(ZeroDivisionError, match="zero"):
        optional_threaded_foreach(lambda x: 1 / x, [(1,), (0,)], multithreaded)


# -- shares of workers ---------------------------------------------------------------------------


class Indices(IterableDataset):
    """What a sampler gives to this worker."""

    def __init__(self, sampler: MultiProcessSampler) -> None:
        self.sampler = sampler

    def __iter__(self) -> Iterator[int]:
        return iter(self.sampler)


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.parametrize("workers", [0, 2, 3])
def test_shares_are_contiguous_and_complete_in_every_epoch(workers: int) -> None:
    ordered = Indices(MultiProcessSampler(SequentialSampler(range(10))))
    assert len(ordered.sampler) == 10
    for worker, wanted in enumerate(np.array_split(range(10), workers)) if workers else ():
        batches = list(DataLoader(ordered, batch_size=10, num_workers=workers))
        assert batches[worker].tolist() == wanted.tolist()
    shuffled = Indices(MultiProcessSampler(RandomSampler(range(20))))
    persists = workers > 0
    loader = DataLoader(shuffled, batch_size=None, num_workers=workers, persistent_workers=persists)
    epochs = [list(loader) for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(20))
    assert epochs[0] != epochs[1]


def test_a_worker_with_nothing_to_do_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    info = SimpleNamespace(id=2, num_workers=3, seed=9)
    monkeypatch.setattr("torch.utils.data.get_worker_info", lambda: info)
    with pytest.warns(UserWarning, match="Worker 2 of 3 has nothing to do"):
        assert list(MultiProcessSampler(SequentialSampler(range(2)))) == []


def test_the_info_of_a_worker_may_be_replaced() -> None:
    """As client tests do, with nothing but a number of the worker and of workers."""
    for worker, share in enumerate(([0, 1, 2, 3], [4, 5, 6], [7, 8, 9])):
        with mock.patch("torch.utils.data.get_worker_info") as get_worker_info:
            get_worker_info.return_value = mock.Mock(id=worker, num_workers=3)
            assert list(MultiProcessSampler(SequentialSampler(range(10)))) == share


# -- tables of dataclasses -----------------------------------------------------------------------


@dataclass
class Row(DataclassFieldCaster):
    """A row with fields of every kind."""

    name: str
    count: int
    share: float
    is_good: bool
    words: list[str] = DataclassFieldCaster.complex_initialized_dataclass_field(  # noqa: RUF009
        ast.literal_eval, default="[]"
    )


def test_fields_are_cast() -> None:
    row = Row(5, "3", "0.5", "False", "['a', 'b']")  # type: ignore[arg-type]
    assert row == Row("5", 3, 0.5, False, "['a', 'b']")  # type: ignore[arg-type]
    assert [type(value) for value in vars(row).values()] == [str, int, float, bool, list]
    assert Row("5", 3, 0.5, True).words == []
    for wrong in (("a", "x", 1, True), ("a", 1, 1, "maybe"), ("a", 1, 1, True, "[oops")):
        with pytest.raises(ValueError, match=r"Row: the field `\w+` cannot be"):
            Row(*wrong)


@given(
    st.lists(
        st.tuples(
            st.text("ab ,\"'é", min_size=1).map(str.strip),
            st.integers(),
            st.floats(0, 1),
            st.booleans(),
        ),
        min_size=1,
    )
)
def test_tables_survive_a_file(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    made = [
        Row(f"{i}{name}", count, share, good) for i, (name, count, share, good) in enumerate(rows)
    ]
    path = tmp_path_factory.mktemp("table") / "rows.csv"
    save_dataclass_objs_to_headered_csv(made, path)
    assert load_dataclass_dict_from_csv(path, Row, "name") == {row.name: row for row in made}


def test_keys_may_come_twice_on_request(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("uid,count,name,share,is_good,words\n0,1,a,0,1,[]\n\n1,2,a,0,1,[]\n")
    rows = load_dataclass_dict_from_csv(path, Row, "name", list_per_key=True)
    assert [row.count for row in rows["a"]] == [1, 2]
    with pytest.raises(ValueError, match=r"rows\.csv, line 4: .*one line for each name"):
        load_dataclass_dict_from_csv(path, Row, "name")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty. Expected a header with the columns name, count"),
        ("name,count\na,1\n", "line 1: .*a header with the columns name, count, share"),
        ("name,count,share,is_good,words\na,1,0\n", "line 2: .*5 fields, as the header has"),
        ("name,count,share,is_good,words\na,x,0,1,[]\n", "line 2: Row: the field `count`"),
    ],
)
def test_bad_tables(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=match):
        load_dataclass_dict_from_csv(path, Row, "name")
    with pytest.raises(ValueError, match="`dataclass_objs` to be at least one"):
        save_dataclass_objs_to_headered_csv([], path)
    with pytest.raises(FileNotFoundError, match=r"no file .*gone\.csv"):
        load_dataclass_dict_from_csv(tmp_path / "gone.csv", Row, "name")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="not a text file in UTF-8"):
        load_dataclass_dict_from_csv(path, Row, "name")
