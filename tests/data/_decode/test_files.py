# SPDX-License-Identifier: Apache-2.0
"""Files are opened as files: whatever their names are, and whatever they name."""

import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav.live import LiveInput, address_of
from pytorchvideo.data._decode._pyav.transcode import TrainingFormat, transcode
from pytorchvideo.data._decode._pyav.whole import read_whole
from pytorchvideo.data.encoded_video import EncodedVideo

NAMES = [
    "12:30:00.mp4",
    "http:/127.0.0.1:PORT/a.mp4",
    "concat:/other.mp4",
    "file:a.mp4",
    "a%03d.mp4",
]


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine; the test fails if anything connects to it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen: list[str] = []

        def accept() -> None:
            try:
                while True:
                    server.accept()[0].close()
                    seen.append("connected")
            except OSError:
                return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        assert not seen


@pytest.fixture
def video(make_video: Callable[..., Path]) -> Path:
    return make_video("named.mp4", num_frames=7)


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
@pytest.mark.parametrize("name", NAMES)
def test_a_relative_name_is_never_an_address(
    video: Path,
    port: int,
    name: str,
    decoder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    monkeypatch.chdir(tmp_path)
    path = Path(name.replace("PORT", str(port)))
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(video, path)
    for given in (str(path), path, path.resolve()):
        with EncodedVideo.from_path(given, decoder=decoder) as opened:
            clip = opened.get_clip(0, 1)["video"]
            assert clip is not None and clip.shape[1] == len(opened) == 7
    assert read_whole(path).frames == 7
    live = LiveInput(address_of(str(path), None), timeout_sec=5)
    assert sum(decoded.frame is not None for decoded in live.decoded()) == 7
    live.close()
    target = Path(f"new {path.name}")
    transcode(path, target, TrainingFormat())
    assert read_whole(target).frames == 7 and target.is_file()


PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile 'VIDEO'\n",
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nVIDEO\n#EXT-X-ENDLIST\n",
    "hls of an address": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:1,\nhttp://127.0.0.1:PORT/a.ts\n#EXT-X-ENDLIST\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="9">'
    "<BaseURL>http://127.0.0.1:PORT/a.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video PORT RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("ending", ["mp4", "m3u8"])
def test_what_names_other_files_is_no_video(
    video: Path, port: int, kind: str, ending: str, tmp_path: Path
) -> None:
    shutil.copy(video, tmp_path / "secret.mp4")
    text = PLAYLISTS[kind].replace("VIDEO", "secret.mp4").replace("PORT", str(port))
    path = tmp_path / f"list.{ending}"
    path.write_text(text)
    words = rf"list\.{ending} is no video, but a list of files or addresses"
    with pytest.raises(VideoError, match=words):
        EncodedVideo.from_path(path)
    with pytest.raises(VideoError, match=words):
        read_whole(path)
    with pytest.raises(VideoError, match=words):
        LiveInput(address_of(str(path), None), timeout_sec=5)
    with pytest.raises(VideoError, match="upload is no video, but a list of files or addresses"):
        EncodedVideo.from_bytes(text.encode(), "upload")


def test_a_picture_is_one_file_and_no_pattern(tmp_path: Path) -> None:
    for name in ("a001.png", "a002.png", "a%03d.png", "a*.png"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    with EncodedVideo.from_path(tmp_path / "a001.png") as opened:
        assert len(opened) == 1
    for name in ("a%03d.png", "a*.png"):
        with pytest.raises(VideoError, match="is not a readable video"):
            EncodedVideo.from_path(tmp_path / name)
