# SPDX-License-Identifier: Apache-2.0
"""Frame-mAP against vectors of the public implementations, a slow one, and by hand."""

import json
import math
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pytorchvideo.evaluation.detection import FrameMap, frame_map

VECTORS = Path(__file__).resolve().parents[4] / "shared/reference/research/ava_map_cases.json"
BOX, OTHER = (0.1, 0.1, 0.5, 0.5), (0.6, 0.6, 0.9, 0.9)


def test_every_case_of_the_public_implementations() -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared ava_map_cases.json is not there")
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 30
    for case in cases:
        given = case["groundtruth"], case["detections"], case["classes"]
        for convention in ("official", "pyslowfast"):
            wanted = case["expected"][convention]
            found = frame_map(*given, excluded=case["excluded"], convention=convention)
            assert found.mean == pytest.approx(wanted["map"], abs=1e-9), (case["id"], convention)
            for number, value in wanted["ap"].items():
                of_class = found.per_class[int(number)]
                if value is None:
                    assert math.isnan(of_class)
                else:
                    assert of_class == pytest.approx(value, abs=1e-9), (case["id"], convention)


def rows_of(generator: np.random.Generator, count: int, frames: int, classes: int) -> list[Any]:
    """Rows of boxes that often overlap, with scores of one digit, hence many ties."""
    rows = []
    for _ in range(count):
        x, y = generator.choice([0.0, 0.05, 0.1, 0.5], 2)
        width, height = generator.choice([0.3, 0.35, 0.4], 2)
        frame = int(generator.integers(frames))
        where = "ab"[frame % 2], 902 + frame
        score = round(float(generator.uniform()), 1)
        number = int(generator.integers(1, classes + 1))
        rows.append([*where, x, y, x + width, y + height, number, score])
    return rows


def slow_ap(truth: list[Any], found: list[Any], number: int, *, sort: bool, listed: bool) -> float:
    """One class as the definition reads, a detection at a time."""
    boxes: dict[Any, list[Any]] = {}
    for row in truth:
        boxes.setdefault((row[0], row[1]), [])
        if row[6] == number:
            boxes[row[0], row[1]].append(row[2:6])
    frames: dict[Any, list[Any]] = {}
    for row in found:
        frames.setdefault((row[0], row[1]), []).append(row)
    scored: list[tuple[float, bool]] = []
    for frame, rows in frames.items():
        if listed and frame not in boxes:
            continue
        taken: set[int] = set()
        for row in sorted(rows, key=lambda r: -r[7]) if sort else rows:
            if row[6] != number:
                continue
            overlaps = [iou(row[2:6], box) for box in boxes.get(frame, [])]
            best = overlaps.index(max(overlaps)) if overlaps else -1
            is_hit = bool(overlaps) and overlaps[best] >= 0.5 and best not in taken
            taken.update([best] if is_hit else [])
            scored.append((row[7], is_hit))
    scored = [pair for _, pair in sorted(enumerate(scored), key=lambda p: (-p[1][0], -p[0]))]
    count = sum(len(found) for found in boxes.values())
    hits, points = 0, []
    for rank, (_, is_hit) in enumerate(scored, 1):
        hits += is_hit
        points.append((hits / count, hits / rank))
    value, before = 0.0, 0.0
    for place, (recall, _) in enumerate(points):
        value += (recall - before) * max(precision for _, precision in points[place:])
        before = recall
    return value


def iou(a: Any, b: Any) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


@pytest.mark.parametrize("seed", range(10))
def test_it_is_the_slow_definition(seed: int) -> None:
    generator = np.random.default_rng(seed)
    truth = [row[:7] for row in rows_of(generator, 40, 8, 3)]
    found = rows_of(generator, 90, 10, 3)
    for convention, options in (
        ("plain", {"sort": True, "listed": True}),
        ("pyslowfast", {"sort": False, "listed": False}),
    ):
        got = frame_map(truth, found, [1, 2, 3], convention=convention)
        for number in (1, 2, 3):
            assert got.per_class[number] == pytest.approx(slow_ap(truth, found, number, **options))


def test_many_pairs_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(3)
    given = [row[:7] for row in rows_of(generator, 60, 3, 2)], rows_of(generator, 80, 3, 2), [1, 2]
    whole = frame_map(*given, convention="plain")
    monkeypatch.setattr("pytorchvideo.evaluation.detection._metric._PAIRS_AT_ONCE", 7)
    assert frame_map(*given, convention="plain") == whole


def test_half_of_the_area_is_enough() -> None:
    truth = [["a", 902, 0.0, 0.0, 1.0, 1.0, 1]]
    for side, mean in ((0.5, 1.0), (0.4999, 0.0)):
        assert frame_map(truth, [["a", 902, 0.0, 0.0, 1.0, side, 1, 0.9]], [1]).mean == mean


def test_frames_without_ground_truth_count_where_they_are_declared() -> None:
    truth = [["a", 902, *BOX, 1]]
    found = [["a", 903, *BOX, 1, 0.9], ["a", 902, *BOX, 1, 0.8]]
    for convention in ("official", "plain"):
        assert frame_map(truth, found, [1], convention=convention).mean == 1.0
        declared = [*truth, ["a", "0903"]]
        assert frame_map(declared, found, [1], convention=convention).mean == 0.5
        # so does a row of a class that is not evaluated
        other = [*truth, ["a", 903, *BOX, 7]]
        assert frame_map(other, found, [1], convention=convention).mean == 0.5
        assert frame_map(other, found, [1], excluded=[["a", 903]], convention=convention).mean == 1
    assert frame_map(truth, found, [1], convention="pyslowfast").mean == 0.5


def test_official_keeps_the_50_best_of_a_frame() -> None:
    truth = [["a", 902, *BOX, 1]]
    wrong = [["a", 902, *OTHER, 2, 0.9] for _ in range(50)]
    found = [*wrong, ["a", 902, *BOX, 1, 0.8]]
    assert frame_map(truth, found, [1, 2]).mean == 0.0
    assert frame_map(truth, found[1:], [1, 2]).mean == 1.0
    assert frame_map(truth, found, [1, 2], convention="plain").mean == 1.0
    # rows that are not evaluated take no place, those without an area do
    assert frame_map(truth, found, [1]).mean == 1.0
    empty = [["a", 902, 0.5, 0.1, 0.5, 0.9, 1, 0.9] for _ in range(50)]
    assert frame_map(truth, [*empty, found[-1]], [1]).mean == 0.0


def test_excluded_frames_and_boxes_without_an_area_do_not_count() -> None:
    truth = [["a", 902, *BOX, 1], ["a", 903, *BOX, 1]]
    found = [["a", 903.0, *BOX, 1, 0.7], ["a", 903, 0.5, 0.5, 0.1, 0.9, 1, 0.9]]
    for convention in ("official", "pyslowfast", "plain"):
        got = frame_map(truth, found, [1], excluded=[["a", "902"]], convention=convention)
        assert got.mean == 1.0
        assert got.num_boxes == {1: 1}


def test_an_order_of_the_rows_of_other_frames_changes_nothing_without_ties() -> None:
    generator = np.random.default_rng(0)
    truth = [row[:7] for row in rows_of(generator, 30, 6, 2)]
    found = [[*row[:7], place / 100] for place, row in enumerate(rows_of(generator, 70, 6, 2))]
    for convention in ("official", "plain"):
        wanted = frame_map(truth, found, [1, 2], convention=convention)
        shuffled = [found[i] for i in generator.permutation(len(found))]
        assert frame_map(truth, shuffled, [1, 2], convention=convention) == wanted


def test_groups_of_ava_and_classes_without_ground_truth() -> None:
    truth = [["a", 902, *BOX, 1], ["a", 902, *BOX, 80], ["a", 902, *BOX, 17]]
    found = [["a", 902, *BOX, number, 0.5] for number in (1, 17)]
    got = frame_map(truth, found, {1: "bend", 17: "carry", 63: "write", 80: "watch"})
    assert list(got.per_class) == [1, 17, 63, 80]
    assert math.isnan(got.per_class[63])
    assert got.per_group == {"pose": 1.0, "object": 1.0, "person": 0.0}
    assert got.mean == pytest.approx(2 / 3)
    assert repr(got) == "FrameMap(mean=0.6667, 3 of 4 classes, convention='official')"
    nothing = frame_map([], [], [1])
    assert math.isnan(nothing.mean)
    assert isinstance(nothing, FrameMap)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([["a", 902, *BOX]], [], [1]), "each row of `groundtruth` .* row 0 is"),
        (([], [["a", 902, *BOX, 1, 0.5], ["a", 902, *BOX, 1]], [1]), "`detections` .* row 1 is"),
        (([], [["a", 902, *BOX, 1, float("nan")]], [1]), "without NaN, but row with a box 0"),
        (([["a", 902, "x", 0, 1, 1, 1]], [], [1]), "without NaN, but row with a box 0"),
        (([["a", "noon", *BOX, 1]], [], [1]), "`groundtruth` .* row 0 is"),
        (([["a", 902, *BOX, 1.5]], [], [1]), "`groundtruth` .* row 0 is"),
        (([], [], []), "`classes` to be the ids"),
        (([], [], [1.5]), "`classes` to be the ids"),
    ],
)
def test_bad_rows_are_named(arguments: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        frame_map(*arguments)


def test_other_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match=re.escape("one of official, pyslowfast, plain")):
        frame_map([], [], [1], convention="coco")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"row of `excluded` to be .* row 0 is"):
        frame_map([], [], [1], excluded=[["a"]])


def test_100_000_boxes_take_seconds() -> None:
    low = np.random.default_rng(0).uniform(size=(100_000, 2)).round(1).tolist()
    found = [
        ["a", i % 4_000, x, y, x + 0.2, y + 0.2, 1 + i % 80, x * y] for i, (x, y) in enumerate(low)
    ]
    truth = [row[:7] for row in found[::5]]
    start = time.process_time()
    frame_map(
        truth, found, range(1, 81)
    )  # the slowest of the conventions, with a heap for each frame
    assert time.process_time() - start < 5
