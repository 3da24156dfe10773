# SPDX-License-Identifier: Apache-2.0
"""People over time: where each of them is at any moment, and what they do for how long."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pytorchvideo.inference.detection.found import PersonScores, VideoActions

Box = tuple[float, float, float, float]

_SLACK_SEC = 1e-6


@dataclass(frozen=True)
class Shown:
    """A person at a moment.

    Attributes:
        person: their number, -1 where that is not known.
        box: x1, y1, x2, y2 in shares of the picture.
        actions: what they do with the probabilities, best first.
    """

    person: int
    box: Box
    actions: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ActionSegment:
    """A stretch in which a person does the same.

    Attributes:
        person: their number.
        start_sec: half-way from the key time before, or half of their distance before the first.
        end_sec: likewise.
        labels: what they do.
        scores: mean probability of each.
    """

    person: int
    start_sec: float
    end_sec: float
    labels: tuple[str, ...]
    scores: tuple[float, ...]


class Tracks:
    """The people of a video by their numbers.

    Between two key times a box goes from one place to the other; it is held for half of the distance of key times
    before the first and after the last, and where someone is away for longer. Those without a number are where they
    were found alone.

    Args:
        actions: what was found.
    """

    def __init__(self, actions: VideoActions) -> None:
        self._actions = actions
        self._half = actions.every_sec / 2
        by_person: defaultdict[int, list[PersonScores]] = defaultdict(list)
        for row in actions.rows:
            by_person[row.person].append(row)
        self._rows = {person: by_person[person] for person in sorted(by_person)}
        self._times = {p: [row.time_sec for row in rows] for p, rows in self._rows.items()}
        self._said = {id(row): tuple(actions.actions(row)) for row in actions.rows}

    def at(self, seconds: float) -> list[Shown]:
        """Returns the people who are there at a moment."""
        found: list[Shown] = []
        for person, rows in self._rows.items():
            if person < 0:
                near = [r for r in rows if abs(r.time_sec - seconds) <= self._half + _SLACK_SEC]
                found += [Shown(person, row.box, self._said[id(row)]) for row in near]
            elif (shown := self._one(person, rows, seconds)) is not None:
                found.append(shown)
        return found

    def _one(self, person: int, rows: Sequence[PersonScores], seconds: float) -> Shown | None:
        place = bisect_right(self._times[person], seconds)
        before = rows[place - 1] if place else None
        after = rows[place] if place < len(rows) else None
        is_between = (
            before is not None
            and after is not None
            and after.time_sec - before.time_sec <= 2 * self._actions.every_sec + _SLACK_SEC
        )
        if is_between and before is not None and after is not None:
            share = (seconds - before.time_sec) / max(after.time_sec - before.time_sec, 1e-9)
            nearest = before if share < 0.5 else after
            return Shown(person, _between(before.box, after.box, share), self._said[id(nearest)])
        for row in (before, after):
            if row is not None and abs(row.time_sec - seconds) <= self._half + _SLACK_SEC:
                return Shown(person, row.box, self._said[id(row)])
        return None

    def segments(self) -> list[ActionSegment]:
        """Returns what each person does for how long, person by person, where anything counts."""
        return [
            segment
            for person, rows in self._rows.items()
            if person >= 0
            for segment in self._of_person(person, rows)
        ]

    def _of_person(self, person: int, rows: Sequence[PersonScores]) -> list[ActionSegment]:
        found: list[ActionSegment] = []
        run: list[PersonScores] = []
        for row in (*rows, None):
            same = (
                row is not None
                and run
                and self._labels(row) == self._labels(run[-1])
                and row.time_sec - run[-1].time_sec <= 2 * self._actions.every_sec + _SLACK_SEC
            )
            if run and not same:
                following = None if row is None else row.time_sec
                segment = self._segment(person, run, found, following)
                if segment is not None:
                    found.append(segment)
                run = []
            if row is not None:
                run.append(row)
        return found

    def _segment(
        self,
        person: int,
        run: Sequence[PersonScores],
        before: Sequence[ActionSegment],
        following: float | None,
    ) -> ActionSegment | None:
        labels = self._labels(run[0])
        if not labels:
            return None
        start, end = run[0].time_sec - self._half, run[-1].time_sec + self._half
        if following is not None:
            end = min(end, (run[-1].time_sec + following) / 2)
        if before:
            start = max(start, before[-1].end_sec)
        scores = [dict(self._said[id(row)]) for row in run]
        means = tuple(sum(one[label] for one in scores) / len(run) for label in labels)
        order = sorted(range(len(labels)), key=lambda n: -means[n])
        return ActionSegment(
            person,
            max(0.0, start),
            end,
            tuple(labels[n] for n in order),
            tuple(means[n] for n in order),
        )

    def _labels(self, row: PersonScores) -> tuple[str, ...]:
        return tuple(sorted(label for label, _ in self._said[id(row)]))


def _between(first: Box, second: Box, share: float) -> Box:
    a, b, c, d = (x + (y - x) * share for x, y in zip(first, second, strict=True))
    return a, b, c, d
