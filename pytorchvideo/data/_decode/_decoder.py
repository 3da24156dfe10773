# SPDX-License-Identifier: Apache-2.0
"""The interface of decoders."""

from fractions import Fraction
from typing import Protocol

import torch

from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._limits import Budget
from pytorchvideo.data._decode._types import (
    AudioSamples,
    FrameFilter,
    FrameResize,
    Frames,
    FrameTransform,
    Orientation,
    Time,
    VideoInfo,
)


class Decoder(Protocol):
    """One open file."""

    info: VideoInfo

    @property
    def budget(self) -> Budget:
        """What a call may take."""

    def frames(
        self,
        start_sec: float | Fraction,
        end_sec: float | Fraction,
        frame_filter: FrameFilter | None,
        resize: FrameResize | None = None,
        dtype: torch.dtype = torch.uint8,
        frame_transform: FrameTransform | None = None,
    ) -> Frames | None:
        """Returns the frames with ``start_sec <= t < end_sec``, or None where there are none."""

    @property
    def index(self) -> FrameIndex | None:
        """The times of all frames, from one pass over the packets of the file; None without video."""

    def audio(self, start_sec: Time, end_sec: Time) -> AudioSamples | None:
        """Returns the samples with ``start_sec <= t < end_sec``, or None where there are none."""

    @property
    def orientation(self) -> Orientation:
        """How the first frame is shown."""

    def reopen(self) -> None:
        """Opens the file afresh."""

    def close(self) -> None:
        """Gives the file back."""
