# SPDX-License-Identifier: Apache-2.0
"""DoMSEV (Silva et al., CVPR 2018): 80 hours of egocentric video, labelled by environment, activity or attention."""

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch.utils.data import Dataset

from pytorchvideo._checks import expected
from pytorchvideo.data._annotations.map_style import read_clip
from pytorchvideo.data._decode import FrameFilter
from pytorchvideo.data.clip_sampling import exact_seconds
from pytorchvideo.data.dataset_manifest_utils import (
    ImageDataset,
    ImageFrameInfo,
    VideoClipInfo,
    VideoDataset,
    VideoDatasetType,
    check_finite,
)
from pytorchvideo.data.utils import DataclassFieldCaster, load_dataclass_dict_from_csv
from pytorchvideo.data.video import Video

__all__ = [
    "LABEL_TYPE_2_MAP",
    "USER_ACTIVITY_MAP",
    "USER_ATTENTION_MAP",
    "USER_ENVIRONMENT_MAP",
    "DomsevFrameDataset",
    "DomsevVideoDataset",
    "LabelData",
    "LabelType",
]

NO_LABEL = 0
"""The id of "none" in all three maps."""

USER_ENVIRONMENT_MAP = dict(enumerate(("none", "indoor", "nature", "crowded_environment", "urban")))
USER_ACTIVITY_MAP = dict(
    enumerate(
        (
            *("none", "walking", "running", "standing", "biking", "driving", "playing"),
            *("cooking", "eating", "observing", "in_conversation", "browsing", "shopping"),
        )
    )
)
USER_ATTENTION_MAP = dict(enumerate(("none", "paying_attention", "interacting")))


class LabelType(enum.Enum):
    """What a label says of a stretch of video."""

    Environment = 1
    Activity = 2
    Attention = 3


LABEL_TYPE_2_MAP: dict[LabelType, dict[int, str]] = {
    LabelType.Environment: USER_ENVIRONMENT_MAP,
    LabelType.Activity: USER_ACTIVITY_MAP,
    LabelType.Attention: USER_ATTENTION_MAP,
}
"""Kind of label -> class id -> name."""


@dataclass
class LabelData(DataclassFieldCaster):
    """The label of a stretch ``[start_time, stop_time)`` seconds, the frames ``start_frame`` to ``stop_frame``."""

    video_id: str
    start_time: float
    stop_time: float
    start_frame: int
    stop_frame: int
    label_id: int
    label_name: str

    def __post_init__(self) -> None:
        """Casts the fields; raises a ValueError for a time that is none."""
        super().__post_init__()
        check_finite(self, "start_time", "stop_time")


def _load_labels(file: str) -> dict[str, list[LabelData]]:
    """Labels by video, in the order of time."""
    labels: dict[str, list[LabelData]] = load_dataclass_dict_from_csv(
        file, LabelData, "video_id", list_per_key=True
    )
    for of_video in labels.values():
        of_video.sort(key=lambda label: (label.start_time, label.stop_time))
    return labels


class DomsevFrameDataset(Dataset):
    """Every frame with its label, in the order of the manifest.

    An item is a dict with ``frame_id``, ``image`` (a PIL image in RGB) and ``label`` (int); a frame that no label
    covers has 0, which is "none".

    Args:
        video_data_manifest_file_path: csv of ``VideoFrameInfo``.
        video_info_file_path: csv of :class:`~pytorchvideo.data.dataset_manifest_utils.VideoInfo`.
        labels_file_path: csv of :class:`LabelData`.
        transform: applied to each item.
        multithreaded_io: accepted for older code; the paths of frames need not be looked for.

    Attributes:
        skipped: the videos that are left out, with the reason of each.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a line that cannot be read, named with the file and its number; or no video can be used.
    """

    def __init__(
        self,
        video_data_manifest_file_path: str,
        video_info_file_path: str,
        labels_file_path: str,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        multithreaded_io: bool = False,
    ) -> None:
        frames, self.skipped = ImageDataset.load_images(
            video_data_manifest_file_path, video_info_file_path
        )
        self._frames = list(frames.values())
        self._labels = _load_labels(labels_file_path)
        self._transform = transform

    def __getitem__(self, index: int) -> Any:
        """Opens a frame.

        Raises:
            IndexError: there are not so many.
            OSError: it cannot be read; the message names the file.
        """
        frame = self._frames[index]
        with Image.open(frame.frame_file_path) as image:
            picture = image.convert("RGB")
        item = {"frame_id": frame.frame_id, "image": picture, "label": self._label_of(frame)}
        return item if self._transform is None else self._transform(item)

    def __len__(self) -> int:
        """Number of frames."""
        return len(self._frames)

    def _label_of(self, frame: ImageFrameInfo) -> int:
        for label in self._labels.get(frame.video_id, ()):
            if label.start_frame <= frame.frame_number <= label.stop_frame:
                return label.label_id
        return NO_LABEL


class DomsevVideoDataset(Dataset):
    """The clips that a function chooses, with their labels.

    An item is a dict with ``video_id``, ``video`` (float32 (C, T, H, W) in 0..255), ``audio`` (float32 (S,) or None),
    ``labels`` (int64), ``start_time``, ``stop_time``, and for folders of frames ``frame_indices``.
    ``labels`` has, in the order of time, one id for each tick of a clock of ``frames_per_second`` that a label covers
    in the clip. Videos are opened when a clip of theirs is read.

    Args:
        video_data_manifest_file_path: csv of ``VideoFrameInfo`` or ``EncodedVideoInfo``.
        video_info_file_path: csv of :class:`~pytorchvideo.data.dataset_manifest_utils.VideoInfo`.
        labels_file_path: csv of :class:`LabelData`.
        clip_sampler: videos by id, labels by id of the video -> the clips of the data set; called once.
        dataset_type: which kind of manifest it is.
        frames_per_second: of ``labels``.
        transform: applied to each item.
        frame_filter: indices of the frames of a clip -> those to load.
        multithreaded_io: whether the frames of a clip are read by several threads.
        reading: see :meth:`~pytorchvideo.data.dataset_manifest_utils.VideoDataset.load_videos`.

    Attributes:
        skipped: the videos that are left out, with the reason of each.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a line that cannot be read, named with the file and its number; no video can be used;
            ``frames_per_second`` is not positive.
    """

    def __init__(
        self,
        video_data_manifest_file_path: str,
        video_info_file_path: str,
        labels_file_path: str,
        clip_sampler: Callable[[dict[str, Video], dict[str, list[LabelData]]], list[VideoClipInfo]],
        dataset_type: VideoDatasetType = VideoDatasetType.Frame,
        frames_per_second: float = 1,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        frame_filter: FrameFilter | None = None,
        multithreaded_io: bool = False,
        **reading: Any,
    ) -> None:
        if not frames_per_second > 0:
            raise ValueError(expected("frames_per_second", "> 0", frames_per_second))
        self._videos, self.skipped = VideoDataset.load_videos(
            video_data_manifest_file_path,
            video_info_file_path,
            multithreaded_io,
            dataset_type,
            **reading,
        )
        labels = _load_labels(labels_file_path)
        self._labels_per_video = {video_id: labels.get(video_id, []) for video_id in self._videos}
        self._clips = clip_sampler(self._videos, self._labels_per_video)
        self._frames_per_second = frames_per_second
        self._transform = transform
        self._frame_filter = frame_filter

    def __getitem__(self, index: int) -> Any:
        """Reads a clip.

        Raises:
            IndexError: there are not so many.
            ValueError, RuntimeError, OSError: it cannot be read; the message names the file.
        """
        clip = self._clips[index]
        sample = read_clip(self._videos[clip.video_id], clip, self._frame_filter)
        ids = _labels_of_clip(self._labels_per_video[clip.video_id], clip, self._frames_per_second)
        sample["labels"] = torch.tensor(ids, dtype=torch.int64)
        return sample if self._transform is None else self._transform(sample)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._clips)


def _labels_of_clip(
    labels: Sequence[LabelData], clip: VideoClipInfo, frames_per_second: float
) -> list[int]:
    """One id per tick ``k / frames_per_second`` in the overlap of each label with the clip.

    >>> walk = LabelData("a", 0.0, 2.5, 0, 74, 1, "walking")
    >>> run = LabelData("a", 2.5, 9.0, 75, 269, 2, "running")
    >>> _labels_of_clip([walk, run], VideoClipInfo("a", 1.0, 5.0), 1)
    [1, 1, 2, 2]
    """
    rate, found = exact_seconds(frames_per_second), []
    for label in labels:
        start = max(exact_seconds(label.start_time), exact_seconds(clip.start_time))
        stop = min(exact_seconds(label.stop_time), exact_seconds(clip.stop_time))
        found += [label.label_id] * (math.ceil(stop * rate) - math.ceil(start * rate))
    return found
