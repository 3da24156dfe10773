# SPDX-License-Identifier: Apache-2.0
"""Tests by published protocols on labelled videos, compared with the published figures.

::

    OUT/
      scores.jsonl      what was asked for, then a line a video; written as they are computed; scores-1-of-4.jsonl and
                        so on of shards, of which the last to be done writes the others
      scores.parquet    a row a video with its scores; scores.csv without pyarrow
      reproduce.json    the protocol, the figures with their 95 % intervals, and what may explain a difference

The last two are written at the end, each whole or not at all, from the first: a test that was interrupted goes on where
it was.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pytorchvideo._files import write_json
from pytorchvideo._locks import alone_at, alone_in
from pytorchvideo._progress import Meter, Progress, Step, silent
from pytorchvideo._tables import check_table, write_table
from pytorchvideo._text import none_of
from pytorchvideo.data._decode import VideoError
from pytorchvideo.evaluation.labelled import LabelledVideos, labelled_videos
from pytorchvideo.evaluation.official import OfficialTest, official_test
from pytorchvideo.evaluation.protocols import score_videos
from pytorchvideo.evaluation.reproduction import Figure, Reproduction, ranks, reproduction
from pytorchvideo.evaluation.score_file import ScoredVideo, ScoreFile
from pytorchvideo.evaluation.shards import Shard, joined
from pytorchvideo.inference.clips import FRAMES_FPS
from pytorchvideo.inference.fingerprint import fingerprint

__all__ = [
    "Figure",
    "LabelledVideos",
    "OfficialTest",
    "Reproduction",
    "Shard",
    "labelled_videos",
    "official_test",
    "reproduce",
    "reproduce_shard",
]

#: The file that a test goes on with.
PROGRESS = "scores.jsonl"
RESULT = "reproduce.json"
_VERSION = 1


def reproduce(
    test: OfficialTest,
    videos: LabelledVideos,
    out: str | os.PathLike[str],
    *,
    workers: int = 0,
    batch_size: int = 4,
    resume: bool = False,
    fps: float = FRAMES_FPS,
    progress: Progress = silent,
) -> Reproduction:
    """Tests a model by a protocol, and writes the scores of videos and the figures to a folder.

    Args:
        test: see :func:`official_test`.
        videos: see :func:`labelled_videos`.
        out: folder for the files; see :mod:`pytorchvideo.evaluation.reproduce`.
        workers: processes that read; 0 reads in this one.
        batch_size: clips in memory, and views in the network, at a time.
        resume: go on with what is in ``out``, or start it if it had not begun. Scores of videos that are not there
            yet may differ in the last digits of float32 from those of a test that was not interrupted, since
            other clips go through the network with them.
        fps: frames a second of folders of frames.
        progress: is called after each video.

    Returns:
        What was written.

    Raises:
        FileExistsError: ``out`` holds a test, and ``resume`` is False.
        BlockingIOError: another process writes one there.
        ValueError: ``out`` was begun with another model, protocol or list.
        VideoError: (a RuntimeError) no video can be read.

    Example::

        test = official_test("x3d_s")
        videos = labelled_videos("kinetics/val.csv", test.labels)
        print(reproduce(test, videos, "x3d_s-kinetics").figures["top1"])
    """
    how: Any = {"workers": workers, "batch_size": batch_size, "resume": resume}
    done = reproduce_shard(test, videos, out, Shard(), fps=fps, progress=progress, **how)
    if done is None:  # of a shard alone
        raise AssertionError("a whole test has figures")
    return done


def reproduce_shard(
    test: OfficialTest,
    videos: LabelledVideos,
    out: str | os.PathLike[str],
    shard: Shard,
    *,
    workers: int = 0,
    batch_size: int = 4,
    resume: bool = False,
    fps: float = FRAMES_FPS,
    progress: Progress = silent,
) -> Reproduction | None:
    """Does for a shard of the videos what :func:`reproduce` does for all.

    Processes, on any number of machines with one folder, each take a shard. The last one that is done writes the
    figures of all, in which each video counts once.

    Args:
        test, videos, out, workers, batch_size, resume, fps, progress: see :func:`reproduce`.
        shard: which videos.

    Returns:
        What was written; None while other shards are not done.

    Raises:
        FileExistsError, BlockingIOError, ValueError, VideoError: see :func:`reproduce`.
    """
    folder = Path(out)
    if shard.count > 1:
        folder.mkdir(parents=True, exist_ok=True)
    settings, paths = _settings(test, videos, fps), shard.of(videos.paths)
    file = ScoreFile(folder / _progress_name(shard))
    with alone_in(folder) if shard.count == 1 else alone_at(file.path):
        rows = _begin(file, settings, paths, resume)
        rest, meter = paths[len(rows) :], Meter()
        progress(Step(len(rows), len(paths), meter=meter))
        how: Any = {"batch_size": batch_size, "workers": workers, "fps": fps}
        with meter.watching(test.network):
            found = score_videos(test.network, rest, test.views, **how)
            for path, scores in zip(rest, found, strict=True):
                row = ScoredVideo.of(path, scores)
                file.add(row)
                rows.append(row)
                progress(Step(len(rows), len(paths), meter=meter))
        parts = [rows] if shard.count == 1 else _parts(folder, shard, settings, videos.paths)
        return None if parts is None else _finish(test, videos, folder, parts)


def _parts(
    folder: Path, shard: Shard, settings: dict[str, Any], paths: Sequence[str]
) -> list[list[ScoredVideo]] | None:
    """The videos of each shard; None where one is not done."""
    parts = []
    for one in shard.all():
        file, wanted = ScoreFile(folder / _progress_name(one)), one.of(paths)
        if file.settings() != settings:
            return None
        rows = file.read(wanted)
        if len(rows) != len(wanted):
            return None
        parts.append(rows)
    return parts


def _finish(
    test: OfficialTest, videos: LabelledVideos, folder: Path, parts: list[list[ScoredVideo]]
) -> Reproduction:
    """Writes the figures of all videos."""
    rows = joined(parts, len(videos.paths))
    if all(row.scores is None for row in rows):
        raise VideoError(
            f"{none_of(len(rows), 'video')} of {videos.data} can be read; the first: {rows[0].reason}"
        )
    table = folder / _table_name(folder)
    made = reproduction(test, videos, rows, table.name)
    _write_scores(table, made)
    write_json(folder / RESULT, made.to_dict())
    return made


def _progress_name(shard: Shard) -> str:
    return PROGRESS if shard.count == 1 else f"scores-{shard.number}-of-{shard.count}.jsonl"


def _settings(test: OfficialTest, videos: LabelledVideos, fps: float) -> dict[str, Any]:
    """What scores depend on."""
    known = [[os.path.abspath(path) for path in videos.paths], videos.targets]
    return {
        "version": _VERSION,
        "model": test.model,
        "weights": fingerprint(test.network, [test.labels, test.views.recipe.to_dict()]),
        "protocol": test.protocol(),
        "videos": hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16],
        # a test of an earlier version goes on
        **({} if fps == FRAMES_FPS else {"fps": fps}),
    }


def _begin(
    file: ScoreFile, settings: dict[str, Any], paths: Sequence[str], resume: bool
) -> list[ScoredVideo]:
    """Makes the file, or cuts it to where it can go on; returns the videos that are done."""
    before = file.settings()
    if before is None:
        file.begin(settings)
        return []
    folder = file.path.parent
    if not resume:
        raise FileExistsError(
            f"{folder} holds a test already. Give --resume to go on with it, or another --out."
        )
    for name, value in settings.items():
        if before.get(name) != value:
            told = _difference(name, before.get(name), value)
            raise ValueError(
                f"The test in {folder} was started with {told}. Go on with the same model, weights, protocol and list, "
                "or choose another --out."
            )
    return file.go_on(paths)


def _difference(name: str, before: Any, now: Any) -> str:
    """
    >>> _difference("protocol", {"clips": 10, "crops": 3}, {"clips": 5, "crops": 3})
    'clips=10, but got 5'
    """
    if isinstance(before, dict) and isinstance(now, dict):
        name = next(key for key in (*now, *before) if now.get(key) != before.get(key))
        before, now = before.get(name), now.get(name)
    return f"{name}={before}, but got {now}"


def _table_name(folder: Path) -> str:
    """Parquet, or csv where there is no pyarrow."""
    try:
        check_table(folder / "scores.parquet")
    except ValueError:
        return "scores.csv"
    return "scores.parquet"


def _write_scores(path: Path, made: Reproduction) -> None:
    """Writes ``video, classes, predicted, rank, short_side, reason, scores``, a row each; lists are json in a csv."""
    is_csv = path.suffix == ".csv"
    rows = []
    for row, target in zip(made.rows, made.videos.targets, strict=True):
        scores = None if row.scores is None else row.scores.tolist()
        rank = None
        if row.scores is not None and len(target) == 1:
            rank = int(ranks(row.scores[None], [target])[0])
        rows.append(
            {
                "video": row.video,
                "classes": json.dumps(target) if is_csv else list(target),
                "predicted": None if row.scores is None else int(row.scores.argmax()),
                "rank": rank,
                "short_side": row.short_side,
                "reason": row.reason,
                "scores": json.dumps(scores) if is_csv and scores is not None else scores,
            }
        )
    write_table(path, list(rows[0]), rows)
