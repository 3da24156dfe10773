# SPDX-License-Identifier: Apache-2.0
"""``LiveVideo``: against ``EncodedVideo`` on files, and what is sent through pipes and sockets."""

import io
import itertools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pytorchvideo.data import live
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav.live import Decoded, LiveInput, address_of
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.live import FrameBuffer, LiveFrame, LiveVideo, RawFormat
from pytorchvideo.transforms import ShortSideScale

MakeVideo = Callable[..., Path]


def all_frames(video: LiveVideo) -> list[LiveFrame]:
    found = []
    while frames := video.take():
        found += frames
    return found


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], None]]:
    """Puts bytes on standard input, which then ends."""
    threads, files = [], []

    def feed(data: bytes) -> None:
        read, write = os.pipe()
        files.append(os.fdopen(read, "rb"))
        monkeypatch.setattr(sys, "stdin", files[-1])

        def send() -> None:
            with os.fdopen(write, "wb") as pipe:
                pipe.write(data)

        threads.append(threading.Thread(target=send))
        threads[-1].start()

    yield feed
    for file in files:
        file.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("scaled", [False, True])
def test_frames_of_a_file_are_those_of_encoded_video(make_video: MakeVideo, scaled: bool) -> None:
    path = make_video("plain.mp4", num_frames=20, fps=25, options={"bf": "2"})
    scale = ShortSideScale(24)
    with EncodedVideo.from_path(path, dtype=torch.uint8) as truth:
        clip = truth.get_clip(0, truth.duration)["video"]
    assert clip is not None
    clip = scale(clip) if scaled else clip
    transform = (lambda picture: scale(picture[:, None])[:, 0]) if scaled else None
    with LiveVideo(path, transform=transform) as video:
        frames = all_frames(video)
        assert (video.read, video.dropped) == (20, 0)
        assert video.seconds == pytest.approx(0.8)
        assert not video.realtime
    assert torch.equal(torch.stack([frame.data for frame in frames], dim=1), clip)
    assert [frame.time_sec for frame in frames] == pytest.approx([k / 25 for k in range(20)])


def test_a_rotated_video_is_upright_and_on_frame_gets_its_picture(tmp_path: Path) -> None:
    path = tmp_path / "rotated.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        stream.set_display_rotation(90)
        picture = np.zeros((32, 64, 3), np.uint8)
        picture[:, :32] = 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    pictures = []
    with LiveVideo(path) as video:
        video.on_frame = lambda picture, seconds: pictures.append((picture, seconds))
        (frame,) = all_frames(video)
    assert frame.data.shape == (3, 64, 32)
    ((shown, seconds),) = pictures
    assert seconds == 0.0
    assert np.array_equal(shown, frame.data.permute(1, 2, 0).numpy())


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No frame is too late, however busy the machine is."""
    monkeypatch.setattr(live, "_LATE_SEC", 1e9)
    monkeypatch.setattr(live, "_VERY_LATE_SEC", 1e9)


@pytest.mark.usefixtures("patient")
def test_realtime_plays_a_file_at_its_own_speed(make_video: MakeVideo) -> None:
    path = make_video("second.mp4", num_frames=20, fps=25)
    begin = time.monotonic()
    with LiveVideo(path, realtime=True) as video:
        frames = all_frames(video)
        assert (len(frames), video.dropped) == (20, 0)
    assert time.monotonic() - begin > 19 / 25 - 0.01
    for frame in frames:
        assert frame.arrival_sec - frames[0].arrival_sec == pytest.approx(frame.time_sec, abs=1e-3)


@pytest.mark.usefixtures("patient")
def test_who_is_slow_gets_the_newest_frames(make_video: MakeVideo) -> None:
    path = make_video("second.mp4", num_frames=20, fps=25)
    with LiveVideo(path, realtime=True, buffer_sec=0.2) as video:
        begin = video.take()
        video._thread.join(timeout=20)
        frames = video.take()
        assert begin[0].time_sec == 0
        assert [round(frame.time_sec * 25) for frame in frames] == [14, 15, 16, 17, 18, 19]
        assert (video.read, video.dropped) == (20, 14 - len(begin))
        assert video.take() == []


@pytest.mark.serial
def test_who_decodes_too_slowly_leaves_frames_out(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("slow.mp4", num_frames=40, fps=25)
    video = LiveVideo(path, realtime=True)
    monkeypatch.setattr(video, "_transform", lambda picture: (time.sleep(0.1), picture)[1])
    begin = time.monotonic()
    with video:
        frames = all_frames(video)
    assert time.monotonic() - begin < 3.0  # 4.0 with all of them
    assert video.read == 40
    assert video.dropped == 40 - len(frames) > 0


def test_far_behind_only_key_frames_are_decoded(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("keys.mp4", num_frames=40, fps=25, options={"g": "10", "bf": "0"})
    monkeypatch.setattr(live._Clock, "due", lambda *arguments: time.monotonic() - 5.0)
    with LiveVideo(path, realtime=True) as video:
        shown: list[int] = []
        video.on_frame = lambda picture, seconds: shown.append(1)
        assert all_frames(video) == []
        assert video._input.keys_only
        assert (video.read, video.dropped, shown) == (40, 40, [])


def test_late_is_what_waited_although_it_was_there(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    clock = live._Clock(False, threading.Event())

    def late(seconds: float, waited: bool) -> float:
        return now[0] - clock.due(seconds, waited)

    assert late(0.0, waited=True) == 0
    now[0] += 2.0  # something held us up: the next frames are there already
    assert late(0.1, waited=False) == pytest.approx(1.9, abs=1e-3)
    now[0] += 0.1
    assert late(1.9, waited=False) == pytest.approx(0.2, abs=1e-3)
    now[0] += 5.0  # the sender paused
    assert late(2.0, waited=True) == 0
    now[0] += 0.1
    assert late(2.1, waited=False) == pytest.approx(0, abs=1e-3)
    for _ in range(1000):  # a clock that is slower than ours by less than clocks are
        now[0] += 1.00005
        assert late((now[0] - 107.1) / 1.00005 + 2.0, waited=False) < 1e-2


@given(st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_the_buffer_keeps_the_newest_in_order(capacity: int, takes: list[bool]) -> None:
    buffer, taken, put = FrameBuffer(capacity), [], 0
    for is_take in takes:
        if not is_take:
            buffer.put(put)
            put += 1
        elif len(taken) + buffer.dropped < put:
            found = buffer.take()
            assert found == list(range(put))[-len(found) :]
            assert len(found) <= capacity
            taken += found
    buffer.close()
    taken += buffer.take()
    assert taken == sorted(taken)
    assert len(taken) + buffer.dropped == put
    assert buffer.take() == []


def test_the_buffer_keeps_no_more_than_its_bytes() -> None:
    buffer = FrameBuffer(100, most_bytes=10)
    for frame, num_bytes in (("a", 4), ("b", 4), ("c", 4), ("d", 2)):
        buffer.put(frame, num_bytes)
    assert (buffer.take(), buffer.dropped) == (["b", "c", "d"], 1)
    buffer.put("e", 10)
    buffer.put("f", 11)
    assert (buffer.take(), buffer.dropped) == (["f"], 2)


def test_large_pictures_are_refused(make_bomb: Callable[..., Path], make_video: MakeVideo) -> None:
    with pytest.raises(VideoError, match=r"live\.mov: reading pictures of 16000x15000 pixels"):
        LiveVideo(make_bomb("live.mov"))
    path = make_video("plain.mp4", num_frames=20, fps=25, options={"bf": "2"})
    enough = 60 * 48 * 64  # 20 pictures of 3 bytes a pixel
    with pytest.raises(VideoError, match=r"plain\.mp4: reading pictures of 64x48 pixels"):
        LiveVideo(path, memory_limit_bytes=enough - 1)
    with LiveVideo(path, memory_limit_bytes=enough) as video:
        assert len(all_frames(video)) == 20


def test_the_buffer_hands_on_the_error_after_the_frames() -> None:
    buffer = FrameBuffer(2)
    buffer.put(1)
    buffer.close(VideoError("lost."))
    assert buffer.take() == [1]
    with pytest.raises(VideoError, match=r"lost\."):
        buffer.take()
    with pytest.raises(ValueError, match="capacity"):
        FrameBuffer(0)


@pytest.mark.parametrize(("pixel_format", "channels"), [("rgb24", 3), ("bgr24", 3), ("gray", 1)])
def test_raw_frames_on_standard_input(
    stdin: Callable[[bytes], None], pixel_format: str, channels: int
) -> None:
    sent = np.random.default_rng(0).integers(0, 256, (7, 6, 8, channels), np.uint8)
    stdin(sent.tobytes())
    raw = RawFormat(8, 6, Fraction(10), pixel_format)
    with LiveVideo("-", raw=raw, realtime=False) as video:
        frames = all_frames(video)
        assert video.frame_sec == pytest.approx(0.1)
    got = torch.stack([frame.data for frame in frames]).permute(0, 2, 3, 1).numpy()
    assert [frame.time_sec for frame in frames] == pytest.approx([k / 10 for k in range(7)])
    order = [2, 1, 0] if pixel_format == "bgr24" else slice(None)
    assert np.array_equal(got, np.broadcast_to(sent[..., order], got.shape))


def test_a_pipe_is_live_unless_it_is_said_otherwise(stdin: Callable[[bytes], None]) -> None:
    stdin(bytes(8 * 6 * 3 * 100))
    with LiveVideo("-", raw=RawFormat(8, 6), buffer_sec=0.1) as video:
        assert video.realtime
        frames = all_frames(video)
        assert video.read == 100 == len(frames) + video.dropped


def test_raw_frames_that_end_within_one(stdin: Callable[[bytes], None]) -> None:
    stdin(bytes(8 * 6 * 3 * 2 + 5))
    with LiveVideo("-", raw=RawFormat(8, 6), realtime=False) as video:
        assert len(video.take() + video.take()) == 2
        message = r"standard input ends within a frame: 5 bytes .* 8x6 in rgb24 has 144\. Check the"
        with pytest.raises(VideoError, match=message):
            video.take()


def test_raw_frames_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "frames.rgb"
    path.write_bytes(bytes(range(144)) * 3)
    with LiveVideo(path, raw=RawFormat(8, 6)) as video:
        frames = all_frames(video)
    assert len(frames) == 3
    assert frames[2].data.permute(1, 2, 0).flatten().tolist() == list(range(144))


@pytest.mark.parametrize("container", ["mpegts", "matroska"])
def test_a_container_on_standard_input(
    stdin: Callable[[bytes], None], tmp_path: Path, make_video: MakeVideo, container: str
) -> None:
    path = make_video(f"piped.{'ts' if container == 'mpegts' else 'mkv'}", num_frames=12)
    stdin(path.read_bytes())
    with LiveVideo("-", realtime=False) as video, LiveVideo(path) as same:
        piped, read = all_frames(video), all_frames(same)
    assert len(piped) == 12
    for a, b in zip(piped, read, strict=True):
        assert torch.equal(a.data, b.data)
        assert a.time_sec == b.time_sec


def test_standard_input_that_is_no_video(
    stdin: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin(b"no video at all " * 5000)
    with pytest.raises(
        VideoError, match=r"standard input is not a readable video: .* --size WIDTH"
    ):
        LiveVideo("-")
    stdin(b"")
    with pytest.raises(VideoError, match="standard input ended without a single frame"):
        LiveVideo("-")
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="on standard input, but it is closed"):
        LiveVideo("-")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals here")
def test_standard_input_that_is_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    with os.fdopen(slave) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        with pytest.raises(ValueError, match=r"it is a terminal\. Pipe a video"):
            LiveVideo("-")
        monkeypatch.undo()
    os.close(master)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    thread = threading.Thread(target=lambda: path.write_bytes(bytes(144 * 4)))
    thread.start()
    with LiveVideo(path, raw=RawFormat(8, 6), realtime=False) as video:
        assert len(all_frames(video)) == 4
    thread.join()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sender:
    """Sends a file to everyone who connects, one after the other."""

    def __init__(self, content: list[bytes]) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._socket.getsockname()[1]}"
        self._content = content
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket:
            for content in self._content:
                connection, _ = self._socket.accept()
                with connection:
                    connection.sendall(content)

    def join(self) -> None:
        self._thread.join()


def test_an_address_and_its_reconnection(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_PAUSES_SEC", (0.05,))
    content = make_video("sent.ts", num_frames=20).read_bytes()
    sender = Sender([content, content])
    notes: list[str] = []
    with LiveVideo(sender.address, reconnects=2) as video:
        assert video.realtime
        video.on_note = notes.append
        frames = all_frames(video)
        assert video.read == 40 == len(frames) + video.dropped
    sender.join()
    assert all(a.time_sec < b.time_sec for a, b in itertools.pairwise(frames))
    assert notes[0] == f"{sender.address} ended. Attempt 1 of 2 in 0.05 s."
    assert "refused" in notes[-1]
    assert len(notes) == 3


_PUBLISH = """
import sys, time, av, numpy as np
for attempt in range(100):  # until somebody listens
    try:
        container = av.open(sys.argv[1], "w", format="rtsp", options={"rtsp_transport": "tcp"})
        break
    except av.error.ConnectionRefusedError:
        time.sleep(0.05)
stream = container.add_stream("mpeg2video", rate=25)
stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
for k in range(25):
    picture = np.full((48, 64, 3), 10 * k, np.uint8)
    container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
container.mux(stream.encode(None))
container.close()
"""


def test_rtsp() -> None:
    """FFmpeg has no server to ask; but a publisher can send to who listens, in the same protocol."""
    url = f"rtsp://127.0.0.1:{free_port()}/live"
    address = address_of(url, None)
    assert address.options["rtsp_transport"] == "tcp"
    listening = replace(address, options={"rtsp_flags": "listen", "listen_timeout": "20"})
    with subprocess.Popen([sys.executable, "-c", _PUBLISH, url]):
        received = LiveInput(listening, 20.0)
        times = [decoded.seconds for decoded in received.decoded()]
        received.close()
    assert len(times) > 20
    assert np.diff(times) == pytest.approx([1 / 25] * (len(times) - 1), abs=1e-3)


def test_nobody_answers() -> None:
    with pytest.raises(VideoError, match=r"rtsp://user:\*\*\*@127.0.0.1:\d+/a is not .* refused"):
        LiveVideo(f"rtsp://user:secret@127.0.0.1:{free_port()}/a")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(VideoError, match=r"tcp://.* did not answer in 0.3 s\."):
            LiveVideo(address, timeout_sec=0.3)
    with pytest.raises(VideoError, match="nope://a is not a readable video: protocol not found"):
        LiveVideo("nope://a")


def test_a_stream_that_falls_silent_is_lost(make_video: MakeVideo) -> None:
    content = make_video("sent.ts", num_frames=20).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def send() -> None:
            held.append(server.accept()[0])
            held[0].sendall(content)

        thread = threading.Thread(target=send)
        thread.start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with LiveVideo(address, timeout_sec=0.5, reconnects=0) as video:
            with pytest.raises(VideoError, match=r"sent nothing for 0.5 s\."):
                all_frames(video)
            assert video.read > 10
        thread.join()
        held[0].close()


def test_times_never_go_back(make_video: MakeVideo, tmp_path: Path) -> None:
    content = make_video("sent.ts", num_frames=20).read_bytes()
    path = tmp_path / "twice.ts"
    path.write_bytes(content + content)
    with LiveVideo(path) as video:
        frames = all_frames(video)
    assert len(frames) == 40
    steps = [b.time_sec - a.time_sec for a, b in itertools.pairwise(frames)]
    assert min(steps) > 0
    assert max(steps) < 0.1


def test_times_that_a_file_says_wrongly_are_put_right(make_video: MakeVideo) -> None:
    """MPEG-4 with B-frames in AVI: the times that FFmpeg gives go back and forth."""
    path = make_video("b.avi", num_frames=30, fps=25, codec="mpeg4", options={"bf": "2"})
    with EncodedVideo.from_path(path) as truth:
        assert truth.frame_index is not None
        assert not truth.frame_index.is_trusted
        wanted = [float(seconds) for seconds in truth.frame_index.times]
    with LiveVideo(path) as video:
        frames = all_frames(video)
    assert [frame.time_sec for frame in frames] == pytest.approx(wanted)


@pytest.mark.slow
def test_times_of_real_videos_are_those_of_encoded_video(shared_data: Path) -> None:
    paths = [p for p in sorted((shared_data / "clips").iterdir()) if "corrupted" not in p.name]
    assert paths
    for path in paths:
        with EncodedVideo.from_path(path, decode_audio=False) as truth:
            assert truth.frame_index is not None
            wanted = [float(seconds) for seconds in truth.frame_index.times[:50]]
        with LiveVideo(path, transform=lambda picture: picture[:, :2, :2]) as video:
            found = [frame.time_sec for _ in wanted for frame in video.take()]
        assert found == pytest.approx(wanted), path.name


@pytest.mark.usefixtures("patient")
def test_frames_without_times_follow_the_rate(tmp_path: Path, make_video: MakeVideo) -> None:
    path = make_video("bare.h264", num_frames=12, fps=25)
    for realtime in (False, True):
        begin = time.monotonic()
        with LiveVideo(path, realtime=realtime) as video:
            frames = all_frames(video)
            step = video.frame_sec
        assert len(frames) == 12
        assert [frame.time_sec for frame in frames] == pytest.approx([k * step for k in range(12)])
        assert time.monotonic() - begin > 11 * step - 0.01 or not realtime


def test_what_is_damaged_is_left_out_and_said_once(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("whole.mkv", num_frames=40, options={"g": "1"})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in [p for p in container.demux(video=0) if p.size][10:20]:
            start = data.index(bytes(packet))
            data[start : start + packet.size] = b"\xff" * packet.size
    damaged = tmp_path / "damaged.mkv"
    damaged.write_bytes(data)
    notes: list[str] = []
    with LiveVideo(damaged) as video:
        video.on_note = notes.append
        frames = all_frames(video)
    assert len(frames) == 30
    assert frames[-1].time_sec == pytest.approx(39 / 30, abs=0.01)
    (note,) = notes
    assert "what is damaged is left out, first at 0." in note


def test_pictures_without_times_have_that_of_their_arrival(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (64, 48)).save(file, format="jpeg")
    sender = Sender([file.getvalue() * 30])
    pictures = LiveInput(address_of(sender.address, None), 5.0)
    # FFmpeg would give each a 25th of a second, whenever it came
    assert {decoded.seconds for decoded in pictures.decoded()} == {None}
    pictures.close()
    sender.join()

    def slowly(self: LiveInput) -> Iterator[Decoded]:
        for decoded in decode(self):
            time.sleep(0.1)
            yield decoded._replace(seconds=None, waited=True)

    decode = LiveInput.decoded
    monkeypatch.setattr(LiveInput, "decoded", slowly)
    with LiveVideo(make_video("five.ts", num_frames=5), realtime=True) as video:
        video._plays = False
        frames = all_frames(video)
    assert len(frames) == 5
    assert frames[-1].time_sec > 0.3  # by the header 0.13


def test_a_live_source_whose_header_is_wrong_is_measured(stdin: Callable[[bytes], None]) -> None:
    stdin(bytes(144 * 40))
    with LiveVideo("-", raw=RawFormat(8, 6, Fraction(20)), realtime=False) as video:
        video._rate = 100.0
        all_frames(video)
        assert video.frame_sec == pytest.approx(1 / 20)
        video._rate = 19.0  # near enough to be the true one
        video._measure(1 / 20)
        assert video.frame_sec == pytest.approx(1 / 19)


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"There is no video file .*a\.mp4"):
        LiveVideo(tmp_path / "a.mp4")
    with pytest.raises(IsADirectoryError, match="directory"):
        LiveVideo(tmp_path)
    (tmp_path / "text.mp4").write_text("hello " * 100)
    with pytest.raises(VideoError, match=r"text.mp4 is not a readable video"):
        LiveVideo(tmp_path / "text.mp4")


def test_a_file_of_sound_only(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(VideoError, match=r"sound.wav has no video stream\."):
        LiveVideo(path)


@pytest.mark.skipif(sys.platform != "linux", reason="cameras have paths on Linux")
def test_cameras() -> None:
    with pytest.raises(FileNotFoundError, match="There is no camera /dev/video987 on this machine"):
        LiveVideo(987)
    with pytest.raises(FileNotFoundError, match="There is no camera /dev/video987"):
        LiveVideo("/dev/video987")


def test_the_mode_of_a_camera_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: True)
    monkeypatch.setattr(sys, "platform", "linux")
    address = address_of(0, RawFormat(640, 480, Fraction(15)))
    assert (address.file, address.format) == ("/dev/video0", "v4l2")
    assert address.options == {"video_size": "640x480", "framerate": "15"}
    monkeypatch.setattr(sys, "platform", "darwin")
    address = address_of("1", None)
    assert (address.file, address.format) == ("1", "avfoundation")
    assert address.options == {"framerate": "30"}


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"buffer_sec": 0.0}, "buffer_sec"),
        ({"timeout_sec": float("nan")}, "timeout_sec"),
        ({"reconnects": -1}, "reconnects"),
        ({"memory_limit_bytes": 0}, "memory_limit_bytes"),
    ],
)
def test_arguments(arguments: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=f"Expected `{word}`"):
        LiveVideo("a.mp4", **arguments)


def test_raw_formats() -> None:
    with pytest.raises(ValueError, match="Expected `width, height, rate` to be > 0"):
        RawFormat(0, 10)
    with pytest.raises(ValueError, match=r"Expected `pixel_format` .* 'rgb25'\. FFmpeg's names"):
        RawFormat(8, 8, pixel_format="rgb25")
    with pytest.raises(ValueError, match="Expected `raw` to be None for an address"):
        LiveVideo("rtsp://127.0.0.1/a", raw=RawFormat(8, 8))


def test_closing_twice_and_early(make_video: MakeVideo) -> None:
    path = make_video("second.mp4", num_frames=20, fps=25)
    for realtime in (False, True):
        video = LiveVideo(path, realtime=realtime)
        assert len(video.take()) == 1
        video.close()
        video.close()
    LiveVideo(path).close()
