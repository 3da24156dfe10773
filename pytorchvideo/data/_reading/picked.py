# SPDX-License-Identifier: Apache-2.0
"""Clips of given frames of a video, each frame decoded once however many clips have it."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import torch

from pytorchvideo.data._decode import FrameTransform, VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo

#: By its number, the time of a frame in seconds, and the frame.
_Kept: TypeAlias = dict[int, tuple[float, torch.Tensor]]


def picked_clips(
    video: EncodedVideo | FrameVideo,
    clips: Sequence[Sequence[int]],
    frame_transform: FrameTransform | None,
) -> Iterator[tuple[tuple[float, float], torch.Tensor]]:
    """Yields the times of the first and the last frame of each clip, and its frames as float32 (3, T, H, W).

    What later clips want up to the last frame of a clip is decoded with it, and kept until then: of clips in the order
    of their starts not more than lies in one clip.

    Args:
        video: an open video, or a folder of frames.
        clips: the numbers of the frames of each, which may repeat.
        frame_transform: what is kept of a frame, see :meth:`EncodedVideo.get_frames`.

    Raises:
        VideoError: it is damaged.
    """
    uses: dict[int, int] = {}  # how many clips still want a frame
    for frames in clips:
        for frame in set(frames):
            uses[frame] = uses.get(frame, 0) + 1
    kept: _Kept = {}
    for frames in clips:
        missing = [frame for frame in set(frames) if frame not in kept]
        if missing:
            first, last = min(missing), max(missing)
            coming = [frame for frame in uses if first <= frame <= last and frame not in kept]
            kept |= _decoded(video, sorted(coming), sorted(missing), frame_transform)
        clip = torch.stack([kept[frame][1] for frame in frames], dim=1).float()
        yield (kept[min(frames)][0], kept[max(frames)][0]), clip
        for frame in set(frames):
            uses[frame] -= 1
            if not uses[frame]:
                del uses[frame], kept[frame]


def _decoded(
    video: EncodedVideo | FrameVideo,
    coming: list[int],
    wanted: list[int],
    frame_transform: FrameTransform | None,
) -> _Kept:
    """Frames of this clip and of later ones; where one of those is damaged, of this clip alone."""
    try:
        found = video.get_frames(indices=coming, frame_transform=frame_transform)
    except VideoError:
        if coming == wanted:
            raise
        coming = wanted
        found = video.get_frames(indices=coming, frame_transform=frame_transform)
    frames = found.data.unbind(dim=1)
    return dict(zip(coming, zip(found.pts_sec.tolist(), frames, strict=True), strict=True))
