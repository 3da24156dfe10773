# SPDX-License-Identifier: Apache-2.0
"""Clips around annotated frames: which frames, boxes on the right pixels, batches, files that cannot be used."""

import json
import pickle
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from pytorchvideo.data import ActionDetectionDataset, detection_collate
from pytorchvideo.data._decode._pyav.write import Encoding, write_video
from pytorchvideo.transforms import DetectionTransform
from pytorchvideo.transforms.clip_recipe import ClipRecipe

VECTORS = Path(__file__).resolve().parents[3] / "shared/reference/research/view_positions.json"
FPS, FRAMES, HEIGHT, WIDTH = 10, 30, 48, 64
RECIPE = ClipRecipe(4, 2, frames_per_second=FPS, side_size=24, crop_size=24)
HEADER = "video,time_sec,x1,y1,x2,y2,label,person\n"
ROWS = """\
a.mp4,1.0,16,12,32,36,walk,7
a.mp4,1.0,16,12,32,36,talk,7
a.mp4,1.0,40,0,64,48,,8
b,2,0,0,16,48,talk,
"""


def grey(k: int) -> int:
    return 8 * k


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos whose frame k has the value 8 k, but white in columns 16 to 32 and rows 12 to 36."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("a.mp4", "below/b.mp4"):
        frames = []
        for k in range(FRAMES):
            frame = np.full((HEIGHT, WIDTH, 3), grey(k), np.uint8)
            frame[12:36, 16:32] = 255
            frames.append(frame)
        (folder / name).parent.mkdir(exist_ok=True)
        write_video(folder / name, frames, FPS, Encoding("libx264", {"crf": "4"}))
    return folder


def dataset(folder: Path, rows: str = ROWS, /, **options: Any) -> ActionDetectionDataset:
    file = folder / "boxes.csv"
    file.write_text(HEADER + rows)
    return ActionDetectionDataset.from_csv(file, **{"recipe": RECIPE, **options})


def test_a_sample_has_the_clip_and_the_people(videos: Path, tmp_path: Path) -> None:
    found = dataset(tmp_path, videos=videos)
    assert repr(found) == ("ActionDetectionDataset(2 key frames of 2 videos, 3 boxes, 2 classes)")
    assert found.label_map == {1: "talk", 2: "walk"}
    sample = found[0]
    assert sample["video"].shape == (3, 4, HEIGHT, WIDTH)
    # second 1.0 is frame 10, the first of the second half; two frames apart
    corner = sample["video"][0, :, 2, 2].tolist()
    assert corner == pytest.approx([grey(k) for k in (6, 8, 10, 12)], abs=2)
    assert sample["boxes"].tolist() == [[16, 12, 32, 36], [40, 0, 64, 48]]
    assert sample["labels"].tolist() == [[1, 1], [0, 0]]
    assert sample["persons"].tolist() == [7, 8]
    assert sample["scores"].tolist() == [1, 1]
    assert sample["original_boxes"].tolist() == [[0.25, 0.25, 0.5, 0.75], [0.625, 0, 1, 1]]
    assert (sample["video_name"], sample["time"], sample["index"]) == ("a.mp4", 1.0, 0)
    assert found[-1]["persons"].tolist() == [-1]
    assert found.groundtruth == [
        ["a.mp4", 1.0, 0.25, 0.25, 0.5, 0.75, 1],
        ["a.mp4", 1.0, 0.25, 0.25, 0.5, 0.75, 2],
        ["b", 2.0, 0.0, 0.0, 0.25, 1.0, 1],
    ]
    with pytest.raises(IndexError, match=r"from -2 to 1, but got 2"):
        found[2]


def test_another_process_can_have_it(videos: Path, tmp_path: Path) -> None:
    found = dataset(tmp_path, videos=videos, transform=DetectionTransform.evaluation(RECIPE))
    wanted, copy = found[0], pickle.loads(pickle.dumps(found))
    assert torch.equal(copy[0]["video"], wanted["video"])
    assert torch.equal(copy[0]["boxes"], wanted["boxes"])


def test_fractions_are_the_same_boxes(videos: Path, tmp_path: Path) -> None:
    rows = "a.mp4,1.0,0.25,0.25,0.5,0.75,walk,7\n"
    found = dataset(tmp_path, rows, videos=videos)
    assert found[0]["boxes"].tolist() == [[16, 12, 32, 36]]
    # fractions of pixels, if one says so
    small = dataset(tmp_path, rows, videos=videos, unit="pixel")
    assert small[0]["boxes"].tolist() == [[0.25, 0.25, 0.5, 0.75]]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_have_the_number_of_the_clip_before_its_boxes(
    videos: Path, tmp_path: Path, workers: int
) -> None:
    found = dataset(tmp_path, videos=videos, transform=DetectionTransform.evaluation(RECIPE))
    loader = DataLoader(found, batch_size=2, num_workers=workers, collate_fn=detection_collate)
    (batch,) = list(loader)
    assert batch["video"].shape == (2, 3, 4, 24, 32)
    assert batch["boxes"].tolist() == [
        [0, 8, 6, 16, 18],
        [0, 20, 0, 31, 23],
        [1, 0, 0, 8, 23],
    ]
    assert batch["labels"].tolist() == [[1, 1], [0, 0], [1, 0]]
    assert batch["persons"].tolist() == [7, 8, -1]
    assert batch["video_name"] == ["a.mp4", "b"]
    assert batch["time"] == [1.0, 2.0]
    # the box lies on the white pixels
    x1, y1, x2, y2 = batch["boxes"][0, 1:].int().tolist()
    white = batch["video"][0, 0, :, y1 + 1 : y2 - 1, x1 + 1 : x2 - 1]
    assert white.min() > (0.9 - 0.45) / 0.225


def test_clips_of_different_sizes_are_no_batch(videos: Path, tmp_path: Path) -> None:
    samples = [dataset(tmp_path, videos=videos)[0] for _ in range(2)]
    samples[1]["video"] = samples[1]["video"][..., :-1]
    with pytest.raises(ValueError, match="clips of one size in a batch"):
        detection_collate(samples)


def test_frames_are_those_of_pyslowfast(tmp_path: Path) -> None:
    if not VECTORS.is_file():
        pytest.skip("the shared view_positions.json is not there")
    from pytorchvideo.data._reading.key_frames import grid_offsets

    for case in json.loads(VECTORS.read_text(encoding="utf-8"))["ava"]:
        offsets = grid_offsets(case["num_frames"], case["sampling_rate"])
        centre = (case["sec"] - 900) * 30
        last = case["video_frames"] - 1
        assert [min(max(centre + o, 0), last) for o in offsets] == case["seq"]
    assert grid_offsets(4, 16, "pytorchvideo") == [-32, -11, 10, 31]
    with pytest.raises(ValueError, match="`grid` to be one of pyslowfast, pytorchvideo"):
        grid_offsets(4, 16, "other")  # type: ignore[arg-type]


def test_frames_beyond_the_ends_are_the_first_and_the_last(videos: Path, tmp_path: Path) -> None:
    rows = "a.mp4,0.1,1,1,9,9,walk,\na.mp4,2.95,1,1,9,9,walk,\n"
    found = dataset(tmp_path, rows, videos=videos)
    first, last = ([round(v / 8) for v in s["video"][0, :, 2, 2].tolist()] for s in found)
    assert first == [0, 0, 1, 3]
    assert last in ([25, 27, 29, 29], [26, 28, 29, 29])  # 29.5 is as near to one as to the other


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a.mp4,3.5,1,1,9,9,walk,\n", r"line 3: expected a time in 0\.\.3 s, which a.mp4 has"),
        ("a.mp4,1,9,1,9,5,walk,\n", "line 3: expected a box with x1 < x2, but got x1 = 9"),
        ("a.mp4,1,1,nan,9,9,walk,\n", "line 3: expected `video,time_sec,x1"),
        ("a.mp4,-1,1,1,9,9,walk,\n", "line 3: expected `video,time_sec,x1"),
        ("a.mp4,1,1,1,9,9,walk,first\n", "line 3: expected `video,time_sec,x1"),
        (",1,1,1,9,9,walk,\n", "line 3: expected `video,time_sec,x1"),
        ("a.mp4,1,1,1,9\n", "line 3: expected 8 fields"),
    ],
)
def test_bad_lines_are_named(videos: Path, tmp_path: Path, rows: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"boxes.csv, {said}"):
        dataset(tmp_path, f"a.mp4,1,1,1,9,9,run,\n{rows}", videos=videos)


def test_a_label_map_that_does_not_fit_is_named(videos: Path, tmp_path: Path) -> None:
    said = re.escape("boxes.csv, line 2: expected a class of label_map, but got 'walk'.")
    with pytest.raises(ValueError, match=said + " Did you mean talk"):
        dataset(tmp_path, videos=videos, label_map={1: "talk"})
    file = tmp_path / "map.pbtxt"
    file.write_text('item {\n  name: "walk"\n  id: 3\n}\nitem {\n  name: "talk"\n  id: 9\n}\n')
    found = dataset(tmp_path, videos=videos, label_map=file)
    assert found.classes == [3, 9]
    assert found[0]["labels"].tolist() == [[1, 1], [0, 0]]
    with pytest.warns(UserWarning, match=r"boxes.csv: no line has the class 'walk' \(id 3\)"):
        numbered = dataset(tmp_path, "a.mp4,1,1,1,9,9,9,\n", videos=videos, label_map=file)
    assert numbered[0]["labels"].tolist() == [[0, 1]]


def test_videos_that_are_not_there_are_left_out_and_named(videos: Path, tmp_path: Path) -> None:
    rows = "missing,1,1,1,9,9,walk,\n"
    with pytest.warns(UserWarning, match=r"1 of 3 videos is left out.*boxes.csv, line 6: .*no vid"):
        found = dataset(tmp_path, ROWS + rows, videos=videos)
    assert [clip.path for clip in found.skipped] == ["missing"]
    assert len(found) == 2
    with pytest.raises(ValueError, match=r"1 of 1 videos? (is|are) left out.*boxes.csv, line 2: "):
        dataset(tmp_path, rows, videos={"a": videos / "a.mp4"})


def test_names_of_videos_are_those_below_the_folder(videos: Path, tmp_path: Path) -> None:
    for name in ("one/b.mp4", "two/b.mp4", "a.mkv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(videos / "a.mp4", tmp_path / name)
    rows = "".join(f"{name},1,1,1,9,9,walk,\n" for name in ("one/b", "two/b.mp4", "a.mp4", "a"))
    names = [frame.video for frame in dataset(tmp_path, rows).key_frames]
    assert names == ["one/b", "two/b.mp4", "a.mp4", "a"]
    for bad in ("b", "other/b.mp4"):
        said = (
            "has 2 videos that may be 'b': .*b.mp4. Name the fol" if bad == "b" else "has no video"
        )
        with pytest.warns(UserWarning, match=f"1 of 5 videos is left out.* line 6: .*{said}"):
            dataset(tmp_path, f"{rows}{bad},1,1,1,9,9,walk,\n")


def test_a_file_without_people_is_said_to_have_none(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"boxes.csv has no person"):
        dataset(tmp_path, "a.mp4,1,,,,,,\n", videos=videos)
    with pytest.raises(ValueError, match=r"boxes.csv has no label"):
        dataset(tmp_path, "a.mp4,1,1,1,9,9,,\n", videos=videos)


def test_videos_and_classes_without_people_are_named(videos: Path, tmp_path: Path) -> None:
    rows = "a.mp4,1,1,1,9,9,walk,\na.mp4,2,,,,,,\nb,1,,,,,,\n"
    with pytest.warns(
        UserWarning, match=r"1 of 2 videos is left .*boxes.csv, line 4: it has no pe"
    ):
        found = dataset(tmp_path, rows, videos=videos)
    assert [frame.video for frame in found.key_frames] == ["a.mp4"]
    # the frame without anybody counts in evaluations
    assert found.groundtruth[1:] == [["a.mp4", 2.0]]
    idle = dataset(tmp_path, "a.mp4,1,1,1,9,9,walk,\nb,1,1,1,9,9,,\n", videos=videos)
    assert idle.groundtruth[1:] == [["b", 1.0]]
    said = re.escape("boxes.csv: no line has the class 'run' (id 3), 'talk' (id 9).")
    with pytest.warns(UserWarning, match=said):
        dataset(tmp_path, rows[:22], videos=videos, label_map={1: "walk", 3: "run", 9: "talk"})


def test_boxes_outside_of_the_picture_are_found(videos: Path, tmp_path: Path) -> None:
    rows = "a.mp4,1,0,0,64,48,walk,\na.mp4,2,-4,0,64,48,walk,\na.mp4,2,0,0,65,48,walk,\n"
    assert [said[-66:] for said in dataset(tmp_path, rows, videos=videos).check()] == [
        "line 3: the box is not inside of the picture: -0.062, 0.000, 1.000, 1.000."[-66:],
        "line 4: the box is not inside of the picture: 0.000, 0.000, 1.016, 1.000."[-66:],
    ]


# -- AVA ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of a film at 30 fps; frame k has the value k."""
    root = tmp_path_factory.mktemp("ava")
    lines = ["original_vido_id video_id frame_id path labels\n"]
    (root / "film").mkdir()
    for k in range(120):
        path = f"film/film_{k + 1:06d}.png"
        Image.fromarray(np.full((6, 8, 3), k, np.uint8)).save(root / path)
        lines.append(f'film 0 {k} {path} ""\n')
    (root / "frames.csv").write_text("".join(lines))
    (root / "train.csv").write_text(
        "film,0902,0.100,0.200,0.500,0.800,12,3\nfilm,0902,0.100,0.200,0.500,0.800,80,3\n"
        "film,0902,0.600,0.200,0.900,0.800,2,4\nfilm,0903,0.100,0.200,0.500,0.800,80,3\n"
        "film,0901,0.100,0.200,0.500,0.800,80,3\n"
    )
    (root / "found.csv").write_text(
        "film,0902,0.110,0.200,0.500,0.800,12,0.95\nfilm,0902,0.000,0.000,0.300,0.300,,0.9\n"
        "film,0902,0.500,0.500,0.700,0.700,,0.89\nfilm,0903,0.500,0.500,0.700,0.700,,0.99\n"
    )
    (root / "excluded.csv").write_text("film,0903\n")
    return root


def from_ava(root: Path, **options: Any) -> ActionDetectionDataset:
    given: dict[str, Any] = {
        "frame_lists": root / "frames.csv",
        "path_prefix": str(root),
        "recipe": ClipRecipe(4, 16, side_size=6, crop_size=None),
        **options,
    }
    return ActionDetectionDataset.from_ava(root / "train.csv", **given)


def test_ava_is_read_as_pyslowfast_does(ava: Path) -> None:
    found = from_ava(ava)
    assert [(frame.video, frame.time_sec) for frame in found.key_frames] == [
        ("film", 902.0),
        ("film", 903.0),
    ]
    assert found.classes == list(range(1, 81))
    sample = found[0]
    assert sample["video"][0, :, 0, 0].tolist() == [28, 44, 60, 76]
    assert sample["labels"].nonzero().tolist() == [[0, 11], [0, 79], [1, 1]]
    assert sample["persons"].tolist() == [3, 4]
    assert from_ava(ava, grid="pytorchvideo")[0]["video"][0, :, 0, 0].tolist() == [28, 49, 70, 91]
    assert len(from_ava(ava, every_sec=2)) == 1
    said = "film: expected 27,030 frames, but got 120. Frames may lie at other seconds."
    assert found.check() == [said]
    assert found.check(expected_frames=119) == []


def test_the_60_classes_leave_out_the_others(ava: Path) -> None:
    found = from_ava(ava, label_map="ava60")
    assert len(found.classes) == 60
    assert found[0]["labels"].shape == (1, 60)
    # the second of the class that is left out is declared, as the official evaluation has it
    assert [row[-1] for row in found.groundtruth] == [12, 80, 80, 902.0]
    with pytest.raises(
        ValueError, match=r"train.csv, line 1: expected a class of label_map, but got '12'"
    ):
        from_ava(ava, label_map={1: "own"})


def test_detected_people_are_added_in_training_and_alone_otherwise(ava: Path) -> None:
    options: dict[str, Any] = {"predicted": ava / "found.csv", "score_threshold": 0.9}
    training = from_ava(ava, **options)
    assert training[0]["labels"].sum(1).tolist() == [2, 1, 1, 0]
    assert training[0]["scores"].tolist() == pytest.approx([1, 1, 0.95, 0.9])
    test = from_ava(ava, training=False, excluded=ava / "excluded.csv", **options)
    assert len(test) == 1
    assert test[0]["labels"].sum(1).tolist() == [0, 0]
    assert test[0]["original_boxes"][0].tolist() == pytest.approx([0.11, 0.2, 0.5, 0.8])
    assert [row[6] for row in test.groundtruth] == [12, 80, 2]
    with pytest.raises(ValueError, match=r"found.csv: expected boxes of people with a score of at"):
        from_ava(ava, **{**options, "training": False, "score_threshold": 1.0})


def test_the_same_file_over_videos_has_seconds_of_the_files(videos: Path, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("a,0001,0.25,0.25,0.5,0.75,12,0\n")
    read = ActionDetectionDataset.from_ava
    found = read(tmp_path / "boxes.csv", videos=videos, recipe=RECIPE)
    assert found[0]["video"][0, 2, 0, 0].item() == pytest.approx(grey(10), abs=2)
    (tmp_path / "boxes.csv").write_text("a,0902,0.25,0.25,0.5,0.75,12,0\n")
    later = read(tmp_path / "boxes.csv", videos=videos, recipe=RECIPE, start_sec=901)
    assert torch.equal(found[0]["video"], later[0]["video"])
    with pytest.raises(ValueError, match=r"boxes.csv, line 1: expected a time in 0\.\.3 s"):
        read(tmp_path / "boxes.csv", videos=videos, recipe=RECIPE)
    with pytest.raises(ValueError, match="one of `frame_lists` and `videos`, but got neither"):
        read(tmp_path / "boxes.csv", recipe=RECIPE)
