# SPDX-License-Identifier: Apache-2.0
"""Windows in which no frame begins: they are passed over and counted, and no video is bad because of them."""

import math
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import (
    ClipDataLoader,
    ClipDataset,
    LabeledVideoDataset,
    ShardedSampler,
    make_clip_sampler,
)
from pytorchvideo.data._decode import FrameIndex
from pytorchvideo.data.clip_dataset import EmptyWindowError
from pytorchvideo.data.clip_sampling import exact_seconds

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

COUNT = 8
SECONDS = [0.4, Fraction(2, 5), 0.75, 1 / 3, 0.1]


def shades(count: int) -> np.ndarray:
    """Frames whose number is their brightness."""
    return np.repeat(np.arange(count, dtype=np.uint8), 48 * 64 * 3).reshape(count, 48, 64, 3) * 25


def numbers(video: torch.Tensor) -> list[int]:
    return [round(float(frame.mean()) / 25) for frame in video.unbind(dim=1)]


@pytest.fixture(scope="module")
def time_lapse(make_video: Callable[..., Path]) -> str:
    """Eight seconds with a frame each."""
    return str(make_video("time_lapse.mp4", fps=1, frames=shades(COUNT)))


@pytest.fixture(scope="module")
def pause(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A screen recording at 10 frames a second, where nothing changes from frame 4 to 5 for two seconds."""
    times = [0, 1, 2, 3, 4, 25, 26, 27, 28, 29]
    path = tmp_path_factory.mktemp("pause") / "pause.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 10)
        for picture, time in zip(shades(len(times)), times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return str(path)


@pytest.fixture(scope="module")
def long_sound(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Two seconds of pictures, 10 a second, and ten of sound."""
    path = tmp_path_factory.mktemp("sound") / "long_sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=8000, layout="mono")
        for picture in shades(10).repeat(2, axis=0):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
        for start in range(0, 80000, 1000):
            silence = np.zeros((1, 1000), np.float32)
            samples = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 8000, start, Fraction(1, 8000)
            container.mux(sound.encode(samples))
        container.mux(sound.encode(None))
    return str(path)


def make(kind: Any, paths: list[str], sampler: tuple[Any, ...], **options: Any) -> Any:
    videos = [(path, {"label": i}) for i, path in enumerate(paths)]
    return kind(videos, make_clip_sampler(*sampler), SequentialSampler, **options)


def seen(samples: Any) -> list[tuple[int, list[int]]]:
    return [(int(s["label"]), numbers(s["video"])) for s in samples]


def expected(videos: int = 1) -> list[tuple[int, list[int]]]:
    return [(video, [k]) for video in range(videos) for k in range(COUNT)]


# -- uniform clips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seconds", SECONDS, ids=str)
@pytest.mark.parametrize("workers", [0, 2])
def test_uniform_clips_of_a_time_lapse_have_every_frame_once(
    time_lapse: str, seconds: Any, workers: int
) -> None:
    dataset = make(LabeledVideoDataset, [time_lapse] * 2, ("uniform", seconds))
    windows = int((COUNT + Fraction(1, 10**6)) / Fraction(seconds).limit_denominator(100))
    for epoch in (1, 2):
        loader = DataLoader(dataset, batch_size=None, num_workers=workers)
        assert sorted(seen(loader)) == expected(2)
        assert dataset.empty_windows == {time_lapse: epoch * 2 * (windows - COUNT)}
    assert dataset.skipped == []


@pytest.mark.parametrize("seconds", SECONDS, ids=str)
def test_a_sized_dataset_knows_the_empty_clips_of_a_time_lapse(
    time_lapse: str, seconds: Any
) -> None:
    dataset = make(ClipDataset, [time_lapse] * 2, ("uniform", seconds), on_error="raise")
    windows = int((COUNT + 1e-6) / seconds)
    assert len(dataset) == 2 * windows
    assert seen(dataset) == expected(2)
    assert seen(dataset[i] for i in dataset.clips_with_frames) == expected(2)
    for index in set(range(2 * windows)).difference(dataset.clips_with_frames):
        with pytest.raises(EmptyWindowError, match=r"time_lapse\.mp4: no frame begins in the clip"):
            _ = dataset[index]
    for size, workers in ((1, 0), (3, 1)):
        loader = ClipDataLoader(dataset, size, num_workers=workers)
        found = [numbers(video) for batch in loader for video in batch["video"]]
        assert found == [frames for _, frames in expected(2)]
        assert len(loader) == -(-2 * COUNT // size)
    largest = DataLoader(dataset, batch_size=len(dataset))
    assert [numbers(video) for batch in largest for video in batch["video"]] == found
    assert dataset.empty_windows == {time_lapse: 2 * (windows - COUNT)}  # each once, however often
    assert dataset.skipped == []


@pytest.mark.parametrize("equal", [None, "drop", "pad"])
def test_ranks_share_the_clips_that_have_frames(time_lapse: str, equal: Any) -> None:
    dataset = make(ClipDataset, [time_lapse], ("uniform", 0.4))
    shares = [list(ShardedSampler(dataset, 3, rank, seed=1, equal=equal)) for rank in range(3)]
    assert [len(share) for share in shares] == {None: [3, 3, 2], "drop": [2] * 3, "pad": [3] * 3}[
        equal
    ]
    assert [len(ShardedSampler(dataset, 3, rank, equal=equal)) for rank in range(3)] == [
        len(share) for share in shares
    ]
    assert set().union(*shares) <= set(dataset.clips_with_frames)
    if equal is None:
        assert sorted(i for share in shares for i in share) == dataset.clips_with_frames


def test_durations_that_are_kept_leave_out_the_same(time_lapse: str, tmp_path: Path) -> None:
    cache = tmp_path / "durations.json"
    for _ in range(2):
        dataset = make(ClipDataset, [time_lapse], ("uniform", 0.4), durations_cache=cache)
        assert seen(dataset) == expected()


def test_views_of_empty_windows_are_left_out_too(time_lapse: str) -> None:
    sampler = ("constant_clips_per_video", 0.4, 15, 2)  # starts at 38/70 seconds times 0 to 14
    starts = [Fraction(76, 10) * i / 14 for i in range(15)]
    hit = [
        (i, k)
        for i, start in enumerate(starts)
        for k in range(COUNT)
        if start <= k < start + Fraction(2, 5)
    ]
    wanted = [(i, aug, [k]) for i, k in hit for aug in range(2)]
    assert 0 < len(hit) < 15
    for kind in (LabeledVideoDataset, ClipDataset):
        samples = make(kind, [time_lapse], sampler)
        assert [(s["clip_index"], s["aug_index"], numbers(s["video"])) for s in samples] == wanted


def test_clips_go_on_after_a_pause(pause: str) -> None:
    # in [0, .4), [.4, .8) and [2.4, 2.8); what follows is the rest of 3 s
    wanted = [(0, [0, 1, 2, 3]), (0, [4]), (0, [5, 6, 7])]
    for kind in (LabeledVideoDataset, ClipDataset):
        dataset = make(kind, [pause], ("uniform", 0.4), on_error="raise")
        assert seen(dataset) == wanted
        assert dataset.empty_windows == {pause: 4}


def test_a_pause_between_many_frames_is_found_when_it_is_read(pause: str) -> None:
    dataset = make(ClipDataset, [pause], ("uniform", 0.8), on_error="raise")
    assert len(dataset) == 3
    assert seen(dataset) == [(0, [0, 1, 2, 3, 4])]
    (batch,) = DataLoader(dataset, batch_size=3)
    assert [numbers(video) for video in batch["video"]] == [[0, 1, 2, 3, 4]]
    with pytest.raises(
        EmptyWindowError, match=r"pause\.mp4: no frame begins in the clip from 0\.8"
    ):
        _ = dataset[1]
    assert dataset.empty_windows == {pause: 5}
    assert dataset.skipped == []


def test_folders_of_frames(tmp_path: Path) -> None:
    for k, picture in enumerate(shades(COUNT)):
        Image.fromarray(picture).save(tmp_path / f"{k}.png")
    for kind in (LabeledVideoDataset, ClipDataset):
        dataset = make(kind, [str(tmp_path)], ("uniform", 0.4), fps=1, decoder="frame")
        assert seen(dataset) == expected()
        assert dataset.empty_windows == {str(tmp_path): 12}


# -- random clips ----------------------------------------------------------------------------------


def test_random_clips_that_fall_between_frames_are_counted(time_lapse: str) -> None:
    dataset = make(LabeledVideoDataset, [time_lapse] * 60, ("random", 0.4), on_error="raise")
    found = seen(dataset)
    assert 10 < len(found) < 50
    assert {len(frames) for _, frames in found} == {1}
    assert dataset.empty_windows == {time_lapse: 60 - len(found)}
    sized = make(ClipDataset, [time_lapse] * 60, ("random", 0.4), on_error="raise")
    assert sized.clips_with_frames == range(60)  # others are empty in every epoch
    found = seen(sized)
    assert 10 < len(found) < 50
    assert sized.empty_windows == {time_lapse: 60 - len(found)}


def test_an_epoch_of_empty_windows_warns(time_lapse: str) -> None:
    dataset = make(LabeledVideoDataset, [time_lapse], ("random", 1e-4))
    with pytest.warns(UserWarning, match=r"No frame begins in any clip .* Take longer clips"):
        assert list(dataset) == []
    assert dataset.empty_windows == {time_lapse: 1}
    sized = make(ClipDataset, [time_lapse], ("random", 1e-4))
    with pytest.raises(RuntimeError, match="No frame begins in any clip of the data set"):
        next(iter(DataLoader(sized)))


def test_of_several_clips_none_may_be_empty(time_lapse: str) -> None:
    dataset = make(LabeledVideoDataset, [time_lapse] * 40, ("random_multi", 0.4, 2))
    samples = list(dataset)
    assert 0 < len(samples) < 30
    assert all(len(s["video"]) == 2 for s in samples)
    assert dataset.empty_windows == {time_lapse: 40 - len(samples)}


# -- sound that is longer than the pictures --------------------------------------------------------


@pytest.mark.parametrize("kind", [LabeledVideoDataset, ClipDataset])
def test_clips_fall_where_there_are_pictures(long_sound: str, kind: Any) -> None:
    random.seed(1)
    drawn = make(kind, [long_sound] * 40, ("random", 0.5), on_error="raise")
    assert [len(s["video"][0]) for s in drawn] == [5] * 40
    uniform = make(kind, [long_sound], ("uniform", 0.5), on_error="raise")
    samples = list(uniform)
    assert [numbers(s["video"]) for s in samples] == [
        [0, 0, 1, 1, 2],
        [2, 3, 3, 4, 4],
        [5, 5, 6, 6, 7],
        [7, 8, 8, 9, 9],
    ]
    assert {s["audio"].shape for s in samples} == {(4000,)}
    assert uniform.empty_windows == drawn.empty_windows == {}


def test_sound_alone_is_as_long_as_it_is(long_sound: str) -> None:
    dataset = make(LabeledVideoDataset, [long_sound], ("uniform", 2), decode_video=False)
    assert [s["audio"].shape for s in dataset] == [(16000,)] * 5


# -- windows of one's own --------------------------------------------------------------------------


def test_windows_beyond_the_pictures_are_no_damage(long_sound: str, time_lapse: str) -> None:
    class Beyond(type(make_clip_sampler("uniform", 1))):  # type: ignore[misc]
        """Clips of one second up to 12 s, whatever the video."""

        def __call__(self, last: Any, duration: Any, annotation: Any) -> Any:
            return super().__call__(last, 12, annotation)

    videos = [(long_sound, {"label": 0}), (time_lapse, {"label": 1})]
    for audio in (True, False):
        dataset = LabeledVideoDataset(
            videos, Beyond(1), SequentialSampler, decode_audio=audio, on_error="raise"
        )
        assert [s["label"] for s in dataset] == [0] * 2 + [1] * 8
        assert dataset.empty_windows == {long_sound: 10, time_lapse: 4}
        sized = ClipDataset.from_dataset(dataset)
        assert [s["label"] for s in sized] == [0] * 2 + [1] * 8


# -- any frame times -------------------------------------------------------------------------------


class Timed:
    """A video whose k-th frame, of value k, begins at the k-th of some milliseconds; the last lasts one second."""

    def __init__(self, name: str, times: list[int]) -> None:
        self.name, self._times = name, times
        self.duration = Fraction(times[-1] + 1000, 1000)
        self.rate = len(times) / self.duration
        marks = torch.ones(len(times), dtype=torch.bool)
        pts, base = torch.tensor(times), Fraction(1, 1000)
        self.frame_index = FrameIndex(pts, marks, marks, base, 0, self.duration, True)

    def get_clip(self, start_sec: Fraction, end_sec: Fraction) -> dict[str, Any]:
        inside = [
            k for k, time in enumerate(self._times) if start_sec <= Fraction(time, 1000) < end_sec
        ]
        frames = torch.tensor(inside, dtype=torch.float32).view(1, -1, 1, 1).expand(3, -1, 2, 2)
        return {"video": frames if inside else None, "audio": None}

    def close(self) -> None:
        pass


class TimedHandler:
    def __init__(self, videos: list[list[int]]) -> None:
        self._videos = videos

    def video_from_path(self, path: str, **options: Any) -> Timed:
        return Timed(path, self._videos[int(path)])


frame_times = st.lists(st.integers(1, 4000), max_size=12, unique=True).map(
    lambda t: [0, *sorted(t)]
)


@settings(deadline=None, max_examples=25)
@given(st.lists(frame_times, min_size=1, max_size=3), st.floats(0.05, 3), st.integers(1, 5))
def test_each_frame_before_the_rest_comes_once(
    videos: list[list[int]], seconds: float, size: int
) -> None:
    wanted, empty = [], {}
    for number, times in enumerate(videos):
        # from the definition: clips that touch, those that end by the end of the video, at least one
        clip, duration = exact_seconds(seconds), Fraction(times[-1] + 1000, 1000)
        count = max(1, math.floor((duration + Fraction(1, 10**6)) / clip))
        placed = [math.floor(Fraction(time, 1000) / clip) for time in times]
        groups = [[k for k, place in enumerate(placed) if place == n] for n in range(count)]
        wanted += [(number, frames) for frames in groups if frames]
        empty[str(number)] = sum(not frames for frames in groups)
    for kind in (LabeledVideoDataset, ClipDataset):
        dataset = make(kind, [str(i) for i in range(len(videos))], ("uniform", seconds))
        dataset.reader.video_path_handler = TimedHandler(videos)
        for _ in range(2):
            found = [(s["label"], s["video"][0, :, 0, 0].int().tolist()) for s in dataset]
            assert found == wanted
        assert dataset.skipped == []
        if kind is LabeledVideoDataset:
            assert dataset.empty_windows == {path: 2 * n for path, n in empty.items() if n}
    if len(dataset.clips_with_frames) == len(wanted):  # all empty windows are known
        loader = ClipDataLoader(dataset, size, collate_fn=lambda samples: samples)
        batches = [[s["video"][0, :, 0, 0].int().tolist() for s in batch] for batch in loader]
        assert [frames for batch in batches for frames in batch] == [frames for _, frames in wanted]
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
