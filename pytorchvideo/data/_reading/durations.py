# SPDX-License-Identifier: Apache-2.0
"""Durations and frame rates of the videos of a data set, read once and cached on request."""

import json
import logging
import os
import re
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from pytorchvideo._files import write_whole
from pytorchvideo._text import read_json
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._reading.clip_reader import ClipReader
from pytorchvideo.data.clip_sampling import exact_seconds

_DURATION = re.compile(r"\d{1,40}(/0*[1-9]\d{0,39})?")

logger = logging.getLogger(__name__)


class Length(NamedTuple):
    """The seconds of a video that clips are taken from, and its frames per second, None where they are not known."""

    duration: Fraction
    rate: float | None


def read_lengths(
    reader: ClipReader, cache: str | os.PathLike[str] | None = None
) -> list[Length | None]:
    """Returns the length of every video, None for those that cannot be opened.

    Args:
        reader: opens them; the bad ones are in its log.
        cache: a json file ``{path: [size in bytes, time of change in ns, duration, rate]}`` that is read and
            written; bad files are not in it.

    Raises:
        VideoError: (a RuntimeError) a video cannot be opened, and the reader's policy is to raise.
        ValueError: the cache is a file of another kind.
    """
    paths = [str(reader.videos[i][0]) for i in range(len(reader.videos))]
    known = _read_cache(cache)
    stamps = {path: _stamp(path) for path in paths} if cache is not None else {}
    found: dict[str, Length | None] = {
        path: Length(Fraction(known[path][2]), known[path][3])
        for path in stamps
        if path in known and len(known[path]) == 4 and known[path][:2] == stamps[path]
    }
    missing = [path for path in dict.fromkeys(paths) if path not in found]
    # Opening waits for the disk and runs in FFmpeg, both without Python's lock.
    with ThreadPoolExecutor(max_workers=min(16, 2 * (os.cpu_count() or 1))) as pool:
        found |= zip(missing, pool.map(lambda path: _length(reader, path), missing), strict=True)
    if cache is not None and missing:
        entries = {
            path: [*stamps[path], str(length.duration), length.rate]
            for path, length in found.items()
            if length is not None
        }
        try:
            write_whole(Path(cache), json.dumps(known | entries))
        except OSError as error:  # the lengths are known, all the same
            logger.warning("No durations can be kept in %s: %s.", cache, error)
    return [found[path] for path in paths]


def _length(reader: ClipReader, path: str) -> Length | None:
    try:
        video = reader.open(path)
    except VideoError:
        if reader.skip_log.on_error == "raise":
            raise
        return None
    try:
        rate = getattr(video, "rate", None)
        duration = exact_seconds(reader.duration(video))
        return Length(duration, None if rate is None else float(rate))
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


def _read_cache(cache: str | os.PathLike[str] | None) -> dict[str, list[Any]]:
    if cache is None or not os.path.exists(cache):
        return {}
    sentence = f"{cache} is not a cache of durations. Name another file, or remove it."
    try:
        known = read_json(cache)
    except ValueError as error:
        raise ValueError(sentence) from error
    if not isinstance(known, dict) or not all(map(_is_entry, known.values())):
        raise ValueError(sentence)
    return known


def _is_entry(entry: Any) -> bool:
    """Whether an entry is ``[bytes, ns, duration, rate]``; older caches have no rate."""
    if not isinstance(entry, list) or len(entry) not in (3, 4):
        return False
    *stamp, duration = entry[:3]
    return (
        all(isinstance(number, int) for number in stamp)
        and isinstance(duration, str)
        and _DURATION.fullmatch(duration) is not None
        and (len(entry) == 3 or entry[3] is None or isinstance(entry[3], (int, float)))
    )
