# SPDX-License-Identifier: Apache-2.0
"""Manifests: csv files of videos with durations and paths of files or frames.

Each kind of row is a dataclass; the header names its fields.
"""

import enum
import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

from pytorchvideo._checks import expected
from pytorchvideo._text import counted
from pytorchvideo.data._annotations.left_out import warn_of_left_out
from pytorchvideo.data._decode import FrameFilter, FrameResize, FrameTransform
from pytorchvideo.data._reading.skipped import SkippedClip
from pytorchvideo.data.clip_sampling import exact_seconds
from pytorchvideo.data.encoded_video import EncodedVideo, check_reading
from pytorchvideo.data.frame_video import FRAME_OPTIONS, FrameVideo
from pytorchvideo.data.utils import (
    DataclassFieldCaster,
    load_dataclass_dict_from_csv,
    save_dataclass_objs_to_headered_csv,
)
from pytorchvideo.data.video import Video

__all__ = [
    "EncodedVideoInfo",
    "ImageDataset",
    "ImageFrameInfo",
    "VideoClipInfo",
    "VideoDataset",
    "VideoDatasetType",
    "VideoFrameInfo",
    "VideoInfo",
    "get_seconds_from_hms_time",
    "save_encoded_video_manifest",
    "save_video_frame_info",
]


_TIME = re.compile(r"(\d{1,6}):([0-5]?\d):([0-5]?\d(?:\.\d{0,12})?)")
_MOST_FRAMES = 10_000_000  # of a video: two days at 60 frames per second
_LONGEST_NAME = 255  # of a file, on the file systems of today


@dataclass
class EncodedVideoInfo(DataclassFieldCaster):
    """Where the file of a video lies."""

    video_id: str
    file_path: str


@dataclass
class VideoFrameInfo(DataclassFieldCaster):
    """Where the frames of a video lie: ``<location>/<stem><number>.<extension>``, from the first number to the last.

    Attributes:
        video_id: name of the video.
        location: folder of the frames.
        frame_file_stem: what stands before the number.
        frame_string_length: characters of a file's name without its ending, the stem included; zeros fill it up.
        min_frame_number: of the first frame.
        max_frame_number: of the last frame, which is there.
        file_extension: without a dot.
    """

    video_id: str
    location: str
    frame_file_stem: str
    frame_string_length: int
    min_frame_number: int
    max_frame_number: int
    file_extension: str

    def __post_init__(self) -> None:
        """Casts the fields; raises a ValueError for frames that no video has."""
        super().__post_init__()
        count = self.max_frame_number - self.min_frame_number + 1
        if count > _MOST_FRAMES:
            raise ValueError(expected("max_frame_number", f"{_MOST_FRAMES} frames at most", count))
        if self.frame_string_length > _LONGEST_NAME:
            wanted = f"at most {_LONGEST_NAME}"
            raise ValueError(expected("frame_string_length", wanted, self.frame_string_length))


@dataclass
class VideoInfo(DataclassFieldCaster):
    """What a video is: its resolution as in ``1920x1080``, its seconds and its frames per second."""

    video_id: str
    resolution: str
    duration: float
    fps: float

    def __post_init__(self) -> None:
        """Casts the fields; raises a ValueError for a length that is none."""
        super().__post_init__()
        check_finite(self, "duration", "fps")


def check_finite(row: Any, *names: str) -> None:
    """Raises a ValueError if one of these fields is infinite, or no number."""
    for name in names:
        if not math.isfinite(getattr(row, name)):
            raise ValueError(expected(name, "a finite number", getattr(row, name)))


@dataclass
class VideoClipInfo(DataclassFieldCaster):
    """The clip ``[start_time, stop_time)`` seconds of a video."""

    video_id: str
    start_time: float
    stop_time: float


@dataclass
class ImageFrameInfo(DataclassFieldCaster):
    """Where one frame of a video lies."""

    video_id: str
    frame_id: str
    frame_number: int
    frame_file_path: str


class VideoDatasetType(enum.Enum):
    """What the manifest of a data set names."""

    Frame = 1
    EncodedVideo = 2


class FramePaths(Sequence[str]):
    """The paths of the frames of a video, made when they are asked for: a data set may have millions.

    >>> paths = FramePaths(VideoFrameInfo("a", "frames/a", "frame_", 10, 1, 3, "jpg"))
    >>> len(paths), paths[2]
    (3, 'frames/a/frame_0003.jpg')
    """

    def __init__(self, info: VideoFrameInfo) -> None:
        self._info = info
        self._numbers = range(info.min_frame_number, info.max_frame_number + 1)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        info = self._info
        number = str(self._numbers[index]).zfill(
            info.frame_string_length - len(info.frame_file_stem)
        )
        return str(Path(info.location) / f"{info.frame_file_stem}{number}.{info.file_extension}")


class LazyVideo(Video):
    """A video file that is opened for each clip and closed after it.

    Args:
        file_path: of the video.
        name: of the video.
        duration: in seconds, as the manifest says.
        reading: other arguments of :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
    """

    def __init__(self, file_path: str, name: str, duration: float, **reading: Any) -> None:
        self._open = partial(EncodedVideo.from_path, file_path, **reading)
        self._name = name
        self._duration = exact_seconds(duration)

    @property
    def name(self) -> str:
        """The id of the video."""
        return self._name

    @property
    def duration(self) -> Fraction:
        """Its length in seconds, as the manifest says."""
        return self._duration

    def get_clip(
        self,
        start_sec: float | Fraction,
        end_sec: float | Fraction,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
        frame_transform: FrameTransform | None = None,
    ) -> dict[str, Any]:
        """Returns a clip; see :meth:`~pytorchvideo.data.encoded_video.EncodedVideo.get_clip`."""
        with self._open() as video:
            return dict(video.get_clip(start_sec, end_sec, frame_filter, resize, frame_transform))


class VideoDataset:
    """Reads the manifests of a data set of videos."""

    @staticmethod
    def load_videos(
        video_data_manifest_file_path: str,
        video_info_file_path: str,
        multithreaded_io: bool = False,
        dataset_type: VideoDatasetType = VideoDatasetType.Frame,
        **reading: Any,
    ) -> tuple[dict[str, Video], list[SkippedClip]]:
        """Returns the videos by their ids, none of them opened, and those that are left out.

        Left out, with one warning, are videos that stand in one of the two files only, and those whose number of
        frames is off by more than a second from ``duration * fps``.

        Args:
            video_data_manifest_file_path: csv of :class:`VideoFrameInfo`, or of :class:`EncodedVideoInfo`.
            video_info_file_path: csv of :class:`VideoInfo`.
            multithreaded_io: whether the frames of a clip are read by several threads.
            dataset_type: what the manifest names.
            reading: ``decoder``, ``dtype``, ``device``, ``index_cache`` and the limits of
                :class:`~pytorchvideo.data.encoded_video.EncodedVideo`; folders of frames take ``dtype`` and the limits.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: a line that cannot be read, named with the file and its number; or all videos are left out.
        """
        is_files = dataset_type == VideoDatasetType.EncodedVideo
        # no decoder reads pictures
        check_reading(**(reading if is_files else {**reading, "decoder": "pyav"}))
        videos: dict[str, Video] = {}
        left_out = []
        pairs = _paired(video_data_manifest_file_path, video_info_file_path, dataset_type)
        for video_id, info, data, reason in pairs:
            if reason:
                left_out.append(SkippedClip(video_id, reason))
            elif isinstance(data, EncodedVideoInfo):
                videos[video_id] = LazyVideo(data.file_path, video_id, info.duration, **reading)
            else:
                videos[video_id] = FrameVideo(
                    info.duration,
                    info.fps,
                    video_frame_paths=FramePaths(data),
                    multithreaded_io=multithreaded_io,
                    **{name: reading[name] for name in FRAME_OPTIONS if name in reading},
                )
        warn_of_left_out(left_out, len(videos) + len(left_out))
        return videos, left_out


class ImageDataset:
    """Reads the manifests of a data set of single frames."""

    @staticmethod
    def load_images(
        frame_manifest_file_path: str, video_info_file_path: str
    ) -> tuple[dict[str, ImageFrameInfo], list[SkippedClip]]:
        """Returns every frame by its id, ``<video id>_<number>``, and the videos that are left out.

        For the arguments, what is left out and what is raised see :meth:`VideoDataset.load_videos`.
        """
        frames: dict[str, ImageFrameInfo] = {}
        left_out = []
        count = 0
        for video_id, _, data, reason in _paired(
            frame_manifest_file_path, video_info_file_path, VideoDatasetType.Frame
        ):
            count += 1
            if reason:
                left_out.append(SkippedClip(video_id, reason))
                continue
            for number, path in enumerate(FramePaths(data), data.min_frame_number):
                frame_id = f"{video_id}_{number}"
                frames[frame_id] = ImageFrameInfo(video_id, frame_id, number, path)
        warn_of_left_out(left_out, count)
        return frames, left_out


def _paired(
    manifest: str, video_info: str, dataset_type: VideoDatasetType
) -> Iterator[tuple[str, Any, Any, str]]:
    """Id, the rows of both files, and why the video cannot be used (nothing where it can)."""
    kind = VideoFrameInfo if dataset_type == VideoDatasetType.Frame else EncodedVideoInfo
    infos: Mapping[str, VideoInfo] = load_dataclass_dict_from_csv(video_info, VideoInfo, "video_id")
    rows: Mapping[str, Any] = load_dataclass_dict_from_csv(manifest, kind, "video_id")
    for video_id in dict.fromkeys([*rows, *infos]):
        info, data = infos.get(video_id), rows.get(video_id)
        if info is None:
            reason = f"it is not in {video_info}."
        elif data is None:
            reason = f"it is not in {manifest}."
        elif isinstance(data, VideoFrameInfo):
            reason = _wrong_count(info, len(FramePaths(data)))
        else:
            reason = ""
        yield video_id, info, data, reason


def _wrong_count(info: VideoInfo, num_frames: int) -> str:
    wanted = info.duration * info.fps
    if abs(num_frames - wanted) <= info.fps:
        return ""
    return f"it has {counted(num_frames, 'frame')}, but its duration and rate make {wanted:g}."


def get_seconds_from_hms_time(time_str: str) -> float:
    """Returns ``HH:MM:SS`` or ``HH:MM:SS.f`` as seconds.

    Raises:
        ValueError: for another form.

    >>> get_seconds_from_hms_time("01:02:03.25")
    3723.25
    """
    wanted = "a time as in 01:02:03.25"
    found = _TIME.fullmatch(time_str)
    if found is None:
        raise ValueError(expected("time_str", wanted, time_str))
    hours, minutes, seconds = (Fraction(part) for part in found.groups())
    return float(3600 * hours + 60 * minutes + seconds)


def save_encoded_video_manifest(
    encoded_video_infos: Mapping[str, EncodedVideoInfo], file_name: str | None = None
) -> str:
    """Writes a manifest of video files.

    Args:
        encoded_video_infos: id -> row.
        file_name: by default a new name in the current folder.

    Returns:
        The name of the file.
    """
    return _save("encoded_video_manifest", encoded_video_infos, file_name)


def save_video_frame_info(
    video_frames: Mapping[str, VideoFrameInfo], file_name: str | None = None
) -> str:
    """Writes a manifest of folders of frames; see :func:`save_encoded_video_manifest`."""
    return _save("video_frame_metadata", video_frames, file_name)


def _save(kind: str, rows: Mapping[str, Any], file_name: str | None) -> str:
    name = f"{kind}_{uuid.uuid4().hex}.csv" if file_name is None else file_name
    save_dataclass_objs_to_headered_csv(list(rows.values()), name)
    return name
