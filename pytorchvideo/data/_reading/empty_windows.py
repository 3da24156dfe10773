# SPDX-License-Identifier: Apache-2.0
"""Windows in which no frame begins, as in screen recordings, time lapses and pauses.

They are no damage. Datasets pass over them and count them.
"""

from collections.abc import Sequence
from typing import Any

import torch

from pytorchvideo.data._decode import VideoError, ceil_ticks
from pytorchvideo.data.clip_sampling import ClipInfo, Seconds
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo, frame_range
from pytorchvideo.data.video import Video

_FEW = 2  # frames of a window of average rate, below which some windows may well have none


class EmptyWindowError(VideoError):
    """No frame of a video begins in the window of a clip; the video is as good as any."""


def may_be_empty(windows: Sequence[Any], rate: float | None) -> bool:
    """Whether a video of this many frames a second is likely to have windows of these lengths without a frame."""
    if rate is None or not all(isinstance(window, ClipInfo) for window in windows):
        return False
    return any(float(w.clip_end_sec - w.clip_start_sec) * rate < _FEW for w in windows)


def with_frames(video: Video, times: Sequence[tuple[Seconds, Seconds]]) -> list[int]:
    """Returns the places of the windows ``[start, end)`` in which a frame begins; all, where a reader does not tell."""
    count_before = _counter(video)
    if count_before is None:
        return list(range(len(times)))
    counts = [(count_before(start), count_before(end)) for start, end in times]
    return [place for place, (first, last) in enumerate(counts) if first < last]


def frame_on_show(video: EncodedVideo | FrameVideo, start_sec: Seconds) -> torch.Tensor:
    """Returns the frame that a window without one shows, which began before it: float32 (3, 1, H, W) in 0..255."""
    return video.get_frames(timestamps_sec=[start_sec]).data.float()


def _counter(video: Video) -> Any:
    """A function that counts the frames which begin before a time."""
    if isinstance(video, FrameVideo):
        return lambda time: len(frame_range(0, max(time, 0), video.rate, len(video)))
    try:
        index = getattr(video, "frame_index", None)
    except VideoError:  # damaged somewhere; the clips before that can still be read
        return None
    if index is None:
        return None

    def count_before(time: Seconds) -> int:
        return int(index.count_before(ceil_ticks(time, index.time_base) + index.start))

    return count_before
