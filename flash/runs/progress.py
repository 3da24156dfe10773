# SPDX-License-Identifier: Apache-2.0
"""Progress bars with clips per second and the share of time spent waiting for data."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from pytorchvideo._progress import Step


class _MeterColumn(ProgressColumn):
    """``12.3 clips/s  4 % waiting for data`` from the task's meter."""

    def render(self, task: Task) -> Text:
        meter = task.fields.get("meter")
        if meter is None or not meter.clips:
            return Text("")
        return Text(str(meter), style="dim")


class _Bars(Progress):
    def stop(self) -> None:
        """Ends the bars; rich 13.0 prints an empty line where none were shown."""
        if not self.disable:
            super().stop()


def progress_bar(console: Console) -> Progress:
    """Returns a bar on ``console``, which shows nothing where that is a file or a pipe."""
    return _Bars(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        _MeterColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", style="bold", markup=False),
        console=console,
        disable=not console.is_terminal,
    )


class Bar:
    """Bars of some work, one for each part of it, as a callback of the work.

    Args:
        bars: where they are shown.
        title: of a part without one.

    Attributes:
        last: the latest step.
    """

    def __init__(self, bars: Progress, title: str) -> None:
        self._bars, self._title = bars, title
        self._tasks: dict[str, TaskID] = {}
        self.last = Step(0)

    def __call__(self, step: Step) -> None:
        """Shows a step."""
        self.last, title = step, step.title or self._title
        if title not in self._tasks:
            self._tasks[title] = self._bars.add_task(title, total=step.total, note="")
        self._bars.update(
            self._tasks[title],
            completed=step.done,
            total=step.total,
            note=step.note,
            meter=step.meter,
        )


@contextmanager
def showing(console: Console, title: str) -> Iterator[Bar]:
    """Gives what shows the steps of some work on ``console``."""
    with progress_bar(console) as bars:
        yield Bar(bars, title)
