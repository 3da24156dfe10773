# SPDX-License-Identifier: Apache-2.0
"""From decoded frames to the tensor of a clip: converted once, written once."""

import struct
from typing import Any

import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from pytorchvideo.data._decode._memory import clip_memory
from pytorchvideo.data._decode._types import FrameResize, Orientation, VideoError


class Pictures:
    """The upright RGB frames of a clip, put into their places one by one.

    ``data`` (3, T, H, W) is None until the first has come.
    """

    def __init__(
        self,
        converter: VideoReformatter,
        count: int,
        dtype: torch.dtype,
        resize: FrameResize | None,
    ) -> None:
        self._converter = converter
        self._count = count
        self._dtype = dtype
        self._resize = resize
        self.data: torch.Tensor | None = None

    def put(self, frame: Any, places: list[int]) -> None:
        """Converts a frame and writes it to one or several places.

        Raises:
            VideoError: if it is of another size than the first.
        """
        orientation = orientation_of(frame)
        size = frame.height, frame.width
        if self._resize is not None:
            size = orientation.size(*self._resize(*orientation.size(*size)))
        upright = orientation.size(*size)
        if self.data is None:
            self.data = clip_memory.empty((3, self._count, *upright), self._dtype)
        elif self.data.shape[2:] != upright:
            height, width = self.data.shape[2:]
            raise VideoError(
                f"of changing size: {upright[1]}x{upright[0]} pixels after {width}x{height}. "
                "All frames of a clip must have one size; re-encode the file."
            )
        first, *others = places
        packed = self._converter.reformat(frame, size[1], size[0], format="rgb24", threads=1)
        (plane,) = packed.planes
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(size[0], plane.line_size)
        picture = torch.from_numpy(rows[:, : 3 * size[1]].reshape(*size, 3))
        # (H, W, 3) -> (3, H, W), sorted and cast while it is written
        self.data[:, first].copy_(orientation.upright(picture).permute(2, 0, 1))
        for place in others:
            self.data[:, place] = self.data[:, first]


def orientation_of(frame: Any) -> Orientation:
    """How a frame is shown, as its display matrix says; other angles than right ones are rounded to one.

    The matrix takes (x, y) to (ax + cy, bx + dy), y downwards; FFmpeg turns its pictures in this way.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return Orientation()
    a, b, _, c, d, *_ = struct.unpack("9i", bytes(matrix))
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, a < 0, d < 0)
    return Orientation(True, c < 0, b < 0)
