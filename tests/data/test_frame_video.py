# SPDX-License-Identifier: Apache-2.0
"""Folders of pictures as videos."""

import itertools
import warnings
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pytorchvideo.data._decode import VideoError, _limits
from pytorchvideo.data.frame_video import FrameVideo
from pytorchvideo.data.video import VideoPathHandler


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures frame_0.png ... frame_11.png, the k-th all of value 20 k."""
    for k in range(12):
        picture = np.full((6, 8, 3), 20 * k, np.uint8)
        Image.fromarray(picture).save(tmp_path / f"frame_{k}.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def values(clip: dict[str, torch.Tensor]) -> list[float]:
    return (clip["video"][0, :, 0, 0] / 20).tolist()


def test_clips_are_cut_by_time_in_natural_order(folder: Path) -> None:
    video = FrameVideo.from_directory(folder, fps=4)
    assert video.duration == 3
    assert video.name == folder.name
    clip = video.get_clip(0.5, 1.5)
    assert clip["video"].shape == (3, 4, 6, 8) and clip["video"].dtype == torch.float32
    assert clip["frame_indices"] == [2, 3, 4, 5]
    assert clip["audio"] is None
    assert values(clip) == [2, 3, 4, 5]
    assert values(video.get_clip(2, 100)) == [8, 9, 10, 11]
    assert values(video.get_clip(Fraction(11, 4), 3)) == [11]


def test_frame_filter_gets_the_indices_of_the_video(folder: Path) -> None:
    video = FrameVideo.from_directory(folder, fps=4, multithreaded_io=True)
    clip = video.get_clip(1, 3, lambda indices: indices[::3])
    assert clip["frame_indices"] == [4, 7, 10]
    assert values(clip) == [4, 7, 10]


def test_both_ways_to_name_the_pictures(folder: Path) -> None:
    paths = [str(folder / f"frame_{k}.png") for k in range(12)]
    by_list = FrameVideo(3, 4, video_frame_paths=paths)
    by_function = FrameVideo(3, 4, video_frame_to_path_fn=lambda k: paths[k])
    assert torch.equal(by_list.get_clip(0, 3)["video"], by_function.get_clip(0, 3)["video"])
    for arguments in ({}, {"video_frame_paths": paths, "video_frame_to_path_fn": str}):
        with pytest.raises(ValueError, match="Expected exactly one of"):
            FrameVideo(3, 4, **arguments)  # type: ignore[arg-type]


def test_an_empty_window_has_no_frames(folder: Path) -> None:
    video = FrameVideo.from_directory(folder, fps=4)
    for window in ((0.1, 0.2), (3, 5), (1, 1), (1, 0.5), (-2, 0)):
        assert video.get_clip(*window) is None
    clip = video.get_clip(0, 1, lambda indices: [])
    assert clip == {"video": None, "frame_indices": [], "audio": None}


def test_a_start_before_zero_is_cut(folder: Path) -> None:
    clip = FrameVideo.from_directory(folder, fps=4).get_clip(-1e-6, 1)
    assert clip is not None and clip["frame_indices"] == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", [float, np.float32, torch.tensor, lambda x: Fraction(float(x))])
def test_clips_of_n_frames_have_n_frames(folder: Path, kind: Callable[[float], Any]) -> None:
    paths = [str(folder / "frame_0.png")] * 60
    video = FrameVideo.from_frame_paths(paths, fps=30)
    found = [video.get_clip(0, kind(n / 30), lambda indices: indices[-1:]) for n in range(1, 60)]
    assert [clip["frame_indices"] for clip in found if clip is not None] == [
        [n - 1] for n in range(1, 60)
    ]


def test_indices_and_times_are_numbers_of_any_kind(folder: Path) -> None:
    video = FrameVideo.from_directory(folder, fps=np.float32(4), dtype=torch.uint8)
    assert video.get_frames(indices=np.array([11, -1])).indices == [11, 11]
    assert video.get_frames(timestamps_sec=torch.tensor([0.5, 2.75])).indices == [2, 11]
    assert torch.equal(video[torch.tensor(11)], video[np.uint8(11)])


def test_bad_folders_and_pictures_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="Expected a directory of frames"):
        FrameVideo.from_directory(folder / "frame_0.png")
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(VideoError, match="bare holds no pictures"):
        FrameVideo.from_directory(bare)
    with pytest.raises(ValueError, match="at least one path"):
        FrameVideo.from_frame_paths([])
    with pytest.raises(ValueError, match="fps"):
        FrameVideo.from_directory(folder, fps=0)
    (folder / "frame_3.png").write_text("broken")
    with pytest.raises(VideoError, match=r"frame_3\.png cannot be read"):
        FrameVideo.from_directory(folder, fps=4).get_clip(0, 3)
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "frame_3.png")
    with pytest.raises(
        VideoError, match=r"frame_3\.png is 9x9 pixels, but the clip began with 8x6"
    ):
        FrameVideo.from_directory(folder, fps=4).get_clip(0, 3)


def test_the_handler_chooses_by_what_the_path_is(folder: Path, tmp_path: Path) -> None:
    handler = VideoPathHandler()
    video = handler.video_from_path(folder, decode_audio=True, fps=6)
    assert isinstance(video, FrameVideo)
    assert video.duration == 2
    assert len(handler.path_order_cache[str(folder)]) == 12
    assert handler.video_from_path(folder).duration == 0.4
    assert VideoPathHandler(fps=4).video_from_path(folder).duration == 3
    with pytest.raises(FileNotFoundError, match="nothing"):
        handler.video_from_path(tmp_path / "nothing.mp4")


def test_single_frames_by_index_and_by_time(folder: Path) -> None:
    video = FrameVideo.from_directory(folder, fps=4, dtype=torch.uint8)
    assert len(video) == 12 and bool(video)
    frames = video.get_frames(indices=[11, 0, -2, 0])
    assert frames.indices == [11, 0, 10, 0]
    assert frames.data.dtype == torch.uint8 and frames.data.shape == (3, 4, 6, 8)
    assert frames.data[0, :, 0, 0].tolist() == [220, 0, 200, 0]
    assert frames.pts_sec.tolist() == [2.75, 0, 2.5, 0]
    assert video.get_frames(timestamps_sec=[0, 0.49, 0.5, Fraction(3, 4), 2.99]).indices == [
        0,
        1,
        2,
        3,
        11,
    ]
    assert video[-1].shape == (3, 6, 8) and int(video[-1].max()) == 220
    assert sum(1 for _ in video) == 12


@pytest.mark.parametrize("fps", [10, 24, 29.97, 30])
def test_the_time_of_a_frame_finds_it_again(folder: Path, fps: float) -> None:
    video = FrameVideo.from_directory(folder, fps=fps)
    for k in range(12):
        assert video.get_frames(timestamps_sec=[k / fps]).indices == [k]


def test_frames_outside_of_the_video_are_refused(folder: Path) -> None:
    video = FrameVideo.from_directory(folder, fps=4)
    with pytest.raises(IndexError, match="has 12 frames, so there is no frame 12"):
        video[12]
    with pytest.raises(ValueError, match="beyond the end"):
        video.get_frames(timestamps_sec=[3])
    with pytest.raises(ValueError, match="exactly one of `indices` and `timestamps_sec`"):
        video.get_frames(indices=[0], timestamps_sec=[0])
    with pytest.raises(ValueError, match=r"Expected `dtype` to be torch\.float32 or torch\.uint8"):
        FrameVideo.from_directory(folder, dtype=torch.float16)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Five pictures of 800x700, each of one brightness."""
    for k in range(5):
        Image.fromarray(np.full((700, 800, 3), 20 * k, np.uint8)).save(tmp_path / f"{k}.png")
    return tmp_path


@pytest.mark.parametrize("multithreaded_io", [False, True])
def test_pictures_are_scaled_one_by_one(large: Path, multithreaded_io: bool) -> None:
    video = FrameVideo.from_directory(large, 5, multithreaded_io, dtype=torch.uint8)
    seen: list[tuple[int, ...]] = []

    def halved(frame: torch.Tensor) -> torch.Tensor:
        seen.append(tuple(frame.shape))
        return frame[..., ::2, ::2].float()

    clip = video.get_clip(0, 1, frame_transform=halved)
    assert clip is not None and clip["video"].dtype == torch.float32
    assert seen == [(3, 1, 700, 800)] * 5
    assert clip["video"].shape == (3, 5, 350, 400) and values(clip) == [0, 1, 2, 3, 4]
    frames = video.get_frames(indices=[3, 3, 1], frame_transform=halved).data
    assert (frames[0, :, 0, 0] / 20).tolist() == [3, 3, 1]
    kept = video.get_clip(0, 1, frame_transform=lambda frame: None)
    assert kept is not None and kept["video"].shape == (3, 5, 700, 800)
    scaled = video.get_clip(0, 1, resize=lambda height, width: (height // 7, width // 8))
    assert scaled is not None and scaled["video"].shape == (3, 5, 100, 100)
    assert values(scaled) == [0, 1, 2, 3, 4]


def test_a_resized_picture_is_the_mean_of_all_pixels(tmp_path: Path) -> None:
    """As FFmpeg's, and unlike four pixels of a stripe."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::8] = 255
    Image.fromarray(stripes).save(tmp_path / "0.png")
    video = FrameVideo.from_directory(tmp_path, fps=1, dtype=torch.uint8)
    clip = video.get_clip(0, 1, resize=lambda height, width: (8, 8))
    assert clip is not None
    assert (clip["video"][..., 1:-1].float() - 255 / 8).abs().max() < 12


def test_pictures_are_bounded(large: Path) -> None:
    enough = 60 * 700 * 800  # 20 pictures of 3 bytes a pixel
    with pytest.raises(ValueError, match="Expected `memory_limit_bytes` to be > 0 bytes"):
        FrameVideo.from_directory(large, fps=5, memory_limit_bytes=0)
    video = FrameVideo.from_directory(large, fps=5, memory_limit_bytes=enough)
    assert video.get_clip(0, 1) is not None
    names = [str(path) for path in sorted(large.glob("*.png"))] * 2
    video = FrameVideo.from_frame_paths(names, fps=5, memory_limit_bytes=enough)
    said = r"clip \[0\.000, 2\.000\) s: reading 10 frames of 800x700 pixels as float32 may take"
    with pytest.raises(VideoError, match=said):
        video.get_clip(0, 2)
    with pytest.raises(VideoError, match="10 frames of 800x700 pixels"):
        video.get_frames(indices=range(10))
    video = FrameVideo.from_directory(large, fps=5, memory_limit_bytes=enough - 1)
    with pytest.raises(
        VideoError, match=r"reading pictures of 800x700 pixels .* `memory_limit_bytes`"
    ):
        video.get_clip(0, 1)


def test_a_huge_picture_takes_no_memory(make_bomb: Callable[..., Path], tmp_path: Path) -> None:
    """Pillow refuses twice its limit itself, whatever ours is."""
    for name, size, said in (
        (
            "a.png",
            (16000, 15000),
            r"a\.png is too large for Pillow: .*PIL\.Image\.MAX_IMAGE_PIXELS",
        ),
        ("b.png", (13000, 13000), "reading pictures of 13000x13000 pixels may take 10.1 GB"),
    ):
        folder = tmp_path / name[0]
        folder.mkdir()
        (folder / name).write_bytes(make_bomb(name, *size).read_bytes())
        video = FrameVideo.from_directory(folder, fps=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with pytest.raises(VideoError, match=said):
                video.get_clip(0, 1)


def test_pictures_obey_the_time_limit(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = itertools.count()
    monkeypatch.setattr(_limits, "time", SimpleNamespace(monotonic=lambda: float(next(looks))))
    video = FrameVideo.from_directory(large, fps=5, time_limit_sec=3)
    assert video.get_clip(0, 0.6) is not None
    with pytest.raises(VideoError, match="not read after 3 s, the time limit of a clip"):
        video.get_clip(0, 1)
