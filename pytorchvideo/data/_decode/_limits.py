# SPDX-License-Identifier: Apache-2.0
"""Limits of memory and time for reading one clip."""

import contextlib
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from pytorchvideo._checks import expected
from pytorchvideo.data._decode._types import VideoError

VARIABLE = "PYTORCHVIDEO_MEMORY_LIMIT_BYTES"  # of the environment, for commands and what they start


def default_memory_limit() -> int:
    """Returns bytes: what the environment says, or 8 GiB, as 10 s of 1080p at 30 frames a second are 7.5 GB of float32.

    Raises:
        ValueError: the environment says something else than a number.
    """
    said = os.environ.get(VARIABLE, str(8 << 30))
    if not said.isdecimal() or int(said) == 0:
        raise ValueError(expected(VARIABLE, "a number of bytes > 0", said))
    return int(said)


MEMORY_LIMIT_BYTES = default_memory_limit()
TIME_LIMIT_SEC = 600.0

# What a decoder may keep: H.264 and HEVC refer to 16 pictures (ITU-T H.264 A.3.1, H.265 A.4.2), some wait to be shown.
_KEPT_PICTURES = 20
_RAISE = f"raise `memory_limit_bytes`, or {VARIABLE} for a command"
_PIXEL_BITS = 24  # of 4:2:0 with more than 8 bits a sample; some formats take more
# 143 million pixels of 8 GiB: 16384x8704 and with it 16K, the largest pictures of any level of HEVC and AV1.
_KEPT_BYTES_A_PIXEL = _KEPT_PICTURES * _PIXEL_BITS // 8


class LimitError(VideoError):
    """A limit would be passed; the message is whole, with the name of the file and the argument that raises it."""


@dataclass(frozen=True)
class Limits:
    """What one call of a reader may take.

    Args:
        memory_bytes: of its frames and its sound, and of what a decoder keeps.
        time_sec: of reading and decoding.

    Raises:
        ValueError: one of them is not positive.
    """

    memory_bytes: int = MEMORY_LIMIT_BYTES
    time_sec: float = TIME_LIMIT_SEC

    def __post_init__(self) -> None:
        if not self.memory_bytes > 0:
            raise ValueError(expected("memory_limit_bytes", "> 0 bytes", self.memory_bytes))
        if not self.time_sec > 0:
            raise ValueError(expected("time_limit_sec", "> 0 seconds", self.time_sec))

    @property
    def pixels(self) -> int:
        """The most pixels of a picture."""
        return self.memory_bytes // _KEPT_BYTES_A_PIXEL


class Budget:
    """What the current call of a reader has left of its limits.

    Args:
        name: of the file, for errors.
        limits: of each call.
    """

    def __init__(self, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        self._subject = name
        self._is_running = False
        self._deadline = math.inf
        self._held: dict[str, int] = {}

    @contextlib.contextmanager
    def call(self, subject: str | None = None) -> Iterator[None]:
        """One call, which has the limits to itself; calls in it share them.

        Args:
            subject: what errors begin with, such as the name of a file and a clip.
        """
        if self._is_running:
            yield
            return
        self._is_running, self._subject = True, subject or self.name
        self._deadline = time.monotonic() + self.limits.time_sec
        self._held.clear()
        try:
            yield
        finally:
            self._is_running, self._subject = False, self.name
            self._deadline = math.inf

    def check_time(self) -> None:
        """Raises a LimitError when the time of the call is over."""
        if time.monotonic() > self._deadline:
            raise LimitError(
                f"{self._subject}: not read after {self.limits.time_sec:g} s, the time limit of a clip. "
                "It may be made to waste time; raise `time_limit_sec` if it is only long."
            )

    def check_picture(self, width: int, height: int, bits_per_pixel: int = 0) -> None:
        """Raises a LimitError unless pictures of this size may be decoded."""
        kept = width * height * _KEPT_PICTURES * max(bits_per_pixel, _PIXEL_BITS) // 8
        if kept > self.limits.memory_bytes:
            what = f"pictures of {width}x{height} pixels"
            raise self._too_large(what, kept, f"If the file is to be trusted, {_RAISE}.")

    def hold(self, kind: str, what: str, num_bytes: int) -> None:
        """Counts memory for the rest of the call, instead of what was held of this kind.

        Raises:
            LimitError: it is too much beside what is held of other kinds.
        """
        others = sum(held for other, held in self._held.items() if other != kind)
        if others + num_bytes > self.limits.memory_bytes:
            raise self._too_large(what, others + num_bytes, f"Ask for less at a time, or {_RAISE}.")
        self._held[kind] = num_bytes

    def refused(self) -> LimitError:
        """The error for a picture that a decoder refused without saying its size."""
        return LimitError(
            f"{self._subject}: a picture is damaged, or has more than the {self.limits.pixels:,} pixels that a limit "
            f"of {_amount(self.limits.memory_bytes)} allows. If the file is to be trusted, {_RAISE}."
        )

    def _too_large(self, what: str, num_bytes: int, advice: str) -> LimitError:
        return LimitError(
            f"{self._subject}: reading {what} may take {_amount(num_bytes)}, but the limit is "
            f"{_amount(self.limits.memory_bytes)}. {advice}"
        )


def _amount(num_bytes: int) -> str:
    """As people read it.

    >>> _amount(8 << 30), _amount(307_200)
    ('8.6 GB', '0.3 MB')
    """
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"
