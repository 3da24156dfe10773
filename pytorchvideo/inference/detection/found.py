# SPDX-License-Identifier: Apache-2.0
"""People at key times of a video, and what they do there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

from pytorchvideo._checks import expected


@dataclass(frozen=True)
class FoundPeople:
    """The people of a video at one time.

    Attributes:
        time_sec: of the key frame.
        boxes: (N, 4), x1, y1, x2, y2 in shares of the picture, 0 to 1.
        scores: (N,), that each is a person.
        persons: (N,) int64, numbers that people keep over a video; -1 for one that is not known.
        place: the file and the line that they are of, for errors.
    """

    time_sec: float
    boxes: Tensor
    scores: Tensor
    persons: Tensor
    place: str = ""

    def __post_init__(self) -> None:
        shape = tuple(self.boxes.shape)
        if len(shape) != 2 or shape[1] != 4:
            raise ValueError(expected("boxes", "of shape (N, 4): x1, y1, x2, y2", shape))
        counts = {len(self.boxes), len(self.scores), len(self.persons)}
        if len(counts) > 1:
            raise ValueError(expected("scores and persons", f"{len(self.boxes)} each", counts))


#: Finds the people of a video: its path and the key times that are wanted -> what it found, in the order of time. A
#: file of boxes has key times of its own (``has_times`` is True), which it gives for None.
People: TypeAlias = Callable[[str, Sequence[float] | None], Sequence[FoundPeople]]


@dataclass(frozen=True)
class PersonScores:
    """What the model says of one person at one time.

    Attributes:
        time_sec: of the key frame.
        box: x1, y1, x2, y2 in shares of the picture.
        person: their number in the video, -1 where that is not known.
        person_score: that it is a person.
        scores: (num_labels,), probabilities.
    """

    time_sec: float
    box: tuple[float, float, float, float]
    person: int
    person_score: float
    scores: Tensor = field(repr=False)


@dataclass(frozen=True)
class VideoActions:
    """Who does what in a video.

    Attributes:
        video: its path.
        labels: names of the scores.
        rows: a row a person and key time, in the order of time.
        every_sec: distance of key times.
        threshold: probability from which an action counts.
        multi_label: whether a person may do several things; otherwise the likeliest counts.
    """

    video: str
    labels: tuple[str, ...]
    rows: tuple[PersonScores, ...]
    every_sec: float
    threshold: float = 0.5
    multi_label: bool = True

    @property
    def persons(self) -> list[int]:
        """The numbers of the people, sorted."""
        return sorted({row.person for row in self.rows})

    def actions(self, row: PersonScores) -> list[tuple[str, float]]:
        """Returns the actions of a row that count with their probabilities, best first."""
        best = torch.argsort(row.scores, descending=True, stable=True).tolist()
        if not self.multi_label:
            best = best[:1]
        found = [(self.labels[number], float(row.scores[number])) for number in best]
        return [(label, score) for label, score in found if score >= self.threshold]
