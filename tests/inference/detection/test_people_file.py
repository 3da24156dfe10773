# SPDX-License-Identifier: Apache-2.0
"""People of files of boxes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pytorchvideo.inference.detection.people_file import PeopleFile


def write(file: Path, *lines: str, head: str = "video,time_sec,x1,y1,x2,y2") -> Path:
    file.write_text("\n".join([head, *lines] if head else lines) + "\n")
    return file


def test_shares_and_numbers(tmp_path: Path) -> None:
    head = "video,time_sec,x1,y1,x2,y2,label,person,score"
    file = write(
        tmp_path / "p.csv",
        "clips/a.mp4,1.5,0,0.25,0.5,1,run,7,0.9",
        "clips/a.mp4,1.5,0,0.25,0.5,1,wave,7,0.9",  # another action of the same person
        "clips/a.mp4,0.5,0.5,0,1,1,,8,",
        head=head,
    )
    first, second = PeopleFile(file)("somewhere/a.mp4", None)
    assert (first.time_sec, second.time_sec) == (0.5, 1.5)
    assert second.boxes.tolist() == [[0.0, 0.25, 0.5, 1.0]]
    assert (second.persons.tolist(), first.persons.tolist()) == ([7], [8])
    assert second.scores.tolist() == pytest.approx([0.9])


def test_pixels(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    video = make_video("people.mp4", width=64, height=48)
    file = write(tmp_path / "p.csv", "people.mp4,0.5,16,12,48,48")
    (found,) = PeopleFile(file)(str(video), None)
    assert torch.equal(found.boxes, torch.tensor([[0.25, 0.25, 0.75, 1.0]]))


def test_format_of_ava(tmp_path: Path) -> None:
    file = write(
        tmp_path / "p.csv",
        "a,0001,0.1,0.2,0.3,0.4,12,0.75",
        "a,0001,0.5,0.2,0.9,0.4,12,0.25",
        head="",
    )
    (found,) = PeopleFile(file, score_threshold=0.5)("a.mp4", None)
    assert found.scores.tolist() == [0.75]
    # the nearest time, up to half a second away
    assert len(PeopleFile(file)("a.mp4", [0.4, 0.6])) == 1


@pytest.mark.parametrize(
    ("line", "match"),
    [
        ("a.mp4,1,0.5,0,0.5,1", "p.csv, line 2: expected a box with x1 < x2"),
        ("a.mp4,1,nan,0,0.5,1", "p.csv, line 2"),
        ("a.mp4,soon,0,0,0.5,1", "p.csv, line 2"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        PeopleFile(write(tmp_path / "p.csv", line))


def test_no_boxes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no boxes"):
        PeopleFile(write(tmp_path / "p.csv"))
    file = write(tmp_path / "q.csv", "street.mp4,1,0,0,0.5,1")
    with pytest.raises(ValueError, match=r"no boxes of treet.mp4. Did you mean street.mp4"):
        PeopleFile(file)("treet.mp4", None)
