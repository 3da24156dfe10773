# SPDX-License-Identifier: Apache-2.0
"""Manifests of EPIC-KITCHENS out of folders."""

from pathlib import Path

import pytest

from pytorchvideo.data.dataset_manifest_utils import VideoFrameInfo
from pytorchvideo.data.epic_kitchen.utils import (
    build_encoded_manifest_from_nested_directory,
    build_frame_manifest_from_flat_directory,
    build_frame_manifest_from_nested_directory,
)


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize("multithreaded", [False, True])
def test_flat_folders_of_frames(tmp_path: Path, multithreaded: bool) -> None:
    touch(tmp_path, *(f"P01_01/frame_{k:010d}.jpg" for k in range(1, 12)))
    touch(tmp_path, *(f"P02_103/frame_{k}.png" for k in range(8, 12)), "P02_103/notes.txt")
    (tmp_path / "empty").mkdir()
    found = build_frame_manifest_from_flat_directory(str(tmp_path), multithreaded)
    assert found == {
        "P01_01": VideoFrameInfo("P01_01", str(tmp_path / "P01_01"), "frame_", 16, 1, 11, "jpg"),
        "P02_103": VideoFrameInfo("P02_103", str(tmp_path / "P02_103"), "frame_", 7, 8, 11, "png"),
    }


@pytest.mark.parametrize("multithreaded", [False, True])
def test_nested_folders_of_frames(tmp_path: Path, multithreaded: bool) -> None:
    touch(tmp_path, *(f"P01/P01_{v}_{k:04d}.jpg" for v in ("01", "101") for k in range(3)))
    touch(tmp_path, "P02/P02_07_0001.jpg", "P02/else_0001.jpg")
    found = build_frame_manifest_from_nested_directory(str(tmp_path), multithreaded)
    assert found == {
        "P01_01": VideoFrameInfo("P01_01", str(tmp_path / "P01"), "P01_01_", 11, 0, 2, "jpg"),
        "P01_101": VideoFrameInfo("P01_101", str(tmp_path / "P01"), "P01_101_", 12, 0, 2, "jpg"),
        "P02_07": VideoFrameInfo("P02_07", str(tmp_path / "P02"), "P02_07_", 11, 1, 1, "jpg"),
    }


def test_video_ids_are_those_of_the_data_set(tmp_path: Path) -> None:
    names = ["P01/P01_01.MP4", "P01/P01_101.mp4", "P01/P01_02_256p.mkv", "P02/kitchen_at_noon.webm"]
    touch(tmp_path, *names, "P01/P01_01.txt", "P01/.P01_03.mp4")
    found = build_encoded_manifest_from_nested_directory(str(tmp_path))
    assert {key: info.file_path for key, info in found.items()} == {
        key: str(tmp_path / name)
        for key, name in zip(("P01_01", "P01_101", "P01_02", "kitchen_at_noon"), names, strict=True)
    }
    touch(tmp_path, "P01/P01_02.mp4")
    with pytest.raises(ValueError, match=r"P01_02\.mp4 and .*P01_02_256p\.mkv have one video id"):
        build_encoded_manifest_from_nested_directory(str(tmp_path))


def test_frames_with_a_gap_or_two_names_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, "a/frame_1.jpg", "a/frame_3.jpg")
    with pytest.raises(ValueError, match=r"frames of a in .* are not consecutive: number 2 is"):
        build_frame_manifest_from_flat_directory(str(tmp_path), False)
    touch(tmp_path, "a/frame_2.jpg", "a/frame_02.jpg")
    with pytest.raises(ValueError, match="a number comes twice"):
        build_frame_manifest_from_flat_directory(str(tmp_path), True)
    touch(tmp_path, "a/picture_2.jpg")
    with pytest.raises(ValueError, match=r"not named alike: frame_<n>\.jpg, picture_<n>\.jpg"):
        build_frame_manifest_from_flat_directory(str(tmp_path), False)
    with pytest.raises(NotADirectoryError, match="gone is not a folder"):
        build_encoded_manifest_from_nested_directory(str(tmp_path / "gone"))
