# SPDX-License-Identifier: Apache-2.0
"""Every clip sampler reaches the last frame of a video, whatever its container says of times and durations."""

import math
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data import (
    ClipSampler,
    ConstantClipsPerVideoSampler,
    LabeledVideoDataset,
    RandomClipSampler,
    RandomMultiClipSampler,
    UniformClipSampler,
    VideoPathHandler,
)
from pytorchvideo.data.encoded_video import EncodedVideo

SAMPLERS: dict[str, Callable[[Fraction], ClipSampler]] = {
    "uniform": lambda clip: UniformClipSampler(clip, backpad_last=True),
    "constant": lambda clip: ConstantClipsPerVideoSampler(clip, 3),
    "random": RandomClipSampler,
    "random multi": lambda clip: RandomMultiClipSampler(clip, 2),
}
FILES: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": {"bf": "2"}},
    "sound.mp4": {"audio_rate": 16000},
    "rounded.mkv": {},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "mpeg2.ts": {"codec": "mpeg2video"},
    "one_frame.mp4": {"num_frames": 1},
}


@pytest.fixture
def latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random clips are the last ones that can be drawn."""
    monkeypatch.setattr(random, "random", lambda: math.nextafter(1, 0))


def windows(sampler: ClipSampler, duration: Fraction) -> list[tuple[Fraction, Fraction]]:
    """All clips of a video."""
    found, end = [], None
    while True:
        window = sampler(end, duration, {})
        if isinstance(window.clip_start_sec, list):
            return list(zip(window.clip_start_sec, window.clip_end_sec, strict=True))
        found.append((window.clip_start_sec, window.clip_end_sec))
        if window.is_last_clip:
            return found
        end = window.clip_end_sec


@pytest.mark.usefixtures("latest")
@pytest.mark.parametrize("kind", sorted(SAMPLERS))
@pytest.mark.parametrize("name", sorted(FILES))
def test_the_last_frame_of_a_file(make_video: Callable[..., Path], name: str, kind: str) -> None:
    path = make_video(name, **{"num_frames": 47, **FILES[name]})
    dataset = LabeledVideoDataset(
        [(str(path), {"label": 0})], SAMPLERS[kind](Fraction(7, 10)), decode_audio=False
    )
    clip = list(dataset)[-1]["video"]
    found = (clip[-1] if isinstance(clip, list) else clip)[:, -1]
    with av.open(str(path)) as container:
        last = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]
    assert np.array_equal(found.permute(1, 2, 0).numpy(), last)


@pytest.mark.usefixtures("latest")
@pytest.mark.parametrize("kind", sorted(SAMPLERS))
def test_the_last_frame_of_a_folder(tmp_path: Path, kind: str) -> None:
    from PIL import Image

    for k in range(23):
        Image.new("L", (4, 4), 10 * k).save(tmp_path / f"{k}.png")
    video = VideoPathHandler(fps=10).video_from_path(tmp_path)
    start, end = windows(SAMPLERS[kind](Fraction(7, 10)), Fraction(video.duration))[-1]
    clip = video.get_clip(start, end)
    assert clip is not None and clip["frame_indices"][-1] == 22


@pytest.mark.usefixtures("latest")
def test_the_last_frame_of_real_clips(shared_data: Path) -> None:
    seen = 0
    for path in sorted((shared_data / "clips").iterdir()):
        for sound in (False, True):
            with EncodedVideo.from_path(path, decode_audio=sound) as video:
                assert video.frame_index is not None
                last, duration = video.frame_index.time(-1), video.frame_index.duration
                assert last < duration <= video.duration
                if video.duration > duration + 1 / Fraction(video.rate or 30):
                    continue  # sound goes on after the last picture, and so do clips
            for kind, make in SAMPLERS.items():
                clips = windows(make(Fraction(1)), duration)
                assert any(start <= last < end for start, end in clips), (path.name, kind)
        seen += 1
    assert seen >= 40


def test_a_file_that_was_cut_without_decoding(
    make_video: Callable[..., Path], tmp_path: Path
) -> None:
    """Its header counts the frames, and its last one stands beyond those that it refers to and that are gone."""
    options = {"bf": "2", "b_strategy": "0", "g": "60"}
    source = make_video("for_cuts.mp4", num_frames=60, options=options)
    path = tmp_path / "cut.mp4"
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        packets = [packet for packet in container.demux(stream) if packet.size]
        latest = [i for i, p in enumerate(packets) if p.pts == max(q.pts for q in packets[: i + 1])]
        for packet in packets[: latest[-4] + 1]:
            packet.stream = copy
            out.mux(packet)
    with EncodedVideo.from_path(path) as video:
        assert video.frame_index is not None
        assert len(video) == latest[-4] + 1
        assert video.frame_index.time(-1) < video.duration
        start, end = windows(UniformClipSampler(Fraction(1, 2), None, True), video.duration)[-1]
        clip = video.get_clip(start, end)["video"]
        assert clip is not None and torch.equal(clip[:, -1], video[-1])


@pytest.mark.parametrize("ending", ["ts", "mp4", "mkv"])
@pytest.mark.parametrize("start_sec", [0, 5, 3600])
def test_a_start_offset_is_not_part_of_the_duration(
    make_video: Callable[..., Path], tmp_path: Path, ending: str, start_sec: int
) -> None:
    source = make_video("for_offsets.mp4", num_frames=45, options={"bf": "2"})
    path = tmp_path / f"late.{ending}"
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for packet in container.demux(stream):
            if packet.size:
                shift = round(start_sec / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = copy
                out.mux(packet)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert abs(stream.start_time * stream.time_base - start_sec) < 2
    with EncodedVideo.from_path(path) as video:
        assert abs(video.duration - Fraction(3, 2)) < Fraction(1, 500)
        assert len(video) == 45
        clip = video.get_clip(Fraction(29, 20), 2)["video"]
        assert clip is not None and clip.shape[1] == 1
        assert torch.equal(clip[:, 0], video[-1])
