# SPDX-License-Identifier: Apache-2.0
"""Arguments of readers of video files, and their use from several threads."""

import io
import multiprocessing
import os
import pickle
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pytorchvideo.data.decoder import DecoderType
from pytorchvideo.data.encoded_video import EncodedVideo, select_video_class
from pytorchvideo.data.encoded_video_decord import DecordDevice, EncodedVideoDecord
from pytorchvideo.data.encoded_video_pyav import EncodedVideoPyAV
from pytorchvideo.data.encoded_video_torchvision import EncodedVideoTorchVision


@pytest.fixture
def path(make_video: Callable[..., Path]) -> Path:
    return make_video(
        "reading.mp4", num_frames=60, audio_rate=16000, options={"g": "12", "bf": "2"}
    )


def clip_of(video: EncodedVideo, start: int) -> torch.Tensor:
    """Five frames, and their sound summed up, as one tensor."""
    clip = video.get_clip(Fraction(start, 30), Fraction(start + 5, 30))
    return torch.cat([clip["video"].flatten(), clip["audio"].sum()[None]])


def test_threads_that_share_a_reader_get_their_own_clips(path: Path) -> None:
    starts = [0, 40, 7, 33, 12, 50, 3, 21] * 3
    with EncodedVideo.from_path(path) as fresh:
        wanted = {start: clip_of(fresh, start) for start in set(starts)}
    with EncodedVideo.from_path(path) as video, ThreadPoolExecutor(8) as pool:
        clips = list(pool.map(lambda start: clip_of(video, start), starts))
        frames = pool.map(video.__getitem__, starts)
        assert list(pool.map(lambda _: len(video), starts)) == [60] * len(starts)
        for start, clip, frame in zip(starts, clips, frames, strict=True):
            assert torch.equal(clip, wanted[start])
            assert torch.equal(frame.flatten(), clip_first(wanted[start], frame))


def clip_first(clip: torch.Tensor, frame: torch.Tensor) -> torch.Tensor:
    """The first frame of what :func:`clip_of` returns."""
    return clip[:-1].reshape(3, 5, *frame.shape[1:])[:, 0].flatten()


def _send(video: EncodedVideo, starts: list[int], queue: Any) -> None:
    torch.set_num_threads(1)  # as workers of a DataLoader do
    queue.put([clip_of(video, start).numpy() for start in starts])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("opened", ["path", "file"])
def test_forked_processes_read_side_by_side(path: Path, opened: str) -> None:
    """They share the position of an open file with the process that they come from."""
    starts = [40, 0, 33, 7, 50, 12]
    context = multiprocessing.get_context("fork")
    with open(path, "rb") as file, EncodedVideo(path if opened == "path" else file) as video:
        wanted = [clip_of(video, start).numpy() for start in starts]
        queues = [context.SimpleQueue() for _ in range(2)]
        children = [context.Process(target=_send, args=(video, starts, queue)) for queue in queues]
        for child in children:
            child.start()
        mine = [clip_of(video, start).numpy() for start in starts]
        for clips in (mine, *(queue.get() for queue in queues)):
            assert all(map(np.array_equal, clips, wanted))
        for child in children:
            child.join()


def test_a_reader_of_a_path_can_be_pickled(path: Path) -> None:
    options = {"dtype": torch.uint8, "sample_rate": 8000, "width": 20, "mono": False}
    for kind in (EncodedVideo, EncodedVideoPyAV, EncodedVideoDecord, EncodedVideoTorchVision):
        with kind.from_path(path, **options) as video:
            again = pickle.loads(pickle.dumps(video))
            assert type(again) is kind and again.name == video.name
            one, other = video.get_clip(1, 1.5), again.get_clip(1, 1.5)
            assert all(torch.equal(one[key], other[key]) for key in one)
            again.close()
    with (
        EncodedVideo.from_bytes(path.read_bytes(), "upload") as video,
        pytest.raises(
            TypeError, match="upload was not opened by its path, so it cannot be pickled"
        ),
    ):
        pickle.dumps(video)


def test_a_closed_reader_says_so(path: Path) -> None:
    video = EncodedVideo.from_path(path)
    video.close()
    video.close()
    for read in (lambda: video.get_clip(0, 1), lambda: len(video), lambda: video[0]):
        with pytest.raises(ValueError, match=r"reading\.mp4 is closed"):
            read()
    assert "reading.mp4" in repr(video) and video.duration > 1


def _spooled(data: bytes) -> Any:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115
    file.write(data)
    return file


def _written(mode: str) -> Callable[[bytes], Any]:
    def write(data: bytes) -> Any:
        name = tempfile.mktemp(suffix=".mp4", dir=write.folder)  # type: ignore[attr-defined]
        file = open(name, mode)  # noqa: SIM115
        file.write(data)  # and not flushed
        return file

    return write


def _named(data: bytes) -> Any:
    file = tempfile.NamedTemporaryFile(suffix=".mp4")  # noqa: SIM115
    file.write(data)
    return file


UPLOADS = {
    "bytes": io.BytesIO,
    "spooled": _spooled,
    "named": _named,
    **{mode: _written(mode) for mode in ("x+b", "w+b", "a+b")},
}


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
@pytest.mark.parametrize("kind", UPLOADS)
def test_open_files_of_any_kind(path: Path, kind: str, decoder: str, tmp_path: Path) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    make = UPLOADS[kind]
    if "+" in kind:
        make.folder = tmp_path  # type: ignore[attr-defined]
    with make(path.read_bytes()) as file:
        with EncodedVideo(file, decoder=decoder) as video, EncodedVideo.from_path(path) as other:
            assert len(video) == 60
            assert torch.equal(clip_of(video, 33), clip_of(other, 33))
        assert not file.closed


@pytest.mark.skipif(not hasattr(os, "pread"), reason="this system reads at the position of a file")
def test_a_file_on_disk_keeps_its_position_and_may_be_closed(path: Path) -> None:
    with open(path, "rb") as file:
        file.seek(100)
        video = EncodedVideo(file)
        video.get_clip(0, 1)
        assert file.tell() == 100
    with video, EncodedVideo.from_path(path) as other:
        assert torch.equal(clip_of(video, 33), clip_of(other, 33))


def test_files_that_cannot_be_read_are_one_sentence(path: Path) -> None:
    closed = io.BytesIO(path.read_bytes())
    closed.close()
    with pytest.raises(ValueError, match="video is a file that is closed"):
        EncodedVideo(closed)
    with open(path, "rb") as file:
        pass
    with pytest.raises(ValueError, match=r"reading\.mp4 is a file that is closed"):
        EncodedVideo(file)
    with pytest.raises(ValueError, match="Expected `file` to be a binary file, but got"):
        EncodedVideo(io.StringIO("text"))  # type: ignore[arg-type]
    read, write = os.pipe()
    with (
        os.fdopen(read, "rb") as pipe,
        os.fdopen(write, "wb"),
        pytest.raises(ValueError, match="a binary file in which one can go back"),
    ):
        EncodedVideo(pipe)
    memory = io.BytesIO(path.read_bytes())
    with EncodedVideo(memory, "upload") as video:
        memory.close()
        with pytest.raises(OSError, match="upload was closed, but its video is still read"):
            video.get_clip(1, 2)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 44100])
def test_sound_at_another_rate(path: Path, rate: int) -> None:
    with EncodedVideo.from_path(path, sample_rate=rate) as video:
        assert video.audio_rate == rate
        whole = video.get_clip(0, 2)["audio"]
        parts = [(0, 0.37), (0.37, 1), (1, Fraction(4, 3)), (Fraction(4, 3), 2)]
        pieces = [video.get_clip(*part)["audio"] for part in parts]
    assert whole is not None and whole.shape == (2 * rate,)
    assert torch.equal(torch.cat(pieces), whole)
    # 440 Hz at amplitude 0.5: the phase tells where a sample stands
    inner = slice(rate // 4, 7 * rate // 4)
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * torch.arange(2 * rate) / rate)
    assert float((whole - tone)[inner].abs().mean()) < 0.02


def test_sound_with_its_channels(path: Path) -> None:
    with EncodedVideo.from_path(path, mono=False) as video, EncodedVideo.from_path(path) as mono:
        sound = video.get_clip(0, 1)["audio"]
        assert sound is not None and sound.shape == (1, 16000)
        assert torch.equal(sound[0], mono.get_clip(0, 1)["audio"])  # type: ignore[arg-type]


def test_frames_of_another_size(path: Path) -> None:
    with EncodedVideo.from_path(path) as plain:
        wanted = plain.get_clip(0, 0.5, resize=lambda height, width: (20, 30))["video"]
    with EncodedVideo.from_path(path, width=30, height=20) as video:
        clip = video.get_clip(0, 0.5)["video"]
        assert clip is not None and wanted is not None and torch.equal(clip, wanted)
        assert torch.equal(video[3], clip[:, 3])
        half = video.get_clip(0, 0.5, resize=lambda height, width: (height // 2, width // 2))
        assert half["video"].shape[2:] == (10, 15)  # type: ignore[union-attr]
    with EncodedVideo.from_path(path, width=30) as video:
        assert video[0].shape == (3, 48, 30)
    for options, words in (
        ({"width": 0}, "width"),
        ({"height": -2}, "height"),
        ({"sample_rate": 0}, "sample_rate"),
    ):
        with pytest.raises(ValueError, match=f"Expected `{words}` to be >= 1"):
            EncodedVideo.from_path(path, **options)


def test_readers_by_the_names_of_pytorchvideo(path: Path) -> None:
    assert select_video_class("pyav") is EncodedVideoPyAV
    assert select_video_class(DecoderType("decord")) is EncodedVideoDecord
    assert select_video_class("torchvision") is EncodedVideoTorchVision
    with pytest.raises(
        ValueError, match="Expected `decoder` to be one of pyav, torchvision, decord"
    ):
        select_video_class("opencv")
    assert {kind.name for kind in DecoderType} == {"PYAV", "TORCHVISION", "DECORD"}
    assert len(DecordDevice) == 2
    # the orders of arguments that their users write
    with EncodedVideoPyAV(path, "a", True, False, False) as video:
        assert (video.name, video._options["perform_seek"]) == ("a", False)
        assert video.get_clip(0, 1)["audio"] is None
    with EncodedVideoDecord(path, "a", True, True, 8000, False, 32, 24, 0, -1) as video:
        clip = video.get_clip(0, 1)
        assert clip["video"].shape == (3, 30, 24, 32) and clip["audio"].shape == (1, 8000)
    with EncodedVideoTorchVision(path, "a", True, False) as video:
        assert video.get_clip(0, 1)["video"].shape[1] == 30
    for video in (
        EncodedVideoDecord(path),
        EncodedVideo.from_path(path, decoder="decord", num_threads=2, fault_tol=3),
    ):
        with video:
            assert video.audio_rate == 44100 and video.get_clip(0, 1)["audio"].shape == (44100,)
    with EncodedVideo.from_path(path, decoder=DecoderType.PYAV) as video:
        assert video.audio_rate == 16000


def test_clients_may_look_at_the_container_and_read_from_it(path: Path) -> None:
    with EncodedVideo.from_path(path) as video, EncodedVideo.from_path(path) as fresh:
        assert video._container.streams.video[0].time_base == Fraction(1, 15360)
        with pytest.raises(AttributeError, match="_container"):
            video._container = None  # type: ignore[misc]
        clip_of(video, 0)
        for start in (5, 10, 15):
            next(video._container.decode(video=0))
            assert torch.equal(clip_of(video, start), clip_of(fresh, start))
