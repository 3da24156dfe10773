# SPDX-License-Identifier: Apache-2.0
"""Transcoding to files that are cheap to read in training: small, dense key frames, no B-frames."""

import errno
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.video.reformatter import Interpolation, VideoReformatter

from pytorchvideo._checks import expected
from pytorchvideo._files import whole_file
from pytorchvideo.data._decode._pyav.audio import AudioReader
from pytorchvideo.data._decode._pyav.clip_frames import orientation_of
from pytorchvideo.data._decode._pyav.container import Container, reason
from pytorchvideo.data._decode._pyav.files import file_address
from pytorchvideo.data._decode._pyav.video import FrameReader
from pytorchvideo.data._decode._pyav.whole import SLACK_SEC, PacketTimes
from pytorchvideo.data._decode._types import VideoError, check_file

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
# All of a processor with AVX-512 that x264 knows, but AVX-512. With that, one file in fifty is another one on a busy
# machine, where pictures are an odd number of macroblocks wide: the last of these gets other bits for the same input
# (x264 core 165, one thread, not without its macroblock tree; `benchmarks/faults.py encodes`). It is no faster either.
_STEADY = "asm=MMX2,SSE2Fast,SSSE3,SSE4.2,AVX,FMA3,BMI2,AVX2"
_COLOURS = ("colorspace", "color_range", "color_primaries", "color_trc")


@dataclass(frozen=True)
class TrainingFormat:
    """The form of a transcoded video: H.264 in mp4, its index first, no frame shown out of decoding order.

    Args:
        short_side: of the frames in pixels; smaller ones keep their size. None keeps every size.
        gop: frames from one key frame to the next, at most.
        crf: quality, 0 (lossless) to 51; 18 to 23 is usual.
        preset: of x264, ``"ultrafast"`` to ``"veryslow"``: time for size.
        audio: whether to keep the sound, as AAC; more than two channels become their mean.
    """

    short_side: int | None = 320
    gop: int = 12
    crf: int = 21
    preset: str = "fast"
    audio: bool = True

    def __post_init__(self) -> None:
        if self.short_side is not None and self.short_side < 2:
            raise ValueError(expected("short_side", ">= 2 pixels", self.short_side))
        if self.gop < 1:
            raise ValueError(expected("gop", ">= 1 frames", self.gop))
        if not 0 <= self.crf <= 51:
            raise ValueError(expected("crf", "from 0 to 51", self.crf))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) of frames of this size: even, never enlarged.

        >>> TrainingFormat(short_side=320).size(1920, 1080), TrainingFormat().size(175, 143)
        ((568, 320), (174, 142))
        """
        short = min(width, height)
        scale = Fraction(min(self.short_side or short, short), short)
        return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def transcode(path: str | Path, target: Path, training_format: TrainingFormat) -> None:
    """Writes a video anew; the file appears only when it is complete.

    Every frame is kept, at its time after the first one, and so is the rotation that a player applies.

    Args:
        path: the video.
        target: the mp4 file to write; its folder exists.
        training_format: see :class:`TrainingFormat`.

    Raises:
        FileNotFoundError: there is no such file.
        VideoError: it cannot be read to its end, as its header promises it.
        OSError: the target cannot be written, since the disk is full, for instance.
    """
    file = Path(path)
    check_file(file)
    try:
        with whole_file(target) as part:
            _write(file, part, training_format)
    except (av.error.FFmpegError, EOFError) as error:
        if isinstance(error, av.error.FFmpegError) and error.errno in _CANNOT_WRITE:
            raise OSError(error.errno, error.strerror, str(target)) from error
        raise VideoError(f"{file} cannot be read to its end: {reason(error)}.") from error


def _write(file: Path, target: Path, training_format: TrainingFormat) -> None:
    pictures = Container(file, str(file), video=True, audio=False)
    sounds: Container | None = None
    try:
        reader = FrameReader(pictures)
        if training_format.audio:
            sounds = Container(file, str(file), video=False, audio=True)
        sound = AudioReader(sounds) if sounds is not None and sounds.audio is not None else None
        with av.open(
            file_address(target), "w", format="mp4", options={"movflags": "faststart"}
        ) as container:
            video = _VideoTrack(container, pictures, reader, training_format)
            audio = None
            if sound is not None:
                sound.origin = reader.origin
                audio = _AudioTrack(container, sound)
            for seconds, frame in _frames(pictures, reader):
                video.write(seconds, frame)
                if audio is not None:
                    audio.write_up_to(seconds)
            video.finish()
            if audio is not None:
                audio.write_up_to(None)
    finally:
        pictures.close()
        if sounds is not None:
            sounds.close()


def _frames(source: Container, reader: FrameReader) -> Iterator[tuple[Fraction, Any]]:
    """(seconds after the first frame, frame) of the whole video.

    Raises:
        VideoError: a packet is damaged, or the video ends before the time that its header promises.
    """
    index = reader.index
    times = dict(zip(index.pts.tolist(), index.times, strict=True))
    in_order = iter(index.times)
    source.rewind()
    source.video.codec_context.flush_buffers()
    held, last = PacketTimes(source.shows, source.has_times), Fraction(-1)
    for packet in itertools.chain(source.packets(source.video), [None]):
        if packet is not None:  # None: what the decoder still holds
            held.add(packet)
        for frame in source.decode(packet):
            shown = times.get(frame.pts) if index.is_trusted else next(in_order, None)
            if shown is not None and shown > last:
                last = shown
                yield shown, frame
    if last < 0:
        raise VideoError(f"{source.name} has a video stream without a single frame.")
    if held.damage is not None:
        raise VideoError(f"{source.name} has a damaged packet at {held.damage:.3f} s.")
    is_short = held.fault is None and held.seconds + SLACK_SEC < reader.duration
    if is_short or source.is_cut_off(source.video):
        raise VideoError(
            f"{source.name} is cut off: its pictures end at {held.seconds:.3f} s, but its header promises "
            f"{float(reader.duration):.3f} s."
        )


def _processor_options() -> dict[str, str]:
    """Options of libx264 with which the same frames are the same bytes, whatever else the machine does."""
    has_avx512 = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return {"x264-params": _STEADY} if has_avx512 else {}


class _VideoTrack:
    """Encodes frames of any size and format as those of the first one."""

    def __init__(
        self,
        container: Any,
        source: Container,
        reader: FrameReader,
        training_format: TrainingFormat,
    ) -> None:
        self._container = container
        self._format = training_format
        self._base = reader.base
        self._converter = VideoReformatter()
        self._rate = reader.rate or 30
        self._stream = container.add_stream(
            "libx264",
            rate=self._rate,
            options={
                "crf": str(training_format.crf),
                "preset": training_format.preset,
                "bf": "0",
                "g": str(training_format.gop),
                **_processor_options(),
            },
        )
        self._stream.codec_context.thread_count = 1  # files are encoded side by side
        self._pixel_aspect = source.video.sample_aspect_ratio
        self._is_open = False

    def write(self, seconds: Fraction, frame: Any) -> None:
        """Adds a frame at a time."""
        if not self._is_open:
            self._open(frame)
        context = self._stream.codec_context
        packed = self._converter.reformat(
            frame,
            context.width,
            context.height,
            "yuv420p",
            interpolation=Interpolation.BICUBIC,
            threads=1,
        )
        packed.pict_type = av.video.frame.PictureType.NONE  # that of the source is not to be kept
        packed.time_base, packed.pts = self._base, round(seconds / self._base)
        self._container.mux(self._stream.encode(packed))

    def finish(self) -> None:
        """Adds what the encoder still holds."""
        self._container.mux(self._stream.encode(None))

    def _open(self, frame: Any) -> None:
        context = self._stream.codec_context
        context.width, context.height = self._format.size(frame.width, frame.height)
        context.pix_fmt, context.time_base = "yuv420p", self._base
        for name in _COLOURS:
            setattr(context, name, getattr(frame, name))
        if self._pixel_aspect:
            context.sample_aspect_ratio = self._pixel_aspect
        turned, flip_x, flip_y = shown = orientation_of(frame)
        if any(shown):  # counter-clockwise, which is a transposed picture upside down
            self._stream.set_display_rotation(90 * turned, hflip=flip_x, vflip=flip_y != turned)
        self._is_open = True


class _AudioTrack:
    """Encodes the sound of a reader as AAC, a little ahead of the frames."""

    def __init__(self, container: Any, reader: AudioReader) -> None:
        self._container = container
        self._rate = reader.rate
        self._position = 0
        # What the last packet holds beyond the end is not heard.
        self._chunks = reader.chunks(0, round((reader.end - reader.origin) * reader.rate))
        rate = reader.rate if reader.rate in _AAC_RATES else 48000
        self._pending = next(self._chunks, None)
        is_stereo = self._pending is not None and self._pending[1].shape[0] == 2
        self._layout = "stereo" if is_stereo else "mono"
        self._stream = container.add_stream("aac", rate=rate, layout=self._layout)

    def write_up_to(self, seconds: Fraction | None) -> None:
        """Adds sound up to a time, or all that is left."""
        while self._pending is not None:
            position, samples = self._pending
            if seconds is not None and position > seconds * self._rate:
                return
            if position > self._position:  # silence where the sound begins late, or has a gap
                silence = np.zeros((samples.shape[0], position - self._position), np.float32)
                samples = np.concatenate([silence, samples], axis=1)
            self._encode(samples)
            self._pending = next(self._chunks, None)
        if seconds is None:
            self._mux(self._stream.encode(None))

    def _encode(self, samples: np.ndarray) -> None:
        if self._layout == "mono":
            samples = samples.mean(axis=0, keepdims=True)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout=self._layout
        )
        frame.sample_rate, frame.pts = self._rate, self._position
        frame.time_base = Fraction(1, self._rate)
        self._position += samples.shape[1]
        self._mux(self._stream.encode(frame))

    def _mux(self, packets: list[Any]) -> None:
        """Writes packets; the last one is full to 1,024 samples, but lasts only as long as the sound."""
        for packet in packets:
            end = round(Fraction(self._position, self._rate) / packet.time_base)
            packet.duration = max(1, min(packet.duration, end - packet.pts))
            self._container.mux(packet)
