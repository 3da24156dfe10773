# SPDX-License-Identifier: Apache-2.0
"""Where in a video the clips of a prediction lie."""

import math
import re

from pytorchvideo._checks import expected


def clip_windows(duration: float, clip_duration: float, clips: int) -> list[tuple[float, float]]:
    """Returns the times of clips spread evenly over a video; one clip is the middle one.

    A video that is not longer than a clip is one clip, whole.

    >>> clip_windows(10.0, 2.0, 3)
    [(0.0, 2.0), (4.0, 6.0), (8.0, 10.0)]
    >>> clip_windows(10.0, 2.0, 1), clip_windows(1.5, 2.0, 3)
    ([(4.0, 6.0)], [(0.0, 1.5)])
    """
    latest = duration - clip_duration
    if latest <= 0:
        return [(0.0, duration)]
    starts = [latest / 2] if clips == 1 else [latest * i / (clips - 1) for i in range(clips)]
    return [(start, start + clip_duration) for start in starts]


def uniform_windows(duration: float, clip_duration: float) -> list[tuple[float, float]]:
    """Returns the times of clips end to end that cover a video; the last one is moved back to end with it.

    >>> uniform_windows(5.0, 2.0)
    [(0.0, 2.0), (2.0, 4.0), (3.0, 5.0)]
    """
    # a rounding error makes no clip
    count = math.ceil(round(duration / clip_duration, 6))
    if count <= 1:
        return [(0.0, duration)]
    latest = duration - clip_duration
    starts = [min(i * clip_duration, latest) for i in range(count)]
    return [(start, start + clip_duration) for start in starts]


def clips_and_views(clips: int | str, views: int) -> tuple[int | None, int]:
    """Returns how many clips, None for all that cover the video, and how many views of each.

    Raises:
        ValueError: for another protocol, fewer than one clip, or other views than 1 and 3.

    >>> clips_and_views("10x3", 1), clips_and_views("uniform", 3), clips_and_views(4, 1)
    ((10, 3), (None, 3), (4, 1))
    """
    count: int | None = None
    if isinstance(clips, str) and clips != "uniform":
        found = re.fullmatch(r"([1-9]\d*)x([13])", clips)
        if found is None:
            wanted = 'a number, "uniform", or clips x 1 or 3 views as in "10x3"'
            raise ValueError(expected("clips", wanted, clips))
        if views not in (1, int(found[2])):
            raise ValueError(expected("views", f"left out beside clips={clips!r}", views))
        count, views = int(found[1]), int(found[2])
    elif not isinstance(clips, str):
        if clips < 1:
            raise ValueError(expected("clips", ">= 1", clips))
        count = clips
    if views not in (1, 3):
        raise ValueError(expected("views", "1 (the centre) or 3 (both sides too)", views))
    return count, views
