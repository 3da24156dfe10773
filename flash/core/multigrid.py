# SPDX-License-Identifier: Apache-2.0
"""Multigrid training: small clips in large batches first, whole ones at the end (arXiv 1912.00998).

A long cycle goes through four shapes of clips, from a quarter of the frames to all, within each stretch of one
learning rate; a short cycle goes through three crops from step to step. Batches grow as clips shrink, so that each step
costs the same, and learning rates grow with the batches of the long cycle.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from torch.utils.data import Sampler

from pytorchvideo._checks import expected

# shares of the frames and of the side
_LONG_CYCLE = ((0.25, 0.5**0.5), (0.5, 0.5**0.5), (0.5, 1.0), (1.0, 1.0))
# shares of the side that two of three steps have; the third has the current one
_SHORT_CYCLE = (0.5, 0.5**0.5)


class Shape(NamedTuple):
    """Clips of a stretch of the training.

    Attributes:
        batch_factor: how many times as large a batch is as that of whole clips.
        num_frames: of a clip.
        crop_size: its side in pixels.
    """

    batch_factor: int
    num_frames: int
    crop_size: int


class Stretch(NamedTuple):
    """Epochs with one shape and one learning rate.

    Attributes:
        stage: the number of the step of the learning rate.
        shape: of the clips.
        end_epoch: the first epoch after it.
    """

    stage: int
    shape: Shape
    end_epoch: int


@dataclass(frozen=True)
class Schedule:
    """A multigrid training.

    Attributes:
        stretches: in order.
        steps: epochs from which the factors count.
        factors: of the learning rate, as :func:`flash.core.published_rates.stepped_rate` takes them.
        max_epoch: the end.
    """

    stretches: tuple[Stretch, ...]
    steps: tuple[int, ...]
    factors: tuple[float, ...]
    max_epoch: int

    def at(self, epoch: float) -> Stretch:
        """Returns the stretch of an epoch; from the end on, the last.

        >>> multigrid_schedule([0, 14, 18], 22, num_frames=64, crop_size=224).at(12).shape
        Shape(batch_factor=4, num_frames=32, crop_size=158)
        """
        found = (stretch for stretch in self.stretches if epoch < stretch.end_epoch)
        return next(found, self.stretches[-1])


def long_cycle_shapes(num_frames: int, crop_size: int) -> list[Shape]:
    """Returns the four shapes of the long cycle for whole clips of a size.

    >>> [tuple(shape) for shape in long_cycle_shapes(32, 224)]
    [(8, 8, 158), (4, 16, 158), (2, 16, 224), (1, 32, 224)]
    """
    if num_frames < 4 or crop_size < 2:
        wanted = "at least 4 frames of 2 pixels, which can be divided"
        raise ValueError(expected("num_frames, crop_size", wanted, (num_frames, crop_size)))
    shapes = []
    for of_frames, of_side in _LONG_CYCLE:
        frames, side = round(num_frames * of_frames), round(crop_size * of_side)
        factor = round(num_frames * crop_size**2 / (frames * side**2))
        shapes.append(Shape(factor, frames, side))
    return shapes


def short_cycle(current: int, crop_size: int) -> list[tuple[int, int]]:
    """Returns the batch factor and the crop of each of three steps.

    Args:
        current: the crop of the long cycle.
        crop_size: that of whole clips.

    >>> short_cycle(224, 224), short_cycle(158, 224)
    ([(4, 112), (2, 158), (1, 224)], [(2, 112), (1, 158), (1, 158)])
    """
    crops = [share * crop_size for share in _SHORT_CYCLE]
    steps = [(max(1, round((current / crop) ** 2)), round(crop)) for crop in crops]
    return [*steps, (1, current)]


def multigrid_schedule(
    steps: Sequence[int],
    max_epoch: int,
    *,
    num_frames: int,
    crop_size: int,
    epoch_factor: float = 1.5,
    gamma: float = 0.1,
    long_cycle: bool = True,
) -> Schedule:
    """Returns the stretches of a training that is given as steps of the learning rate.

    The epochs of each step but the last are shared out to the four shapes in proportion to their batches, mean over
    the short cycle: each shape has as many iterations. The last step is fine-tuning with whole clips, shorter by the
    share of iterations that the others save. All are stretched to ``max_epoch * epoch_factor`` epochs. Fine-tuning
    begins with the rate that was before, and has its own in its second half.

    Args:
        steps: epochs at which the rate of the ordinary training changes, the first 0.
        max_epoch: its end.
        num_frames: of whole clips.
        crop_size: of whole clips.
        epoch_factor: how many times as many epochs as it there are.
        gamma: by which each step multiplies the rate.
        long_cycle: False leaves all clips whole, for the short cycle alone: each step is a stretch.

    Raises:
        ValueError: steps do not rise from 0 to before ``max_epoch``, or are fewer than two.
    """
    edges = [*steps, max_epoch]
    if len(steps) < 2 or steps[0] != 0 or any(a >= b for a, b in itertools.pairwise(edges)):
        wanted = f"two epochs or more that rise from 0 to before {max_epoch}"
        raise ValueError(expected("steps", wanted, list(steps)))
    if not long_cycle:
        ends = [round(edge * epoch_factor) for edge in edges]
        whole = Shape(1, num_frames, crop_size)
        parts = tuple(Stretch(stage, whole, end) for stage, end in enumerate(ends[1:]))
        return Schedule(parts, tuple(ends[:-1]), tuple(gamma**p.stage for p in parts), ends[-1])
    shapes = long_cycle_shapes(num_frames, crop_size)
    weights = [_mean_batch(shape, crop_size) for shape in shapes]
    saving = sum(weights) / len(weights)  # iterations of the ordinary training over those here
    lengths = [float(b - a) for a, b in itertools.pairwise(edges)]
    lengths = [*lengths[:-1], lengths[-1] * weights[-1] / saving]
    total = max_epoch * epoch_factor
    stretch = total / sum(lengths)
    stretches, done = [], 0.0
    for stage, length in enumerate(lengths[:-1]):
        for shape, weight in zip(shapes, weights, strict=True):
            done += length * stretch * weight / sum(weights)
            stretches.append(Stretch(stage, shape, round(done)))
    last = Stretch(len(lengths) - 1, shapes[-1], round(total))
    starts = [0, *(s.end_epoch for s in stretches), (stretches[-1].end_epoch + last.end_epoch) // 2]
    factors = [s.shape.batch_factor * gamma**s.stage for s in stretches]
    factors += [last.shape.batch_factor * gamma ** (last.stage - 1), gamma**last.stage]
    return Schedule((*stretches, last), tuple(starts), tuple(factors), last.end_epoch)


def _mean_batch(shape: Shape, crop_size: int) -> float:
    """The batch factor of a shape of the long cycle, mean over the short one."""
    factors = [factor for factor, _ in short_cycle(shape.crop_size, crop_size)]
    return shape.batch_factor * sum(factors) / len(factors)


def sampling_rates(sampling_rate: int, whole_frames: int, num_frames: int) -> range:
    """Returns the distances of frames of which a clip with fewer frames draws one, each as likely.

    >>> list(sampling_rates(2, 32, 8)), list(sampling_rates(2, 32, 32))
    ([2, 3, 4, 5, 6, 7, 8], [2])
    """
    return range(sampling_rate, sampling_rate * whole_frames // num_frames + 1)


def short_side_range(low: int, high: int, crop: int, crop_size: int) -> tuple[int, int]:
    """Returns the range of short sides for a crop: the lower end goes with it, the upper stays.

    >>> short_side_range(256, 320, 112, 224)
    (128, 320)
    """
    return round(low * crop / crop_size), high


def norm_plan(batch_size: int, base: int = 8) -> tuple[Literal["sync", "split", "plain"], int]:
    """Returns how batch norm has statistics of about ``base`` clips.

    Args:
        batch_size: clips of a device in a step.
        base: clips that statistics are of.

    Returns:
        ``("sync", n)``: over n devices; ``("split", n)``: of n parts, see
        :class:`pytorchvideo.layers.SubBatchNorm3d`; ``("plain", 1)``.

    >>> norm_plan(2), norm_plan(64), norm_plan(8)
    (('sync', 4), ('split', 8), ('plain', 1))
    """
    if batch_size < 1 or base < 1:
        raise ValueError(expected("batch_size, base", ">= 1", (batch_size, base)))
    factor = batch_size / base
    if factor < 1:
        return "sync", int(1 / factor)
    return ("split", int(factor)) if factor >= 2 else ("plain", 1)


class ShortCycleBatches(Sampler[list[tuple[int, int]]]):
    """Batches of pairs of an index and the crop of this step, whose sizes go through the short cycle.

    A dataset is indexed with such pairs, so that all clips of a batch have one size.

    Args:
        sampler: indices in their order.
        batch_size: clips in a step at the current crop.
        current: the crop of the long cycle.
        crop_size: that of whole clips.

    >>> batches = ShortCycleBatches(range(9), 2, current=158, crop_size=224)
    >>> [[crop for _, crop in batch] for batch in batches], len(batches)
    ([[112, 112, 112, 112], [158, 158], [158, 158], [112]], 4)
    """

    def __init__(
        self,
        sampler: Sampler[int] | Sequence[int],
        batch_size: int,
        *,
        current: int,
        crop_size: int,
    ) -> None:
        if batch_size < 1:
            raise ValueError(expected("batch_size", ">= 1", batch_size))
        self.sampler: Iterable[int] = sampler
        self.steps = [(batch_size * f, crop) for f, crop in short_cycle(current, crop_size)]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        step = 0
        batch: list[tuple[int, int]] = []
        for index in self.sampler:
            size, crop = self.steps[step % len(self.steps)]
            batch.append((index, crop))
            if len(batch) == size:
                yield batch
                batch, step = [], step + 1
        if batch:
            yield batch

    def __len__(self) -> int:
        sampler: Any = self.sampler
        rounds, left = divmod(len(sampler), sum(size for size, _ in self.steps))
        count = rounds * len(self.steps)
        for size, _ in self.steps:
            if left > 0:
                count, left = count + 1, left - size
        return count

    def set_epoch(self, epoch: int) -> None:
        """Passes the number of the epoch on to a distributed sampler."""
        if hasattr(self.sampler, "set_epoch"):
            self.sampler.set_epoch(epoch)


def clip_pixels(schedule: Schedule, epoch_clips: int, crop_size: int) -> int:
    """Returns the pixels of all clips of a training by a schedule, with the short cycle.

    >>> plan = multigrid_schedule([0, 14, 18], 22, num_frames=64, crop_size=224)
    >>> clip_pixels(plan, 100, 224) < 0.5 * (22 * 100 * 64 * 224**2)
    True
    """
    total, first = 0.0, 0
    for stretch in schedule.stretches:
        steps = short_cycle(stretch.shape.crop_size, crop_size)
        clips = sum(factor for factor, _ in steps)
        pixels = sum(factor * crop**2 for factor, crop in steps) / clips
        total += (stretch.end_epoch - first) * epoch_clips * stretch.shape.num_frames * pixels
        first = stretch.end_epoch
    return math.ceil(total)
