# SPDX-License-Identifier: Apache-2.0
"""Overlapping clips that are read in one go are those that are read one by one."""

from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._reading import in_order as _in_order
from pytorchvideo.data._reading.in_order import clips_in_order
from pytorchvideo.data.encoded_video import EncodedVideo

MakeVideo = Callable[..., Path]
# B-frames and pictures that others refer to; groups of one; other orders of packets; a codec of another family
FORMATS: dict[str, dict[str, Any]] = {
    "b_frames.mp4": {"options": {"g": "12", "bf": "3"}},
    "one_key.mkv": {"options": {"g": "1000"}},
    "intra.mp4": {"options": {"g": "1"}},
    "order.avi": {"codec": "mpeg4", "options": {"g": "12", "bf": "2"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "g": "20"}},
}


def every_third(indices: list[int]) -> list[int]:
    return indices[::3]


def repeated(indices: list[int]) -> list[int]:
    """As many as asked for, of however few, and not in order."""
    return [indices[-1], *(indices[i * len(indices) // 6] for i in range(6))]


def overlapping(clip: float, every: float, count: int) -> list[tuple[float, float]]:
    return [(i * every, i * every + clip) for i in range(count)]


@pytest.mark.parametrize("frame_filter", [None, every_third, repeated])
@pytest.mark.parametrize("name", FORMATS)
def test_clips_are_those_of_get_clip(
    make_video: MakeVideo, name: str, frame_filter: Callable[[list[int]], list[int]] | None
) -> None:
    path = make_video(name, num_frames=90, fps=15, **FORMATS[name])
    windows = [*overlapping(1.3, 0.45, 11), (4.7, 6.0)]
    with EncodedVideo(path, dtype=torch.uint8) as video, EncodedVideo(path) as other:
        clips = list(clips_in_order(video, windows, frame_filter))
        assert len(clips) == len(windows)
        for window, clip in zip(windows, clips, strict=True):
            wanted = other.get_clip(*window, frame_filter=frame_filter)["video"]
            assert isinstance(clip, torch.Tensor)
            assert clip.dtype == torch.float32
            assert clip.is_contiguous()
            torch.testing.assert_close(clip, wanted, rtol=0, atol=0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(
    clip=st.floats(0.1, 3.0),
    every=st.floats(0.05, 3.5),
    first=st.integers(0, 8),
)
def test_any_windows(make_video: MakeVideo, clip: float, every: float, first: int) -> None:
    path = make_video("any.mp4", num_frames=45, fps=15, options={"g": "10", "bf": "2"})
    windows = [row for row in overlapping(clip, every, 9) if row[0] < 3]
    with EncodedVideo(path, dtype=torch.uint8) as video, EncodedVideo(path) as other:
        clips = list(clips_in_order(video, windows, every_third, first=first))
        for window, read in zip_longest(windows[first:], clips):
            wanted = other.get_clip(window[0], window[1], every_third)["video"]
            if wanted is None:
                assert isinstance(read, VideoError)
            else:
                torch.testing.assert_close(read, wanted, rtol=0, atol=0)


def test_each_frame_is_converted_once(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("once.mp4", num_frames=90, fps=15, options={"g": "30"})
    asked: list[int] = []
    get_frames = EncodedVideo.get_frames

    def counted(self: EncodedVideo, *, indices: list[int]) -> object:
        asked.extend(indices)
        return get_frames(self, indices=indices)

    monkeypatch.setattr(EncodedVideo, "get_frames", counted)
    with EncodedVideo(path, dtype=torch.uint8) as video:
        before = video[0]  # asked for once, to know how large a frame is
        asked.clear()
        clips = clips_in_order(video, overlapping(2.0, 0.5, 9), None)
        assert sum(isinstance(clip, torch.Tensor) for clip in clips) == 9
    assert before.shape == (3, 48, 64)
    assert asked[0] == 0
    assert asked[1:] == sorted(set(asked[1:])) == list(range(90))


def test_frames_that_would_take_much_memory_are_not_kept(
    make_video: MakeVideo, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("once.mp4", num_frames=90, fps=15, options={"g": "30"})
    windows = overlapping(2.0, 0.5, 9)
    monkeypatch.setattr(_in_order, "_MOST_BYTES", 10 * 48 * 64 * 3)
    with EncodedVideo(path, dtype=torch.uint8) as video:
        assert _in_order._Kept.of(video, windows, None) is None
        few = _in_order._Kept.of(video, windows, lambda indices: indices[:2])
        assert few is not None
        assert len(list(clips_in_order(video, windows, None))) == 9


@pytest.mark.parametrize(("second", "unread"), [(4, [7, 8, 9]), (0, [0, 1])])
def test_what_is_damaged_is_said_and_the_rest_is_read(
    make_video: MakeVideo, tmp_path: Path, second: int, unread: list[int]
) -> None:
    path = make_video(
        "whole.mp4", num_frames=150, fps=15, options={"x264-params": "keyint=15:scenecut=0"}
    )
    damaged = tmp_path / "damaged.mp4"
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size and second <= packet.pts * packet.time_base < second + 1:
                content[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    damaged.write_bytes(content)
    windows = overlapping(1.0, 0.5, 19)
    with EncodedVideo(damaged, dtype=torch.uint8) as video, EncodedVideo(path) as whole:
        clips = list(clips_in_order(video, windows, every_third))
        bad = [i for i, clip in enumerate(clips) if isinstance(clip, VideoError)]
        assert bad == unread
        start, end = windows[bad[0]]
        assert f"damaged.mp4, clip [{start:.3f}, {end:.3f}) s" in str(clips[bad[0]])
        for i in set(range(19)).difference(bad):
            wanted = whole.get_clip(*windows[i], frame_filter=every_third)["video"]
            torch.testing.assert_close(clips[i], wanted, rtol=0, atol=0)


def test_a_file_that_is_cut_off(make_video: MakeVideo, tmp_path: Path) -> None:
    options = {"movflags": "+faststart"}
    path = make_video("fast.mp4", num_frames=150, fps=15, container_options=options)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.6)])
    with EncodedVideo(cut, dtype=torch.uint8) as video:
        clips = list(clips_in_order(video, overlapping(1.0, 0.5, 19), every_third))
    kinds = [isinstance(clip, torch.Tensor) for clip in clips]
    assert kinds == sorted(kinds, reverse=True)  # first those that are there
    assert 5 < sum(kinds) < 15
    assert "cut off" in str(clips[-1])


def test_no_frames_there(make_video: MakeVideo) -> None:
    path = make_video("slow.mp4", num_frames=4, fps=1)
    with EncodedVideo(path, dtype=torch.uint8) as video:
        (clip,) = clips_in_order(video, [(2.2, 2.6)], None)
    assert isinstance(clip, VideoError)
    assert "slow.mp4" in str(clip)
