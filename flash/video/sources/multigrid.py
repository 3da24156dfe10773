# SPDX-License-Identifier: Apache-2.0
"""Videos of a multigrid training: batches whose clips are larger, and fewer, from epoch to epoch and step to step."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flash.core.multigrid import sampling_rates, short_side_range
from flash.core.multigrid_training import MultigridPlan
from flash.video.sources.datasets import VideoFiles
from pytorchvideo.data._reading.randomness import current_worker
from pytorchvideo.data.clip_sampling import (
    ClipInfo,
    ClipInfoList,
    RandomClipSampler,
    Seconds,
    exact_seconds,
)
from pytorchvideo.transforms import ApplyTransformToKey
from pytorchvideo.transforms.clip_recipe import TRAIN_SIDE_RANGE, ClipRecipe

#: The transform of samples for clips of so many frames and such a crop.
TransformOf = Callable[[int, int], Callable[..., Any]]


class StretchedClipSampler(RandomClipSampler):
    """One random clip a video of fewer frames than whole ones, whose distance is drawn for each.

    Args:
        recipe: of whole clips.
        num_frames: of these.

    >>> recipe = ClipRecipe(num_frames=8, sampling_rate=2, frames_per_second=16)
    >>> clip = StretchedClipSampler(recipe, 2)(None, 10, {})
    >>> float(clip.clip_end_sec - clip.clip_start_sec) in (0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)
    True
    """

    def __init__(self, recipe: ClipRecipe, num_frames: int) -> None:
        super().__init__(recipe.clip_duration_sec)
        self._rates = sampling_rates(recipe.sampling_rate, recipe.num_frames, num_frames)
        self._seconds = num_frames / recipe.frames_per_second  # at a distance of 1

    def __call__(
        self,
        last_clip_end_time: Seconds | None,
        video_duration: Seconds,
        annotation: dict[str, Any],
    ) -> ClipInfo | ClipInfoList:
        """Returns the clip of a video."""
        rate = self._rates[int(self._uniform() * len(self._rates))]
        self._clip_duration = exact_seconds(rate * self._seconds)
        return super().__call__(last_clip_end_time, video_duration, annotation)


class MultigridFiles(VideoFiles):
    """Batches, as lists of samples, of the shapes that a plan has for the current epoch.

    A batch that is smaller than it should be, at the end of an epoch, is left out, unless it is the only one.

    Args:
        videos: of ``(path, info)``.
        plan: of the training.
        recipe: of whole clips.
        transform_of: makes the transform of each shape; None is that of the recipe.
        batch_size: of whole clips.
        **options: those of :class:`~pytorchvideo.data.LabeledVideoDataset`.

    Raises:
        ValueError: the recipe's clips are not those of the plan.
    """

    def __init__(
        self,
        videos: Any,
        plan: MultigridPlan,
        recipe: ClipRecipe,
        *,
        transform_of: TransformOf | None = None,
        batch_size: int,
        **options: Any,
    ) -> None:
        whole = plan.whole
        if (recipe.num_frames, recipe.crop_size) != (whole.num_frames, whole.crop_size):
            raise ValueError(
                f"Expected `multigrid` to be a plan for the clips of the recipe, {recipe.num_frames} frames of "
                f"{recipe.crop_size} pixels, but it is for {whole.num_frames} of {whole.crop_size}."
            )
        super().__init__(videos, StretchedClipSampler(recipe, whole.num_frames), **options)
        self.plan, self.recipe, self.batch_size = plan, recipe, batch_size
        self._transform_of = transform_of or _Shaped(recipe)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Begins an epoch: its shapes hold from the next iteration on."""
        self._steps = self.plan.steps(epoch, self.batch_size)
        # of one batch norm each
        self._parts = self.plan.num_splits(epoch, self.batch_size)
        frames = self.plan.shape(epoch).num_frames
        self._transforms = {crop: self._transform_of(frames, crop) for _, crop in self._steps}
        self.reader.clip_sampler = StretchedClipSampler(self.recipe, frames)
        # its first step says which frames are decoded
        self.reader.transform = self._transforms[self._steps[0][1]]

    def __iter__(self) -> "MultigridFiles":
        """Starts an epoch; each worker of a loader makes every so many-th batch."""
        super().__iter__()
        worker = current_worker()
        self._step, self._stride = (0, 1) if worker is None else (worker.id, worker.num_workers)
        self._is_first = True
        return self

    def __next__(self) -> list[Any]:
        """Returns the samples of the next batch.

        Raises:
            ValueError: there are fewer videos than batch norm splits a batch into.
        """
        size, crop = self._steps[self._step % len(self._steps)]
        self.reader.transform = self._transforms[crop]
        samples: list[Any] = []
        while len(samples) < size:
            try:
                samples.append(super().__next__())
            except StopIteration:
                if not samples or not self._is_first:
                    raise
                if len(samples) < self._parts:
                    raise ValueError(
                        f"Expected {self._parts} training videos or more in each process that reads, since the batch "
                        f"norms of multigrid split a batch into so many parts, but got {len(samples)}. A larger "
                        "`base_clips`, or fewer workers, make fewer parts."
                    ) from None
                samples = samples[: len(samples) // self._parts * self._parts]
                break
        self._step, self._is_first = self._step + self._stride, False
        return samples

    def count_batches(self, workers: int, epoch: int) -> int:
        """Returns the batches of an epoch in this process, if all videos can be read."""
        steps = self.plan.steps(epoch, self.batch_size)
        return sum(
            _count(share, first, max(workers, 1), steps) for first, share in self._shares(workers)
        )

    def _shares(self, workers: int) -> list[tuple[int, int]]:
        """The number of each worker, and of its videos."""
        videos, parts = self.num_videos, max(workers, 1)
        edges = [videos * number // parts for number in range(parts + 1)]
        return [(number, edges[number + 1] - edges[number]) for number in range(parts)]


def _count(videos: int, step: int, stride: int, steps: list[tuple[int, int]]) -> int:
    """The batches that a worker makes of its videos."""
    count = 0
    while videos >= (size := steps[step % len(steps)][0]):
        videos, step, count = videos - size, step + stride, count + 1
    return count or int(videos > 0)


class _Shaped:
    """The training transform of a recipe for other clips; short sides begin lower for small ones."""

    def __init__(self, recipe: ClipRecipe) -> None:
        self.recipe = recipe

    def __call__(self, num_frames: int, crop: int) -> Callable[..., Any]:
        from torchvision.transforms import Compose

        from pytorchvideo.transforms import create_video_transform

        clip = self.recipe
        largest = round(clip.side_size * TRAIN_SIDE_RANGE)
        low, high = short_side_range(
            clip.side_size, largest, crop, clip.crop_size or clip.side_size
        )
        steps = create_video_transform(
            "train",
            num_samples=num_frames,
            video_mean=clip.mean,
            video_std=clip.std,
            min_size=max(low, crop),
            max_size=high,
            crop_size=crop,
        )
        rest = replace(clip, num_frames=num_frames).pathway_steps()
        return Compose([ApplyTransformToKey("video", Compose([*steps.transforms, *rest]))])
