# SPDX-License-Identifier: Apache-2.0
"""Times of frames in files that do not tell them, against the order in which FFmpeg's decoder shows the frames."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from pytorchvideo.data._decode._pyav import PyAVDecoder
from pytorchvideo.data._decode._pyav.decoding_pass import DecodingPass
from pytorchvideo.data._decode._pyav.order import H264Order, Mpeg4Order, order_of
from pytorchvideo.data._decode._pyav.packets import UnknownOrderError

B_FRAMES = {"bf": "3", "g": "12", "keyint_min": "12", "sc_threshold": "0"}
OPEN_GOP = {"x264-params": "bframes=3:keyint=10:min-keyint=10:open-gop=1:scenecut=0"}
PYRAMID = {"bf": "7", "b-pyramid": "normal", "g": "40", "x264-params": "scenecut=0:cqm=jvt"}
VARIANTS: dict[str, dict[str, Any]] = {
    "closed.mp4": {"codec": "libx264", "options": B_FRAMES},
    "open.mp4": {"codec": "libx264", "options": OPEN_GOP},
    "pyramid.mp4": {"codec": "libx264", "options": PYRAMID},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"bf": "3", "g": "20"}},
}


def packets_of(container: Any) -> Iterator[Any]:
    """Packets of the first video stream with data in them."""
    return (p for p in container.demux(container.streams.video[0]) if p.size)


def shown_by_the_decoder(path: Path) -> list[int]:
    """The number of each packet in decoding order, in the order in which the frames come out."""
    shown = []
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        context.thread_count, context.copy_opaque = 1, True
        for number, packet in enumerate(packets_of(container)):
            packet.opaque = number
            shown += [frame.opaque for frame in context.decode(packet)]
        return shown + [frame.opaque for frame in context.decode(None)]


def told_by_the_pictures(path: Path) -> list[int]:
    """The same, without decoding."""
    with av.open(str(path)) as container:
        order = order_of(container.streams.video[0])
        assert order is not None
        keys = [order.key(bytes(packet)) for packet in packets_of(container)]
    return sorted(range(len(keys)), key=keys.__getitem__)


@pytest.mark.parametrize("name", sorted(VARIANTS))
def test_pictures_tell_the_order_of_the_decoder(make_video: Callable[..., Path], name: str) -> None:
    path = make_video(name, num_frames=60, **VARIANTS[name])
    assert told_by_the_pictures(path) == shown_by_the_decoder(path)


def test_pictures_of_real_clips_tell_the_order_of_the_decoder(shared_data: Path) -> None:
    paths = [shared_data / "clips" / name for name in ("opencv_box.mp4", "moviepy_chaplin.mp4")]
    paths += sorted((shared_data / "fight_surv" / "fight").glob("fi03*.mp4"))
    known = 0
    for path in paths:
        with av.open(str(path)) as container:
            if order_of(container.streams.video[0]) is None:
                continue
        shown = shown_by_the_decoder(path)
        there = set(shown)  # a last packet may be hidden by an edit list
        assert [n for n in told_by_the_pictures(path) if n in there] == shown
        known += 1
    assert known >= 5


def with_copied_times(source: Path, path: Path) -> Path:
    """The same packets in a file that gives them their decoding times as presentation times, as some writers do."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        for packet in packets_of(old):
            packet.dts += 10_000  # no edit list for a negative start
            packet.pts = packet.dts
            packet.stream = stream
            new.mux(packet)
    return path


def frames_in_display_order(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]


def eighth(indices: list[int]) -> list[int]:
    return indices[::8]


@pytest.mark.parametrize("name", ["closed.mp4", "open.mp4", "pyramid.mp4"])
@pytest.mark.parametrize("windows", [[(0, 12), (20, 40)], [(30, 55)], [(40, 60), (0, 9)]])
def test_copied_times_are_put_right(
    make_video: Callable[..., Path], tmp_path: Path, name: str, windows: list[tuple[int, int]]
) -> None:
    source = make_video(name, num_frames=60, **VARIANTS[name])
    path = with_copied_times(source, tmp_path / name)
    pictures = frames_in_display_order(source)
    decoder = PyAVDecoder(path, name, audio=False)
    assert decoder.index is not None and not decoder.index.is_trusted
    tick = Fraction(1, 30)
    for first, last in windows:
        for keep in (None, eighth):
            frames = decoder.frames(first * tick, last * tick, keep)
            assert frames is not None
            wanted = range(first, last, 1 if keep is None else 8)
            expected = np.stack([pictures[i] for i in wanted])
            assert np.array_equal(frames.data.permute(1, 2, 3, 0).numpy(), expected)


def test_a_late_clip_of_an_avi_file_is_reached_by_seeking(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("long.avi", num_frames=600, codec="mpeg4", options={"bf": "2", "g": "30"})
    fed = []
    original = DecodingPass._needed

    def counted(*args: Any) -> Iterator[tuple[int, Any]]:
        for position, packet in original(*args):
            fed.append(position)
            yield position, packet

    monkeypatch.setattr(DecodingPass, "_needed", counted)
    frames = PyAVDecoder(path, "long.avi", audio=False).frames(18, 18.5, eighth)
    assert frames is not None
    assert len(fed) < 80  # of 600
    pictures = frames_in_display_order(path)
    assert np.array_equal(frames.data[:, 1].permute(1, 2, 0).numpy(), pictures[548])


@pytest.mark.parametrize("broken_after", [0, 20, 70])
def test_frames_are_right_where_pictures_do_not_tell(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, broken_after: int
) -> None:
    path = make_video("mpeg4.avi", num_frames=60, **VARIANTS["mpeg4.avi"])
    pictures = frames_in_display_order(path)
    seen = []
    original = Mpeg4Order.key

    def key(self: Mpeg4Order, data: bytes) -> tuple[int, int]:
        seen.append(1)
        if len(seen) > broken_after:
            raise UnknownOrderError("it is broken")
        return original(self, data)

    monkeypatch.setattr(Mpeg4Order, "key", key)
    decoder = PyAVDecoder(path, "mpeg4.avi", audio=False)
    for first, last in [(0, 15), (20, 40), (45, 60), (5, 30)]:
        frames = decoder.frames(Fraction(first, 30), Fraction(last, 30), eighth)
        assert frames is not None
        expected = np.stack(pictures[first:last:8])
        assert np.array_equal(frames.data.permute(1, 2, 3, 0).numpy(), expected)


def test_frames_are_right_where_pictures_tell_the_wrong_order(
    make_video: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_video("mpeg4.avi", num_frames=60, **VARIANTS["mpeg4.avi"])
    right = PyAVDecoder(path, "mpeg4.avi", audio=False).frames(0, 1, eighth)
    monkeypatch.setattr(Mpeg4Order, "key", in_decoding_order)
    wrong = PyAVDecoder(path, "mpeg4.avi", audio=False).frames(0, 1, eighth)
    assert right is not None and wrong is not None
    assert torch.equal(right.data, wrong.data)


def in_decoding_order(order: Mpeg4Order, data: bytes) -> tuple[int, int]:
    order._anchors += 1
    return order._anchors, 0


@pytest.mark.parametrize("data", [b"", b"\1\x64\0\x1e", b"\0\0\1\x67\x64\0\x1e", b"\0\0\1\x41\x9a"])
def test_headers_cut_off_tell_nothing(data: bytes) -> None:
    with pytest.raises(UnknownOrderError, match="headers cut off"):
        H264Order(data)


@pytest.mark.parametrize("data", [b"", b"\0\0\1\xb6", b"\0\0\1\xb6\x10\0\0\1\xb6\x90"])
def test_a_packet_without_one_picture_tells_nothing(data: bytes) -> None:
    with pytest.raises(UnknownOrderError, match="without one picture"):
        Mpeg4Order().key(data)
