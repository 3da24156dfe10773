# SPDX-License-Identifier: Apache-2.0
"""A video that is encoded anew has the same frames at the same times, only smaller."""

import errno
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav import transcode as module
from pytorchvideo.data._decode._pyav.transcode import TrainingFormat, transcode
from pytorchvideo.data.encoded_video import EncodedVideo

MakeVideo = Callable[..., Path]


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(10 * torch.log10(255**2 / (a.float() - b.float()).square().mean()))


def scaled_to(height: int, width: int) -> Callable[[int, int], tuple[int, int]]:
    return lambda _height, _width: (height, width)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("reordered.mp4", {"options": {"bf": "3", "g": "50"}, "audio_rate": 16000}),
        ("untrusted.avi", {"codec": "mpeg4", "options": {"bf": "2"}}),
        ("late.ts", {"codec": "mpeg2video", "audio_rate": 44100}),
        ("vp9.webm", {"codec": "libvpx-vp9"}),
        ("odd rate.mkv", {"fps": 7, "audio_rate": 24000}),
        ("fast.mkv", {"fps": 2000}),
    ],
)
def test_frames_and_sound_stay_where_they_are(
    make_video: MakeVideo, tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    path = make_video(f"transcode/{name}", num_frames=40, height=96, width=128, **options)
    target = tmp_path / "new.mp4"
    transcode(path, target, TrainingFormat(short_side=64, gop=5, crf=10))
    assert [file.name for file in tmp_path.iterdir()] == ["new.mp4"]
    with (
        EncodedVideo.from_path(path, dtype=torch.uint8) as before,
        EncodedVideo.from_path(target, dtype=torch.uint8) as after,
    ):
        assert len(after) == len(before) == 40
        assert float(after.duration) == pytest.approx(float(before.duration), abs=2e-3)
        old = before.get_clip(0, 10, resize=scaled_to(64, 84))
        new = after.get_clip(0, 10)
        assert psnr(old["video"], new["video"]) > 30
        assert (old["audio"] is None) == (new["audio"] is None)
        if old["audio"] is not None:
            length = min(len(old["audio"]), len(new["audio"]))
            assert length > 0.9 * len(old["audio"])
            both = torch.stack([old["audio"][:length], new["audio"][:length]])
            assert torch.corrcoef(both)[0, 1] > 0.98


def test_the_file_is_as_promised(make_video: MakeVideo, tmp_path: Path) -> None:
    path = make_video("plain.mp4", num_frames=40, height=96, width=130, audio_rate=16000)
    target = tmp_path / "new.mp4"
    transcode(path, target, TrainingFormat(short_side=48, gop=5, audio=False))
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(target)) as container:
        (stream,) = container.streams
        assert (stream.width, stream.height, stream.codec_context.name) == (64, 48, "h264")
        packets = [packet for packet in container.demux(stream) if packet.size]
    assert [packet.pts for packet in packets] == sorted(packet.pts for packet in packets)
    assert all(packet.pts == packet.dts for packet in packets)
    keys = [i for i, packet in enumerate(packets) if packet.is_keyframe]
    assert keys[0] == 0
    assert max(b - a for a, b in zip(keys, [*keys[1:], 40], strict=True)) <= 5


def test_pictures_stay_upright_and_keep_their_colours(shared_data: Path, tmp_path: Path) -> None:
    for name in ("decord_video_270.mov", "torchcodec_bt601_full_range.mp4"):
        path, target = shared_data / "clips" / name, tmp_path / name
        transcode(path, target, TrainingFormat(crf=10))
        with EncodedVideo.from_path(path) as before, EncodedVideo.from_path(target) as after:
            new = after.get_clip(0, 0.05)["video"]
            old = before.get_clip(0, 0.05, resize=scaled_to(*new.shape[2:]))["video"]
            assert (old - new).mean(dim=(1, 2, 3)).abs().max() < 1
            assert psnr(old, new) > 33


def test_changing_sizes_become_one(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "changing.ts"), "w") as container:
        streams = []
        for size in ((64, 48), (96, 64)):
            context = av.CodecContext.create("mpeg2video", "w")
            context.width, context.height = size
            context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 25)
            context.framerate = Fraction(25)
            streams.append(context)
        out = container.add_stream("mpeg2video", rate=25)
        out.width, out.height, out.pix_fmt = 64, 48, "yuv420p"
        for i in range(20):
            context = streams[i // 10]
            frame = av.VideoFrame(context.width, context.height, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.pts, frame.time_base = i, Fraction(1, 25)
            for packet in context.encode(frame):
                packet.stream = out
                container.mux(packet)
    transcode(tmp_path / "changing.ts", tmp_path / "new.mp4", TrainingFormat())
    with EncodedVideo.from_path(tmp_path / "new.mp4") as video:
        assert video.get_clip(0, 1)["video"].shape[2:] == (48, 64)


def test_what_cannot_be_read_to_its_end_is_not_written(
    make_video: MakeVideo, tmp_path: Path
) -> None:
    first = {"container_options": {"movflags": "faststart"}}
    data = make_video("cut.mp4", num_frames=60, **first).read_bytes()
    for name, content, why in (
        ("cut.mp4", data[: len(data) * 3 // 4], "cut off|read to its end|damaged"),
        ("text.mp4", b"This is a text." * 99, "cannot be read to its end"),
        ("empty.mp4", b"", "is empty"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(VideoError, match=why):
            transcode(tmp_path / name, tmp_path / "new.mp4", TrainingFormat())
    assert {file.name for file in tmp_path.iterdir()} == {"cut.mp4", "text.mp4", "empty.mp4"}
    with pytest.raises(FileNotFoundError, match="There is no video file"):
        transcode(tmp_path / "none.mp4", tmp_path / "new.mp4", TrainingFormat())


def test_a_full_disk_is_not_the_fault_of_the_video(
    make_video: MakeVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise av.error.FFmpegError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "_write", full)
    with pytest.raises(OSError, match=r"No space left on device: .*new\.mp4"):
        transcode(make_video(), tmp_path / "new.mp4", TrainingFormat())


@given(st.integers(2, 4000), st.integers(2, 4000), st.none() | st.integers(2, 500))
def test_sizes_are_even_and_keep_their_shape(width: int, height: int, side: int | None) -> None:
    new = TrainingFormat(short_side=side).size(width, height)
    assert all(n % 2 == 0 and 2 <= n <= old for n, old in zip(new, (width, height), strict=True))
    if side is not None:
        assert min(new) <= side
    assert abs(new[0] * height - new[1] * width) <= 2 * max(width, height)


@pytest.mark.parametrize("wrong", [{"short_side": 1}, {"gop": 0}, {"crf": 52}])
def test_wrong_formats(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"Expected `{next(iter(wrong))}` to be"):
        TrainingFormat(**wrong)


def test_x264_does_without_avx512(make_video: MakeVideo, tmp_path: Path) -> None:
    """x264 says itself what it uses."""
    path = make_video("plain.mp4", num_frames=5)
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)
    try:
        with av.logging.Capture() as logs:
            transcode(path, tmp_path / "new.mp4", TrainingFormat(short_side=48))
    finally:
        av.logging.set_level(level)
    (said,) = [text for _, name, text in logs if "cpu capabilities" in text and name == "libx264"]
    assert "AVX512" not in said
    assert ("AVX2" in said) == (torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512"))
