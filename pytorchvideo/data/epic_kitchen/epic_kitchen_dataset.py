# SPDX-License-Identifier: Apache-2.0
"""EPIC-KITCHENS as clips with the actions of their videos."""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.utils.data import Dataset

from pytorchvideo.data._annotations.map_style import read_clip
from pytorchvideo.data._decode import FrameFilter
from pytorchvideo.data.dataset_manifest_utils import (
    VideoClipInfo,
    VideoDataset,
    VideoDatasetType,
    get_seconds_from_hms_time,
)
from pytorchvideo.data.utils import DataclassFieldCaster, load_dataclass_dict_from_csv
from pytorchvideo.data.video import Video

_MOST_CHARACTERS = 10_000  # of a list; the longest of EPIC-KITCHENS has some 100


def _list(value: Any) -> list[Any]:
    if isinstance(value, str):
        if len(value) > _MOST_CHARACTERS:
            raise ValueError(f"expected at most {_MOST_CHARACTERS} characters")
        value = ast.literal_eval(value)
    made = value
    if not isinstance(made, list):
        raise ValueError("expected a list")
    return made


_list_field = DataclassFieldCaster.complex_initialized_dataclass_field


@dataclass
class ActionData(DataclassFieldCaster):
    """A row of the annotations of EPIC-KITCHENS-55 (``EPIC_train_action_labels.csv``).

    The time stamps are ``HH:MM:SS.ff``.
    """

    participant_id: str
    video_id: str
    narration: str
    start_timestamp: str
    stop_timestamp: str
    start_frame: int
    stop_frame: int
    verb: str
    verb_class: int
    noun: str
    noun_class: int
    all_nouns: list[str] = _list_field(_list)  # noqa: RUF009 - it returns a dataclass field
    all_noun_classes: list[int] = _list_field(_list)  # noqa: RUF009

    def __post_init__(self) -> None:
        """Casts the fields; raises a ValueError for a time that is none."""
        super().__post_init__()
        get_seconds_from_hms_time(self.start_timestamp)
        get_seconds_from_hms_time(self.stop_timestamp)

    @property
    def start_time(self) -> float:
        """Where the action begins, in seconds of its video."""
        return get_seconds_from_hms_time(self.start_timestamp)

    @property
    def stop_time(self) -> float:
        """Where it ends."""
        return get_seconds_from_hms_time(self.stop_timestamp)


class EpicKitchenDataset(Dataset):
    """The clips that a function chooses, each with all actions of its video.

    An item is a dict with ``video_id``, ``video`` (float32 (C, T, H, W) in 0..255), ``audio`` (float32 (S,) or None),
    ``start_time``, ``stop_time``, ``actions`` (list of :class:`ActionData`), and for folders of frames
    ``frame_indices``. Videos are opened when a clip of theirs is read.

    Args:
        video_info_file_path: csv of :class:`~pytorchvideo.data.dataset_manifest_utils.VideoInfo`.
        actions_file_path: csv of :class:`ActionData`.
        clip_sampler: videos by id, actions by id of the video -> the clips of the data set; called once.
        video_data_manifest_file_path: csv of ``VideoFrameInfo`` or ``EncodedVideoInfo``.
        dataset_type: which of the two.
        transform: applied to each item.
        frame_filter: indices of the frames of a clip -> those to load.
        multithreaded_io: whether the frames of a clip are read by several threads.
        reading: see :meth:`~pytorchvideo.data.dataset_manifest_utils.VideoDataset.load_videos`.

    Attributes:
        skipped: the videos that are left out, with the reason of each.

    Raises:
        FileNotFoundError: a file is not there.
        ValueError: a line that cannot be read, named with the file and its number; or no video can be used.
    """

    def __init__(
        self,
        video_info_file_path: str,
        actions_file_path: str,
        clip_sampler: Callable[
            [dict[str, Video], dict[str, list[ActionData]]], list[VideoClipInfo]
        ],
        video_data_manifest_file_path: str,
        dataset_type: VideoDatasetType = VideoDatasetType.Frame,
        transform: Callable[[dict[str, Any]], Any] | None = None,
        frame_filter: FrameFilter | None = None,
        multithreaded_io: bool = True,
        **reading: Any,
    ) -> None:
        self._videos, self.skipped = VideoDataset.load_videos(
            video_data_manifest_file_path,
            video_info_file_path,
            multithreaded_io,
            dataset_type,
            **reading,
        )
        actions: dict[str, list[ActionData]] = load_dataclass_dict_from_csv(
            actions_file_path, ActionData, "video_id", list_per_key=True
        )
        self._actions = {video_id: actions.get(video_id, []) for video_id in self._videos}
        self._clips = clip_sampler(self._videos, self._actions)
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
        sample["actions"] = self._actions[clip.video_id]
        return sample if self._transform is None else self._transform(sample)

    def __len__(self) -> int:
        """Number of clips."""
        return len(self._clips)
