# SPDX-License-Identifier: Apache-2.0
"""The tensor of a clip, into which frames are put one by one."""

import math

import torch

from pytorchvideo._text import counted
from pytorchvideo.data._decode._limits import Budget
from pytorchvideo.data._decode._memory import clip_memory
from pytorchvideo.data._decode._types import FrameTransform

_CPU = torch.device("cpu")


class ClipTensor:
    """Frames of one size; a transform sees each alone, so that they are never held together as they were.

    Args:
        count: how many there will be.
        dtype: of frames, torch.uint8 or torch.float32.
        budget: what they may take.
        transform: see :data:`FrameTransform`; no transform keeps frames as they are.
        device: where all of this is.

    Attributes:
        data: (C, T, h, w); None until the first frame has come.
        size: (height, width) of the frames before the transform; None until the first has come.
    """

    def __init__(
        self,
        count: int,
        dtype: torch.dtype,
        budget: Budget,
        transform: FrameTransform | None,
        device: torch.device = _CPU,
    ) -> None:
        self._count, self._dtype = count, dtype
        self._budget = budget
        self._transform = transform
        self._device = device
        self._whole: torch.Tensor | None = None  # a frame before the transform
        self.data: torch.Tensor | None = None
        self.size: tuple[int, int] | None = None

    def check(self, height: int, width: int) -> None:
        """Raises a LimitError unless frames of this size may be put."""
        count = 1 if self._transform is not None else self._count
        self._hold((3, count, height, width), self._dtype)

    def put(self, picture: torch.Tensor, places: list[int]) -> None:
        """Writes a frame, uint8 (3, H, W), to one or several places.

        Raises:
            LimitError: all frames together take too much memory.
        """
        if self.data is None:
            self.size = picture.shape[1], picture.shape[2]
        if self._transform is None:
            frame = picture[:, None]
        else:
            if self._whole is None:
                self._whole = self._empty((3, 1, *picture.shape[1:]), self._dtype)
            transformed = self._transform(self._whole.copy_(picture[:, None]))
            if transformed is None:
                self._transform = None
                self.check(*picture.shape[1:])
            frame = self._whole if transformed is None else transformed
        if self.data is None:
            dtype = self._dtype if self._transform is None else frame.dtype
            shape = frame.shape[0], self._count, frame.shape[2], frame.shape[3]
            self._hold(shape, dtype)
            self.data = self._empty(shape, dtype)
        first, *others = places
        self.data[:, first].copy_(frame[:, 0])
        for place in others:
            self.data[:, place] = self.data[:, first]

    def whole(self) -> torch.Tensor:
        """The clip, once all frames are in it."""
        if self.data is None:
            raise ValueError("Expected a frame to be put first, but got none.")
        return self.data

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        if self._device.type == "cpu":
            return clip_memory.empty(shape, dtype)
        return torch.empty(shape, dtype=dtype, device=self._device)

    def _hold(self, shape: tuple[int, int, int, int], dtype: torch.dtype) -> None:
        _, count, height, width = shape
        frames = counted(count, "frame", ",")
        what = f"{frames} of {width}x{height} pixels as {str(dtype).removeprefix('torch.')}"
        self._budget.hold("frames", what, math.prod(shape) * dtype.itemsize)
