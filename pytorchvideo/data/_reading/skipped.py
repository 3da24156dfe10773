# SPDX-License-Identifier: Apache-2.0
"""Skipped videos and windows of a dataset, recorded over all its workers."""

import json
import os
import tempfile
import uuid
import warnings
import weakref
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from pytorchvideo._checks import check_choice

OnError = Literal["skip", "raise"]
"""What a bad video does: it is skipped, warned of and recorded, or the first one ends everything."""

_EMPTY = "empty"  # marks the lines that count windows


@dataclass(frozen=True)
class SkippedClip:
    """A video that gave no clip, or none from some clip on.

    Attributes:
        path: the video, as the dataset opened it.
        reason: one sentence.
        clip_start_sec: the clip that could not be read; None if the video could not be opened.
        clip_end_sec: its end.
    """

    path: str
    reason: str
    clip_start_sec: float | None = None
    clip_end_sec: float | None = None


class SkipLog:
    """Keeps one :class:`SkippedClip` per path, across the epochs and workers of one dataset.

    ``DataLoader`` workers hold copies of the dataset, so the log is a file of json lines in the
    temporary folder, which appears with the first bad video or empty window and goes with the dataset.

    Args:
        on_error: with "raise" nothing is warned of, since the dataset is going to raise.
    """

    def __init__(self, on_error: OnError = "skip") -> None:
        check_choice("on_error", on_error, get_args(OnError))
        self.on_error = on_error
        name = f"pytorchvideo-skipped-{uuid.uuid4().hex}.jsonl"
        self._file = os.path.join(tempfile.gettempdir(), name)
        self._found: dict[str, SkippedClip] = {}
        self._read_up_to = 0
        # Forked workers inherit the finalizer: only the process that made the log may remove it.
        weakref.finalize(self, _remove, self._file, os.getpid())

    def add(self, clip: SkippedClip, *, quietly: bool = False) -> None:
        """Records a clip and warns, unless its path is recorded already, here or in a worker."""
        if clip.path in self.clips():
            return
        self._write(asdict(clip))
        if self.on_error == "skip" and not quietly:
            warnings.warn(f"Skipping {clip.path}: {clip.reason}", UserWarning, stacklevel=2)

    def add_empty(self, path: str, count: int = 1) -> None:
        """Counts windows of a video in which no frame begins."""
        self._write({_EMPTY: path, "count": count})

    def empty_windows(self) -> dict[str, int]:
        """How many windows without a frame any process passed over so far, by path."""
        found: Counter[str] = Counter()
        try:
            with open(self._file, "rb") as file:
                for line in file:
                    if line.endswith(b"\n") and _EMPTY in (entry := json.loads(line)):
                        found[entry[_EMPTY]] += entry["count"]
        except FileNotFoundError:
            return {}
        return dict(found)

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry).encode() + b"\n"
        # One write to a file opened for appending: lines of several processes do not mix.
        handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)

    def clips(self) -> dict[str, SkippedClip]:
        """Everything recorded so far by any process, by path: the first entry of each."""
        read_up_to = self._read_up_to  # threads may read the same lines, but each counts them once
        try:
            with open(self._file, "rb") as file:
                file.seek(read_up_to)
                for line in file:
                    if not line.endswith(b"\n"):
                        break  # another process is writing it
                    entry = json.loads(line)
                    if _EMPTY not in entry:
                        self._found.setdefault(entry["path"], SkippedClip(**entry))
                    read_up_to += len(line)
        except FileNotFoundError:
            return {}
        self._read_up_to = read_up_to
        return self._found

    def __getstate__(self) -> dict[str, Any]:
        """A copy in another process reads and writes the same file."""
        return {**self.__dict__, "_found": {}, "_read_up_to": 0}


def _remove(file: str, owner: int) -> None:
    if os.getpid() == owner and os.path.exists(file):
        os.remove(file)
