# SPDX-License-Identifier: Apache-2.0
"""Tests of what differs between versions of PyAV, in the place of each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from pytorchvideo.data._decode._pyav import _compat
from pytorchvideo.data.encoded_video import EncodedVideo


@pytest.fixture(autouse=True)
def _probe_anew() -> Iterator[None]:
    _compat._metadata_options.cache_clear()
    yield
    _compat._metadata_options.cache_clear()


def _of_today(opened: list[dict[str, Any]], true_open: Any = av.open) -> Callable[..., Any]:
    """`av.open` of PyAV 19, which has no ``metadata_errors``."""

    def open_without(file: Any, mode: str | None = None, **options: Any) -> Any:
        if "metadata_errors" in options:
            raise TypeError("open() got an unexpected keyword argument 'metadata_errors'")
        opened.append(options)
        return true_open(file, mode, **options)

    return open_without


def test_videos_open_where_pyav_knows_no_metadata_errors(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, opened = make_video("compat.mp4", num_frames=5), []
    monkeypatch.setattr(av, "open", _of_today(opened))
    with EncodedVideo.from_path(path) as video:
        assert len(video) == 5
    assert opened


def test_titles_that_are_no_utf8_are_no_error(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    with av.open(str(tmp_path / "named.mp4"), "w") as target:
        target.metadata["title"] = "QQQQ"
        with av.open(str(make_video("compat.mp4", num_frames=5))) as origin:
            stream = target.add_stream_from_template(origin.streams.video[0])
            for packet in origin.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    target.mux(packet)
    data = (tmp_path / "named.mp4").read_bytes()
    assert b"QQQQ" in data
    with EncodedVideo.from_bytes(data.replace(b"QQQQ", b"\xff\xfe\x80\x81")) as video:
        assert len(video) == 5
