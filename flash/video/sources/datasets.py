# SPDX-License-Identifier: Apache-2.0
"""Data sets of the stages, whose samples have both generations of names."""

from collections.abc import Callable, Generator, Iterator, Sequence, Sized
from fractions import Fraction
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils.data import (
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    Subset,
    get_worker_info,
)

from flash.core.data.io.input import Sample
from pytorchvideo._checks import expected
from pytorchvideo._positions import frames_of_parts
from pytorchvideo.data._reading.samplers import sampler_of
from pytorchvideo.data.clip_sampling import ClipInfo, ClipSampler, Seconds, exact_seconds
from pytorchvideo.data.labeled_video_dataset import LabeledVideoDataset
from pytorchvideo.data.splits import Item

Transform = Callable[..., Any] | None


class MiddleClipSampler(ClipSampler):
    """One clip a video, its middle.

    >>> MiddleClipSampler(2)(None, 10, {})[:2]
    (Fraction(4, 1), Fraction(6, 1))
    """

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        start = max(Fraction(video_duration) - self._clip_duration, Fraction(0)) / 2
        return ClipInfo(start, start + self._clip_duration, 0, 0, True)


class WholeVideoSampler(ClipSampler):
    """One clip a video, all of it.

    >>> WholeVideoSampler(2)(None, 10, {})[:2]
    (Fraction(0, 1), Fraction(10, 1))
    """

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo:
        return ClipInfo(Fraction(0), exact_seconds(video_duration), 0, 0, True)


class FrameOfEachPart:
    """Picks a frame of each of equal parts of a clip, as a ``frame_filter``.

    Args:
        parts: how many frames.
        at_random: any frame of the part, not the middle one.

    >>> FrameOfEachPart(2)([10, 11, 12, 13, 14])
    [11, 13]
    """

    def __init__(self, parts: int, *, at_random: bool = False) -> None:
        self.parts, self.at_random = parts, at_random

    def __call__(self, indices: list[int]) -> list[int]:
        """Returns the indices that are picked of those of a clip."""
        chosen = frames_of_parts(len(indices), self.parts, at_random=self.at_random)
        return [indices[place] for place in chosen]


class EachClip:
    """Applies a transform to every clip of a sample that holds several, and gives a list of samples.

    A sample with a single clip is passed through the transform and stays one sample.
    """

    def __init__(self, transform: Transform) -> None:
        self.transform = transform

    def __call__(self, sample: dict[str, Any]) -> Any:
        transform = self.transform or (lambda one: one)
        if not isinstance(sample["video"], list):
            return transform(sample)
        several = [key for key in ("video", "audio", "clip_index", "aug_index") if key in sample]
        clips: list[dict[str, Any]] = [
            {key: sample[key][i] for key in several} for i in range(len(sample["video"]))
        ]
        return [transform(Sample({**sample, **clip})) for clip in clips]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transform})"


class VideoFiles(LabeledVideoDataset):
    """A :class:`LabeledVideoDataset` whose samples also have Flash's names, ``input`` and ``target``."""

    @property
    def data(self) -> LabeledVideoDataset:
        """The data set itself, which was inside another one in Flash."""
        return self

    dataset = data

    def _epoch(self) -> Generator[dict[str, Any], None, None]:
        yield from map(Sample, super()._epoch())


class Clips(Dataset[Any]):
    """Clips that are in memory, one sample each.

    Args:
        items: ``(clip (C, T, H, W), {"label": ...})``.
        transform: of a sample, whose ``video`` is float32.
    """

    def __init__(self, items: Sequence[Item], transform: Transform) -> None:
        self.items = items
        self.transform = transform

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        clip, info = self.items[index]
        place: dict[str, Any] = {
            "video_name": str(index),
            "video_index": index,
            "clip_index": 0,
            "aug_index": 0,
        }
        # a copy, since a transform may work in place
        sample = Sample(video=cast(Tensor, clip).to(torch.float32, copy=True), **place, **info)
        return sample if self.transform is None else self.transform(sample)


class LabeledVideoTensorDataset(IterableDataset[Any]):
    """Clips that are in memory, each in full length, with the entries of :class:`LabeledVideoDataset`.

    Args:
        labeled_videos: of ``(clip (C, T, H, W), info)``, where ``info`` is a dict such as ``{"label": 3}``, or None.
        video_sampler: a sampler class, or a sampler; see :class:`LabeledVideoDataset`.
        transform: of a sample, whose ``video`` is float32; one that it makes None is left out.
    """

    def __init__(
        self,
        labeled_videos: Sequence[tuple[Tensor, dict[str, Any] | None]],
        video_sampler: Any = RandomSampler,
        transform: Transform = None,
    ) -> None:
        items = [(clip, dict(info or {})) for clip, info in labeled_videos]
        self._clips = Clips(items, transform)
        self.video_sampler: Sampler[int] = sampler_of(video_sampler, items)

    @property
    def num_videos(self) -> int:
        """Number of clips in an epoch."""
        return len(cast(Sized, self.video_sampler))

    def __iter__(self) -> Iterator[Any]:
        """Yields the samples; each worker of a loader its share of one order."""
        worker = get_worker_info()
        if worker is None:
            order = list(self.video_sampler)
        else:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(worker.seed - worker.id)
                order = list(self.video_sampler)[worker.id :: worker.num_workers]
        samples = (self._clips[index] for index in order)
        return (sample for sample in samples if sample is not None)


class TransformedMap(Dataset[Any]):
    """A map-style data set of your own, with the hooks of a stage."""

    def __init__(self, dataset: Any, transform: Transform) -> None:
        self.dataset = dataset
        self.transform = transform
        if hasattr(dataset, "set_epoch"):
            self.set_epoch = dataset.set_epoch

    def __len__(self) -> int:
        return len(cast(Sized, self.dataset))

    def __getitem__(self, index: int) -> Any:
        return _transformed(self.dataset[index], self.transform)

    def __getitems__(self, indices: list[int]) -> list[Any]:
        """The samples of a batch, of which a data set may leave out bad ones."""
        together = getattr(self.dataset, "__getitems__", None)
        samples = [self.dataset[i] for i in indices] if together is None else together(indices)
        return [_transformed(sample, self.transform) for sample in samples]


class Part(Subset[Any]):
    """Some samples of a map-style data set of your own, which learns the epoch if it has any."""

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        super().__init__(dataset, indices)
        if hasattr(dataset, "set_epoch"):
            self.set_epoch = dataset.set_epoch


class TransformedStream(IterableDataset[Any]):
    """An iterable data set of your own, with the hooks of a stage."""

    def __init__(self, dataset: Any, transform: Transform) -> None:
        self.dataset = dataset
        self.transform = transform

    def __iter__(self) -> Iterator[Any]:
        return (_transformed(sample, self.transform) for sample in self.dataset)


def _transformed(sample: Any, transform: Transform) -> Any:
    if isinstance(sample, (tuple, list)) and len(sample) == 2:
        sample = dict(zip(("video", "label"), sample, strict=True))
    if not isinstance(sample, dict):
        wanted = "a dict, or a pair of a clip and its class"
        raise TypeError(expected("sample", wanted, type(sample).__name__))
    sample = Sample(sample)
    return sample if transform is None else transform(sample)


def clips_of(name: str, data: Any) -> list[Tensor]:
    """Returns the clips (C, T, H, W) of a stack (N, C, T, H, W), of a list, or a single one.

    Raises:
        TypeError: for something that is no tensor.
        ValueError: for other shapes.
    """
    if isinstance(data, Tensor):
        clips = list(data) if data.ndim == 5 else [data]
    elif isinstance(data, (list, tuple)):
        clips = list(data)
    else:
        wanted = "a tensor, or a list/tuple of tensors"
        raise TypeError(expected(name, wanted, type(data).__name__))
    for clip in clips:
        if not isinstance(clip, Tensor):
            raise TypeError(expected(name, "a list/tuple of tensors", type(clip).__name__))
        if clip.ndim != 4:
            shape = tuple(data.shape) if isinstance(data, Tensor) else tuple(clip.shape)
            wanted = "of dimension 4 (C, T, H, W) for a clip, or 5 (N, C, T, H, W) for a stack"
            raise ValueError(expected(name, wanted, shape))
        if not clip.numel():
            raise ValueError(expected(name, "clips with frames", tuple(clip.shape)))
    return clips


def to_255(clip: Tensor) -> Tensor:
    """Brings a float clip in 0..1 to the 0..255 of decoded ones; a clip with larger values is left.

    >>> to_255(torch.tensor([0.0, 1.0])), to_255(torch.tensor([0.0, 200.0]))
    (tensor([  0., 255.]), tensor([  0., 200.]))
    """
    return clip * 255 if clip.max() <= 1 else clip
