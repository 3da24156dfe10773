# SPDX-License-Identifier: Apache-2.0
"""Verification of a data set: every video decoded whole, bad ones listed with the reason."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytorchvideo._files import write_json, write_whole
from pytorchvideo._list_folders import lists_in
from pytorchvideo._locks import alone_at
from pytorchvideo._progress import Progress, Step, silent
from pytorchvideo.data._annotations.video_files import is_video, videos_at, videos_below
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data._decode._pyav.whole import read_whole
from pytorchvideo.data._reading.clip_reader import quarantine_line
from pytorchvideo.data.labeled_video_paths import LabeledVideoPaths

_LIST_ENDINGS = (".csv", ".tsv", ".txt")


@dataclass(frozen=True)
class Checked:
    """What reading a whole file showed.

    Args:
        path: the file.
        reason: why it is bad, None for a good one.
        frames: frames that were decoded.
        seconds: from the first frame to the end of the last.
        width: of the frames, in pixels.
        height: of the frames, in pixels.
        codec: FFmpeg's name of the video codec.
        has_audio: whether there is sound.
        finding: what is odd about a good one, such as time stamps that start again; None where nothing is.
    """

    path: str
    reason: str | None = None
    frames: int = 0
    seconds: float = 0.0
    width: int | None = None
    height: int | None = None
    codec: str | None = None
    has_audio: bool | None = None
    finding: str | None = None

    @property
    def good(self) -> bool:
        """Whether every frame could be read."""
        return self.reason is None

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain types."""
        return {**asdict(self), "good": self.good}


def scan(
    data: str,
    *,
    jobs: int | None = None,
    out: Path | None = None,
    quarantine: Path | None = None,
    progress: Progress = silent,
) -> list[Checked]:
    """Reads every video of DATA completely, several at a time.

    Args:
        data: a folder with videos at any depth, a list file, or one video.
        jobs: files at a time; None is one for each core.
        out: json file for what was found.
        quarantine: list of the bad ones for the datasets, see :func:`write_quarantine`. That both files can
            be written is tried before anything is read; what was in them stays until the end.
        progress: is called after each file.

    Returns:
        An entry for each file, in the order of their paths or of the list.

    Raises:
        FileNotFoundError: there is no such file or folder, or no path of a list exists.
        ValueError: there is no video in it, or a line of a list cannot be understood.
        OSError: ``out`` or ``quarantine`` cannot be written, or another process does.
    """
    paths = list(videos_of(data))
    found: list[Checked] = []
    with (
        ExitStack() as locks,
        # decoding releases Python's lock
        ThreadPoolExecutor(max_workers=jobs or os.cpu_count() or 1) as pool,
    ):
        for file in (out, quarantine):
            if file is not None:
                locks.enter_context(alone_at(file))
        progress(Step(0, len(paths)))
        bad = 0
        for entry in pool.map(check_video, paths):
            found.append(entry)
            bad += not entry.good
            progress(Step(len(found), len(paths), f"{bad} bad" if bad else ""))
        if out is not None:
            write_json(out, [entry.to_dict() for entry in found])
        if quarantine is not None:
            write_quarantine(quarantine, found)
    return found


def write_quarantine(file: Path, found: list[Checked]) -> None:
    """Writes the bad ones, a path, a tab and the reason a line, for the ``quarantine=`` of the datasets."""
    lines = [quarantine_line(entry.path, entry.reason or "") for entry in found if not entry.good]
    write_whole(file, "".join(lines))


def check_video(path: str) -> Checked:
    """Reads one video completely."""
    try:
        whole = read_whole(path)
    except (VideoError, OSError) as error:
        return Checked(path, reason=str(error))
    return Checked(path, **asdict(whole))


def videos_in(sources: Sequence[str]) -> list[str]:
    """Returns the videos of folders, list files (``.txt``, ``.csv``, ``.tsv``) and single videos, in their order.

    Any other path is one video, whatever its name: a wrong one is an error of its reader.
    """
    found: list[str] = []
    for source in sources:
        is_list = source.lower().endswith(_LIST_ENDINGS) and os.path.isfile(source)
        found += videos_of(source) if is_list or os.path.isdir(source) else [source]
    return found


def videos_of(data: str) -> Iterator[str]:
    """Yields the paths of the videos of a folder at any depth, of a list file, or of one video."""
    is_one = is_video(data) and ("://" in data or Path(data).is_file())
    lists = lists_in(data)
    if lists and next(videos_below(data), None) is None:
        yield from dict.fromkeys(path for file in lists.values() for path in videos_of(str(file)))
    elif is_one or Path(data).is_dir():
        yield from videos_at(data)
    else:
        listed = LabeledVideoPaths.from_path(data, split="all")
        listed.check_any_exists()
        yield from (listed[index][0] for index in range(len(listed)))
