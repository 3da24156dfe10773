# SPDX-License-Identifier: Apache-2.0
"""The endings of videos: those of FFmpeg's own formats, and files that are read under them."""

import io
from pathlib import Path

import av
import numpy as np
import pytest
from av.format import ContainerFormat

from flash.video.sources.files import to_predict
from pytorchvideo.data._annotations.video_files import (
    VIDEO_SUFFIXES,
    find_videos,
    is_video,
    videos_at,
)
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.data.preparing.check import videos_of
from pytorchvideo.data.preparing.encode import Preparation

# formats of pictures and of sound with a cover, lists of other files, raw pictures without a size
NOT_VIDEOS = {
    *("a64", "aiff", "avif", "dash", "fits", "flac", "hls", "ico", "image2", "mp3", "ogg"),
    *("rawvideo", "webp"),
}
# of formats of videos, but for sound, or for scripts (.avs)
NOT_ENDINGS = {".avs", ".isma", ".m4a", ".m4b", ".ra", ".wma"}


def test_endings_are_those_that_ffmpeg_writes_videos_with() -> None:
    wanted: set[str] = set()
    for name in av.formats_available - NOT_VIDEOS:
        try:
            extensions = ContainerFormat(name, "w").extensions
            if extensions and av.open(io.BytesIO(), "w", format=name).default_video_codec != "none":
                wanted |= {f".{extension}" for extension in extensions}
        except ValueError:  # it only reads
            continue
    assert len(wanted) > 40
    assert wanted - NOT_ENDINGS - {".apv"} <= set(VIDEO_SUFFIXES)
    assert len(set(VIDEO_SUFFIXES)) == len(VIDEO_SUFFIXES)
    assert all(suffix == suffix.lower() and suffix[0] == "." for suffix in VIDEO_SUFFIXES)
    assert not {".jpg", ".png", ".wav", ".mp3", ".txt", ".csv", ".json"} & set(VIDEO_SUFFIXES)


@pytest.mark.parametrize(
    ("ending", "container", "codec", "size", "rate"),
    [
        ("ts", "mpegts", "mpeg2video", 64, 25),
        ("MTS", "mpegts", "libx264", 64, 25),
        ("m2ts", "mpegts", "mpeg2video", 64, 25),
        ("wmv", "asf", "wmv2", 64, 25),
        ("asf", "asf", "msmpeg4", 64, 25),
        ("flv", "flv", "flv", 64, 25),
        ("3gp", "3gp", "mpeg4", 64, 25),
        ("ogv", "ogv", "libvpx", 64, 25),
        ("gif", "gif", "gif", 64, 25),
        ("vob", "vob", "mpeg2video", 64, 25),
        ("mxf", "mxf", "mpeg2video", 64, 25),
        ("mpg", "mpeg", "mpeg1video", 64, 25),
        ("nut", "nut", "mpeg4", 64, 25),
        ("mjpeg", "mjpeg", "mjpeg", 64, 25),
    ],
)
def test_class_folders_take_them(
    tmp_path: Path, ending: str, container: str, codec: str, size: int, rate: int
) -> None:
    path = tmp_path / "run" / f"a.{ending}"
    path.parent.mkdir()
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(codec, rate=rate)
        stream.width = stream.height = size
        stream.pix_fmt = {"gif": "rgb8", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        for level in range(0, 250, 25):
            picture = np.full((size, size, 3), level, np.uint8)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        file.mux(stream.encode())
    videos = LabeledVideoPaths.from_directory(tmp_path)
    assert [videos[0]] == [(str(path), {"label": 0})]
    with EncodedVideo.from_path(str(path), decode_audio=False) as video:
        clip = video.get_clip(0, video.duration)["video"]
    assert clip is not None
    assert clip.shape[1] == 10
    levels = clip.mean(dim=(0, 2, 3))
    assert (levels.diff() > 5).all(), levels


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    names = [
        "x/b.mp4",
        "a.TS",
        "x/c.txt",
        "x/d.jpg",
        "e.JPG",
        "README",
        ".hidden.txt",
        ".git/f.mp4",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    wanted = (
        r"4 files are left out, since a video ends otherwise: 2 x \.jpg, 1 x no ending, 1 x \.txt"
    )
    with pytest.warns(UserWarning, match=wanted) as caught:
        assert find_videos(tmp_path) == [str(tmp_path / "a.TS"), str(tmp_path / "x/b.mp4")]
    assert len(caught) == 1
    (tmp_path / "none").mkdir()
    with pytest.raises(ValueError, match=r"none has no video\. Expected files with the ending"):
        find_videos(tmp_path / "none")
    assert not is_video("mp4")


def test_all_find_the_same_videos(tmp_path: Path) -> None:
    """In nested folders, with hidden ones, links, and a link to a folder that it lies in."""
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    wanted = ["a/one.mp4", "a/deep/er/TWO.MKV", "b/three.ts"]
    for name in (*wanted, "a/.four.mp4", "a/.git/five.mp4", ".six/seven.mp4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    elsewhere.mkdir()
    (elsewhere / "eight.mp4").write_bytes(b"x")
    (root / "b/linked").symlink_to(elsewhere)
    (root / "b/again").symlink_to(root)
    found = {str(root / name) for name in (*wanted, "b/linked/eight.mp4")}
    labelled = LabeledVideoPaths.from_path(root)
    lists = {
        "folder": find_videos(root),
        "commands": list(videos_of(str(root))),
        "predict": [path for path, _ in to_predict(root).items],
        "classes": [labelled[index][0] for index in range(len(labelled))],
        "prepare": [str(root / name) for name in Preparation(root, tmp_path / "new").videos],
    }
    for name, paths in lists.items():
        assert set(paths) == found, name
        assert len(paths) == len(found), name


def test_one_video_is_a_path_or_an_address() -> None:
    assert list(videos_of("https://host/a.mp4")) == videos_at("https://host/a.mp4")
    with pytest.raises(FileNotFoundError, match=r"no file and no folder 'none\.mp4'"):
        list(videos_of("none.mp4"))
