# SPDX-License-Identifier: Apache-2.0
"""Charades (Sigurdsson et al., arXiv 1604.01753): 157 actions, several at a time, in 9,848 videos of homes.

Videos are folders of frames; one list names the frames and the actions in each (``_frame_lists.py``).
"""

from collections.abc import Callable
from typing import Any

from torch.utils.data import RandomSampler, Sampler

from pytorchvideo._checks import expected
from pytorchvideo.data._annotations.frame_lists import FrameListHandler, read_frame_lists
from pytorchvideo.data._reading.clip_reader import Transform
from pytorchvideo.data.clip_sampling import ClipInfo, ClipInfoList, ClipSampler, Seconds
from pytorchvideo.data.frame_video import frame_range
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset
from pytorchvideo.transforms.functional import temporal_subsample_indices

__all__ = ["Charades"]


class Charades(LabeledVideoDataset):
    """Yields the clips of Charades; a :class:`~pytorchvideo.data.LabeledVideoDataset` in everything else.

    A sample has ``video``, ``video_name`` (the folder of its frames), ``video_index``, ``clip_index``,
    ``aug_index``, and

    - ``label``: the class ids of each frame from the first to the last frame of the clip that is loaded; a list of
      lists, which says of every frame what is done in it (a list of such for several clips at once);
    - ``video_label``: all class ids of the video, sorted.

    Args:
        data_path: the list of frames, with the header ``original_vido_id video_id frame_id path labels``.
        clip_sampler: which clips to take from a video.
        video_sampler: a sampler class; the order of the videos.
        transform: applied to each sample.
        video_path_prefix: put before the path of every frame.
        frames_per_clip: this many frames of each clip, evenly spread over it, the first and the last included; by
            default all.
        fps: frames per second.
        options: other keyword-only arguments of :class:`~pytorchvideo.data.LabeledVideoDataset`.

    Raises:
        FileNotFoundError: there is no list.
        ValueError: a line that cannot be read, named with the file and its number.
    """

    NUM_CLASSES = 157
    """Number of actions."""

    def __init__(
        self,
        data_path: str,
        clip_sampler: ClipSampler,
        video_sampler: Callable[[Any], Sampler] = RandomSampler,
        transform: Transform | None = None,
        video_path_prefix: str = "",
        frames_per_clip: int | None = None,
        *,
        fps: float = 30.0,
        **options: Any,
    ) -> None:
        if frames_per_clip is not None and frames_per_clip < 1:
            raise ValueError(expected("frames_per_clip", "a whole number >= 1", frames_per_clip))
        videos = read_frame_lists(data_path, video_path_prefix)
        self._fps = fps
        self._frames_per_clip = frames_per_clip
        super().__init__(
            [(name, {"labels": frames.labels}) for name, frames in videos.items()],
            clip_sampler,
            video_sampler,
            transform,
            decode_audio=False,
            frame_filter=None if frames_per_clip is None else self._spread,
            describe=self._labels,
            **options,
        )
        self.video_path_handler = FrameListHandler(videos, fps)
        self._path_to_videos = [frames.paths for frames in videos.values()]

    def _spread(self, indices: list[int]) -> list[int]:
        if self._frames_per_clip is None:
            return indices
        chosen = temporal_subsample_indices(len(indices), self._frames_per_clip)
        return [indices[i] for i in chosen.tolist()]

    def _labels(
        self, info: dict[str, Any], window: ClipInfo | ClipInfoList, clip: dict[str, Any]
    ) -> dict[str, Any]:
        labels: list[list[int]] = info["labels"]

        def of_frames(start_sec: Seconds, end_sec: Seconds) -> list[list[int]]:
            chosen = self._spread(frame_range(start_sec, end_sec, self._fps, len(labels)))
            return labels[min(chosen) : max(chosen) + 1]

        start, end = window.clip_start_sec, window.clip_end_sec
        if isinstance(start, list) and isinstance(end, list):
            label: list[Any] = [of_frames(*times) for times in zip(start, end, strict=True)]
        else:
            label = of_frames(start, end)  # type: ignore[arg-type]
        return {"label": label, "video_label": sorted({i for frame in labels for i in frame})}
