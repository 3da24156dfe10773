# SPDX-License-Identifier: Apache-2.0
"""PyAV decoding against FFmpeg's own frames and samples: everything decoded, in display order, nothing skipped."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav import PyAVDecoder
from pytorchvideo.data._decode._pyav.decoding_pass import DecodingPass
from pytorchvideo.data._decode._pyav.packets import Packet, groups_with

B_FRAMES = {"bf": "3", "b-pyramid": "none", "g": "12", "keyint_min": "12", "sc_threshold": "0"}
OPEN_GOP = {"x264-params": "bframes=3:keyint=10:min-keyint=10:open-gop=1:scenecut=0"}

VARIANTS = {
    "h264.mp4": {"codec": "libx264"},
    "b_frames.mp4": {"codec": "libx264", "options": B_FRAMES},
    "open_gop.mkv": {"codec": "libx264", "options": OPEN_GOP},
    "b_frames.ts": {"codec": "libx264", "options": B_FRAMES},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"g": "10"}},
    "mpeg4_b.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "vp8.webm": {"codec": "libvpx", "options": {"g": "10"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=15"}},
    "av1.mkv": {"codec": "libsvtav1", "options": {"preset": "10", "svtav1-params": "keyint=20"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "9"}},
}


def everything(path: Path, limit: int = 10**9) -> tuple[list[np.ndarray], list[Fraction]]:
    """All frames of a video upright, in the order in which the decoder shows them, with sorted times from 0."""
    frames, times = [], []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in itertools.islice(container.decode(stream), limit):
            turns = round(frame.rotation / 90) % 4
            frames.append(np.rot90(frame.to_ndarray(format="rgb24"), turns))
            times.append(frame.pts * stream.time_base)
    return frames, [t - min(times) for t in sorted(times)]


def same(data: torch.Tensor, pictures: list[np.ndarray]) -> bool:
    """Whether uint8 (3, T, H, W) equals a list of (H, W, 3)."""
    return np.array_equal(data.permute(1, 2, 3, 0).numpy(), np.stack(pictures))


@pytest.mark.parametrize("name", sorted(VARIANTS))
@pytest.mark.parametrize("wanted", [None, 8, 3, 1])
@pytest.mark.parametrize(("first", "last"), [(0, 60), (0, 24), (17, 43), (29, 30), (45, 60)])
def test_frames_equal_a_plain_decode(
    make_video: Callable[..., Path], name: str, wanted: int | None, first: int, last: int
) -> None:
    path = make_video(name, num_frames=60, **VARIANTS[name])  # written once a session is enough
    pictures, times = everything(path)
    assert len(pictures) == 60
    decoder = PyAVDecoder(path, name, audio=False)
    end = times[last] if last < 60 else decoder.info.duration

    def spread(indices: list[int]) -> list[int]:
        return [indices[int(i)] for i in np.linspace(0, len(indices) - 1, wanted)]

    frames = decoder.frames(times[first], end, spread if wanted else None)
    picked = spread(list(range(last - first))) if wanted else list(range(last - first))
    assert frames is not None
    assert frames.indices == picked
    assert same(frames.data, [pictures[first + i] for i in picked])
    assert torch.allclose(
        frames.pts_sec, torch.tensor([float(times[first + i]) for i in picked]).double()
    )
    decoder.close()


def test_repeated_and_reversed_indices(make_video: Callable[..., Path]) -> None:
    path = make_video("b_frames_again.mp4", num_frames=40, options=B_FRAMES)
    pictures, _ = everything(path)
    frames = PyAVDecoder(path, "a", audio=False).frames(0, 1, lambda indices: [9, 3, 3])
    assert frames is not None
    assert same(frames.data, [pictures[9], pictures[3], pictures[3]])


class FedPackets:
    """Counts the packets that reach a decoder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fed = 0
        original = DecodingPass._needed

        def counted(*args):  # type: ignore[no-untyped-def]
            for position, packet in original(*args):
                self.fed += 1
                yield position, packet

        monkeypatch.setattr(DecodingPass, "_needed", counted)


@pytest.mark.parametrize("b_frames", ["0", "3"])
def test_groups_of_pictures_without_a_wanted_frame_are_not_decoded(
    make_video: Callable[..., Path], b_frames: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"g": "12", "bf": b_frames, "keyint_min": "12", "sc_threshold": "0"}
    path = make_video(f"groups{b_frames}.mp4", num_frames=240, options=options)
    pictures, _ = everything(path)
    decoder = PyAVDecoder(path, "groups.mp4", audio=False)
    count = FedPackets(monkeypatch)
    # the last of a group is still inside of a decoder that reorders when the next group begins
    wanted = [0, 11, 120, 131, 239]
    frames = decoder.frames(0, 8, lambda indices: wanted)
    assert frames is not None
    assert same(frames.data, [pictures[i] for i in wanted])
    assert count.fed < 45  # of 240: one group of 12 for each place, at most


def test_a_clip_late_in_a_long_file_is_reached_by_seeking(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("long.mp4", num_frames=600, options={"g": "30", "keyint_min": "30"})
    decoder = PyAVDecoder(path, "long.mp4", audio=False)
    count = FedPackets(monkeypatch)
    decoder.frames(18, 18.5, None)
    assert count.fed < 80  # of 600


def test_perform_seek_off_gives_the_same_frames(make_video: Callable[..., Path]) -> None:
    path = make_video("noseek.mp4", num_frames=60, options=B_FRAMES)
    a = PyAVDecoder(path, "a", audio=False).frames(1, 2, None)
    b = PyAVDecoder(path, "a", audio=False, seek=False).frames(1, 2, None)
    assert a is not None and b is not None
    assert torch.equal(a.data, b.data)


def test_which_groups_are_kept() -> None:
    # coded order of an open group: its key frame (pts 6) comes before the frames 4 and 5, which refer to group 0 too
    packets = [Packet(p, p in (0, 6, 12)) for p in (0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11)]

    def kept(wanted):
        return [
            p.pts for p, keep in zip(packets, groups_with(packets, wanted), strict=True) if keep
        ]

    assert kept({7}) == [6, 4, 5, 9, 7, 8]
    assert kept({4}) == [0, 3, 1, 2, 6, 4, 5, 9, 7, 8]
    assert kept({10}) == [6, 4, 5, 9, 7, 8, 12, 10, 11]
    assert kept(set()) == []


def rotated(make_video: Callable[..., Path], degrees: int) -> Path:
    """A video with a display matrix, as phones write it."""
    source = make_video("plain_for_rotation.mp4", num_frames=6)
    path = source.with_name(f"rotated{degrees}.mov")
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        copy.set_display_rotation(degrees)
        for packet in container.demux(stream):
            if packet.size:
                packet.stream = copy
                out.mux(packet)
    return path


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_frames_are_upright(make_video: Callable[..., Path], degrees: int) -> None:
    path = rotated(make_video, degrees)
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        plain = frame.to_ndarray(format="rgb24")
        assert frame.rotation % 360 == degrees % 360
    frames = PyAVDecoder(path, path.name, audio=False).frames(0, 1, None)
    assert frames is not None
    # the rotation of a display matrix is told counter-clockwise, as np.rot90 turns
    assert same(frames.data[:, :1], [np.rot90(plain, degrees // 90)])


@pytest.mark.parametrize("name", ["sound.mp4", "sound.mkv", "sound.mov"])
def test_sound_is_sample_exact(make_video: Callable[..., Path], name: str) -> None:
    path = make_video(name, num_frames=90, audio_rate=16000)
    decoder = PyAVDecoder(path, name)
    whole = decoder.audio(0, 10)
    assert whole is not None and whole.rate == 16000
    assert whole.data.dtype == torch.float32 and float(whole.data.abs().max()) <= 1
    pieces = [
        decoder.audio(a, b)
        for a, b in [(0, 0.37), (0.37, 1), (1, Fraction(7, 3)), (Fraction(7, 3), 3)]
    ]
    joined = torch.cat([piece.data for piece in pieces if piece is not None], dim=1)
    assert torch.equal(joined, whole.data[:, : joined.shape[1]])
    assert joined.shape[1] == 3 * 16000
    # 440 Hz at amplitude 0.5: the phase tells where a sample stands
    t = torch.arange(4000, 40000) / 16000
    tone = 0.5 * torch.sin(2 * torch.pi * 440 * t)
    assert float((whole.data[0, 4000:40000] - tone).abs().mean()) < 0.02


def test_integer_sound_is_scaled_to_one(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    path = tmp_path / "pcm.mov"
    wave = (np.sin(np.arange(8000) / 10) * 32767).astype(np.int16)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10)
        video.width = video.height = 32
        video.pix_fmt = "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        for _ in range(10):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    audio = PyAVDecoder(path, "pcm.mov").audio(0, 1)
    assert audio is not None
    assert torch.equal(audio.data[0], torch.from_numpy(wave.astype(np.float32) / 32768))


def test_an_audio_file_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 16000), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(
        VideoError, match=r"sound\.m4a has no video stream \(streams found: audio\)"
    ):
        PyAVDecoder(path, "sound.m4a")
    sound = PyAVDecoder(path, "sound.m4a", video=False)
    assert not sound.info.has_video
    assert sound.audio(0, 1) is not None
    assert sound.frames(0, 1, None) is None


def test_a_file_cut_off_says_so(make_video: Callable[..., Path], tmp_path: Path) -> None:
    options = {"movflags": "faststart"}
    whole = make_video(
        "faststart.mp4", num_frames=120, options={"g": "10"}, container_options=options
    )
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 2 // 3])
    decoder = PyAVDecoder(cut, "cut.mp4", audio=False)
    assert decoder.frames(0, 1, None) is not None
    with pytest.raises(
        VideoError,
        match=r"cut\.mp4, clip \[3\.500, 4\.000\) s: (no frame there|the video is (dam|cut))",
    ):
        decoder.frames(3.5, 4, None)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_clips_one_after_the_other_equal_a_plain_decode(
    make_video: Callable[..., Path], name: str
) -> None:
    """A clip goes on where the one before has left the decoder; any order of clips gives the same pictures."""
    path = make_video(name, num_frames=60, **VARIANTS[name])
    pictures, times = everything(path)
    decoder = PyAVDecoder(path, name, audio=False)
    windows = [(0, 8), (8, 17), (17, 18), (19, 40), (30, 41), (5, 9), (41, 59), (59, 60), (0, 60)]
    for first, last in windows:
        for step in (3, 1):
            end = times[last] if last < 60 else decoder.info.duration
            frames = decoder.frames(times[first], end, lambda i, s=step: i[::s])
            assert frames is not None
            assert same(frames.data, pictures[first:last:step]), (first, last, step)
    decoder.close()


def test_the_next_clip_goes_on_where_the_last_one_ended(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("one_group.mp4", num_frames=90, options={"g": "250", "bf": "0"})
    decoder = PyAVDecoder(path, "one_group.mp4", audio=False)
    count = FedPackets(monkeypatch)
    for start in range(3):
        assert decoder.frames(start, start + 1, lambda i: i[::4]) is not None
    assert count.fed <= 90  # three clips of 30; from the key frame on they would be 180


def test_packets_that_are_too_many_to_keep_are_read_again(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("b_frames.mp4", num_frames=60, **VARIANTS["b_frames.mp4"])
    whole = PyAVDecoder(path, "a", audio=False).frames(0.5, 1.5, None)
    monkeypatch.setattr("pytorchvideo.data._decode._pyav.decoding_pass._KEPT_BYTES", 1000)
    again = PyAVDecoder(path, "a", audio=False).frames(0.5, 1.5, None)
    assert whole is not None and again is not None
    assert torch.equal(whole.data, again.data)


def test_a_stream_that_begins_in_the_middle_is_passed_over(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    """As in a recording of television; PyAV knows only the streams that it saw when it opened the file."""
    data = bytearray(make_video("one_stream.ts", num_frames=60).read_bytes())
    starts = [i for i in range(0, len(data), 188) if data[i + 1 : i + 3] == b"\x41\x00"]
    data[starts[40] + 1] = 0x4F  # the start of a frame, with the number of another stream
    path = tmp_path / "two_streams.ts"
    path.write_bytes(data)
    decoder = PyAVDecoder(path, "two_streams.ts", audio=False)
    assert decoder.index is not None and len(decoder.index) == 59
    frames = decoder.frames(0, 1, None)
    assert frames is not None and frames.data.shape[1] == 30
