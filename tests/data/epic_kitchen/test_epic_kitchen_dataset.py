# SPDX-License-Identifier: Apache-2.0
"""Rows of EPIC-KITCHENS, and items with the actions of their videos."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from pytorchvideo.data.dataset_manifest_utils import (
    EncodedVideoInfo,
    VideoClipInfo,
    VideoDatasetType,
    VideoInfo,
    save_encoded_video_manifest,
    save_video_frame_info,
)
from pytorchvideo.data.epic_kitchen import ActionData, EpicKitchenDataset
from pytorchvideo.data.epic_kitchen.utils import build_frame_manifest_from_flat_directory
from pytorchvideo.data.utils import (
    load_dataclass_dict_from_csv,
    save_dataclass_objs_to_headered_csv,
)

FPS, SECONDS = 5, 8
HEADER = (
    "uid,participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame,"
    "verb,verb_class,noun,noun_class,all_nouns,all_noun_classes\n"
)
# start and stop in seconds; not in order, as in a file that was put together
ACTIONS = {"P01_01": [(5, 6), (0, 1), (2, 3), (6.5, 7)], "P01_02": [(0, 4)]}


@dataclass(frozen=True)
class Files:
    """The three files that a dataset needs, and the kind of the manifest."""

    infos: str
    actions: str
    manifest: str
    kind: VideoDatasetType


@pytest.fixture(scope="module", params=list(VideoDatasetType), ids=lambda kind: kind.name)
def files(
    request: pytest.FixtureRequest,
    make_video: Callable[..., Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Files:
    """Frame k of a folder has the value 5 k; of a file, blue of 7 k."""
    root, kind = tmp_path_factory.mktemp("epic"), request.param
    manifest = str(root / "manifest.csv")
    if kind == VideoDatasetType.Frame:
        for name in ACTIONS:
            (root / "frames" / name).mkdir(parents=True)
            for k in range(FPS * SECONDS):
                path = root / "frames" / name / f"frame_{k + 1:010d}.png"
                Image.fromarray(np.full((6, 8, 3), 5 * k, np.uint8)).save(path)
        found = build_frame_manifest_from_flat_directory(str(root / "frames"), False)
        save_video_frame_info(found, manifest)
    else:
        options = {"num_frames": FPS * SECONDS, "fps": FPS}
        paths = {name: make_video(f"{name}.mp4", folder=root, **options) for name in ACTIONS}
        rows = {name: EncodedVideoInfo(name, str(path)) for name, path in paths.items()}
        save_encoded_video_manifest(rows, manifest)
    infos = [VideoInfo(name, "64x48", SECONDS, FPS) for name in ACTIONS]
    save_dataclass_objs_to_headered_csv(infos, root / "infos.csv")
    rows_of_actions = [
        f"{i},P01,{name},n{i},00:00:{start:05.2f},00:00:{stop:05.2f},0,9,take,0,pan,1,\"['pan']\",[1]\n"
        for name, times in ACTIONS.items()
        for i, (start, stop) in enumerate(times)
    ]
    (root / "actions.csv").write_text(HEADER + "".join(rows_of_actions))
    return Files(str(root / "infos.csv"), str(root / "actions.csv"), manifest, kind)


def clips(videos: dict[str, Any], actions: dict[str, Any]) -> list[VideoClipInfo]:
    assert [video.duration for video in videos.values()] == [8, 8]
    assert {name: len(found) for name, found in actions.items()} == {"P01_01": 4, "P01_02": 1}
    return [VideoClipInfo(name, start, start + 1) for name in videos for start in (0, 7)]


@pytest.mark.parametrize("workers", [0, 2])
def test_items(files: Files, workers: int) -> None:
    dataset = EpicKitchenDataset(
        files.infos,
        files.actions,
        clips,
        files.manifest,
        files.kind,
        frame_filter=lambda indices: indices[1:4],
    )
    assert len(dataset) == 4
    assert dataset.skipped == []
    loader = DataLoader(dataset, batch_size=None, num_workers=workers)
    for _ in range(2):
        items = list(loader)
        wanted = [("P01_01", 0), ("P01_01", 7), ("P01_02", 0), ("P01_02", 7)]
        assert [(item["video_id"], item["start_time"]) for item in items] == wanted
        for item in items:
            is_frames = files.kind == VideoDatasetType.Frame
            assert set(item) == {
                *("video_id", "video", "audio", "start_time", "stop_time", "actions"),
                *(["frame_indices"] if is_frames else []),
            }
            size = (6, 8) if is_frames else (48, 64)
            assert item["video"].shape == (3, 3, *size)
            assert item["video"].dtype == torch.float32
            assert item["audio"] is None
            assert item["stop_time"] == item["start_time"] + 1
            first = int(item["start_time"]) * 5 + 1
            if is_frames:
                assert item["frame_indices"] == [first, first + 1, first + 2]
            scale = 5 if is_frames else 7
            blue = item["video"][2, :, -3:].mean((1, 2)) / scale
            assert blue.tolist() == pytest.approx(
                [(f * scale % 256) / scale for f in range(first, first + 3)], abs=0.7
            )
        assert [action.narration for action in items[0]["actions"]] == ["n0", "n1", "n2", "n3"]
        assert items[0]["actions"][0].start_time == 5
    doubled = EpicKitchenDataset(
        files.infos, files.actions, clips, files.manifest, files.kind, transform=len
    )
    assert doubled[0] == len(items[0])


def test_published_rows(shared_data: Path) -> None:
    actions = load_dataclass_dict_from_csv(
        shared_data / "annotations/epic55_train_first199.csv", ActionData, "video_id", True
    )
    assert sum(map(len, actions.values())) == 199
    first = actions["P01_01"][0]
    assert first == ActionData(
        *("P01", "P01_01", "open door", "00:00:00.14", "00:00:03.37", 8, 202),
        *("open", 2, "door", 8, ["door"], [8]),
    )
    assert (first.start_time, first.stop_time) == (0.14, 3.37)
    for of_video in actions.values():
        for action in of_video:
            assert 0 <= action.start_time < action.stop_time
            assert action.noun in action.all_nouns
            assert action.noun_class in action.all_noun_classes
            # the frames of this data set are counted at 60 per second
            assert action.start_frame == pytest.approx(60 * action.start_time, abs=2)


def test_bad_rows_are_named(tmp_path: Path) -> None:
    file = tmp_path / "actions.csv"
    header = (
        "participant_id,video_id,narration,start_timestamp,stop_timestamp,start_frame,stop_frame"
    )
    rest = "verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
    row = "P01,P01_01,x,00:00:00.1,00:00:01,1,2,take,0,pan,1,[pan,[1]\n"
    file.write_text(f"{header},{rest}\n{row}")
    with pytest.raises(
        ValueError, match=r"actions\.csv, line 2: ActionData: the field `all_nouns`"
    ):
        load_dataclass_dict_from_csv(file, ActionData, "video_id", True)
    with pytest.raises(ValueError, match="`all_noun_classes` cannot be '3': expected a list"):
        ActionData("P", "v", "x", "0", "0", 0, 0, "take", 0, "pan", 1, ["pan"], "3")  # type: ignore[arg-type]
