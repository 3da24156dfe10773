# SPDX-License-Identifier: Apache-2.0
"""Clip samplers: the windows ``[start_sec, end_sec)`` of a video that become clips.

A sampler is called as ``sampler(last_clip_end_time, video_duration, annotation)``, with ``None`` as
the first argument for the first clip of a video, until it says that a clip is the last one. Every
sampler is a choice of start times over one window generator, :func:`windows`. All times are exact
fractions of a second.
"""

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple, TypeAlias, get_args

import torch

from pytorchvideo._checks import check_choice, expected, near_names
from pytorchvideo._positions import Single, even_start
from pytorchvideo.data._decode import as_time
from pytorchvideo.data._reading.randomness import current_worker

Seconds: TypeAlias = int | float | Fraction

_FINEST = 1_000_000  # the greatest denominator of the fractions that floats stand for


class ClipInfo(NamedTuple):
    """One view of one clip of a video.

    Attributes:
        clip_start_sec: start of the clip, inclusive.
        clip_end_sec: end of the clip, exclusive.
        clip_index: ordinal of the stretch of time in its video: 0, 1, 2...
        aug_index: ordinal of the view of this same stretch; a dataset decodes only when it is 0.
        is_last_clip: nothing comes after this view in this video.
    """

    clip_start_sec: Fraction
    clip_end_sec: Fraction
    clip_index: int
    aug_index: int
    is_last_clip: bool


class ClipInfoList(NamedTuple):
    """Several clips that make one sample; the fields of :class:`ClipInfo`, as lists."""

    clip_start_sec: list[Fraction]
    clip_end_sec: list[Fraction]
    clip_index: list[int]
    aug_index: list[int]
    is_last_clip: list[bool]


class Window(NamedTuple):
    """A stretch ``[start, end)`` in seconds, and whether no other follows."""

    start: Fraction
    end: Fraction
    is_last: bool


def windows(
    video_duration: Fraction,
    clip_duration: Fraction,
    stride: Fraction,
    *,
    start: Fraction = Fraction(0),
    backpad_last: bool = False,
    eps: Seconds = 0,
) -> Iterator[Window]:
    """Yields windows of one length, a stride apart, that lie inside the video.

    There is always one: a video shorter than the clip has the window ``[0, clip_duration)``.

    Args:
        video_duration: seconds.
        clip_duration: seconds, the length of every window.
        stride: seconds from start to start, >= 0; with 0 the windows never end.
        start: where the first window starts.
        backpad_last: end with a window moved back to the end of the video, leaving no rest.
        eps: by how many seconds a window may exceed the video and still count as inside.

    >>> [float(w.start) for w in windows(Fraction(5), Fraction(2), Fraction(2))]
    [0.0, 2.0]
    >>> [float(w.start) for w in windows(Fraction(5), Fraction(2), Fraction(2), backpad_last=True)]
    [0.0, 2.0, 3.0]
    """
    latest = max(video_duration - clip_duration, Fraction(0))

    def placed(at: Fraction) -> Fraction:
        return latest if backpad_last and at > latest + eps else at

    is_last = False
    while not is_last:
        start = placed(start)
        following = placed(start + stride)
        if backpad_last:
            is_last = stride > 0 and following == latest and abs(latest - start) <= eps
        else:
            is_last = following > latest + eps
        yield Window(start, start + clip_duration, is_last)
        start = following


def exact_seconds(value: Any, name: str = "seconds") -> Fraction:
    """Returns seconds, a number of any kind, as a fraction; a float as the simplest one that it is a rounding of.

    ``13 / 30`` as a float is a little more than 13 frames at 30 a second, and would take the frame after them.

    Raises:
        ValueError: it is no number, or infinite; ``name`` is what the message calls it.

    >>> exact_seconds(13 / 30), exact_seconds(0.1 + 0.2), exact_seconds(1001 / 30000)
    (Fraction(13, 30), Fraction(3, 10), Fraction(1001, 30000))
    """
    time = value if isinstance(value, Fraction) else as_time(value, name)
    if isinstance(time, Fraction):
        return time
    if math.isinf(time):
        raise ValueError(expected(name, "a finite number of seconds", value))
    given = Fraction(time)
    return given.limit_denominator(_FINEST) or given


def _positive(name: str, value: Seconds, wanted: str = "> 0 seconds") -> Fraction:
    """An argument in seconds as an exact fraction."""
    time = as_time(value, name)
    if not 0 < time < math.inf:
        raise ValueError(expected(name, wanted, value))
    return exact_seconds(time, name)


def _count(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(expected(name, "a whole number >= 1", value))
    return value


class ClipSampler(ABC):
    """Base of all clip samplers.

    Args:
        clip_duration: length of a clip in seconds.

    Raises:
        ValueError: ``clip_duration`` is not a positive, finite number.
    """

    def __init__(self, clip_duration: Seconds) -> None:
        self._clip_duration = _positive("clip_duration", clip_duration)
        self._current_clip_index = 0
        self._current_aug_index = 0

    @abstractmethod
    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo | ClipInfoList:
        """Returns the next clip of a video.

        Args:
            last_clip_end_time: where the clip before ended; None for the first of a video.
            video_duration: seconds.
            annotation: what the dataset knows about the video, for samplers that depend on it.
        """

    def reset(self) -> None:
        """Forgets the video; the next call starts another one."""
        self._current_clip_index = 0
        self._current_aug_index = 0

    def _usable_duration(self, video_duration: Seconds) -> Fraction:
        """The part of a video, from its start, that clips are taken from."""
        return exact_seconds(video_duration)

    def __repr__(self) -> str:
        """The settings as they were given, in seconds."""
        hidden = {"_current_clip_index", "_current_aug_index", "_worker_seed"}
        settings = ", ".join(
            f"{name.lstrip('_')}={float(value) if isinstance(value, Fraction) else value}"
            for name, value in vars(self).items()
            if name not in hidden
        )
        return f"{type(self).__name__}({settings})"


class UniformClipSampler(ClipSampler):
    """All clips of a video, one every ``stride`` seconds.

    A rest at the end that is shorter than a clip is left out, unless ``backpad_last``.

    Args:
        clip_duration: length of a clip in seconds.
        stride: seconds between clip starts, by default ``clip_duration``: clips that touch.
        backpad_last: move a last clip that would exceed the video back to its end.
        eps: seconds by which a clip may exceed the video, against rounding of float times.

    Raises:
        ValueError: ``clip_duration`` or ``stride`` is not a positive, finite number.

    >>> sampler = UniformClipSampler(2, stride=4)
    >>> sampler(None, 10, {})
    ClipInfo(clip_start_sec=Fraction(0, 1), clip_end_sec=Fraction(2, 1), clip_index=0, aug_index=0,
             is_last_clip=False)
    """

    def __init__(
        self,
        clip_duration: Seconds,
        stride: Seconds | None = None,
        backpad_last: bool = False,
        eps: float = 1e-6,
    ) -> None:
        super().__init__(clip_duration)
        self._stride = (
            self._clip_duration
            if stride is None
            else _positive("stride", stride, "> 0 seconds, or None for clips that touch")
        )
        self._backpad_last = backpad_last
        self._eps = eps

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        """Returns the clip that starts one stride after the start of the clip before."""
        # 0 is what older callers pass for the first clip; no clip ends there.
        start = (
            exact_seconds(last_clip_end_time) + self._stride - self._clip_duration
            if last_clip_end_time
            else Fraction(0)
        )
        window = next(
            windows(
                self._usable_duration(video_duration),
                self._clip_duration,
                self._stride,
                start=start,
                backpad_last=self._backpad_last,
                eps=self._eps,
            )
        )
        clip = ClipInfo(window.start, window.end, self._current_clip_index, 0, window.is_last)
        self._current_clip_index += 1
        if window.is_last:
            self.reset()
        return clip


class _TruncateFromStart(ClipSampler):
    """Makes a sampler see only the first ``truncation_duration`` seconds of every video."""

    _truncation_duration: Fraction | None = None

    def _truncate(self, truncation_duration: Seconds | None) -> None:
        if truncation_duration is not None:
            truncation_duration = _positive("truncation_duration", truncation_duration)
        self._truncation_duration = truncation_duration

    def _usable_duration(self, video_duration: Seconds) -> Fraction:
        duration = super()._usable_duration(video_duration)
        limit = self._truncation_duration
        return duration if limit is None else min(duration, limit)


class UniformClipSamplerTruncateFromStart(_TruncateFromStart, UniformClipSampler):
    """:class:`UniformClipSampler` on the first ``truncation_duration`` seconds of a video."""

    def __init__(
        self,
        clip_duration: Seconds,
        stride: Seconds | None = None,
        backpad_last: bool = False,
        eps: float = 1e-6,
        truncation_duration: Seconds | None = None,
    ) -> None:
        super().__init__(clip_duration, stride, backpad_last, eps)
        self._truncate(truncation_duration)


class RandomClipSampler(ClipSampler):
    """One clip per video, anywhere in it with equal probability.

    Args:
        clip_duration: length of a clip in seconds.
        generator: where the randomness comes from. By default Python's ``random``, which
            ``random.seed`` makes reproducible and a ``DataLoader`` seeds anew per worker.
            From a generator, each worker derives its own with the seed the ``DataLoader`` gave it.
    """

    def __init__(self, clip_duration: Seconds, *, generator: torch.Generator | None = None) -> None:
        super().__init__(clip_duration)
        self._generator = generator
        self._worker_seed: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The generator as bytes: workers that are spawned cannot receive the object itself."""
        if self._generator is None:
            return self.__dict__
        state = self._generator.get_state().numpy().tobytes()
        return {**self.__dict__, "_generator": state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._generator, bytes):
            saved = torch.frombuffer(bytearray(self._generator), dtype=torch.uint8)
            self._generator = torch.Generator()
            self._generator.set_state(saved)

    def _uniform(self) -> float:
        """A random number in [0, 1)."""
        if self._generator is None:
            return random.random()
        worker = current_worker()
        if worker is not None and worker.seed != self._worker_seed:
            # All workers hold copies in the same state, and would draw the same clips.
            self._worker_seed = worker.seed
            seed = (self._generator.initial_seed() + worker.seed) % 2**63
            self._generator = torch.Generator().manual_seed(seed)
        return float(torch.rand((), generator=self._generator, dtype=torch.float64))

    def _random_window(self, video_duration: Seconds) -> Window:
        duration = self._usable_duration(video_duration)
        latest = max(duration - self._clip_duration, Fraction(0))
        start = min(Fraction(self._uniform() * float(latest)), latest)
        return next(windows(duration, self._clip_duration, self._clip_duration, start=start))

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo | ClipInfoList:
        """Returns a random clip, which is the only one of this video."""
        window = self._random_window(video_duration)
        return ClipInfo(window.start, window.end, 0, 0, True)


class RandomMultiClipSampler(RandomClipSampler):
    """Several independent random clips per video, in one sample and in no order.

    Args:
        clip_duration: length of a clip in seconds.
        num_clips: how many.
        generator: see :class:`RandomClipSampler`.
    """

    def __init__(
        self, clip_duration: Seconds, num_clips: int, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(clip_duration, generator=generator)
        self._num_clips = _count("num_clips", num_clips)

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfoList:
        """Returns all clips of this video at once."""
        drawn = [self._random_window(video_duration) for _ in range(self._num_clips)]
        return ClipInfoList(
            [window.start for window in drawn],
            [window.end for window in drawn],
            [0] * self._num_clips,
            [0] * self._num_clips,
            [True] * self._num_clips,
        )


class RandomMultiClipSamplerTruncateFromStart(_TruncateFromStart, RandomMultiClipSampler):
    """:class:`RandomMultiClipSampler` on the first ``truncation_duration`` seconds of a video."""

    def __init__(
        self,
        clip_duration: Seconds,
        num_clips: int,
        truncation_duration: Seconds | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(clip_duration, num_clips, generator=generator)
        self._truncate(truncation_duration)


class ConstantClipsPerVideoSampler(ClipSampler):
    """The same number of clips for every video, spread evenly from its start to its end.

    A video shorter than a clip gives the same clip ``clips_per_video`` times.

    Args:
        clip_duration: length of a clip in seconds.
        clips_per_video: number of clips.
        augs_per_clip: number of views of each clip; all views of one come before the next clip.
        single: where the clip lies if there is but one, ``"start"`` or ``"middle"``.

    Raises:
        ValueError: an argument is not positive, or no such place.
    """

    def __init__(
        self,
        clip_duration: Seconds,
        clips_per_video: int,
        augs_per_clip: int = 1,
        *,
        single: Single = "start",
    ) -> None:
        super().__init__(clip_duration)
        check_choice("single", single, get_args(Single))
        self._clips_per_video = _count("clips_per_video", clips_per_video)
        self._augs_per_clip = _count("augs_per_clip", augs_per_clip)
        self._single: Single = single

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        """Returns the next view of the current clip, or the first of the next clip."""
        duration = max(exact_seconds(video_duration), self._clip_duration)
        latest = duration - self._clip_duration
        stride = latest / max(self._clips_per_video - 1, 1)
        start = even_start(latest, self._clips_per_video, self._current_clip_index, self._single)
        window = next(windows(duration, self._clip_duration, stride, start=start))
        clip_index, aug_index = self._current_clip_index, self._current_aug_index
        last_view = aug_index == self._augs_per_clip - 1
        last_clip = window.is_last or clip_index == self._clips_per_video - 1
        if last_view and last_clip:
            self.reset()
        elif last_view:
            self._current_clip_index, self._current_aug_index = clip_index + 1, 0
        else:
            self._current_aug_index += 1
        return ClipInfo(window.start, window.end, clip_index, aug_index, last_view and last_clip)


_SAMPLERS: dict[str, type[ClipSampler]] = {
    "uniform": UniformClipSampler,
    "random": RandomClipSampler,
    "constant_clips_per_video": ConstantClipsPerVideoSampler,
    "random_multi": RandomMultiClipSampler,
}


def make_clip_sampler(sampling_type: str, *args: Any, **kwargs: Any) -> ClipSampler:
    """Makes a clip sampler by name.

    Args:
        sampling_type: ``"uniform"``, ``"random"``, ``"constant_clips_per_video"`` or
            ``"random_multi"``.
        args: the arguments of the sampler, the length of a clip in seconds first.
        kwargs: the same by name; ``duration`` means ``clip_duration``.

    Raises:
        NotImplementedError: there is no sampler of this name.

    >>> make_clip_sampler("random_multi", duration=2, num_clips=3)
    RandomMultiClipSampler(clip_duration=2.0, generator=None, num_clips=3)
    """
    if sampling_type not in _SAMPLERS:
        raise NotImplementedError(
            expected(
                "sampling_type",
                f"one of {', '.join(_SAMPLERS)}",
                sampling_type,
                near_names(str(sampling_type), _SAMPLERS),
            )
        )
    if "duration" in kwargs:
        kwargs["clip_duration"] = kwargs.pop("duration")
    return _SAMPLERS[sampling_type](*args, **kwargs)
