# SPDX-License-Identifier: Apache-2.0
"""Something-Something V2: templates, segments, whole videos, and clips that follow the sampler."""

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import SSv2, make_clip_sampler
from pytorchvideo.data.ssv2 import _read_labels

FPS = 10
TEMPLATES = {"Closing something": "1", "Holding something": "0"}
VIDEOS = [
    {"id": "74225", "label": "closing a box", "template": "Closing [something]"},
    {"id": "9", "template": "Closing [something]"},
    {"id": "116154", "template": "Holding something"},
]
Make = Callable[..., SSv2]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos of 12 frames, the k-th of value 20 k; the video 9 has none."""
    root = tmp_path_factory.mktemp("ssv2")
    lines = ["original_vido_id video_id frame_id path labels\n"]
    for v, name in enumerate(("74225", "116154")):
        (root / name).mkdir()
        for k in range(12):
            path = f"{name}/{name}_{k + 1:06d}.png"
            Image.fromarray(np.full((6, 8, 3), 20 * k, np.uint8)).save(root / path)
            lines.append(f'{name} {v} {k} {path} ""\n')
    (root / "frames.csv").write_text("".join(lines))
    (root / "templates.json").write_text(json.dumps(TEMPLATES))
    (root / "videos.json").write_text(json.dumps(VIDEOS))
    return root


@pytest.fixture
def make(files: Path) -> Make:
    def make(sampler: tuple[Any, ...] = ("uniform", 60), **kwargs: Any) -> SSv2:
        names = ("templates.json", "videos.json", "frames.csv")
        with pytest.warns(UserWarning, match="1 of 3 videos is left out. The first: 9: it has no"):
            return SSv2(
                *(str(files / name) for name in names),
                make_clip_sampler(*sampler),
                SequentialSampler,
                video_path_prefix=str(files),
                fps=FPS,
                **kwargs,
            )

    return make


def values(video: torch.Tensor) -> list[int]:
    return (video[0, :, 0, 0] / 20).int().tolist()


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_of_two_epochs(make: Make, workers: int) -> None:
    dataset = make(frames_per_clip=4)
    for _ in range(2):
        loader = DataLoader(dataset, batch_size=None, num_workers=workers)
        samples = sorted(loader, key=lambda s: s["video_index"])
        assert [(s["video_name"], s["label"]) for s in samples] == [("74225", 1), ("116154", 0)]
        for i, sample in enumerate(samples):
            assert list(sample) == [
                *("video", "video_name", "video_index", "clip_index", "aug_index", "label"),
            ]
            assert sample["video"].shape == (3, 4, 6, 8)
            assert sample["video"].dtype == torch.float32
            assert [sample[k] for k in ("video_index", "clip_index", "aug_index")] == [i, 0, 0]
            assert values(sample["video"]) == [1, 4, 7, 9]  # segments of 2.75 frames
    assert [(clip.path, clip.reason) for clip in dataset.skipped] == [("9", "it has no frames.")]


def test_a_random_frame_of_each_segment(make: Make) -> None:
    dataset = make(frames_per_clip=4, rand_sample_frames=True)
    seen = [values(s["video"]) for _ in range(20) for s in dataset]
    bounds = [(0, 3), (3, 6), (6, 8), (8, 11)]
    for frames in seen:
        assert all(a <= f <= b for f, (a, b) in zip(frames, bounds, strict=True))
    for i, (a, b) in enumerate(bounds):
        assert {frames[i] for frames in seen} == set(range(a, b + 1))


def test_clips_follow_the_sampler(make: Make) -> None:
    sampler = ("uniform", Fraction(2, 5), Fraction(3, 5))
    samples = list(make(sampler, frames_per_clip=2, whole_videos=False))
    assert [values(s["video"]) for s in samples] == [[1, 2], [7, 8]] * 2
    samples = list(make(("uniform", Fraction(2, 5)), whole_videos=False))
    assert [values(s["video"]) for s in samples] == [
        [k, k + 1, k + 2, k + 3] for k in (0, 4, 8)
    ] * 2


@pytest.mark.parametrize("length", [0.1, 1.0, 1.2, 60])
@pytest.mark.parametrize(
    ("sampler", "indices"),
    [
        (("constant_clips_per_video", 1), [(0, 0)]),
        (("constant_clips_per_video", 2, 2), [(c, a) for c in range(2) for a in range(2)]),
        (("random",), [(0, 0)]),
        (("random_multi", 2), [([0, 0], [0, 0])]),
    ],
)
def test_a_clip_is_the_whole_video_whatever_its_duration(
    make: Make, length: float, sampler: tuple[Any, ...], indices: list[Any]
) -> None:
    samples = list(make((sampler[0], length, *sampler[1:])))
    assert [(s["clip_index"], s["aug_index"]) for s in samples] == indices * 2
    for sample in samples:
        videos = sample["video"] if isinstance(sample["video"], list) else [sample["video"]]
        assert [values(video) for video in videos] == [list(range(12))] * len(videos)


def test_as_many_whole_videos_as_the_sampler_takes_clips(make: Make) -> None:
    for _ in range(2):  # two epochs
        samples = list(make(("uniform", 0.3), frames_per_clip=3))
        assert [s["clip_index"] for s in samples] == [0, 1, 2, 3] * 2
        assert {tuple(values(s["video"])) for s in samples} == {(2, 5, 9)}


def test_the_parts_that_clients_use(make: Make, files: Path) -> None:
    dataset = make()
    assert dataset._path_to_videos == [
        [str(files / f"{name}/{name}_{k + 1:06d}.png") for k in range(12)]
        for name in ("74225", "116154")
    ]
    assert [dataset._labeled_videos[i][1] for i in range(2)] == [{"label": 1}, {"label": 0}]


@pytest.mark.parametrize("empty", ["''", '""'])
def test_an_empty_list_of_labels(files: Path, tmp_path: Path, empty: str) -> None:
    text = (files / "frames.csv").read_text()
    (tmp_path / "frames.csv").write_text(text.replace('""', empty))
    with pytest.warns(UserWarning, match="1 of 3 videos is left out"):
        dataset = SSv2(
            str(files / "templates.json"),
            str(files / "videos.json"),
            str(tmp_path / "frames.csv"),
            make_clip_sampler("constant_clips_per_video", 1.0, 1),
            SequentialSampler,
            video_path_prefix=str(files),
            frames_per_clip=2,
        )
    assert [values(s["video"]) for s in dataset] == [[3, 8]] * 2


def test_more_frames_asked_for_than_there_are(make: Make) -> None:
    clips = make(("uniform", Fraction(1, 5)), frames_per_clip=5, whole_videos=False)
    sample = next(iter(clips))
    assert values(sample["video"]) == [0, 0, 0, 1, 1]  # two frames
    with pytest.raises(ValueError, match="`frames_per_clip` to be a whole number >= 1"):
        SSv2("", "", "", make_clip_sampler("uniform", 1), frames_per_clip=0)


def test_bad_files_are_named(files: Path, tmp_path: Path) -> None:
    templates, videos = tmp_path / "templates.json", tmp_path / "videos.json"
    templates.write_text('{"Closing something": \n oops}')
    with pytest.raises(ValueError, match=r"templates\.json.*line 2: not json"):
        _read_labels(str(templates), str(videos))
    templates.write_text(json.dumps(TEMPLATES))
    videos.write_text('[{"id": "1"}]')
    with pytest.raises(ValueError, match=r"videos\.json: Expected `\[0\]` to be an object with"):
        _read_labels(str(templates), str(videos))
    videos.write_text('[{"id": "1", "template": "Eating [something]"}]')
    with pytest.raises(ValueError, match="video 1: there is no template 'Eating something'"):
        _read_labels(str(templates), str(videos))
    videos.write_text('[{"id": "gone", "template": "Closing [something]"}]')
    frames = str(files / "frames.csv")
    with pytest.raises(ValueError, match="1 of 1 video"):
        SSv2(str(templates), str(videos), frames, make_clip_sampler("uniform", 1))


def test_published_templates(shared_data: Path, tmp_path: Path) -> None:
    names = (shared_data / "annotations/sthv2.txt").read_text().splitlines()
    templates, videos = tmp_path / "templates.json", tmp_path / "videos.json"
    templates.write_text(json.dumps({name: str(i) for i, name in enumerate(names)}))
    bracketed = [name.replace("something", "[something]") for name in names]
    videos.write_text(json.dumps([{"id": i, "template": t} for i, t in enumerate(bracketed)]))
    assert _read_labels(str(templates), str(videos)) == {str(i): i for i in range(174)}
