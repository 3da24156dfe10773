# SPDX-License-Identifier: Apache-2.0
"""Live video: frames of a camera, a network stream, a pipe or a file, in bounded memory.

    source ── decode, scale ──> buffer ──> take()
              (a thread)        (drops its oldest frames when nobody takes them)

What is live goes on whether anybody keeps up with it or not. So a thread reads it, and what is too old for the buffer
is dropped and counted. A file waits: without ``realtime`` it is read when frames are taken, and nothing is dropped.
"""

import math
import os
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np
import torch

from pytorchvideo._checks import expected
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._limits import MEMORY_LIMIT_BYTES, Limits
from pytorchvideo.data._decode._pyav.live import (
    Decoded,
    LiveInput,
    RawFormat,
    address_of,
)

__all__ = ["FrameBuffer", "LiveFrame", "LiveVideo", "RawFormat"]

_LATE_SEC = 0.5  # later than that, frames are decoded but not looked at
_VERY_LATE_SEC = 2.0  # later than that, only key frames are decoded
_PAUSES_SEC = (0.5, 1.0, 2.0, 4.0, 8.0)  # before each attempt to reach a source again
_DRIFT = 1e-4  # of one clock against another, at most
_INTERVALS = 31  # of frames, from which their rate is measured
_SAME_RATE = 0.2  # the share by which rates may differ that are the same
_DEFAULT_RATE = 30.0
_MOST_FRAMES = 1024


@dataclass(frozen=True, repr=False)
class LiveFrame:
    """One frame.

    Attributes:
        time_sec: after the first frame of the source.
        data: uint8 (3, H, W), upright RGB, or what the transform has made of it.
        arrival_sec: when it came, on the clock ``time.monotonic``; for a frame that came late, when it was due.
    """

    time_sec: float
    data: torch.Tensor
    arrival_sec: float

    def __repr__(self) -> str:
        return f"LiveFrame(time_sec={self.time_sec:.3f}, data={tuple(self.data.shape)})"


class FrameBuffer:
    """Frames between the thread that reads them and the one that takes them.

    Args:
        capacity: frames that are kept; one more drops the oldest.
        most_bytes: that are kept; with more, the oldest are dropped down to the latest.

    >>> buffer = FrameBuffer(2)
    >>> for frame in "abc":
    ...     buffer.put(frame)
    >>> buffer.take(), buffer.dropped
    (['b', 'c'], 1)
    """

    def __init__(self, capacity: int, most_bytes: float = math.inf) -> None:
        if capacity < 1:
            raise ValueError(expected("capacity", ">= 1 frame", capacity))
        self._capacity, self._most_bytes = capacity, most_bytes
        self._frames: deque[tuple[Any, int]] = deque()  # with their bytes
        self._bytes = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._error: Exception | None = None
        self.dropped = 0

    def put(self, frame: Any, num_bytes: int = 0) -> None:
        """Adds a frame that takes so much memory."""
        with self._changed:
            self._frames.append((frame, num_bytes))
            self._bytes += num_bytes
            while len(self._frames) > 1 and (
                len(self._frames) > self._capacity or self._bytes > self._most_bytes
            ):
                self._bytes -= self._frames.popleft()[1]
                self.dropped += 1
            self._changed.notify()

    def close(self, error: Exception | None = None) -> None:
        """Says that no frame follows, and why where that is an error."""
        with self._changed:
            self._is_closed, self._error = True, error
            self._changed.notify()

    def take(self) -> list[Any]:
        """Returns all frames that are there, at least one; none at the end.

        Raises:
            Exception: what the reader ended with, once its frames are taken.
        """
        with self._changed:
            while not self._frames and not self._is_closed:
                self._changed.wait(0.5)  # without a limit, Ctrl+C would wait on some systems
            frames = [frame for frame, _ in self._frames]
            self._frames.clear()
            self._bytes = 0
            if not frames and self._error is not None:
                raise self._error
            return frames


class LiveVideo:
    """Frames of a source as they come.

    Args:
        source: a file; the number of a camera; an address such as ``rtsp://...``; or ``"-"``, standard input.
        realtime: drop frames rather than fall behind; a file plays at its own speed. By default for all that is no
            file.
        transform: of each frame, uint8 (3, H, W): scales it, for instance, so that frames that wait take little
            memory.
        raw: of frames without a container; of a camera, the mode that is asked for.
        buffer_sec: what is kept for who is slow, in seconds of the source.
        timeout_sec: without data from the network or a camera, after which it counts as lost.
        reconnects: attempts in a row to reach a source of the network again.
        memory_limit_bytes: of the frames that wait to be taken, and of what a decoder may keep: see
            :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file or camera, or it is a directory.
        VideoError: (a RuntimeError) it is no video, or does not answer.
        ValueError: standard input is closed or a terminal, or an argument is out of range.

    Attributes:
        name: of the source, without a password.
        realtime: whether frames may be dropped.
        read: frames that came.
        seconds: of the source that came.
        frame_sec: from one frame to the next: what the header says, or what is measured where that is wrong.
        on_frame: is called, before a frame can be taken, with its pixels in full size, uint8 (H, W, 3), and its time
            in seconds; also for frames that nobody will take. With ``realtime`` a thread calls it.
        on_note: is called with a sentence for what a user should know, such as a lost connection.

    Example::

        with LiveVideo("rtsp://camera/stream") as video:
            while frames := video.take():
                newest = frames[-1]
    """

    def __init__(
        self,
        source: str | int | os.PathLike[str],
        *,
        realtime: bool | None = None,
        transform: Callable[[torch.Tensor], torch.Tensor] | None = None,
        raw: RawFormat | None = None,
        buffer_sec: float = 3.0,
        timeout_sec: float = 10.0,
        reconnects: int = 3,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        limits = {"buffer_sec": buffer_sec, "timeout_sec": timeout_sec}
        for name, value in limits.items():
            if not value > 0:
                raise ValueError(expected(name, "> 0 seconds", value))
        if reconnects < 0:
            raise ValueError(expected("reconnects", ">= 0", reconnects))
        self._memory = Limits(memory_limit_bytes)
        address = address_of(source if isinstance(source, int) else os.fspath(source), raw)
        self.name = address.name
        self.realtime = realtime if realtime is not None else not address.is_file
        self.read = 0
        self.seconds = 0.0
        self.on_frame: Callable[[np.ndarray, float], None] | None = None
        self.on_note: Callable[[str], None] = lambda sentence: None
        self._timeout_sec, self._reconnects = timeout_sec, reconnects
        self._transform = transform or torch.Tensor.contiguous
        self._input = LiveInput(address, timeout_sec, self._memory)
        self._rate = float(self._input.rate or _DEFAULT_RATE)
        self.frame_sec = 1 / self._rate
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)
        # what has a length can be played at its own speed
        self._plays = self.realtime and (address.is_file or self._input.duration_sec is not None)
        capacity = min(_MOST_FRAMES, int(buffer_sec * self._rate) + 1)
        self._buffer = FrameBuffer(capacity, memory_limit_bytes)
        self._skipped = 0
        self._is_damaged = False
        self._stopped = threading.Event()
        self._frames = self._read()
        self._thread = threading.Thread(target=self._fill, name="live video", daemon=True)

    @property
    def dropped(self) -> int:
        """Frames that came and that nobody got."""
        return self._buffer.dropped + self._skipped

    def _measure(self, interval: float) -> None:
        """Updates ``frame_sec``: by the header, unless what comes of a live source is something else."""
        self._intervals.append(interval)
        if self._input.address.is_file or len(self._intervals) < _INTERVALS // 2:
            return
        measured = statistics.median(self._intervals)
        self.frame_sec = 1 / self._rate if abs(measured * self._rate - 1) < _SAME_RATE else measured

    def take(self) -> list[LiveFrame]:
        """Returns the frames that came since the last call, waiting for one; an empty list at the end.

        Without ``realtime`` it is the next frame.

        Raises:
            VideoError: the source broke off.
        """
        if not self.realtime:
            frame = next(self._frames, None)
            return [] if frame is None else [frame]
        if self._thread.ident is None:
            self._thread.start()
        return self._buffer.take()

    def _fill(self) -> None:
        try:
            for frame in self._frames:
                self._buffer.put(frame, frame.data.nbytes)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again where frames are taken
            self._buffer.close(error)
        else:
            self._buffer.close()
        finally:
            self._input.close()

    def _read(self) -> Iterator[LiveFrame]:
        """The frames that are in time."""
        clock = _Clock(self._plays, self._stopped)
        for decoded, seconds in self._timed():
            self.read += 1
            self.seconds = seconds + self.frame_sec
            arrival, late = time.monotonic(), 0.0
            if self.realtime and decoded.frame is not None:
                arrival = clock.due(seconds, decoded.waited)
                late = time.monotonic() - arrival
                limit = _LATE_SEC if self._input.keys_only else _VERY_LATE_SEC
                self._input.keys_only = late > limit
            if self._stopped.is_set():
                return
            if self._input.damaged and not self._is_damaged:
                self._is_damaged = True
                self.on_note(f"{self.name}: what is damaged is left out, first at {seconds:.2f} s.")
            if decoded.frame is None or late > _LATE_SEC:
                self._skipped += 1
                continue
            picture = self._input.picture(decoded)
            if self.on_frame is not None:
                self.on_frame(picture, seconds)
            data = self._transform(torch.from_numpy(picture).permute(2, 0, 1))
            yield LiveFrame(seconds, data, arrival)

    def _timed(self) -> Iterator[tuple[Decoded, float]]:
        """What comes, over lost connections, with times that begin at 0 and never go back."""
        last: float | None = None  # the time of the latest frame
        shift: float | None = None  # from the times of the source to these
        for decoded, gap in self._inputs():
            if decoded.frame is None:
                yield decoded, last or 0.0
                continue
            # the first frame; that of a new connection, whose clock is another one; any other
            soonest = 0.0 if last is None else last + (gap or self.frame_sec)
            seconds = decoded.seconds
            if seconds is None and self.realtime and not self._plays:
                seconds = time.monotonic()
            if shift is None or gap is not None:
                shift = None if seconds is None else soonest - seconds
            now = soonest if seconds is None or shift is None else seconds + shift
            if last is not None and now <= last:
                now, shift = soonest, soonest - (seconds or 0.0)
            if last is not None and gap is None:
                self._measure(now - last)
            last = now
            yield decoded, now

    def _inputs(self) -> Iterator[tuple[Decoded, float | None]]:
        """What comes; the first of a further connection with the seconds in between."""
        lost_at: float | None = None
        while True:
            came = time.monotonic()
            lost: VideoError | None = None
            try:
                for decoded in self._input.decoded():
                    came = time.monotonic()
                    yield decoded, None if lost_at is None else came - lost_at
                    lost_at = None
            except VideoError as error:
                lost = error
            lost_at = came
            if not self._reconnect(f"{self.name} ended." if lost is None else str(lost)):
                if lost is not None:
                    raise lost
                return

    def _reconnect(self, why: str) -> bool:
        """Whether the source could be reached again."""
        if not self._input.address.is_network or self._input.duration_sec is not None:
            return False
        self._input.close()
        for attempt in range(self._reconnects):
            pause = _PAUSES_SEC[min(attempt, len(_PAUSES_SEC) - 1)]
            self.on_note(f"{why} Attempt {attempt + 1} of {self._reconnects} in {pause:g} s.")
            if self._stopped.wait(pause):
                break
            try:
                self._input = LiveInput(self._input.address, self._timeout_sec, self._memory)
            except VideoError as error:
                why = str(error)
            else:
                return True
        return False

    def close(self) -> None:
        """Gives the source back; a second call does nothing."""
        self._stopped.set()
        if self._thread.ident is None:
            self._input.close()
        else:
            # A read that blocks ends with the process; to close what it reads from would crash it.
            self._thread.join(timeout=1.0)

    def __enter__(self) -> "LiveVideo":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Clock:
    """When frames are due.

    Args:
        plays: whether frames are held back until their time has come.
        stopped: ends the holding back.
    """

    def __init__(self, plays: bool, stopped: threading.Event) -> None:
        self._plays, self._stopped = plays, stopped
        self._begin: float | None = None  # when the frame of time 0 was due
        self._now = 0.0

    def due(self, seconds: float, waited: bool) -> float:
        """Returns when a frame of this time is due; what comes later than the others is late."""
        now = time.monotonic()
        if self._begin is None:
            self._begin = now - seconds
        elif not self._plays:
            self._begin = min(now - seconds, self._begin + _DRIFT * (now - self._now))
            if waited:  # for data: then we are up to date, and the sender paused
                self._begin = now - seconds
        self._now, due = now, self._begin + seconds
        if self._plays and now < due:
            self._stopped.wait(due - now)
        return due
