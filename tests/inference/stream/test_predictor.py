# SPDX-License-Identifier: Apache-2.0
"""``StreamPredictor``: against ``VideoPredictor`` on files, and with a clock of its own on streams."""

import json
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.live import LiveFrame
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.inference.stream.predictor import (
    StreamAnswer,
    StreamPredictor,
    StreamSummary,
    percentile,
)
from pytorchvideo.models import create_x3d
from pytorchvideo.models.incremental import IncrementalModel
from pytorchvideo.transforms.clip_recipe import ClipRecipe

MakeVideo = Callable[..., Path]

# clips of half a second; pixels in 0..1 reach the model unchanged
RECIPE = ClipRecipe(
    num_frames=4,
    sampling_rate=4,
    frames_per_second=32,
    side_size=32,
    crop_size=32,
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
)


class Colours(nn.Module):
    """Logits that tell every frame of a clip from every other; notes what it saw."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean(dim=(3, 4))  # (B, 3, T)
        self.seen.append(means[0, 0].clone())
        weights = torch.linspace(1, 2, x.shape[2])
        return (means * weights).sum(dim=2) * self.scale


def predictor(recipe: ClipRecipe = RECIPE, **options: Any) -> VideoPredictor:
    return VideoPredictor(Colours(), recipe, ["red", "green", "blue"], **options)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Stream:
    """A live source on a clock of its own: what came up to now, of which the oldest is dropped.

    The red of a frame is its number (modulo 256).
    """

    name = "stream"

    def __init__(self, times: list[float], clock: Clock, capacity: int, step: float) -> None:
        self._coming = deque(enumerate(times))
        self._clock, self._capacity, self.frame_sec = clock, capacity, step
        self.read = self.dropped = 0
        self.alive: weakref.WeakSet[Tensor] = weakref.WeakSet()

    def take(self) -> list[LiveFrame]:
        if self._coming:
            self._clock.now = max(self._clock.now, self._coming[0][1])
        frames: deque[LiveFrame] = deque(maxlen=self._capacity)
        while self._coming and self._coming[0][1] <= self._clock.now:
            number, time = self._coming.popleft()
            self.dropped += len(frames) == self._capacity
            self.read += 1
            frames.append(self.frame(number, time))
        return list(frames)

    def frame(self, number: int, time: float) -> LiveFrame:
        data = torch.zeros(3, 32, 32, dtype=torch.uint8)
        data[0] = number % 256
        self.alive.add(data)
        return LiveFrame(time, data, time)


def numbers(clip: Tensor) -> list[int]:
    return [round(value * 255) for value in clip.tolist()]


@pytest.mark.parametrize("fps", [8, 25, 30])
@pytest.mark.parametrize("multi_label", [False, True])
def test_an_answer_is_what_video_predictor_says_of_its_clip(
    make_video: MakeVideo, fps: int, multi_label: bool
) -> None:
    path = make_video(f"rate{fps}.mp4", num_frames=2 * fps, fps=fps, height=32, width=48)
    model = predictor(multi_label=multi_label)
    stream = StreamPredictor(model, every=0.3, top=3)
    with stream.open(path) as video:
        answers = list(stream.answers(video))
    assert len(answers) >= 5
    for answer in answers:
        frame = Fraction(1, fps)
        end = round(answer.end_sec / frame) * frame
        assert answer.time_sec == pytest.approx(float(end - frame))
        assert answer.start_sec == pytest.approx(float(end) - 0.5)
        # a little early: float times must not lose the first one
        start = max(0.0, float(end - Fraction(1, 2) - frame / 1000))
        (clip,) = model.predict_clips(path, clips=1, start_sec=start, end_sec=start + 0.5)
        assert dict(answer.labels) == pytest.approx(dict(model.named([clip], 3)))
        assert (answer.dropped, answer.latency_sec > 0) == (0, True)


def test_larger_pictures_are_scaled_as_those_of_clips(make_video: MakeVideo) -> None:
    path = make_video("large.mp4", num_frames=32, fps=16, height=96, width=128)
    model = predictor()
    stream = StreamPredictor(model, every=0.25, top=3)
    with stream.open(path) as video:
        answers = list(stream.answers(video))
        assert video.take() == []
    for number, answer in enumerate(answers):
        start = number / 4
        (clip,) = model.predict_clips(path, clips=1, start_sec=start, end_sec=start + 0.5)
        found = dict(answer.labels)
        scores = torch.tensor([found[label] for label in model.labels])
        assert torch.allclose(scores, clip.scores, atol=1e-3)  # pixels are rounded


def test_answers_are_a_multiple_of_the_distance_after_the_first(make_video: MakeVideo) -> None:
    path = make_video("rate25.mp4", num_frames=50, fps=25, height=32, width=48)
    for every, wanted in ((0.5, [0.48, 1.0, 1.48]), (0.0, [k / 25 for k in range(12, 50)])):
        stream = StreamPredictor(predictor(), every=every)
        with stream.open(path) as video:
            found = [answer.time_sec for answer in stream.answers(video)]
        assert found == pytest.approx(wanted)


def test_where_frames_are_missing_the_one_on_show_stands_in() -> None:
    """At 16 frames per second a clip has 8, of which 4 are taken: 0, 2, 4 and 7."""
    model = predictor()
    everything = [k / 16 for k in range(16)]
    stream = StreamPredictor(model, every=0.25)
    for missing, wanted in (
        ([], [[0, 2, 4, 7], [4, 6, 8, 11], [8, 10, 12, 15]]),
        ([2, 4], [[0, 1, 3, 7], [3, 6, 8, 11], [8, 10, 12, 15]]),
        ([8, 9, 10], [[0, 2, 4, 7], [4, 6, 7, 11], [7, 7, 12, 15]]),
    ):
        clock = Clock()
        times = [float("inf") if k in missing else time for k, time in enumerate(everything)]
        source = Stream(times, clock, 8, 1 / 16)
        source._coming = deque((k, time) for k, time in source._coming if k not in missing)
        model.model.seen.clear()  # type: ignore[union-attr,operator]
        list(stream.answers(source))
        assert [numbers(clip) for clip in model.model.seen] == wanted  # type: ignore[union-attr]


@given(st.floats(0.05, 3.0), st.integers(2, 40))
def test_a_slow_model_drops_frames_and_is_never_late(seconds: float, capacity: int) -> None:
    """Whatever it takes to predict, an answer is of what was new when the one before was given."""
    clock, model = Clock(), predictor()
    forward = model.model.forward

    def slow(x: Tensor) -> Any:
        clock.now += seconds
        return forward(x)

    model.model.forward = slow  # type: ignore[method-assign]
    source = Stream([k / 30 for k in range(300)], clock, capacity, 1 / 30)
    stream = StreamPredictor(model, every=0.1, clock=clock)
    answers = list(stream.answers(source))
    assert answers
    for answer in answers[:-1]:
        assert answer.latency_sec < seconds + 1 / 30 + 1e-6
    assert answers[-1].latency_sec < 2 * seconds + 1 / 30  # nothing newer came meanwhile
    assert source.read == 300
    if seconds > capacity / 30 + 0.1:
        assert source.dropped > 0
    ends = [answer.time_sec + answer.latency_sec for answer in answers]
    assert ends[-1] < 10 + 2 * seconds


def test_ten_thousand_frames_take_no_more_memory_than_a_clip() -> None:
    clock = Clock()
    source = Stream([k / 30 for k in range(10_000)], clock, 16, 1 / 30)
    most = 0
    stream = StreamPredictor(predictor(), every=0.5, clock=clock)
    for _ in stream.answers(source):
        most = max(most, len(source.alive))
    assert source.read == 10_000
    assert most <= 18  # 15 in a clip, and those just taken


def test_times_that_stand_still_take_no_more_memory_either() -> None:
    clock = Clock()
    source = Stream([k * 1e-9 for k in range(3000)], clock, 16, 1e-9)
    stream = StreamPredictor(predictor(), every=10.0, clock=clock)
    list(stream.answers(source))
    assert len(source.alive) <= 1024 + 16


def test_scores_are_smoothed() -> None:
    def scores(smooth: float) -> list[Tensor]:
        model, clock = predictor(), Clock()
        with torch.no_grad():
            model.model.scale *= 100  # type: ignore[operator,union-attr]
        stream = StreamPredictor(model, every=0.25, smooth=smooth, top=3)
        source = Stream([k / 16 for k in range(32)], clock, 8, 1 / 16)
        found = [dict(answer.labels) for answer in stream.answers(source)]
        return [torch.tensor([row[label] for label in model.labels]) for row in found]

    plain, smooth = scores(0.0), scores(0.75)
    assert torch.equal(plain[0], smooth[0])
    for before, new, after in zip(smooth, plain[1:], smooth[1:], strict=False):
        assert torch.allclose(after, 0.75 * before + 0.25 * new)
        assert after.sum() == pytest.approx(1)


def test_after_a_gap_and_in_another_size_a_clip_begins_anew() -> None:
    model, clock = predictor(), Clock()
    times = [k / 16 for k in range(8)] + [5 + k / 16 for k in range(8)]
    stream = StreamPredictor(model, every=0.0, smooth=0.9)
    answers = list(stream.answers(Stream(times, clock, 8, 1 / 16)))
    assert [answer.start_sec for answer in answers] == pytest.approx([0.0, 5.0])
    assert numbers(model.model.seen[1]) == [8, 10, 12, 15]  # type: ignore[union-attr,index,arg-type]

    class Changing(Stream):
        def frame(self, number: int, time: float) -> LiveFrame:
            size = 32 if number < 12 else 40
            return LiveFrame(time, torch.zeros(3, size, size, dtype=torch.uint8), time)

    stream = StreamPredictor(model, every=0.0)
    times = [k / 16 for k in range(24)]
    answers = list(stream.answers(Changing(times, Clock(), 8, 1 / 16)))
    assert [round(answer.time_sec * 16) for answer in answers] == [7, 8, 9, 10, 11, *range(19, 24)]


def test_a_video_that_is_shorter_than_a_clip_has_one_answer(make_video: MakeVideo) -> None:
    path = make_video("short.mp4", num_frames=6, fps=16, height=32, width=48)
    model = predictor()
    stream = StreamPredictor(model, top=3)
    with stream.open(path) as video:
        (answer,) = stream.answers(video)
    assert (answer.start_sec, answer.end_sec) == pytest.approx((0, 6 / 16))
    wanted = dict(model.predict(path, clips=1, top_k=3))
    assert dict(answer.labels) == pytest.approx(wanted)


def test_it_ends_after_so_many_seconds(make_video: MakeVideo) -> None:
    path = make_video("rate25.mp4", num_frames=50, fps=25, height=32, width=48)
    stream = StreamPredictor(predictor(), every=0.0)
    with stream.open(path) as video:
        answers = list(stream.answers(video, seconds=0.8))
        assert video.read == 20
    assert answers[-1].end_sec == pytest.approx(0.8)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return create_x3d(
            input_clip_length=4, input_crop_size=32, depth_factor=1.0, model_num_class=3
        ).eval()


def test_the_incremental_mode_computes_each_frame_once(
    make_video: MakeVideo, network: nn.Module
) -> None:
    path = make_video("rate16.mp4", num_frames=40, fps=16, height=32, width=48)
    recipe = replace(RECIPE, frames_per_second=16, sampling_rate=1)
    model = VideoPredictor(network, recipe, ["a", "b", "c"])
    stream = StreamPredictor(model, every=0.0, top=3, incremental=True)
    with stream.open(path) as video:
        answers = list(stream.answers(video))
    by_hand = IncrementalModel(network, 4)
    (transform,) = (replace(model.recipe, num_frames=40).transforms(),)
    with EncodedVideo.from_path(path) as video:
        clip = transform(video.get_clip(0, video.duration)["video"])
    rows = [(k, by_hand.step(clip[None, :, k : k + 1])) for k in range(40)]
    wanted = [(k, row.softmax(dim=1)[0]) for k, row in rows if row is not None]
    assert len(wanted) == len(answers) > 10
    for (number, scores), answer in zip(wanted, answers, strict=True):
        assert answer.time_sec == pytest.approx(number / 16)
        assert answer.end_sec == pytest.approx((number + 1 - by_hand.delay) / 16)
        assert answer.end_sec - answer.start_sec == pytest.approx(0.25)
        found = torch.tensor([dict(answer.labels)[label] for label in model.labels])
        assert torch.allclose(found, scores, atol=1e-5)


def test_the_incremental_mode_takes_frames_at_the_distance_of_the_clip(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 29.3 frames per second those nearest to 8 a second; several at once where the model was slow."""
    seen: list[list[int]] = []

    def step(self: IncrementalModel, frames: Tensor) -> Tensor:
        seen.append(numbers(frames[0, 0, :, 0, 0]))
        clock.now += 0.4 if len(seen) == 3 else 0.0
        return torch.zeros(1, 3)

    monkeypatch.setattr(IncrementalModel, "step", step)
    clock = Clock()
    model = VideoPredictor(network, RECIPE, ["a", "b", "c"])
    stream = StreamPredictor(model, every=0.0, incremental=True, clock=clock)
    answers = list(stream.answers(Stream([k / 29.3 for k in range(40)], clock, 15, 1 / 29.3)))
    assert seen == [[0], [4], [7], [11, 15, 18], [22], [26], [29], [33], [37]]
    assert len(answers) == len(seen)


def test_the_incremental_mode_begins_anew_after_a_gap(network: nn.Module) -> None:
    recipe = replace(RECIPE, frames_per_second=16, sampling_rate=1)
    stream = StreamPredictor(
        VideoPredictor(network, recipe, ["a", "b", "c"]), every=0.0, incremental=True
    )
    times = [k / 16 for k in range(20)] + [10 + k / 16 for k in range(20)]
    answers = list(stream.answers(Stream(times, Clock(), 8, 1 / 16)))
    numbers_of_frames = [round(answer.time_sec % 10 * 16) for answer in answers]
    assert numbers_of_frames == [16, 17, 18, 19] * 2


def test_a_model_that_cannot_be_incremental_says_why() -> None:
    with pytest.raises(ValueError, match="Colours"):
        StreamPredictor(predictor(), incremental=True)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"every": -1.0}, "every"),
        ({"every": float("nan")}, "every"),
        ({"smooth": 1.0}, "smooth"),
        ({"top": 0}, "top"),
    ],
)
def test_arguments(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=f"Expected `{word}`"):
        StreamPredictor(predictor(), **arguments)


def test_a_source_that_breaks_off_is_an_error_after_its_answers() -> None:
    class Broken(Stream):
        def take(self) -> list[LiveFrame]:
            if not self._coming:
                raise VideoError("lost.")
            return super().take()

    source = Broken([k / 16 for k in range(8)], Clock(), 8, 1 / 16)
    answers: Iterator[StreamAnswer] = StreamPredictor(predictor()).answers(source)
    assert next(answers).end_sec == pytest.approx(0.5)
    with pytest.raises(VideoError, match=r"lost\."):
        next(answers)


def test_an_answer_as_json() -> None:
    answer = StreamAnswer(1.0, 0.5, 1.1, [("run", 0.75)], 0.01, 30, 2)
    assert json.loads(json.dumps(answer.to_dict())) == {
        "time_sec": 1.0,
        "start_sec": 0.5,
        "end_sec": 1.1,
        "labels": [{"label": "run", "score": 0.75}],
        "latency_sec": 0.01,
        "frames_read": 30,
        "frames_dropped": 2,
    }


def test_the_summary() -> None:
    clock = Clock()
    summary = StreamSummary("camera 0", clock)
    clock.now = 10.0
    assert summary.sentence(0, 0, 0.0) == (
        "camera 0: 0 predictions in 0.0 s of video, 0 frames read, 0 dropped, 0.00 x real time."
    )
    for number in range(20):
        summary.add(StreamAnswer(1.0, 0.5, 1.1, [], number / 100, 30, 2))
    assert summary.sentence(300, 7, 20.0) == (
        "camera 0: 20 predictions in 20.0 s of video, latency 0.095 s (median), 0.180 s (p95), "
        "300 frames read, 7 dropped, 2.00 x real time."
    )


@given(st.lists(st.floats(-10, 10), min_size=1), st.floats(1, 100))
def test_percentile(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-9
    assert sum(value < found for value in values) <= len(values) * percent / 100
