# SPDX-License-Identifier: Apache-2.0
"""Videos that fsspec reaches: in memory, and on a web server of this machine that counts what is asked of it."""

import http.server
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
import torch

from pytorchvideo.data import LabeledVideoDataset, make_clip_sampler
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo


class Server(http.server.ThreadingHTTPServer):
    """Serves byte ranges of one folder; a path with "broken" in it fails when it is read, "sizeless" has no length."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.num_bytes = 0
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        file = self.server.folder / self.path.lstrip("/").split("?")[0]
        span = re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not file.is_file():
            return self.send_error(404)
        if span and "broken" in self.path:
            return self.send_error(503)
        data = file.read_bytes()
        self.send_response(206 if span else 200)
        if span:
            first, last = int(span[1]), min(int(span[2] or len(data)), len(data) - 1)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            data = data[first : last + 1]
        self.send_header("ETag", f'"{file.stat().st_mtime_ns}"')
        if "sizeless" not in self.path:
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.server.num_bytes += len(data)
            self.wfile.write(data)
        return None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    pytest.importorskip("aiohttp")  # which fsspec needs for http
    with Server(tmp_path) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def data(make_video: Callable[..., Path]) -> bytes:
    return make_video(
        "remote.mkv", num_frames=60, audio_rate=16000, options={"g": "12"}
    ).read_bytes()


@pytest.fixture(params=["memory", "http"])
def url(request: pytest.FixtureRequest, data: bytes, tmp_path: Path) -> Iterator[str]:
    """The folder of a remote video."""
    if request.param == "http":
        (tmp_path / "remote.mkv").write_bytes(data)
        yield request.getfixturevalue("server").url
        return
    system = fsspec.filesystem("memory")
    system.pipe("/videos/remote.mkv", data)
    yield "memory://videos"
    system.rm("/videos", recursive=True)


def clips(video: EncodedVideo) -> list[torch.Tensor]:
    with video:
        found = [video.get_clip(a, b) for a, b in ((1, 1.5), (0, 0.4), (1.5, 2))]
        return [clip[key] for clip in found for key in ("video", "audio")]  # type: ignore[misc]


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
def test_clips_are_those_of_the_local_file(url: str, data: bytes, decoder: str) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    video = EncodedVideo.from_path(f"{url}/remote.mkv", decoder=decoder)
    assert video.name == "remote.mkv"
    local = clips(EncodedVideo.from_bytes(data, "remote.mkv"))
    for ours, theirs in zip(clips(video), local, strict=True):
        assert torch.equal(ours, theirs)


def test_a_missing_file_is_named(url: str) -> None:
    with pytest.raises(FileNotFoundError, match=rf"There is no video file {url}/nowhere\.mp4"):
        EncodedVideo.from_path(f"{url}/nowhere.mp4")


def test_folders_and_files_that_are_no_videos_are_named(url: str, tmp_path: Path) -> None:
    if url.startswith("memory"):
        with pytest.raises(IsADirectoryError, match=f"{url} is a directory"):
            EncodedVideo.from_path(url)
        fsspec.filesystem("memory").pipe(
            {"/videos/empty.mp4": b"", "/videos/text.mp4": b"no " * 99}
        )
    else:
        (tmp_path / "empty.mp4").touch()
        (tmp_path / "text.mp4").write_text("no " * 99)
    with pytest.raises(VideoError, match=r"empty\.mp4 is empty \(0 bytes\)"):
        EncodedVideo.from_path(f"{url}/empty.mp4")
    with pytest.raises(VideoError, match=r"text\.mp4 is not a readable video"):
        EncodedVideo.from_path(f"{url}/text.mp4")


def test_the_file_is_closed_with_the_video(
    server: Server, data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.mkv").write_bytes(data)
    opened: list[Any] = []
    real = fsspec.AbstractFileSystem.open

    def noted(*args: Any, **options: Any) -> Any:
        opened.append(real(*args, **options))
        return opened[-1]

    monkeypatch.setattr(fsspec.AbstractFileSystem, "open", noted)
    with EncodedVideo.from_path(f"{server.url}/a.mkv") as video:
        assert not opened[0].closed
        video.get_clip(0, 1)
    assert opened[0].closed
    (tmp_path / "a.mkv").write_text("no " * 99)
    with pytest.raises(VideoError, match="is not a readable video"):
        EncodedVideo.from_path(f"{server.url}/a.mkv")
    assert opened[1].closed


def test_a_kept_index_of_a_remote_video(url: str, data: bytes, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    path = f"{url}/remote.mkv"
    with pytest.raises(ValueError, match=f"beside the remote file {path}. Give `index_cache`"):
        EncodedVideo.from_path(path, index_cache="beside")
    stamps = []
    for step in range(3):
        if step == 2 and url.startswith("memory"):
            fsspec.filesystem("memory").pipe("/videos/remote.mkv", data)
        elif step == 2:
            (tmp_path / "remote.mkv").write_bytes(data)
        with EncodedVideo.from_path(path, index_cache=cache) as video:
            assert len(video) == 60
        (entry,) = cache.iterdir()
        stamps.append(entry.stat().st_mtime_ns)
    assert stamps[0] == stamps[1] < stamps[2]  # written anew for the file that was replaced


def test_a_query_is_not_part_of_the_name(server: Server, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.mkv").write_bytes(data)
    with EncodedVideo.from_path(f"{server.url}/a.mkv?token=b/c.d") as video:
        assert video.name == "a.mkv"


def test_only_what_a_clip_needs_is_loaded(
    server: Server, make_video: Callable[..., Path], tmp_path: Path
) -> None:
    video = make_video("remote.mp4", num_frames=60).read_bytes()
    free = 32 << 20  # bytes of a box that readers jump over
    large = video + free.to_bytes(4, "big") + b"free" + bytes(free - 8)
    (tmp_path / "large.mp4").write_bytes(large)
    with EncodedVideo.from_path(f"{server.url}/large.mp4", decode_audio=False) as reader:
        assert reader.get_clip(0, 2)["video"] is not None
    assert server.num_bytes < len(large) / 2  # fsspec reads ahead five megabytes at a time


def test_a_server_that_does_not_say_the_size_is_named(
    server: Server, data: bytes, tmp_path: Path
) -> None:
    (tmp_path / "sizeless.mkv").write_bytes(data)
    with pytest.raises(OSError, match=r"The size of .*sizeless\.mkv is not known.*simplecache::"):
        EncodedVideo.from_path(f"{server.url}/sizeless.mkv")
    with EncodedVideo.from_path(f"simplecache::{server.url}/sizeless.mkv") as video:
        assert len(video) == 60


def test_videos_whose_reading_fails_are_skipped(
    server: Server, data: bytes, tmp_path: Path
) -> None:
    for name in ("good.mkv", "broken.mkv"):
        (tmp_path / name).write_bytes(data)
    names = ["broken.mkv", "missing.mkv", "good.mkv"]
    dataset = LabeledVideoDataset(
        [(f"{server.url}/{name}", {"label": 0}) for name in names],
        make_clip_sampler("uniform", 1),
        torch.utils.data.SequentialSampler,
    )
    with pytest.warns(UserWarning, match=r"broken\.mkv|missing\.mkv"):
        samples = list(dataset)
    assert [sample["video_name"] for sample in samples] == ["good.mkv"] * 2
    assert [Path(skipped.path).name for skipped in dataset.skipped] == names[:2]
