# SPDX-License-Identifier: Apache-2.0
"""The base of the map-style datasets of manifests: a list of clips, and the reading of one."""

from collections.abc import Sequence
from typing import Any

from pytorchvideo.data._decode import FrameFilter
from pytorchvideo.data.dataset_manifest_utils import VideoClipInfo
from pytorchvideo.data.video import Video


def read_clip(
    video: Video, clip: VideoClipInfo, frame_filter: FrameFilter | None
) -> dict[str, Any]:
    """Returns ``video_id``, ``video``, ``audio``, for frame videos ``frame_indices``, and the times of a clip.

    Raises:
        ValueError, RuntimeError, OSError: as the reader; they name the file.
    """
    options = {} if frame_filter is None else {"frame_filter": frame_filter}
    found = video.get_clip(clip.start_time, clip.stop_time, **options) or {}
    sample = {
        "video_id": clip.video_id,
        "video": found.get("video"),
        "audio": found.get("audio"),
        "start_time": clip.start_time,
        "stop_time": clip.stop_time,
    }
    if "frame_indices" in found:
        sample["frame_indices"] = found["frame_indices"]
    return sample


def every_nth(indices: Sequence[int], count: int) -> list[int]:
    """Returns ``count`` of the indices, every n-th from the first on, n as large as can be.

    Where there are fewer, they are repeated evenly.

    >>> every_nth(range(11), 3), every_nth(range(2), 5)
    ([0, 3, 6], [0, 0, 0, 1, 1])
    """
    step = len(indices) // count
    if step:
        return list(indices[: step * count : step])
    return [indices[i * len(indices) // count] for i in range(count)] if indices else []
