# SPDX-License-Identifier: Apache-2.0
"""The parts of a run: it is begun once, and goes on any number of times; each has its command and its time."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pytorchvideo._files import write_json
from pytorchvideo._text import read_json


@dataclass(frozen=True)
class Part:
    """One call of ``train`` on the folder of a run.

    Args:
        began: when, in ISO 8601 with the time zone; None of parts that an earlier version has not recorded.
        seconds: how long it took; of one that was killed, up to the last checkpoint or features that it wrote.
        command: as it was typed; None where it was called in Python.
    """

    began: str | None
    seconds: float
    command: str | None = None


class Parts:
    """Keeps the parts of a run in a file, the present one among them.

    Args:
        file: ``parts.json`` of the run.
        command: of the present part, as it was typed.
        is_new: whether the run begins.
        clock: seconds from any point in time.
    """

    def __init__(
        self,
        file: Path,
        command: str | None = None,
        *,
        is_new: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._clock, self._began = file, clock, clock()
        self._earlier = read_parts(file) or ([] if is_new else [Part(None, 0.0)])
        self._present = Part(datetime.now().astimezone().isoformat(), 0.0, command)

    def keep(self) -> None:
        """Writes the file; the present part has lasted until now."""
        write_json(self._file, [asdict(part) for part in self.all()])

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Writes the file before and after what is done meanwhile, however that ends."""
        self.keep()
        try:
            yield
        except BaseException:
            with suppress(OSError):  # what went wrong first is what counts
                self.keep()
            raise
        self.keep()

    def all(self) -> list[Part]:
        """Returns the parts, the present one with its time so far."""
        return [*self._earlier, replace(self._present, seconds=self._clock() - self._began)]


def read_parts(file: Path) -> list[Part]:
    """Returns the parts of a run, none where it has no such file.

    Raises:
        ValueError: it holds something else.
    """
    if not file.is_file():
        return []
    rows = read_json(file, "the parts of a run", finite=True)
    try:
        found = [Part(**row) for row in rows]
    except TypeError as error:
        raise ValueError(f"{file} does not hold the parts of a run: {error}.") from error
    kinds: dict[str, Any] = {
        "began": (str, type(None)),
        "seconds": (int, float),
        "command": (str, type(None)),
    }
    for part in found:
        if not all(isinstance(getattr(part, name), kind) for name, kind in kinds.items()):
            raise ValueError(f"{file} does not hold the parts of a run: {part}.")
    return found


def commands_of(parts: Sequence[Part]) -> dict[str, str]:
    """Returns the commands that were typed, by what a report calls them.

    One that was typed several times on end is named once.

    >>> commands_of([Part("", 1, "train a"), Part("", 2, "train --resume a"), Part("", 3, "train --resume a")])
    {'command': 'train a', 'command of parts 2 to 3': 'train --resume a'}
    """
    spans: list[tuple[int, int, str]] = []
    for number, part in enumerate(parts, 1):
        if part.command is None:
            continue
        if spans and spans[-1][1:] == (number - 1, part.command):
            spans[-1] = (spans[-1][0], number, part.command)
        else:
            spans.append((number, number, part.command))
    found = {}
    for first, last, typed in spans:
        several = f" of part {first}" if first == last else f" of parts {first} to {last}"
        found["command" + (several if first > 1 else "")] = typed
    return found
