# SPDX-License-Identifier: Apache-2.0
"""Writing of video with captions."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pytorchvideo._checks import expected
from pytorchvideo.data._decode._pyav.write import TimedVideo

__all__ = ["DrawnVideo", "draw_lines"]

_LINES_IN_HEIGHT = 18  # of text, in a frame
_SMALLEST_FONT = 10  # pixels; smaller letters cannot be read
_SHADE = 150  # of the band behind the text, out of 255


class DrawnVideo:
    """Writes frames with the current lines of text on them, at their own times.

    Several threads may use it at once. The file can be played at any moment, also while it is written.

    Args:
        path: of the file, which ends in ``.mp4`` or ``.mkv``; the first frame replaces an existing one.

    Raises:
        ValueError: another ending.

    Attributes:
        lines: of text, for the frames from now on.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        target = Path(path)
        if target.suffix.lower() not in (".mp4", ".mkv"):
            raise ValueError(expected("path", "a file that ends in .mp4 or .mkv", str(target)))
        self.lines: Sequence[str] = ()
        self._drawn: tuple[Sequence[str], tuple[int, ...], Image.Image | None] = ((), (), None)
        self._path = target
        self._file: TimedVideo | None = None
        self._is_closed = False
        self._lock = threading.Lock()

    def write(self, picture: np.ndarray, seconds: float) -> None:
        """Adds a frame, uint8 (H, W, 3), which is shown from ``seconds`` on; after :meth:`close` nothing happens.

        Raises:
            OSError: the file cannot be written.
        """
        with self._lock:
            if self._is_closed:
                return
            if self._file is None:
                self._file = TimedVideo(self._path)
            self._file.write(self._with_text(picture), seconds)

    def _with_text(self, picture: np.ndarray) -> np.ndarray:
        lines, size, band = self._drawn
        if lines is not self.lines or size != picture.shape:
            lines = self.lines
            band = draw_lines(lines, picture.shape[1], picture.shape[0]) if lines else None
            self._drawn = lines, picture.shape, band
        if band is None:
            return picture
        top = Image.fromarray(picture[: band.height])  # a copy, and not of all of it
        top.paste(band, (0, 0), band)
        return np.concatenate([np.asarray(top), picture[band.height :]])

    def close(self) -> None:
        """Completes the file; a second call does nothing."""
        with self._lock:
            if self._file is not None and not self._is_closed:
                self._file.close()
            self._is_closed = True


def draw_lines(lines: Sequence[str], width: int, height: int) -> Image.Image:
    """Returns a band with lines of text for the top of a frame: RGBA, white on a dark shade.

    Letters are as large as the picture allows. What does not fit is left out: lines beyond half of the height, the
    middle of lines that are too long, whose end may be a score.

    >>> draw_lines(["archery  0.93", "bowling  0.02"], 640, 480).size
    (640, 70)
    """
    size = max(_SMALLEST_FONT, height // _LINES_IN_HEIGHT)
    font, step = ImageFont.load_default(size), size * 5 // 4
    shown = lines[: max(1, height // 2 // step)]
    band = Image.new("RGBA", (width, len(shown) * step + size // 4), (0, 0, 0, _SHADE))
    draw = ImageDraw.Draw(band)
    for number, given in enumerate(shown):
        line = text = " ".join(given.splitlines())
        end = len(line) // 2
        while draw.textlength(text, font) > width - size and end > 0:
            end -= 1
            text = f"{line[:end]}…{line[len(line) - end :]}"
        draw.text((size // 2, number * step + size // 8), text, (255, 255, 255, 255), font)
    return band
