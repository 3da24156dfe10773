# SPDX-License-Identifier: Apache-2.0
"""From decoded frames to the tensor of a clip: converted once, written once."""

from typing import Any

import numpy as np
import torch
from av.video.reformatter import VideoReformatter

from pytorchvideo.data._decode._memory import clip_memory
from pytorchvideo.data._decode._types import FrameResize, VideoError


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
        turns = round(frame.rotation / 90) % 4  # of the display matrix, counter-clockwise
        size = frame.height, frame.width
        if self._resize is not None:
            size = self._resize(*size) if turns % 2 == 0 else self._resize(*size[::-1])[::-1]
        upright = size if turns % 2 == 0 else size[::-1]
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
        # (H, W, 3) -> (3, H, W), sorted, cast, and turned while it is written
        upright_picture = torch.rot90(picture, turns) if turns else picture
        self.data[:, first].copy_(upright_picture.permute(2, 0, 1))
        for place in others:
            self.data[:, place] = self.data[:, first]
