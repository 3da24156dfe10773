# SPDX-License-Identifier: Apache-2.0
"""The eight ways to hold a camera, mirrored or not, and pixels that are not square."""

import importlib.util
import itertools
import shutil
import struct
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data._decode._pyav.transcode import TrainingFormat, transcode
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.live import LiveVideo

ONE = 1 << 16
# (a, b, c, d) of the matrix of ISO 14496-12, 6.2.2: (x, y) is shown at (a x + c y, b x + d y)
MATRICES = [
    *((x, 0, 0, y) for x, y in itertools.product((1, -1), repeat=2)),
    *((0, y, x, 0) for x, y in itertools.product((1, -1), repeat=2)),
]


@pytest.fixture
def plain(make_video: Callable[..., Path]) -> Path:
    return make_video("plain_for_orientation.mp4", num_frames=3)


def oriented(plain: Path, path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """A copy of an mp4 file with a matrix in its track header."""
    data = bytearray(plain.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 20 + 16  # name, version, times, layer and volume
    a, b, c, d = (ONE * value for value in matrix)
    data[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def shown(path: Path, matrix: tuple[int, int, int, int]) -> np.ndarray:
    """The first picture, each pixel put where the matrix says."""
    with av.open(str(path)) as container:
        stored = next(container.decode(video=0)).to_ndarray(format="rgb24")
    rows, columns = np.mgrid[: stored.shape[0], : stored.shape[1]]
    a, b, c, d = matrix
    x, y = a * columns + c * rows, b * columns + d * rows
    x, y = x - x.min(), y - y.min()
    picture = np.zeros((y.max() + 1, x.max() + 1, 3), np.uint8)
    picture[y, x] = stored
    return picture


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
def test_pictures_are_shown_as_the_matrix_says(
    plain: Path, tmp_path: Path, matrix: tuple[int, int, int, int], decoder: str
) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    path = oriented(plain, tmp_path / "oriented.mp4", matrix)
    wanted = shown(plain, matrix)
    with EncodedVideo.from_path(path, decoder=decoder, dtype=torch.uint8) as video:
        clip = video.get_clip(0, 1)["video"]
        assert clip is not None and clip.is_contiguous()
        assert np.array_equal(clip[:, 0].permute(1, 2, 0).numpy(), wanted)
        height, width = wanted.shape[:2]
        small = video.get_clip(0, 1, resize=lambda h, w: (h // 2, w // 4))["video"]
        assert small is not None and small.shape[2:] == (height // 2, width // 4)
        mean = torch.nn.functional.avg_pool2d(clip.float(), (2, 4))
        assert (small.float() - mean).abs().mean() < 8


@pytest.mark.parametrize("matrix", MATRICES)
def test_live_pictures_and_new_files_are_shown_alike(
    plain: Path, tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    path = oriented(plain, tmp_path / "oriented.mp4", matrix)
    wanted = shown(plain, matrix)
    with LiveVideo(path) as live:
        first = live.take()[0].data
    assert np.array_equal(first.permute(1, 2, 0).numpy(), wanted)
    transcode(path, tmp_path / "new.mp4", TrainingFormat(crf=1))
    with EncodedVideo.from_path(tmp_path / "new.mp4") as video:
        new = video[0].permute(1, 2, 0).numpy()
    assert new.shape == wanted.shape and np.abs(new - wanted).mean() < 6


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not there")
@pytest.mark.parametrize("matrix", MATRICES)
def test_ffmpeg_shows_them_alike(
    plain: Path, tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    path = oriented(plain, tmp_path / "oriented.mp4", matrix)
    with EncodedVideo.from_path(path, dtype=torch.uint8) as video:
        mine = video[0].permute(1, 2, 0)
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo"]
    done = subprocess.run(
        [*command, "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    theirs = np.frombuffer(done.stdout, np.uint8).reshape(mine.shape)
    assert np.abs(mine.numpy().astype(int) - theirs).mean() < 1


def anamorphic(path: Path, aspect: Fraction, *, rotation: int = 0) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 72, 48, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        picture = np.zeros((48, 72, 3), np.uint8)
        picture[:, ::2] = 200
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
@pytest.mark.parametrize(
    ("aspect", "rotation", "told", "size"),
    [
        (Fraction(16, 15), 0, Fraction(16, 15), (48, 77)),
        (Fraction(8, 9), 0, Fraction(8, 9), (48, 64)),
        (Fraction(4, 3), 90, Fraction(3, 4), (72, 36)),
        (Fraction(4, 3), 180, Fraction(4, 3), (48, 96)),
        (Fraction(1), 0, Fraction(1), (48, 72)),
    ],
)
def test_pixels_are_made_square_where_asked(
    tmp_path: Path,
    decoder: str,
    aspect: Fraction,
    rotation: int,
    told: Fraction,
    size: tuple[int, int],
) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    path = anamorphic(tmp_path / "wide.mp4", aspect, rotation=rotation)
    with EncodedVideo.from_path(path, decoder=decoder) as video:
        assert video.pixel_aspect_ratio == told
        assert video[0].shape == ((3, 72, 48) if rotation == 90 else (3, 48, 72))
    with EncodedVideo.from_path(path, decoder=decoder, square_pixels=True) as video:
        clip = video.get_clip(0, 1)["video"]
        assert clip is not None and clip.shape[2:] == size
        assert torch.equal(video[0], clip[:, 0])
        resized = video.get_clip(0, 1, resize=lambda h, w: (h // 2, w // 2))["video"]
        assert resized is not None and resized.shape[2:] == (size[0] // 2, size[1] // 2)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not there")
@pytest.mark.parametrize("aspect", [Fraction(16, 15), Fraction(40, 33)])
def test_ffprobe_tells_the_same_pixels(tmp_path: Path, aspect: Fraction) -> None:
    path = anamorphic(tmp_path / "wide.mp4", aspect)
    entry = ["-show_entries", "stream=sample_aspect_ratio", "-of", "csv=p=0", str(path)]
    done = subprocess.run(
        ["ffprobe", "-v", "error", *entry], capture_output=True, text=True, check=True
    )
    with EncodedVideo.from_path(path) as video:
        assert (
            done.stdout.strip()
            == f"{video.pixel_aspect_ratio.numerator}:{video.pixel_aspect_ratio.denominator}"
        )


# flags of a cancel, a horizontal and a vertical flip; 360 / 2**16 degrees counter-clockwise; for the whole sequence
@pytest.mark.parametrize(("flags", "turn"), [("010", 0), ("000", 1 << 14), ("001", 1 << 14)])
def test_frames_whose_own_headers_turn_them(
    tmp_path: Path, make_video: Callable[..., Path], flags: str, turn: int
) -> None:
    """H.264 can say it inside, of all frames up to the next IDR picture (ITU-T H.264, D.1.27)."""
    plain = make_video("plain_inside.mp4", num_frames=20, fps=10, options={"g": "8", "bf": "2"})
    path = tmp_path / "inside.mp4"
    said = int(f"{flags}{turn:016b}01001", 2).to_bytes(3, "big")
    message = bytes([6, 47, len(said)]) + said + b"\x80"
    with av.open(str(plain)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            data = bytes(packet)
            if packet.is_keyframe:
                data = len(message).to_bytes(4, "big") + message + data
            new = av.Packet(data)
            new.stream, new.time_base, new.is_keyframe = copy, packet.time_base, packet.is_keyframe
            new.pts, new.dts, new.duration = packet.pts, packet.dts, packet.duration
            if packet.size:
                out.mux(new)
    with EncodedVideo.from_path(plain, dtype=torch.uint8) as video:
        stored = video.get_clip(0, 10)["video"]
    assert stored is not None
    flipped = stored.flip([3] if flags[1] == "1" else [2] if flags[2] == "1" else [])
    wanted = torch.rot90(flipped, turn >> 14, (2, 3))  # first flipped, then turned (D.2.27)
    with LiveVideo(path) as live:
        frames = list(iter(live.take, []))
    pictures = torch.stack([frame.data for taken in frames for frame in taken], dim=1)
    assert torch.equal(pictures, wanted)
    decoders = ["pyav"] + ["torchcodec"] * (importlib.util.find_spec("torchcodec") is not None)
    for decoder in decoders:
        with EncodedVideo.from_path(path, dtype=torch.uint8, decoder=decoder) as video:
            assert torch.equal(video.get_clip(0, 10)["video"], wanted)
            assert torch.equal(video[13], wanted[:, 13])
            assert torch.equal(video.get_clip(0.5, 0.9)["video"], wanted[:, 5:9])
