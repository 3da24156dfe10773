# SPDX-License-Identifier: Apache-2.0
"""How long the videos of a data set are, asked once and kept on request."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

from pytorchvideo.data._clip_reader import ClipReader
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._tables import write_whole


def read_durations(
    reader: ClipReader, cache: str | os.PathLike[str] | None = None
) -> list[Fraction | None]:
    """Returns the duration of every video in seconds, None for those that cannot be opened.

    Args:
        reader: opens them; the bad ones are in its log.
        cache: a json file ``{path: [size in bytes, time of change in ns, duration]}`` that is read and
            written; bad files are not in it.

    Raises:
        VideoError: (a RuntimeError) a video cannot be opened, and the reader's policy is to raise.
        ValueError: the cache is a file of another kind.
    """
    paths = [str(reader.videos[i][0]) for i in range(len(reader.videos))]
    known = _read_cache(cache)
    stamps = {path: _stamp(path) for path in paths} if cache is not None else {}
    found: dict[str, Fraction | None] = {
        path: Fraction(known[path][-1])
        for path in stamps
        if path in known and known[path][:2] == stamps[path]
    }
    missing = [path for path in dict.fromkeys(paths) if path not in found]
    # Opening waits for the disk and runs in FFmpeg, both without Python's lock.
    with ThreadPoolExecutor(max_workers=min(16, 2 * (os.cpu_count() or 1))) as pool:
        found |= zip(missing, pool.map(lambda path: _duration(reader, path), missing), strict=True)
    if cache is not None and missing:
        entries = {p: [*stamps[p], str(d)] for p, d in found.items() if d is not None}
        write_whole(Path(cache), json.dumps(known | entries).encode())
    return [found[path] for path in paths]


def _duration(reader: ClipReader, path: str) -> Fraction | None:
    try:
        video = reader.open(path)
    except VideoError:
        if reader.skip_log.on_error == "raise":
            raise
        return None
    try:
        return Fraction(video.duration)
    finally:
        video.close()


def _stamp(path: str) -> list[int]:
    """Size and time of change; of what is not a local path, nothing that could change."""
    try:
        status = os.stat(path)
    except NotADirectoryError:  # a video in a shard
        return _stamp(os.path.dirname(path))
    except OSError:
        return [-1, -1]
    return [status.st_size, status.st_mtime_ns]


def _read_cache(cache: str | os.PathLike[str] | None) -> dict[str, Any]:
    if cache is None or not os.path.exists(cache):
        return {}
    try:
        known = json.loads(Path(cache).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{cache} is not a cache of durations. Name another file, or remove it."
        ) from error
    if not isinstance(known, dict):
        raise ValueError(f"{cache} is not a cache of durations. Name another file, or remove it.")
    return known
