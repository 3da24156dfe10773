# SPDX-License-Identifier: Apache-2.0
"""The sized dataset: the same samples as the iterable one, any order, any worker, any restart."""

import json
import os
import pickle
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, RandomSampler, SequentialSampler, WeightedRandomSampler

from pytorchvideo._files import write_whole
from pytorchvideo.data import (
    ClipDataset,
    Kinetics,
    LabeledVideoDataset,
    LabeledVideoPaths,
    make_clip_sampler,
)
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._reading.clip_reader import quarantine_line, read_quarantine

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("clips")
    for label in ("run", "walk"):
        for i in range(2):
            make_video(f"{label}/{i}.mp4", folder=root, num_frames=45 + 30 * i)
    return root


def make(folder: Path, *sampler: Any, **options: Any) -> ClipDataset:
    videos = LabeledVideoPaths.from_directory(folder)
    return ClipDataset(videos, make_clip_sampler(*sampler), decode_audio=False, **options)


SAMPLERS = [
    ("uniform", 1),
    ("uniform", Fraction(1, 2), Fraction(1, 4)),
    ("constant_clips_per_video", 1, 3, 2),
    ("random", 0.5),
    ("random_multi", 0.5, 2),
]


@pytest.mark.parametrize("sampler", SAMPLERS[:3], ids=str)
def test_the_samples_are_those_of_the_iterable_dataset(folder: Path, sampler: Any) -> None:
    iterable = Kinetics(str(folder), make_clip_sampler(*sampler), SequentialSampler)
    for dataset in (make(folder, *sampler), ClipDataset.from_dataset(iterable)):
        expected = list(iterable)
        assert len(dataset) == len(expected)
        for got, want in zip(dataset, expected, strict=True):
            start, end = got.pop("clip_start_sec"), got.pop("clip_end_sec")
            assert 0 <= start < end
            assert list(got) == [key for key in want if key != "audio" or "audio" in got]
            torch.testing.assert_close(got["video"], want["video"], rtol=0, atol=0)
            assert all(got[key] == want[key] for key in got if key not in ("video", "audio"))


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_a_sample_depends_on_seed_epoch_and_index_alone(folder: Path, sampler: Any) -> None:
    def noisy(sample: dict[str, Any]) -> dict[str, Any]:
        return {**sample, "noise": torch.rand(())}

    def key(sample: dict[str, Any]) -> str:
        return str((sample["video_index"], sample["clip_start_sec"], float(sample["noise"])))

    dataset = make(folder, *sampler, transform=noisy)
    forwards = [key(dataset[i]) for i in range(len(dataset))]
    torch.rand(3)
    backwards = [key(dataset[i]) for i in reversed(range(len(dataset)))]
    assert forwards == backwards[::-1]
    assert len(set(forwards)) == len(dataset)
    dataset.set_epoch(1)
    assert set(forwards).isdisjoint(key(sample) for sample in dataset)
    other = make(folder, *sampler, transform=noisy, seed=1)
    assert set(forwards).isdisjoint(key(sample) for sample in other)


def test_drawing_leaves_the_random_state_alone(folder: Path) -> None:
    dataset = make(folder, "random", 0.5)
    before = torch.get_rng_state()
    _ = dataset[0], len(dataset)
    assert torch.equal(before, torch.get_rng_state())


def starts(batches: Any) -> list[tuple[int, float]]:
    return [
        (int(v), float(s))
        for b in batches
        for v, s in zip(b["video_index"], b["clip_start_sec"], strict=True)
    ]


def short(sample: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in sample.items() if key != "video"}


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_loaders_give_each_clip_once_in_the_order_of_their_sampler(
    folder: Path, workers: int
) -> None:
    dataset = make(folder, "uniform", 0.5, transform=short)
    everything = [(s["video_index"], s["clip_start_sec"]) for s in dataset]
    loader = DataLoader(dataset, 4, num_workers=workers)
    for _ in range(2):
        assert starts(loader) == everything
    shuffled = DataLoader(
        dataset,
        4,
        sampler=RandomSampler(dataset, generator=torch.Generator().manual_seed(3)),
        num_workers=workers,
    )
    order = list(RandomSampler(dataset, generator=torch.Generator().manual_seed(3)))
    assert starts(shuffled) == [everything[i] for i in order]


def test_weighted_sampling_works(folder: Path) -> None:
    dataset = make(folder, "uniform", 0.5, transform=short)
    weights = [float(place.video_index == 3) for place in dataset.clips]
    sampler = WeightedRandomSampler(weights, 5)
    assert {video for video, _ in starts(DataLoader(dataset, 2, sampler=sampler))} == {3}


def test_workers_that_persist_see_the_epoch(folder: Path) -> None:
    dataset = make(folder, "random", 0.5, transform=short)
    loader = DataLoader(dataset, 2, num_workers=1, persistent_workers=True)
    first = starts(loader)
    assert starts(loader) == first
    dataset.set_epoch(1)
    second = starts(loader)
    assert first != second
    assert second == [(s["video_index"], s["clip_start_sec"]) for s in dataset]


def test_iteration_resumes_in_the_middle(folder: Path) -> None:
    dataset = make(folder, "random", 0.5, transform=short, seed=5)
    dataset.set_epoch(2)
    whole = list(dataset)
    for cut in range(len(whole) + 1):
        samples = iter(dataset)
        head = [next(samples) for _ in range(cut)]
        resumed = make(folder, "random", 0.5, transform=short)
        resumed.load_state_dict(json.loads(json.dumps(dataset.state_dict())))
        assert head + list(resumed) == whole
        dataset.set_epoch(2)


def test_a_copy_opens_its_own_files(folder: Path) -> None:
    dataset = make(folder, "uniform", 0.5)
    want = dataset[1]["video"]
    copy = pickle.loads(pickle.dumps(dataset))
    torch.testing.assert_close(copy[1]["video"], want, rtol=0, atol=0)


def test_views_have_memory_of_their_own(folder: Path) -> None:
    dataset = make(folder, "constant_clips_per_video", 0.5, 1, 3)
    first = dataset[0]["video"]
    clean = first.clone()
    first.zero_()
    torch.testing.assert_close(dataset[1]["video"], clean, rtol=0, atol=0)
    assert [sample["aug_index"] for sample in dataset] == [0, 1, 2] * 4


def test_indices(folder: Path) -> None:
    dataset = make(folder, "uniform", 1)
    assert dataset[-1]["video_index"] == 3
    with pytest.raises(IndexError, match=r"Expected `index` to be from -6 to 5, but got 6"):
        _ = dataset[6]
    with pytest.raises(ValueError, match=r"Expected `epoch` to be >= 0, but got -1"):
        dataset.set_epoch(-1)
    with pytest.raises(ValueError, match=r"Expected `seed` to be >= 0, but got -1"):
        make(folder, "uniform", 1, seed=-1)


# -- bad files -----------------------------------------------------------------------------------


class FakeVideo:
    """Two seconds of black; ``damaged`` in its name means that the second one cannot be read."""

    duration = Fraction(2)

    def __init__(self, name: str) -> None:
        self.name = name

    def get_clip(self, start_sec: Any, end_sec: Any) -> dict[str, Any]:
        if "damaged" in self.name and start_sec >= 1:
            raise VideoError(f"{self.name} is damaged.")
        return {"video": torch.zeros(3, 1, 2, 2), "audio": None}

    def close(self) -> None:
        pass


class FakeHandler:
    """Opens :class:`FakeVideo`, and counts."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def video_from_path(self, path: str, **options: Any) -> FakeVideo:
        if "missing" in path:
            raise FileNotFoundError(f"There is no video file {path}.")
        self.opened.append(path)
        return FakeVideo(path)


def fake(*paths: str, **options: Any) -> ClipDataset:
    dataset = ClipDataset([(p, {}) for p in paths], make_clip_sampler("uniform", 1), **options)
    dataset.reader.video_path_handler = FakeHandler()
    return dataset


def test_bad_videos_and_clips_are_left_out_and_listed() -> None:
    dataset = fake("a.mp4", "missing.mp4", "damaged.mp4", "b.mp4")
    with pytest.warns(UserWarning, match=r"missing\.mp4") as said:
        assert len(dataset) == 6
    assert len(said) == 1
    with (
        pytest.warns(UserWarning, match=r"Skipping damaged\.mp4: damaged\.mp4 is damaged"),
        pytest.raises(VideoError, match=r"^damaged\.mp4 is damaged\.$"),
    ):
        _ = dataset[3]
    batches = [batch["video_index"].tolist() for batch in DataLoader(dataset, 3)]
    assert batches == [[0, 0, 2], [3, 3]]
    assert [(bad.path, bad.clip_start_sec) for bad in dataset.skipped] == [
        ("missing.mp4", None),
        ("damaged.mp4", 1.0),
    ]


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
def test_a_batch_that_would_be_empty_gets_the_next_clip() -> None:
    dataset = fake("damaged.mp4", "b.mp4")
    assert [b["video_index"].item() for b in DataLoader(dataset, 1)] == [0, 1, 1, 1]


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
def test_bad_files_only_raise() -> None:
    with pytest.raises(RuntimeError, match=r"None of the 2 videos could be read.*missing 1"):
        len(fake("missing 1", "missing 2"))


def test_the_first_bad_file_may_be_an_error() -> None:
    with pytest.raises(VideoError, match=r"There is no video file missing\.mp4"):
        len(fake("a.mp4", "missing.mp4", on_error="raise"))
    dataset = fake("a.mp4", "damaged.mp4", on_error="raise")
    with pytest.raises(VideoError, match=r"damaged\.mp4 is damaged"):
        list(DataLoader(dataset, 2))
    videos = LabeledVideoDataset(
        [("missing.mp4", {})], make_clip_sampler("uniform", 1), on_error="raise"
    )
    with pytest.raises(VideoError, match=r"missing\.mp4"):
        list(videos)
    with pytest.raises(ValueError, match="Expected `on_error` to be one of"):
        fake("a.mp4", on_error="ignore")


def test_quarantine_leaves_files_unopened(tmp_path: Path) -> None:
    listed = tmp_path / "quarantine.txt"
    listed.write_text("b.mp4\tit is damaged\n\n", encoding="utf-8")
    for quarantine in (str(listed), ["b.mp4"]):
        dataset = fake("a.mp4", "b.mp4", quarantine=quarantine)
        assert len(dataset) == 2
        assert dataset.reader.video_path_handler.opened == ["a.mp4"]
        (bad,) = dataset.skipped
        assert (bad.path, bad.reason) == ("b.mp4", "it is in the quarantine list.")


# -- durations -----------------------------------------------------------------------------------


def test_durations_are_kept_until_a_file_changes(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    make_video("a/1.mp4", folder=tmp_path / "videos", num_frames=30)
    second = make_video("a/2.mp4", folder=tmp_path / "videos", num_frames=30)
    cache = tmp_path / "cache" / "durations.json"

    def opened() -> int:
        dataset = make(tmp_path / "videos", "uniform", 0.5, durations_cache=cache)
        calls: list[str] = []
        open_one = dataset.reader.video_path_handler.video_from_path
        dataset.reader.video_path_handler.video_from_path = lambda path, **options: (
            calls.append(path) or open_one(path, **options)
        )
        assert len(dataset) in (4, 6)
        return len(calls)

    assert [opened(), opened()] == [2, 0]
    second.write_bytes(make_video("b.mp4", folder=tmp_path / "other", num_frames=60).read_bytes())
    assert [opened(), opened()] == [1, 0]
    cache.write_text("[]")
    with pytest.raises(ValueError, match=r"durations\.json is not a cache of durations"):
        opened()


def test_durations_that_cannot_be_kept_are_known_all_the_same(
    make_video: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_video("a/1.mp4", folder=tmp_path / "videos", num_frames=30)
    (tmp_path / "file").touch()
    cache = tmp_path / "file" / "durations.json"
    assert len(make(tmp_path / "videos", "uniform", 0.5, durations_cache=cache)) == 2
    assert f"No durations can be kept in {cache}: " in caplog.text


def test_a_quarantine_list_holds_any_name(tmp_path: Path) -> None:
    names = [
        "a b.mp4",
        "tab\there.mp4",
        "line\nfeed.mp4",
        '"q".mp4',
        "caf\udce9.mp4",
        "a\u2028.mp4",
    ]
    paths = [os.path.join(tmp_path, name) for name in names]
    listed = tmp_path / "bad.txt"
    write_whole(listed, "".join(quarantine_line(path, "=1+1\nis no video.") for path in paths))
    assert read_quarantine(listed) == frozenset(paths)
    lines = listed.read_text(encoding="utf-8").split("\n")
    assert [line.split("\t")[1] for line in lines if line] == ["'=1+1 is no video."] * len(paths)
    # lists of former releases have such names as their bytes
    listed.write_bytes(os.fsencode(f"\ufeff{paths[0]}\treason\r\n{paths[4]}\n"))
    assert read_quarantine(listed) == {paths[0], paths[4]}
