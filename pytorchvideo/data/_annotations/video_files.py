# SPDX-License-Identifier: Apache-2.0
"""Video files by their extensions, and the walk over a folder of them."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pytorchvideo._text import are, counted

VIDEO_SUFFIXES = (
    # MP4, QuickTime, Matroska, AVI, Ogg
    *(".3g2", ".3gp", ".3gpp", ".avi", ".divx", ".f4v", ".ismv", ".m4v", ".mj2", ".mk3d", ".mkv"),
    *(".mov", ".mp4", ".ogm", ".ogv", ".psp", ".qt", ".webm"),
    # MPEG program and transport streams, discs, camcorders
    *(".dvd", ".evo", ".m1v", ".m2p", ".m2t", ".m2ts", ".m2v", ".mod", ".mpe", ".mpeg", ".mpg"),
    *(".mpv", ".mts", ".tod", ".tp", ".trp", ".ts", ".vob", ".vro"),
    # Windows Media, Flash, Real
    *(".asf", ".dvr-ms", ".flv", ".rm", ".rmvb", ".swf", ".wmv", ".wtv"),
    # broadcast, cameras, surveillance
    *(".cine", ".dav", ".dnxhd", ".dnxhr", ".dv", ".gxf", ".lxf", ".mxf", ".pva", ".ser", ".ty"),
    # streams without a container
    *(".264", ".265", ".266", ".avc", ".avs2", ".avs3", ".cavs", ".drc", ".evc", ".h261", ".h263"),
    *(".h264", ".h265", ".h266", ".h26l", ".hevc", ".ivf", ".mjpeg", ".mjpg", ".nut", ".obu"),
    *(".rcv", ".vc1", ".vc2", ".vvc", ".y4m"),
    # moving pictures, games
    *(".amv", ".apng", ".bik", ".cpk", ".flc", ".fli", ".flm", ".gif", ".kux", ".moflex", ".pdv"),
    *(".roq", ".smk", ".thp", ".usm", ".viv", ".xmv"),
)
"""What the files that FFmpeg reads as videos end in, in lower case.

Not among them are endings that mean sound or a picture first (.ogg, .webp), lists of other files (.m3u8, .mpd), and
raw pictures whose size FFmpeg would have to be told (.yuv, .rgb).
"""

#: For errors about folders that hold nothing else.
OF_SHARDS = "Shards are read by pytorchvideo.data.ShardedVideos, in Python."


def is_video(name: str) -> bool:
    """Whether a name ends like a video.

    >>> is_video("clips/A.MTS"), is_video("clips/notes.txt")
    (True, False)
    """
    return name.lower().endswith(VIDEO_SUFFIXES)


def walk(folder: str | Path) -> Iterator[tuple[str, list[str]]]:
    """Yields each folder at any depth with the names of its files, sorted, without hidden ones.

    Links are followed, but not to a folder that they lie in.
    """
    for parent, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name[0] != "." and _leads_on(parent, name))
        yield parent, sorted(name for name in files if name[0] != ".")


def _leads_on(parent: str, name: str) -> bool:
    """Whether a folder is none that it lies in itself, by a link."""
    path = os.path.join(parent, name)
    if not os.path.islink(path):
        return True
    return not Path(os.path.realpath(parent)).is_relative_to(os.path.realpath(path))


def videos_below(folder: str | Path, others: Counter[str] | None = None) -> Iterator[str]:
    """Yields the paths of the videos of a folder at any depth, sorted, without hidden ones.

    Args:
        folder: its path.
        others: counts the files that are left out, by their endings; hidden ones do not count.
    """
    for parent, names in walk(folder):
        for name in names:
            if is_video(name):
                yield os.path.join(parent, name)
            elif others is not None:
                others[os.path.splitext(name)[1].lower() or "no ending"] += 1


def videos_at(path: str | os.PathLike[str]) -> list[str]:
    """Returns the videos of a folder, see :func:`find_videos`; any other path, or a URL, is a single one."""
    return find_videos(Path(path)) if os.path.isdir(path) else [os.fspath(path)]


def find_videos(folder: str | Path) -> list[str]:
    """Returns what :func:`videos_below` yields, and warns once of the files that it leaves out.

    Raises:
        ValueError: there is no video.
    """
    others: Counter[str] = Counter()
    found = list(videos_below(folder, others))
    if not found:
        raise ValueError(f"{folder} has no video. {expected_endings(others)}")
    warn_of_others(folder, others)
    return found


def warn_of_others(folder: str | Path, others: Counter[str]) -> None:
    """Warns once of the files of a folder that are left out for their endings, if there are any."""
    if count := others.total():
        files = f"{counted(count, 'file')} {are(count)}"
        warnings.warn(
            f"{folder}: {files} left out, since a video ends otherwise: {_counted(others)}.",
            UserWarning,
            stacklevel=3,
        )


def expected_endings(others: Counter[str]) -> str:
    """The sentence for a folder without a video: what was expected, and what there is instead."""
    there = f", but there is only: {_counted(others)}" if others else ""
    hint = f" {OF_SHARDS}" if others[".tar"] else ""
    return f"Expected files with the ending of a video (.mp4, .mkv, .ts and so on){there}.{hint}"


def _counted(others: Counter[str]) -> str:
    """
    >>> _counted(Counter({".txt": 1, ".jpg": 3}))
    '3 x .jpg, 1 x .txt'
    """
    most = [f"{count} x {ending}" for ending, count in others.most_common(5)]
    return ", ".join(most) + (" and others" if len(others) > 5 else "")
