# SPDX-License-Identifier: Apache-2.0
"""What a decoder takes and returns, and the checks that all of them share."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import torch

from pytorchvideo._checks import expected
from pytorchvideo.data._decode._frame_index import FrameIndex

Time = float | Fraction
"""Seconds; a Fraction where frames must be hit exactly."""

FrameFilter = Callable[[list[int]], Sequence[int]]
"""Gets the indices ``0 .. T-1`` of the frames of a clip and returns the indices to load, in that order."""

FrameResize = Callable[[int, int], tuple[int, int]]
"""Gets the (height, width) of an upright frame and returns those to scale it to."""


class VideoError(RuntimeError):
    """A file that cannot be read as a video; the message names the file and says why."""


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


class Decoder(Protocol):
    """One open file."""

    info: VideoInfo

    def frames(
        self,
        start_sec: float | Fraction,
        end_sec: float | Fraction,
        frame_filter: FrameFilter | None,
        resize: FrameResize | None = None,
        dtype: torch.dtype = torch.uint8,
    ) -> Frames | None:
        """Returns the frames with ``start_sec <= t < end_sec``, or None where there are none."""

    @property
    def index(self) -> FrameIndex | None:
        """The times of all frames, from one pass over the packets of the file; None without video."""

    def audio(self, start_sec: Time, end_sec: Time) -> AudioSamples | None:
        """Returns the samples with ``start_sec <= t < end_sec``, or None where there are none."""

    def close(self) -> None:
        """Gives the file back."""


def ceil_ticks(time_sec: Time, time_base: Fraction) -> float:
    """Returns the first tick of a clock at or after a time: exact for fractions, to 1e-6 ticks for floats.

    A float such as 0.1 is a little off the frame time that its writer meant; that frame is not lost to it.

    >>> ceil_ticks(0.1, Fraction(1, 30)), ceil_ticks(Fraction(1, 10), Fraction(1, 30))
    (3, 3)
    >>> ceil_ticks(0.11, Fraction(1, 30)), ceil_ticks(float("inf"), Fraction(1, 30))
    (4, inf)
    """
    if isinstance(time_sec, float):
        if math.isinf(time_sec):
            return time_sec
        ticks = time_sec * time_base.denominator / time_base.numerator
        nearest = round(ticks)
        return nearest if abs(ticks - nearest) < 1e-6 else math.ceil(ticks)
    return math.ceil(Fraction(time_sec) / time_base)


def floor_ticks(time_sec: Time, time_base: Fraction) -> float:
    """Returns the last tick of a clock at or before a time; floats as in :func:`ceil_ticks`.

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
    indices: Sequence[int] | None,
    timestamps_sec: Sequence[Time] | None,
    num_frames: int,
    on_show_at: Callable[[Time], int],
    name: str,
    duration: Fraction,
) -> list[int]:
    """Returns the places in a video of single frames, asked for by exactly one of places and times.

    Args:
        indices: negative ones count from the end.
        timestamps_sec: seconds after the first frame.
        num_frames: of the video.
        on_show_at: time -> place of the frame that is on show then.
        name: of the video, for errors.
        duration: of the video.

    Raises:
        ValueError: not exactly one is given, or nothing is asked for, or a time outside of the video.
        IndexError: a place outside of the video.
    """
    if (indices is None) == (timestamps_sec is None):
        got = "neither" if indices is None else "both"
        raise ValueError(f"Expected exactly one of `indices` and `timestamps_sec`, but got {got}.")
    for time in timestamps_sec or ():
        check_window(time, time, name, duration)
    for index in indices or ():
        if not -num_frames <= index < num_frames:
            raise IndexError(f"{name} has {num_frames} frames, so there is no frame {index}.")
    wanted = [on_show_at(time) for time in timestamps_sec or ()]
    wanted += [int(index) % num_frames for index in indices or ()]
    if not wanted:
        raise ValueError(expected("indices or timestamps_sec", "at least one frame", []))
    return wanted
