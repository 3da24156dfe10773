# SPDX-License-Identifier: Apache-2.0
"""Manifests: what they name, what is left out, and when files are opened."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pytorchvideo.data.dataset_manifest_utils import (
    EncodedVideoInfo,
    FramePaths,
    ImageDataset,
    VideoDataset,
    VideoDatasetType,
    VideoFrameInfo,
    VideoInfo,
    get_seconds_from_hms_time,
    save_encoded_video_manifest,
    save_video_frame_info,
)
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.utils import (
    load_dataclass_dict_from_csv,
    save_dataclass_objs_to_headered_csv,
)


def frame_info(folder: Path, video_id: str = "a", last: int = 8) -> VideoFrameInfo:
    return VideoFrameInfo(video_id, str(folder), f"{video_id}_", 5, 1, last, "png")


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Frames a_001.png to a_008.png, the k-th of value 10 k."""
    for k in range(1, 9):
        Image.fromarray(np.full((6, 8, 3), 10 * k, np.uint8)).save(tmp_path / f"a_{k:03d}.png")
    return tmp_path


def write_infos(folder: Path, *infos: VideoInfo) -> str:
    path = folder / "infos.csv"
    save_dataclass_objs_to_headered_csv(infos, path)
    return str(path)


def test_the_last_frame_is_there(frames: Path) -> None:
    manifest = save_video_frame_info({"a": frame_info(frames)}, str(frames / "manifest.csv"))
    infos = write_infos(frames, VideoInfo("a", "8x6", 2.0, 4.0))
    videos, left_out = VideoDataset.load_videos(manifest, infos)
    assert left_out == []
    clip = videos["a"].get_clip(0, 2)
    assert (clip["video"][0, :, 0, 0] / 10).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert clip["frame_indices"] == list(range(8))
    images, _ = ImageDataset.load_images(manifest, infos)
    assert list(images) == [f"a_{k}" for k in range(1, 9)]
    assert images["a_8"].frame_file_path == str(frames / "a_008.png")
    assert (images["a_8"].video_id, images["a_8"].frame_number) == ("a", 8)


def test_a_manifest_as_the_public_library_writes_it(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text(
        "video_id,location,frame_file_stem,frame_string_length,min_frame_number,max_frame_number,file_extension\n"
        "P01_01,frames/P01_01,frame_,16,2,3001,jpg\n"
    )
    rows = load_dataclass_dict_from_csv(tmp_path / "manifest.csv", VideoFrameInfo, "video_id")
    paths = FramePaths(rows["P01_01"])
    assert (len(paths), paths[0]) == (3000, "frames/P01_01/frame_0000000002.jpg")
    assert paths[-1] == "frames/P01_01/frame_0000003001.jpg"
    # names without zeros in front are no shorter than they are
    unpadded = FramePaths(VideoFrameInfo("a", "a", "img", 4, 9, 10, "png"))
    assert list(unpadded) == ["a/img9.png", "a/img10.png"]


def test_what_is_left_out_is_said_once_and_listed(frames: Path) -> None:
    rows = {"a": frame_info(frames), "b": frame_info(frames, "b"), "c": frame_info(frames, "c", 13)}
    manifest = save_video_frame_info(rows, str(frames / "manifest.csv"))
    infos = write_infos(frames, *(VideoInfo(name, "8x6", 2.0, 4.0) for name in ("a", "c", "d")))
    for load in (VideoDataset.load_videos, ImageDataset.load_images):
        with pytest.warns(UserWarning, match="3 of 4 videos are left out. The first: b") as caught:
            _, left_out = load(manifest, infos)
        assert len(caught) == 1
        assert [(video.path, video.reason) for video in left_out] == [
            ("b", f"it is not in {infos}."),
            ("c", "it has 13 frames, but its duration and rate make 8."),
            ("d", f"it is not in {manifest}."),
        ]
    nothing = write_infos(frames, VideoInfo("z", "8x6", 2.0, 4.0))
    with pytest.raises(ValueError, match="4 of 4 videos are left out"):
        VideoDataset.load_videos(manifest, nothing)


@pytest.mark.parametrize(("last", "is_used"), [(4, True), (12, True), (3, False), (13, False)])
def test_the_count_of_frames_may_be_off_by_a_second(frames: Path, last: int, is_used: bool) -> None:
    manifest = save_video_frame_info({"a": frame_info(frames, last=last)}, str(frames / "m.csv"))
    infos = write_infos(frames, VideoInfo("a", "8x6", 2.0, 4.0))
    if is_used:
        assert list(VideoDataset.load_videos(manifest, infos)[0]) == ["a"]
    else:
        with pytest.raises(ValueError, match=f"it has {last} frames"):
            VideoDataset.load_videos(manifest, infos)


def test_files_are_opened_for_a_clip_and_closed_after(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("a.mp4", folder=tmp_path, num_frames=20, fps=10)
    opened: list[EncodedVideo] = []
    closed: list[EncodedVideo] = []
    original, close = EncodedVideo.from_path.__func__, EncodedVideo.close  # type: ignore[attr-defined]

    def from_path(cls: type, *args: object, **kwargs: object) -> EncodedVideo:
        opened.append(original(cls, *args, **kwargs))
        return opened[-1]

    def closing(self: EncodedVideo) -> None:
        closed.append(self)
        close(self)

    monkeypatch.setattr(EncodedVideo, "from_path", classmethod(from_path))
    monkeypatch.setattr(EncodedVideo, "close", closing)
    rows = {"a": EncodedVideoInfo("a", str(path))}
    manifest = save_encoded_video_manifest(rows, str(tmp_path / "manifest.csv"))
    infos = write_infos(tmp_path, VideoInfo("a", "64x48", 2.0, 10.0))
    videos, _ = VideoDataset.load_videos(
        manifest, infos, dataset_type=VideoDatasetType.EncodedVideo
    )
    video = videos["a"]
    assert (video.name, video.duration, opened) == ("a", 2, [])
    clip = video.get_clip(0, 1, frame_filter=lambda indices: indices[::2])
    assert clip["video"].shape == (3, 5, 48, 64)
    assert opened == closed
    assert len(opened) == 1


def test_how_files_and_frames_are_read(
    make_video: Callable[..., Path], frames: Path, tmp_path: Path
) -> None:
    path = make_video("b.mp4", folder=tmp_path, num_frames=20, fps=10)
    files = save_encoded_video_manifest(
        {"a": EncodedVideoInfo("a", str(path))}, str(tmp_path / "b")
    )
    pictures = save_video_frame_info({"a": frame_info(frames)}, str(frames / "c"))
    infos = write_infos(tmp_path, VideoInfo("a", "64x48", 2.0, 4.0))
    reading = {"dtype": torch.uint8, "index_cache": tmp_path / "cache"}
    for manifest, kind in (
        (files, VideoDatasetType.EncodedVideo),
        (pictures, VideoDatasetType.Frame),
    ):
        videos, _ = VideoDataset.load_videos(manifest, infos, dataset_type=kind, **reading)
        assert videos["a"].get_clip(0, 1)["video"].dtype == torch.uint8
    # pictures need no decoder
    assert VideoDataset.load_videos(pictures, infos, decoder="opencv")[0].keys() == {"a"}
    with pytest.raises(ValueError, match="Expected `decoder` to be one of"):
        VideoDataset.load_videos(
            files, infos, dataset_type=VideoDatasetType.EncodedVideo, decoder="opencv"
        )
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_manifests_get_a_name_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = {"a": EncodedVideoInfo("a", "a.mp4")}
    names = [save_encoded_video_manifest(rows) for _ in range(2)]
    assert names[0] != names[1]
    assert load_dataclass_dict_from_csv(names[1], EncodedVideoInfo, "video_id") == rows
    frames = {"a": frame_info(tmp_path)}
    name = save_video_frame_info(frames)
    assert load_dataclass_dict_from_csv(name, VideoFrameInfo, "video_id") == frames


@pytest.mark.parametrize(
    ("text", "seconds"), [("00:00:00.14", 0.14), ("00:01:05", 65), ("10:59:59.99", 39599.99)]
)
def test_times(text: str, seconds: float) -> None:
    assert get_seconds_from_hms_time(text) == seconds


@pytest.mark.parametrize("text", ["1", "01:02", "00:60:00", "00:00:60", "a:b:c", "00:-1:00"])
def test_bad_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"`time_str` to be a time as in 01:02:03\.25"):
        get_seconds_from_hms_time(text)
