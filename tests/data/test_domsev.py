# SPDX-License-Identifier: Apache-2.0
"""DoMSEV: frames and clips with their labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from pytorchvideo.data import DomsevFrameDataset, DomsevVideoDataset
from pytorchvideo.data.dataset_manifest_utils import (
    EncodedVideoInfo,
    VideoClipInfo,
    VideoDatasetType,
    VideoFrameInfo,
    VideoInfo,
    save_encoded_video_manifest,
    save_video_frame_info,
)
from pytorchvideo.data.domsev import LABEL_TYPE_2_MAP, LabelData, LabelType
from pytorchvideo.data.utils import save_dataclass_objs_to_headered_csv

FPS, SECONDS = 4, 5
LABELS = [
    LabelData(
        "v", 2.5, 4.0, 10, 15, 2, "running"
    ),  # before the first in the file, after it in time
    LabelData("v", 0.0, 2.5, 0, 9, 1, "walking"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One video of 5 s; frame k has the value 10 k."""
    root = tmp_path_factory.mktemp("domsev")
    for k in range(FPS * SECONDS):
        Image.fromarray(np.full((6, 8, 3), 10 * k, np.uint8)).save(root / f"f_{k:02d}.png")
    save_dataclass_objs_to_headered_csv([VideoInfo("v", "8x6", SECONDS, FPS)], root / "infos.csv")
    row = VideoFrameInfo("v", str(root), "f_", 4, 0, FPS * SECONDS - 1, "png")
    save_video_frame_info({"v": row}, str(root / "manifest.csv"))
    save_dataclass_objs_to_headered_csv(LABELS, root / "labels.csv")
    return root


def files(folder: Path, manifest: str = "manifest.csv") -> list[str]:
    return [str(folder / name) for name in (manifest, "infos.csv", "labels.csv")]


def clips(videos: dict[str, Any], labels: dict[str, list[LabelData]]) -> list[VideoClipInfo]:
    assert [label.label_name for label in labels["v"]] == ["walking", "running"]
    return [VideoClipInfo("v", 0.0, 2.0), VideoClipInfo("v", 1.0, 5.0)]


@pytest.mark.parametrize("workers", [0, 2])
def test_frames(folder: Path, workers: int) -> None:
    dataset = DomsevFrameDataset(*files(folder))
    assert len(dataset) == FPS * SECONDS
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        items = list(loader)
        assert [item["frame_id"] for item in items] == [f"v_{k}" for k in range(20)]
        assert [item["label"] for item in items] == [1] * 10 + [2] * 6 + [0] * 4
        for k, item in enumerate(items):
            assert set(item) == {"frame_id", "image", "label"}
            assert (item["image"].mode, item["image"].size) == ("RGB", (8, 6))
            assert item["image"].getpixel((0, 0)) == (10 * k,) * 3
    labels = DomsevFrameDataset(*files(folder), transform=lambda item: item["label"])
    assert labels[0] == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_videos(folder: Path, workers: int) -> None:
    dataset = DomsevVideoDataset(*files(folder), clips, frames_per_second=2)
    assert len(dataset) == 2
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        first, second = loader
        for item in (first, second):
            assert set(item) == {
                *("video_id", "video", "audio", "start_time", "stop_time"),
                *("frame_indices", "labels"),
            }
            assert item["video"].dtype == torch.float32
            assert item["labels"].dtype == torch.int64
            assert item["audio"] is None
            frames = (item["video"][0, :, 0, 0] / 10).tolist()
            assert frames == item["frame_indices"]
        assert (first["video_id"], first["start_time"], first["stop_time"]) == ("v", 0, 2)
        assert first["frame_indices"] == list(range(8))
        assert second["frame_indices"] == list(range(4, 20))
        assert first["labels"].tolist() == [1] * 4
        assert second["labels"].tolist() == [1] * 3 + [2] * 3


def test_one_label_per_frame(folder: Path) -> None:
    by_second = DomsevVideoDataset(*files(folder), clips)
    assert [item["labels"].tolist() for item in by_second] == [[1, 1], [1, 1, 2]]
    per_frame = DomsevVideoDataset(*files(folder), clips, frames_per_second=FPS)
    assert len(per_frame[0]["labels"]) == per_frame[0]["video"].shape[1]
    with pytest.raises(ValueError, match="`frames_per_second` to be > 0"):
        DomsevVideoDataset(*files(folder), clips, frames_per_second=0)


def test_the_frame_filter_is_used(folder: Path, make_video: Callable[..., Path]) -> None:
    path = make_video("v.mp4", folder=folder, num_frames=FPS * SECONDS, fps=FPS)
    save_encoded_video_manifest({"v": EncodedVideoInfo("v", str(path))}, str(folder / "files.csv"))
    for name, kind in zip(("manifest.csv", "files.csv"), VideoDatasetType, strict=True):
        dataset = DomsevVideoDataset(
            *files(folder, name), clips, kind, frame_filter=lambda indices: indices[::4]
        )
        assert [item["video"].shape[1] for item in dataset] == [2, 4]


def test_maps() -> None:
    assert {kind.name: len(names) for kind, names in LABEL_TYPE_2_MAP.items()} == {
        "Environment": 5,
        "Activity": 13,
        "Attention": 3,
    }
    assert all(names[0] == "none" for names in LABEL_TYPE_2_MAP.values())
    assert LABEL_TYPE_2_MAP[LabelType.Activity][10] == "in_conversation"
    assert LABEL_TYPE_2_MAP[LabelType.Environment][3] == "crowded_environment"
