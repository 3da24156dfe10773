# SPDX-License-Identifier: Apache-2.0
"""Conversion of decoded frames into the tensor of a clip."""

import struct
from typing import Any

import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from pytorchvideo.data._decode._clip_tensor import ClipTensor
from pytorchvideo.data._decode._pyav._compat import side_data
from pytorchvideo.data._decode._types import FrameResize, Orientation, VideoError


class ClipFrames:
    """Puts the frames of a clip, as they are decoded, upright and in RGB into their places.

    Args:
        converter: into RGB.
        clip: the places.
        resize: the size of upright frames -> the size to which FFmpeg scales them while it converts.
    """

    def __init__(
        self, converter: VideoReformatter, clip: ClipTensor, resize: FrameResize | None
    ) -> None:
        self._converter = converter
        self.clip = clip
        self._resize = resize

    def check(self, context: Any) -> None:
        """Raises a LimitError where the size that a decoder tells beforehand is too large for the clip."""
        if self._resize is None:
            self.clip.check(context.height, context.width)

    def put(self, frame: Any, orientation: Orientation, places: list[int]) -> None:
        """Converts a frame and writes it, as it is shown, to one or several places.

        Raises:
            LimitError: if the clip takes too much memory.
            VideoError: if it is of another size than the first.
        """
        size = frame.height, frame.width
        if self._resize is not None:
            size = orientation.size(*self._resize(*orientation.size(*size)))
        upright = orientation.size(*size)
        if self.clip.size is None:
            self.clip.check(*upright)
        elif self.clip.size != upright:
            height, width = self.clip.size
            raise VideoError(
                f"of changing size: {upright[1]}x{upright[0]} pixels after {width}x{height}. "
                "All frames of a clip must have one size; re-encode the file."
            )
        packed = self._converter.reformat(frame, size[1], size[0], format="rgb24", threads=1)
        (plane,) = packed.planes
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(size[0], plane.line_size)
        picture = torch.from_numpy(rows[:, : 3 * size[1]].reshape(*size, 3))
        # (H, W, 3) -> (3, H, W), sorted and cast while it is written
        self.clip.put(orientation.upright(picture).permute(2, 0, 1), places)


class Orientations:
    """How the frames of a decoder are shown, one after the other.

    A container tells it of every frame. H.264 and HEVC tell it with the first of a coded video sequence, for all of it
    (display orientation, ITU-T H.264 D.2.27, H.265 D.3.17), and FFmpeg passes it on with that frame alone.
    """

    def __init__(self) -> None:
        self._last = Orientation()

    def of(self, frame: Any) -> Orientation:
        """How the next frame is shown."""
        if frame.key_frame or "DISPLAYMATRIX" in side_data(frame):
            self._last = orientation_of(frame)
        return self._last


def orientation_of(frame: Any) -> Orientation:
    """How a frame is shown, as its display matrix says; other angles than right ones are rounded to one.

    The matrix takes (x, y) to (ax + cy, bx + dy), y downwards; FFmpeg turns its pictures in this way.
    """
    matrix = side_data(frame).get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)
