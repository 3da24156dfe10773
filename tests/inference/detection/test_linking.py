# SPDX-License-Identifier: Apache-2.0
"""Numbers of people over time: on crossings, over gaps, with noise; how often they switch."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch

from pytorchvideo.inference.detection.found import FoundPeople
from pytorchvideo.inference.detection.linking import box_iou, link_people

Places = Callable[[float], float]


def seen(time: float, boxes: Sequence[Sequence[float]], numbers: Sequence[int]) -> FoundPeople:
    return FoundPeople(
        time,
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.ones(len(boxes)),
        torch.tensor(numbers, dtype=torch.int64),
    )


def walk(
    people: Sequence[Places],
    *,
    seconds: float = 4.0,
    fps: int = 5,
    noise: float = 0.0,
    seed: int = 0,
) -> list[FoundPeople]:
    """People as tall as they come, the left side of each by time, in another order every time, numbered."""
    generator = np.random.default_rng(seed)
    found = []
    for step in range(int(seconds * fps)):
        time = step / fps
        order = generator.permutation(len(people))
        boxes = []
        for number in order:
            left = people[number](time)
            box = np.array([left, 0.2 + 0.1 * number, left + 0.2, 0.8]) + generator.normal(
                0, noise, 4
            )
            boxes.append(box.tolist())
        found.append(seen(time, boxes, [int(number) + 1 for number in order]))
    return found


def hidden(found: Sequence[FoundPeople]) -> list[FoundPeople]:
    """The same without numbers."""
    return [seen(f.time_sec, f.boxes.tolist(), [-1] * len(f.boxes)) for f in found]


def switches(truth: Sequence[FoundPeople], linked: Sequence[FoundPeople]) -> int:
    """How often somebody gets another number than before."""
    count, last = 0, dict[int, int]()
    for real, given in zip(truth, linked, strict=True):
        for person, number in zip(real.persons.tolist(), given.persons.tolist(), strict=True):
            count += last.get(person, number) != number
            last[person] = number
    return count


def by_overlap_alone(found: Sequence[FoundPeople]) -> list[FoundPeople]:
    """The same linking by the last boxes, as they were: what it would be without velocities."""
    numbers, boxes, linked = list[int](), torch.zeros(0, 4), []
    for people in found:
        overlap = box_iou(people.boxes, boxes) if len(boxes) else torch.zeros(len(people.boxes), 0)
        given, free = [], set(range(len(boxes)))
        for row in overlap:
            best = max(free, key=lambda place: float(row[place]), default=None)
            is_seen = best is not None and row[best] >= 0.3
            given.append(
                numbers[best] if is_seen and best is not None else max([*numbers, *given, 0]) + 1
            )
            free -= {best} if is_seen and best is not None else set()
        numbers, boxes = given, people.boxes
        linked.append(seen(people.time_sec, people.boxes.tolist(), given))
    return linked


CROSSING: tuple[Places, Places] = (lambda t: 0.05 + 0.15 * t, lambda t: 0.7 - 0.15 * t)


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.01])
def test_two_people_who_cross_keep_their_numbers(noise: float) -> None:
    found = [walk(CROSSING, noise=noise, seed=seed) for seed in range(20)]
    assert sum(switches(one, link_people(hidden(one))) for one in found) == 0
    for one in found:
        assert {n for f in link_people(hidden(one)) for n in f.persons.tolist()} == {1, 2}
    if noise:  # which is not so by overlap alone
        assert sum(switches(one, by_overlap_alone(hidden(one))) for one in found) > 5


def test_a_person_keeps_the_number_over_a_gap() -> None:
    found = walk([lambda t: 0.1 + 0.1 * t], seconds=5)
    gap = [f if not 1.5 < f.time_sec < 3 else seen(f.time_sec, [], []) for f in found]
    assert {n for f in link_people(hidden(gap)) for n in f.persons.tolist()} == {1}
    # they walked on while nobody saw them
    short = link_people(hidden(gap), max_gap_sec=1.0)
    assert [n for f in short for n in f.persons.tolist()] == [1] * 8 + [2] * 10


def test_three_people_of_whom_one_comes_later() -> None:
    people: list[Places] = [lambda t: 0.0, lambda t: 0.4, lambda t: 0.8 if t >= 2 else 5.0]
    found = [
        seen(f.time_sec, [b for b in f.boxes.tolist() if b[0] < 1], [-1] * (2 + (f.time_sec >= 2)))
        for f in walk(people)
    ]
    linked = link_people(found)
    assert sorted(linked[0].persons.tolist()) == [1, 2]
    assert sorted(linked[-1].persons.tolist()) == [1, 2, 3]
    late = linked[-1].boxes[:, 0].argmax()
    assert linked[-1].persons[late] == 3


def test_numbers_of_a_file_and_empty_times_are_left_as_they_are() -> None:
    found = walk(CROSSING)
    assert link_people(found) == found
    assert link_people([]) == []
    assert [len(f.persons) for f in link_people([seen(0, [], []), seen(1, [], [])])] == [0, 0]


def test_the_order_of_the_boxes_does_not_matter() -> None:
    found = hidden(walk(CROSSING))
    turned = [seen(f.time_sec, f.boxes.flip(0).tolist(), [-1, -1]) for f in found]
    first, second = link_people(found), link_people(turned)
    same = {
        tuple(b): n
        for f in first
        for b, n in zip(f.boxes.tolist(), f.persons.tolist(), strict=True)
    }
    names = {
        (same[tuple(b)], n)
        for f in second
        for b, n in zip(f.boxes.tolist(), f.persons.tolist(), strict=True)
    }
    assert len(names) == 2


def test_bad_arguments_are_said() -> None:
    with pytest.raises(ValueError, match="`least_iou` to be in"):
        link_people([], least_iou=0)
    with pytest.raises(ValueError, match="`max_gap_sec` to be > 0 seconds"):
        link_people([], max_gap_sec=-1)
    with pytest.raises(ValueError, match="in the order of time, after 1 s, but got 0"):
        link_people([seen(1, [], []), seen(0, [], [])])
