# SPDX-License-Identifier: Apache-2.0
"""Frames through torchcodec, where they equal PyAV's to the pixel; on a GPU on request.

torchcodec takes the FFmpeg of the system, PyAV brings its own. Where the two decode or convert in different ways, no
option of torchcodec makes them agree, and PyAV reads the file; the log says why, once per file. The reasons, each
measured with torchcodec 0.17 on FFmpeg 5.1 beside PyAV 18.1 on FFmpeg 8.1:

- Time stamps that go back and forth. torchcodec puts frames in the order of their times.
- A codec whose standard leaves the last bit of the inverse transform to the decoder (MPEG-1, -2, -4, Motion JPEG).
  In an AVI with Microsoft's MPEG-4, single samples of 5.1 are 1 off. With ``-flags bitexact``, which torchcodec
  cannot ask for, they are those of 8.1. H.264, HEVC, VP8, VP9 and AV1 define every bit.
- Any format but 8-bit 4:2:0 of even width and height, for which both give the same pixels. For 10 bits and odd sizes
  the decoded samples are the same, but FFmpeg interpolates their colours: bicubically for torchcodec, bilinearly
  for PyAV, and in 8.1 with another result than in 5.1 for the same option.
"""

import json
import logging
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import torch

from pytorchvideo._checks import expected
from pytorchvideo.data._decode._clip_tensor import ClipTensor
from pytorchvideo.data._decode._decoder import Decoder
from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._limits import Budget, LimitError
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
    ceil_ticks,
    select_frames,
    window_name,
)

logger = logging.getLogger(__name__)

_EXACT_CODECS = frozenset({"h264", "hevc", "vp8", "vp9", "libdav1d", "libaom-av1", "av1"})
_EXACT_FORMATS = frozenset({"yuv420p", "yuvj420p"})
_BATCH_BYTES = 64 << 20  # of pictures that torchcodec gives at once
_BATCH_FRAMES = 64  # that it decodes at once, between two looks at the clock
_agrees: dict[tuple[str | None, str | None], bool] = {}  # codec and pixel format -> first pictures


def video_decoder() -> Callable[..., Any]:
    """Returns torchcodec's ``VideoDecoder``.

    Raises:
        ImportError: it is not installed, or finds no FFmpeg.
    """
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, OSError, RuntimeError) as error:
        raise ImportError(
            "decoder='torchcodec' needs the package torchcodec (pip install 'pytorchvideo[torchcodec]') and the "
            f"FFmpeg of the system, but: {_first_line(error)}. Leave `decoder` out to use PyAV, which brings its own."
        ) from error
    return VideoDecoder


def check_device(device: str | torch.device, decoder: str) -> torch.device:
    """Returns where frames are decoded, ``torch.device("cpu")`` or one of CUDA.

    Raises:
        ValueError: it is another device, or not torchcodec decodes.
        RuntimeError: there is no CUDA device.
    """
    found = torch.device(device)
    if found.type == "cpu":
        return found
    if found.type != "cuda":
        raise ValueError(expected("device", "'cpu' or 'cuda'", str(found)))
    if decoder != "torchcodec":
        advice = "Only decoder='torchcodec' decodes on a GPU."
        raise ValueError(expected("device", f"'cpu' for decoder={decoder!r}", str(found), advice))
    if not torch.cuda.is_available():
        raise RuntimeError(
            f"device={str(found)!r} needs an NVIDIA GPU that PyTorch can use, and there is none here. "
            "Leave `device` out to decode on the CPU."
        )
    return found


class TorchCodecDecoder:
    """Decodes one file with torchcodec, or, where that is not exact, with the decoder that it is given.

    That one also gives headers, times and sound. On a GPU pictures are those of its own decoder and conversion.

    Args:
        file: what the other decoder reads, a path or a file that may be read at the same time.
        other: a decoder of the same file, which this one closes.
        device: where frames are decoded, and stay.

    Raises:
        ImportError: torchcodec is not installed.
    """

    def __init__(self, file: str | Path | BinaryIO, other: Decoder, device: torch.device) -> None:
        self._open = video_decoder()
        self._file = str(file) if isinstance(file, Path) else file
        self._other = other
        self._device = device
        self._video: Any = None
        self._unfit: str | None = None
        self.info: VideoInfo = other.info

    @property
    def index(self) -> FrameIndex | None:
        """The times of all frames."""
        return self._other.index

    @property
    def budget(self) -> Budget:
        """What a call may take."""
        return self._other.budget

    def frames(
        self,
        start_sec: Time,
        end_sec: Time,
        frame_filter: FrameFilter | None = None,
        resize: FrameResize | None = None,
        dtype: torch.dtype = torch.uint8,
        frame_transform: FrameTransform | None = None,
    ) -> Frames | None:
        """Returns the frames with ``start_sec <= t < end_sec`` that a filter picks; see :class:`Decoder`.

        FFmpeg scales them for ``resize``, through the other decoder.
        """
        with self.budget.call(window_name(self.info.name, start_sec, end_sec)):
            window = start_sec, end_sec, frame_filter
            if resize is None and self._is_fit():
                frames = self._own_frames(*window, dtype, frame_transform)
                if frames is not None:
                    return frames
            frames = self._other.frames(*window, resize, dtype, frame_transform)
        if frames is None or self._device.type == "cpu":
            return frames
        return Frames(frames.data.to(self._device), frames.pts_sec, frames.indices)

    def audio(self, start_sec: Time, end_sec: Time) -> AudioSamples | None:
        """Returns the sound, from the other decoder."""
        return self._other.audio(start_sec, end_sec)

    @property
    def orientation(self) -> Orientation:
        """How the first frame is shown."""
        return self._other.orientation

    def reopen(self) -> None:
        """Opens the file afresh, in a process that was forked, for instance."""
        self._video, self._unfit = None, None
        self._other.reopen()

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        self._video, self._unfit = None, "it is closed"
        self._other.close()

    def _is_fit(self) -> bool:
        """Whether torchcodec reads this file, and reads it as the other decoder does."""
        if self._video is None and self._unfit is None:
            try:
                reason = self._find_reason()
            except LimitError:
                raise
            except VideoError:  # which need not be where the clip is
                reason = "it is damaged"
            if reason is not None:
                self._give_up(reason)
        return self._unfit is None

    def _find_reason(self) -> str | None:
        info, index = self.info, self.index
        if index is None or not len(index):
            return "it has no frames"
        if not index.is_trusted:
            return "its time stamps go back and forth"
        if self._device.type == "cpu":
            if info.codec not in _EXACT_CODECS:
                return f"decoders of {info.codec} may differ in the last bit"
            if info.pix_fmt not in _EXACT_FORMATS or not _is_even(info.width, info.height):
                return f"{info.pix_fmt} of {info.width}x{info.height} becomes RGB in another way"
        try:
            self._video = self._open(
                self._file,
                stream_index=info.stream_index,
                device=self._device,
                custom_frame_mappings=_mappings(index),
            )
        except (RuntimeError, ValueError) as error:
            return f"torchcodec cannot open it: {_first_line(error)}"
        if any(self._other.orientation):  # of which torchcodec knows some, but no mirrored ones
            if self._device.type != "cpu" or not self._is_same(index):
                return "its pictures are turned or mirrored"
        elif self._device.type == "cpu" and not self._agrees(index):
            return "pictures differ"
        return None

    def _agrees(self, index: FrameIndex) -> bool:
        """Whether the first pictures are the same: another FFmpeg may convert in another way after all."""
        key = self.info.codec, self.info.pix_fmt
        if key not in _agrees:
            _agrees[key] = self._is_same(index)
        return _agrees[key]

    def _is_same(self, index: FrameIndex) -> bool:
        end = index.time(1) if len(index) > 1 else float("inf")
        mine, theirs = self._own_frames(0, end), self._other.frames(0, end, None)
        if mine is None or theirs is None:
            return True  # it has given up, and said why
        return torch.equal(mine.data, theirs.data)

    def _own_frames(
        self,
        start_sec: Time,
        end_sec: Time,
        frame_filter: FrameFilter | None = None,
        dtype: torch.dtype = torch.uint8,
        frame_transform: FrameTransform | None = None,
    ) -> Frames | None:
        """The frames of a window by torchcodec, None where it has none, or others than the packets promise."""
        index, info = self.index, self.info
        if index is None or info.height is None or info.width is None:
            return None
        first = index.count_before(ceil_ticks(start_sec, index.time_base) + index.start)
        stop = index.count_before(ceil_ticks(end_sec, index.time_base) + index.start)
        picked = select_frames(frame_filter, stop - first, info.name) if stop > first else []
        if not picked:
            return None
        clip = ClipTensor(len(picked), dtype, self.budget, frame_transform, self._device)
        clip.check(info.height, info.width)
        places: dict[int, list[int]] = {}
        for place, i in enumerate(picked):
            places.setdefault(first + i, []).append(place)
        most = max(1, _BATCH_BYTES // (3 * info.height * info.width))
        for batch in batches(sorted(places), index, most):
            self.budget.check_time()
            pictures = self._decoded(batch, index)
            if pictures is None:
                return None
            for frame, picture in zip(batch, pictures, strict=True):
                if frame in places:
                    clip.put(picture, places[frame])
        if clip.data is None:
            return None
        pts_sec = [float(index.time(first + i)) for i in picked]
        return Frames(clip.data, torch.tensor(pts_sec, dtype=torch.float64), picked)

    def _decoded(self, numbers: list[int], index: FrameIndex) -> torch.Tensor | None:
        """Frames uint8 (N, 3, H, W); None where torchcodec has to be given up."""
        try:
            batch = self._video.get_frames_at(numbers)
        except (RuntimeError, IndexError) as error:
            self._give_up(f"torchcodec cannot read it: {_first_line(error)}")
            return None
        promised = index.pts[numbers].double() * float(index.time_base)
        if not torch.allclose(batch.pts_seconds, promised, rtol=0, atol=float(index.time_base) / 2):
            self._give_up("torchcodec shows frames at other times")
            return None
        data: torch.Tensor = batch.data
        return data

    def _give_up(self, reason: str) -> None:
        self._video, self._unfit = None, reason
        logger.info("%s is read by PyAV: %s.", self.info.name, reason)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(". ")


def _is_even(width: int | None, height: int | None) -> bool:
    return width is not None and height is not None and width % 2 == height % 2 == 0


def batches(wanted: list[int], index: FrameIndex, most: int) -> Iterator[list[int]]:
    """Splits frames so that little is decoded at once, by naming others on a long way from a key frame to one of them.

    Args:
        wanted: rising.
        index: of the video.
        most: frames of a batch.
    """
    keys = index.is_keyframe.nonzero().flatten()
    befores = torch.searchsorted(keys, torch.tensor(wanted), right=True) - 1
    batch: list[int] = []
    decoded, following = 0, 0
    for frame, before in zip(wanted, befores.tolist(), strict=True):
        begin = max(following, int(keys[before]) if before >= 0 else 0)
        while frame - begin >= _BATCH_FRAMES:
            begin += _BATCH_FRAMES
            yield [*batch, begin - 1]
            batch, decoded = [], 0
        batch.append(frame)
        decoded, following = decoded + frame + 1 - begin, frame + 1
        if len(batch) >= most or decoded >= _BATCH_FRAMES:
            yield batch
            batch, decoded = [], 0
    if batch:
        yield batch


def _mappings(index: FrameIndex) -> str:
    """An index as torchcodec takes it, instead of reading through the packets of the file itself."""
    ticks = index.pts.tolist()
    ticks.append(max(ticks[-1] + 1, index.start + int(index.duration / index.time_base)))
    frames = [
        {"pts": pts, "duration": after - pts, "key_frame": int(key)}
        for (pts, after), key in zip(pairwise(ticks), index.is_keyframe.tolist(), strict=True)
    ]
    return json.dumps({"frames": frames})
