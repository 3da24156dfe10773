# SPDX-License-Identifier: Apache-2.0
"""Tests of what differs between versions of PyAV, in the place of each."""

import os
import subprocess
import sys
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


def test_unknown_pixel_format_is_none() -> None:
    """In a process of its own, which version 17 would end."""
    code = (
        "import av; from pytorchvideo.data._decode._pyav._compat import pixel_format; "
        "context = av.CodecContext.create('h263', 'r'); print(pixel_format(context)); "
        "context.pix_fmt = 'yuv420p'; print(pixel_format(context))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout.split()) == (0, ["None", "yuv420p"]), answer.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked here")
def test_forked_worker_frees_what_its_parent_read_and_wrote(tmp_path: Path) -> None:
    """The graphs of PyAV 19 have threads, which a forked process lacks and waits for when it frees a graph."""
    code = """
import gc, os, signal, sys
from pathlib import Path
import numpy as np
from pytorchvideo.data.synthetic import write_motion_video
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data._decode._pyav.transcode import TrainingFormat, transcode
gc.disable()  # so that all of it is left to the worker
path, again = Path(sys.argv[1]) / "a.mp4", Path(sys.argv[1]) / "b.mp4"
write_motion_video(path, "rising", np.random.default_rng(0), size=(10, 64, 48), seconds=1.0)
transcode(path, again, TrainingFormat(short_side=None))
for one in (path, again):
    with EncodedVideo.from_path(one) as video:
        assert len(video.get_clip(0, 1)["audio"])
pid = os.fork()
if pid == 0:
    signal.alarm(20)
    gc.collect()
    os._exit(0)
print(os.waitpid(pid, 0)[1])
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout.strip()) == (0, "0"), answer.stderr
