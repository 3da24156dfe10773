# SPDX-License-Identifier: Apache-2.0
"""Overlapping clips of one video in one pass, each frame decoded once.

``get_clip`` goes on where the clip before ended, but has to go back to a key frame for one that begins earlier. Here
the frames that later clips want are kept on the way: not more of them than lie in one clip.
"""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from pytorchvideo.data._decode import (
    FrameFilter,
    FrameIndex,
    Frames,
    FrameTransform,
    VideoError,
    ceil_ticks,
    select_frames,
)
from pytorchvideo.data._decode._memory import clip_memory
from pytorchvideo.data._reading.empty_windows import EmptyWindowError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo

_MOST_BYTES = 1 << 29  # of frames that are kept


def clips_in_order(
    video: EncodedVideo | FrameVideo,
    windows: Sequence[tuple[float, float]],
    frame_filter: FrameFilter | None,
    frame_transform: FrameTransform | None = None,
    *,
    first: int = 0,
) -> Iterator[torch.Tensor | VideoError]:
    """Reads clips one after the other.

    Args:
        video: an open video or folder of frames, which takes least memory with ``dtype=torch.uint8``.
        windows: start and end of each clip in seconds. Frames are kept where neither ever goes back.
        frame_filter: indices of a clip's frames in, indices to load out; None loads all.
        frame_transform: what is kept of a frame, which it may get as bytes; see :meth:`EncodedVideo.get_clip`.
        first: the number of the window to begin with.

    Yields:
        For each window what ``video.get_clip`` gives for it, as float32 (3, T, H, W); or the
        VideoError which says that it cannot be read, an EmptyWindowError if no frame begins in it.
    """
    kept = _Kept.of(video, windows, frame_filter, frame_transform)
    for number in range(first, len(windows)):
        clip = None if kept is None else kept.clip(number)
        if clip is None:
            reading = {"frame_filter": frame_filter, "frame_transform": frame_transform}
            yield _clip(video, windows[number], reading)
        else:
            yield clip


def _clip(
    video: EncodedVideo | FrameVideo, window: tuple[float, float], reading: dict[str, Any]
) -> torch.Tensor | VideoError:
    try:
        found = video.get_clip(*window, **reading)
    except VideoError as error:
        return error
    frames = None if found is None else found["video"]
    if frames is None:
        where = f"[{window[0]:.3f}, {window[1]:.3f}) s"
        return EmptyWindowError(f"{video.name} has no frame in {where}.")
    if frames.dtype == torch.float32:
        return frames
    return clip_memory.empty(tuple(frames.shape), torch.float32).copy_(frames)


def _is_sorted(windows: Sequence[tuple[float, float]]) -> bool:
    """Whether no time goes back; sequences that are no lists are worked out, and long."""
    if not isinstance(windows, list):
        return True
    return all(a <= c and b <= d for (a, b), (c, d) in itertools.pairwise(windows))


class _Kept:
    """The decoded frames that the coming clips want.

    Args:
        video: where they come from.
        index: its frames.
        windows: start and end of each clip.
        frame_filter: which frames of a clip are wanted.
        frame_transform: what is kept of each.
    """

    def __init__(
        self,
        video: EncodedVideo,
        index: FrameIndex,
        windows: Sequence[tuple[float, float]],
        frame_filter: FrameFilter | None,
        frame_transform: FrameTransform | None,
    ) -> None:
        self._video, self._index = video, index
        self._windows, self._filter, self._transform = windows, frame_filter, frame_transform
        self._frames: dict[int, torch.Tensor] = {}
        self._chosen: dict[int, list[int]] = {}  # of windows that were looked at
        self._read = -1  # the last frame up to which all that is wanted was decoded

    @classmethod
    def of(
        cls,
        video: EncodedVideo | FrameVideo,
        windows: Sequence[tuple[float, float]],
        frame_filter: FrameFilter | None,
        frame_transform: FrameTransform | None = None,
    ) -> "_Kept | None":
        """None where nothing is gained, where it would take much memory, or where the video has no index."""
        if len(windows) < 3 or windows[1][0] >= windows[0][1] or not _is_sorted(windows):
            return None
        try:
            # folders of frames have none: an image is read by itself
            if isinstance(video, FrameVideo) or (index := video.frame_index) is None:
                return None
            kept = cls(video, index, windows, frame_filter, frame_transform)
            frame_bytes = kept._read_frames([0]).data.nbytes
        except VideoError:  # damaged; what is whole can be read clip by clip
            return None
        (start, end), every = windows[0], windows[1][0] - windows[0][0]
        in_clip = kept._place(end) - kept._place(start)
        wanted = len(kept._wanted(0)) * (1 + (end - start) / every)
        return kept if min(wanted, in_clip) * frame_bytes <= _MOST_BYTES else None

    def clip(self, number: int) -> torch.Tensor | None:
        """The clip of a window; None where it has to be read by itself, because something is damaged."""
        wanted = self._wanted(number)
        if not wanted:
            return None
        if max(wanted) > self._read and not self._go_on(number, max(wanted)):
            self._frames.clear()
            self._chosen.clear()
            self._read = -1
            return None
        frames = [self._frames[place] for place in wanted]
        if any(frame.shape != frames[0].shape for frame in frames):
            return None
        clip = clip_memory.empty((3, len(frames), *frames[0].shape[1:]), torch.float32)
        for place, frame in enumerate(frames):
            clip[:, place].copy_(frame)
        self._forget(number)
        return clip

    def _go_on(self, number: int, last: int) -> bool:
        """Decodes up to a frame whatever this window and later ones want; False where that fails."""
        coming: set[int] = set()
        while number < len(self._windows) and self._place(self._windows[number][0]) <= last:
            coming.update(place for place in self._wanted(number) if self._read < place <= last)
            number += 1
        places = sorted(coming)
        try:
            found = self._read_frames(places)
        except (VideoError, ValueError):  # the latter for fewer frames than there are packets
            return False
        if found.pts_sec.tolist() != [float(self._index.time(place)) for place in places]:
            return False
        self._frames.update(zip(places, found.data.unbind(dim=1), strict=True))
        self._read = last
        return True

    def _read_frames(self, places: list[int]) -> Frames:
        if self._transform is None:
            return self._video.get_frames(indices=places)
        return self._video.get_frames(indices=places, frame_transform=self._transform)

    def _forget(self, number: int) -> None:
        del self._chosen[number]
        if number + 1 < len(self._windows):
            low = self._place(self._windows[number + 1][0])
            for place in [place for place in self._frames if place < low]:
                del self._frames[place]

    def _wanted(self, number: int) -> list[int]:
        """The places in the video of the frames that a window wants."""
        if number not in self._chosen:
            low, high = (self._place(time) for time in self._windows[number])
            picked = select_frames(self._filter, high - low, self._video.name) if high > low else []
            self._chosen[number] = [low + index for index in picked]
        return self._chosen[number]

    def _place(self, time_sec: float) -> int:
        """How many frames are shown before a time."""
        return self._index.count_before(
            ceil_ticks(time_sec, self._index.time_base) + self._index.start
        )
