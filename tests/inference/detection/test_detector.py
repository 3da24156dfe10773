# SPDX-License-Identifier: Apache-2.0
"""``ActionDetector``: what the model sees, batches, people from files, written files."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pytorchvideo.data.action_detection import ActionDetectionDataset
from pytorchvideo.data.synthetic_figures import ACTIONS, FigureFiles
from pytorchvideo.evaluation.detection import read_detections, score_boxes
from pytorchvideo.inference.detection.detector import ActionDetector, key_times
from pytorchvideo.inference.detection.files import write_actions
from pytorchvideo.inference.detection.found import FoundPeople, VideoActions
from pytorchvideo.inference.detection.inputs import EvaluationInputs
from pytorchvideo.inference.detection.people_file import PeopleFile
from pytorchvideo.inference.predictor import VideoPredictor
from pytorchvideo.transforms.clip_recipe import ClipRecipe

RECIPE = ClipRecipe(
    num_frames=4, sampling_rate=4, frames_per_second=16, side_size=48, crop_size=None
)


def found_by(detector: ActionDetector, figures: FigureFiles, **options: object) -> VideoActions:
    (found,) = detector.detect([figures.unseen], PeopleFile(figures.people), **options)  # type: ignore[arg-type]
    assert isinstance(found, VideoActions)
    return found


def test_the_model_sees_what_a_data_set_gives(
    detector: ActionDetector, figures: FigureFiles, tmp_path: Path
) -> None:
    """The same clips, pictures and boxes as in validation: the same scores, in batches and one by one."""
    data = ActionDetectionDataset.from_csv(figures.val, recipe=RECIPE)
    scores = {(row[0], row[1], *row[2:7]): row[7] for row in score_boxes(detector, data).rows()}
    detector.batch_size = 1
    people = PeopleFile(figures.val)
    videos = sorted({frame.video for frame in data.key_frames})
    seen = 0
    for name, found in zip(
        videos,
        detector.detect([figures.val.parent / name for name in videos], people),
        strict=True,
    ):
        assert isinstance(found, VideoActions)
        for row in found.rows:
            for number, score in zip(data.classes, row.scores.tolist(), strict=True):
                known = min(
                    (abs(row.box[0] - key[2]) + abs(row.box[1] - key[3]), value)
                    for key, value in scores.items()
                    if key[0] == name and abs(key[1] - row.time_sec) < 1e-6 and key[6] == number
                )
                assert known[0] < 1e-5
                assert score == pytest.approx(known[1], abs=1e-5)
                seen += 1
    assert seen == len(scores) > 0


def test_files(detector: ActionDetector, figures: FigureFiles, tmp_path: Path) -> None:
    found = found_by(detector, figures)
    assert found.every_sec == 0.5
    files = write_actions(found, tmp_path, name="unseen")
    assert all(file.stat().st_size for file in files)
    assert {"unseen.mp4", "unseen.person_0.srt", "unseen.png"} <= {file.name for file in files}
    written = json.loads((tmp_path / "unseen.json").read_text())
    assert written["labels"] == list(ACTIONS)
    assert len(written["people"]) == len(found.rows)
    rows = read_detections(tmp_path / "unseen.csv")
    assert {row[6] for row in rows} == {1, 2, 3, 4}
    assert rows[0][:2] == ["unseen", 0.5]


class _Middle(nn.Module):
    """Logits that are the middle of each box in pixels, and the index of its clip."""

    def forward(self, x: Tensor, boxes: Tensor) -> Tensor:
        middles = (boxes[:, 1:3] + boxes[:, 3:5]) / 2
        return torch.cat([middles, boxes[:, :1], boxes.new_full((len(boxes), 1), x.shape[-1])], 1)


def at(times: Sequence[float], *boxes: Sequence[float]) -> list[FoundPeople]:
    corners = torch.tensor(boxes).reshape(-1, 4)
    count = len(boxes)
    return [FoundPeople(t, corners, torch.ones(count), torch.arange(count)) for t in times]


def test_boxes_are_in_pixels_of_the_scaled_picture(figures: FigureFiles) -> None:
    recipe = ClipRecipe(num_frames=2, sampling_rate=2, side_size=32, crop_size=None)
    detector = ActionDetector(_Middle(), recipe, list("abcd"), multi_label=False)
    boxes = [0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]
    (found,) = detector.detect([figures.unseen], lambda path, times: at([0.5], *boxes))
    assert isinstance(found, VideoActions)
    # 96x64 becomes 48x32: middles at (12, 8) and (36, 24)
    expected = torch.tensor([[12.0, 8, 0, 48], [36.0, 24, 0, 48]]).softmax(dim=1)
    torch.testing.assert_close(torch.stack([row.scores for row in found.rows]), expected)


def test_networks_of_one_size_see_the_whole_picture() -> None:
    """A wide picture is fitted into the square, with nothing cut off, and boxes follow."""
    recipe = ClipRecipe(num_frames=1, sampling_rate=1, side_size=40, crop_size=32)
    frames = torch.full((3, 1, 40, 80), 255.0)
    clip, boxes = EvaluationInputs(recipe).pathways(frames, torch.tensor([[0.5, 0.0, 1.0, 1.0]]))
    assert clip.shape == (3, 1, 32, 32)
    assert (clip[..., :16, :] > 0).all()
    assert (clip[..., 16:, :] == 0).all()
    # clipped to the last pixel first, as in training
    torch.testing.assert_close(boxes, torch.tensor([[16.0, 0.0, 31.6, 15.6]]))


def test_pictures_without_people(detector: ActionDetector, figures: FigureFiles) -> None:
    calls: list[str] = []

    def people(path: str, times: Sequence[float] | None) -> list[FoundPeople]:
        calls.append(path)
        return at(times or []) if len(calls) == 1 else at([1.0], [0.0, 0.0, 1.0, 1.0])

    none, one = detector.detect([figures.unseen, figures.unseen], people)
    assert isinstance(none, VideoActions)
    assert none.rows == ()
    assert isinstance(one, VideoActions)
    assert len(one.rows) == 1


def test_times_beyond_the_end_are_named(
    detector: ActionDetector, figures: FigureFiles, tmp_path: Path
) -> None:
    file = tmp_path / "p.csv"
    file.write_text("video,time_sec,x1,y1,x2,y2\nunseen.mp4,1,0,0,1,1\nunseen.mp4,99,0,0,1,1\n")
    (error,) = detector.detect([figures.unseen], PeopleFile(file))
    assert isinstance(error, ValueError)
    assert "p.csv, line 3: expected a time in 0..2 s" in str(error)


def test_a_bad_video_is_an_error_of_its_own(
    detector: ActionDetector, figures: FigureFiles, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"none")
    found = list(
        detector.detect([bad, figures.unseen], lambda path, times: at([0.5], [0, 0, 1.0, 1.0]))
    )
    assert isinstance(found[0], RuntimeError)
    assert isinstance(found[1], VideoActions)


def test_key_times() -> None:
    assert key_times(1.0, 3.9, 1.0) == [1.5, 2.5]
    assert key_times(0.0, 0.3, 1.0) == [0.15]
    assert len(key_times(0.0, 10.0, 1e-4)) == 100_000
    with pytest.raises(
        ValueError, match=r"`every_sec` to be >= 0.0001 seconds, for 100,000 key times in 10 s"
    ):
        key_times(0.0, 10.0, 1e-9)


def test_other_uses_of_a_detector_say_what_to_call(detector: ActionDetector) -> None:
    with pytest.raises(ValueError, match="`pytorchvideo detect`"):
        VideoPredictor(detector.model, RECIPE, ACTIONS)
    with pytest.raises(ValueError, match="every_sec"):
        next(detector.detect([], lambda path, times: [], every_sec=0.0))
