# SPDX-License-Identifier: Apache-2.0
"""EPIC-KITCHENS for forecasting: clips up to the end of an action, and the actions that come after it."""

import enum
from collections.abc import Callable
from typing import Any

import torch

from pytorchvideo._checks import expected
from pytorchvideo.data._annotations.map_style import every_nth
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.dataset_manifest_utils import VideoClipInfo, VideoDatasetType
from pytorchvideo.data.epic_kitchen.epic_kitchen_dataset import ActionData, EpicKitchenDataset
from pytorchvideo.data.video import Video

__all__ = ["ClipSampling", "EpicKitchenForecasting"]


class ClipSampling(enum.Enum):
    """How clips are chosen: one at the end of each action that can be forecast from; a loader shuffles them."""

    Random = 1


class EpicKitchenForecasting(EpicKitchenDataset):
    """One item for each action that has enough of the video before its end, and enough actions after it.

    An item is that of :class:`~pytorchvideo.data.epic_kitchen.EpicKitchenDataset`, where ``video`` is float32
    (num_input_clips, C, frames_per_clip, H, W), the last clip ends with the action, and ``actions`` are the next
    ``num_forecast_actions`` that start after it.

    Args:
        video_info_file_path: csv of :class:`~pytorchvideo.data.dataset_manifest_utils.VideoInfo`.
        actions_file_path: csv of :class:`~pytorchvideo.data.epic_kitchen.ActionData`.
        video_data_manifest_file_path: csv of ``VideoFrameInfo`` or ``EncodedVideoInfo``.
        clip_sampling: the one way there is.
        dataset_type: which kind of manifest it is.
        seconds_per_clip: length of an input clip.
        clip_time_stride: seconds from the start of an input clip to that of the next.
        num_input_clips: how many input clips.
        frames_per_clip: load so many frames of each input clip, evenly spread; by default all.
        num_forecast_actions: how many actions come after.
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
        clip_sampling: ClipSampling = ClipSampling.Random,
        dataset_type: VideoDatasetType = VideoDatasetType.Frame,
        seconds_per_clip: float = 2.0,
        clip_time_stride: float = 10.0,
        num_input_clips: int = 1,
        frames_per_clip: int | None = None,
        num_forecast_actions: int = 1,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        multithreaded_io: bool = True,
        **reading: Any,
    ) -> None:
        ClipSampling(clip_sampling)
        positive = {
            "seconds_per_clip": seconds_per_clip,
            "clip_time_stride": clip_time_stride,
            "num_input_clips": num_input_clips,
            "frames_per_clip": 1 if frames_per_clip is None else frames_per_clip,
            "num_forecast_actions": num_forecast_actions,
        }
        for name, value in positive.items():
            if not value > 0:
                raise ValueError(expected(name, "> 0", value))
        self._seconds = seconds_per_clip
        self._stride = clip_time_stride
        self._num_clips = num_input_clips
        self._frames_per_clip = frames_per_clip
        self._num_actions = num_forecast_actions
        self._user_transform = transform
        super().__init__(
            video_info_file_path,
            actions_file_path,
            self._clips_before_actions,
            video_data_manifest_file_path,
            dataset_type,
            self._finish,
            self._frames_of_input_clips,
            multithreaded_io,
            **reading,
        )

    @property
    def _span(self) -> float:
        """Seconds from the start of the first input clip to the end of the last."""
        return self._seconds + (self._num_clips - 1) * self._stride

    def _clips_before_actions(
        self, videos: dict[str, Video], actions: dict[str, list[ActionData]]
    ) -> list[VideoClipInfo]:
        clips = []
        for video_id in videos:
            of_video = actions[video_id]
            of_video.sort(key=lambda action: (action.start_time, action.stop_time))
            for action in of_video:
                stop = action.stop_time
                if stop >= self._span and len(self._after(of_video, stop)) == self._num_actions:
                    clips.append(VideoClipInfo(video_id, stop - self._span, stop))
        return clips

    def _after(self, actions: list[ActionData], stop: float) -> list[ActionData]:
        """The next actions that start after a time, of actions in the order of their starts."""
        return [action for action in actions if action.start_time > stop][: self._num_actions]

    def _frames_of_input_clips(self, indices: list[int]) -> list[int]:
        """The frames of all input clips, one clip after the other, equally many of each."""
        per_second = len(indices) / self._span
        length = min(max(round(self._seconds * per_second), 1), len(indices))
        chosen: list[int] = []
        for clip in range(self._num_clips):
            first = min(round(clip * self._stride * per_second), len(indices) - length)
            frames = indices[first : first + length]
            count = self._frames_per_clip
            chosen += frames if count is None else every_nth(frames, count)
        return chosen

    def _finish(self, sample: dict[str, Any]) -> Any:
        video = sample["video"]
        if video is None:
            raise VideoError(
                f"{sample['video_id']} has no frames from {sample['start_time']:g} to {sample['stop_time']:g} s."
            )
        # (C, N*T, H, W) -> (N, C, T, H, W)
        sample["video"] = video.unflatten(1, (self._num_clips, -1)).transpose(0, 1).contiguous()
        sample["actions"] = self._after(sample["actions"], sample["stop_time"])
        sample = {k: torch.empty(0) if v is None else v for k, v in sample.items()}
        return sample if self._user_transform is None else self._user_transform(sample)
