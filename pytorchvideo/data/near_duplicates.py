# SPDX-License-Identifier: Apache-2.0
"""Near-duplicate videos: clips of one recording, found by perceptual hashes of a few frames, or by their names.

The hash of a frame says for 16x16 places whether the image is brighter there than to the left: scaling, compression and
small movements change few of its 256 bits, and frames of different places differ in about half of them.
"""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.visualize import read_file

__all__ = [
    "frame_hashes",
    "name_of_source",
    "nearest",
    "recordings",
    "shared_sources",
    "similar_share",
]

#: Share of the bits in which frames of one recording may differ. On 150 surveillance clips of 64 recordings, 99.5 %
#: of the pairs of different ones differ in more than 0.3; those that go on from each other differ in less than 0.1.
ALIKE = 0.15
_SIDE, _FRAMES, _SECONDS = 16, 3, 10.0
_LEAST_CONTRAST = 6.0  # standard deviation of 0..255, below which a frame is as good as blank
_SOUNDS_LIKE_A_PART = re.compile(
    r"[\s._-]*(?:\b|(?<=_))(?:c|clip|part|pt|seg|segment|scene|shot|take)?[\s._-]*\d+$",
    re.IGNORECASE,
)


def frame_hashes(path: str | os.PathLike[str]) -> np.ndarray:
    """Returns the hashes of the first, the middle and the last frame of the first ten seconds, uint8 (n, 32), n <= 3.

    Frames without contrast, such as black ones, are left out. A video that cannot be read has none.
    """
    try:
        clip = read_file(path, _FRAMES, end_sec=_SECONDS)
    except (VideoError, OSError, ValueError):
        return np.zeros((0, _SIDE * _SIDE // 8), np.uint8)
    frames = clip.permute(1, 2, 3, 0).numpy()
    hashes = [found for frame in frames if (found := _hash(frame)) is not None]
    return np.array(hashes, np.uint8).reshape(-1, _SIDE * _SIDE // 8)


def _hash(frame: np.ndarray) -> np.ndarray | None:
    # every k-th pixel, four or more for each place: a tenth of the time
    step = max(1, min(frame.shape[:2]) // (4 * _SIDE))
    small = Image.fromarray(np.ascontiguousarray(frame[::step, ::step])).convert("L")
    if np.asarray(small).std() < _LEAST_CONTRAST:
        return None
    grey = np.asarray(small.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.int16)
    return np.packbits(grey[:, 1:] > grey[:, :-1])


def nearest(some: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> list[tuple[int, float]]:
    """Returns for each of ``some`` videos which of the ``others`` is most like it, and how far their hashes are apart.

    Args:
        some: hashes of each video, as :func:`frame_hashes` returns them.
        others: the same.

    Returns:
        ``(index, distance)`` each: the least share of bits in which any two of their frames differ, at most
        :data:`ALIKE` of one recording; ``(-1, 1.0)`` where there is nothing to compare.
    """
    rows = np.concatenate([np.zeros((0, _SIDE * _SIDE // 8), np.uint8), *others])
    owner = np.repeat(np.arange(len(others)), [len(one) for one in others])
    found = []
    for hashes in some:
        best = (-1, 1.0)
        for one in hashes if len(rows) else ():
            apart = _BITS[rows ^ one].sum(axis=1, dtype=np.int64)
            place = int(apart.argmin())
            if (distance := float(apart[place]) / (8 * rows.shape[1])) < best[1]:
                best = (int(owner[place]), distance)
        found.append(best)
    return found


_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)


def similar_share(videos: Sequence[np.ndarray], most: int = 200) -> float:
    """Returns the share of pairs of videos that are alike; near 1 where all were taken at one place.

    Args:
        videos: hashes of each.
        most: videos to look at, spread evenly over all of them.
    """
    known = [hashes for hashes in videos if len(hashes)]
    if len(known) < 2:
        return 0.0
    places = np.linspace(0, len(known) - 1, min(most, len(known))).astype(int)
    firsts = [known[place][len(known[place]) // 2] for place in places]
    bits = np.unpackbits(np.stack(firsts), axis=1).astype(np.float32)
    apart = bits @ (1 - bits.T) + (1 - bits) @ bits.T
    pairs = apart[np.triu_indices(len(firsts), 1)]
    return float((pairs <= ALIKE * bits.shape[1]).mean())


def recordings(videos: Sequence[np.ndarray]) -> list[int]:
    """Returns a number for each video, the same for those that are alike, directly or by way of others.

    Args:
        videos: hashes of each, as :func:`frame_hashes` returns them; one without hashes is alone.
    """
    rows = np.concatenate([np.zeros((0, _SIDE * _SIDE // 8), np.uint8), *videos])
    owner = np.repeat(np.arange(len(videos)), [len(one) for one in videos])
    parent = list(range(len(videos)))

    def root(video: int) -> int:
        while parent[video] != video:
            parent[video] = video = parent[parent[video]]
        return video

    for video, hashes in enumerate(videos):
        for one in hashes:
            apart = _BITS[rows ^ one].sum(axis=1, dtype=np.int64)
            for other in np.unique(owner[apart <= ALIKE * 8 * rows.shape[1]]).tolist():
                first, second = sorted((root(video), root(other)))
                parent[second] = first
    return [root(video) for video in range(len(videos))]


def name_of_source(path: str | os.PathLike[str]) -> str | None:
    """Returns the name of the recording that a clip's file is named after, None where its name has no such part.

    That is the name without the numbers at its end, if what is left still has a number of its own.

    >>> [name_of_source(f"{n}.mp4") for n in ("v_Archery_g01_c02", "-3B32lodo2M_000059_000069", "cam2 clip-14")]
    ['v_Archery_g01', '-3B32lodo2M', 'cam2']
    >>> [name_of_source(f"{n}.mp4") for n in ("run_0001", "12345", "VID_20210101_120000", "goal")]
    [None, None, None, None]
    """
    name = Path(path).stem
    kinetics = re.fullmatch(r"(.{11})_\d{6}_\d{6}", name)
    if kinetics is not None:
        return kinetics[1]
    rest = name
    while (shorter := _SOUNDS_LIKE_A_PART.sub("", rest)) != rest:
        rest = shorter
    return rest if rest != name and re.search(r"\d", rest) and len(rest) > 2 else None


def shared_sources(some: Sequence[str], others: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Returns the names of sources that occur on both sides, with the number of videos on either."""
    left, right = (Counter(map(name_of_source, part)) for part in (some, others))
    return {
        name: (count, right[name])
        for name, count in left.items()
        if name is not None and name in right
    }
