# SPDX-License-Identifier: Apache-2.0
"""Shared parts of the cases of ``faults.py``: rows of its table, killed processes, small videos."""

import os
import pickle
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from pytorchvideo.data._decode._pyav.write import Encoding, write_video

Work = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        case: the kind of fault.
        variant: which of them.
        kills: processes that were killed.
        resumes: times that the work was taken up again.
        lost: clips, videos or files that should have come and did not, or came with other content.
        repeated: those that came more than once, beyond what was asked for.
        said: the error, where one is a right answer, or a remark.
    """

    case: str
    variant: str
    kills: int = 0
    resumes: int = 0
    lost: int = 0
    repeated: int = 0
    said: str = ""


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    Args:
        killed: whether a signal ended it.
        value: what its work returned, None after an error.
        error: the error, with its kind.
        calls: of functions that it made, where they were counted.
        stderr: what it wrote there.
    """

    killed: bool
    value: Any = None
    error: str = ""
    calls: int = 0
    stderr: str = ""


class Child:
    """A forked process that does some work, and may be killed on the way.

    Args:
        work: returns what can be pickled.
        moment: it kills itself at this call of a function, Python's or C's, in its main thread: every moment can be
            had, and had again. 0 counts the calls alone; None does not count, which is faster.
    """

    def __init__(self, work: Work, moment: int | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._answer = Path(self._folder.name, "answer")
        self._stderr = Path(self._folder.name, "stderr")
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(work, moment)

    def _run(self, work: Work, moment: int | None) -> None:
        calls = 0

        def count(frame: FrameType, event: str, argument: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")
            if calls == moment:
                os.kill(os.getpid(), signal.SIGKILL)

        handle = os.open(self._stderr, os.O_WRONLY | os.O_CREAT)
        os.dup2(handle, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        value, error = None, ""
        try:
            if moment is not None:
                sys.setprofile(count)
            value = work()
        except Exception as problem:  # noqa: BLE001 - which is what is looked for
            error = f"{type(problem).__name__}: {problem}"
        finally:
            sys.setprofile(None)
        sys.stderr.flush()
        self._answer.write_bytes(pickle.dumps((value, error, calls)))
        os._exit(0)

    def kill_after(self, seconds: float) -> Outcome:
        """Kills the process after a time, unless it has ended before."""
        time.sleep(seconds)
        os.kill(self.pid, signal.SIGKILL)
        return self.wait()

    def wait(self) -> Outcome:
        """Returns when the process has ended."""
        _, status = os.waitpid(self.pid, 0)
        stderr = self._stderr.read_text() if self._stderr.exists() else ""
        with self._folder:
            if os.WIFSIGNALED(status) or not self._answer.exists():
                return Outcome(True, stderr=stderr)
            value, error, calls = pickle.loads(self._answer.read_bytes())
            return Outcome(False, value, error, calls, stderr)


def in_a_process(work: Work, moment: int | None = None) -> Outcome:
    """Does some work in a process of its own; see :class:`Child`."""
    return Child(work, moment).wait()


def killed_on_the_way(
    work: Work,
    kills: int,
    draw: random.Random,
    check: Callable[[], None] = lambda: None,
    *,
    rehearse: Work | None = None,
) -> tuple[int, Outcome]:
    """Begins some work, kills it at random moments and begins it again, until it comes to its end.

    Args:
        work: goes on with what it finds.
        kills: at most; the process after the last kill runs to its end.
        draw: the moments, within as many calls as the whole work takes.
        check: called after each kill.
        rehearse: the same work elsewhere, whose calls are counted; by default ``work``, which must then leave
            nothing that it could go on with.

    Returns:
        how often it was killed, and how it ended.
    """
    counted = in_a_process(rehearse or work, 0)
    if counted.error or counted.killed:
        raise RuntimeError(f"The work fails without a kill: {counted.error or counted.stderr}")
    done = 0
    for number in range(kills):
        # what is left has fewer calls
        calls = counted.calls if number == 0 else counted.calls // 2
        outcome = in_a_process(work, draw.randrange(1, calls))
        if not outcome.killed:  # less was left than the moment
            return done, outcome
        done += 1
        check()
    return done, in_a_process(work)


def compared(got: Iterable[Any], wanted: Iterable[Any]) -> tuple[int, int]:
    """How many things are lost, and how many are repeated or foreign."""
    found, asked = Counter(got), Counter(wanted)
    return sum((asked - found).values()), sum((found - asked).values())


def command(*arguments: object) -> int:
    """Runs the command line in this process; returns its status."""
    from flash.cli.main import app

    try:
        app([str(argument) for argument in arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def one_line(text: str) -> str:
    """An error for the table: its last line, if it has several."""
    return text.strip().rpartition("\n")[2][:200]


def write_videos(folder: Path, count: int, *, size: tuple[int, int] = (64, 48)) -> list[Path]:
    """Writes videos of 12 frames in a second into two class folders; each has another brightness in every frame."""
    paths = []
    for number in range(count):
        draw = np.random.default_rng(number)
        path = folder / ("run", "walk")[number % 2] / f"{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        still = draw.integers(0, 128, (size[1], size[0], 3), dtype=np.uint8)
        frames = [still + np.uint8(10 * i) for i in range(12)]
        write_video(path, frames, 12, Encoding(options={"preset": "ultrafast", "g": "4"}))
        paths.append(path)
    return paths
