# SPDX-License-Identifier: Apache-2.0
"""The dataset of labelled videos: video order -> clip sampler -> decode -> sample -> transform."""

import inspect
import random
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import IterableDataset, RandomSampler, Sampler, get_worker_info

from pytorchvideo.data._decode import FrameFilter
from pytorchvideo.data._skipped import SkipLog, SkippedClip
from pytorchvideo.data.clip_sampling import ClipInfo, ClipInfoList, ClipSampler
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.data.video import Video, VideoPathHandler
from pytorchvideo.transforms._pushdown import temporal_frame_filter

__all__ = ["LabeledVideoDataset", "SkippedClip", "labeled_video_dataset"]

# What readers raise for a file that is missing, damaged or no video.
_BAD_FILE = (OSError, RuntimeError, ValueError)

Transform = Callable[[dict[str, Any]], Any]
Describe = Callable[[dict[str, Any], ClipInfo | ClipInfoList, dict[str, Any]], dict[str, Any]]


class LabeledVideos(Protocol):
    """Anything with a length whose items are ``(path, info)``: a list, or LabeledVideoPaths."""

    def __getitem__(self, index: int, /) -> tuple[str, dict[str, Any]]: ...

    def __len__(self) -> int: ...


class LabeledVideoDataset(IterableDataset):
    """Yields the clips of labelled videos as samples.

    A sample is a dict with, in this order,

    - ``video``: float32 (C, T, H, W) in 0..255, all frames of the clip; a list of such for clip
      samplers that return several clips at once;
    - ``video_name``: file name, or name of the folder of frames;
    - ``video_index``: place in ``labeled_video_paths``;
    - ``clip_index``, ``aug_index``: see :class:`~pytorchvideo.data.clip_sampling.ClipInfo`;
    - everything in the video's info dict, such as ``label``;
    - ``audio``: float32 (S,), only if it is decoded and the clip has sound.

    *Frames nobody wants.* If the transform begins with ``UniformTemporalSubsample`` on ``video``,
    only the frames it picks are decoded; samples are the same as if all were.

    *Order.* A sampler without a generator of its own follows ``torch.manual_seed`` and gives another
    order in every epoch. With workers, all use one order, whatever the sampler, and each takes its
    share of it: no video is lost or repeated, and the clips of a video stay in one worker.

    *Bad files.* A video that cannot be opened, or a clip that cannot be read, is skipped with the
    rest of its video: one warning per path, one entry in :attr:`skipped`. An epoch ends normally,
    unless no video of the whole set gives a clip: then it ends with a RuntimeError. A worker whose
    share is all bad tries the videos of the others until one gives a clip before it raises.
    What a transform raises is not caught; a transform that returns None skips the sample.

    Args:
        labeled_video_paths: indexable, of ``(path, info)``.
        clip_sampler: which clips to take from a video.
        video_sampler: a sampler class (or any callable), called with ``labeled_video_paths``.
        transform: applied to each sample.
        decode_audio: whether samples have ``audio``.
        decode_video: without it samples have no ``video``.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        fps: frames per second of folders of frames.
        frame_filter: indices of the frames of a clip -> those to load; by default all.
        describe: ``(info, window, clip)`` -> what a sample says besides its frames and sound; by
            default the info dict. ``window`` is what the clip sampler returned, ``clip`` what the
            reader returned for it.

    Attributes:
        video_path_handler: opens a path; may be replaced by any object with ``video_from_path``.
    """

    def __init__(
        self,
        labeled_video_paths: LabeledVideos,
        clip_sampler: ClipSampler,
        video_sampler: Callable[[Any], Sampler] = RandomSampler,
        transform: Transform | None = None,
        decode_audio: bool = True,
        decode_video: bool = True,
        decoder: str = "pyav",
        *,
        fps: float = 30.0,
        frame_filter: FrameFilter | None = None,
        describe: Describe | None = None,
    ) -> None:
        self._labeled_videos = labeled_video_paths
        self._clip_sampler = clip_sampler
        self._video_sampler = video_sampler(labeled_video_paths)
        self._transform = transform
        self._decode_audio = decode_audio
        self._decode_video = decode_video
        self._decoder = decoder
        self._own_filter = frame_filter
        self._describe = describe
        self.video_path_handler: Any = VideoPathHandler(fps=fps)
        self._skip_log = SkipLog()
        self._samples: Generator[dict[str, Any], None, None] | None = None
        self._order_seeds: tuple[int, torch.Generator] | None = None

    @property
    def video_sampler(self) -> Sampler:
        """The sampler itself, for instance to call ``set_epoch`` on a DistributedSampler."""
        return self._video_sampler

    @property
    def num_videos(self) -> int:
        """Number of videos in an epoch."""
        return len(self._video_sampler)  # type: ignore[arg-type]

    @property
    def skipped(self) -> list[SkippedClip]:
        """The videos skipped so far, in any epoch and any worker, each once."""
        return list(self._skip_log.clips().values())

    def __iter__(self) -> "LabeledVideoDataset":
        """Starts an epoch from its beginning, also if the one before was broken off."""
        if self._samples is not None:
            self._samples.close()
        self._samples = self._epoch()
        return self

    def __next__(self) -> Any:
        """Returns the next sample of the epoch."""
        if self._samples is None:
            self._samples = self._epoch()
        while True:
            sample = next(self._samples)
            if self._transform is not None:
                sample = self._transform(sample)
            if sample is not None:
                return sample

    def __getstate__(self) -> dict[str, Any]:
        """A copy, such as that of a worker, starts with a new epoch."""
        return {**self.__dict__, "_samples": None, "_order_seeds": None}

    def _epoch(self) -> Generator[dict[str, Any], None, None]:
        """The samples of this process, before the transform."""
        share = self._share_of_worker()
        any_clip = False
        for index in share:
            for sample in self._samples_of(index):
                any_clip = True
                yield sample
        if share and not any_clip:
            self._raise_if_all_are_bad(share)

    # -- which videos ----------------------------------------------------------------------------

    def _share_of_worker(self) -> list[int]:
        """The indices of this process, a contiguous slice of the order that all workers agree on."""
        worker = get_worker_info()
        if worker is None:
            return list(self._video_sampler)
        base_seed = worker.seed - worker.id  # the same in all workers of a DataLoader
        if self._order_seeds is None or self._order_seeds[0] != base_seed:
            self._order_seeds = base_seed, torch.Generator().manual_seed(base_seed)
        # Drawn anew in every epoch: workers that persist keep their seed.
        seed = int(torch.randint(2**32, (), generator=self._order_seeds[1]))
        with _same_randomness(self._video_sampler, seed):
            order = list(self._video_sampler)
        first = len(order) * worker.id // worker.num_workers
        end = len(order) * (worker.id + 1) // worker.num_workers
        return order[first:end]

    # -- one video -------------------------------------------------------------------------------

    def _samples_of(self, index: int) -> Generator[dict[str, Any], None, None]:
        """The samples of one video, before the transform, up to its first bad clip."""
        path, info = self._labeled_videos[index]
        try:
            video = self._open(path)
            duration = video.duration
        except _BAD_FILE as error:
            self._skip_log.add(SkippedClip(str(path), _reason(error)))
            return
        self._clip_sampler.reset()
        clip: dict[str, Any] | None = None
        try:
            for window, is_viewed_again in self._windows(duration, info):
                if clip is None or np.max(window.aug_index) == 0:
                    clip = self._decode(video, path, window)
                if clip is None:
                    return
                # A transform may work in place: the next view of this clip needs its own copy.
                seen = _copy(clip) if is_viewed_again else clip
                yield self._sample(seen, video.name, index, window, info)
        finally:
            video.close()
            self._clip_sampler.reset()

    def _open(self, path: str) -> Video:
        return self.video_path_handler.video_from_path(
            path,
            decode_audio=self._decode_audio,
            decode_video=self._decode_video,
            decoder=self._decoder,
        )

    def _windows(
        self, duration: Any, info: dict[str, Any]
    ) -> Iterator[tuple[ClipInfo | ClipInfoList, bool]]:
        """All windows of a video, and whether the one after is another view of the same clip."""
        window = self._clip_sampler(None, duration, info)
        while not np.all(window.is_last_clip):
            end = window.clip_end_sec
            following = self._clip_sampler(
                end[-1] if isinstance(end, list) else end, duration, info
            )
            yield window, bool(np.max(following.aug_index) > 0)
            window = following
        yield window, False

    def _decode(
        self, video: Video, path: str, window: ClipInfo | ClipInfoList
    ) -> dict[str, Any] | None:
        """``{"video": ..., "audio": ...}`` of one window or of several; None if one is bad."""
        if not isinstance(window.clip_start_sec, list):
            return self._decode_one(
                video, path, window.clip_start_sec, window.clip_end_sec, self._frame_filter(video)
            )
        clips = []
        for start, end in zip(window.clip_start_sec, window.clip_end_sec, strict=True):
            clip = self._decode_one(video, path, start, end, self._own_filter)
            if clip is None:
                return None
            clips.append(clip)
        joined = {key: [clip.get(key) for clip in clips] for key in ("video", "audio")}
        return {k: None if any(v is None for v in vs) else vs for k, vs in joined.items()}

    def _frame_filter(self, video: Video) -> Any:
        """The dataset's own filter, then that which the transform of this moment allows."""
        own, keep = self._own_filter, temporal_frame_filter(self._transform)
        if own is not None and keep is not None:
            return lambda indices: keep(list(own(indices)))
        takes_filter = keep and "frame_filter" in inspect.signature(video.get_clip).parameters
        return keep if takes_filter else own

    def _decode_one(
        self, video: Video, path: str, start: Any, end: Any, frame_filter: Any
    ) -> dict[str, Any] | None:
        options = {} if frame_filter is None else {"frame_filter": frame_filter}
        try:
            clip = video.get_clip(start, end, **options)
            reason = f"it has no frames from {float(start):g} to {float(end):g} s."
        except _BAD_FILE as error:
            clip, reason = None, _reason(error)
        wanted = "video" if self._decode_video else "audio"
        if clip is not None and clip.get(wanted) is not None:
            return clip
        self._skip_log.add(SkippedClip(str(path), reason, float(start), float(end)))
        return None

    def _sample(
        self,
        clip: dict[str, Any],
        name: str,
        index: int,
        window: ClipInfo | ClipInfoList,
        info: dict[str, Any],
    ) -> dict[str, Any]:
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

    # -- all bad ---------------------------------------------------------------------------------

    def _raise_if_all_are_bad(self, share: list[int]) -> None:
        """Raises unless a video outside of a share that gave no clip gives one."""
        known = self._skip_log.clips()
        for index in sorted(set(range(len(self._labeled_videos))).difference(share)):
            entry = known.get(str(self._labeled_videos[index][0]))
            if entry is not None and entry.clip_start_sec is None:
                continue  # another worker could not even open it
            samples = self._samples_of(index)
            if next(samples, None) is not None:
                samples.close()
                return
        skipped = self.skipped
        first = "; ".join(f"{clip.path}: {clip.reason}" for clip in skipped[:3])
        raise RuntimeError(
            f"None of the {len(self._labeled_videos)} videos could be read. The first: {first} "
            "All are in `dataset.skipped`."
        )


@contextmanager
def _same_randomness(sampler: Sampler, seed: int) -> Iterator[None]:
    """Makes a sampler draw the same in every process: torch, numpy, Python, its own generator."""
    own = getattr(sampler, "generator", None)
    if isinstance(own, torch.Generator):
        own.manual_seed((own.initial_seed() + seed) % 2**63)
    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


def _copy(clip: dict[str, Any]) -> dict[str, Any]:
    return {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in clip.items()}


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def labeled_video_dataset(
    data_path: str,
    clip_sampler: ClipSampler,
    video_sampler: Callable[[Any], Sampler] = RandomSampler,
    transform: Transform | None = None,
    video_path_prefix: str = "",
    decode_audio: bool = True,
    decoder: str = "pyav",
    *,
    fps: float = 30.0,
) -> LabeledVideoDataset:
    """Makes a :class:`LabeledVideoDataset` from a list file or a folder.

    Args:
        data_path: see :meth:`LabeledVideoPaths.from_path`.
        clip_sampler: which clips to take from a video.
        video_sampler: a sampler class; the order of the videos.
        transform: applied to each sample.
        video_path_prefix: put before every path.
        decode_audio: whether samples have ``audio``.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        fps: frames per second of folders of frames.

    Raises:
        FileNotFoundError: no such path, or a list in which no video exists.
        ValueError: a bad line, an empty list, or a class folder without videos.
    """
    videos = LabeledVideoPaths.from_path(data_path)
    videos.path_prefix = video_path_prefix
    videos.check_any_exists()
    return LabeledVideoDataset(
        videos,
        clip_sampler,
        video_sampler,
        transform,
        decode_audio=decode_audio,
        decoder=decoder,
        fps=fps,
    )
