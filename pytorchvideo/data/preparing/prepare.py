# SPDX-License-Identifier: Apache-2.0
"""Preparation of a data set: transcoding, shards, and a summary of cost and gain."""

import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pytorchvideo._progress import Progress, Step, silent
from pytorchvideo._text import counted, named, none_of
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths
from pytorchvideo.data.preparing.encode import Preparation, TrainingFormat
from pytorchvideo.data.preparing.shards import check_shard_folder, write_shards


@dataclass
class PrepareSummary:
    """What became of the videos.

    Args:
        encoded: videos written in this run.
        kept: videos that an earlier run has written.
        bad: paths and reasons of those that could not be read.
        bytes_before: of the good ones.
        bytes_after: of the files made from them.
        seconds: of this run.
        shards: tar files, those of an earlier run included.
        shards_kept: those of them that an earlier run has written.
        packed: videos in them.
        packed_bytes: of these videos.
    """

    encoded: int = 0
    kept: int = 0
    bad: list[tuple[str, str]] = field(default_factory=list)
    bytes_before: int = 0
    bytes_after: int = 0
    seconds: float = 0.0
    shards: int = 0
    shards_kept: int = 0
    packed: int = 0
    packed_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain types."""
        return {**vars(self), "bad": [{"path": path, "reason": why} for path, why in self.bad]}

    def lines(self) -> list[str]:
        """What to tell a person."""
        told = [f"bad: {named(path, reason)}" for path, reason in self.bad]
        if self.encoded or self.kept:
            share = self.bytes_after / max(self.bytes_before, 1)
            told.append(
                f"{counted(self.encoded, 'video')} encoded in {self.seconds:.0f} s, {self.kept} were there, "
                f"{len(self.bad)} bad: "
                f"{_size(self.bytes_before)} became {_size(self.bytes_after)} ({share:.0%})"
            )
        elif self.bad and not self.packed:
            told.append(f"{none_of(len(self.bad), 'video')} could be read")
        if self.shards:
            shards = counted(self.shards, "shard")
            there = f" ({self.shards_kept} were there)" if self.shards_kept else ""
            size = _size(self.packed_bytes)
            told.append(f"{counted(self.packed, 'video')} packed into {shards}{there}, {size}")
        return told


def prepare_videos(
    source: str,
    out: Path | None,
    shards: Path | None,
    training_format: TrainingFormat,
    *,
    jobs: int | None = None,
    limits: Mapping[str, int] = MappingProxyType({}),
    progress: Progress = silent,
    say: Callable[[str], None] = lambda text: None,
) -> PrepareSummary:
    """Encodes a folder of videos, or packs videos into shards, or does one after the other.

    Args:
        source: a folder; a list file will do where nothing is encoded.
        out: folder for the new videos; None encodes nothing.
        shards: folder for the tar files; None packs nothing.
        training_format: how videos are encoded.
        jobs: processes; None is one for each core.
        limits: ``max_bytes`` and ``max_count`` of a shard.
        progress: is called after each video, in the parts "prepare" and "pack".
        say: is told why everything is encoded anew.

    Raises:
        OSError, ValueError: as :class:`~pytorchvideo.data.preparing.encode.Preparation` and
            :func:`~pytorchvideo.data.preparing.shards.write_shards`.
    """
    if out is None and shards is None:
        raise ValueError(
            "Expected --out, a folder for the new videos, or --shards, one for tar files."
        )
    if shards is not None:  # rather than after hours of encoding
        LabeledVideoPaths.from_path(source)
        check_shard_folder(shards, **limits)
    summary = PrepareSummary()
    if out is not None:
        preparation = Preparation(source, out, training_format)
        if preparation.changed:
            say(
                f"{preparation.target} was prepared with other settings ({preparation.changed}): "
                "everything is encoded anew."
            )
        _encode(preparation, jobs, progress, summary)
    if shards is not None and (out is None or summary.encoded or summary.kept):
        _pack(LabeledVideoPaths.from_path(out or source), shards, limits, progress, summary)
    return summary


def _encode(
    preparation: Preparation, jobs: int | None, progress: Progress, summary: PrepareSummary
) -> None:
    begun, total, bad = time.perf_counter(), len(preparation.videos), 0
    summary.kept = sum(not done.reason for done in preparation.finished)
    there = len(preparation.finished)
    progress(Step(there, total, title="prepare"))
    with closing(preparation.run(jobs)) as encoded:
        for number, done in enumerate(encoded, there + 1):
            bad += done.reason is not None
            summary.encoded += done.reason is None
            progress(Step(number, total, f"{bad} bad" if bad else "", title="prepare"))
    for done in preparation.finished:
        if done.reason:
            summary.bad.append((str(preparation.source / done.source), done.reason))
        else:
            summary.bytes_before += done.bytes_before
            summary.bytes_after += done.bytes_after
    summary.bad.sort()
    summary.seconds = time.perf_counter() - begun


def _pack(
    videos: LabeledVideoPaths,
    shards: Path,
    limits: Mapping[str, int],
    progress: Progress,
    summary: PrepareSummary,
) -> None:
    videos.check_any_exists()
    written: dict[str | None, bool] = {}
    progress(Step(0, len(videos), title="pack"))
    with closing(write_shards(videos, shards, **limits)) as packed:
        for number, one in enumerate(packed, 1):
            if one.reason:
                summary.bad.append((one.path, one.reason))
            else:
                written[one.shard] = one.was_there
                summary.packed += 1
                summary.packed_bytes += one.size
            progress(Step(number, len(videos), title="pack"))
    summary.shards, summary.shards_kept = len(written), sum(written.values())


def _size(count: int) -> str:
    """
    >>> _size(1_234_567), _size(98_765_432_100)
    ('1.2 MB', '98.8 GB')
    """
    return f"{count / 10**9:.1f} GB" if count >= 10**9 else f"{count / 10**6:.1f} MB"
