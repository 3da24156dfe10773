# SPDX-License-Identifier: Apache-2.0
"""Consecutive clips with the actions that they show."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from pytorchvideo.data import EpicKitchenRecognition
from pytorchvideo.data.dataset_manifest_utils import (
    VideoFrameInfo,
    VideoInfo,
    save_video_frame_info,
)
from pytorchvideo.data.epic_kitchen_recognition import ClipSampling
from pytorchvideo.data.utils import save_dataclass_objs_to_headered_csv

FPS, SECONDS = 5, 8
HEADER = (
    "participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, str]:
    """One video of 8 s; frame k has the value 5 k."""
    root = tmp_path_factory.mktemp("epic")
    for k in range(FPS * SECONDS):
        Image.fromarray(np.full((6, 8, 3), 5 * k, np.uint8)).save(root / f"f_{k:02d}.png")
    save_dataclass_objs_to_headered_csv([VideoInfo("v", "8x6", SECONDS, FPS)], root / "infos.csv")
    row = VideoFrameInfo("v", str(root), "f_", 4, 0, FPS * SECONDS - 1, "png")
    save_video_frame_info({"v": row}, str(root / "manifest.csv"))
    rows = [
        f"P01,v,{name},00:00:0{start}.0,00:00:0{stop}.0,0,9,take,0,pan,1,[],[]\n"
        for name, start, stop in (("a", 0, 1), ("b", 1, 5), ("c", 6, 7))
    ]
    (root / "actions.csv").write_text(HEADER + "".join(rows))
    return str(root / "infos.csv"), str(root / "actions.csv"), str(root / "manifest.csv")


@pytest.mark.parametrize("workers", [0, 2])
def test_items(files: tuple[str, str, str], workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.25)  # an offset of half a second
    dataset = EpicKitchenRecognition(*files, frames_per_clip=4)
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        items = list(loader)
        assert [(i["start_time"], i["stop_time"]) for i in items] == [
            *((0.5, 2.5), (2.5, 4.5), (4.5, 6.5)),
        ]
        names = [[action.narration for action in item["actions"]] for item in items]
        assert names == [["a", "b"], ["b"], ["b", "c"]]
        for item in items:
            assert set(item) == {
                *("video_id", "video", "audio", "start_time", "stop_time"),
                *("frame_indices", "actions"),
            }
            assert item["video_id"] == "v"
            assert item["video"].shape == (3, 4, 6, 8)
            assert item["video"].dtype == torch.float32
            assert item["audio"].shape == (0,)
        assert (items[0]["video"][0, :, 0, 0] / 5).tolist() == items[0]["frame_indices"]
        assert items[0]["frame_indices"] == [3, 5, 7, 9]


def test_an_action_that_touches_the_clip_counts(
    files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random, "random", lambda: 0.0)
    dataset = EpicKitchenRecognition(*files, seconds_per_clip=1.0)
    names = ["".join(action.narration for action in item["actions"]) for item in dataset]
    assert names == ["ab", "ab", "b", "b", "b", "bc", "c", "c"]


@pytest.mark.parametrize("count", [1, 3, 4, 9, 10, 11, 25])
def test_exactly_as_many_frames_as_asked_for(files: Any, count: int) -> None:
    item = EpicKitchenRecognition(*files, frames_per_clip=count)[0]
    assert item["video"].shape == (3, count, 6, 8)
    assert item["frame_indices"] == sorted(item["frame_indices"])
    assert len(set(item["frame_indices"])) == min(count, 10)


@pytest.mark.parametrize("seconds", [2.0, 7.0, 8.0, 30.0])
def test_no_offset_loses_a_video(files: Any, seconds: float) -> None:
    for _ in range(20):
        dataset = EpicKitchenRecognition(*files, seconds_per_clip=seconds)
        assert len(dataset) >= 1
        assert 0 <= dataset._clips[0].start_time < seconds
        assert dataset._clips[-1].stop_time <= max(SECONDS, seconds)
        assert dataset._clips[-1].stop_time > SECONDS - seconds


def test_wrong_arguments(files: Any) -> None:
    with pytest.raises(ValueError, match="`seconds_per_clip` to be > 0 seconds"):
        EpicKitchenRecognition(*files, seconds_per_clip=0)
    with pytest.raises(ValueError, match="`frames_per_clip` to be a whole number >= 1"):
        EpicKitchenRecognition(*files, frames_per_clip=0)
    with pytest.raises(ValueError, match="2 is not a valid ClipSampling"):
        EpicKitchenRecognition(*files, clip_sampling=2)  # type: ignore[arg-type]
    assert ClipSampling.RandomOffsetUniform.value == 1


def test_items_of_bytes(files: tuple[str, str, str]) -> None:
    item = EpicKitchenRecognition(*files, dtype=torch.uint8)[0]
    assert item["video"].dtype == torch.uint8
