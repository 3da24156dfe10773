# SPDX-License-Identifier: Apache-2.0
"""Clips of given frames of a video."""

from collections.abc import Iterator, Sequence

import torch

from pytorchvideo.data._decode import FrameTransform
from pytorchvideo.data.encoded_video import EncodedVideo


def picked_clips(
    video: EncodedVideo,
    clips: Sequence[Sequence[int]],
    frame_transform: FrameTransform | None,
) -> Iterator[tuple[tuple[float, float], torch.Tensor]]:
    """Yields the times of the first and the last frame of each clip, and its frames as float32 (3, T, H, W).

    Args:
        video: an open video.
        clips: the numbers of the frames of each; repeated ones are decoded once.
        frame_transform: what is kept of a frame, see :meth:`EncodedVideo.get_frames`.

    Raises:
        VideoError: it is damaged.
    """
    for frames in clips:
        wanted = sorted(set(frames))
        found = video.get_frames(indices=wanted, frame_transform=frame_transform)
        places = [wanted.index(frame) for frame in frames]
        yield (float(found.pts_sec[0]), float(found.pts_sec[-1])), found.data[:, places].float()
