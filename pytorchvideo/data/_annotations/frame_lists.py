# SPDX-License-Identifier: Apache-2.0
"""Lists of frame files, as Charades, Something-Something and AVA use them (PySlowFast's format).

A file has one line per frame and spaces between its fields, with the header
``original_vido_id video_id frame_id path labels`` (spelt like this); ``labels`` is a quoted list of class ids with
commas, or ``""`` or ``''``::

    46GP8 0 0 46GP8/46GP8-000001.jpg ""
    46GP8 0 1 46GP8/46GP8-000002.jpg "92,147"
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytorchvideo.data._annotations.tables import bad_line, read_table
from pytorchvideo.data.frame_video import FRAME_OPTIONS, FrameVideo

_COLUMNS = ("video_id", "frame_id", "path", "labels")


@dataclass
class FrameList:
    """The frames of one video, in the order of the file: their paths, and the class ids of each."""

    paths: list[str] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)


def read_frame_lists(file: str | Path, path_prefix: str = "") -> dict[str, FrameList]:
    """Reads a list of frames.

    Args:
        file: its path.
        path_prefix: put before every path, as ``os.path.join`` does.

    Returns:
        Name of the video (the first column) -> its frames, in the order in which the videos begin.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line that cannot be read, named with the file and its number; or no frame.
    """
    videos: dict[str, FrameList] = {}
    for number, row in read_table(file, _COLUMNS, delimiter=" "):
        name = next(iter(row.values()))  # `original_vido_id`, or as others spell it
        frames = videos.setdefault(name, FrameList())
        frames.paths.append(os.path.join(path_prefix, row["path"]))
        labels = row["labels"].strip("'")  # the other quotes are those of csv files
        try:
            frames.labels.append([int(label) for label in labels.split(",") if label])
        except ValueError as error:
            line = " ".join(row.values())
            raise bad_line(file, number, line, "class ids at the end of the line") from error
    if not videos:
        raise ValueError(f"{file} lists no frame.")
    return videos


class FrameListHandler:
    """Opens videos by the names that a list of frames gives them.

    Args:
        videos: name -> frames.
        fps: frames per second.
    """

    def __init__(self, videos: dict[str, FrameList], fps: float) -> None:
        self._videos = videos
        self._fps = fps

    def video_from_path(self, filepath: str, **options: Any) -> FrameVideo:
        """Returns a reader of a video's frames; its name is that of their folder."""
        known = {name: options[name] for name in FRAME_OPTIONS if name in options}
        return FrameVideo.from_frame_paths(self._videos[filepath].paths, self._fps, **known)
