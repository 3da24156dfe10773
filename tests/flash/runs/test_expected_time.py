# SPDX-License-Identifier: Apache-2.0
"""The expected time of a training counts all that a clock of its own sees it take."""

from io import StringIO

import pytest
from rich.console import Console

from flash.runs.expected_time import REPORT_SEC, TrainingTime, Work
from pytorchvideo._progress import Meter


class Machine:
    """A clock that work moves on."""

    def __init__(self, waiting: float, model: float) -> None:
        self.waiting, self.model, self.now = waiting, model, 0.0

    def __call__(self) -> float:
        return self.now

    def train(self, meter: Meter, extra: float = 0.0) -> None:
        self.now += self.waiting
        meter.start_model()
        self.now += self.model + extra
        meter.stop_model(8)


def trained(
    machine: Machine, work: Work, validation_sec: float | None = None
) -> tuple[list[str], float]:
    """What is said in a training, and how long it went on after the fourth batch of the first epoch."""
    console = Console(file=StringIO(), width=200)
    told, said_at = TrainingTime(work, console, machine), 0.0
    forward = machine.model / 3
    for epoch in range(len(work.train)):
        meter = Meter(machine)
        told.start_epoch()
        for batch in range(work.train[epoch]):
            machine.train(meter, extra=9.0 if batch == epoch == 0 else 0.0)
            told.stop_batch(epoch, batch + 1, meter)
            said_at = said_at or (machine.now if batch == 3 else 0.0)
        machine.now += min(work.statistics, -(-work.train[epoch] // 4)) * forward
        step = machine.waiting + forward
        machine.now += work.validation * step if validation_sec is None else validation_sec
        told.stop_epoch(epoch)
    machine.now += min(work.statistics, work.train[-1]) * forward
    machine.now += work.predicted * (machine.waiting + forward) + work.looked_at * machine.waiting
    machine.now += work.explained * (machine.waiting + machine.model) + REPORT_SEC
    return console.file.getvalue().splitlines(), machine.now - said_at  # type: ignore[attr-defined]


def test_all_of_it_counts() -> None:
    work = Work(train=[8] * 3, validation=4, statistics=16, predicted=8, explained=1, looked_at=12)
    lines, took = trained(Machine(waiting=0.5, model=1.5), work)
    # 20 steps of 2 s; 3 x (2 looks of 0.5 s and 4 of 1 s); 8 looks, 8 predictions, 12 half seconds; maps; a report
    assert took == 20 * 2 + 3 * (1 + 4) + 4 + 8 + 6 + 2 + 5
    assert lines == ["about 1 min 20 s to go"]


def test_said_again_where_an_epoch_takes_longer() -> None:
    work = Work(train=[8] * 3, validation=4)
    lines, _ = trained(Machine(waiting=0.5, model=1.5), work, validation_sec=44.0)
    # 2 x (8 x 2 + 44) + 5, without the long first batch
    assert lines == ["about 57 s to go", "about 2 min 5 s to go"]


@pytest.mark.parametrize("steps", [1, 3])
def test_short_epochs(steps: int) -> None:
    lines, _ = trained(Machine(1.0, 1.0), Work(train=[steps] * 2))
    assert len(lines) == 1 and lines[0].startswith("about ")
