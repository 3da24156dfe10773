# SPDX-License-Identifier: Apache-2.0
"""Both back ends agree with a plain decode in display order, on odd containers and on the real clips."""

import itertools
import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data.encoded_video import EncodedVideo

B_FRAMES = {"bf": "3", "g": "12", "keyint_min": "12", "sc_threshold": "0"}


def get_torchcodec() -> None:
    pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))


def copied(source: Path, path: Path, *, shift_sec: float = 0, times: Any = None) -> Path:
    """The packets of a video in another container, later by a shift; ``times`` maps packet number and pts to a pts."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(container.demux(stream)):
            if not packet.size:
                continue
            shift = round(shift_sec / packet.time_base)
            if times is not None:
                packet.pts = times(number, packet.pts)
                packet.dts = min(packet.dts, packet.pts)
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = copy
            out.mux(packet)
    return path


def ten_bits(source: Path, path: Path) -> Path:
    """The frames of a video in H.264 with ten bits a sample."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30, options={"g": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        for frame in container.decode(video=0):
            out.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def odd(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Name -> a video of 48 frames whose container, codec or size is out of the ordinary."""
    folder = tmp_path_factory.mktemp("odd")
    plain = make_video("base.mp4", num_frames=48, options=B_FRAMES)
    no_b = make_video("no_b.mp4", num_frames=48, options={"bf": "0", "g": "12"})

    def uneven(number: int, pts: int) -> int:
        return (
            pts + (number * number % 5) * 60
        )  # every frame keeps its place, and none its distance

    makers: dict[str, Callable[[], Path]] = {
        "b_frames.mp4": lambda: plain,
        "edit_list.mp4": lambda: copied(plain, folder / "edit_list.mp4", shift_sec=-0.7),
        "late.mp4": lambda: copied(plain, folder / "late.mp4", shift_sec=3.5),
        "late.mkv": lambda: copied(plain, folder / "late.mkv", shift_sec=3.5),
        "late.ts": lambda: copied(plain, folder / "late.ts", shift_sec=3.5),
        "variable_rate.mp4": lambda: copied(no_b, folder / "variable_rate.mp4", times=uneven),
        "odd_size.webm": lambda: make_video(
            "odd_size.webm", num_frames=48, height=49, width=63, codec="libvpx-vp9"
        ),
        "odd_width.webm": lambda: make_video(
            "odd_width.webm", num_frames=48, width=63, codec="libvpx-vp9"
        ),
        "ten_bits.mp4": lambda: ten_bits(plain, folder / "ten_bits.mp4"),
        "b_frames.avi": lambda: make_video(
            "b_frames.avi", num_frames=48, codec="mpeg4", options={"bf": "2", "g": "12"}
        ),
        "mpeg2.mpg": lambda: make_video(
            "mpeg2.mpg", num_frames=48, codec="mpeg2video", options={"bf": "2"}
        ),
        "vp9.webm": lambda: make_video("vp9.webm", num_frames=48, codec="libvpx-vp9"),
        "hevc.mkv": lambda: make_video(
            "hevc.mkv", num_frames=48, codec="libx265", options={"x265-params": "log-level=none"}
        ),
        "no_duration.mkv": lambda: make_video(
            "no_duration.mkv", num_frames=48, container_options={"live": "1"}
        ),
        "fragments.mp4": lambda: make_video(
            "fragments.mp4",
            num_frames=48,
            audio_rate=16000,
            container_options={"movflags": "frag_keyframe+empty_moov"},
        ),
    }
    return makers


ODD = [
    "b_frames.avi",
    "b_frames.mp4",
    "edit_list.mp4",
    "fragments.mp4",
    "hevc.mkv",
    "late.mkv",
    "late.mp4",
    "late.ts",
    "mpeg2.mpg",
    "no_duration.mkv",
    "odd_size.webm",
    "odd_width.webm",
    "ten_bits.mp4",
    "variable_rate.mp4",
    "vp9.webm",
]
READ_BY_TORCHCODEC = {
    "b_frames.mp4",
    "edit_list.mp4",
    "fragments.mp4",
    "hevc.mkv",
    "late.mkv",
    "late.mp4",
    "variable_rate.mp4",
    "vp9.webm",
}


def plain_decode(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    """Upright frames in the order in which FFmpeg shows them, with their own times in ticks."""
    with av.open(str(path)) as container:
        stream = next(s for s in container.streams.video if not s.disposition & 1024)
        for frame in container.decode(stream):
            picture = frame.to_ndarray(format="rgb24")
            yield np.rot90(picture, round(frame.rotation / 90) % 4), frame.pts


def check_agreement(
    path: Path, decoder: str, shown: list[tuple[np.ndarray, int]], whole: bool
) -> None:
    """Compares clips, sparse clips and single frames with a plain decode, the whole or the beginning of one."""
    pictures = np.stack([picture for picture, _ in shown])
    with EncodedVideo.from_path(
        path, decoder=decoder, decode_audio=False, dtype=torch.uint8
    ) as video:
        index = video.frame_index
        assert index is not None
        # the times of the last ones of a beginning may stand before some that were not read
        count = len(shown) if whole else len(shown) * 2 // 3
        ticks = sorted(pts for _, pts in shown)[:count]
        assert index.pts.tolist()[:count] == ticks
        times = [(t - ticks[0]) * index.time_base for t in ticks]
        assert [index.time(i) for i in range(count)] == times
        middle, end = count // 3, times[-1] + Fraction(1, 10**9)
        for first, step in ((middle, 1), (0, max(1, count // 5)), (middle, 3)):
            clip = video.get_clip(times[first], end, lambda i, s=step: i[::s])["video"]
            assert clip is not None
            wanted = pictures[first:count:step]
            assert np.array_equal(clip.permute(1, 2, 3, 0).numpy(), wanted), (first, step)
        places = [count - 1, 0, middle, middle]
        single = video.get_frames(indices=places)
        assert np.array_equal(single.data.permute(1, 2, 3, 0).numpy(), pictures[places])
        assert single.pts_sec.tolist() == [float(times[i]) for i in places]
        if whole:
            assert len(video) == len(shown)


@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
@pytest.mark.parametrize("name", ODD)
def test_odd_containers_equal_a_plain_decode(
    odd: Any, name: str, decoder: str, caplog: pytest.LogCaptureFixture
) -> None:
    if decoder == "torchcodec":
        get_torchcodec()
    path = odd[name]()
    with caplog.at_level(logging.INFO, "pytorchvideo"):
        check_agreement(path, decoder, list(plain_decode(path)), whole=True)
    if decoder == "torchcodec":
        assert ("is read by PyAV" in caplog.text) == (name not in READ_BY_TORCHCODEC)
        assert caplog.text.count("is read by PyAV") <= 1


@pytest.mark.slow
def test_real_clips_equal_a_plain_decode(shared_data: Path) -> None:
    """Codecs, containers and rates as they come; every frame of files whose times must be put right."""
    get_torchcodec()
    seen = 0
    for path in sorted((shared_data / "clips").iterdir()):
        if path.name == "decord_corrupted.mp4":
            continue
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            assert video.frame_index is not None
            whole, trusted = len(video) <= 30, video.frame_index.is_trusted
        shown = list(itertools.islice(plain_decode(path), 30 if trusted else None))
        check_agreement(path, "pyav", shown, whole or not trusted)
        if trusted:
            check_agreement(path, "torchcodec", shown, whole)
        else:  # torchcodec hands them over
            check_agreement(path, "torchcodec", shown[:30], False)
        seen += 1
    assert seen >= 40
