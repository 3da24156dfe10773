# SPDX-License-Identifier: Apache-2.0
"""Samples of one labelled video: the part that all datasets share."""

import inspect
import json
import os
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch

from pytorchvideo._checks import expected
from pytorchvideo._machine import check_machine
from pytorchvideo._tables import csv_cell
from pytorchvideo._text import none_of, parse_json, read_lines
from pytorchvideo.data._decode import FrameFilter, VideoError
from pytorchvideo.data._decode._limits import MEMORY_LIMIT_BYTES, TIME_LIMIT_SEC
from pytorchvideo.data._reading.skipped import OnError, SkipLog, SkippedClip
from pytorchvideo.data.clip_sampling import ClipInfo, ClipInfoList, ClipSampler
from pytorchvideo.data.encoded_video import DECODERS, check_reading
from pytorchvideo.data.video import Video, VideoPathHandler
from pytorchvideo.transforms._pushdown import frame_resize, frame_scale, temporal_frame_filter

# How a video is read where nothing else is asked for.
_USUAL = {
    "dtype": torch.float32,
    "device": "cpu",
    "index_cache": None,
    "time_limit_sec": TIME_LIMIT_SEC,
    "memory_limit_bytes": MEMORY_LIMIT_BYTES,
}
# What readers raise for a file that is missing, damaged or no video.
_BAD_FILE = (OSError, RuntimeError, ValueError)

Window = ClipInfo | ClipInfoList
Transform = Callable[[dict[str, Any]], Any]
Quarantine = str | os.PathLike[str] | Collection[str]
Describe = Callable[[dict[str, Any], Window, dict[str, Any]], dict[str, Any]]


class LabeledVideos(Protocol):
    """Anything with a length whose items are ``(path, info)``: a list, or LabeledVideoPaths."""

    def __getitem__(self, index: int, /) -> tuple[str, dict[str, Any]]: ...

    def __len__(self) -> int: ...


class ClipReader:
    """Opens labelled videos, asks a clip sampler for windows, decodes them and makes samples.

    For the arguments see :class:`~pytorchvideo.data.labeled_video_dataset.LabeledVideoDataset`.

    Attributes:
        videos: of ``(path, info)``.
        transform: its beginning says which frames need not be decoded; the datasets apply it.
        skip_log: the bad videos, and how many windows had no frame.
        num_empty: how many windows without a frame this process met.
        video_path_handler: opens a path; may be replaced by any object with ``video_from_path``.
    """

    def __init__(
        self,
        videos: LabeledVideos,
        clip_sampler: ClipSampler,
        transform: Transform | None = None,
        *,
        decode_audio: bool = True,
        decode_video: bool = True,
        decoder: str = "pyav",
        fps: float = 30.0,
        frame_filter: FrameFilter | None = None,
        describe: Describe | None = None,
        on_error: OnError = "skip",
        quarantine: Quarantine = (),
        decode_resize: bool = False,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        index_cache: str | os.PathLike[str] | None = None,
        time_limit_sec: float = TIME_LIMIT_SEC,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        options: dict[str, Any] = {
            "dtype": dtype,
            "device": device,
            "index_cache": index_cache,
            "time_limit_sec": time_limit_sec,
            "memory_limit_bytes": memory_limit_bytes,
        }
        self._check_reading(videos, decoder, options)
        if decode_resize and frame_resize(transform) is None:
            wanted = "False for a transform that does not begin with a scale"
            advice = (
                "Only UniformTemporalSubsample, Div255 and Normalize may stand before ShortSideScale or "
                "RandomShortSideScale."
            )
            raise ValueError(expected("decode_resize", wanted, decode_resize, advice))
        self.videos = videos
        self.clip_sampler = clip_sampler
        self.transform = transform
        self.skip_log = SkipLog(on_error)
        self.num_empty = 0
        # videos that are no files, such as rows of a table, know how they are opened
        own_handler = getattr(videos, "video_path_handler", None)
        self.video_path_handler: Any = own_handler or VideoPathHandler(fps=fps)
        self._decode_audio = decode_audio
        self._decode_video = decode_video
        self._decoder = decoder
        self._dtype = dtype
        # A handler of the user's own may know nothing of what is not asked for.
        self._options = {name: value for name, value in options.items() if value != _USUAL[name]}
        self._own_filter = frame_filter
        self._describe = describe
        self._decode_resize = decode_resize
        self._quarantine = read_quarantine(quarantine)

    def _check_reading(self, videos: LabeledVideos, decoder: str, options: dict[str, Any]) -> None:
        """Says at once what no file can be read with; a folder of frames has no decoder, so that any name will do."""
        if decoder not in DECODERS and len(videos) and os.path.isdir(videos[0][0]):
            decoder = "auto"
        check_reading(decoder, **options)

    def open(self, path: str) -> Video:
        """Opens a video.

        Raises:
            VideoError: it cannot be opened, or is in quarantine; it is in the log.
        """
        if os.path.abspath(path) in self._quarantine:
            known = SkippedClip(str(path), "it is in the quarantine list.")
            raise self._skip(known, quietly=True)
        try:
            video: Video = self.video_path_handler.video_from_path(
                path,
                decode_audio=self._decode_audio,
                decode_video=self._decode_video,
                decoder=self._decoder,
                **self._options,
            )
            _ = video.duration
        except _BAD_FILE as error:
            check_machine(error)
            raise self._skip(SkippedClip(str(path), _reason(error))) from error
        return video

    def duration(self, video: Video) -> Any:
        """The seconds of a video that clips are taken from: those of its frames, where its sound is longer."""
        pictures = getattr(video, "video_duration", None) if self._decode_video else None
        return video.duration if pictures is None else pictures

    def windows(self, duration: Any, info: dict[str, Any]) -> Iterator[tuple[Window, bool]]:
        """All windows of a video, and whether the one after is another view of the same clip."""
        sampler = self.clip_sampler
        sampler.reset()
        try:
            window = sampler(None, duration, info)
            while not np.all(window.is_last_clip):
                end = window.clip_end_sec
                following = sampler(end[-1] if isinstance(end, list) else end, duration, info)
                yield window, bool(np.max(following.aug_index) > 0)
                window = following
            yield window, False
        finally:
            sampler.reset()

    def decode(
        self, video: Video, path: str, window: Window, is_viewed_again: bool = False
    ) -> dict[str, Any] | None:
        """``{"video": ..., "audio": ...}`` of one window, or lists for a window of several.

        None where no frame begins in the window, or in one of several: it is passed over and counted.

        Args:
            video: what :meth:`open` returned for ``path``.
            path: of the video.
            window: one of :meth:`windows`, just before its transform.
            is_viewed_again: whether another view of the clip follows.

        Raises:
            VideoError: the clip, or one of several, cannot be read; it is in the log.
        """
        start, end = window.clip_start_sec, window.clip_end_sec
        if isinstance(start, list) and isinstance(end, list):
            clip = self._decode_several(video, path, list(zip(start, end, strict=True)))
        else:
            options = {"frame_filter": self._frame_filter(video)}
            if self._decode_resize and _takes(video, "resize"):
                options["resize"] = frame_resize(self.transform, is_viewed_again=is_viewed_again)
            elif _takes(video, "frame_transform"):
                options["frame_transform"] = frame_scale(
                    self.transform, dtype=self._dtype, is_viewed_again=is_viewed_again
                )
            clip = self._decode_one(video, path, start, end, **options)
        if clip is None:
            self.num_empty += 1
            self.skip_log.add_empty(str(path))
        return clip

    def _decode_several(
        self, video: Video, path: str, times: list[tuple[Any, Any]]
    ) -> dict[str, Any] | None:
        clips = []
        for start, end in times:
            clip = self._decode_one(video, path, start, end, frame_filter=self._own_filter)
            if clip is None:
                return None
            clips.append(clip)
        joined = {key: [clip.get(key) for clip in clips] for key in ("video", "audio")}
        return {k: None if any(v is None for v in vs) else vs for k, vs in joined.items()}

    def sample(
        self, clip: dict[str, Any], name: str, index: int, window: Window, info: dict[str, Any]
    ) -> dict[str, Any]:
        """The sample of a decoded clip, before the transform."""
        sample = {"video": clip["video"]} if self._decode_video else {}
        sample |= {
            "video_name": name,
            "video_index": index,
            "clip_index": window.clip_index,
            "aug_index": window.aug_index,
            **(info if self._describe is None else self._describe(info, window, clip)),
        }
        if clip.get("audio") is not None:
            sample["audio"] = clip["audio"]
        return sample

    def none_readable(self) -> str:
        """What to say where no video gave a clip."""
        skipped = self.skip_log.clips().values()
        if not skipped:
            return "No frame begins in any clip of the data set. Take longer clips."
        first = "; ".join(f"{clip.path}: {clip.reason}" for clip in list(skipped)[:3])
        return (
            f"{none_of(len(self.videos), 'video')} could be read. The first: {first} "
            "All are in `dataset.skipped`."
        )

    def _frame_filter(self, video: Video) -> Any:
        """The dataset's own filter, then that which the transform of this moment allows."""
        own, keep = self._own_filter, temporal_frame_filter(self.transform)
        if own is not None and keep is not None:
            return lambda indices: keep(list(own(indices)))
        return keep if keep and _takes(video, "frame_filter") else own

    def _decode_one(
        self, video: Video, path: str, start: Any, end: Any, **options: Any
    ) -> dict[str, Any] | None:
        """The clip of one window, None where no frame begins in it."""
        options = {name: value for name, value in options.items() if value is not None}
        cause: Exception | None = None
        reason = ""
        try:
            clip = video.get_clip(start, end, **options)
        except _BAD_FILE as error:
            check_machine(error)
            clip, reason, cause = None, _reason(error), error
        if clip is not None and clip.get("video" if self._decode_video else "audio") is not None:
            return clip
        if not self._decode_video and getattr(video, "audio_rate", None) is None:
            reason = reason or "it has no sound."
        if not reason:
            return None
        try:
            raise self._skip(SkippedClip(str(path), reason, float(start), float(end))) from cause
        finally:
            cause = None  # its traceback leads to this frame, which would keep the video in memory

    def _skip(self, clip: SkippedClip, *, quietly: bool = False) -> VideoError:
        """Logs a bad clip, and returns the error to raise."""
        self.skip_log.add(clip, quietly=quietly)
        said = clip.reason if clip.path in clip.reason else f"{clip.path}: {clip.reason}"
        return VideoError(said)


def _takes(video: Video, option: str) -> bool:
    """Whether a reader, which may be the user's own, takes an option."""
    get_clip: Any = video.get_clip
    return option in _parameters(getattr(get_clip, "__func__", get_clip))


@lru_cache(maxsize=16)
def _parameters(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def read_quarantine(quarantine: Quarantine) -> frozenset[str]:
    """The absolute paths of a collection of paths, or of a text file with one at the start of each line.

    A tab ends the path; what follows, the reason, is for people. A path in quotes is a text of json.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text, or a line cannot be read.
    """
    if isinstance(quarantine, (str, os.PathLike)):
        lines = read_lines(quarantine, "a path in each line", keep_bytes=True)
        quarantine = [_quarantined(quarantine, *line) for line in lines if line[1].strip()]
    return frozenset(os.path.abspath(path) for path in quarantine)


def _quarantined(file: str | os.PathLike[str], number: int, line: str) -> str:
    path = line.split("\t")[0]
    if path.startswith('"'):
        path = str(parse_json(path, file, number))
    return path


def quarantine_line(path: str, reason: str) -> str:
    r"""Returns the line of a bad file: its absolute path, a tab, the reason.

    Names that a line cannot hold are in quotes, as in json; a reason is no formula for a spreadsheet.

    >>> quarantine_line("/a\nb.mp4", "=1+1 is no video.")
    '"/a\\nb.mp4"\t\'=1+1 is no video.\n'
    """
    path = os.path.abspath(path)
    if not path.isprintable() or path.startswith('"'):
        path = json.dumps(path)
    return f"{path}\t{csv_cell(' '.join(reason.split()))}\n"


def copy_clip(clip: dict[str, Any]) -> dict[str, Any]:
    """A clip with memory of its own: a transform may work in place."""
    return {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in clip.items()}


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
