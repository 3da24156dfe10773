# SPDX-License-Identifier: Apache-2.0
"""Frame indices: their contents, and the files that keep them."""

import dataclasses
import logging
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from pytorchvideo.data._decode import FrameIndex, _frame_index
from pytorchvideo.data._decode._pyav.video import FrameReader
from pytorchvideo.data.encoded_video import EncodedVideo

FORMAT = _frame_index._FORMAT
GROUPS = {"g": "12", "keyint_min": "12", "sc_threshold": "0", "bf": "2"}


@pytest.fixture
def video(make_video: Callable[..., Path], tmp_path: Path) -> Path:
    """Two seconds in a container without a table of frames, in a folder of its own."""
    source = make_video("indexed.mkv", num_frames=60, options=GROUPS)
    path = tmp_path / "indexed.mkv"
    path.write_bytes(source.read_bytes())
    return path


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each pass over the packets of a file."""
    done: list[str] = []
    real = FrameReader.index.func  # of the cached property

    def counted(self: FrameReader) -> FrameIndex:
        done.append(self._source.name)
        return real(self)

    monkeypatch.setattr(FrameReader.index, "func", counted)
    return done


def test_the_index_says_what_the_packets_say(video: Path) -> None:
    with EncodedVideo.from_path(video) as reader:
        index = reader.frame_index
        duration = reader.duration
    assert index is not None and len(index) == 60
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        shown = [(frame.pts, frame.key_frame) for frame in container.decode(stream)]
        assert index.time_base == stream.time_base
    assert index.pts.tolist() == [pts for pts, _ in shown]
    assert index.is_keyframe.tolist() == [key for _, key in shown]
    assert index.is_keyframe.nonzero().flatten().tolist() == [0, 12, 24, 36, 48]
    assert index.is_reference[index.is_keyframe].all()
    assert index.duration == duration and index.is_trusted
    assert index.time(0) == 0 and index.time(30) == 1
    assert "60 frames, 5 key frames, 2.000 s" in repr(index)


REORDERED = {
    "h264.mp4": {"options": {"bf": "3", "b-pyramid": "normal"}},
    "h264.ts": {"options": {"bf": "2"}},
    "plain.mp4": {"options": {"bf": "0"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:bframes=3"}},
    "hevc.ts": {"codec": "libx265", "options": {"x265-params": "log-level=none:bframes=3"}},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg1.mpg": {"codec": "mpeg1video", "options": {"bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2"}},
}


@pytest.mark.parametrize("name", sorted(REORDERED))
def test_frames_without_dependants_are_those_that_ffmpeg_can_leave_out(
    make_video: Callable[..., Path], name: str
) -> None:
    path = make_video(f"references_{name}", num_frames=60, **REORDERED[name])
    with EncodedVideo.from_path(path, decode_audio=False) as reader:
        index = reader.frame_index
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.skip_frame = "NONREF"
        kept = [frame.pts for frame in container.decode(stream)]
    assert index is not None and len(index) == 60
    assert index.pts[index.is_reference].tolist() == kept
    assert (len(kept) < 60) == (name != "plain.mp4")


@pytest.mark.parametrize("tick", [-5, 0, 1, 33, 34, 1000, float("inf")])
def test_frames_before_a_tick(tick: float) -> None:
    pts = [0, 33, 67, 100]
    nothing = torch.zeros(4, dtype=torch.bool)
    index = FrameIndex(torch.tensor(pts), nothing, nothing, Fraction(1, 1000), 0, Fraction(1), True)
    assert index.count_before(tick) == sum(t < tick for t in pts)


@pytest.mark.parametrize("where", ["beside", "folder"])
@pytest.mark.parametrize("name", ["mkv", "b_frames.avi"])
def test_a_kept_index_saves_the_pass_and_changes_nothing(
    make_video: Callable[..., Path],
    video: Path,
    tmp_path: Path,
    scans: list[str],
    where: str,
    name: str,
) -> None:
    if name == "b_frames.avi":  # whose times are put right
        source = make_video("kept.avi", num_frames=60, codec="mpeg4", options={"bf": "2", "g": "9"})
        video = tmp_path / "kept.avi"
        video.write_bytes(source.read_bytes())
    cache = "beside" if where == "beside" else tmp_path / "new" / "folder"
    found = []
    for _ in range(3):
        with EncodedVideo.from_path(video, index_cache=cache, dtype=torch.uint8) as reader:
            clip = reader.get_clip(Fraction(1, 2), 1.5, lambda i: i[::4])["video"]
            found.append((len(reader), reader.duration, clip, reader[-1], repr(reader.frame_index)))
    assert scans == [video.name]
    for other in found[1:]:
        assert other[0] == 60 and other[:2] == found[0][:2] and other[4] == found[0][4]
        assert torch.equal(other[2], found[0][2]) and torch.equal(other[3], found[0][3])
    kept = list((video.parent if where == "beside" else Path(cache)).glob("*.safetensors"))
    assert len(kept) == 1 and kept[0].name.startswith(video.name)
    assert not list(tmp_path.rglob("*.part"))


def test_videos_of_one_name_do_not_share_an_entry(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    for folder, count in (("a", 20), ("b", 30)):
        path = make_video("same.mp4", folder=tmp_path / folder, num_frames=count)
        for _ in range(2):
            with EncodedVideo.from_path(path, index_cache=cache) as reader:
                assert len(reader) == count
    assert len(list(cache.iterdir())) == 2


def test_another_video_in_its_place_is_read_anew(
    make_video: Callable[..., Path], video: Path, scans: list[str]
) -> None:
    EncodedVideo.from_path(video, index_cache="beside").close()
    video.write_bytes(make_video("shorter.mkv", num_frames=40).read_bytes())
    with EncodedVideo.from_path(video, index_cache="beside") as reader:
        assert len(reader) == 40 and reader.duration == Fraction(1333, 1000)
    os.utime(video, ns=(1, 1))  # same size, other time
    EncodedVideo.from_path(video, index_cache="beside").close()
    EncodedVideo.from_path(video, index_cache="beside").close()
    assert len(scans) == 3


def stamp(entry: Path) -> str:
    with safe_open(entry, framework="pt") as file:
        return file.metadata()["stamp"]


@pytest.mark.parametrize(
    "damage", ["empty", "cut", "text", "other format", "header", "bit", "other tensors"]
)
def test_a_damaged_entry_is_written_anew(
    video: Path, scans: list[str], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damage == "other format":
        monkeypatch.setattr(_frame_index, "_FORMAT", "0")
    EncodedVideo.from_path(video, index_cache="beside").close()
    monkeypatch.setattr(_frame_index, "_FORMAT", FORMAT)
    (entry,) = video.parent.glob("*.safetensors")
    data = entry.read_bytes()
    if damage == "empty":
        entry.write_bytes(b"")
    elif damage == "cut":
        entry.write_bytes(data[: len(data) // 2])
    elif damage == "text":
        entry.write_text("no index\n" * 100)
    elif damage == "header":
        entry.write_bytes(data.replace(b'"time_base":"1/1000"', b'"time_base":"1/0000"'))
    elif damage == "bit":
        entry.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    elif damage == "other tensors":
        save_file({"pts": torch.zeros(3)}, entry, {"format": FORMAT, "stamp": stamp(entry)})
    with EncodedVideo.from_path(video, index_cache="beside") as reader:
        assert len(reader) == 60
    assert entry.stat().st_size == len(data)
    scans.clear()
    EncodedVideo.from_path(video, index_cache="beside").close()
    assert not scans


@pytest.mark.parametrize(
    "change",
    [
        {"pts": torch.zeros(60, 3, dtype=torch.int64)},
        {"pts": torch.zeros(60)},
        {"pts": -torch.arange(60)},
        {"pts": torch.arange(7)},
        {"is_keyframe": torch.ones(60)},
        {"is_reference": torch.ones(3, dtype=torch.bool)},
        {name: torch.zeros(0, dtype=torch.int64) for name in ("pts", "is_keyframe")},
        {"time_base": Fraction(0)},
        {"time_base": Fraction(-1, 1000)},
        {"duration": Fraction(-1)},
    ],
)
def test_an_entry_that_somebody_made_up_is_written_anew(
    video: Path, change: dict[str, Any]
) -> None:
    with EncodedVideo.from_path(video) as reader:
        index, times = reader.frame_index, reader.get_frames(indices=[59]).pts_sec
    assert index is not None
    cache = _frame_index.IndexCache.of_file("beside", video)
    cache.save(dataclasses.replace(index, **change))
    with EncodedVideo.from_path(video, index_cache="beside") as reader:
        assert len(reader) == 60
        assert torch.equal(reader.get_frames(indices=[59]).pts_sec, times)
    kept = cache.load()
    assert kept is not None and torch.equal(kept.pts, index.pts)


def test_folders_that_cannot_be_written_to_are_said_once(
    video: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_frame_index, "_unwritable", [])
    blocked = tmp_path / "a_file"
    blocked.touch()  # no folder can be made inside of it, not even by root
    for cache in (blocked / "first", blocked / "first", blocked / "second"):
        with EncodedVideo.from_path(video, index_cache=cache) as reader:
            assert len(reader) == 60
    said = [r for r in caplog.records if "No frame index can be kept in" in r.message]
    assert len(said) == 1 and said[0].levelno == logging.WARNING
    assert str(blocked / "first") in said[0].message


def test_nothing_is_kept_of_what_has_no_path(video: Path) -> None:
    with pytest.raises(ValueError, match="Expected `index_cache` to be None for an open file"):
        EncodedVideo.from_bytes(video.read_bytes(), index_cache="beside")


def test_a_file_with_damaged_packets_opens_all_the_same(video: Path, scans: list[str]) -> None:
    data = bytearray(video.read_bytes())
    data[len(data) * 2 // 3 :] = b"\xff" * (len(data) - len(data) * 2 // 3)
    video.write_bytes(data)
    with EncodedVideo.from_path(video, index_cache="beside") as reader:
        assert reader.get_clip(0, 0.5)["video"] is not None
    assert len(scans) == 1
