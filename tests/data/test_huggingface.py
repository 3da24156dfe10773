# SPDX-License-Identifier: Apache-2.0
"""Videos go into ``datasets`` and come back as the same clips: paths, bytes, parquet, class folders."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, SequentialSampler

from pytorchvideo.data import (
    ClipDataset,
    LabeledVideoDataset,
    LabeledVideoPaths,
    labeled_video_dataset,
    make_clip_sampler,
)
from pytorchvideo.data.huggingface import HuggingFaceVideos, to_hugging_face

datasets = pytest.importorskip("datasets")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def folder(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes with two videos each, avi and mp4."""
    root = tmp_path_factory.mktemp("classes")
    for name in ("Archery", "BabyCrawling"):
        make_video(f"{name}/v_{name}_g01.mp4", folder=root, num_frames=45)
        make_video(f"{name}/v_{name}_g02.avi", folder=root, num_frames=60, codec="mpeg4")
    return root


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()


def samples(videos: Any, kind: Any = LabeledVideoDataset) -> list[dict[str, Any]]:
    return list(kind(videos, make_clip_sampler("uniform", 0.5), SequentialSampler))


def assert_same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    assert len(found) == len(wanted) == 14
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one["video"], other["video"])
        assert (one["label"], one["video_name"]) == (other["label"], other["video_name"])


@pytest.mark.parametrize("embed", [True, False])
def test_there_and_back(folder: Path, embed: bool, tmp_path: Path) -> None:
    ours = LabeledVideoPaths.from_path(folder)
    table = to_hugging_face(ours, embed=embed)
    assert isinstance(table.features["video"], datasets.Video)
    assert table.features["label"].names == ["Archery", "BabyCrawling"]
    back = HuggingFaceVideos(table)
    assert (len(back), back.class_names) == (4, ours.class_names)
    assert_same(samples(back), samples(ours))


def test_parquet_holds_the_videos_themselves(folder: Path, tmp_path: Path) -> None:
    ours = LabeledVideoPaths.from_path(folder)
    to_hugging_face(ours).to_parquet(tmp_path / "videos.parquet")
    stored = parquet.read_table(tmp_path / "videos.parquet")["video"].to_pylist()
    files = {path.name: path.read_bytes() for path in folder.glob("*/*")}
    assert {Path(cell["path"]).name: cell["bytes"] for cell in stored} == files
    loaded = datasets.Dataset.from_parquet(str(tmp_path / "videos.parquet"))
    assert_same(samples(HuggingFaceVideos(loaded)), samples(ours))
    picked = HuggingFaceVideos(loaded.select([3, 0]))
    assert {s["video_name"] for s in samples(picked)} == {
        "v_BabyCrawling_g02.avi",
        "v_Archery_g01.mp4",
    }


def test_class_folders_are_their_video_folders(folder: Path) -> None:
    table = datasets.load_dataset("videofolder", data_dir=str(folder), split="train")
    theirs = HuggingFaceVideos(table)
    assert theirs.class_names == ["Archery", "BabyCrawling"]
    key = lambda sample: (sample["video_name"], sample["clip_index"])  # noqa: E731
    wanted = list(
        labeled_video_dataset(str(folder), make_clip_sampler("uniform", 0.5), SequentialSampler)
    )
    assert_same(sorted(samples(theirs), key=key), sorted(wanted, key=key))


@pytest.mark.parametrize("workers", [0, 2])
def test_sized_data_sets_and_workers(folder: Path, workers: int) -> None:
    table = to_hugging_face(LabeledVideoPaths.from_path(folder))
    dataset = ClipDataset(HuggingFaceVideos(table), make_clip_sampler("uniform", 0.5))
    assert len(dataset) == 14
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    found = [(sample["video_name"], sample["label"]) for sample in loader]
    assert len(found) == 14
    assert dataset.skipped == []


def test_columns_of_other_kinds(folder: Path) -> None:
    paths = sorted(str(path) for path in folder.glob("*/*"))
    of_paths = datasets.Dataset.from_dict({"file": paths, "action": ["run", None, "jump", "run"]})
    videos = HuggingFaceVideos(of_paths, video="file", label="action")
    assert videos.class_names == ["jump", "run"]
    assert [videos[i] for i in range(4)] == list(
        zip(paths, [{"label": n} for n in (1, -1, 0, 1)], strict=True)
    )
    of_bytes = datasets.Dataset.from_dict({"video": [Path(path).read_bytes() for path in paths]})
    videos = HuggingFaceVideos(of_bytes, label=None)
    assert videos[1] == (f"row 1: video, {Path(paths[1]).stat().st_size} bytes", {"label": -1})
    assert repr(videos) == "HuggingFaceVideos(4 videos)"
    assert len(samples(videos)) == 14
    unlabelled = to_hugging_face([(path, {}) for path in paths])
    assert unlabelled.column_names == ["video"]


def test_bad_rows_are_skipped_by_name(folder: Path) -> None:
    good = (folder / "Archery/v_Archery_g01.mp4").read_bytes()
    rows = [{"bytes": good, "path": "good.mp4"}, {"bytes": b"no video", "path": "bad.mp4"}]
    features = datasets.Features({"video": datasets.Video()})
    table = datasets.Dataset.from_dict({"video": rows}, features=features)
    dataset = LabeledVideoDataset(
        HuggingFaceVideos(table, label=None), make_clip_sampler("uniform", 0.5)
    )
    with pytest.warns(UserWarning, match=r"row 1: bad\.mp4, 8 bytes"):
        assert len(list(dataset)) == 3
    assert [clip.path for clip in dataset.skipped] == ["row 1: bad.mp4, 8 bytes"]


def test_errors(folder: Path) -> None:
    table = datasets.Dataset.from_dict({"clip": ["a.mp4"], "length": [2.0]})
    with pytest.raises(ValueError, match=r"no column 'video'.*Known names: clip, length"):
        HuggingFaceVideos(table)
    with pytest.raises(ValueError, match="`length` to be a column of videos, paths or bytes"):
        HuggingFaceVideos(table, video="length", label=None)
    with pytest.raises(
        TypeError, match=r"a datasets\.Dataset, but got 'IterableDataset'.*streaming"
    ):
        HuggingFaceVideos(table.to_iterable_dataset())
    with pytest.raises(FileNotFoundError, match=r"missing\.mp4"):
        to_hugging_face([("missing.mp4", {"label": 0})])
