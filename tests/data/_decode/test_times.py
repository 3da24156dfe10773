# SPDX-License-Identifier: Apache-2.0
"""Videos whose packets do not tell the times of all frames: each is read as FFmpeg's plain decode shows it.

Recordings that were joined or cut, time stamps that repeat or are missing, periodic intra refresh, empty packets.
"""

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav import video as frame_reader
from pytorchvideo.data._decode._pyav.transcode import TrainingFormat, transcode
from pytorchvideo.data._decode._pyav.whole import read_whole
from pytorchvideo.data.encoded_video import EncodedVideo

MakeVideo = Callable[..., Path]
B_FRAMES = {"bf": "2", "g": "12", "keyint_min": "12", "sc_threshold": "0"}
OPEN_GOP = {"x264-params": "bframes=3:keyint=10:min-keyint=10:open-gop=1:scenecut=0"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=20:bframes=0:ref=1"}
HEVC = {"x265-params": "log-level=none:keyint=20:bframes=3"}
DECODERS = ["pyav", "torchcodec"]


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_reader, "_counted", set())


def opened(path: Path, decoder: str, **options: Any) -> EncodedVideo:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    options = {"decode_audio": False, "dtype": torch.uint8, **options}
    return EncodedVideo.from_path(path, decoder=decoder, **options)


def plain_decode(path: Path) -> list[np.ndarray]:
    """All frames in the order in which FFmpeg shows them."""
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def same(data: torch.Tensor | None, pictures: list[np.ndarray]) -> bool:
    assert data is not None
    return np.array_equal(data.permute(1, 2, 3, 0).numpy(), np.stack(pictures))


def check_all_frames(path: Path, decoder: str, count: int) -> Fraction:
    """Compares the whole video, clips and single frames with a plain decode; returns the rate."""
    pictures = plain_decode(path)
    assert len(pictures) == count
    with opened(path, decoder) as video:
        assert len(video) == count
        assert same(video.get_clip(0, 10**6)["video"], pictures)
        index = video.frame_index
        assert index is not None and index.time(0) == 0 and len(set(index.times)) == count
        for first in (count - 3, count // 2, 0, count // 2 + 2):
            end = index.time(first + 3) if first + 3 < count else video.duration
            clip = video.get_clip(index.time(first), end)["video"]
            assert same(clip, pictures[first : first + 3]), first
        places = [count - 1, 0, count // 3, count // 2 + 1]
        found = video.get_frames(indices=places)
        assert same(found.data, [pictures[i] for i in places])
        assert same(video[0][:, None], pictures[:1])
        sparse = video.get_clip(0, video.duration, lambda indices: indices[::7])["video"]
        assert same(sparse, pictures[::7])
        assert video.rate is not None
        return video.rate


def joined(make_video: MakeVideo, folder: Path, **options: Any) -> Path:
    """Two recordings of one camera, whose times both begin at 0, in one transport stream."""
    frames = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    first = make_video("first.ts", num_frames=40, **options)
    second = make_video("second.ts", frames=frames, **options)
    path = folder / "joined.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    return path


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
def test_recordings_that_were_joined(
    make_video: MakeVideo,
    tmp_path: Path,
    codec: str,
    decoder: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = joined(make_video, tmp_path, codec=codec, options={"bf": "2", "g": "12"})
    assert check_all_frames(path, decoder, 70) == 30
    with opened(path, decoder) as video:
        assert video.duration == Fraction(70, 30)
    (said,) = [r for r in caplog.records if r.levelno >= logging.WARNING]
    assert "joined.ts: its time stamps start again, so its 70 frames are read" in said.message
    assert "30 a second" in said.message
    whole = read_whole(path)
    assert whole.frames == 70 and whole.seconds == pytest.approx(70 / 30)
    assert whole.finding is not None and "its time stamps start again" in whole.finding


def test_a_joined_recording_that_is_encoded_anew(make_video: MakeVideo, tmp_path: Path) -> None:
    transcode(joined(make_video, tmp_path), tmp_path / "new.mp4", TrainingFormat(short_side=48))
    with opened(tmp_path / "new.mp4", "pyav") as video:
        assert video.frame_index is not None and video.frame_index.is_trusted
        assert (len(video), video.duration) == (70, Fraction(70, 30))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("b_frames", ["0", "2"])
def test_more_frames_a_second_than_the_container_has_ticks(
    make_video: MakeVideo, b_frames: str, decoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"bf": b_frames, "g": "12"}
    path = make_video(f"fast{b_frames}.mkv", num_frames=100, fps=2000, options=options)
    assert abs(check_all_frames(path, decoder, 100) / 2000 - 1) < 0.03
    assert caplog.text.count("fast") == 1 and "its time stamps repeat" in caplog.text
    assert "repeat" in str(read_whole(path).finding)


@pytest.mark.parametrize("decoder", DECODERS)
def test_times_that_are_all_zero(make_video: MakeVideo, tmp_path: Path, decoder: str) -> None:
    source = make_video("no_b.mkv", num_frames=40, options={"bf": "0", "g": "12"})
    path = tmp_path / "zero.mkv"
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.size:
                packet.pts = packet.dts = 0
                packet.stream = copy
                out.mux(packet)
    check_all_frames(path, decoder, 40)


def test_times_that_repeat_late_in_a_file(make_video: MakeVideo, tmp_path: Path) -> None:
    """A container with a table is not read through when it is opened: clips up to there have the file's own times."""
    source = make_video("no_b90.mkv", num_frames=90, options={"bf": "0", "g": "12"})
    path = tmp_path / "late.mkv"
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            packet.pts = packet.dts = packet.pts - 33 * (number in (70, 71))
            packet.stream = copy
            out.mux(packet)
    pictures = plain_decode(path)
    with opened(path, "pyav") as video:
        assert same(video.get_clip(0, 1)["video"], pictures[:30])
        assert len(video) == 90
        assert same(video.get_clip(0, 10)["video"], pictures)
    with opened(path, "pyav") as video:
        assert same(video.get_clip(0, 10)["video"], pictures)
        assert len(video) == 90


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("raw.h264", "libx264", B_FRAMES),
        ("raw.hevc", "libx265", HEVC),
        ("raw.m2v", "mpeg2video", {}),
    ],
)
def test_pictures_without_a_container(
    make_video: MakeVideo, name: str, codec: str, options: dict[str, str], decoder: str
) -> None:
    path = make_video(name, num_frames=50, codec=codec, options=options)
    assert check_all_frames(path, decoder, 50) == 30


def test_a_kept_index_of_counted_frames(
    make_video: MakeVideo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = joined(make_video, tmp_path, options=B_FRAMES)
    pictures = plain_decode(path)
    for _ in range(2):
        with opened(path, "pyav", index_cache=tmp_path / "cache") as video:
            assert (len(video), video.duration, video.rate) == (70, Fraction(70, 30), 30)
            assert same(video.get_clip(1, 2)["video"], pictures[30:60])
    assert caplog.text.count("so its 70 frames are read") == 1


def cut_before(path: Path, folder: Path, frame: int) -> Path:
    """A transport stream from about a frame on, as one that was tuned in to; its tables stay."""
    data = path.read_bytes()
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    starts = [i for i, p in enumerate(packets) if p[1] & 0x40 and (p[1] & 0x1F) << 8 | p[2] == 256]
    cut = folder / f"cut_{path.name}"
    cut.write_bytes(b"".join(packets[:3] + packets[starts[frame] :]))
    return cut


CUT: dict[str, dict[str, Any]] = {
    "h264.ts": {"codec": "libx264", "options": B_FRAMES},
    "open.ts": {"codec": "libx264", "options": OPEN_GOP},
    "refresh.ts": {"codec": "libx264", "options": REFRESH},
    "mpeg2.ts": {"codec": "mpeg2video", "options": {"bf": "2", "g": "15"}},
    "hevc.ts": {"codec": "libx265", "options": HEVC},
}


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("name", sorted(CUT))
def test_a_stream_that_begins_inside_a_group_of_pictures(
    make_video: MakeVideo, tmp_path: Path, name: str, decoder: str
) -> None:
    path = cut_before(make_video(name, num_frames=80, **CUT[name]), tmp_path, 25)
    pictures = plain_decode(path)
    assert 30 < len(pictures) < 55
    assert check_all_frames(path, decoder, len(pictures)) == 30
    finding = read_whole(path).finding
    assert finding is not None and "it begins inside a group of pictures" in finding


def test_a_stream_without_a_key_frame(make_video: MakeVideo, tmp_path: Path) -> None:
    source = make_video("one_key.ts", num_frames=40, options={"g": "100", "bf": "0"})
    path = cut_before(source, tmp_path, 5)
    check_all_frames(path, "pyav", len(plain_decode(path)))


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_periodic_intra_refresh(make_video: MakeVideo, ending: str, decoder: str) -> None:
    """A decoder that starts at a recovery point shows nothing until the whole picture is renewed."""
    path = make_video(f"refresh.{ending}", num_frames=70, options=REFRESH)
    pictures = plain_decode(path)
    for first in range(0, 60, 3):
        with opened(path, decoder) as video:
            clip = video.get_clip(Fraction(first, 30) - Fraction(first > 0, 999), (first + 8) / 30)
            assert same(clip["video"], pictures[first : first + 8]), first
        with opened(path, decoder) as video:
            assert same(video.get_frames(indices=[first]).data, [pictures[first]])
    with opened(path, decoder) as video:
        sparse = video.get_clip(0, 3, lambda indices: [5, 25, 45, 65])["video"]
        assert same(sparse, [pictures[i] for i in (5, 25, 45, 65)])


def test_a_frame_that_never_comes_is_an_error(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("never.mp4", num_frames=40, options=B_FRAMES)
    original = frame_reader.DecodingPass.frames

    def without_one(*arguments: Any) -> Iterator[tuple[int, Any, Any]]:
        for time, *picture in original(*arguments):
            if time != 20 * 512:
                yield time, *picture

    monkeypatch.setattr(frame_reader.DecodingPass, "frames", without_one)
    with opened(path, "pyav") as video:
        assert video.get_clip(0, 0.5)["video"] is not None
        with pytest.raises(VideoError, match=r"never\.mp4, clip \[0\.500, 1\.000\) s.*at 0\.667 s"):
            video.get_clip(0.5, 1)


def unchanged(time: int) -> bytes:
    """An MPEG-4 picture that says that nothing has changed, of 30 a second (ISO/IEC 14496-2, section 6.2.5)."""
    # a P-picture, of the same second, marker, the time in it, marker, not coded, stuffing
    bits = f"01{0:b}1{time % 30:05b}100111"
    bits += "1" * (-len(bits) % 8)
    return b"\0\0\1\xb6" + int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("first", ["clip", "frame", "length"])
def test_packets_that_show_nothing(
    make_video: MakeVideo,
    tmp_path: Path,
    decoder: str,
    first: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As screen recorders write them. FFmpeg gives no frame for them, and so they are none."""
    source = make_video("moves.mkv", num_frames=40, codec="mpeg4", options={"g": "10"})
    path = tmp_path / "silent.mkv"
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            new = packet
            if number % 10 == 5:
                new = av.Packet(unchanged(number))
                new.pts, new.dts, new.time_base = packet.pts, packet.dts, packet.time_base
            new.stream = copy
            out.mux(new)
    pictures = plain_decode(path)
    assert len(pictures) == 36
    with opened(path, decoder) as video:
        if first == "frame":
            found = video.get_frames(
                indices=[-1, 20]
            )  # the places of packets, as long as no frame is missed
            assert found.pts_sec.tolist() == [1.3, 0.667]
            assert same(found.data, [pictures[-1], pictures[18]])
        elif first == "length":
            assert len(video) == 40  # so say the packets
        assert same(video.get_clip(0, 9)["video"], pictures)
        assert same(video.get_clip(0, 9, lambda indices: indices[::5])["video"], pictures[::5])
        assert len(video) == 36
        assert same(video[30][:, None], [pictures[30]])
    assert caplog.text.count("4 of its packets have no frame of their own") == 1


@pytest.mark.parametrize("decoder", DECODERS)
def test_hidden_frames_of_vp8(make_video: MakeVideo, tmp_path: Path, decoder: str) -> None:
    """Encoders keep such frames for others to refer to, with the time stamp of the next."""
    source = make_video("for_hidden.webm", num_frames=40, codec="libvpx", options={"g": "15"})
    path = tmp_path / "hidden.webm"
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            data = bytearray(bytes(packet))
            if number % 8 == 5:
                data[0] &= ~0x10
            new = av.Packet(bytes(data))
            late = 33 * (number % 8 == 5)
            new.pts, new.dts, new.time_base = packet.pts + late, packet.dts + late, packet.time_base
            new.is_keyframe, new.stream = packet.is_keyframe, copy
            out.mux(new)
    check_all_frames(path, decoder, 35)


@pytest.mark.parametrize("decoder", DECODERS)
@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi"])
def test_windows_in_which_no_frame_begins(make_video: MakeVideo, ending: str, decoder: str) -> None:
    codec = "mpeg4" if ending == "avi" else "libx264"
    path = make_video(f"slow.{ending}", num_frames=8, fps=1, codec=codec)
    pictures = plain_decode(path)
    with opened(path, decoder) as video:
        clips = [video.get_clip(0.4 * i, 0.4 * (i + 1))["video"] for i in range(20)]
    found = [clip for clip in clips if clip is not None]
    assert len(found) == 8
    assert same(torch.cat(found, dim=1), pictures)


def test_the_header_of_an_avi_file_promises_more(make_video: MakeVideo, tmp_path: Path) -> None:
    data = bytearray(make_video("for_header.avi", num_frames=60, codec="mpeg4").read_bytes())
    length = data.index(b"strh") + 8 + 32  # dwLength of the stream header
    data[length : length + 4] = (120).to_bytes(4, "little")
    path = tmp_path / "short.avi"
    path.write_bytes(data)
    with opened(path, "pyav") as video:
        assert video.duration == 4
        assert video.get_clip(0, 1)["video"] is not None
        with pytest.raises(
            VideoError, match=r"short\.avi, clip \[3\.000, 3\.500\) s: .*end at 2\.000"
        ):
            video.get_clip(3, 3.5)
