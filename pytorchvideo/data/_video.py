# SPDX-License-Identifier: Apache-2.0
"""The interface of video readers."""

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any


class Video(ABC):
    """A video that clips can be cut out of."""

    def __init__(  # noqa: B027 - a reader of one's own may have other arguments, or none
        self, file: Any = None, video_name: str | None = None, decode_audio: bool = True
    ) -> None:
        """Takes the arguments of PyTorchVideo's readers; a reader keeps what it needs of them itself."""

    @property
    @abstractmethod
    def name(self) -> str:
        """The name of the video."""

    @property
    @abstractmethod
    def duration(self) -> float | Fraction:
        """Its length in seconds."""

    @abstractmethod
    def get_clip(
        self, start_sec: float | Fraction, end_sec: float | Fraction
    ) -> dict[str, Any] | None:
        """Returns the clip ``[start_sec, end_sec)`` as a dict with ``"video"`` float32 (3, T, H, W) and ``"audio"``."""

    def close(self) -> None:  # noqa: B027 - readers without an open file need not close anything
        """Gives back what the reader holds."""
