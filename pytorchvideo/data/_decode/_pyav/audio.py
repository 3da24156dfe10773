# SPDX-License-Identifier: Apache-2.0
"""Audio, exact to the sample, in the time of the video's frames."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from typing import Any

import av
import numpy as np
import torch

from pytorchvideo._text import counted
from pytorchvideo.data._decode._limits import Budget
from pytorchvideo.data._decode._pyav._compat import audio_resampler
from pytorchvideo.data._decode._pyav.container import Container, reason
from pytorchvideo.data._decode._types import (
    AudioSamples,
    Time,
    VideoError,
    ceil_ticks,
    window_name,
)

_PREROLL_SEC = Fraction(1, 2)  # overlap and bit reservoir of AAC, MP3, Opus, with room to spare
_PROBE_FRAMES = 12
_SAMPLE_BYTES = 4
# Vorbis varies its frames; those of TrueHD are shorter than the ticks of most containers, and come late after a seek.
_UNEVEN = frozenset({"vorbis", "truehd", "mlp"})


class AudioReader:
    """Cuts stretches out of the sound of a source, which must have been opened just now.

    ``origin`` is the zero of all times, in seconds of the container; it begins as the first sample.
    """

    def __init__(self, source: Container) -> None:
        self._source = source
        self._base: Fraction = source.audio.time_base
        self.rate: int = source.audio.codec_context.sample_rate
        self.start: Fraction = (source.audio.start_time or 0) * self._base
        self.origin = self.start
        # Matroska's milliseconds are longer than a sample, the 1/90000 s of MPEG fall between two.
        name = source.audio.codec_context.name
        self._exact = (1 / (self._base * self.rate)).denominator == 1 and name not in _UNEVEN
        self._grid = None if self._exact else self._find_grid()

    @cached_property
    def end(self) -> Fraction:
        """The end of the last sample, in seconds of the container."""
        stream = self._source.audio
        if stream.duration is None or not self._source.is_format("mp4", "avi"):
            return self._source.end_of(stream)
        return self.start + stream.duration * self._base

    def _find_grid(self) -> tuple[Fraction, int] | None:
        """(time of the second frame in the container, samples per frame) where all frames are alike, else None.

        Where times are rounded, it makes the position of a frame exact after a seek as well. The file must be fresh:
        only then is the priming of the codec cut off.
        """
        if self._source.audio.codec_context.name in _UNEVEN:
            return None
        frames = list(itertools.islice(self._frames(), _PROBE_FRAMES))
        sizes = {frame.samples for frame in frames[1:-1]}
        if len(sizes) != 1 or frames[0].pts is None:
            return None
        return frames[0].pts * self._base + Fraction(frames[0].samples, self.rate), sizes.pop()

    def read(self, start_sec: Time, end_sec: Time) -> AudioSamples | None:
        """Returns the samples with ``start_sec <= t < end_sec``.

        Sample k of the result is at ``start_sec + k / rate``; silence fills what lies before the first sample of
        the file. None where the sound has ended.

        Raises:
            LimitError: if it takes more memory or time than it may.
            VideoError: if the sound is damaged there, or changes its number of channels.
        """
        tick = Fraction(1, self.rate)
        first, last = int(ceil_ticks(start_sec, tick)), ceil_ticks(end_sec, tick)
        chunks, end = [], 0
        try:
            promised = min(last, math.ceil((self.end - self.origin) * self.rate))
            for position, samples in self.chunks(first, last):
                end = max(end, position + samples.shape[1])
                # in pieces, and put together
                hold_sound(self._source.budget, samples.shape[0], max(end, promised) - first, 2)
                chunks.append((position, samples))
        except (av.error.FFmpegError, EOFError) as error:
            window = window_name(self._source.name, start_sec, end_sec)
            raise VideoError(f"{window}: the sound is damaged: {reason(error)}.") from error
        if not chunks:
            return None
        data = np.zeros((chunks[0][1].shape[0], end - first), np.float32)
        for position, samples in chunks:
            data[:, position - first : position - first + samples.shape[1]] = samples
        return AudioSamples(torch.from_numpy(data), self.rate)

    def chunks(self, first: int, last: float) -> Iterator[tuple[int, np.ndarray]]:
        """(position, float32 (channels, S)) of the window's samples, positions counted from the origin."""
        frames = self._from(self.origin + Fraction(first, self.rate) - _PREROLL_SEC)
        convert: Any = None
        before: Any = None
        for position, frame in frames:
            if before is None or _kind(frame) != _kind(before):
                self._check_same(before or frame, frame)
                # Packed: PyAV reads beyond the planes of eight channels and more.
                convert, before = audio_resampler(format="flt"), frame
            for part in convert.resample(frame):
                samples = part.to_ndarray().reshape(part.samples, -1).T
                low, high = max(first, position), min(last, position + samples.shape[1])
                if low < high:
                    yield low, samples[:, low - position : int(high) - position]
            if position + frame.samples >= last:
                return

    def _check_same(self, before: Any, after: Any) -> None:
        """Raises a VideoError unless sound goes on with as many channels, and samples per second, as before."""
        for what, old, new in (
            ("channels", before.layout.nb_channels, after.layout.nb_channels),
            ("samples per second", before.sample_rate, after.sample_rate),
        ):
            if old != new:
                raise VideoError(
                    f"{self._source.name}: the sound changes from {old} to {new} {what}."
                )

    def _from(self, time: Fraction) -> Iterator[tuple[int, Any]]:
        """(position, frame) from a time of the container on; the time is on the safe side of what is wanted."""
        latest = (self.end - self.origin) * self.rate  # first of all: it may move the file
        # Without exact times and without a grid, only counting from the very start is exact.
        from_start = time <= self.start or not (self._exact or self._grid)
        if from_start:
            self._source.reopen()
        else:
            self._source.seek(self._source.audio, int(time / self._base))
            self._source.audio.codec_context.flush_buffers()
        frames = self._frames()
        head = list(itertools.islice(frames, 1 if from_start else 4))
        position = self._first_position(head)
        for frame in itertools.chain(head, frames):
            if frame.pts is not None:
                told = self._sample_of(frame)
                jitter = 2 * frame.samples + self._base * self.rate
                # A gap in the sound, and not the time of a damaged packet far beyond the end.
                if abs(told - position) > jitter and told <= latest:
                    position = told
            yield position, frame
            position += frame.samples

    def _frames(self) -> Iterator[Any]:
        """Decoded sound from where the file stands; packets that a seek has cut in two are left out."""
        context = self._source.audio.codec_context
        decoded = False
        for packet in self._source.packets(self._source.audio):
            self._source.budget.check_time()
            try:
                frames = context.decode(packet)
            except av.error.InvalidDataError:
                if decoded:
                    raise
                continue
            decoded = decoded or bool(frames)
            yield from frames
        yield from context.decode(None)

    def _sample_of(self, frame: Any) -> int:
        """Where a frame begins, in samples after the origin, as its rounded time says."""
        return round((frame.pts * self._base - self.origin) * self.rate)

    def _first_position(self, head: list[Any]) -> int:
        """Where the first of some consecutive frames begins.

        Told by the last of them: after a jump into the middle of an MPEG stream the first carries another's time.
        """
        timed = [i for i, frame in enumerate(head) if frame.pts is not None]
        if not timed:
            return 0
        before = sum(frame.samples for frame in head[: timed[-1]])
        position = self._sample_of(head[timed[-1]]) - before
        if self._grid is None:
            return position
        second, size = self._grid
        return snap(position, head[0].samples, round((second - self.origin) * self.rate), size)


def hold_sound(budget: Budget, channels: int, samples: float, times: int) -> None:
    """Counts the memory of so many samples, which are held so many times.

    Raises:
        LimitError: it is too much.
    """
    what = f"{counted(int(samples), 'sample', ',')} of {counted(channels, 'channel')}"
    budget.hold("sound", what, times * channels * int(samples) * _SAMPLE_BYTES)


def _kind(frame: Any) -> tuple[str, str, int]:
    """What one AudioResampler takes."""
    return frame.format.name, frame.layout.name, frame.sample_rate


def snap(position: int, samples: int, start: int, size: int) -> int:
    """Moves a frame so that it ends on the grid ``start + k * size``; the first frame may be shorter than others.

    >>> snap(1941, 960, 648, 960), snap(-336, 960, 648, 960), snap(1, 648, 648, 960)
    (1608, -312, 0)
    """
    return start + round((position + samples - start) / size) * size - samples
