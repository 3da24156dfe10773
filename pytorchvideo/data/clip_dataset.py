# SPDX-License-Identifier: Apache-2.0
"""The clips of labelled videos with a length and random access: a map-style dataset."""

import operator
import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch.utils.data import Dataset, Sampler, SequentialSampler

from pytorchvideo._checks import expected
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._reading.clip_reader import ClipReader, LabeledVideos, Transform, copy_clip
from pytorchvideo.data._reading.durations import Length, read_lengths
from pytorchvideo.data._reading.empty_windows import EmptyWindowError, may_be_empty, with_frames
from pytorchvideo.data._reading.randomness import seeded
from pytorchvideo.data._reading.skipped import SkippedClip
from pytorchvideo.data.clip_sampling import ClipSampler
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset
from pytorchvideo.data.video import Video

__all__ = ["ClipDataset", "EmptyWindowError"]


class Place(NamedTuple):
    """Where a clip comes from: a video, and which of its clips (of its views) it is."""

    video_index: int
    number: int


class ClipDataset(Dataset):
    """The clips of labelled videos as a sequence: ``len(dataset)``, ``dataset[i]``, any PyTorch sampler.

    It takes the arguments of :class:`LabeledVideoDataset` and gives its samples, with
    ``clip_start_sec`` and ``clip_end_sec`` in each (lists for samplers of several clips at once).

    *Length.* The first use opens every video, several at a time, to ask for its duration, and counts
    its clips; ``durations_cache`` keeps the answers. The length does not depend on ranks or workers.

    *Randomness.* A sample is a function of ``(seed, epoch, index)`` alone: random clip samplers and
    random transforms give the same in any worker, in any order, and after a restart. Another epoch
    (:meth:`set_epoch`) gives other random clips.

    *Empty windows.* A window of the clip sampler in which no frame begins, as in a time lapse or a pause, has an index
    like any other: ``dataset[i]`` raises an EmptyWindowError, while iteration and the batches of a ``DataLoader`` do
    without it. :attr:`empty_windows` counts them. Those of a time lapse are known beforehand
    (:attr:`clips_with_frames`); a :class:`ClipDataLoader` does not ask for them.

    *Bad files.* A video that cannot be opened has no clips; it is in :attr:`skipped`. A clip that
    turns out to be damaged raises a VideoError from ``dataset[i]``, and is left out of the batches
    of a ``DataLoader``, with one warning and an entry in :attr:`skipped`. A batch of which nothing is
    left gets the next readable clip of the data set instead, since no batch can be empty.

    Args:
        labeled_video_paths: indexable, of ``(path, info)``.
        clip_sampler: which clips to take from a video.
        video_sampler: accepted, so that both datasets take the same arguments. The order of the
            samples is that of the sampler of the ``DataLoader``.
        transform: applied to each sample; None as its result leaves the sample out of batches.
        decode_audio: whether samples have ``audio``.
        decode_video: without it samples have no ``video``.
        decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
        seed: of all randomness.
        durations_cache: a json file that keeps the durations; those of files whose size or time of
            change is another than when it was written are read again.
        options: the keyword-only arguments of :class:`LabeledVideoDataset`, such as ``on_error``.

    Example::

        dataset = ClipDataset(videos, make_clip_sampler("uniform", 2), transform=transform)
        loader = DataLoader(dataset, batch_size=8, shuffle=True, num_workers=2)
    """

    def __init__(
        self,
        labeled_video_paths: LabeledVideos,
        clip_sampler: ClipSampler,
        video_sampler: Callable[[Any], Sampler] = SequentialSampler,
        transform: Transform | None = None,
        decode_audio: bool = True,
        decode_video: bool = True,
        decoder: str = "pyav",
        *,
        seed: int = 0,
        durations_cache: str | os.PathLike[str] | None = None,
        **options: Any,
    ) -> None:
        reader = ClipReader(
            labeled_video_paths,
            clip_sampler,
            transform,
            decode_audio=decode_audio,
            decode_video=decode_video,
            decoder=decoder,
            **options,
        )
        self._start(reader, seed, durations_cache)

    @classmethod
    def from_dataset(
        cls,
        dataset: LabeledVideoDataset,
        *,
        seed: int = 0,
        durations_cache: str | os.PathLike[str] | None = None,
    ) -> "ClipDataset":
        """Gives a dataset such as ``Kinetics(...)`` a length and random access.

        Both share the clip sampler and the transform.

        Example::

            dataset = ClipDataset.from_dataset(Kinetics("train", make_clip_sampler("random", 2)))
        """
        made = cls.__new__(cls)
        made._start(dataset.reader, seed, durations_cache)
        return made

    def _start(
        self, reader: ClipReader, seed: int, durations_cache: str | os.PathLike[str] | None
    ) -> None:
        if seed < 0:
            raise ValueError(expected("seed", ">= 0", seed))
        self.reader = reader
        self._seed = seed
        # Shared memory: workers that persist see the epoch that the main process sets.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()
        self._position = 0
        self._durations_cache = durations_cache
        self._clips: list[Place] | None = None
        self._empty: set[int] = set()  # the indices of windows that are known to have no frame
        self._last: _Opened | None = None

    # -- what it holds -----------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of clips (of views, for samplers that give several views of a clip)."""
        return len(self.clips)

    @property
    def clips(self) -> Sequence[Place]:
        """For each index ``(video_index, number)``: the video, and which of its clips it is."""
        if self._clips is None:
            self._clips = self._count_clips()
        return self._clips

    @property
    def clips_with_frames(self) -> Sequence[int]:
        """The indices of all clips but those that are known to have no frame."""
        every = range(len(self))
        return [i for i in every if i not in self._empty] if self._empty else every

    @property
    def num_videos(self) -> int:
        """Number of videos, those that cannot be opened included."""
        return len(self.reader.videos)

    @property
    def skipped(self) -> list[SkippedClip]:
        """The bad videos found so far, by any worker, each once."""
        return list(self.reader.skip_log.clips().values())

    @property
    def empty_windows(self) -> dict[str, int]:
        """How many windows without a frame were passed over so far, by any worker, by path."""
        return self.reader.skip_log.empty_windows()

    @property
    def epoch(self) -> int:
        """The epoch that random clips and random transforms depend on."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """Starts another epoch, in workers that persist too."""
        if epoch < 0:
            raise ValueError(expected("epoch", ">= 0", epoch))
        self._epoch.fill_(epoch)
        self._position = 0

    # -- samples -----------------------------------------------------------------------------------

    def __getitem__(self, index: int) -> Any:
        """Returns one sample, see :class:`LabeledVideoDataset`, after the transform.

        Raises:
            IndexError: there is no clip of this number.
            VideoError: (a RuntimeError) the clip cannot be read.
        """
        number = operator.index(index)
        if not -len(self) <= number < len(self):
            raise IndexError(expected("index", f"from {-len(self)} to {len(self) - 1}", number))
        number %= len(self)
        with seeded(self._seed, self.epoch, number):
            sample = self._sample(self.clips[number], number in self._empty)
            transform = self.reader.transform
            return sample if transform is None else transform(sample)

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Returns the samples of a batch without the bad ones; ``DataLoader`` calls it."""
        samples = [sample for index in indices if (sample := self._get_good(index)) is not None]
        if samples or not indices:
            return samples
        for step in range(1, len(self)):
            sample = self._get_good((indices[-1] + step) % len(self))
            if sample is not None:
                return [sample]
        raise RuntimeError(self.reader.none_readable())

    def __iter__(self) -> Iterator[Any]:
        """Yields the samples of this epoch in order, from where :meth:`load_state_dict` says."""
        while self._position < len(self):
            self._position += 1
            sample = self._get_good(self._position - 1)
            if sample is not None:
                yield sample
        self._position = 0

    def _get_good(self, index: int) -> Any:
        """A sample, or None for a bad clip and for one that the transform leaves out."""
        try:
            return self[index]
        except EmptyWindowError:
            return None
        except VideoError:
            if self.reader.skip_log.on_error == "raise":
                raise
            return None

    def _sample(self, place: Place, is_empty: bool) -> dict[str, Any]:
        reader = self.reader
        path, info = reader.videos[place.video_index]
        opened = self._opened(place.video_index, path)
        windows = reader.windows(reader.duration(opened.video), info)
        window, is_viewed_again = next(islice(windows, place.number, None))
        clip_number = (str(window.clip_start_sec), str(window.clip_end_sec))
        clip = opened.views.get(clip_number)
        if clip is None and not is_empty:
            clip = reader.decode(opened.video, path, window, is_viewed_again)
        if clip is None:
            times = _in_seconds(window.clip_start_sec), _in_seconds(window.clip_end_sec)
            raise EmptyWindowError(
                f"{path}: no frame begins in the clip from {times[0]} to {times[1]} s."
            )
        # Views of a clip are decoded once where one follows the other.
        opened.views = {clip_number: clip} if is_viewed_again else {}
        seen = copy_clip(clip) if is_viewed_again else clip
        sample = reader.sample(seen, opened.video.name, place.video_index, window, info)
        sample["clip_start_sec"] = _in_seconds(window.clip_start_sec)
        sample["clip_end_sec"] = _in_seconds(window.clip_end_sec)
        return sample

    def _opened(self, video_index: int, path: str) -> "_Opened":
        """A video, left open for the next sample, which often is of the same one."""
        last, self._last = self._last, None
        # A worker that was forked must not read through the file of its parent.
        if last is not None and last.process == os.getpid():
            if last.video_index == video_index:
                self._last = last
                return last
            last.video.close()
        self._last = _Opened(video_index, self.reader.open(path))
        return self._last

    def _count_clips(self) -> list[Place]:
        """The place of every clip, in the order of the videos."""
        reader, places = self.reader, list[Place]()
        for video_index, length in enumerate(read_lengths(reader, self._durations_cache)):
            if length is None:
                continue
            windows = self._windows(video_index, length)
            # random ones are others in every epoch
            if may_be_empty(windows, length.rate) and windows == self._windows(
                video_index, length, self._seed + 1
            ):
                self._empty.update(len(places) + i for i in self._without(video_index, windows))
            places += [Place(video_index, number) for number in range(len(windows))]
        if len(places) == len(self._empty):
            raise RuntimeError(reader.none_readable())
        return places

    def _windows(self, video_index: int, length: Length, seed: int | None = None) -> list[Any]:
        """All windows of a video, random ones as a seed draws them."""
        info = self.reader.videos[video_index][1]
        with seeded(self._seed if seed is None else seed):
            return [window for window, _ in self.reader.windows(length.duration, info)]

    def _without(self, video_index: int, windows: list[Any]) -> set[int]:
        """The numbers of the windows in which no frame begins, which are counted."""
        path = self.reader.videos[video_index][0]
        try:
            video = self.reader.open(path)
        except VideoError:  # it could be opened before; whoever reads it learns why it cannot now
            return set()
        try:
            filled = with_frames(video, [window[:2] for window in windows])
        finally:
            video.close()
        if len(filled) < len(windows):
            self.reader.skip_log.add_empty(str(path), len(windows) - len(filled))
        return set(range(len(windows))).difference(filled)

    # -- resuming ------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, int]:
        """Returns the seed, the epoch, and how many clips of it ``iter(dataset)`` has passed.

        A ``DataLoader`` has its own order and runs ahead: see :class:`ClipDataLoader` for its state.
        """
        return {"seed": self._seed, "epoch": self.epoch, "position": self._position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on in the middle of an epoch: the next iteration yields the samples that were left."""
        self._seed = state["seed"]
        self.set_epoch(state["epoch"])
        self._position = state["position"]

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process opens files of its own."""
        return {**self.__dict__, "_last": None}


class _Opened:
    """A video that this process has open, and the decoded clip whose next view will be asked for."""

    def __init__(self, video_index: int, video: Video) -> None:
        self.video_index = video_index
        self.video = video
        self.process = os.getpid()
        self.views: dict[tuple[str, str], dict[str, Any]] = {}


def _in_seconds(times: Fraction | list[Fraction]) -> float | list[float]:
    return [float(time) for time in times] if isinstance(times, list) else float(times)
