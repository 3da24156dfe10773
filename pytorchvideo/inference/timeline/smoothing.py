# SPDX-License-Identifier: Apache-2.0
"""The likeliest class of each clip of a timeline, of the mean over its neighbours."""

import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator

from pytorchvideo.inference.timeline.clips import TimelineClip

_UNIT = 1_000_000  # scores have six digits: sums of whole numbers do not drift over a day
_SLACK_SEC = 1e-6


def leaders(
    clips: Iterable[TimelineClip], width_sec: float = 0.0
) -> Iterator[tuple[int, float] | None]:
    """Yields for each clip the class that leads around it with its mean probability; None where it cannot be read.

    The mean is that over the clips that can be read and whose middles are at most half of ``width_sec`` from its own;
    of classes that are equal there the clip's own counts. A class that is not among the kept ones of a clip counts as
    0. Memory is that of the clips in ``width_sec``.

    Args:
        clips: in the order of time.
        width_sec: seconds; 0 takes each clip alone.

    >>> a, b = ((0, 0.75), (1, 0.25)), ((1, 0.75), (0, 0.25))
    >>> clips = [TimelineClip(i, i + 1, best) for i, best in enumerate((a, a, b, a, a))]
    >>> [leader[0] for leader in leaders(clips)], [leader[0] for leader in leaders(clips, 2.0)]
    ([0, 0, 1, 0, 0], [0, 0, 0, 0, 0])
    """
    coming, own = itertools.tee(clips)
    following = next(coming, None)
    near: deque[TimelineClip] = deque()
    totals: Counter[int] = Counter()
    for clip in own:
        low, high = (_middle(clip) + side * (width_sec / 2 + _SLACK_SEC) for side in (-1, 1))
        while following is not None and _middle(following) <= high:
            if following.best:
                near.append(following)
                _add(totals, following, 1)
            following = next(coming, None)
        while near and _middle(near[0]) < low:
            _add(totals, near.popleft(), -1)
        if not clip.best:
            yield None
            continue
        alone = dict(clip.best)
        first = max(totals, key=lambda index: (totals[index], alone.get(index, 0.0)))
        yield first, totals[first] / _UNIT / len(near)


def _middle(clip: TimelineClip) -> float:
    return (clip.start_sec + clip.end_sec) / 2


def _add(totals: "Counter[int]", clip: TimelineClip, sign: int) -> None:
    for index, score in clip.best:
        totals[index] += sign * round(score * _UNIT)
