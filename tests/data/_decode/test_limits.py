# SPDX-License-Identifier: Apache-2.0
"""No file takes more memory or time than it may."""

import gc
import json
import struct
import subprocess
import sys
import wave
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data._decode import VideoError, _limits
from pytorchvideo.data._decode._limits import Budget, LimitError, Limits
from pytorchvideo.data._decode._pyav.write import has_encoder
from pytorchvideo.data.encoded_video import EncodedVideo

BYTES_A_PIXEL = 60  # of the limit: 20 pictures of 3 bytes a pixel, as the documentation says
LARGE = 16000, 15000

CHILD = """
import json, resource, sys
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo

unit = 1 if sys.platform == "darwin" else 1024  # of the peak, in bytes

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

small, *bombs = sys.argv[1:]
with EncodedVideo.from_path(small) as video:
    video.get_clip(0, 3)
before = peak()
said = []
for bomb in bombs:
    try:
        with EncodedVideo.from_path(bomb) as video:
            video.get_clip(0, 3)
    except VideoError as error:
        said.append(str(error))
print(json.dumps({"said": said, "bytes": peak() - before}))
"""


def vp8(path: Path, small: Path, size: tuple[int, int]) -> Path:
    """IVF whose header has the size of a video, and whose first picture says another one (RFC 6386, section 9.1)."""
    with av.open(str(small)) as container:
        pictures = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    first = bytearray(pictures[0])
    assert first[3:6] == b"\x9d\x01\x2a"
    first[6:10] = struct.pack("<HH", *size)
    header = struct.pack("<4sHHIHHIIII", b"DKIF", 0, 32, 0x30385056, 64, 48, 25, 1, 1, 0)
    path.write_bytes(header + struct.pack("<IQ", len(first), 0) + first)
    return path


def test_huge_pictures_take_no_memory(
    make_bomb: Callable[[str], Path], make_video: Callable[..., Path]
) -> None:
    """One of these as float32 takes 2.9 GB, and a decoder alone would take 30 MB to 1 GB for it."""
    pytest.importorskip("resource", reason="the peak of a process is asked of Unix")
    small = make_video("small.webm", codec="libvpx")
    bombs = [make_bomb(name) for name in ("bomb.mov", "bomb.avi", "bomb.png")]
    bombs.append(vp8(small.with_name("bomb.ivf"), small, LARGE))
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(small), *map(str, bombs)],
        check=True,
        capture_output=True,
        text=True,
    )
    found = json.loads(run.stdout)
    assert len(found["said"]) == len(bombs)
    for bomb, said in zip(bombs, found["said"], strict=True):
        assert said.startswith(bomb.name) and "raise `memory_limit_bytes`" in said
    assert all(
        "16000x15000" in said for said in found["said"][:2]
    )  # others tell no size beforehand
    assert found["bytes"] < 50e6


FORMATS = {
    "mjpeg": "yuvj420p",
    "png": "rgb24",
    "gif": "rgb8",
    "prores_ks": "yuv422p10le",
    "apng": "rgb24",
}


def one_color(path: Path, codec: str, size: tuple[int, int], count: int = 12, **more: Any) -> Path:
    with av.open(str(path), "w", **more) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = size
        stream.pix_fmt = FORMATS.get(codec, "yuv420p")
        for number in range(count):
            picture = np.full((size[1], size[0], 3), 6 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


CODECS = {
    "libx264": "mp4",
    "libx265": "mkv",
    "mpeg4": "avi",
    "mpeg2video": "ts",
    "mjpeg": "avi",
    "libvpx": "webm",
    "libvpx-vp9": "webm",
    "libsvtav1": "mp4",
    "ffv1": "mkv",
    "png": "mov",
    "gif": "gif",
    "prores_ks": "mov",
    "apng": "apng",
}


@pytest.mark.parametrize("codec", CODECS)
def test_pictures_beyond_the_limit_are_refused_and_one_argument_raises_it(
    codec: str, tmp_path: Path
) -> None:
    if not has_encoder(codec):
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    width, height = 640, 480
    path = one_color(tmp_path / f"{codec}.{CODECS[codec]}", codec, (width, height))
    with EncodedVideo.from_path(path) as video:
        bits = max(24, av.VideoFormat(video.pix_fmt or "").padded_bits_per_pixel)
        whole = video.get_clip(0, 1, lambda indices: indices[:2])["video"]
    enough = 20 * bits // 8 * width * height
    assert enough == BYTES_A_PIXEL * width * height or codec in ("prores_ks", "gif", "apng")
    said = rf"{codec}\.\w+: reading pictures of 640x480 pixels may take [\d.]+ MB, but the limit is [\d.]+ MB"
    for limit in (enough - 1, enough // 10):
        with pytest.raises(VideoError, match=said + r".* raise `memory_limit_bytes`"):
            EncodedVideo.from_path(path, memory_limit_bytes=limit)
    with EncodedVideo.from_path(path, memory_limit_bytes=enough) as video:
        again = video.get_clip(0, 1, lambda indices: indices[:2])["video"]
    assert whole is not None and again is not None and torch.equal(whole, again)


@pytest.mark.parametrize(
    ("codec", "ending"),
    [("libx264", "h264"), ("libx265", "hevc"), ("mpeg2video", "m2v"), ("mjpeg", "mjpeg")],
)
def test_a_picture_that_grows_on_the_way_is_refused_when_it_comes(
    codec: str, ending: str, tmp_path: Path
) -> None:
    if not has_encoder(codec):
        pytest.skip(f"this FFmpeg has no encoder {codec}")
    parts = [
        one_color(tmp_path / f"{width}.{ending}", codec, (width, height), count=40).read_bytes()
        for width, height in ((320, 240), (1280, 960))
    ]
    path = tmp_path / f"grows.{ending}"
    path.write_bytes(b"".join(parts))
    limit = BYTES_A_PIXEL * 320 * 240
    with EncodedVideo.from_path(path, memory_limit_bytes=limit) as video:
        before = video.get_clip(0, 8 / 25, lambda indices: [0, 5])["video"]
        with pytest.raises(VideoError, match=rf"grows\.{ending}, clip .* `memory_limit_bytes`"):
            video.get_clip(0, 4, lambda indices: [0, len(indices) - 1])
        again = video.get_clip(0, 8 / 25, lambda indices: [0, 5])["video"]
    assert before is not None and before.shape == (3, 2, 240, 320)
    assert again is not None and torch.equal(before, again)


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_a_clip_is_bounded(
    make_video: Callable[..., Path], decoder: str, dtype: torch.dtype
) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec")
    path = make_video("bounded.mp4", num_frames=100)
    size = 100 * 3 * 48 * 64 * dtype.itemsize
    options: dict[str, Any] = {"decoder": decoder, "dtype": dtype, "decode_audio": False}
    with EncodedVideo.from_path(path, memory_limit_bytes=size, **options) as video:
        clip = video.get_clip(0, 4)["video"]
        assert clip is not None and clip.nbytes == size
        assert torch.equal(video.get_frames(indices=range(100)).data, clip)
    kind = str(dtype).removeprefix("torch.")
    with EncodedVideo.from_path(path, memory_limit_bytes=size - 1, **options) as video:
        said = rf"bounded\.mp4, clip \[0\.000, 4\.000\) s: reading 100 frames of 64x48 pixels as {kind} may take"
        with pytest.raises(VideoError, match=said):
            video.get_clip(0, 4)
        with pytest.raises(VideoError, match="100 frames of 64x48 pixels"):
            video.get_frames(indices=range(100))
        clip = video.get_clip(0, 3.3)["video"]
        assert clip is not None and clip.shape[1] == 99
        small = video.get_clip(0, 4, resize=lambda height, width: (height // 2, width // 2))
        assert small["video"] is not None and small["video"].shape == (3, 100, 24, 32)
        with pytest.raises(VideoError, match="100 frames of 128x96 pixels"):
            video.get_clip(0, 4, resize=lambda height, width: (2 * height, 2 * width))
        one_by_one = video.get_clip(0, 4, frame_transform=lambda frame: frame[..., ::2, ::2])
        assert one_by_one["video"] is not None and one_by_one["video"].shape == (3, 100, 24, 32)
        with pytest.raises(VideoError, match=f"100 frames of 64x48 pixels as {kind}"):
            video.get_clip(0, 4, frame_transform=torch.Tensor.clone)


def test_a_limit_is_positive(make_video: Callable[..., Path]) -> None:
    with pytest.raises(
        ValueError, match="Expected `memory_limit_bytes` to be > 0 bytes, but got 0"
    ):
        EncodedVideo.from_path(make_video("video.mp4"), memory_limit_bytes=0)


@pytest.mark.parametrize(("said", "limit"), [(None, 8 << 30), ("1000", 1000)])
def test_the_environment_sets_the_default(
    monkeypatch: pytest.MonkeyPatch, said: str | None, limit: int
) -> None:
    name = "PYTORCHVIDEO_MEMORY_LIMIT_BYTES"
    monkeypatch.delenv(name, raising=False)
    if said is not None:
        monkeypatch.setenv(name, said)
    assert _limits.default_memory_limit() == limit
    for wrong in ("0", "8 GB", "-1", ""):
        monkeypatch.setenv(name, wrong)
        with pytest.raises(ValueError, match=f"Expected `{name}` to be a number of bytes > 0"):
            _limits.default_memory_limit()


def test_each_call_has_the_limit_to_itself_and_what_is_tried_again_counts_once() -> None:
    budget = Budget("a.mp4", Limits(memory_bytes=100))
    for _ in range(2):
        with budget.call():
            budget.hold("frames", "frames", 60)
            budget.hold("frames", "frames", 70)
            with budget.call("inside"):
                budget.hold("sound", "sound", 30)
                with pytest.raises(LimitError, match=r"^a\.mp4: reading sound may take"):
                    budget.hold("sound", "sound", 31)


def sound(path: Path, channels: int, seconds: int, rate: int = 8000) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=rate)
        stream.layout = f"{channels} channels"
        for second in range(seconds):
            samples = np.full((1, rate * channels), second, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=f"{channels} channels")
            frame.sample_rate, frame.pts, frame.time_base = rate, second * rate, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_the_filter_that_resamples_sound_is_bounded(tmp_path: Path) -> None:
    """A header of 44 bytes asks for gigabytes of it: 1,025 phases, each as long as one rate is of the other."""
    path = tmp_path / "fast.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 1, 100_000_007, 0, "NONE", ""))
        file.writeframes(b"\x80" * 1000)
    options: dict[str, Any] = {"decode_video": False, "sample_rate": 16_000}
    limit = 100_000_000
    with (
        EncodedVideo.from_path(path, memory_limit_bytes=limit, **options) as video,
        pytest.raises(VideoError, match=r"fast.wav, clip .* sound of 100,000,007 samples a second"),
    ):
        video.get_clip(0, 1)
    with (
        EncodedVideo.from_path(path, decode_video=False, sample_rate=1) as video,
        pytest.raises(VideoError, match=r"fast.wav.* 1(00,000,007)? samples? a second"),
    ):
        video.get_clip(0, 1)


def test_sound_is_bounded(tmp_path: Path) -> None:
    """It is held in the pieces that are decoded, and as a whole."""
    path = sound(tmp_path / "sixteen.wav", channels=16, seconds=10)
    size = 2 * 4 * 16 * 10 * 8000
    options: dict[str, Any] = {"decode_video": False, "mono": False}
    with EncodedVideo.from_path(path, memory_limit_bytes=size, **options) as video:
        whole = video.get_clip(0, 10)["audio"]
        assert whole is not None and whole.shape == (16, 80000)
    said = r"sixteen\.wav, clip .*: reading 80,000 samples of 16 channels may take .* `memory_limit_bytes`"
    with EncodedVideo.from_path(path, memory_limit_bytes=size - 1, **options) as video:
        for end in (10, float("inf")):
            with pytest.raises(VideoError, match=said):
                video.get_clip(0, end)
        part = video.get_clip(2, 9)["audio"]
        assert part is not None and torch.equal(part, whole[:, 16000:72000])
    with (
        EncodedVideo.from_path(
            path, memory_limit_bytes=size, sample_rate=96000, **options
        ) as video,
        pytest.raises(VideoError, match=r"reading 9\d\d,\d+ samples of 16 channels may take"),
    ):
        video.get_clip(0, 10)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Each look at the clock takes a second; the item counts them."""
    looks = [0]

    def monotonic() -> float:
        looks[0] += 1
        return float(looks[0])

    monkeypatch.setattr(_limits, "time", SimpleNamespace(monotonic=monotonic))
    return looks


@pytest.fixture
def long(make_video: Callable[..., Path]) -> Path:
    """300 frames, 30 a second, of one group of pictures, and their sound."""
    options = {"g": "300", "sc_threshold": "0"}
    return make_video("long.mp4", num_frames=300, options=options, audio_rate=16000)


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
@pytest.mark.parametrize("what", ["clip", "frame", "sparse clip"])
def test_decoding_looks_at_the_clock(long: Path, clock: list[int], decoder: str, what: str) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec")
    calls: dict[str, Callable[[EncodedVideo], object]] = {
        "clip": lambda video: video.get_clip(0, 10),
        "frame": lambda video: video.get_frames(indices=[299]),
        "sparse clip": lambda video: video.get_clip(0, 10, lambda indices: indices[::100]),
    }
    options: dict[str, Any] = {"decoder": decoder, "decode_audio": False, "time_limit_sec": 1000}
    with EncodedVideo.from_path(long, **options) as video:
        assert len(video) == 300
        _ = video[0]  # torchcodec is compared with PyAV once
        before = clock[0]
        calls[what](video)
        looks = clock[0] - before
    assert looks > (2 if decoder == "torchcodec" else 300)
    with EncodedVideo.from_path(long, **options) as video:
        assert len(video) == 300
        _ = video[0]
        video._decoder.budget.limits = Limits(time_sec=looks - 1.5)
        with pytest.raises(VideoError, match=r"long\.mp4.* the time limit of a clip"):
            calls[what](video)


def test_sound_the_index_and_a_look_through_the_file_obey_the_time_limit(
    long: Path, make_video: Callable[..., Path], clock: list[int]
) -> None:
    with EncodedVideo.from_path(long, decode_video=False, time_limit_sec=20) as video:
        assert video.get_clip(0, 0.5)["audio"] is not None
        with pytest.raises(
            VideoError, match=r"long\.mp4, clip .* not read after 20 s, the time limit"
        ):
            video.get_clip(0, 10)
    with EncodedVideo.from_path(long, time_limit_sec=20) as video:
        with pytest.raises(VideoError, match=r"^long\.mp4: not read after 20 s.*`time_limit_sec`"):
            len(video)
        with pytest.raises(VideoError, match=r"^long\.mp4: not read after 20 s"):
            _ = video.frame_index
    stream = make_video("long.ts", num_frames=60)  # whose times may start again
    with pytest.raises(VideoError, match=r"^long\.ts: not read after 20 s"):
        EncodedVideo.from_path(stream, time_limit_sec=20)


def test_pictures_and_sound_of_a_clip_share_its_time(long: Path, clock: list[int]) -> None:
    with EncodedVideo.from_path(long) as video:
        before = clock[0]
        video.get_clip(0, 5)
        looks = clock[0] - before
    with EncodedVideo.from_path(long, time_limit_sec=looks - 2) as video:
        with pytest.raises(VideoError, match="the time limit of a clip"):
            video.get_clip(0, 5)
        assert video.get_clip(0, 2)["audio"] is not None


def test_an_index_of_more_packets_than_bytes_is_no_index(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    """Samples of one size need no table (ISO/IEC 14496-12, section 8.7.3), and FFmpeg looks through all of them."""
    content = bytearray(make_video("index.mp4", num_frames=10).read_bytes())
    count = 100_000
    sizes, times, chunks = (content.find(name) for name in (b"stsz", b"stts", b"stsc"))
    struct.pack_into(">II", content, sizes + 8, 1, count)  # bytes of each, and how many
    struct.pack_into(">I", content, times + 12, count)
    struct.pack_into(">I", content, chunks + 16, count)
    path = tmp_path / "index.mp4"
    path.write_bytes(content)
    with pytest.raises(
        VideoError, match=r"^index\.mp4 is damaged: its index has 100,000 packets, but"
    ):
        EncodedVideo.from_path(path)
    with pytest.raises(VideoError, match="its index has 100,000 packets"):
        EncodedVideo.from_bytes(bytes(content))


@pytest.mark.parametrize("options", [{"g": "1"}, {"g": "30", "bf": "2"}])
def test_no_frame_of_the_decoder_outlives_the_call(
    make_video: Callable[..., Path], options: dict[str, str]
) -> None:
    """Also before garbage is collected, which may be hundreds of frames later."""
    path = make_video("alive.mp4", num_frames=60, options=options)
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        gc.collect()
        gc.disable()
        try:
            assert video.get_clip(0, 2, lambda indices: indices[::7])["video"] is not None
            alive = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
        finally:
            gc.enable()
    assert alive <= 2  # what FFmpeg's scaler or the run may hold
