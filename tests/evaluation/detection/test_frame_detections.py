# SPDX-License-Identifier: Apache-2.0
"""Detections that are collected frame by frame, also by several ranks, and files of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytorchvideo.evaluation.detection import (
    FrameDetections,
    frame_map,
    read_detections,
    read_excluded,
    read_groundtruth,
    write_detections,
)

FRAMES, CLASSES = 12, [1, 2, 5]
BOX = "0.1,0.1,0.5,0.5"


def frame(number: int) -> tuple[str, float, torch.Tensor, torch.Tensor]:
    """One of the frames, with scores that many of them share."""
    generator = torch.Generator().manual_seed(number)
    low = torch.rand(3, 2, generator=generator) / 2
    boxes = torch.cat([low, low + 0.2 + torch.rand(3, 2, generator=generator) / 5], 1)
    scores = (torch.rand(3, len(CLASSES), generator=generator) * 4).round() / 4
    return f"film{number % 2}", 900.0 + number, boxes, scores


def truth() -> list[list[Any]]:
    rows = []
    for number in range(FRAMES):
        video, second, boxes, _ = frame(number)
        rows += [[video, second, *box, CLASSES[i]] for i, box in enumerate(boxes.tolist())]
    return rows


def collected(numbers: Any) -> FrameDetections:
    found = FrameDetections(CLASSES)
    for number in numbers:
        found.add(*frame(int(number)))
    return found


@pytest.mark.parametrize("convention", ["official", "pyslowfast", "plain"])
def test_no_order_and_no_split_changes_the_figures(convention: Any) -> None:
    whole = collected(range(FRAMES))
    wanted = whole.evaluate(truth(), convention=convention)
    assert wanted == frame_map(truth(), whole.rows(), CLASSES, convention=convention)
    assert 0 < wanted.mean < 1
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(FRAMES)
        one, two = collected(order[:5]), collected(order[4:])  # a frame in both
        one.merge(two)
        assert len(one) == FRAMES
        assert one.evaluate(truth(), convention=convention) == wanted


def mean_of_ranks(rank: int, count: int) -> Any:
    mine = collected([number % FRAMES for number in range(rank, FRAMES + 2, count)])
    found = mine.gathered().evaluate(truth(), [1, 2], excluded=[["film0", 902]])
    return found.mean, found.num_boxes


def test_ranks_give_the_figures_of_one_process(run_ranks: Callable[[str, int], list[Any]]) -> None:
    alone = collected(range(FRAMES)).gathered().evaluate(truth(), [1, 2], excluded=[["film0", 902]])
    assert run_ranks("mean_of_ranks", 2) == [(alone.mean, alone.num_boxes)] * 2


def test_shapes_are_checked_and_frames_may_be_empty() -> None:
    found = FrameDetections({1: "walk", 2: "sit"})
    found.add("a", 1, torch.zeros(0, 4), torch.zeros(0, 2, dtype=torch.bfloat16))
    assert list(found.rows()) == []
    with pytest.raises(ValueError, match=r"`scores` to be of shape \(1, 2\)"):
        found.add("a", 2, [[0, 0, 1, 1]], [[0.5]])
    with pytest.raises(ValueError, match="without NaN, but those of 'a' at 2 s have some"):
        found.add("a", 2, [[0, 0, 1, 1]], [[0.5, float("nan")]])
    with pytest.raises(ValueError, match="`other` to be of the classes"):
        found.merge(FrameDetections([1]))


def test_files_have_the_figures_of_the_rows(tmp_path: Path) -> None:
    rows = list(collected(range(FRAMES)).rows(least_score=0.25))
    rows[0][0] = rows[1][0] = "=a film, with a comma"
    write_detections(tmp_path / "found.csv", rows)
    assert read_detections(tmp_path / "found.csv") == rows
    first = (tmp_path / "found.csv").read_text().splitlines()[2]
    assert first.startswith("film0,0900,0.")


def test_ground_truth_and_excluded_frames_are_read(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text(f"a,0902,{BOX},12,7\na,903.5\n\nb,0902,{BOX},3\n")
    box = [0.1, 0.1, 0.5, 0.5]
    wanted = [["a", 902.0, *box, 12], ["a", 903.5], ["b", 902.0, *box, 3]]
    assert read_groundtruth(tmp_path / "truth.csv") == wanted
    (tmp_path / "excluded.csv").write_text("a,0902\nb,0903\n")
    assert read_excluded(tmp_path / "excluded.csv") == [["a", 902.0], ["b", 903.0]]


@pytest.mark.parametrize(
    ("read", "line", "said"),
    [
        (read_groundtruth, f"a,0902,{BOX},,7", "expected a class in each line"),
        (read_groundtruth, "a,0902,0.5,0.1,0.5,0.5,12,7", "x1 < x2, but got x1 = 0.5 and x2 = 0.5"),
        (read_groundtruth, "a,0902,0.1,0.6,0.5,0.5,12,7", "y1 < y2, but got y1 = 0.6"),
        (read_groundtruth, "a,0902,0.1,nan,0.5,0.5,12,7", "expected `video,second,x1"),
        (read_groundtruth, "a,noon", "expected `video,second,x1"),
        (read_detections, f"a,0902,{BOX},12", "x2,y2,class,score`, but got"),
        (read_detections, f"a,0902,{BOX},12,inf", "expected `video,second,x1"),
        (read_detections, "a,0902", "x2,y2,class,score`, but got"),
        (read_excluded, f"a,0902,{BOX},12,7", "expected `video,second`, but got"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, read: Any, line: str, said: str) -> None:
    file = tmp_path / "rows.csv"
    good = "a,0902" if read is not read_detections else f"a,0902,{BOX},12,0.5"
    file.write_text(f"{good}\n\n{line}\n")
    with pytest.raises(ValueError, match=f"rows.csv, line 3: .*{said}"):
        read(file)
