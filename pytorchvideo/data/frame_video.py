# SPDX-License-Identifier: Apache-2.0
"""Folders of frames as videos."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.data._decode import (
    FrameFilter,
    FrameResize,
    Frames,
    FrameTransform,
    as_time,
    as_window,
    ceil_ticks,
    check_dtype,
    floor_ticks,
    pick_frames,
    select_frames,
    window_name,
)
from pytorchvideo.data._decode._images import list_frames, load_frames
from pytorchvideo.data._decode._limits import (
    MEMORY_LIMIT_BYTES,
    TIME_LIMIT_SEC,
    Budget,
    Limits,
)
from pytorchvideo.data._video import Video

FRAME_OPTIONS = ("dtype", "time_limit_sec", "memory_limit_bytes")  # that other readers have, too
_IO_THREADS = 8


class FrameVideo(Video):
    """A video whose frames are image files at a constant rate: frame k is shown at ``k / fps`` seconds.

    Args:
        duration: length in seconds.
        fps: frames per second.
        video_frame_to_path_fn: frame index -> path of its image.
        video_frame_paths: the paths themselves. Exactly one of the two is given.
        multithreaded_io: whether the images of a clip are read by several threads.
        dtype: of a clip's ``"video"``: ``torch.float32``, or ``torch.uint8`` for a quarter of the memory.
        time_limit_sec: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        memory_limit_bytes: likewise; Pillow's own limit of the pixels of an image holds, too.

    Raises:
        ValueError: unless exactly one of the two ways to name the images is given; for a limit that is not positive.
    """

    def __init__(
        self,
        duration: float | Fraction,
        fps: float,
        video_frame_to_path_fn: Callable[[int], str] | None = None,
        video_frame_paths: Sequence[str] | None = None,
        multithreaded_io: bool = False,
        *,
        dtype: torch.dtype = torch.float32,
        time_limit_sec: float = TIME_LIMIT_SEC,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        check_dtype(dtype)
        if (video_frame_to_path_fn is None) == (video_frame_paths is None):
            raise ValueError(
                "Expected exactly one of `video_frame_to_path_fn` and `video_frame_paths`, "
                f"but got {'neither' if video_frame_paths is None else 'both'}."
            )
        self._duration = float(duration)
        self._fps = _rate(fps)
        self._paths = video_frame_paths  # not copied: it may name millions of files lazily
        self._path_of = video_frame_to_path_fn
        self._num_frames = (
            len(self._paths) if self._paths is not None else round(duration * self._fps)
        )
        self._dtype = dtype
        self._threads = _IO_THREADS if multithreaded_io else 1
        self._limits = Limits(memory_limit_bytes, time_limit_sec)

    @classmethod
    def from_directory(
        cls,
        path: str | Path,
        fps: float = 30.0,
        multithreaded_io: bool = False,
        path_order_cache: dict[str, list[str]] | None = None,
        **other_args: Any,
    ) -> "FrameVideo":
        """Opens the images of a directory, in natural order of their names.

        Args:
            path: the directory.
            fps: frames per second.
            multithreaded_io: whether the images of a clip are read by several threads.
            path_order_cache: remembers the listing of a directory between calls.
            other_args: ``dtype`` and limits, see :class:`FrameVideo`.

        Raises:
            NotADirectoryError: if it is none.
            VideoError: (a RuntimeError) if it holds no images.
        """
        key = str(path)
        cached = path_order_cache.get(key) if path_order_cache is not None else None
        frames = cached if cached is not None else list_frames(path)
        if path_order_cache is not None:
            path_order_cache[key] = frames
        return cls.from_frame_paths(frames, fps, multithreaded_io, **other_args)

    @classmethod
    def from_frame_paths(
        cls,
        video_frame_paths: Sequence[str],
        fps: float = 30.0,
        multithreaded_io: bool = False,
        **other_args: Any,
    ) -> "FrameVideo":
        """Opens a list of images, in this order; other arguments are those of :class:`FrameVideo`.

        Raises:
            ValueError: for an empty list.
        """
        if not video_frame_paths:
            raise ValueError(expected("video_frame_paths", "a list of at least one path", []))
        duration = len(video_frame_paths) / _rate(fps)
        return cls(
            duration,
            fps,
            video_frame_paths=video_frame_paths,
            multithreaded_io=multithreaded_io,
            **other_args,
        )

    @property
    def name(self) -> str:
        """The name of the directory of the first frame."""
        return Path(self._path(0)).parent.name

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self._duration

    @property
    def rate(self) -> Fraction:
        """Frames per second."""
        return self._fps

    def get_clip(
        self,
        start_sec: float | Fraction,
        end_sec: float | Fraction,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
        frame_transform: FrameTransform | None = None,
    ) -> dict[str, Any] | None:
        """Returns the clip ``[start_sec, end_sec)``, cut at 0 and at the end of the video.

        Args:
            start_sec: where it begins: a number of any kind, or an array or tensor of one.
            end_sec: where it ends, the frame at this very time, to half a nanosecond, not included.
            frame_filter: gets the indices of the clip's frames and returns those to load.
            resize: gets the (height, width) of an upright image and returns those wanted; Pillow scales then, taking
                an average of all pixels that fall into one.
            frame_transform: see :meth:`EncodedVideo.get_clip <pytorchvideo.data.EncodedVideo.get_clip>`.

        Returns:
            A dict with ``video`` (3, T, H, W) in 0..255 or None, ``frame_indices`` into the video, and
            ``audio``, which is None. No dict but None where no frame begins in the window, as beyond the end.

        Raises:
            ValueError: a time is no number.
            VideoError: (a RuntimeError) if an image cannot be read.
        """
        window = as_window(start_sec, end_sec, self._duration)
        if window is None:
            return None
        inside = frame_range(*window, self._fps, self._num_frames)
        if not inside:
            return None
        first = inside[0]
        picked = select_frames(_shifted(frame_filter, first), len(inside), self.name)
        indices = [first + i for i in picked]
        video = None
        if indices:
            subject = window_name(self.name, *window)
            video = self._load(indices, subject, resize, frame_transform)
        return {"video": video, "frame_indices": indices, "audio": None}

    def get_frames(
        self,
        *,
        indices: Sequence[int] | None = None,
        timestamps_sec: Sequence[float | Fraction] | None = None,
        frame_transform: FrameTransform | None = None,
    ) -> Frames:
        """Returns single frames, in the order asked for; exactly one of the arguments is given.

        Args:
            indices: places in the video, as a sequence, array or tensor; negative ones count from the end.
            timestamps_sec: seconds, likewise; each gives the frame that is on show then.
            frame_transform: see :meth:`get_clip`.

        Returns:
            ``data`` (3, T, H, W), ``pts_sec`` (T,), and ``indices`` into the video.

        Raises:
            ValueError: unless exactly one argument is given, or for a time outside of the video or an index that is no
                whole number.
            IndexError: for an index outside of the video.
            VideoError: (a RuntimeError) if an image cannot be read.
        """
        duration = Fraction(self._duration)
        wanted = pick_frames(
            indices, timestamps_sec, len(self), self._on_show_at, self.name, duration
        )
        times = torch.tensor([float(i / self._fps) for i in wanted], dtype=torch.float64)
        data = self._load(wanted, self.name, frame_transform=frame_transform)
        return Frames(data, times, wanted)

    def __len__(self) -> int:
        """The number of frames."""
        return self._num_frames

    def __getitem__(self, index: int) -> torch.Tensor:
        """Returns frame ``index`` as (3, H, W), in the dtype of this reader."""
        return self.get_frames(indices=[index]).data[:, 0]

    def __bool__(self) -> bool:
        """True, as for any reader."""
        return True

    def _on_show_at(self, time: float | Fraction) -> int:
        return min(int(floor_ticks(time, 1 / self._fps)), self._num_frames - 1)

    def _load(
        self,
        indices: list[int],
        subject: str,
        resize: FrameResize | None = None,
        frame_transform: FrameTransform | None = None,
    ) -> torch.Tensor:
        budget = Budget(self.name, self._limits)
        with budget.call(subject):
            return load_frames(
                [self._path(i) for i in indices],
                self._threads,
                dtype=self._dtype,
                resize=resize,
                frame_transform=frame_transform,
                budget=budget,
            )

    def _path(self, index: int) -> str:
        return self._paths[index] if self._paths is not None else self._path_of(index)  # type: ignore[misc]


def frame_range(
    start_sec: float | Fraction, end_sec: float | Fraction, fps: float | Fraction, num_frames: int
) -> list[int]:
    """Returns the indices of the frames with ``start_sec <= k / fps < end_sec`` out of ``num_frames``.

    >>> frame_range(0.5, 1.5, 4, 12), frame_range(2.5, 100, 4, 12)
    ([2, 3, 4, 5], [10, 11])
    """
    tick = 1 / _rate(fps)
    first = int(ceil_ticks(start_sec, tick))
    return list(range(first, int(min(ceil_ticks(end_sec, tick), num_frames))))


def _rate(fps: float | Fraction) -> Fraction:
    if not fps > 0:
        raise ValueError(expected("fps", "> 0 frames per second", fps))
    return Fraction(as_time(fps, "fps")).limit_denominator(1_000_000)


def _shifted(frame_filter: FrameFilter | None, first: int) -> FrameFilter | None:
    """A filter of indices into the video as a filter of indices into the clip."""
    if frame_filter is None:
        return None
    return lambda indices: [i - first for i in frame_filter([first + i for i in indices])]
