# SPDX-License-Identifier: Apache-2.0
"""A reader that was used before answers as a new one: random sequences of every reading call, both back ends.

``READING_SEQUENCES=500 pytest test_sequences.py`` tries more of them a file than every run of the tests.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pytorchvideo.data.encoded_video import EncodedVideo

EXAMPLES = int(os.environ.get("READING_SEQUENCES", "0"))
"""Sequences a file and way to open it; 0 for the few that every run of the tests makes."""
_STEPS = 48  # of time; a frame each, in the videos that are written here
_MOST_SEC = 8  # of a long video, most calls ask for its beginning


class Refused(Exception):
    """What a filter raises."""


def refuse(indices: list[int]) -> list[int]:
    raise Refused


FILTERS: dict[str, Callable[[list[int]], list[int]] | None] = {
    "all": None,
    "eighth": lambda indices: indices[::8],
    "last": lambda indices: indices[-1:],
    "ends": lambda indices: [indices[-1], indices[0], indices[-1]] if indices else [],
    "none": lambda indices: [],
    "outside": lambda indices: [len(indices)],
    "refuses": refuse,
}
LENGTHS = [Fraction(0), Fraction(1, 50), Fraction(1), Fraction(5), Fraction(9), Fraction(20)]
GAPS = [Fraction(0), Fraction(1, 50), Fraction(1, 2), Fraction(3)]


@dataclass(frozen=True)
class Call:
    """One question to a reader: its kind, and what it is asked with."""

    kind: str
    arguments: tuple[Any, ...] = ()

    def answer(self, video: EncodedVideo) -> tuple[Any, ...]:
        """What comes, in a form that can be compared; of an error its kind."""
        try:
            return getattr(self, f"_{self.kind}")(video, *self.arguments)
        except (RuntimeError, ValueError, IndexError, Refused) as error:
            return (type(error).__name__,)

    def _clip(self, video: EncodedVideo, start: Fraction, length: Fraction, name: str) -> Any:
        first, end = _seconds(video, start), _seconds(video, start + length)
        clip = video.get_clip(first, end, FILTERS[name])
        return _print(clip["video"]), _print(clip["audio"])

    def _small(self, video: EncodedVideo, start: Fraction) -> Any:
        first, end = _seconds(video, start), _seconds(video, start + 5)
        return (_print(video.get_clip(first, end, resize=lambda *_: (16, 24))["video"]),)

    def _indices(self, video: EncodedVideo, places: tuple[int, ...]) -> Any:
        found = video.get_frames(indices=[len(video) * i // _STEPS for i in places])
        return _print(found.data), found.pts_sec.tolist(), found.indices

    def _times(self, video: EncodedVideo, steps: tuple[int, ...]) -> Any:
        found = video.get_frames(timestamps_sec=[video.duration * s / _STEPS for s in steps])
        return _print(found.data), found.pts_sec.tolist(), found.indices

    def _item(self, video: EncodedVideo, index: int) -> Any:
        return (_print(video[index]),)

    def _length(self, video: EncodedVideo) -> Any:
        return len(video), video.duration

    def _index(self, video: EncodedVideo) -> Any:
        index = video.frame_index
        assert index is not None
        return index.pts.tolist(), index.is_keyframe.tolist(), index.start, index.duration


def _print(data: torch.Tensor | None) -> Any:
    """Shape and bytes; None for None."""
    if data is None:
        return None
    return tuple(data.shape), hash(np.ascontiguousarray(data.numpy()).tobytes())


def _seconds(video: EncodedVideo, steps: Fraction) -> float:
    return float(min(video.duration, Fraction(_MOST_SEC)) * steps / _STEPS)


_places = st.integers(-_STEPS - 1, _STEPS + 1)  # the outermost are outside of the video
_steps = st.integers(0, _STEPS).map(Fraction)
_lengths, _filters = st.sampled_from(LENGTHS), st.sampled_from([*FILTERS, "all", "all", "eighth"])
_clips = st.builds(lambda *arguments: Call("clip", arguments), _steps, _lengths, _filters)
# a clip after the one before, which the draft of a sequence does not know yet
_following = st.builds(
    lambda *arguments: Call("following", arguments), st.sampled_from(GAPS), _lengths, _filters
)
_others = st.one_of(
    st.builds(lambda start: Call("small", (start,)), _steps),
    st.builds(lambda places: Call("indices", (tuple(places),)), st.lists(_places, max_size=3)),
    st.builds(lambda steps: Call("times", (tuple(steps),)), st.lists(_steps, max_size=2)),
    st.builds(lambda index: Call("item", (index,)), st.sampled_from([-1, 0, 1, 10, -10, 10**6])),
    st.sampled_from([Call("length"), Call("index")]),
)


def _settled(draft: list[Call]) -> list[Call]:
    sequence, end = [], Fraction(0)
    for call in draft:
        if call.kind == "following":
            gap, *rest = call.arguments
            call = Call("clip", (end + gap, *rest))
        if call.kind == "clip":
            end = call.arguments[0] + call.arguments[1]
        sequence.append(call)
    return sequence


_KINDS = {"following": _following, "clip": _clips, "other": _others}
_draft = st.sampled_from(["following"] * 6 + ["clip"] + ["other"] * 2).flatmap(_KINDS.__getitem__)
sequences = st.lists(_draft, min_size=4, max_size=12).map(_settled)


class Fresh:
    """What a reader that was asked nothing before answers, for one file and one way to open it."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.options = {"dtype": torch.uint8, **options}
        self._known: dict[Call, tuple[Any, ...]] = {}

    def answer(self, call: Call) -> tuple[Any, ...]:
        if call not in self._known:
            with EncodedVideo.from_path(self.path, **self.options) as video:
                self._known[call] = call.answer(video)
        return self._known[call]

    def check(self, sequence: list[Call]) -> None:
        """Asks one reader all of them, one after the other."""
        with EncodedVideo.from_path(self.path, **self.options) as video:
            for place, call in enumerate(sequence):
                assert call.answer(video) == self.answer(call), (
                    f"{self.path.name} answers {call} in another way after {sequence[:place]}"
                )


def runs_of(fresh: Fresh, examples: int) -> None:
    """Tries so many sequences on one file."""

    @settings(
        max_examples=EXAMPLES or examples,
        deadline=None,
        database=None,
        derandomize=not EXAMPLES,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink] if EXAMPLES else [Phase.generate],
    )
    @given(sequences)
    def check(sequence: list[Call]) -> None:
        fresh.check(sequence)

    check()


def copied(source: Path, path: Path, shift_sec: float, every: Callable[[int], int]) -> Path:
    """The packets of a video in another container, later by a shift, each delayed by some ticks."""
    with av.open(str(source)) as container, av.open(str(path), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(p for p in container.demux(stream) if p.size):
            late = round(shift_sec / packet.time_base) + every(number)
            packet.pts, packet.dts = packet.pts + late, packet.dts + late
            packet.stream = copy
            out.mux(packet)
    return path


B_FRAMES = {"bf": "3", "g": "12", "keyint_min": "12", "sc_threshold": "0"}
OPEN_GOP = {"x264-params": "bframes=3:keyint=10:min-keyint=10:open-gop=1:scenecut=0"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=15:bframes=0:ref=1"}
WRITTEN: dict[str, dict[str, Any]] = {
    "sound.mp4": {"options": B_FRAMES, "audio_rate": 16000},
    "sound.mkv": {"options": OPEN_GOP, "audio_rate": 16000},
    "open_gop.mkv": {"options": OPEN_GOP},
    "b_frames.ts": {"options": B_FRAMES, "audio_rate": 16000},
    "refresh.mp4": {"options": REFRESH},
    "slow.mp4": {"options": B_FRAMES, "fps": 1, "num_frames": 14},
    "order.avi": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "mpeg2.mpg": {"codec": "mpeg2video", "options": {"bf": "2", "g": "9"}},
    "hevc.mp4": {"codec": "libx265", "options": {"x265-params": "log-level=none:keyint=15"}},
    "vp8.webm": {
        "codec": "libvpx",
        "options": {"g": "15", "auto-alt-ref": "1", "lag-in-frames": "8"},
    },
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "g": "20"}},
    "av1.mkv": {"codec": "libsvtav1", "options": {"preset": "10", "svtav1-params": "keyint=20"}},
}
# more frames than ticks, joined, cut, and without a container
ODD = ["cut.ts", "fast.mkv", "joined.ts", "raw.h264"]
BY_TORCHCODEC = {"hevc.mp4", "open_gop.mkv", "refresh.mp4", "sound.mp4", "vp9.webm"}
COPIED: dict[str, tuple[str, dict[str, str], float, Callable[[int], int]]] = {
    "edit_list.mp4": ("h264.mp4", B_FRAMES, -0.7, lambda number: 0),
    "late.mkv": ("h264.mp4", B_FRAMES, 3.5, lambda number: 0),
    "uneven.mp4": ("no_b.mp4", {"bf": "0", "g": "12"}, 0, lambda number: 2000 * (number // 7)),
}


def odd(make_video: Callable[..., Path], path: Path) -> Path:
    """One whose packets do not tell the times of all frames."""
    fps = 2000 if path.name == "fast.mkv" else 30
    ending = path.suffix
    source = make_video(f"sequences/odd{ending}", num_frames=48, fps=fps, options=B_FRAMES)
    data = source.read_bytes()
    if path.name == "joined.ts":
        data += data
    elif path.name == "cut.ts":  # after the tables
        data = data[: 3 * 188] + data[188 * (len(data) // 188 // 3) :]
    path.write_bytes(data)
    return path


@pytest.fixture(scope="module")
def file_of(
    make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """Name -> path of a video that these tests make."""
    folder = tmp_path_factory.mktemp("sequences")

    def file(name: str) -> Path:
        if name in ODD:
            return odd(make_video, folder / name)
        if name in WRITTEN:
            return make_video(f"sequences/{name}", **{"num_frames": 48, **WRITTEN[name]})
        base, options, shift, every = COPIED[name]
        source = make_video(f"sequences/{base}", num_frames=48, options=options)
        return copied(source, folder / name, shift, every)

    return file


WAYS: list[dict[str, Any]] = [
    {"decode_audio": False},
    {"decode_audio": True},
    {"perform_seek": False},
]


@pytest.mark.parametrize("name", sorted([*WRITTEN, *COPIED, *ODD]))
def test_a_used_reader_answers_as_a_new_one(file_of: Callable[[str], Path], name: str) -> None:
    for way in WAYS[: 3 if "sound" in name else 1]:
        runs_of(Fresh(file_of(name), **way), 25)


@pytest.mark.parametrize("name", sorted([*BY_TORCHCODEC, *ODD]))
def test_a_used_reader_answers_as_a_new_one_with_torchcodec(
    file_of: Callable[[str], Path], name: str
) -> None:
    pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    runs_of(Fresh(file_of(name), decoder="torchcodec"), 10)


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["pyav", "torchcodec"])
def test_a_used_reader_of_a_real_clip_answers_as_a_new_one(shared_data: Path, decoder: str) -> None:
    if decoder == "torchcodec":
        pytest.importorskip("torchcodec.decoders", exc_type=(ImportError, RuntimeError))
    paths = sorted((shared_data / "clips").iterdir())
    assert len(paths) >= 40
    for number, path in enumerate(paths):
        for audio in (False, True) if EXAMPLES else (number % 2 == 0,):
            runs_of(Fresh(path, decoder=decoder, decode_audio=audio), 3)
