# SPDX-License-Identifier: Apache-2.0
"""Engines of stream prediction: a sliding window, or frame by frame."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pytorchvideo.data.live import LiveFrame
from pytorchvideo.inference.predictor import ClipScores, VideoPredictor
from pytorchvideo.transforms import ShortSideScale, UniformTemporalSubsample
from pytorchvideo.transforms.functional import temporal_subsample_indices

SLACK_SEC = 1e-6  # of times that are computed in floats
_ROUNDING = 0.1  # of a frame: Matroska's times are whole milliseconds
_MOST_FRAMES = 1024  # of a window, whatever its times are


def scaling(predictor: VideoPredictor) -> Callable[[Tensor], Tensor] | None:
    """The scaling of the model's clips, for pictures uint8 (3, H, W)."""
    for step in predictor.recipe.evaluation_steps():
        if isinstance(step, ShortSideScale):
            scale: Callable[[Tensor], Tensor] = step
            return lambda picture: scale(picture[:, None])[:, 0]
    return None


class Engine:
    """Frames in, scores out.

    Attributes:
        newest: the last frame that was added.
    """

    newest: LiveFrame

    def __init__(self, predictor: VideoPredictor) -> None:
        self._predictor = predictor
        self._recipe = predictor.recipe
        self._length = predictor.recipe.clip_duration_sec
        self._shape: torch.Size | None = None
        self._step = 0.0

    def clear(self) -> None:
        """Forgets all frames."""
        self._shape = None

    def add(self, frame: LiveFrame, step: float) -> bool:
        """Takes a frame; True where it belongs to nothing before it, after a gap or in another size."""
        is_other = self._shape is not None and (
            frame.data.shape != self._shape
            or frame.time_sec - self.newest.time_sec > max(self._length, 2 * step)
        )
        if is_other:
            self.clear()
        self._shape, self._step, self.newest = frame.data.shape, step, frame
        self._take(frame)
        return is_other

    def _take(self, frame: LiveFrame) -> None:
        raise NotImplementedError

    def advance(self) -> None:
        """Computes what must be computed of every frame."""

    @property
    def is_ready(self) -> bool:
        """Whether there is an answer for the newest frame."""
        raise NotImplementedError

    @property
    def holds_something(self) -> bool:
        """Whether an answer is possible although the stream ended before the first clip did."""
        return False

    def answer(self) -> ClipScores:
        """The scores of the last clip."""
        raise NotImplementedError


class ClipByClip(Engine):
    """Keeps the frames of the last clip, and runs the model on all of it."""

    def __init__(self, predictor: VideoPredictor) -> None:
        super().__init__(predictor)
        self._transform = nn.Sequential(*predictor.recipe.evaluation_steps())
        self._frames: deque[LiveFrame] = deque(maxlen=_MOST_FRAMES)

    def clear(self) -> None:
        super().clear()
        self._frames.clear()

    def _take(self, frame: LiveFrame) -> None:
        self._frames.append(frame)
        # the one that was on show when the clip began is kept
        while len(self._frames) > 1 and self._frames[1].time_sec <= self._start + SLACK_SEC:
            self._frames.popleft()

    @property
    def _end(self) -> float:
        return self.newest.time_sec + self._step

    @property
    def _start(self) -> float:
        return self._end - self._length

    @property
    def is_ready(self) -> bool:
        is_full = len(self._frames) == self._frames.maxlen
        return is_full or self._frames[0].time_sec <= self._start + _ROUNDING * self._step

    @property
    def holds_something(self) -> bool:
        return bool(self._frames)

    def answer(self) -> ClipScores:
        times = [frame.time_sec for frame in self._frames]
        start = max(self._start, times[0])
        # as many frames as a video of this rate has in a clip
        count = max(1, int((self._end - start) / self._step + _ROUNDING))
        behind = (count - 1 - temporal_subsample_indices(count, self._recipe.num_frames)).tolist()
        wanted = [times[-1] - (places - 0.5) * self._step for places in behind]
        shown = [self._frames[max(0, bisect_right(times, time) - 1)].data for time in wanted]
        clip = torch.stack(shown, dim=1).float()  # (3, T, H, W)
        scores = self._predictor.score_inputs([[self._transform(clip)]])[0]
        return ClipScores(start, self._end, scores)


class FrameByFrame(Engine):
    """Runs the model on each frame once, at the distance of those of its clips."""

    def __init__(self, predictor: VideoPredictor) -> None:
        super().__init__(predictor)
        from pytorchvideo.models.incremental import IncrementalModel

        self._model = IncrementalModel(predictor.model, self._recipe.num_frames)
        self._distance = self._recipe.sampling_rate / self._recipe.frames_per_second
        steps = predictor.recipe.evaluation_steps()
        kept = [step for step in steps if not isinstance(step, UniformTemporalSubsample)]
        self._transform = nn.Sequential(*kept)
        self._pending: list[Tensor] = []
        self._logits: Tensor | None = None
        self._next: float | None = None
        self._like = next(predictor.model.parameters(), torch.zeros(()))

    def clear(self) -> None:
        super().clear()
        self._model.reset()
        self._pending, self._logits, self._next = [], None, None

    def _take(self, frame: LiveFrame) -> None:
        if self._next is None:
            self._next = frame.time_sec
        behind = frame.time_sec - self._next
        if behind >= -self._step / 2:
            self._pending.append(frame.data)
            self._next += self._distance * (1 + max(0, round(behind / self._distance)))

    @torch.inference_mode()
    def advance(self) -> None:
        self._logits = None
        if self._pending:
            clip = torch.stack(self._pending, dim=1).float()  # (3, t, H, W)
            self._pending = []
            self._logits = self._model.step(self._transform(clip)[None].to(self._like))

    @property
    def is_ready(self) -> bool:
        return self._logits is not None

    def answer(self) -> ClipScores:
        logits: Any = self._logits
        scores = logits.float().sigmoid() if self._predictor.multi_label else logits.softmax(dim=1)
        end = self.newest.time_sec + self._step - self._model.delay * self._distance
        return ClipScores(end - self._length, end, scores[0].float().cpu())
