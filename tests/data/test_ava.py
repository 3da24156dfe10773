# SPDX-License-Identifier: Apache-2.0
"""AVA: boxes, label maps, clips around a second."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import Ava, make_clip_sampler
from pytorchvideo.data.ava import AvaLabeledVideoFramePaths, TimeStampClipSampler

FPS = 4
HEADER = "original_vido_id video_id frame_id path labels\n"
BOXES = """\
film,0902,0.100,0.200,0.500,0.800,12,0
film,0902,0.101,0.199,0.502,0.803,79,0.5
film,0902,0.600,0.200,0.900,0.800,,1
film,0903,0.100,0.200,0.500,0.800,80,0

film,0901,0.100,0.200,0.500,0.800,80,0
film,1799,0.100,0.200,0.500,0.800,80,0
other,0902,0.0,0.0,1.0,1.0,12,3
"""
LABEL_MAP = """\
label {
  name: "stand"
  label_id: 12
  label_type: PERSON_MOVEMENT
}
item {
  name: "watch (a person)"
  id: 80
}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five seconds of two films at 4 fps; frame k has the value 10 k."""
    root = tmp_path_factory.mktemp("ava")
    lines = [HEADER]
    for v, name in enumerate(("other", "film")):
        (root / name).mkdir()
        for k in range(5 * FPS):
            path = f"{name}/{name}_{k + 1:06d}.png"
            Image.fromarray(np.full((6, 8, 3), 10 * k, np.uint8)).save(root / path)
            lines.append(f'{name} {v} {k} {path} ""\n')
    (root / "frames.csv").write_text("".join(lines))
    (root / "boxes.csv").write_text(BOXES)
    (root / "classes.pbtxt").write_text(LABEL_MAP)
    return root


def test_boxes_of_people_are_merged_and_filtered(files: Path) -> None:
    paths = (str(files / "frames.csv"), str(files / "boxes.csv"), str(files))
    read = AvaLabeledVideoFramePaths.from_csv
    items = read(*paths)
    assert items == [
        (
            str(files / "other"),
            {
                "labels": [[12]],
                "boxes": [[0, 0, 1, 1]],
                "extra_info": [[3]],
                "video_index": 0,
                "clip_index": 2.0,
            },
        ),
        (
            str(files / "film"),
            {
                "labels": [[12, 79], [-1]],
                "boxes": [[0.1, 0.2, 0.5, 0.8], [0.6, 0.2, 0.9, 0.8]],
                "extra_info": [[0, 0.5], [1]],
                "video_index": 1,
                "clip_index": 2.0,
            },
        ),
        (
            str(files / "film"),
            {
                "labels": [[80]],
                "boxes": [[0.1, 0.2, 0.5, 0.8]],
                "extra_info": [[0]],
                "video_index": 1,
                "clip_index": 3.0,
            },
        ),
    ]
    some = read(*paths, label_map_file=str(files / "classes.pbtxt"))
    assert [info["labels"] for _, info in some] == [[[12]], [[12], [-1]], [[80]]]


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_of_two_epochs(files: Path, workers: int) -> None:
    dataset = Ava(
        str(files / "frames.csv"),
        str(files / "boxes.csv"),
        str(files),
        clip_sampler=make_clip_sampler("random", 1),
        video_sampler=SequentialSampler,
        fps=FPS,
    )
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        samples = sorted(loader, key=lambda s: (s["video_index"], s["clip_index"]))
        assert [(s["video_name"], s["video_index"], s["clip_index"]) for s in samples] == [
            ("other", 0, 2.0),
            ("film", 1, 2.0),
            ("film", 1, 3.0),
        ]
        for sample in samples:
            assert list(sample) == [
                *("video", "video_name", "video_index", "clip_index", "aug_index"),
                *("labels", "boxes", "extra_info"),
            ]
            assert sample["video"].shape == (3, FPS, 6, 8)
            assert sample["video"].dtype == torch.float32
            assert sample["aug_index"] == 0
            first = int(sample["clip_index"] * FPS) - FPS // 2
            frames = (sample["video"][0, :, 0, 0] / 10).int().tolist()
            assert frames == list(range(first, first + FPS))


def test_clips_near_the_start_are_not_lost(files: Path) -> None:
    sampler = TimeStampClipSampler(make_clip_sampler("uniform", 5))
    clip = sampler(None, 5, {"clip_index": 2.0})
    assert clip == (0, Fraction(9, 2), 0, 0, True)
    sampler.reset()
    dataset = Ava(
        str(files / "frames.csv"),
        str(files / "boxes.csv"),
        str(files),
        clip_sampler=make_clip_sampler("random", 5),
        video_sampler=SequentialSampler,
        fps=FPS,
    )
    assert [s["video"].shape[1] for s in dataset] == [18, 18, 18]  # [0, 4.5) and [0.5, 5)
    assert dataset.skipped == []


def test_films_without_frames_are_left_out(files: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("gone,0950,0,0,1,1,3,0\n" + BOXES)
    arguments = (str(files / "frames.csv"), str(boxes), str(files))
    with pytest.warns(UserWarning, match="1 of 3 videos is left out. The first: gone: it has no"):
        dataset = Ava(*arguments, clip_sampler=make_clip_sampler("random", 1), fps=FPS)
    assert [clip.path for clip in dataset.skipped] == ["gone"]
    boxes.write_text("gone,0950,0,0,1,1,3,0\n")
    with pytest.raises(ValueError, match="1 of 1 video is left out"):
        AvaLabeledVideoFramePaths.from_csv(*arguments)


def test_bad_lines_and_arguments(files: Path, tmp_path: Path) -> None:
    boxes = tmp_path / "boxes.csv"
    for line in ("film,0902,0,0,1,1,3", "film,x,0,0,1,1,3,0", "film,0902,0,0,1,1,run,0"):
        boxes.write_text(f"film,0902,0,0,1,1,3,0\n{line}\n")
        with pytest.raises(ValueError, match=r"boxes\.csv, line 2: .*x1,y1,x2,y2"):
            AvaLabeledVideoFramePaths.load_and_parse_labels_csv(str(boxes), {"film": 0})
    boxes.write_text('label {\n  name: "a"\n}\n')
    with pytest.raises(ValueError, match="got 1 names, 0 ids"):
        AvaLabeledVideoFramePaths.read_label_map(str(boxes))
    with pytest.raises(TypeError, match="`clip_sampler` to be a clip sampler"):
        Ava(str(files / "frames.csv"), str(files / "boxes.csv"))


def test_published_label_maps(shared_data: Path) -> None:
    folder = shared_data / "annotations"
    names, ids = AvaLabeledVideoFramePaths.read_label_map(
        str(folder / "ava_action_list_v2.2.pbtxt")
    )
    assert ids == set(range(1, 81))
    assert (names[1], names[80]) == ("bend/bow (at the waist)", "watch (a person)")
    few, _ = AvaLabeledVideoFramePaths.read_label_map(
        str(folder / "mmaction2_eval_detection_action_list.txt")
    )
    assert few == {1: "action1", 2: "action2", 3: "action3"}


def test_published_rows(shared_data: Path) -> None:
    folder = shared_data / "annotations"
    read = AvaLabeledVideoFramePaths.load_and_parse_labels_csv
    films = {"0f39OWEqJ24": 4, "_-Z6wFjXtGQ": 7}
    found = read(str(folder / "mmaction2_ava_sample.csv"), films)
    assert found == {
        4: {
            2.0: [([0.031, 0.162, 0.670, 0.995], [12, 17, 79], [0, 0, 0])],
            3.0: [([0.034, 0.189, 0.669, 0.980], [12, 17], [0, 0])],
        },
        7: {2.0: [([0.063, 0.049, 0.524, 0.996], [12, 74, 80], [0, 0, 0])]},
    }
    films = {"3reY9zJKhqN": 0, "HmR8SmNIoxu": 1, "5HNXoce1raG": 2}
    truth = read(str(folder / "mmaction2_eval_detection_gt.csv"), films)
    assert {v: list(seconds) for v, seconds in truth.items()} == {0: [874], 1: [484], 2: [197]}
    assert all(len(people) == 4 for seconds in truth.values() for people in seconds.values())
    detections = read(str(folder / "mmaction2_eval_detection_pred.csv"), films, {1})
    rows = (folder / "mmaction2_eval_detection_pred.csv").read_text().splitlines()
    scores = [
        score
        for seconds in detections.values()
        for people in seconds.values()
        for p in people
        for score in p.extra_info
    ]
    wanted = [float(r.split(",")[7]) for r in rows if r.split(",")[6] == "1"]
    assert sorted(scores) == sorted(wanted)


def test_every_published_second_is_used(shared_data: Path, tmp_path: Path) -> None:
    text = (shared_data / "annotations/ava_included_timestamps_v2.2.txt").read_text().split()
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("".join(f"film,{second},0,0,1,1,3,0\n" for second in text))
    found = AvaLabeledVideoFramePaths.load_and_parse_labels_csv(str(boxes), {"film": 0})
    assert list(found[0]) == list(range(2, 899))
