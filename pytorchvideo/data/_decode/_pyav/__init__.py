# SPDX-License-Identifier: Apache-2.0
"""Video files through PyAV, which carries FFmpeg. Nothing outside this folder touches PyAV."""

from contextlib import ExitStack
from fractions import Fraction
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import av
import torch

from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._limits import Budget, Limits
from pytorchvideo.data._decode._pyav._compat import pixel_format
from pytorchvideo.data._decode._pyav.audio import AudioReader
from pytorchvideo.data._decode._pyav.clip_frames import orientation_of
from pytorchvideo.data._decode._pyav.container import Container, reason
from pytorchvideo.data._decode._pyav.video import FrameReader
from pytorchvideo.data._decode._types import (
    AudioSamples,
    FrameFilter,
    FrameResize,
    Frames,
    FrameTransform,
    Orientation,
    Time,
    VideoError,
    VideoInfo,
    window_name,
)

__all__ = ["PyAVDecoder", "versions"]

_LEAST_BIT_RATE = 10  # per second; a still picture takes more


class PyAVDecoder:
    """Decodes one file with FFmpeg.

    Args:
        file: a path or a seekable binary file.
        name: what errors call it.
        video: whether frames will be asked for.
        audio: whether sound will be asked for.
        seek: False reads every clip from the start of the file.
        limits: of each call, so that a file made to waste time or memory can do neither.
        index: :attr:`index` of an earlier open of the same file, which makes this one cheaper.

    Raises:
        VideoError: if FFmpeg cannot read it, or it holds no video although that was asked for.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        name: str,
        *,
        video: bool = True,
        audio: bool = True,
        seek: bool = True,
        limits: Limits | None = None,
        index: FrameIndex | None = None,
    ) -> None:
        self._is_lent = False
        try:
            with ExitStack() as on_failure:
                self._source = Container(file, name, video=video, audio=audio, limits=limits)
                on_failure.callback(self._source.close)
                with self.budget.call():
                    self._open(video, seek, index)
                on_failure.pop_all()
        except (av.error.FFmpegError, EOFError) as error:
            raise VideoError(
                f"{name} is not a readable video: {reason(error)}. "
                "It is damaged, cut off, or something else."
            ) from error

    def _open(self, video: bool, seek: bool, index: FrameIndex | None) -> None:
        # The order matters: the sound looks at a fresh file.
        self._sound = AudioReader(self._source) if self._source.audio is not None else None
        self._frames = FrameReader(self._source, seek=seek, index=index) if video else None
        if self._sound is not None and self._frames is not None:
            self._sound.origin = self._frames.origin
        self.info = self._read_info()
        self._check_duration()

    def _read_info(self) -> VideoInfo:
        source, frames, sound = self._source, self._frames, self._sound
        context = source.video.codec_context if frames is not None else None
        ends = [frames.duration] if frames is not None else []
        if sound is not None:
            ends.append(sound.end - sound.origin)
        return VideoInfo(
            name=source.name,
            format=source.format,
            duration=max(ends, default=source.duration or Fraction(0)),
            has_video=frames is not None,
            has_audio=sound is not None,
            codec=context.name if context else None,
            pix_fmt=pixel_format(context) if context else None,
            width=context.width if context else None,
            height=context.height if context else None,
            stream_index=source.video.index if context else None,
            rate=frames.rate if frames is not None else None,
            bit_rate=context.bit_rate or source.bit_rate if context else None,
            video_duration=frames.duration if frames is not None else None,
            pixel_aspect=source.video.sample_aspect_ratio or None if context else None,
            audio_codec=source.audio.codec_context.name if sound is not None else None,
            audio_rate=sound.rate if sound is not None else None,
        )

    def _check_duration(self) -> None:
        """Raises a VideoError for a time that a damaged number tells: it would mean clips without end."""
        name, seconds, size = self._source.name, self.info.duration, self._source.size
        if 0 < 8 * size < seconds * _LEAST_BIT_RATE:
            raise VideoError(
                f"{name} should last {float(seconds):.0f} s, but has only {size} bytes: its times are damaged."
            )

    @property
    def budget(self) -> Budget:
        """What a call may take."""
        return self._source.budget

    def frames(
        self,
        start_sec: Time,
        end_sec: Time,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
        dtype: torch.dtype = torch.uint8,
        frame_transform: FrameTransform | None = None,
    ) -> Frames | None:
        """See :meth:`FrameReader.read`; None also where no frames were asked for."""
        if self._frames is None:
            return None
        if self._is_lent:
            self._source.moves += 1
        with self.budget.call(window_name(self._source.name, start_sec, end_sec)):
            return self._frames.read(
                start_sec, end_sec, frame_filter, resize, dtype, frame_transform
            )

    @property
    def index(self) -> FrameIndex | None:
        """See :attr:`FrameReader.index`; None where no frames were asked for."""
        with self.budget.call():
            return self._frames.index if self._frames is not None else None

    def audio(self, start_sec: Time, end_sec: Time) -> AudioSamples | None:
        """See :meth:`AudioReader.read`; None also where there is no sound."""
        with self.budget.call(window_name(self._source.name, start_sec, end_sec)):
            return self._sound.read(start_sec, end_sec) if self._sound else None

    @cached_property
    def orientation(self) -> Orientation:
        """How the first frame is shown; upright where there is none, or it cannot be decoded."""
        source = self._source
        if source.video is None:
            return Orientation()
        source.rewind()
        source.video.codec_context.flush_buffers()
        try:
            with self.budget.call():
                # None: what it still holds
                for packet in chain(source.packets(source.video), [None]):
                    self.budget.check_time()
                    for frame in source.decode(packet):
                        return orientation_of(frame)
            return Orientation()
        except (av.error.FFmpegError, EOFError):
            return Orientation()

    @property
    def container(self) -> Any:
        """What PyAV opened; whoever reads from it moves it, so no clip goes on where the last one ended."""
        self._is_lent = True
        return self._source.container

    def reopen(self) -> None:
        """Opens the file afresh, in a process that was forked, for instance."""
        self._source.reopen()

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._source.close()


def versions() -> str:
    """Returns the versions of PyAV and of the FFmpeg libraries that it carries."""
    libraries = ", ".join(
        f"{name} {'.'.join(map(str, numbers))}" for name, numbers in av.library_versions.items()
    )
    return f"{av.__version__} with FFmpeg's {libraries}"
