# SPDX-License-Identifier: Apache-2.0
"""Files of other people's making: palettes, times before zero, one frame, decoding times that a seek makes up."""

import shutil
import subprocess
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data.encoded_video import EncodedVideo

COUNT = 40


def write(
    path: Path, codec: str, count: int = COUNT, pix_fmt: str = "yuv420p", **more: Any
) -> Path:
    """Frames that get brighter by five each, 25 a second; ``first`` is the time of the first in seconds."""
    first, options = more.pop("first", 0), more.pop("options", {})
    with av.open(str(path), "w", **more) as container:
        stream = container.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        if codec == "mpeg4":
            stream.options = {**options, "qmin": "1", "qmax": "1"}
        for number in range(count):
            picture = np.full((48, 64), 20 + 5 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="gray")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                container.mux(_later(packet, first))
        for packet in stream.encode(None):
            container.mux(_later(packet, first))
    return path


def _later(packet: Any, first: int) -> Any:
    ticks = round(first / packet.time_base)
    packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
    return packet


def levels(frames: torch.Tensor | None) -> list[float]:
    """The brightness of each frame, which is another one for each."""
    assert frames is not None
    return frames.double().mean(dim=(0, 2, 3)).tolist()


def check(path: Path, count: int = COUNT) -> None:
    """All frames, clips in any order, and each by its number, are those of a plain decode."""
    with av.open(str(path)) as container:
        plain = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert len(plain) == count
    assert all(b - a > 2 for a, b in pairwise(plain))
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        assert levels(video.get_clip(0, 99)["video"]) == pytest.approx(plain)
        assert len(video) == count
        assert float(video.duration) == pytest.approx(count / 25, abs=0.002)
        for start in (count // 2, 0, count - 1):
            clip = video.get_clip(start / 25, (start + 3) / 25)["video"]
            assert levels(clip) == pytest.approx(plain[start : start + 3])
        assert levels(video.get_frames(indices=range(count)).data) == pytest.approx(plain)
    for index in (0, count // 2, count - 1):
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            assert levels(video.get_frames(indices=[index]).data) == pytest.approx([plain[index]])


def test_a_palette_that_comes_once(tmp_path: Path) -> None:
    """FFmpeg decodes QuickTime's grey with a palette, which comes with the first packet after opening."""
    check(write(tmp_path / "palette.mov", "qtrle", pix_fmt="gray"))


@pytest.mark.parametrize("first", [-1, -3, 95_441])  # the last wraps at 33 bits
@pytest.mark.parametrize("options", [{}, {"bf": "2", "g": "10"}])
def test_transport_streams_that_begin_before_zero(
    tmp_path: Path, first: int, options: dict[str, str]
) -> None:
    more = {"avoid_negative_ts": "disabled", "muxdelay": "0", "muxpreload": "0"}
    path = tmp_path / "early.ts"
    write(path, "libx264", first=first, options=options, container_options=more)
    with av.open(str(path)) as container:
        start = container.streams.video[0].start_time
        assert start is not None and start < 0
    check(path)


@pytest.mark.parametrize("name", ["one.flv", "one.mp4", "one.mkv", "one.ts", "one.avi"])
def test_one_frame(tmp_path: Path, name: str) -> None:
    with EncodedVideo.from_path(write(tmp_path / name, "libx264", 1), decode_audio=False) as video:
        assert levels(video.get_clip(0, 99)["video"]) == pytest.approx([20], abs=2)
        assert len(video) == 1


@pytest.mark.parametrize("name", ["b.mkv", "b.mp4", "b.avi", "b.ts"])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_frames_from_the_end(tmp_path: Path, name: str, codec: str) -> None:
    """After a seek in Matroska the decoding time of the key frame is its own time, though others are shown before."""
    check(write(tmp_path / name, codec, options={"bf": "2", "g": "12"}))


def test_avi_whose_first_frame_is_late(tmp_path: Path) -> None:
    path = tmp_path / "late.avi"
    write(path, "libx264", options={"bf": "0"}, first=Fraction(1, 25))
    check(path)


def test_indices_that_are_no_numbers(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", "libx264", 3)
    with EncodedVideo.from_path(path, decode_audio=False) as video:
        for wrong in (
            np.array([True, False]),
            [True],
            "12",
            slice(0, 2),
            [[0, 1]],
            np.zeros((2, 2)),
        ):
            with pytest.raises(ValueError, match=r"a\.mp4: Expected `indices` to be whole numbers"):
                video.get_frames(indices=wrong)  # type: ignore[arg-type]
        for end in (Decimal("Infinity"), torch.tensor(9.0, dtype=torch.bfloat16), Decimal(9)):
            assert len(levels(video.get_clip(0, end)["video"])) == 3
        with pytest.raises(ValueError, match="`end_sec` to be seconds"):
            video.get_clip(0, Decimal("NaN"))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg, as PyAV writes no TrueHD")
def test_true_hd_after_a_seek(tmp_path: Path) -> None:
    """Its frames of 40 samples are shorter than Matroska's milliseconds, and come only after a major sync."""
    path, rate = tmp_path / "sound.mkv", 48_000
    tones = "aevalsrc=0.5*sin(400*PI*t)|0.5*sin(520*PI*t):s=48000:d=1.3"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x64:r=25:d=1.5"]
    command += ["-f", "lavfi", "-i", tones, "-c:v", "mpeg4", "-c:a", "truehd", "-strict", "-2"]
    subprocess.run([*command, str(path)], check=True)
    raw = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "f32le", "-"]
    plain = subprocess.run(raw, check=True, capture_output=True).stdout
    truth = torch.frombuffer(bytearray(plain), dtype=torch.float32).reshape(-1, 2).T
    with EncodedVideo.from_path(path, decode_video=False, mono=False) as video:
        for start, end in ((0.782, 1.176), (0.1, 0.3), (1.0, 1.2)):
            sound = video.get_clip(start, end)["audio"]
            wanted = truth[:, round(start * rate) : round(end * rate)]
            assert sound is not None
            torch.testing.assert_close(sound, wanted, atol=1e-5, rtol=0)
