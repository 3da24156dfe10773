# SPDX-License-Identifier: Apache-2.0
"""The file of the scores of videos, appended video by video and resumable.

The first line is what was asked for, each further one a video, in the order of the list. Lines are only ever added, and
are on the disk before the next video is computed; after a kill the last may be incomplete, and is cut off.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pytorchvideo._files import append, write_whole
from pytorchvideo._text import MAX_LINE, parse_json
from pytorchvideo.data._decode import VideoError
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FrameVideo


@dataclass(frozen=True)
class ScoredVideo:
    """The scores of one video, or why there are none.

    Attributes:
        video: path of the file.
        scores: float64 (classes,); None where it cannot be read.
        short_side: of its frames in pixels, as they are stored; None where it cannot be read.
        reason: why it cannot be read.
        is_missing: whether there is no such file.
    """

    video: str
    scores: np.ndarray | None = None
    short_side: int | None = None
    reason: str | None = None
    is_missing: bool = False

    @classmethod
    def of(cls, video: str, found: Tensor | Exception) -> "ScoredVideo":
        """From what :func:`~pytorchvideo.evaluation.score_videos` yields."""
        if isinstance(found, Exception):
            return cls(video, reason=str(found), is_missing=isinstance(found, FileNotFoundError))
        return cls(video, found.numpy(), _short_side(video))

    def to_line(self) -> str:
        """Returns the video as one line of json; its scores come back as they are."""
        known: dict[str, Any] = {"video": self.video}
        if self.scores is None:
            known |= {"reason": self.reason, "is_missing": self.is_missing}
        else:
            known |= {"short_side": self.short_side, "scores": self.scores.tolist()}
        return json.dumps(known) + "\n"

    @classmethod
    def from_line(cls, line: str, source: Path) -> "ScoredVideo":
        """Reads what :meth:`to_line` wrote.

        Raises:
            ValueError, KeyError, TypeError: the line is another, or incomplete.
        """
        known = parse_json(line, source)
        if "reason" in known:
            return cls(known["video"], reason=known["reason"], is_missing=known["is_missing"])
        return cls(known["video"], np.array(known["scores"], np.float64), known["short_side"])


def _short_side(path: str) -> int | None:
    try:
        if os.path.isdir(path):
            return min(FrameVideo.from_directory(path, dtype=torch.uint8)[0].shape[1:])
        with EncodedVideo.from_path(path, decode_audio=False) as video:
            stream = video._container.streams.video[0]
            return min(int(stream.width), int(stream.height))
    except (VideoError, OSError):  # it was there a moment ago
        return None


class ScoreFile:
    """The file of the scores of videos.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, settings: Mapping[str, Any]) -> None:
        """Starts the file anew with what was asked for."""
        write_whole(self.path, json.dumps(settings) + "\n")

    def settings(self) -> dict[str, Any] | None:
        """Returns what was asked for; None where there is no file, or one without a complete first line.

        Raises:
            ValueError: it is another file.
        """
        if not self.path.is_file():
            return None
        with self.path.open("rb") as file:
            line = file.readline(MAX_LINE)
        if not line.endswith(b"\n") and len(line) < MAX_LINE:
            return None
        settings: Any = None
        if line.endswith(b"\n"):
            settings = parse_json(line.decode("utf-8", "replace"), self.path, 1)
        if not isinstance(settings, dict):
            raise ValueError(f"{self.path} is no file of scores. Choose another --out.")
        return settings

    def go_on(self, videos: Sequence[str]) -> list[ScoredVideo]:
        """Cuts off what is not whole, or of other videos; returns those that are there."""
        found, end = self._rows(videos)
        with self.path.open("rb+") as file:
            file.truncate(end)
        return found

    def read(self, videos: Sequence[str]) -> list[ScoredVideo]:
        """Returns the videos that are there, as :meth:`go_on` does, and leaves the file as it is."""
        return self._rows(videos)[0]

    def _rows(self, videos: Sequence[str]) -> tuple[list[ScoredVideo], int]:
        """The videos that are there, and where they end."""
        found: list[ScoredVideo] = []
        with self.path.open("rb") as file:
            file.readline()
            end = file.tell()
            for video in videos:
                row = self._row(file.readline())
                if row is None or row.video != video:
                    break
                found.append(row)
                end = file.tell()
        return found, end

    def _row(self, line: bytes) -> ScoredVideo | None:
        if not line.endswith(b"\n"):
            return None
        try:
            return ScoredVideo.from_line(line.decode("utf-8"), self.path)
        except (ValueError, KeyError, TypeError):
            return None

    def add(self, video: ScoredVideo) -> None:
        """Adds a video, which is on the disk when this returns."""
        append(self.path, video.to_line())
