# SPDX-License-Identifier: Apache-2.0
"""Charades: lists of frames, labels per frame, and the epochs of a folder of frames."""

import csv
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import Charades, make_clip_sampler
from pytorchvideo.data._annotations.frame_lists import read_frame_lists
from pytorchvideo.transforms import ApplyTransformToKey, UniformTemporalSubsample

HEADER = "original_vido_id video_id frame_id path labels\n"
FPS = 10
LABELS = {"46GP8": [[], [147], [147], [92, 147], [92]] * 2, "N11GT": [[75, 98]] * 7}
Make = Callable[..., Charades]


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frame k of video v is a picture of value 100 v + 10 k."""
    root = tmp_path_factory.mktemp("charades")
    lines = [HEADER]
    for v, (name, labels) in enumerate(LABELS.items()):
        (root / name).mkdir()
        for k, classes in enumerate(labels):
            path = f"{name}/{name}-{k + 1:06d}.png"
            Image.fromarray(np.full((6, 8, 3), 100 * v + 10 * k, np.uint8)).save(root / path)
            lines.append(f'{name} {v} {k} {path} "{",".join(map(str, classes))}"\n')
    (root / "list.csv").write_text("".join(lines))
    return root


@pytest.fixture
def make(frames: Path) -> Make:
    def make(sampler: tuple[Any, ...] = ("uniform", Fraction(2, 5)), **kwargs: Any) -> Charades:
        return Charades(
            str(frames / "list.csv"),
            make_clip_sampler(*sampler),
            SequentialSampler,
            video_path_prefix=str(frames),
            fps=FPS,
            **kwargs,
        )

    return make


def values(video: torch.Tensor) -> list[int]:
    return (video[0, :, 0, 0] / 10).int().tolist()


def test_the_parts_that_clients_use(make: Make, frames: Path) -> None:
    dataset = make()
    assert dataset._path_to_videos == [
        [str(frames / f"{name}/{name}-{k + 1:06d}.png") for k in range(len(labels))]
        for name, labels in LABELS.items()
    ]
    assert [dataset._labeled_videos[i][0] for i in range(2)] == list(LABELS)


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_of_two_epochs(make: Make, workers: int) -> None:
    loader = DataLoader(make(), batch_size=None, num_workers=workers)
    for _ in range(2):
        samples = sorted(loader, key=lambda s: (s["video_index"], s["clip_index"]))
        assert [(s["video_name"], s["clip_index"]) for s in samples] == [
            ("46GP8", 0),
            ("46GP8", 1),
            ("N11GT", 0),
        ]
        for sample in samples:
            assert list(sample) == [
                *("video", "video_name", "video_index", "clip_index", "aug_index"),
                *("label", "video_label"),
            ]
            assert sample["video"].shape == (3, 4, 6, 8)
            assert sample["video"].dtype == torch.float32
            assert sample["aug_index"] == 0
        assert [s["video_index"] for s in samples] == [0, 0, 1]
        assert values(samples[1]["video"]) == [4, 5, 6, 7]
        assert samples[1]["label"] == LABELS["46GP8"][4:8]
        assert [s["video_label"] for s in samples] == [[92, 147], [92, 147], [75, 98]]
    assert Charades.NUM_CLASSES == 157


@pytest.mark.parametrize(
    ("stride", "first_frames"),
    [(Fraction(1, 5), [0, 2, 4, 6, 10, 12]), (Fraction(3, 5), [0, 6, 10])],
)
def test_strides_shorter_and_longer_than_a_clip(
    make: Make, stride: Fraction, first_frames: list[int]
) -> None:
    samples = list(make(("uniform", Fraction(2, 5), stride)))
    assert [values(s["video"])[0] for s in samples] == first_frames


def test_frames_per_clip_and_the_labels_between(make: Make) -> None:
    sample = next(iter(make(("uniform", Fraction(4, 5)), frames_per_clip=3)))
    assert values(sample["video"]) == [0, 3, 7]
    assert sample["label"] == LABELS["46GP8"][:8]
    (first, _) = make(("uniform", Fraction(2, 5), 10), frames_per_clip=6)
    assert values(first["video"]) == [0, 0, 1, 1, 2, 3]  # four frames, some of them twice
    with pytest.raises(ValueError, match="`frames_per_clip` to be a whole number >= 1"):
        make(frames_per_clip=0)


@pytest.mark.parametrize("count", [1, 2])
def test_a_transform_that_keeps_few_frames_changes_no_label(make: Make, count: int) -> None:
    keep = ApplyTransformToKey("video", UniformTemporalSubsample(count))
    for plain, sparse in zip(make(), make(transform=keep), strict=True):
        assert sparse["label"] == plain["label"]
        assert torch.equal(sparse["video"], UniformTemporalSubsample(count)(plain["video"]))


def test_several_clips_at_once_have_a_label_each(make: Make) -> None:
    sample = next(iter(make(("random_multi", Fraction(2, 5), 3))))
    assert len(sample["video"]) == len(sample["label"]) == 3
    for video, label in zip(sample["video"], sample["label"], strict=True):
        assert label == LABELS["46GP8"][values(video)[0] : values(video)[-1] + 1]


def test_missing_frames_are_skipped_and_listed(tmp_path: Path, frames: Path) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text((frames / "list.csv").read_text() + 'GONE 2 0 GONE/1.png ""\n')
    dataset = Charades(
        str(listed),
        make_clip_sampler("random", Fraction(2, 5)),
        video_path_prefix=str(frames),
        fps=FPS,
    )
    with pytest.warns(UserWarning, match="Skipping GONE: The frame .*GONE/1.png cannot be read"):
        assert len(list(dataset)) == 2
    assert [clip.path for clip in dataset.skipped] == ["GONE"]


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "is empty. Expected a header with the columns video_id, frame_id, path, labels"),
        (HEADER, "lists no frame"),
        ('a 0 0 a/1.png ""\n', r"line 1: .*a header with the columns"),
        (HEADER + 'a 0 0 a/1.png ""\na 0 1 a/2.png\n', "line 3: .*5 fields, as the header has"),
        (HEADER + 'a 0 0 a/1.png "1,x"\n', "line 2: .*class ids at the end of the line"),
    ],
)
def test_bad_lists(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(ValueError, match=match):
        read_frame_lists(tmp_path / "list.csv")


def test_lists_are_read_tolerantly(tmp_path: Path) -> None:
    text = '\ufefforiginal_video_id video_id frame_id path labels\r\n\r\nb 0 0 b/1.png 1,2\r\na 1 0 a/1.png ""\r\n'
    (tmp_path / "list.csv").write_text(text, encoding="utf-8", newline="")
    videos = read_frame_lists(tmp_path / "list.csv", "/root")
    assert list(videos) == ["b", "a"]
    assert videos["b"].paths == ["/root/b/1.png"]
    assert [v.labels for v in videos.values()] == [[[1, 2]], [[]]]


def test_published_annotations_as_a_list_of_frames(shared_data: Path, tmp_path: Path) -> None:
    """The first training rows, as PySlowFast's lists have them: the classes of each frame at 24 fps."""
    text = (shared_data / "annotations/charades_v1_train_first199.csv").read_text()
    rows = list(csv.DictReader(text.splitlines()))
    lines, wanted = [HEADER], {}
    for v, row in enumerate(rows[:40]):
        times = [action.split() for action in row["actions"].split(";") if action]
        frames = []
        for k in range(int(float(row["length"]) * 24)):
            classes = [int(c[1:]) for c, a, b in times if float(a) <= k / 24 <= float(b)]
            frames.append(classes)
            labels = ",".join(map(str, classes))
            lines.append(
                f'{row["id"]} {v} {k} {row["id"]}/{row["id"]}-{k + 1:06d}.jpg "{labels}"\n'
            )
        wanted[row["id"]] = frames
    (tmp_path / "list.csv").write_text("".join(lines))
    found = read_frame_lists(tmp_path / "list.csv")
    assert {name: video.labels for name, video in found.items()} == wanted
    assert all(0 <= c < 157 for v in found.values() for frame in v.labels for c in frame)
