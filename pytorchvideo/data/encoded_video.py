# SPDX-License-Identifier: Apache-2.0
"""Video files: opening them and reading clips."""

import contextlib
import io
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import torch

from pytorchvideo._checks import check_choice
from pytorchvideo.data._decode import (
    Decoder,
    FrameFilter,
    FrameIndex,
    FrameResize,
    Frames,
    FrameTransform,
    Time,
    VideoError,
    as_window,
    check_file,
    floor_ticks,
    pick_frames,
    window_name,
)
from pytorchvideo.data._decode._frame_index import IndexCache
from pytorchvideo.data._decode._limits import MEMORY_LIMIT_BYTES, TIME_LIMIT_SEC, Limits
from pytorchvideo.data._decode._pyav import PyAVDecoder
from pytorchvideo.data._decode._pyav.files import file_address
from pytorchvideo.data._decode._pyav.resample import resampled
from pytorchvideo.data._decode._remote import open_remote, shared
from pytorchvideo.data._decode._torchcodec import TorchCodecDecoder
from pytorchvideo.data._reading.readers import (
    DECODERS,
    Turns,
    cache_of,
    check_reading,
    check_sizes,
    frame_size,
    name_of,
    reopened,
)
from pytorchvideo.data._video import Video
from pytorchvideo.data.decoder import DecoderType

__all__ = [
    "DECODERS",
    "DECORD_RATE",
    "EncodedVideo",
    "EncodedVideoDecord",
    "EncodedVideoPyAV",
    "EncodedVideoTorchVision",
    "check_reading",
    "select_video_class",
]

DECORD_RATE = 44100  # of sound, where decord is asked for and no rate


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
        time_limit_sec: of opening the file, and of each call: reading and decoding one clip with its sound, or reading
            the frame index. So a file made to waste time cannot stop an epoch.
        memory_limit_bytes: of the frames and the sound of a call, and of what a decoder may keep: 20 frames of 3
            bytes a pixel, or what their format takes. By default 8 GiB, enough for 10 s of 1080p as float32, and for
            frames of 16K (16384x8704). A larger clip is a VideoError, before it is decoded wherever the file says
            its size.
        device: ``"cuda"``, for ``decoder="torchcodec"`` alone, decodes on the GPU and leaves ``"video"`` there. Its
            pixels are not quite those of the CPU.
        sample_rate: of the sound, samples per second; None is that of the file, 44,100 with ``decoder="decord"``.
        mono: whether sound is the mean of its channels, (S,), or (channels, S).
        width: of the frames; -1 keeps it.
        height: of the frames; -1 keeps it.
        square_pixels: whether frames whose pixels are not square (:attr:`pixel_aspect_ratio`) are made as wide as they
            are meant to be seen.
        num_threads: taken from decord's users; a reader decodes in one thread, as data loader workers run side by side.
        fault_tol: taken from decord's users; damage is an error here.
        index_cache: where to keep the frame index, for a cheaper open next time: a folder, or ``"beside"`` for the
            folder of the video. None reads an index only where one is needed, and keeps it in memory.

    Raises:
        ImportError: for ``decoder="torchcodec"`` where that is not installed.
        RuntimeError: for ``device="cuda"`` without a GPU.
        ValueError: for any other argument that is none of those.
        VideoError: (a RuntimeError) if the file is empty, no video, damaged, or without a video stream.

    Shape:
        A clip's ``"video"`` is ``dtype`` (3, T, H, W) in 0..255, upright RGB; its ``"audio"`` is float32 (S,) in
        [-1, 1], the mean of the channels, or (channels, S). Times are seconds after the first frame.

    Several threads may read from one reader, each in its turn; one reader for each thread is the fast way. Forked
    processes open the file anew, and a reader of a path can be pickled.

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
        time_limit_sec: float = TIME_LIMIT_SEC,
        *,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
        device: str | torch.device = "cpu",
        index_cache: str | os.PathLike[str] | IndexCache | None = None,
        sample_rate: int | None = None,
        mono: bool = True,
        width: int = -1,
        height: int = -1,
        square_pixels: bool = False,
        num_threads: int = 0,
        fault_tol: int = -1,
    ) -> None:
        target = check_reading(decoder, dtype, device)
        limits = Limits(memory_limit_bytes, time_limit_sec)
        if sample_rate is None and decoder == "decord":
            sample_rate = DECORD_RATE
        check_sizes(sample_rate, width, height)
        self._name = name_of(file) if video_name is None else video_name
        self._decode_video = decode_video
        self._decode_audio = decode_audio
        self._dtype = dtype
        self._sample_rate, self._mono = sample_rate, mono
        self._size, self._square_pixels = (width, height), square_pixels
        self._turns = Turns()
        self._on_close = contextlib.ExitStack()
        self._path = file if isinstance(file, (str, Path)) else None
        self._options = {
            "decode_video": decode_video,
            "decode_audio": decode_audio,
            "decoder": decoder,
            "perform_seek": perform_seek,
            "dtype": dtype,
            "time_limit_sec": time_limit_sec,
            "memory_limit_bytes": memory_limit_bytes,
            "device": device,
            "index_cache": index_cache,
            "sample_rate": sample_rate,
            "mono": mono,
            "width": width,
            "height": height,
            "square_pixels": square_pixels,
        }
        cache = cache_of(file, index_cache)
        known = cache.load() if cache is not None else None
        opened: list[Any] = [file, file]
        if not isinstance(file, (str, Path)):
            opened = [shared(file, self._name) for _ in range(1 + (decoder == "torchcodec"))]
            for reader in opened:
                self._on_close.callback(reader.close)
        # A file that is only asked for sound may have no video.
        self._pyav = PyAVDecoder(
            opened[0],
            self._name,
            video=decode_video,
            audio=decode_audio,
            seek=perform_seek,
            limits=limits,
            index=known,
        )
        self._decoder: Decoder = self._pyav
        if cache is not None and known is None and decode_video:
            self._keep_index(cache)
        if decoder == "torchcodec":
            other = opened[1] if self._path is None else file_address(self._path)
            self._decoder = TorchCodecDecoder(other, self._pyav, target)

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
                video = cls(file, name, decode_video, decode_audio, decoder=decoder, **other_args)
                video._on_close.push(stack.pop_all())
            return video
        path = Path(file_path)
        check_file(path)
        return cls(path, None, decode_video, decode_audio, decoder=decoder, **other_args)

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
        file = io.BytesIO(data)
        return cls(file, video_name, decode_video, decode_audio, decoder=decoder, **other_args)

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
        """Samples per second of the sound of clips, None without sound."""
        rate = self._decoder.info.audio_rate
        return rate if rate is None or self._sample_rate is None else self._sample_rate

    @property
    def pixel_aspect_ratio(self) -> Fraction:
        """Width of a pixel of an upright frame, divided by its height; 1 where the file does not say.

        A frame of 720x576 with 16/15 is meant to be seen as 768x576; ``square_pixels`` makes it so.
        """
        stored = self._decoder.info.pixel_aspect or Fraction(1)
        if stored == 1:
            return stored
        with self._turns.of(self._decoder):
            return 1 / stored if self._decoder.orientation.is_transposed else stored

    @property
    def _container(self) -> Any:
        """What PyAV opened, for looking at: clients of PyTorchVideo ask for its streams."""
        return self._pyav.container

    def get_clip(
        self,
        start_sec: float | Fraction,
        end_sec: float | Fraction,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
        frame_transform: FrameTransform | None = None,
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
            frame_transform: gets each frame alone, (3, 1, H, W) in the dtype of this reader, and returns what the clip
                is to hold of it, such as the frame scaled by ``short_side_scale``: (C, 1, h, w) of float32 or uint8.
                So a clip never takes the memory of its frames in full size. It may keep no part of what it gets; None
                for the first frame keeps all as they are.

        Returns:
            ``{"video": (3, T, H, W) in 0..255, "audio": float32 (S,)}``, see the class; None for what the file lacks
            there: both for a window that ends before it begins, or begins at or beyond the end of the file.

        Raises:
            ValueError: a time is no number.
            VideoError: (a RuntimeError) if the file is damaged there; the message says where.
        """
        window = as_window(start_sec, end_sec, self.duration)
        if window is None:
            return {"video": None, "audio": None}
        resize = self._resize(resize)
        subject = window_name(self._name, *window)
        with self._turns.of(self._decoder), self._decoder.budget.call(subject):
            frames = self._decoder.frames(
                *window, frame_filter, resize, self._dtype, frame_transform
            )
            sound = self._sound(*window)
        return {"video": None if frames is None else frames.data, "audio": sound}

    def _sound(self, start_sec: Time, end_sec: Time) -> torch.Tensor | None:
        read, rate = self._decoder.audio, self._decoder.info.audio_rate
        if rate is None or self._sample_rate in (None, rate):
            sound = read(start_sec, end_sec)
        else:
            budget = self._decoder.budget
            sound = resampled(read, start_sec, end_sec, rate, self._sample_rate, budget)
        if sound is None:
            return None
        return sound.data.mean(dim=0) if self._mono else sound.data

    def _resize(self, resize: FrameResize | None) -> FrameResize | None:
        aspect = self.pixel_aspect_ratio if self._square_pixels else Fraction(1)
        return frame_size(*self._size, aspect, resize)

    def get_frames(
        self,
        *,
        indices: Sequence[int] | None = None,
        timestamps_sec: Sequence[float | Fraction] | None = None,
        frame_transform: FrameTransform | None = None,
    ) -> Frames:
        """Returns single frames, in the order asked for; exactly one of the arguments is given.

        It needs :attr:`frame_index`.

        Args:
            indices: places in the video in display order, as a sequence, array or tensor; negative ones count from
                the end.
            timestamps_sec: seconds after the first frame, likewise; each gives the frame that is on show then.
            frame_transform: see :meth:`get_clip`.

        Returns:
            ``data`` (3, T, H, W) in the dtype of this reader, ``pts_sec`` (T,), and ``indices`` into the video.

        Raises:
            ValueError: unless exactly one argument is given, or for a time outside of the video or an index that is no
                whole number.
            IndexError: for an index outside of the video.
            VideoError: (a RuntimeError) if the file is damaged there.
        """
        resize = self._resize(None)
        with self._turns.of(self._decoder), self._decoder.budget.call():
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
            frames = self._decoder.frames(
                index.time(first), end, lambda _: chosen, resize, self._dtype, frame_transform
            )
        if frames is None:
            raise VideoError(f"{self._name} has no frame {first}: the file is cut off.")
        return Frames(frames.data, frames.pts_sec, wanted)

    @property
    def frame_index(self) -> FrameIndex | None:
        """The times and kinds of all frames; None without video.

        The first use reads through the packets of the file, unless they are kept (``index_cache``); nothing is decoded.
        """
        with self._turns.of(self._decoder):
            return self._decoder.index

    def _on_show_at(self, time: float | Fraction) -> int:
        index = self._decoder.index
        if index is None:
            return 0
        tick = floor_ticks(time, index.time_base) + index.start
        return max(0, index.count_before(tick + 1) - 1)

    def __len__(self) -> int:
        """The number of frames; see :attr:`frame_index`."""
        index = self.frame_index
        return 0 if index is None else len(index)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Returns frame ``index`` as (3, H, W), in the dtype of this reader."""
        return self.get_frames(indices=[index]).data[:, 0]

    def __bool__(self) -> bool:
        """True: asking for the length would read the file."""
        return True

    def close(self) -> None:
        """Closes the file, after the clip that another thread reads; a second call does nothing."""
        if self._turns.is_closed:
            return
        with self._turns.of(self._decoder):
            self._turns.is_closed = True
            self._decoder.close()
            self._on_close.close()

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is None:
            raise TypeError(f"{self._name} was not opened by its path, so it cannot be pickled.")
        return reopened, (type(self), self._path, self._name, self._options)

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


# -- the readers of PyTorchVideo, by decoder ----------------------------------------------------------------------


class EncodedVideoPyAV(EncodedVideo):
    """An :class:`EncodedVideo`, whose other arguments go by name.

    Args:
        file: a path, or a seekable binary file.
        video_name: the name of the video; by default that of the file.
        decode_video: False gives clips whose ``"video"`` is None.
        decode_audio: False gives clips whose ``"audio"`` is None.
        perform_seek: False reads every clip from the start of the file.
        options: other arguments of ``EncodedVideo``.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        video_name: str | None = None,
        decode_video: bool = True,
        decode_audio: bool = True,
        perform_seek: bool = True,
        **options: Any,
    ) -> None:
        options = {"perform_seek": perform_seek, **options}
        super().__init__(file, video_name, decode_video, decode_audio, **options)


class EncodedVideoTorchVision(EncodedVideo):
    """An :class:`EncodedVideo`, whose other arguments go by name.

    Args:
        file: a path, or a seekable binary file.
        video_name: the name of the video; by default that of the file.
        decode_video: False gives clips whose ``"video"`` is None.
        decode_audio: False gives clips whose ``"audio"`` is None.
        options: other arguments of ``EncodedVideo``.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        video_name: str | None = None,
        decode_video: bool = True,
        decode_audio: bool = True,
        **options: Any,
    ) -> None:
        options = {"decoder": "torchvision", **options}
        super().__init__(file, video_name, decode_video, decode_audio, **options)


class EncodedVideoDecord(EncodedVideo):
    """An :class:`EncodedVideo` with the arguments and defaults of decord's reader.

    Args:
        file: a path, or a seekable binary file.
        video_name: the name of the video; by default that of the file.
        decode_video: False gives clips whose ``"video"`` is None.
        decode_audio: False gives clips whose ``"audio"`` is None.
        sample_rate: of the sound, samples per second.
        mono: whether sound is (S,), the mean of its channels, or (channels, S).
        width: of the frames; -1 keeps it.
        height: of the frames; -1 keeps it.
        num_threads: no longer matters.
        fault_tol: no longer matters.
        options: other arguments of ``EncodedVideo``.
    """

    def __init__(
        self,
        file: str | Path | BinaryIO,
        video_name: str | None = None,
        decode_video: bool = True,
        decode_audio: bool = True,
        sample_rate: int = DECORD_RATE,
        mono: bool = True,
        width: int = -1,
        height: int = -1,
        num_threads: int = 0,
        fault_tol: int = -1,
        **options: Any,
    ) -> None:
        options = {
            "decoder": "decord",
            "sample_rate": sample_rate,
            "mono": mono,
            "width": width,
            "height": height,
            "num_threads": num_threads,
            "fault_tol": fault_tol,
            **options,
        }
        super().__init__(file, video_name, decode_video, decode_audio, **options)


def select_video_class(decoder: str | DecoderType) -> type[EncodedVideo]:
    """Returns the reader of a decoder of PyTorchVideo, to be called with a file and its name.

    Raises:
        ValueError: there is no such decoder.
    """
    classes: dict[DecoderType, type[EncodedVideo]] = {
        DecoderType.PYAV: EncodedVideoPyAV,
        DecoderType.TORCHVISION: EncodedVideoTorchVision,
        DecoderType.DECORD: EncodedVideoDecord,
    }
    check_choice("decoder", decoder, [kind.value for kind in classes])
    return classes[DecoderType(decoder)]
