# SPDX-License-Identifier: Apache-2.0
"""Arguments and results of decoders, and the checks that all decoders share."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Integral, Rational
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from pytorchvideo._checks import expected
from pytorchvideo._text import counted

Time = float | Fraction
"""Seconds; a Fraction where frames must be hit exactly."""

FrameFilter = Callable[[list[int]], Sequence[int]]
"""Gets the indices ``0 .. T-1`` of the frames of a clip and returns the indices to load, in that order."""

FrameResize = Callable[[int, int], tuple[int, int]]
"""Gets the (height, width) of an upright frame and returns those to scale it to."""

FrameTransform = Callable[[torch.Tensor], torch.Tensor | None]
"""Gets each frame (3, 1, H, W) of a clip alone, and returns what is kept of it: (C, 1, h, w), float32 or uint8.

It may keep no part of what it gets, whose memory the next frame takes. None for the first frame keeps all as they are.
"""

_TIME_SLACK_SEC = Fraction(
    1, 2_000_000_000
)  # more than floats are off, less than the nanosecond that people add
_TICK_SLACK = Fraction(1, 4)  # so that times that are whole ticks stay exact


class VideoError(RuntimeError):
    """A file that cannot be read as a video; the message names the file and says why."""


class Orientation(NamedTuple):
    """How a stored frame is shown: rows and columns swapped first, then mirrored.

    Attributes:
        is_transposed: rows are columns.
        flip_x: left is right then.
        flip_y: the top is the bottom then.
    """

    is_transposed: bool = False
    flip_x: bool = False
    flip_y: bool = False

    def size(self, height: int, width: int) -> tuple[int, int]:
        """The (height, width) of a shown frame of a stored one, and the other way round."""
        return (width, height) if self.is_transposed else (height, width)

    def upright(self, frame: torch.Tensor) -> torch.Tensor:
        """A stored frame (H, W, 3) as it is shown, contiguous if it was."""
        if not any(self):
            return frame
        turned = frame.transpose(0, 1) if self.is_transposed else frame
        axes = [axis for axis, flip in ((0, self.flip_y), (1, self.flip_x)) if flip]
        return (turned.flip(axes) if axes else turned).contiguous()


@dataclass(frozen=True)
class VideoInfo:
    """What the headers of a file say.

    Times are in seconds after the first video frame (after the first sample, where there is no video).
    """

    name: str
    format: str
    duration: Fraction
    has_video: bool
    has_audio: bool
    codec: str | None = None
    stream_index: int | None = None
    pix_fmt: str | None = None
    width: int | None = None
    height: int | None = None
    rate: Fraction | None = None
    bit_rate: int | None = None
    video_duration: Fraction | None = None
    pixel_aspect: Fraction | None = None
    audio_codec: str | None = None
    audio_rate: int | None = None


@dataclass(frozen=True, repr=False)
class Frames:
    """Upright RGB frames of a clip.

    ``data`` is uint8 or float32 (3, T, H, W) in 0..255, ``pts_sec`` float64 (T,), ``indices`` their places among all
    frames of the clip.
    """

    data: torch.Tensor
    pts_sec: torch.Tensor
    indices: list[int]

    def __repr__(self) -> str:
        return f"Frames(data={tuple(self.data.shape)} {self.data.dtype}, pts_sec={self.pts_sec})"


@dataclass(frozen=True, repr=False)
class AudioSamples:
    """Sound of a clip: ``data`` float32 (channels, S) in [-1, 1]; sample k is at ``start + k / rate``."""

    data: torch.Tensor
    rate: int

    def __repr__(self) -> str:
        return f"AudioSamples(data={tuple(self.data.shape)}, rate={self.rate})"


def as_time(value: Any, name: str) -> Time:
    """Returns seconds given as a number of any kind, or as an array or tensor of one, as a float or Fraction.

    A 32-bit float means the shortest decimal that is it: 0.1, and not the 0.10000000149 that it is.

    Raises:
        ValueError: it is no number, or is NaN; ``name`` is what the message calls it.

    >>> import numpy as np
    >>> as_time(np.float32(0.1), "start_sec"), as_time(2, "start_sec"), as_time(torch.tensor(0.5), "start_sec")
    (Fraction(1, 10), Fraction(2, 1), Fraction(1, 2))
    """
    if isinstance(value, (torch.Tensor, np.ndarray)) and math.prod(value.shape) == 1:
        if isinstance(value, torch.Tensor) and value.dtype == torch.bfloat16:  # which numpy has not
            value = value.float()
        value = np.asarray(value).reshape(())[()]
    is_exact = isinstance(value, Rational) or (isinstance(value, Decimal) and value.is_finite())
    if is_exact:
        return Fraction(int(value)) if isinstance(value, Integral) else Fraction(value)
    try:
        seconds = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(expected(name, "seconds, a number", value)) from error
    if math.isnan(seconds):
        raise ValueError(expected(name, "seconds, a number", seconds))
    if isinstance(value, (np.float16, np.float32)) and math.isfinite(seconds):
        simple = (Fraction(seconds).limit_denominator(10**digits) for digits in range(1, 10))
        return next((f for f in simple if type(value)(float(f)) == value), seconds)
    return seconds


def as_window(start_sec: Any, end_sec: Any, duration: Fraction | float) -> tuple[Time, Time] | None:
    """Returns the start and end of a clip, a start before 0 cut at 0; None where no frame can lie between them.

    Raises:
        ValueError: one of them is no number.

    >>> as_window(-1e-6, 1, 2), as_window(2, 3, 2), as_window(1, 0.5, 2)
    ((Fraction(0, 1), Fraction(1, 1)), None, None)
    """
    start, end = as_time(start_sec, "start_sec"), as_time(end_sec, "end_sec")
    start = start if start > 0 else Fraction(0)
    return (start, end) if start < min(end, duration) else None


def window_name(name: str, start_sec: Time, end_sec: Time) -> str:
    """What errors call a clip of a file."""
    return f"{name}, clip [{float(start_sec):.3f}, {float(end_sec):.3f}) s"


def ceil_ticks(time_sec: Time, time_base: Fraction) -> float:
    """Returns the first tick at or after a time, to half a nanosecond or a quarter of a tick if that is less.

    13/30 as a float, or as a Fraction that was made of one, is a little off the frame time that is meant. A window up
    to it does not take that frame in, and one from it on does not lose it.

    >>> tick = Fraction(1, 30)
    >>> ceil_ticks(13 / 30, tick), ceil_ticks(Fraction(13 / 30), tick), ceil_ticks(Fraction(13, 30), tick)
    (13, 13, 13)
    >>> ceil_ticks(0.11, tick), ceil_ticks(float("inf"), tick)
    (4, inf)
    """
    if isinstance(time_sec, float) and math.isinf(time_sec):
        return time_sec
    slack = min(_TIME_SLACK_SEC / time_base, _TICK_SLACK)
    return math.ceil(Fraction(time_sec) / time_base - slack)


def floor_ticks(time_sec: Time, time_base: Fraction) -> float:
    """Returns the last tick of a clock at or before a time, with the tolerance of :func:`ceil_ticks`.

    >>> tick = Fraction(1, 30)
    >>> floor_ticks(0.3, tick), floor_ticks(Fraction(3, 10), tick), floor_ticks(0.299, tick)
    (9, 9, 8)
    """
    return -ceil_ticks(-time_sec, time_base)


def check_dtype(dtype: torch.dtype) -> None:
    """Raises a ValueError unless clips can have this dtype."""
    if dtype not in (torch.float32, torch.uint8):
        raise ValueError(expected("dtype", "torch.float32 or torch.uint8", dtype))


def check_file(path: Path) -> None:
    """Raises unless a path is a file with something in it.

    Raises:
        FileNotFoundError: there is nothing.
        IsADirectoryError: it is a directory.
        VideoError: the file is empty.
    """
    if path.is_dir():
        raise IsADirectoryError(
            f"{path} is a directory, but a video file was expected. "
            "A folder of frames is read by FrameVideo.from_directory."
        )
    if not path.exists():
        raise FileNotFoundError(f"There is no video file {path}.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is empty (0 bytes), so it is not a readable video.")


def check_window(start_sec: Time, end_sec: Time, name: str, duration: Fraction) -> None:
    """Raises a ValueError that names the file unless ``0 <= start_sec < duration`` and ``start_sec <= end_sec``."""
    window = f"clip [{float(start_sec):g}, {float(end_sec):g}) s of {name}"
    if not start_sec >= 0:
        raise ValueError(f"{window}: " + expected("start_sec", ">= 0 seconds", float(start_sec)))
    if not end_sec >= start_sec:
        raise ValueError(
            f"{window}: " + expected("end_sec", "at or after `start_sec`", float(end_sec))
        )
    if start_sec >= duration:
        advice = f"The file is {float(duration):.3f} s long."
        raise ValueError(
            f"{window} lies beyond the end: "
            + expected("start_sec", f"< {float(duration):.3f}", float(start_sec), advice)
        )


def select_frames(frame_filter: FrameFilter | None, num_frames: int, name: str) -> list[int]:
    """Returns the indices that a filter picks out of ``num_frames``, checked; all of them without a filter."""
    everything = list(range(num_frames))
    if frame_filter is None:
        return everything
    picked = [int(i) for i in frame_filter(everything)]
    wrong = [i for i in picked if not 0 <= i < num_frames]
    if wrong:
        raise ValueError(
            f"{name}: "
            + expected("frame_filter", f"a choice of indices 0 to {num_frames - 1}", wrong[0])
        )
    return picked


def pick_frames(
    indices: Any,
    timestamps_sec: Any,
    num_frames: int,
    on_show_at: Callable[[Time], int],
    name: str,
    duration: Fraction,
) -> list[int]:
    """Returns the places in a video of single frames, asked for by exactly one of places and times.

    Args:
        indices: whole numbers, as a sequence, array or tensor; negative ones count from the end.
        timestamps_sec: seconds after the first frame, likewise.
        num_frames: of the video.
        on_show_at: time -> place of the frame that is on show then.
        name: of the video, for errors.
        duration: of the video.

    Raises:
        ValueError: not exactly one is given, nothing is asked for, a place is no whole number, or a time is outside of
            the video.
        IndexError: a place outside of the video.
    """
    if (indices is None) == (timestamps_sec is None):
        got = "neither" if indices is None else "both"
        raise ValueError(f"Expected exactly one of `indices` and `timestamps_sec`, but got {got}.")
    times = [as_time(time, "timestamps_sec") for time in _listed(timestamps_sec)]
    places = [_as_index(index, name) for index in _listed(indices)]
    for time in times:
        check_window(time, time, name, duration)
    for place in places:
        if not -num_frames <= place < num_frames:
            raise IndexError(
                f"{name} has {counted(num_frames, 'frame')}, so there is no frame {place}."
            )
    wanted = [on_show_at(time) for time in times] + [place % num_frames for place in places]
    if not wanted:
        raise ValueError(expected("indices or timestamps_sec", "at least one frame", []))
    return wanted


def _listed(values: Any) -> list[Any]:
    """The items of a sequence, array or tensor; a single number is one."""
    if values is None:
        return []
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray):
        values = np.atleast_1d(values)
    return list(values) if isinstance(values, Iterable) else [values]


def _as_index(value: Any, name: str) -> int:
    is_number = not isinstance(value, (bool, np.bool_, str, slice, list, tuple))
    shape = getattr(value, "shape", ())
    number = as_time(value, "indices") if is_number and math.prod(shape) == 1 else math.nan
    if math.isinf(number) or number != number // 1:
        raise ValueError(f"{name}: " + expected("indices", "whole numbers", value))
    return int(number)
