# SPDX-License-Identifier: Apache-2.0
"""The dataset: what a sample holds, in which order videos come, and what bad files do."""

import copy
import functools
import importlib
import os
import pickle
import random
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)
from torchvision.transforms import Compose

from pytorchvideo.data import Kinetics, Ucf101, labeled_video_dataset, make_clip_sampler
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset
from pytorchvideo.data.utils import MultiProcessSampler
from pytorchvideo.transforms import (
    ApplyTransformToKey,
    Div255,
    RemoveKey,
    ShortSideScale,
    UniformTemporalSubsample,
)

# More workers than cores: slow, but what is tested here does not depend on it.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

FPS = 10


class FakeVideo:
    """A video of one number per frame; ``name`` says how it misbehaves."""

    def __init__(self, path: str, log: list[str], audio: bool, video: bool) -> None:
        self.name, self._log, self._audio, self._video = path, log, audio, video
        self.duration = Fraction(2)

    def get_clip(self, start_sec: Any, end_sec: Any) -> dict[str, Any] | None:
        self._log.append("decode")
        if "raises" in self.name:
            raise RuntimeError(f"{self.name} is damaged.")
        if "half" in self.name and start_sec >= 1:
            raise ValueError(f"{self.name} ends early.")
        if "nothing" in self.name:
            return None
        first, last = int(start_sec * FPS), int(min(end_sec, 2) * FPS)
        frames = torch.arange(first, last, dtype=torch.float32).view(1, -1, 1, 1)
        no_video = "no frames" in self.name or not self._video
        sound = torch.ones(last - first) if self._audio and "mute" not in self.name else None
        return {"video": None if no_video else frames.expand(3, -1, 2, 2).clone(), "audio": sound}

    def close(self) -> None:
        self._log.append("close")


class FakeHandler:
    """Opens :class:`FakeVideo`; remembers opening, decoding and closing."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def video_from_path(
        self, path: str, decode_video: bool, decode_audio: bool, decoder: str
    ) -> FakeVideo:
        if "missing" in path:
            raise FileNotFoundError(f"There is no video file {path}.")
        self.log.append("open")
        return FakeVideo(path, self.log, decode_audio, decode_video)


def names(count: int) -> list[str]:
    return [f"{i}.mp4" for i in range(count)]


def make(
    paths: Sequence[str], sampler: tuple[Any, ...] = ("uniform", 1), **kwargs: Any
) -> LabeledVideoDataset:
    videos = [(path, {"label": i}) for i, path in enumerate(paths)]
    kwargs.setdefault("video_sampler", SequentialSampler)
    dataset = LabeledVideoDataset(videos, make_clip_sampler(*sampler), **kwargs)
    dataset.video_path_handler = FakeHandler()
    return dataset


def indices(dataset: Any) -> list[int]:
    return [sample["video_index"] for sample in dataset]


def loaded(dataset: LabeledVideoDataset, workers: int, **kwargs: Any) -> DataLoader:
    return DataLoader(dataset, batch_size=None, num_workers=workers, **kwargs)


# -- samples -------------------------------------------------------------------------------------


def test_sample_keys_order_and_types() -> None:
    sample = next(iter(make(["a.mp4"])))
    assert list(sample) == [
        "video",
        "video_name",
        "video_index",
        "clip_index",
        "aug_index",
        "label",
        "audio",
    ]
    assert sample["video"].dtype == sample["audio"].dtype == torch.float32
    assert sample["video"].shape == (3, 10, 2, 2)
    assert sample["audio"].shape == (10,)
    assert [sample[k] for k in list(sample)[1:6]] == ["a.mp4", 0, 0, 0, 0]


def test_audio_only_where_there_is_some() -> None:
    assert ["audio" in s for s in make(["mute.mp4", "b.mp4"], ("random", 1))] == [False, True]
    assert not any("audio" in s for s in make(["b.mp4"], decode_audio=False))
    (sample,) = make(["b.mp4"], ("random", 1), decode_video=False)
    assert "video" not in sample
    assert sample["audio"].shape == (10,)


def test_info_may_override_and_several_clips_are_lists() -> None:
    dataset = make(["a.mp4"], ("random_multi", 1, 3))
    dataset.reader.videos = [("a.mp4", {"video_index": "mine", "score": 2.5})]
    (sample,) = dataset
    assert sample["video_index"] == "mine"
    assert sample["score"] == 2.5
    assert [v.shape for v in sample["video"]] == [(3, 10, 2, 2)] * 3
    assert [a.shape for a in sample["audio"]] == [(10,)] * 3
    assert sample["clip_index"] == sample["aug_index"] == [0, 0, 0]


def test_every_video_is_opened_and_closed_once() -> None:
    dataset = make(names(3))
    assert [(s["video_index"], s["clip_index"]) for s in dataset] == [
        (i, c) for i in range(3) for c in range(2)
    ]
    assert Counter(dataset.video_path_handler.log) == {"open": 3, "decode": 6, "close": 3}
    assert next(dataset, None) is None
    assert not hasattr(dataset, "__len__")
    assert dataset.num_videos == 3


def test_next_without_iter_and_after_a_broken_off_epoch() -> None:
    dataset = make(names(2))
    assert next(dataset)["clip_index"] == 0
    assert next(dataset)["clip_index"] == 1
    first = next(iter(dataset))
    assert (first["video_index"], first["clip_index"]) == (0, 0)
    assert dataset.video_path_handler.log.count("close") == 1
    assert len(list(dataset)) == 4


def test_views_are_decoded_once_and_do_not_share_memory() -> None:
    def spoil(sample: dict[str, Any]) -> dict[str, Any]:
        sample["before"] = sample["video"][0, :, 0, 0].clone()
        sample["video"].zero_()
        sample["audio"].zero_()
        return sample

    dataset = make(["a.mp4"], ("constant_clips_per_video", 1, 2, 3), transform=spoil)
    samples = list(dataset)
    assert [(s["clip_index"], s["aug_index"]) for s in samples] == [
        (c, a) for c in range(2) for a in range(3)
    ]
    assert dataset.video_path_handler.log.count("decode") == 2
    for sample in samples:
        start = 10 * sample["clip_index"]
        assert sample["before"].tolist() == list(range(start, start + 10))


def test_a_transform_may_skip_samples_but_its_errors_are_not_caught() -> None:
    def second_only(sample: dict[str, Any]) -> dict[str, Any] | None:
        return sample if sample["clip_index"] == 1 else None

    assert len(list(make(names(3), transform=second_only))) == 3
    nothing = make(names(3), transform=lambda sample: None)
    assert list(nothing) == []
    assert nothing.skipped == []

    def fail_once(sample: dict[str, Any]) -> dict[str, Any]:
        if (sample["video_index"], sample["clip_index"]) == (0, 1):
            raise ValueError("mine")
        return sample

    dataset = make(names(2), transform=fail_once)
    next(iter(dataset))
    with pytest.raises(ValueError, match="mine"):
        next(dataset)
    assert next(dataset)["video_index"] == 1  # the epoch goes on


# -- what clients of PyTorchVideo use ------------------------------------------------------------


def test_the_videos_and_their_sampler_have_their_old_names() -> None:
    dataset = make(names(3))
    assert [dataset._labeled_videos[i] for i in range(3)] == [
        (f"{i}.mp4", {"label": i}) for i in range(3)
    ]
    assert dataset._video_sampler is dataset.video_sampler
    assert dataset._video_sampler_iter is None
    next(dataset)
    assert list(dataset._video_sampler_iter) == [1, 2]
    dataset._labeled_videos = [("5.mp4", {"label": 5})]
    dataset._video_sampler = SequentialSampler(dataset._labeled_videos)
    assert [s["label"] for s in dataset] == [5, 5]


def test_a_subclass_may_say_which_videos_come() -> None:
    class Backwards(LabeledVideoDataset):
        def __iter__(self) -> "Backwards":
            super().__iter__()
            self._video_sampler_iter = iter([2, 0])
            return self

    class Own(LabeledVideoDataset):
        """Reads nothing, but goes through the videos as the base does."""

        def __next__(self) -> str:
            if self._video_sampler_iter is None:
                self._video_sampler_iter = iter(MultiProcessSampler(self._video_sampler))
            return self._labeled_videos[next(self._video_sampler_iter)][0]

    videos = [(name, {}) for name in names(3)]
    for workers in (0, 1):
        dataset = Backwards(videos, make_clip_sampler("random", 1), SequentialSampler)
        dataset.video_path_handler = FakeHandler()
        for _ in range(2):
            assert indices(loaded(dataset, workers)) == [2, 0]
        own = Own(videos, make_clip_sampler("random", 1), SequentialSampler)
        for _ in range(2):
            assert list(loaded(own, workers)) == names(3)


# -- order ---------------------------------------------------------------------------------------


class Shuffled(RandomSampler):
    """A subclass, which the caller knows and the dataset does not."""


class ByPython(Sampler):
    """A sampler that shuffles with Python's random numbers."""

    def __init__(self, videos: Any) -> None:
        self.count = len(videos)

    def __iter__(self) -> Any:
        return iter(random.sample(range(self.count), self.count))

    def __len__(self) -> int:
        return self.count


class ByNumpy(ByPython):
    """The same with numpy's global random numbers."""

    def __iter__(self) -> Any:
        return iter(np.random.permutation(self.count).tolist())  # noqa: NPY002


SEEDED = functools.partial(RandomSampler, generator=torch.Generator().manual_seed(9))
RANDOM = [RandomSampler, Shuffled, functools.partial(RandomSampler), SEEDED, ByPython, ByNumpy]


def test_order_follows_torchs_seed_and_changes_each_epoch() -> None:
    dataset = make(names(20), ("random", 1), video_sampler=RandomSampler)

    def epochs(seed: int) -> list[list[int]]:
        torch.manual_seed(seed)
        return [indices(dataset) for _ in range(2)]

    first = epochs(1)
    assert first[0] != first[1]
    assert epochs(1) == first
    assert epochs(2) != first


@pytest.mark.parametrize("video_sampler", RANDOM)
@pytest.mark.parametrize(("workers", "persistent"), [(2, True), (3, False)])
def test_workers_share_one_order(
    video_sampler: Callable[[Any], Sampler], workers: int, persistent: bool
) -> None:
    dataset = make(names(23), ("random", 1), video_sampler=video_sampler)
    loader = loaded(dataset, workers, persistent_workers=persistent)
    epochs = [indices(loader) for _ in range(2)]
    for epoch in epochs:
        assert sorted(epoch) == list(range(23))
    assert epochs[0] != epochs[1]


def test_workers_follow_torchs_seed_too() -> None:
    dataset = make(names(12), ("random", 1), video_sampler=Shuffled)

    def epoch() -> list[tuple[int, float]]:
        torch.manual_seed(4)
        return [(s["video_index"], s["video"][0, 0, 0, 0].item()) for s in loaded(dataset, 2)]

    assert epoch() == epoch()


@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize(("sampler", "count"), [(("random", 1), 7), (("uniform", 1), 14)])
def test_every_epoch_has_the_same_clips(workers: int, sampler: tuple[Any, ...], count: int) -> None:
    loader = loaded(make(names(7), sampler, video_sampler=RandomSampler), workers)
    for _ in range(2):
        clips = [(s["video_index"], s["clip_index"]) for s in loader]
        assert len(clips) == len(set(clips)) == count


def test_more_workers_than_videos() -> None:
    assert sorted(indices(loaded(make(names(2), ("random", 1)), 3))) == [0, 1]


def test_distributed_sampler_class() -> None:
    shares = []
    for rank in range(2):
        sampler = functools.partial(DistributedSampler, num_replicas=2, rank=rank)
        dataset = make(names(8), ("random", 1), video_sampler=sampler)
        assert dataset.num_videos == 4
        first = indices(loaded(dataset, 2))
        dataset.video_sampler.set_epoch(1)  # type: ignore[attr-defined]
        assert indices(loaded(dataset, 2)) != first
        shares.append(first)
    assert sorted(shares[0] + shares[1]) == list(range(8))


# -- bad files -----------------------------------------------------------------------------------

BAD = ["missing.mp4", "raises.mp4", "missing 2.mp4", "raises 2.mp4"]


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
@pytest.mark.parametrize("workers", [0, 2, 3])
@pytest.mark.parametrize("bad", [1, 40])
def test_any_share_of_bad_files_leaves_the_epoch_whole(workers: int, bad: int) -> None:
    paths = [f"{i} {name}" for i in range(bad) for name in BAD] + ["good.mp4"]
    dataset = make(paths, ("random", 1))
    for _ in range(2):
        assert indices(loaded(dataset, workers)) == [len(paths) - 1]
    assert sorted(clip.path for clip in dataset.skipped) == sorted(paths[:-1])


def test_skipped_says_what_and_why_and_warns_once_per_path() -> None:
    dataset = make([*BAD[:2], "half.mp4", "good.mp4"])
    with pytest.warns(UserWarning, match="Skipping") as caught:
        samples = list(dataset)
    assert [(s["video_name"], s["clip_index"]) for s in samples] == [
        ("half.mp4", 0),
        ("good.mp4", 0),
        ("good.mp4", 1),
    ]
    assert [str(w.message) for w in caught] == [
        "Skipping missing.mp4: There is no video file missing.mp4.",
        "Skipping raises.mp4: raises.mp4 is damaged.",
        "Skipping half.mp4: half.mp4 ends early.",
    ]
    windows = [(c.clip_start_sec, c.clip_end_sec) for c in dataset.skipped]
    assert windows == [(None, None), (0, 1), (1, 2)]
    assert len(list(dataset)) == 3  # no warning, which would be an error here
    assert len(dataset.skipped) == 3
    log = dataset.video_path_handler.log
    assert log.count("open") == log.count("close") == 2 * 3


ALL_BAD = r"None of the 4 videos could be read. The first: .*: .*skipped"


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
@pytest.mark.parametrize(
    "workers",
    # DataLoader waits five seconds for each worker that has raised.
    [0, pytest.param(2, marks=pytest.mark.slow)],
)
def test_all_bad_is_one_clear_error(workers: int) -> None:
    dataset = make(BAD, ("random", 1))
    with pytest.raises(RuntimeError, match=ALL_BAD):
        list(loaded(dataset, workers))
    assert {clip.path for clip in dataset.skipped} == set(BAD)


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
@pytest.mark.parametrize("worker", range(3))
def test_a_worker_raises_only_if_the_videos_of_the_others_are_bad_too(
    worker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = SimpleNamespace(id=worker, num_workers=3, seed=40 + worker)
    monkeypatch.setattr("torch.utils.data.get_worker_info", lambda: info)
    with pytest.raises(RuntimeError, match=ALL_BAD):
        list(make(BAD, ("random", 1)))
    good = ["good.mp4", *BAD] if worker else [*BAD, "good.mp4"]
    assert list(make(good, ("random", 1))) == []


@pytest.mark.filterwarnings("ignore:Skipping:UserWarning")
def test_a_worker_with_bad_files_only_knows_that_others_have_good_ones() -> None:
    # The only good video is one whose second clip is bad, so that it is in `skipped` as well.
    dataset = make(["missing.mp4", "raises.mp4", "half.mp4", "raises 2.mp4"])
    for _ in range(2):
        assert indices(loaded(dataset, 4)) == [2]


def test_the_record_goes_with_its_dataset() -> None:
    dataset = make(["missing.mp4", "good.mp4"], ("random", 1))
    file = dataset.reader.skip_log._file
    assert not os.path.exists(file)
    with pytest.warns(UserWarning, match=r"missing\.mp4"):
        list(dataset)
    list(loaded(dataset, 2))
    assert os.path.exists(file)
    del dataset
    assert not os.path.exists(file)


# -- real files ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    for label in ("run", "walk"):
        for i in range(2):
            make_video(f"{label}/{i}.mp4", folder=root, num_frames=40 + i, audio_rate=16000)
    return root


TRANSFORM = Compose(
    [
        ApplyTransformToKey(
            "video", Compose([UniformTemporalSubsample(8), Div255(), ShortSideScale(24)])
        ),
        RemoveKey("audio"),
    ]
)


@pytest.mark.parametrize("function", [labeled_video_dataset, Kinetics, Ucf101])
def test_folder_of_videos(folder: Path, function: Any) -> None:
    dataset = function(str(folder), make_clip_sampler("uniform", Fraction(1, 2)), SequentialSampler)
    samples = list(dataset)
    assert [s["label"] for s in samples] == [0] * 4 + [1] * 4
    assert [s["video_name"] for s in samples[:3]] == ["0.mp4", "0.mp4", "1.mp4"]
    assert {s["video"].shape for s in samples} == {(3, 15, 48, 64)}
    assert {s["audio"].shape for s in samples} == {(8000,)}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda d: pickle.loads(pickle.dumps(d))])
def test_copies_start_an_epoch_of_their_own(folder: Path, copied: Any) -> None:
    dataset = labeled_video_dataset(folder, make_clip_sampler("uniform", 0.5), SequentialSampler)
    next(iter(dataset))
    assert len(list(copied(dataset))) == 8
    assert next(dataset)["clip_index"] == 1


def test_list_file_and_prefix(folder: Path, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("run/0.mp4 5\nwalk/1.mp4 7\n")
    clips = make_clip_sampler("random", 1)
    dataset = labeled_video_dataset(listed, clips, video_path_prefix=str(folder))
    assert sorted(s["label"] for s in dataset) == [5, 7]
    with pytest.raises(FileNotFoundError, match=r"None of the 2 videos .*'run/0\.mp4'"):
        labeled_video_dataset(listed, clips)


@pytest.mark.parametrize(
    "sampler", [("uniform", 0.4), ("random", 1), ("constant_clips_per_video", 0.5, 3, 2)]
)
def test_sparse_decoding_changes_no_sample(
    folder: Path, sampler: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def epoch() -> list[dict[str, Any]]:
        random.seed(2)
        clips = make_clip_sampler(*sampler)
        return list(labeled_video_dataset(folder, clips, SequentialSampler, TRANSFORM))

    sparse = epoch()
    module = importlib.import_module("pytorchvideo.data._reading.clip_reader")
    monkeypatch.setattr(module, "temporal_frame_filter", lambda transform: None)
    full = epoch()
    assert len(sparse) == len(full) > 0
    for a, b in zip(sparse, full, strict=True):
        assert a.keys() == b.keys()
        assert torch.equal(a.pop("video"), b.pop("video"))
        assert a == b


def test_only_the_frames_of_the_current_transform_are_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded_frames = []

    def see(sample: dict[str, Any]) -> dict[str, Any]:
        return sample

    from pytorchvideo.data.encoded_video import EncodedVideo

    original = EncodedVideo.get_clip

    def get_clip(self: Any, start_sec: Any, end_sec: Any, frame_filter: Any = None) -> Any:
        clip = original(self, start_sec, end_sec, frame_filter)
        loaded_frames.append(clip["video"].shape[1])
        return clip

    monkeypatch.setattr(EncodedVideo, "get_clip", get_clip)
    clips = make_clip_sampler("random", 1)
    dataset = labeled_video_dataset(folder, clips, transform=TRANSFORM)
    list(dataset)
    assert set(loaded_frames) == {8}
    loaded_frames.clear()
    dataset.reader.transform = see
    list(dataset)
    assert min(loaded_frames) >= 29


def test_folders_of_frames_work_with_audio_asked_for(tmp_path: Path) -> None:
    for i in range(12):
        (tmp_path / "clip").mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 10, 3), i, np.uint8)).save(tmp_path / "clip" / f"{i}.png")
    listed = tmp_path / "list.txt"
    listed.write_text("clip 3\n")
    clips = make_clip_sampler("uniform", 0.4)
    (sample,) = labeled_video_dataset(listed, clips, transform=TRANSFORM, decoder="frame")
    assert sample["label"] == 3
    assert sample["video_name"] == "clip"
    wanted = torch.tensor([0, 1, 3, 4, 6, 7, 9, 11]) / 255  # 8 of 12, truncated
    torch.testing.assert_close(sample["video"][0, :, 0, 0], wanted)
    listed.write_text("clip.mp4 3\n")
    (tmp_path / "clip.mp4").touch()
    with pytest.raises(ValueError, match="Expected `decoder` to be one of"):
        labeled_video_dataset(listed, clips, decoder="frame")


@pytest.mark.parametrize("fps", [10, 30])
def test_float_durations_of_n_frames_take_n_frames(
    make_video: Callable[..., Path], tmp_path: Path, fps: int
) -> None:
    file = make_video(f"n_frames_{fps}.mp4", num_frames=60, fps=fps)
    frames = tmp_path / "frames"
    frames.mkdir()
    for i in range(60):
        Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(frames / f"{i}.png")
    for count in (1, 4, 7, 13, 26, 29, 59):
        for kind, arguments in (
            ("uniform", ()),
            ("random", ()),
            ("constant_clips_per_video", (2,)),
        ):
            clips = make_clip_sampler(kind, count / fps, *arguments)
            videos = [(str(path), {}) for path in (file, frames)]
            dataset = LabeledVideoDataset(videos, clips, SequentialSampler, fps=fps)
            lengths = [s["video"].shape[1] for s in dataset]
            each = {"uniform": 60 // count, "random": 1, "constant_clips_per_video": 2}[kind]
            assert lengths == [count] * (2 * each)


def test_bad_real_files_are_skipped(
    folder: Path, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a video")
    whole = (folder / "run" / "0.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    make_video("good.mp4", folder=tmp_path)
    listed = tmp_path / "list.txt"
    bad = ["empty.mp4", "text.mp4", "cut.mp4", "nowhere.mp4"]
    listed.write_text("".join(f"{name} 0\n" for name in [*bad, "good.mp4"]))
    dataset = labeled_video_dataset(
        listed, make_clip_sampler("uniform", 1), SequentialSampler, video_path_prefix=str(tmp_path)
    )
    with pytest.warns(UserWarning, match="Skipping") as caught:
        assert [s["video_name"] for s in dataset] == ["good.mp4"]
    assert [Path(c.path).name for c in dataset.skipped] == bad
    assert all(name in str(w.message) for name, w in zip(bad, caught, strict=True))
