# SPDX-License-Identifier: Apache-2.0
"""The frames around a time of a video, by the grids of action detection, and the videos that they are of."""

import difflib
import math
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import torch

from pytorchvideo._checks import check_choice, expected, near_names
from pytorchvideo._text import counted
from pytorchvideo.data._annotations.frame_lists import FrameList
from pytorchvideo.data._annotations.video_files import videos_below
from pytorchvideo.data._decode import FrameTransform, VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo

#: PySlowFast's: every ``sampling_rate``-th frame, the annotated one the first of the second half. That of
#: ``pytorchvideo.data.Ava`` with ``UniformTemporalSubsample``: from the first to the last frame of the same window.
Grid: TypeAlias = Literal["pyslowfast", "pytorchvideo"]
GRIDS = ("pyslowfast", "pytorchvideo")

_MOST_OPEN = 4
"""Videos that a worker keeps open; the frame index of a film takes longer to read than a clip of it."""


def grid_offsets(num_frames: int, sampling_rate: int, grid: Grid = "pyslowfast") -> list[int]:
    """Returns the frames of a clip as offsets from the annotated one.

    >>> grid_offsets(4, 16), grid_offsets(4, 16, "pytorchvideo")
    ([-32, -16, 0, 16], [-32, -11, 10, 31])
    """
    check_choice("grid", grid, GRIDS)
    if min(num_frames, sampling_rate) < 1:
        raise ValueError(expected("num_frames, sampling_rate", ">= 1", (num_frames, sampling_rate)))
    span = num_frames * sampling_rate
    if grid == "pyslowfast":
        places = [number * sampling_rate for number in range(num_frames)]
    else:
        places = torch.linspace(0, span - 1, num_frames).long().tolist()
    return [place - span // 2 for place in places]


class Facts(NamedTuple):
    """What is known of a video: the size of its upright picture, its length in seconds, and its frames a second."""

    height: int
    width: int
    duration_sec: float
    rate: float


class VideoFiles:
    """Videos by the names that annotations give them.

    Args:
        videos: a folder, in which a name is that of a file at any depth, with or without its ending; or a dict of names
            -> paths. Names that are paths themselves are taken as such.
        start_sec: the time of the annotation at which the files begin.
        options: of :class:`~pytorchvideo.data.EncodedVideo`.
    """

    def __init__(
        self,
        videos: str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]],
        start_sec: float = 0.0,
        **options: Any,
    ) -> None:
        self.start_sec = start_sec
        self._given = videos
        self._options: dict[str, Any] = {"decode_audio": False, "dtype": torch.uint8, **options}
        self._by_name: dict[str, list[str]] | None = None
        self._facts: dict[str, Facts] = {}

    def path_of(self, name: str) -> str:
        """Returns the path of a video.

        Raises:
            FileNotFoundError: there is no video of this name, or more than one.
        """
        if isinstance(self._given, Mapping):
            if name not in self._given:
                hint = near_names(name, self._given)
                raise FileNotFoundError(f"`videos` has no {name!r}. {hint}")
            return os.fspath(self._given[name])
        folder = Path(self._given)
        if (folder / name).is_file():
            return str(folder / name)
        if self._by_name is None:
            self._by_name = _names_below(folder)
        # another ending is that of a copy in another format
        found = self._by_name.get(name) or self._by_name.get(os.path.splitext(name)[0], [])
        if not found:
            raise FileNotFoundError(
                f"{folder} has no video {name!r}. {_others(name, self._by_name)}"
            )
        if len(found) > 1:
            said = (
                f"has {counted(len(found), 'video')} that may be {name!r}: {', '.join(found[:3])}"
            )
            raise FileNotFoundError(f"{folder} {said}. Name the folder of it, too.")
        return found[0]

    def has(self, name: str) -> bool:
        """Whether there is a video of this name."""
        try:
            self.path_of(name)
        except FileNotFoundError:
            return False
        return True

    def rate(self, name: str) -> float:
        """Returns the frames a second of a video.

        Raises:
            FileNotFoundError: there is no such video.
            VideoError: it cannot be read.
        """
        return self.facts(name).rate

    def open(self, name: str) -> EncodedVideo:
        """Opens a video."""
        return EncodedVideo.from_path(self.path_of(name), **self._options)

    def facts(self, name: str) -> Facts:
        """Returns the size and the length of a video, which is opened once.

        Raises:
            FileNotFoundError: there is no such video.
            VideoError: it cannot be read.
        """
        if name not in self._facts:
            with self.open(name) as video:
                first = video.get_clip(0, Fraction(1, 1000))
                frame = None if first is None else first["video"]
                if frame is None:
                    raise VideoError(f"{video.name} has no frames.")
                duration = video.video_duration or video.duration
                height, width = frame.shape[-2:]
                self._facts[name] = Facts(height, width, float(duration), float(video.rate or 0))
        return self._facts[name]


def _names_below(folder: Path) -> dict[str, list[str]]:
    """The names that a video may be called by, below the folder or alone, with and without its ending -> paths."""
    found: dict[str, list[str]] = {}
    for path in videos_below(folder):
        below = Path(path).relative_to(folder)
        for name in {str(below), str(below.with_suffix("")), below.name, below.stem}:
            found.setdefault(name, []).append(path)
    return found


def _others(name: str, by_name: Mapping[str, list[str]]) -> str:
    """The sentence for a video that a folder does not have: those with names like it, or how many there are."""
    names = sorted({Path(path).name for paths in by_name.values() for path in paths})
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {', '.join(close)}?"
    return f"It has {counted(len(names), 'video')}" + (f", such as {names[0]}." if names else ".")


class FrameFiles:
    """Videos as lists of the files of their frames, such as those that AVA's are prepared as.

    Args:
        videos: name -> frames.
        fps: frames a second.
        start_sec: the time of the annotation at which the frames begin.
    """

    def __init__(self, videos: Mapping[str, FrameList], fps: float, start_sec: float) -> None:
        self.start_sec = start_sec
        self._videos, self._fps = videos, fps
        self._facts: dict[str, Facts] = {}

    def path_of(self, name: str) -> str:
        """Returns the folder of a video's frames.

        Raises:
            FileNotFoundError: there is no video of this name.
        """
        if name not in self._videos:
            hint = near_names(name, self._videos)
            raise FileNotFoundError(f"The list of frames has no video {name!r}. {hint}")
        return os.path.dirname(self._videos[name].paths[0])

    def count(self, name: str) -> int:
        """Returns the number of frames of a video."""
        return len(self._videos[name].paths)

    def open(self, name: str) -> FrameVideo:
        """Opens a video."""
        self.path_of(name)
        return FrameVideo.from_frame_paths(self._videos[name].paths, self._fps, dtype=torch.uint8)

    def facts(self, name: str) -> Facts:
        """Returns the size and the length of a video, whose first frame is opened once.

        Raises:
            FileNotFoundError: there is no such video, or frame.
            VideoError: it cannot be read.
        """
        if name not in self._facts:
            video = self.open(name)
            height, width = video[0].shape[-2:]
            self._facts[name] = Facts(height, width, video.duration, self._fps)
        return self._facts[name]


Source: TypeAlias = VideoFiles | FrameFiles


def nearest_frames(video: EncodedVideo | FrameVideo, times: Sequence[Fraction]) -> list[int]:
    """Returns the frames that begin nearest to some times, the first or the last for times outside of the video.

    Raises:
        VideoError: it has no frames.
    """
    if isinstance(video, FrameVideo):
        places = [math.floor(time * video.rate + Fraction(1, 2)) for time in times]
        return [min(max(place, 0), len(video) - 1) for place in places]
    index = video.frame_index
    if index is None or not len(index):
        raise VideoError(f"{video.name} has no frames.")
    ticks = [float(time / index.time_base) + index.start for time in times]
    right = torch.searchsorted(index.pts, torch.tensor(ticks, dtype=torch.float64).ceil().long())
    found = []
    for tick, place in zip(ticks, right.tolist(), strict=True):
        after, before = min(place, len(index) - 1), max(place - 1, 0)
        is_nearer = abs(float(index.pts[before]) - tick) < abs(float(index.pts[after]) - tick)
        found.append(before if is_nearer else after)
    return found


class KeyFrameReader:
    """Reads clips around times of videos, and keeps the last few open.

    Args:
        source: the videos.
        offsets_sec: the times of a clip's frames after the annotated one.
    """

    def __init__(self, source: Source, offsets_sec: Sequence[Fraction]) -> None:
        self.source = source
        self._offsets = offsets_sec
        self._open: OrderedDict[str, Any] = OrderedDict()
        self._process = os.getpid()

    def frames(
        self, name: str, time_sec: float, frame_transform: FrameTransform | None = None
    ) -> torch.Tensor:
        """Returns the clip around a time of the annotation: (3, T, H, W) in 0..255.

        Raises:
            FileNotFoundError: there is no such video.
            VideoError: it cannot be read.
        """
        video = self._opened(name)
        centre = Fraction(time_sec).limit_denominator(10**6) - Fraction(self.source.start_sec)
        places = nearest_frames(video, [centre + offset for offset in self._offsets])
        wanted = sorted(set(places))
        data = video.get_frames(indices=wanted, frame_transform=frame_transform).data
        if wanted == places:
            return data
        return data[:, [wanted.index(place) for place in places]]

    def _opened(self, name: str) -> Any:
        if self._process != os.getpid():  # a worker must not read through the files of its parent
            self._open, self._process = OrderedDict(), os.getpid()
        video = self._open.pop(name, None) or self.source.open(name)
        self._open[name] = video
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)[1].close()
        return video

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": OrderedDict()}
