# SPDX-License-Identifier: Apache-2.0
"""Progress of long work, reported to a callback."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


class Meter:
    """Counts clips and tells the time in the model from the time spent waiting for its data.

    >>> meter = Meter(clock=iter([0.0, 1.0, 4.0, 5.0]).__next__)
    >>> meter.start_model(); meter.stop_model(clips=6)
    >>> print(meter)
    1.5 clips/s, 25% waiting for data
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._began = self._now = clock()
        self._entered: float | None = None
        self._in_model = 0.0
        self.clips = 0

    def start_model(self) -> None:
        """A batch is there: the model begins."""
        self._entered = self._clock()

    def stop_model(self, clips: int) -> None:
        """The model is done with a batch of ``clips``."""
        self._now = self._clock()
        if self._entered is not None:
            self._in_model += self._now - self._entered
        self._entered = None
        self.clips += clips

    def stop(self) -> None:
        """Everything is done."""
        self._now = self._clock()

    @property
    def seconds(self) -> float:
        """Time so far."""
        return self._now - self._began

    @property
    def clips_per_second(self) -> float:
        """Clips through the model in a second, waiting included."""
        return self.clips / self.seconds if self.seconds else 0.0

    @property
    def waiting(self) -> float:
        """The share of the time, 0 to 1, in which the model had no data."""
        return 1 - self._in_model / self.seconds if self.seconds else 0.0

    def __str__(self) -> str:
        return f"{self.clips_per_second:.1f} clips/s, {self.waiting:.0%} waiting for data"

    @contextmanager
    def watching(self, model: "nn.Module") -> Iterator["Meter"]:
        """Counts every batch that goes through ``model`` meanwhile."""

        def before(_module: Any, _inputs: Any) -> None:
            self.start_model()

        def after(_module: Any, _inputs: Any, output: Any) -> None:
            self.stop_model(len(output))

        hooks = (
            model.register_forward_pre_hook(before),
            model.register_forward_hook(after),
        )
        try:
            yield self
        finally:
            self.stop()
            for hook in hooks:
                hook.remove()


@dataclass(frozen=True)
class Step:
    """How far work is.

    Attributes:
        done: items that are done.
        total: of how many, None where that is not known yet.
        note: a remark on the latest.
        meter: the rate, where clips are counted.
        title: which part of the work, where it has several.
    """

    done: int
    total: int | None = None
    note: str = ""
    meter: Meter | None = None
    title: str | None = None


#: Is called after each step of some work.
Progress = Callable[[Step], None]


def silent(step: Step) -> None:
    """Shows nothing."""
