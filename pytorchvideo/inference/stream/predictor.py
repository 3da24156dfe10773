# SPDX-License-Identifier: Apache-2.0
"""``StreamPredictor``: predictions on a live stream, window by window.

    LiveVideo.take() ── window of the last clip ── model ── scores, smoothed ── answer
                        or, incrementally, each frame once

Which frames make a clip is decided by their times: where frames were dropped, or come at changing distances, the one
that was on show at a time stands in for it. On a file of a constant rate these are the frames that
:class:`~pytorchvideo.inference.predictor.VideoPredictor` takes of the same window.
"""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from pytorchvideo._checks import expected
from pytorchvideo._text import counted
from pytorchvideo.data.live import LiveFrame, LiveVideo
from pytorchvideo.inference.predictor import ClipScores, VideoPredictor
from pytorchvideo.inference.stream.engines import (
    SLACK_SEC,
    ClipByClip,
    Engine,
    FrameByFrame,
    scaling,
)

_LATENCIES = 10_000  # that a summary is made of


@dataclass(frozen=True)
class StreamAnswer:
    """What the model says at one time.

    Attributes:
        time_sec: of the newest frame, after the first one of the source.
        start_sec: start of the clip that the answer is about.
        end_sec: its end. In the incremental mode it lies before ``time_sec``.
        labels: the likeliest with their probabilities, best first.
        latency_sec: from the arrival of the newest frame to the answer.
        read: frames that came so far.
        dropped: frames of these that were not looked at.
    """

    time_sec: float
    start_sec: float
    end_sec: float
    labels: list[tuple[str, float]]
    latency_sec: float
    read: int
    dropped: int

    def to_dict(self) -> dict[str, Any]:
        """Returns the answer for a line of json."""
        return {
            "time_sec": self.time_sec,
            "start_sec": self.start_sec,
            "end_sec": self.end_sec,
            "labels": [{"label": label, "score": score} for label, score in self.labels],
            "latency_sec": self.latency_sec,
            "frames_read": self.read,
            "frames_dropped": self.dropped,
        }


class _Frames(Protocol):
    """What :class:`StreamPredictor` needs of a :class:`~pytorchvideo.data.live.LiveVideo`."""

    read: int

    @property
    def dropped(self) -> int: ...

    @property
    def frame_sec(self) -> float: ...

    def take(self) -> list[LiveFrame]: ...


class StreamPredictor:
    """Names what happens in a stream.

    Args:
        predictor: the model with its recipe and labels.
        every: seconds of the stream from one answer to the next; 0 answers as often as it can. Where the model is
            slower, answers are left out, never late.
        smooth: share of the scores before in each answer, in [0, 1): an exponential average.
        top: labels of an answer.
        incremental: compute each frame once, with :class:`~pytorchvideo.models.incremental.IncrementalModel`.
        clock: what latencies are measured with; that of the frames.

    Raises:
        ValueError: an argument is out of range, or the model cannot run incrementally.

    Example::

        stream = StreamPredictor(VideoPredictor.from_file("model.pt"))
        with stream.open("rtsp://camera/stream") as video:
            for answer in stream.answers(video):
                print(answer.time_sec, answer.labels[0])
    """

    def __init__(
        self,
        predictor: VideoPredictor,
        *,
        every: float = 1.0,
        smooth: float = 0.0,
        top: int = 5,
        incremental: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not every >= 0:
            raise ValueError(expected("every", ">= 0 seconds", every))
        if not 0 <= smooth < 1:
            raise ValueError(expected("smooth", "in [0, 1)", smooth))
        if top < 1:
            raise ValueError(expected("top", ">= 1", top))
        self._predictor = predictor
        self._every, self._smooth, self._top, self._clock = every, smooth, top, clock
        kind = FrameByFrame if incremental else ClipByClip
        self._engine: Engine = kind(predictor)

    def open(self, source: Any, **options: Any) -> LiveVideo:
        """Opens a source with frames of the size, and a buffer of the length, that the model needs.

        Arguments and errors are those of :class:`~pytorchvideo.data.live.LiveVideo`.
        """
        options.setdefault("transform", scaling(self._predictor))
        options.setdefault("buffer_sec", self._predictor.recipe.clip_duration_sec)
        return LiveVideo(source, **options)

    def answers(self, video: _Frames, *, seconds: float | None = None) -> Iterator[StreamAnswer]:
        """Yields answers until the source ends.

        Args:
            video: what :meth:`open` returned.
            seconds: end after so many seconds of the source.

        Raises:
            VideoError: (a RuntimeError) the source broke off.
        """
        engine = self._engine
        engine.clear()
        smoothed: Tensor | None = None
        first: float | None = None
        due, count, frames = 0.0, 0, []
        while frames := video.take():
            for frame in frames:
                if engine.add(frame, video.frame_sec):
                    smoothed = None  # another scene
            newest = frames[-1]
            engine.advance()
            if newest.time_sec + SLACK_SEC >= due and engine.is_ready:
                answer = engine.answer()
                scores = answer.scores
                if smoothed is not None:
                    scores = smoothed.lerp(scores, 1 - self._smooth)
                smoothed = scores
                yield self._answer(answer, scores, newest, video)
                count += 1
                first = newest.time_sec if first is None else first
                due = self._due(first, newest.time_sec)
            if seconds is not None and newest.time_sec + video.frame_sec >= seconds - SLACK_SEC:
                break
        if not count and engine.holds_something:
            answer = engine.answer()  # of a video that is shorter than a clip
            yield self._answer(answer, answer.scores, engine.newest, video)

    def _due(self, first: float, now: float) -> float:
        """The time of the next answer: a multiple of the distance after the first one."""
        if self._every == 0:
            return now
        passed = int((now - first) / self._every + SLACK_SEC)
        return first + (passed + 1) * self._every

    def _answer(
        self, clip: ClipScores, scores: Tensor, newest: LiveFrame, video: _Frames
    ) -> StreamAnswer:
        labels = self._predictor.named(
            [ClipScores(clip.start_sec, clip.end_sec, scores)], self._top
        )
        latency = self._clock() - newest.arrival_sec
        return StreamAnswer(
            newest.time_sec,
            clip.start_sec,
            clip.end_sec,
            labels,
            latency,
            video.read,
            video.dropped,
        )


class StreamSummary:
    """What became of a stream, in constant memory.

    Args:
        name: of the source.
        clock: for the real-time factor.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._clock, self._begin = name, clock, clock()
        self._latencies: deque[float] = deque(maxlen=_LATENCIES)
        self.answers = 0

    def add(self, answer: StreamAnswer) -> None:
        """Counts an answer."""
        self.answers += 1
        self._latencies.append(answer.latency_sec)

    def sentence(self, read: int, dropped: int, seconds: float) -> str:
        """Returns the summary.

        Args:
            read: frames that came.
            dropped: frames of these that were not looked at.
            seconds: of the source.
        """
        passed = max(1e-9, self._clock() - self._begin)
        words = [f"{self._name}: {counted(self.answers, 'prediction')} in {seconds:.1f} s of video"]
        if self._latencies:
            middle, late = statistics.median(self._latencies), percentile(self._latencies, 95)
            words.append(f"latency {middle:.3f} s (median), {late:.3f} s (p95)")
        words.append(f"{counted(read, 'frame')} read, {dropped} dropped")
        words.append(f"{seconds / passed:.2f} x real time")
        return ", ".join(words) + "."


def percentile(values: Collection[float], percent: float) -> float:
    """Returns the smallest value that so many percent of all do not exceed.

    >>> percentile([4.0, 1.0, 3.0, 2.0], 50), percentile([4.0, 1.0, 3.0, 2.0], 95)
    (2.0, 4.0)
    """
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
