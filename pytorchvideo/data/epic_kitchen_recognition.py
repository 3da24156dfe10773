# SPDX-License-Identifier: Apache-2.0
"""EPIC-KITCHENS for action recognition: consecutive clips, each with the actions that it shows."""

import enum
import random
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.data._annotations.map_style import every_nth
from pytorchvideo.data.clip_sampling import exact_seconds, windows
from pytorchvideo.data.dataset_manifest_utils import VideoClipInfo, VideoDatasetType
from pytorchvideo.data.epic_kitchen.epic_kitchen_dataset import ActionData, EpicKitchenDataset
from pytorchvideo.data.video import Video

__all__ = ["ClipSampling", "EpicKitchenRecognition"]


class ClipSampling(enum.Enum):
    """How clips are chosen: one after the other, from a random offset in each video on."""

    RandomOffsetUniform = 1


class EpicKitchenRecognition(EpicKitchenDataset):
    """Clips of one length, one after the other from a random offset in each video on.

    An item is that of :class:`~pytorchvideo.data.epic_kitchen.EpicKitchenDataset`, with those ``actions`` only that
    overlap the clip, its ends included. What is None is an empty tensor, so that items can be collated.

    Args:
        video_info_file_path: csv of :class:`~pytorchvideo.data.dataset_manifest_utils.VideoInfo`.
        actions_file_path: csv of :class:`~pytorchvideo.data.epic_kitchen.ActionData`.
        video_data_manifest_file_path: csv of ``VideoFrameInfo`` or ``EncodedVideoInfo``.
        clip_sampling: the one way there is.
        dataset_type: which kind of manifest it is.
        seconds_per_clip: length of a clip. The offsets lie in ``[0, seconds_per_clip)``, and leave one clip at least.
        frames_per_clip: load so many frames of each clip, evenly spread; by default all.
        transform: applied to each item.
        multithreaded_io: whether the frames of a clip are read by several threads.
        reading: see :meth:`~pytorchvideo.data.dataset_manifest_utils.VideoDataset.load_videos`.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a length or number that is not positive; or see the base class.
    """

    def __init__(
        self,
        video_info_file_path: str,
        actions_file_path: str,
        video_data_manifest_file_path: str,
        clip_sampling: ClipSampling = ClipSampling.RandomOffsetUniform,
        dataset_type: VideoDatasetType = VideoDatasetType.Frame,
        seconds_per_clip: float = 2.0,
        frames_per_clip: int | None = None,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        multithreaded_io: bool = True,
        **reading: Any,
    ) -> None:
        ClipSampling(clip_sampling)
        if not seconds_per_clip > 0:
            raise ValueError(expected("seconds_per_clip", "> 0 seconds", seconds_per_clip))
        if frames_per_clip is not None and frames_per_clip < 1:
            raise ValueError(expected("frames_per_clip", "a whole number >= 1", frames_per_clip))
        self._user_transform = transform
        super().__init__(
            video_info_file_path,
            actions_file_path,
            partial(_consecutive_clips, seconds=exact_seconds(seconds_per_clip)),
            video_data_manifest_file_path,
            dataset_type,
            self._finish,
            None if frames_per_clip is None else partial(every_nth, count=frames_per_clip),
            multithreaded_io,
            **reading,
        )

    def _finish(self, sample: dict[str, Any]) -> Any:
        start, stop = sample["start_time"], sample["stop_time"]
        sample["actions"] = [
            a for a in sample["actions"] if a.start_time <= stop and a.stop_time >= start
        ]
        sample = {k: torch.empty(0) if v is None else v for k, v in sample.items()}
        return sample if self._user_transform is None else self._user_transform(sample)


def _consecutive_clips(
    videos: dict[str, Video], actions: dict[str, list[ActionData]], seconds: Fraction
) -> list[VideoClipInfo]:
    clips = []
    for video_id, video in videos.items():
        duration = exact_seconds(video.duration)
        latest = min(max(duration - seconds, Fraction(0)), seconds)
        offset = Fraction(random.random()) * latest
        for window in windows(duration, seconds, seconds, start=offset):
            clips.append(VideoClipInfo(video_id, float(window.start), float(window.end)))
    return clips
