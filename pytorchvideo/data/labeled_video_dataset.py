# SPDX-License-Identifier: Apache-2.0
"""The dataset of labelled videos: video order -> clip sampler -> decode -> sample -> transform."""

import os
import warnings
from collections.abc import Callable, Generator, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, RandomSampler, Sampler

from pytorchvideo.data._decode import FrameFilter, VideoError
from pytorchvideo.data._decode._limits import MEMORY_LIMIT_BYTES, TIME_LIMIT_SEC
from pytorchvideo.data._reading.clip_reader import (
    ClipReader,
    Describe,
    LabeledVideos,
    Quarantine,
    Transform,
    copy_clip,
)
from pytorchvideo.data._reading.randomness import current_worker, seeded
from pytorchvideo.data._reading.samplers import sampler_of
from pytorchvideo.data._reading.skipped import OnError, SkippedClip
from pytorchvideo.data.clip_sampling import ClipSampler
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths

__all__ = ["LabeledVideoDataset", "SkippedClip", "labeled_video_dataset"]


class LabeledVideoDataset(IterableDataset):
    """Yields the clips of labelled videos as samples.

    A sample is a dict with, in this order,

    - ``video``: float32 (``dtype``) (C, T, H, W) in 0..255, all frames of the clip; a list of such for clip
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

    *Empty windows.* A window in which no frame begins, as in a time lapse or a pause, is no damage: it is passed over
    and counted in :attr:`empty_windows`, and the video's next clip follows.

    Args:
        labeled_video_paths: indexable, of ``(path, info)``.
        clip_sampler: which clips to take from a video.
        video_sampler: a sampler class (or any callable), called with ``labeled_video_paths``; or
            ``partial(WeightedRandomSampler, weights, num_samples)``; or a sampler.
        transform: applied to each sample.
        decode_audio: whether samples have ``audio``.
        decode_video: without it samples have no ``video``.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        fps: frames per second of folders of frames.
        frame_filter: indices of the frames of a clip -> those to load; by default all.
        describe: ``(info, window, clip)`` -> what a sample says besides its frames and sound; by
            default the info dict. ``window`` is what the clip sampler returned, ``clip`` what the
            reader returned for it.
        on_error: "raise" makes the first bad file an error.
        quarantine: videos that are known to be bad, paths or the list that ``pytorchvideo check
            --quarantine`` writes. They are skipped without being opened.
        decode_resize: let FFmpeg do the ``ShortSideScale`` or ``RandomShortSideScale`` with which the
            transform begins (frames may be picked before, and divided and normalised); a ValueError
            where it does not begin so. Sizes and random numbers stay the same; no frame is ever held
            in full size. Pixels change: FFmpeg takes the mean of all that fall into one, the
            transform looks at four of them. From 320 to 1080 lines down to 256 that is a PSNR of 29 to
            48 dB, median 36, in 29 videos, and 1.3 times as fast (``benchmarks/decode_resize.py``).

        dtype: of ``video``; ``torch.uint8`` reaches the transform, and what it leaves so reaches the batch.
        device: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`; workers that are forked cannot use a GPU.
        index_cache: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        time_limit_sec: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        memory_limit_bytes: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.

    Attributes:
        reader: makes the samples of one video.
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
        on_error: OnError = "skip",
        quarantine: Quarantine = (),
        decode_resize: bool = False,
        dtype: torch.dtype = torch.float32,
        device: str | torch.device = "cpu",
        index_cache: str | os.PathLike[str] | None = None,
        time_limit_sec: float = TIME_LIMIT_SEC,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        self.reader = ClipReader(
            labeled_video_paths,
            clip_sampler,
            transform,
            decode_audio=decode_audio,
            decode_video=decode_video,
            decoder=decoder,
            fps=fps,
            frame_filter=frame_filter,
            describe=describe,
            on_error=on_error,
            quarantine=quarantine,
            decode_resize=decode_resize,
            dtype=dtype,
            device=device,
            index_cache=index_cache,
            time_limit_sec=time_limit_sec,
            memory_limit_bytes=memory_limit_bytes,
        )
        self._video_sampler = sampler_of(video_sampler, labeled_video_paths)
        # Which videos the epoch goes through; None until it begins. Subclasses may put an iterator of theirs here.
        self._video_sampler_iter: Iterator[int] | None = None
        self._samples: Generator[dict[str, Any], None, None] | None = None
        self._order_seeds: tuple[int, torch.Generator] | None = None

    @property
    def video_sampler(self) -> Sampler:
        """The sampler itself, for instance to call ``set_epoch`` on a DistributedSampler."""
        return self._video_sampler

    @video_sampler.setter
    def video_sampler(self, sampler: Sampler) -> None:
        """From the next epoch on; for instance the share of a rank, once there is a process group."""
        self._video_sampler = sampler

    @property
    def num_videos(self) -> int:
        """Number of videos in an epoch."""
        return len(self._video_sampler)

    @property
    def skipped(self) -> list[SkippedClip]:
        """The videos skipped so far, in any epoch and any worker, each once."""
        return list(self.reader.skip_log.clips().values())

    @property
    def empty_windows(self) -> dict[str, int]:
        """How many windows without a frame were passed over so far, in any epoch and any worker, by path."""
        return self.reader.skip_log.empty_windows()

    @property
    def _labeled_videos(self) -> LabeledVideos:
        """The videos, by the name that code written for PyTorchVideo knows."""
        return self.reader.videos

    @_labeled_videos.setter
    def _labeled_videos(self, videos: LabeledVideos) -> None:
        self.reader.videos = videos

    @property
    def video_path_handler(self) -> Any:
        """Opens a path; may be replaced by any object with ``video_from_path``."""
        return self.reader.video_path_handler

    @video_path_handler.setter
    def video_path_handler(self, handler: Any) -> None:
        self.reader.video_path_handler = handler

    def __iter__(self) -> "LabeledVideoDataset":
        """Starts an epoch from its beginning, also if the one before was broken off."""
        if self._samples is not None:
            self._samples.close()
        self._video_sampler_iter = None
        self._samples = self._epoch()
        return self

    def __next__(self) -> Any:
        """Returns the next sample of the epoch."""
        if self._samples is None:
            self._samples = self._epoch()
        while True:
            sample = next(self._samples)
            if self.reader.transform is not None:
                sample = self.reader.transform(sample)
            if sample is not None:
                return sample

    def __getstate__(self) -> dict[str, Any]:
        """A copy, such as that of a worker, starts with a new epoch."""
        afresh = {"_samples": None, "_order_seeds": None, "_video_sampler_iter": None}
        return {**self.__dict__, **afresh}

    def _epoch(self) -> Generator[dict[str, Any], None, None]:
        """The samples of this process, before the transform."""
        if self._video_sampler_iter is None:
            self._video_sampler_iter = iter(self._share_of_worker())
        share, any_clip, empty_before = [], False, self.reader.num_empty
        for index in self._video_sampler_iter:
            share.append(index)
            for sample in self._samples_of(index):
                any_clip = True
                yield sample
        if any_clip or not share:
            return
        if self.reader.num_empty == empty_before:
            self._raise_if_all_are_bad(share)
        else:
            said = "No frame begins in any clip of this epoch. Take longer clips; `dataset.empty_windows` counts these."
            warnings.warn(said, UserWarning, stacklevel=3)

    # -- which videos ----------------------------------------------------------------------------

    def _share_of_worker(self) -> list[int]:
        """The indices of this process, a contiguous slice of the order that all workers agree on."""
        worker = current_worker()
        if worker is None:
            return list(self._video_sampler)
        if self._order_seeds is None or self._order_seeds[0] != worker.base_seed:
            generator = torch.Generator().manual_seed(worker.base_seed)
            self._order_seeds = worker.base_seed, generator
        # Drawn anew in every epoch: workers that persist keep their seed.
        seed = int(torch.randint(2**32, (), generator=self._order_seeds[1]))
        own = getattr(self._video_sampler, "generator", None)
        if isinstance(own, torch.Generator):
            own.manual_seed((own.initial_seed() + seed) % 2**63)
        with seeded(seed):
            order = list(self._video_sampler)
        first = len(order) * worker.id // worker.num_workers
        end = len(order) * (worker.id + 1) // worker.num_workers
        return order[first:end]

    # -- one video -------------------------------------------------------------------------------

    def _samples_of(self, index: int) -> Generator[dict[str, Any], None, None]:
        """The samples of one video, before the transform, up to its first bad clip."""
        reader = self.reader
        path, info = reader.videos[index]
        video, clip, is_first = None, None, True
        try:
            video = reader.open(path)
            for window, is_viewed_again in reader.windows(reader.duration(video), info):
                if is_first or np.max(window.aug_index) == 0:
                    clip = reader.decode(video, path, window, is_viewed_again)
                    is_first = False
                if clip is None:
                    continue
                # A transform may work in place: the next view of this clip needs its own copy.
                seen = copy_clip(clip) if is_viewed_again else clip
                yield reader.sample(seen, video.name, index, window, info)
        except VideoError:
            if reader.skip_log.on_error == "raise":
                raise
        finally:
            if video is not None:
                video.close()

    # -- all bad ---------------------------------------------------------------------------------

    def _raise_if_all_are_bad(self, share: list[int]) -> None:
        """Raises unless a video outside of a share that gave no clip gives one."""
        reader = self.reader
        known, empty_before = reader.skip_log.clips(), reader.num_empty
        for index in sorted(set(range(len(reader.videos))).difference(share)):
            entry = known.get(str(reader.videos[index][0]))
            if entry is not None and entry.clip_start_sec is None:
                continue  # another worker could not even open it
            samples = self._samples_of(index)
            if next(samples, None) is not None or reader.num_empty > empty_before:
                samples.close()
                return
        raise RuntimeError(reader.none_readable())


def labeled_video_dataset(
    data_path: str,
    clip_sampler: ClipSampler,
    video_sampler: Callable[[Any], Sampler] = RandomSampler,
    transform: Transform | None = None,
    video_path_prefix: str = "",
    decode_audio: bool = True,
    decoder: str = "pyav",
    *,
    split: str | None = None,
    **options: Any,
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
        split: which videos of a list file with a column ``split``.
        options: the keyword-only arguments of :class:`LabeledVideoDataset`.

    Raises:
        FileNotFoundError: no such path, or a list in which no video exists.
        ValueError: a bad line, an empty list, or a class folder without videos.
    """
    videos = LabeledVideoPaths.from_path(data_path, split=split)
    videos.path_prefix, videos.prefix_argument = video_path_prefix, "video_path_prefix"
    videos.check_any_exists()
    return LabeledVideoDataset(
        videos,
        clip_sampler,
        video_sampler,
        transform,
        decode_audio=decode_audio,
        decoder=decoder,
        **options,
    )
