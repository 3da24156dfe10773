# SPDX-License-Identifier: Apache-2.0
"""People whom a detector finds in a video: at which times, where, with which numbers."""

from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch

from pytorchvideo.data._decode._pyav.write import Encoding, write_video
from pytorchvideo.inference.detection.people_detectors import DetectedPeople, torchvision_people

FPS, HEIGHT, WIDTH = 10, 48, 64


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds: a white box walks a pixel a frame to the right, a grey one stands."""
    frames = []
    for k in range(30):
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frame[8:40, k : k + 16] = 255
        frame[30:46, 48:60] = 128
        frames.append(frame)
    path = tmp_path_factory.mktemp("people") / "walk.mp4"
    write_video(path, frames, FPS, Encoding("libx264", {"crf": "4"}))
    return path


class Bright:
    """Finds the white box with a score of 0.9, the grey one with 0.7, and calls it a chair if asked."""

    def __init__(self, labels: tuple[int, int] | None = None) -> None:
        self.labels = labels
        self.batches: list[int] = []

    def __call__(self, frames: torch.Tensor) -> list[Any]:
        assert frames.dtype == torch.uint8
        self.batches.append(len(frames))
        found = []
        for frame in frames.int():
            boxes = []
            for low, high in ((200, 256), (100, 160)):
                rows, cols = ((frame[0] >= low) & (frame[0] < high)).nonzero(as_tuple=True)
                edges = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
                boxes.append([float(edge) for edge in edges])
            scores = [0.9, 0.7]
            if self.labels is None:
                found.append((boxes, scores))
            else:
                found.append({"boxes": boxes, "scores": scores, "labels": list(self.labels)})
        return found


def test_people_are_found_at_the_times_with_numbers(video: Path) -> None:
    detector = Bright()
    people = DetectedPeople(detector, score_threshold=0.5)
    found = people(str(video), [0.5, 1.5, 2.5])
    assert [one.time_sec for one in found] == [0.5, 1.5, 2.5]
    for one in found:
        left = round(one.time_sec * FPS) / WIDTH
        assert one.boxes[0].tolist() == pytest.approx(
            [left, 8 / 48, left + 0.25, 40 / 48], abs=0.04
        )
        assert one.scores.tolist() == pytest.approx([0.9, 0.7])
        assert one.persons.tolist() == [1, 2]
    # eleven looks, as the walker moves too far in a second
    assert detector.batches == [4, 4, 3]
    alone = DetectedPeople(Bright(), score_threshold=0.5, look_sec=None, batch_size=2)
    assert len({int(one.persons[0]) for one in alone(video, [0.5, 1.5, 2.5])}) > 1


def test_without_times_it_is_the_middle_of_each_second(video: Path) -> None:
    people = DetectedPeople(Bright(), link=None, look_sec=None)
    found = people(video, None)
    assert [one.time_sec for one in found] == [0.5, 1.5, 2.5]
    # the score of the standing one is below 0.8
    assert [one.persons.tolist() for one in found] == [[-1]] * 3
    assert people(video, []) == []


def test_labels_other_than_people_are_left_out(video: Path) -> None:
    people = DetectedPeople(Bright((62, 1)), score_threshold=0.5, look_sec=None)
    assert people(video, [1.0])[0].scores.tolist() == pytest.approx([0.7])


@pytest.mark.parametrize(
    ("detector", "said"),
    [
        (lambda frames: [], "one answer for each of 1 frames, but got 0"),
        (lambda frames: [3], "boxes .* and scores .* of each frame, but got 3"),
        (lambda frames: [([[0, 0, 1, 1]], [0.5, 0.6])], "boxes .* and scores .* of each frame"),
        (lambda frames: [{"boxes": [[0, 0, 1, 1]]}], "boxes .* and scores .* of each frame"),
    ],
)
def test_what_a_detector_returns_is_checked(video: Path, detector: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"`detector` to be a function that returns {said}"):
        DetectedPeople(detector)(video, [1.0])


def test_bad_arguments_are_said() -> None:
    with pytest.raises(ValueError, match=r"`score_threshold` to be in 0\.\.1"):
        DetectedPeople(Bright(), score_threshold=80)
    with pytest.raises(ValueError, match="`look_sec` to be > 0 seconds"):
        DetectedPeople(Bright(), look_sec=0)
    with pytest.raises(ValueError, match="`batch_size` to be >= 1 frame"):
        DetectedPeople(Bright(), batch_size=0)


# -- detectors of torchvision ------------------------------------------------------------------------------------------

SMALL = "ssdlite320_mobilenet_v3_large"


@pytest.fixture
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of weights, and no network."""

    def offline(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    return tmp_path / "checkpoints"


def test_weights_of_a_file_run_on_a_video(video: Path, tmp_path: Path) -> None:
    from torchvision.models import get_model

    model = get_model(SMALL, weights=None, weights_backbone=None)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    people = torchvision_people(
        SMALL, weights=tmp_path / "weights.pth", score_threshold=0.0, look_sec=None
    )
    found = people(video, [0.5, 1.5])
    assert [one.time_sec for one in found] == [0.5, 1.5]
    assert all(0 <= one.boxes.min() <= one.boxes.max() <= 1 for one in found if len(one.boxes))


def test_weights_that_are_not_there_are_one_sentence(checkpoints: Path, tmp_path: Path) -> None:
    said = r"Could not download .*ssdlite320.* put it at .*\. Or give the boxes of people in a file"
    with pytest.raises(ConnectionError, match=said):
        torchvision_people(SMALL)
    with pytest.raises(FileNotFoundError, match=f"no file .*gone.pth. Expected weights of {SMALL}"):
        torchvision_people(SMALL, weights=tmp_path / "gone.pth")
    with pytest.raises(
        ValueError, match=r"`name` to be a detector of torchvision.* Did you mean ssd"
    ):
        torchvision_people("ssdlite320_mobilenet")
    file = checkpoints / "ssdlite320_mobilenet_v3_large_coco-a79551df.pth"
    file.write_bytes(b"cut short")
    with pytest.raises(ValueError, match=r"is not the published file of ssdlite320.*Delete it"):
        torchvision_people(SMALL)
    other = tmp_path / "other.pth"
    torch.save({"weight": torch.zeros(1)}, other)
    with pytest.raises(ValueError, match=r"other\.pth"):
        torchvision_people(SMALL, weights=other)
