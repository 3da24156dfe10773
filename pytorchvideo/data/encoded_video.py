# SPDX-License-Identifier: Apache-2.0
"""Video files: open one, cut clips out of it."""

import contextlib
import io
import logging
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import torch

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.data._decode import (
    Decoder,
    FrameFilter,
    FrameIndex,
    FrameResize,
    Frames,
    VideoError,
    as_window,
    check_dtype,
    check_file,
    floor_ticks,
    pick_frames,
)
from pytorchvideo.data._decode._frame_index import IndexCache
from pytorchvideo.data._decode._pyav import PyAVDecoder
from pytorchvideo.data._decode._remote import open_remote, shared
from pytorchvideo.data._decode._torchcodec import TorchCodecDecoder, check_device, video_decoder
from pytorchvideo.data.video import Video

logger = logging.getLogger(__name__)

DECODERS = ("auto", "pyav", "torchcodec", "torchvision", "decord")
_said: set[str] = set()


class EncodedVideo(Video):
    """A video file; only what a clip needs is read from it.

    Args:
        file: a path, or a seekable binary file.
        video_name: the name of the video; by default that of the file.
        decode_video: False gives clips whose ``"video"`` is None.
        decode_audio: False gives clips whose ``"audio"`` is None.
        decoder: ``"pyav"``; ``"torchcodec"`` (an extra), which gives the same frames; or ``"auto"``, which is PyAV.
            ``"torchvision"`` and ``"decord"``, which no longer exist, mean ``"auto"``.
        perform_seek: False reads every clip from the start of the file.
        dtype: of a clip's ``"video"``: ``torch.float32``, or ``torch.uint8`` for a quarter of the memory.
        time_limit_sec: of PyAV's decoding of one clip, so that a file made to waste time cannot stop an epoch.
        device: ``"cuda"``, for ``decoder="torchcodec"`` alone, decodes on the GPU and leaves ``"video"`` there. Its
            pixels are not quite those of the CPU.
        index_cache: where to keep the frame index, for a cheaper open next time: a folder, or ``"beside"`` for the
            folder of the video. None reads an index only where one is needed, and keeps it in memory.

    Raises:
        ImportError: for ``decoder="torchcodec"`` where that is not installed.
        RuntimeError: for ``device="cuda"`` without a GPU.
        ValueError: for any other argument that is none of those.
        VideoError: (a RuntimeError) if the file is empty, no video, damaged, or without a video stream.

    Shape:
        A clip's ``"video"`` is ``dtype`` (3, T, H, W) in 0..255, upright RGB; its ``"audio"`` is float32 (S,) in
        [-1, 1], the mean of the channels at the file's own rate. Times are seconds after the first frame.

    Example::

        with EncodedVideo.from_path("archery.mp4") as video:
            clip = video.get_clip(0, 2)
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        video_name: str | None = None,
        decode_video: bool = True,
        decode_audio: bool = True,
        decoder: str = "pyav",
        perform_seek: bool = True,
        dtype: torch.dtype = torch.float32,
        time_limit_sec: float = 600.0,
        *,
        device: str | torch.device = "cpu",
        index_cache: str | os.PathLike[str] | IndexCache | None = None,
    ) -> None:
        target = check_reading(decoder, dtype, device)
        if not time_limit_sec > 0:
            raise ValueError(expected("time_limit_sec", "> 0 seconds", time_limit_sec))
        if video_name is None:
            video_name = Path(str(getattr(file, "name", file))).name
        self._name = video_name
        self._decode_video = decode_video
        self._decode_audio = decode_audio
        self._dtype = dtype
        self._on_close = contextlib.ExitStack()
        cache = _cache_of(file, index_cache)
        known = cache.load() if cache is not None else None
        other = file
        if decoder == "torchcodec" and not isinstance(file, (str, Path)):
            file, other = shared(file), shared(file)
        # A file that is only asked for sound may have no pictures.
        self._decoder: Decoder = PyAVDecoder(
            file,
            video_name,
            video=decode_video,
            audio=decode_audio,
            seek=perform_seek,
            time_limit_sec=time_limit_sec,
            index=known,
        )
        if cache is not None and known is None and decode_video:
            self._keep_index(cache)
        if decoder == "torchcodec":
            self._decoder = TorchCodecDecoder(other, self._decoder, target)

    def _keep_index(self, cache: IndexCache) -> None:
        try:
            index = self._decoder.index
        except VideoError:  # damaged somewhere; the clips before that can still be read
            return
        if index is not None:
            cache.save(index)

    @classmethod
    def from_path(
        cls,
        file_path: str | Path,
        decode_video: bool = True,
        decode_audio: bool = True,
        decoder: str = "pyav",
        **other_args: Any,
    ) -> "EncodedVideo":
        """Opens a file; a URL that fsspec knows (``s3://``, ``https://`` …) is read through it.

        Raises:
            FileNotFoundError: if there is no such file.
            IsADirectoryError: for a directory; see :class:`~pytorchvideo.data.frame_video.FrameVideo`.
            VideoError: (a RuntimeError) if it cannot be read as a video.
        """
        if "://" in str(file_path):
            url = str(file_path)
            file, info = open_remote(url)
            with contextlib.ExitStack() as stack:
                stack.callback(file.close)
                where = other_args.get("index_cache")
                if where is not None:
                    other_args["index_cache"] = IndexCache.of_url(where, url, info)
                name = Path(url.partition("?")[0]).name
                video = cls(file, name, decode_video, decode_audio, decoder, **other_args)
                video._on_close = stack.pop_all()
            return video
        path = Path(file_path)
        check_file(path)
        return cls(path, None, decode_video, decode_audio, decoder, **other_args)

    @classmethod
    def from_bytes(
        cls,
        data: bytes | bytearray | memoryview,
        video_name: str = "video",
        decode_video: bool = True,
        decode_audio: bool = True,
        decoder: str = "pyav",
        **other_args: Any,
    ) -> "EncodedVideo":
        """Opens a video that is already in memory."""
        return cls(io.BytesIO(data), video_name, decode_video, decode_audio, decoder, **other_args)

    @property
    def name(self) -> str:
        """The file's name, with its ending."""
        return self._name

    @property
    def duration(self) -> Fraction:
        """Seconds from the first frame to the end of the last frame or sample, whichever is later."""
        return self._decoder.info.duration

    @property
    def video_duration(self) -> Fraction | None:
        """Seconds from the first frame to the end of the last frame, None without video."""
        return self._decoder.info.video_duration

    @property
    def rate(self) -> Fraction | None:
        """Average frames per second, None without video."""
        return self._decoder.info.rate

    @property
    def bit_rate(self) -> int | None:
        """Bits per second of the video stream, None where the header does not say."""
        return self._decoder.info.bit_rate

    @property
    def pix_fmt(self) -> str | None:
        """FFmpeg's name of the pixel format, e.g. ``"yuv420p"``."""
        return self._decoder.info.pix_fmt

    @property
    def audio_rate(self) -> int | None:
        """Samples per second of the sound, None without sound."""
        return self._decoder.info.audio_rate

    def get_clip(
        self,
        start_sec: float | Fraction,
        end_sec: float | Fraction,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
    ) -> dict[str, torch.Tensor | None]:
        """Returns the clip ``[start_sec, end_sec)``, cut at 0 and at the end of the file.

        Args:
            start_sec: where it begins: a number of any kind, or an array or tensor of one.
            end_sec: where it ends, the frame at this very time, to half a nanosecond, not included.
            frame_filter: gets the list ``[0, ..., T-1]`` of the clip's frames and returns the indices to load; only
                those are converted, and frames that no other depends on are not decoded at all.
            resize: gets the (height, width) of an upright frame and returns those wanted: FFmpeg then scales while it
                converts, which takes an average of all pixels that fall into one, so that fine patterns do not flicker.
                :func:`~pytorchvideo.transforms.functional.short_side_scale` looks at four pixels only.

        Returns:
            ``{"video": float32 (3, T, H, W) in 0..255, "audio": float32 (S,)}``, None for what the file lacks there:
            both for a window that ends before it begins, or begins at or beyond the end of the file.

        Raises:
            ValueError: a time is no number.
            VideoError: (a RuntimeError) if the file is damaged there; the message says where.
        """
        window = as_window(start_sec, end_sec, self.duration)
        if window is None:
            return {"video": None, "audio": None}
        frames = self._decoder.frames(*window, frame_filter, resize, self._dtype)
        sound = self._decoder.audio(*window)
        return {
            "video": None if frames is None else frames.data,
            "audio": None if sound is None else sound.data.mean(dim=0),
        }

    def get_frames(
        self,
        *,
        indices: Sequence[int] | None = None,
        timestamps_sec: Sequence[float | Fraction] | None = None,
    ) -> Frames:
        """Returns single frames, in the order asked for; exactly one of the arguments is given.

        It needs :attr:`frame_index`.

        Args:
            indices: places in the video in display order, as a sequence, array or tensor; negative ones count from
                the end.
            timestamps_sec: seconds after the first frame, likewise; each gives the frame that is on show then.

        Returns:
            ``data`` (3, T, H, W) in the dtype of this reader, ``pts_sec`` (T,), and ``indices`` into the video.

        Raises:
            ValueError: unless exactly one argument is given, or for a time outside of the video or an index that is no
                whole number.
            IndexError: for an index outside of the video.
            VideoError: (a RuntimeError) if the file is damaged there.
        """
        index = self._decoder.index
        count = len(self)
        wanted = pick_frames(
            indices, timestamps_sec, count, self._on_show_at, self._name, self.duration
        )
        if index is None:
            raise VideoError(f"{self._name} was opened without its video.")
        first, last = min(wanted), max(wanted)
        end = index.time(last + 1) if last + 1 < count else float("inf")
        chosen = [i - first for i in wanted]
        frames = self._decoder.frames(index.time(first), end, lambda _: chosen, None, self._dtype)
        if frames is None:
            raise VideoError(f"{self._name} has no frame {first}: the file is cut off.")
        return Frames(frames.data, frames.pts_sec, wanted)

    @property
    def frame_index(self) -> FrameIndex | None:
        """The times and kinds of all frames; None without video.

        The first use reads through the packets of the file, unless they are kept (``index_cache``); nothing is decoded.
        """
        return self._decoder.index

    def _on_show_at(self, time: float | Fraction) -> int:
        index = self._decoder.index
        if index is None:
            return 0
        tick = floor_ticks(time, index.time_base) + index.start
        return max(0, index.count_before(tick + 1) - 1)

    def __len__(self) -> int:
        """The number of frames; see :attr:`frame_index`."""
        index = self._decoder.index
        return 0 if index is None else len(index)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Returns frame ``index`` as (3, H, W), in the dtype of this reader."""
        return self.get_frames(indices=[index]).data[:, 0]

    def __bool__(self) -> bool:
        """True: asking for the length would read the file."""
        return True

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._decoder.close()
        self._on_close.close()

    def __enter__(self) -> "EncodedVideo":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        info = self._decoder.info
        return (
            f"{type(self).__name__}({info.name!r}, {float(info.duration):.3f} s, "
            f"{info.width}x{info.height} {info.codec}, audio {info.audio_codec})"
        )


def check_reading(
    decoder: str = "pyav",
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    index_cache: str | os.PathLike[str] | None = None,
) -> torch.device:
    """Returns the device of frames, and says once that a decoder no longer exists.

    Datasets call it when they are made, with what they will open videos with.

    Raises:
        ImportError: torchcodec is asked for and not installed.
        RuntimeError: a GPU is asked for and not there.
        ValueError: any other decoder, dtype or device that there is not.
    """
    check_choice("decoder", decoder, DECODERS)
    check_dtype(dtype)
    if decoder in ("torchvision", "decord") and decoder not in _said:
        _said.add(decoder)
        logger.warning("The decoder %r no longer exists; PyAV decodes instead.", decoder)
    if decoder == "torchcodec":
        video_decoder()
    return check_device(device, decoder)


def _cache_of(
    file: str | Path | BinaryIO, where: str | os.PathLike[str] | IndexCache | None
) -> IndexCache | None:
    if where is None or isinstance(where, IndexCache):
        return where
    if not isinstance(file, (str, Path)):
        advice = "What is in memory has no name to find its index by."
        raise ValueError(expected("index_cache", "None for an open file", where, advice))
    return IndexCache.of_file(where, Path(file))
