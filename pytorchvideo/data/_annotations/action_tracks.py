# SPDX-License-Identifier: Apache-2.0
"""Boxes of people over time, drawn in some frames, as key frames at equal distances."""

import math
import warnings
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pytorchvideo._checks import expected
from pytorchvideo.data._annotations.actions import (
    ActionAnnotations,
    Classes,
    FrameCollector,
    LabelMap,
    PersonBox,
)
from pytorchvideo.data._annotations.ava_rows import Corners

_TOLERANCE = 1e-6
_MOST_TIMES = 2_000_000  # of all people together; one far frame number in a file would ask for any amount of memory


class Drawn(NamedTuple):
    """A box that somebody drew: its time, x1, y1, x2, y2 as shares, whether it is to be seen, and its classes.

    One that is no key was worked out by the tool, between two that somebody drew.
    """

    time_sec: float
    box: Corners
    is_seen: bool
    labels: tuple[str, ...]
    place: str
    is_key: bool = True


@dataclass(frozen=True)
class Track:
    """A person in a video: their number, and the boxes that were drawn, by time.

    Attributes:
        video: its name.
        person: a number.
        drawn: boxes; those between two of them move evenly from one to the other.
        end_sec: until when the last one is to be seen; None is for its own frame.
    """

    video: str
    person: int
    drawn: list[Drawn]
    end_sec: float | None = None

    def at(self, time_sec: float) -> Drawn | None:
        """Returns the box of a time, None where the person is not to be seen.

        >>> before = Drawn(0.0, (0.0, 0.0, 0.5, 0.5), True, ("walk",), "")
        >>> after = Drawn(2.0, (0.5, 0.5, 1.0, 1.0), False, (), "")
        >>> track = Track("a", 1, [before, after])
        >>> track.at(1.0).box, track.at(2.0)
        ((0.25, 0.25, 0.75, 0.75), None)
        """
        times = [drawn.time_sec for drawn in self.drawn]
        place = bisect_right(times, time_sec + _TOLERANCE) - 1
        if place < 0 or not self.drawn[place].is_seen:
            return None
        before = self.drawn[place]
        if place + 1 == len(self.drawn):
            end = before.time_sec + _TOLERANCE if self.end_sec is None else self.end_sec
            return before if time_sec <= end else None
        after = self.drawn[place + 1]
        share = min(max((time_sec - times[place]) / (times[place + 1] - times[place]), 0.0), 1.0)
        x1, y1, x2, y2 = (a + share * (b - a) for a, b in zip(before.box, after.box, strict=True))
        return before._replace(box=(x1, y1, x2, y2))

    def multiples(self, every_sec: float, most: int) -> list[float]:
        """Returns the multiples of a time at which something may be seen.

        Raises:
            ValueError: there are more than ``most``.
        """
        first, last = self.drawn[0].time_sec, max(self.drawn[-1].time_sec, self.end_sec or 0.0)
        if (last - first) / every_sec > most:
            said = f"this person, seen until {last:g} s, has too many {every_sec:g} s apart"
            raise _too_many(self.drawn[-1].place, said)
        low = math.ceil(first / every_sec - _TOLERANCE)
        high = math.floor(last / every_sec + _TOLERANCE)
        return [number * every_sec for number in range(low, high + 1)]


def annotations_of(
    tracks: Sequence[Track], source: str, label_map: LabelMap | None, every_sec: float | None
) -> ActionAnnotations:
    """Returns the people of tracks at 0, ``every_sec``, 2 ``every_sec`` … seconds; None is when somebody drew a box.

    People who are not seen then are left out, with one warning.

    Raises:
        ValueError: nobody is seen then, or a class is none of the label map.
    """
    if every_sec is not None and not (every_sec > 0 and math.isfinite(every_sec)):
        raise ValueError(expected("every_sec", "> 0 seconds, or None", every_sec))
    classes = Classes(label_map)
    drawn_at: dict[str, set[float]] = {}
    for track in tracks:
        keys = {drawn.time_sec for drawn in track.drawn if drawn.is_key and drawn.is_seen}
        drawn_at.setdefault(track.video, set()).update(keys)
    found: list[tuple[str, float, int, Drawn]] = []
    unseen, left = 0, _MOST_TIMES
    sorted_at = {video: sorted(times) for video, times in drawn_at.items()}
    for track in tracks:
        times = sorted_at[track.video] if every_sec is None else track.multiples(every_sec, left)
        left -= len(times)
        if left < 0:
            raise _too_many(track.drawn[-1].place, "those in which boxes were drawn are too many")
        seen = [(time, drawn) for time in times if (drawn := track.at(time)) is not None]
        found += [(track.video, time, track.person, drawn) for time, drawn in seen]
        unseen += not seen
    if unseen:
        advice = "Choose a lower `every_sec`, or None for the frames in which a box was drawn."
        said = f"not seen at a multiple of {every_sec:g} s" if every_sec else "never seen"
        sentence = f"{source}: {unseen} of {len(tracks)} people are {said}. {advice}"
        if not found:
            raise ValueError(sentence)
        warnings.warn(sentence, stacklevel=4)
    classes.numbered(label for *_, drawn in found for label in drawn.labels)
    collector = FrameCollector()
    for video, time, person, drawn in found:
        labels = tuple(sorted({classes.id_of(label, drawn.place) for label in drawn.labels}))
        collector.add(video, time, PersonBox(drawn.box, labels, person, 1.0, drawn.place))
    if not classes.label_map:
        raise ValueError(f"{source} has no class of an action.")
    return ActionAnnotations(source, classes.label_map, collector.frames())


def _too_many(place: str, said: str) -> ValueError:
    return ValueError(
        f"{place}: expected {_MOST_TIMES:,} key frames of all people at most, but {said}. Correct the numbers of "
        "frames, or use a higher `every_sec`."
    )
