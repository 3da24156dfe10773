# SPDX-License-Identifier: Apache-2.0
"""Clips around the moments of Ego4D."""

from fractions import Fraction
from typing import Any

from pytorchvideo._checks import expected
from pytorchvideo.data.clip_sampling import ClipInfo, ClipSampler, Seconds

__all__ = ["MomentsClipSampler"]


class MomentsClipSampler(ClipSampler):
    """One clip per label: the stretch that it covers, or a window of fixed length around its middle.

    A window that reaches beyond the video is slid into it. The annotation gets ``clip_start`` and ``clip_end``, the
    window in seconds.

    Args:
        window_sec: length of the window; 0 for that of each label.

    Raises:
        ValueError: ``window_sec`` is negative.

    >>> sampler = MomentsClipSampler(4)
    >>> sampler(None, 100, {"label_video_start_sec": 9, "label_video_end_sec": 11})[:2]
    (Fraction(8, 1), Fraction(12, 1))
    >>> sampler(None, 100, {"label_video_start_sec": 98, "label_video_end_sec": 99})[:2]
    (Fraction(96, 1), Fraction(100, 1))
    """

    def __init__(self, window_sec: float = 0) -> None:
        if not window_sec >= 0:
            raise ValueError(expected("window_sec", ">= 0 seconds", window_sec))
        self._clip_duration = Fraction(window_sec)
        self.reset()

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        """Returns the clip of ``annotation["label_video_start_sec"]`` to ``annotation["label_video_end_sec"]``."""
        duration = Fraction(video_duration)
        start = Fraction(annotation["label_video_start_sec"])
        end = Fraction(annotation["label_video_end_sec"])
        if self._clip_duration:
            centred = (start + end - self._clip_duration) / 2
            start = max(min(centred, duration - self._clip_duration), Fraction(0))
            end = start + self._clip_duration
        annotation["clip_start"], annotation["clip_end"] = float(start), float(end)
        return ClipInfo(start, end, 0, 0, True)
