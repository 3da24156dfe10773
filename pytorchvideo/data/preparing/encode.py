# SPDX-License-Identifier: Apache-2.0
"""Transcoding of a folder of videos for training: resumable, in parallel, bad files listed.

What is finished stands in ``prepared.jsonl`` in the target folder, a line for each video, so that a run that was
broken off goes on where it stopped, and a later one encodes only what is new or has changed.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

from pytorchvideo._files import append, remove_unfinished, write_whole
from pytorchvideo._locks import alone_in
from pytorchvideo._processes import end, follow_parent, shielded
from pytorchvideo._text import parse_json
from pytorchvideo.data._annotations.video_files import (
    expected_endings,
    videos_below,
    walk,
    warn_of_others,
)
from pytorchvideo.data._annotations.video_lists import read_list
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav.container import reason
from pytorchvideo.data._decode._pyav.transcode import TrainingFormat, transcode

__all__ = ["Preparation", "PreparedVideo", "TrainingFormat"]

LOG = "prepared.jsonl"
_LISTS = (".csv", ".txt")


@dataclass(frozen=True)
class PreparedVideo:
    """What became of one video.

    Args:
        source: its path below the source folder.
        target: that of the new file below the target folder.
        reason: why it could not be encoded; None if it could.
        bytes_before: size of the source.
        bytes_after: size of the new file.
        seconds: that the encoding took.
        stamp: time of change of the source in ns.
        training_format: the fields of the TrainingFormat.
    """

    source: str
    target: str
    reason: str | None
    bytes_before: int
    bytes_after: int
    seconds: float
    stamp: int
    training_format: dict[str, Any]


class Preparation:
    """Encodes the videos of a folder into another folder with the same tree.

    Every video at any depth becomes an mp4 file at the same place. List files (``.csv``, ``.txt``) are copied with
    the new names in them and without the bad videos, which are tried again only when they have changed.

    Args:
        source: folder of videos; nothing in it is ever written.
        target: folder for the new ones; it is made.
        training_format: how they are encoded.

    Raises:
        NotADirectoryError: ``source`` is no folder.
        ValueError: it has no video, or one of the folders lies in the other.

    Attributes:
        videos: ``{path below source: path below target}``.
        finished: what an earlier run has done and need not be done again.
        changed: what is another setting than in that run, e.g. ``"gop 12 -> 8"``; empty if nothing is.

    Example::

        preparation = Preparation("kinetics/train", "kinetics_320/train")
        bad = [done for done in preparation.run() if done.reason]
    """

    def __init__(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        training_format: TrainingFormat | None = None,
    ) -> None:
        self.source, self.target = Path(source), Path(target)
        self.training_format = training_format or TrainingFormat()
        if not self.source.is_dir():
            raise NotADirectoryError(f"{self.source} is not a folder. Expected a folder of videos.")
        real_source, real_target = self.source.resolve(), self.target.resolve()
        if real_source.is_relative_to(real_target) or real_target.is_relative_to(real_source):
            raise ValueError(
                f"The new videos cannot go to {self.target}, since one of the folders {self.source} and "
                f"{self.target} holds the other. Choose a folder beside it."
            )
        others: Counter[str] = Counter()
        paths = [os.path.relpath(path, self.source) for path in videos_below(self.source, others)]
        if not paths:
            raise ValueError(f"{self.source} has no video. {expected_endings(others)}")
        for ending in _LISTS:  # these are copied
            del others[ending]
        warn_of_others(self.source, others)
        self.videos = _new_names(paths)
        earlier = self._read_log()
        self.changed = _difference(earlier, asdict(self.training_format))
        self.finished = self._standing(earlier)

    def run(self, jobs: int | None = None) -> Generator[PreparedVideo, None, None]:
        """Encodes what is not finished, and yields each video as it is done; then copies the lists.

        Args:
            jobs: processes; by default one for each core. 1 encodes in this one.

        Raises:
            BlockingIOError: another process encodes into the target.
            OSError: the target cannot be written.
            RuntimeError: a process died, for instance for want of memory; what is finished stays.
        """
        with alone_in(self.target):
            remove_unfinished(self.target)
            self.finished = self._standing(self._read_log())  # by now, another may have done some
            known = {done.source for done in self.finished}
            todo = [path for path in self.videos if path not in known]
            self._write_log()
            for done in self._encode(todo, jobs or os.cpu_count() or 1):
                append(self.target / LOG, json.dumps(asdict(done)) + "\n")
                self.finished.append(done)
                yield done
            self._copy_lists()

    def _encode(self, todo: list[str], jobs: int) -> Iterator[PreparedVideo]:
        tasks = [
            (self.source / video, self._place(self.videos[video]), self.training_format)
            for video in todo
        ]
        if jobs == 1 or len(tasks) < 2:
            for video, task in zip(todo, tasks, strict=True):
                yield self._entry(video, *_encode_one(*task))
            return
        # Fresh processes: threads of this one do not survive a fork.
        pool = ProcessPoolExecutor(
            min(jobs, len(tasks)), get_context("spawn"), initializer=follow_parent
        )
        others = set(active_children())
        try:
            with shielded():
                futures = {
                    pool.submit(_encode_one, *task): video
                    for video, task in zip(todo, tasks, strict=True)
                }
            for future in as_completed(futures):
                yield self._entry(futures[future], *future.result())
        except BrokenProcessPool as error:
            raise RuntimeError(
                "A process that encoded videos died, perhaps for want of memory. What is finished stays: "
                "start again, with fewer jobs."
            ) from error
        except (
            BaseException
        ):  # also an interrupt, or nobody asks for more: long videos are not waited for
            end(set(active_children()) - others)
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def _entry(
        self, video: str, reason: str | None, bytes_after: int, seconds: float
    ) -> PreparedVideo:
        size, stamp = _stamp(self.source / video)
        return PreparedVideo(
            source=video,
            target=self.videos[video],
            reason=reason,
            bytes_before=size,
            bytes_after=bytes_after,
            seconds=seconds,
            stamp=stamp,
            training_format=asdict(self.training_format),
        )

    def _place(self, below: str | Path) -> Path:
        """Where a file goes in the target; a link there must not lead back into the source."""
        place = self.target / below
        if place.parent.resolve().is_relative_to(self.source.resolve()):
            raise ValueError(
                f"{place.parent} leads into {self.source}, which is not to be written."
            )
        return place

    # -- what an earlier run has left ----------------------------------------------------------------

    def _read_log(self) -> dict[str, PreparedVideo]:
        try:
            lines = (self.target / LOG).read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return {}
        try:
            # A last line without an end was being written when the run was broken off.
            found = [
                PreparedVideo(**parse_json(line.decode(), LOG))
                for line in lines
                if line.endswith(b"\n")
            ]
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{self.target / LOG} is not a record of prepared videos. Choose another folder, or remove it."
            ) from error
        return {done.source: done for done in found}

    def _write_log(self) -> None:
        """Leaves out what no longer holds, and half a line."""
        lines = [json.dumps(asdict(done)) + "\n" for done in self.finished]
        write_whole(self.target / LOG, "".join(lines))

    def _standing(self, earlier: dict[str, PreparedVideo]) -> list[PreparedVideo]:
        return [
            earlier[path] for path in self.videos if path in earlier and self._stands(earlier[path])
        ]

    def _stands(self, done: PreparedVideo) -> bool:
        """Whether a video and its new file are still what they were when it was written."""
        if (done.bytes_before, done.stamp) != _stamp(self.source / done.source):
            return False
        if done.training_format != asdict(self.training_format):
            return False
        if done.target != self.videos[done.source]:
            return False
        new = self.target / done.target
        return done.reason is not None or (new.exists() and new.stat().st_size == done.bytes_after)

    # -- lists ---------------------------------------------------------------------------------------

    def _copy_lists(self) -> None:
        """Copies the list files, with the new names of the videos and without the bad ones."""
        for parent, names in walk(self.source):
            for name in names:
                if name.lower().endswith(_LISTS):
                    below = os.path.relpath(os.path.join(parent, name), self.source)
                    self._copy_list(Path(below))

    def _copy_list(self, below: Path) -> None:
        text = (self.source / below).read_bytes().decode("utf-8", "surrogateescape")
        lines: dict[int, str] = dict(enumerate(text.split("\n"), 1))
        try:
            rows = read_list(self.source / below).rows
        except ValueError:  # a text of another kind
            rows = []
        bad = {done.source for done in self.finished if done.reason}
        for row in rows:
            found = self._find(row.path, below.parent)
            if found in bad:
                del lines[row.line]
            elif found is not None:
                new = self._renamed(row.path, found)
                lines[row.line] = lines[row.line].replace(row.path, new, 1)
        copied = "\n".join(lines.values())
        write_whole(self._place(below), copied)

    def _find(self, path: str, folder: Path) -> str | None:
        """The video that a list in ``folder`` means, as its path below the source."""
        for base in (self.source, self.source / folder):
            below = os.path.relpath(base / path, self.source)
            if below in self.videos:
                return below
        return None

    def _renamed(self, path: str, video: str) -> str:
        """The path of a list with the new name; one from the root leads to the target."""
        if os.path.isabs(path):
            return str(self.target.absolute() / self.videos[video])
        return path.removesuffix(os.path.basename(path)) + os.path.basename(self.videos[video])


def _encode_one(
    video: Path, target: Path, training_format: TrainingFormat
) -> tuple[str | None, int, float]:
    """What is wrong with a video, the size of the new file, and the seconds that it took."""
    begun = time.perf_counter()
    try:
        video.open("rb").close()  # otherwise an OSError is one of the target
    except OSError as error:
        return f"{video} cannot be opened: {reason(error)}.", 0, time.perf_counter() - begun
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        transcode(video, target, training_format)
    except VideoError as error:
        return str(error), 0, time.perf_counter() - begun
    return None, target.stat().st_size, time.perf_counter() - begun


def _stamp(video: Path) -> tuple[int, int]:
    """Size and time of a file; zeros where it is not there, as behind a link that leads nowhere."""
    try:
        status = video.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _new_names(paths: list[str]) -> dict[str, str]:
    """``a.avi`` becomes ``a.mp4``, but ``a.avi.mp4`` where there is another ``a``.

    >>> _new_names(["x/a.avi", "x/a.mp4", "x/b.MKV"])
    {'x/a.avi': 'x/a.avi.mp4', 'x/a.mp4': 'x/a.mp4', 'x/b.MKV': 'x/b.mp4'}
    """
    stems = Counter(os.path.splitext(path)[0] for path in paths)
    used = {path for path in paths if path.endswith(".mp4")}  # these keep their names
    names = {}
    for path in paths:
        stem = os.path.splitext(path)[0]
        new = path if path in used else f"{stem}.mp4" if stems[stem] == 1 else f"{path}.mp4"
        while new != path and new in used:
            new = f"{new[:-4]}-1.mp4"
        used.add(new)
        names[path] = new
    return names


def _difference(earlier: dict[str, PreparedVideo], wanted: dict[str, Any]) -> str:
    """What an earlier run, the last one, had set otherwise."""
    if not earlier:
        return ""
    before = list(earlier.values())[-1].training_format
    return ", ".join(f"{k} {before.get(k)} -> {v}" for k, v in wanted.items() if before.get(k) != v)
