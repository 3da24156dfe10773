# SPDX-License-Identifier: Apache-2.0
"""Clips up to the end of an action, and the actions after it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from pytorchvideo.data import EpicKitchenForecasting
from pytorchvideo.data.dataset_manifest_utils import (
    EncodedVideoInfo,
    VideoDatasetType,
    VideoFrameInfo,
    VideoInfo,
    save_encoded_video_manifest,
    save_video_frame_info,
)
from pytorchvideo.data.utils import save_dataclass_objs_to_headered_csv

FPS, SECONDS = 5, 8
HEADER = (
    "participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Frame k has the value 5 k; the actions are not in order."""
    root = tmp_path_factory.mktemp("epic")
    for k in range(FPS * SECONDS):
        Image.fromarray(np.full((6, 8, 3), 5 * k, np.uint8)).save(root / f"f_{k:02d}.png")
    save_dataclass_objs_to_headered_csv([VideoInfo("v", "8x6", SECONDS, FPS)], root / "infos.csv")
    row = VideoFrameInfo("v", str(root), "f_", 4, 0, FPS * SECONDS - 1, "png")
    save_video_frame_info({"v": row}, str(root / "manifest.csv"))
    times = (("d", 5, 6), ("a", 0, 1), ("c", 3, 4), ("b", 2, 3), ("e", 7, 8))
    rows = [
        f"P01,v,{name},00:00:0{start}.0,00:00:0{stop}.0,0,9,take,0,pan,1,[],[]\n"
        for name, start, stop in times
    ]
    (root / "actions.csv").write_text(HEADER + "".join(rows))
    return root


def make(folder: Path, manifest: str = "manifest.csv", **kwargs: Any) -> EpicKitchenForecasting:
    names = ("infos.csv", "actions.csv", manifest)
    return EpicKitchenForecasting(*(str(folder / name) for name in names), **kwargs)


def shown(item: dict[str, Any]) -> list[list[int]]:
    """The frames of each input clip."""
    return (item["video"][:, 0, :, 0, 0] / 5).int().tolist()


def names(item: dict[str, Any]) -> str:
    return "".join(action.narration for action in item["actions"])


@pytest.mark.parametrize("workers", [0, 2])
def test_items(folder: Path, workers: int) -> None:
    dataset = make(
        folder,
        seconds_per_clip=1,
        clip_time_stride=2,
        num_input_clips=2,
        frames_per_clip=2,
        num_forecast_actions=2,
    )
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        items = list(loader)
        # 3 s up to the end of b and of c; d has only e after it
        assert [(i["start_time"], i["stop_time"]) for i in items] == [(0, 3), (1, 4)]
        assert [names(item) for item in items] == ["de", "de"]
        for item in items:
            assert set(item) == {
                *("video_id", "video", "audio", "start_time", "stop_time"),
                *("frame_indices", "actions"),
            }
            assert item["video"].shape == (2, 3, 2, 6, 8)
            assert item["video"].dtype == torch.float32
            assert item["audio"].shape == (0,)
        assert [shown(item) for item in items] == [[[0, 2], [10, 12]], [[5, 7], [15, 17]]]


def test_all_frames_by_default(folder: Path) -> None:
    items = list(make(folder, num_forecast_actions=1))
    assert [shown(item) for item in items] == [
        [list(range(first, first + 10))] for first in (5, 10, 20)
    ]
    assert [names(item) for item in items] == ["d", "d", "e"]
    (item, *_) = make(folder, seconds_per_clip=1, clip_time_stride=0.4, num_input_clips=3)
    # clips that overlap: 5 frames each, 2 apart
    first = shown(item)[0][0]
    assert shown(item) == [list(range(first + s, first + s + 5)) for s in (0, 2, 4)]


def test_more_frames_than_the_clip_has(folder: Path) -> None:
    item = make(folder, seconds_per_clip=1, frames_per_clip=7)[0]
    assert item["video"].shape == (1, 3, 7, 6, 8)
    assert len(set(shown(item)[0])) == 5


def test_files_give_the_same_frames(folder: Path, make_video: Callable[..., Path]) -> None:
    path = make_video("v.mp4", folder=folder, num_frames=FPS * SECONDS, fps=FPS)
    manifest = folder / "files.csv"
    save_encoded_video_manifest({"v": EncodedVideoInfo("v", str(path))}, str(manifest))
    options = {"seconds_per_clip": 1, "clip_time_stride": 0.4, "num_input_clips": 3}
    encoded = make(folder, "files.csv", dataset_type=VideoDatasetType.EncodedVideo, **options)
    for item, wanted in zip(encoded, make(folder, **options), strict=True):
        assert item["video"].shape == (3, 3, 5, 48, 64)
        blue = item["video"][:, 2, :, -6:].mean((-1, -2)) / 7
        frames = torch.tensor(shown(wanted)) * 7 % 256 / 7
        torch.testing.assert_close(blue, frames, atol=0.7, rtol=0)


def test_not_enough_history_or_future(folder: Path) -> None:
    assert len(make(folder, seconds_per_clip=6.5)) == 0
    assert len(make(folder, num_forecast_actions=5)) == 0
    assert len(make(folder, seconds_per_clip=1, num_forecast_actions=4)) == 1  # after a


@pytest.mark.parametrize(
    "name",
    [
        *("seconds_per_clip", "clip_time_stride", "num_input_clips"),
        *("frames_per_clip", "num_forecast_actions"),
    ],
)
def test_wrong_arguments(folder: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` to be > 0, but got 0"):
        make(folder, **{name: 0})
