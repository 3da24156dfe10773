# SPDX-License-Identifier: Apache-2.0
"""The time that a run will take, from its first batches or its first videos."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console

from flash.runs.reports.facts import duration
from pytorchvideo._progress import Meter

#: Batches, or videos, after which the time of all is estimated; the first is slower, and left out.
TIMED = 4
#: Seconds of a report, whose plots need matplotlib.
REPORT_SEC = 5.0
#: Clips of a report with maps, which take a backward pass.
EXPLAINED = 10
#: Seconds in which frames of a short video are compared.
LOOK_SEC = 0.05
_FORWARD = 1 / 3  # of a training step, whose backward pass takes twice as long as its forward pass
_SHARE = 0.25  # of an epoch's batches, which precise BN looks at before a validation


@dataclass(frozen=True)
class Work:
    """What there is to do in a training, in batches.

    Args:
        train: training batches of each epoch.
        validation: batches of held-out videos after each epoch.
        statistics: training batches that precise BN looks at, at most; 0 without it.
        predicted: batches of the clips by which the held-out videos are judged at the end.
        explained: batches that the clips with maps would make.
        looked_at: batches that the videos would make of which some frames are compared, or shown, at the end.
    """

    train: Sequence[int]
    validation: float = 0.0
    statistics: int = 0
    predicted: float = 0.0
    explained: float = 0.0
    looked_at: float = 0.0

    def seconds_left(self, epoch: int, done: int, waiting: float, model: float) -> float:
        """Returns how long the rest of a training takes.

        Args:
            epoch: the present one, from 0.
            done: training batches of it.
            waiting: seconds for which a training batch waits for its data.
            model: seconds that it takes in the model, forward and backward.

        >>> Work(train=[10, 10], validation=4).seconds_left(0, done=5, waiting=1.0, model=3.0)
        81.0
        """
        forward = _FORWARD * model
        left = self.train[epoch:]
        looks = sum(min(self.statistics, math.ceil(_SHARE * batches)) for batches in left)
        return (
            (sum(left) - done) * (waiting + model)
            + len(left) * self.validation * (waiting + forward)
            + looks * forward
            + self.after(waiting, model)
        )

    def after(self, waiting: float, model: float) -> float:
        """Returns the seconds from the end of the last epoch to that of the run; see :meth:`seconds_left`."""
        forward = _FORWARD * model
        return (
            min(self.statistics, self.train[-1]) * forward
            + self.predicted * (waiting + forward)
            + self.explained * (waiting + model)
            + self.looked_at * waiting
            + REPORT_SEC
        )


def say_time(console: Console, seconds: float) -> None:
    """Prints how long a run will go on."""
    said = duration(seconds) if seconds >= 60 else f"{seconds:.0f} s"
    console.print(f"about {said} to go", soft_wrap=True, highlight=False)


@dataclass(frozen=True)
class _Mark:
    """A moment of an epoch: its batches so far, the time, and the seconds in the model."""

    batches: int = 0
    at: float = 0.0
    in_model: float = 0.0


class TrainingTime:
    """Tells the time that is left of a training after some batches, and once more where an epoch took another time.

    Args:
        work: of the training.
        console: where it is said.
        clock: seconds from any point in time.
    """

    def __init__(
        self, work: Work, console: Console, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._work, self._console, self._clock = work, console, clock
        self._first = self._last = _Mark()
        self._batch: tuple[float, float] | None = None  # seconds of waiting and in the model
        self._until: float | None = None  # as it was said

    def start_epoch(self) -> None:
        """An epoch begins."""
        self._first = self._last = _Mark(at=self._clock())

    def stop_batch(self, epoch: int, done: int, meter: Meter) -> None:
        """A training batch has been done.

        Args:
            epoch: its number, from 0.
            done: batches of it.
            meter: of it.
        """
        batches = self._work.train[epoch]
        self._last = _Mark(done, self._clock(), (1 - meter.waiting) * meter.seconds)
        if done == 1 < batches:
            self._first = self._last
        if self._batch is None and done >= min(TIMED, batches):
            count = done - self._first.batches
            model = (self._last.in_model - self._first.in_model) / count
            self._batch = max((self._last.at - self._first.at) / count - model, 0.0), model
            self._say(self._work.seconds_left(epoch, done, *self._batch))

    def stop_epoch(self, epoch: int) -> None:
        """An epoch has ended, with its validation.

        Args:
            epoch: its number, from 0.
        """
        later = self._work.train[epoch + 1 :]
        if self._until is None or self._batch is None or not later:
            return
        now, first, last = self._clock(), self._first, self._last
        each = (last.at - first.at) / max(last.batches - first.batches, 1)
        left = sum(later) * each + len(later) * (now - last.at) + self._work.after(*self._batch)
        if abs(left - (self._until - now)) > max(0.2 * left, 10.0):
            self._say(left)

    def _say(self, seconds: float) -> None:
        self._until = self._clock() + seconds
        say_time(self._console, seconds)
