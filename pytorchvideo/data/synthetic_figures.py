# SPDX-License-Identifier: Apache-2.0
"""A synthetic data set for action detection: figures in boxes, each with a motion of its own.

Two to four figures share a picture. Each is *crouching* (its size goes down and up), *jumping* (it moves up and down),
*spinning* (it turns) or *swaying* (it moves left and right), whatever the others do, and all of them drift a little.
They stand at all angles, in all sizes that a crouching one has at some moment, and a box is as large as the place that
the figure needs for any of the motions: **neither one frame nor the box nor the rest of the picture says what a figure
does**. Of a model that scores the box of another figure of the picture nothing but chance is left.

::

    FOLDER/
      train.csv, val.csv   video,time_sec,x1,y1,x2,y2,label,person: a row a figure and key frame, boxes in pixels
      videos/*.mp4
      unseen.mp4           a longer one of neither, with all four motions
      unseen.csv           its figures, which no label names
"""

import csv
import io
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pytorchvideo._files import write_whole
from pytorchvideo.data._decode._pyav.write import Encoding, write_video
from pytorchvideo.data.synthetic import _texture, available_encoders

__all__ = [
    "ACTIONS",
    "Figure",
    "FigureFiles",
    "figure_frames",
    "random_figures",
    "write_figure_videos",
]

#: The classes.
ACTIONS = ("crouching", "jumping", "spinning", "swaying")
#: Columns of the csv files.
COLUMNS = ("video", "time_sec", "x1", "y1", "x2", "y2", "label", "person")

RATE, WIDTH, HEIGHT = 12, 96, 64
SECONDS = 2.0
KEY_TIMES = (0.75, 1.25)  # of the labelled key frames of a video
_SIDE = 28.0  # of a box, in pixels
_LENGTH = (7.0, 10.5)  # of a figure, from its middle to its end
_SWING = 6.5  # pixels of a jump, up and down from the middle
_TRIES = 200


@dataclass(frozen=True)
class FigureFiles:
    """Where :func:`write_figure_videos` wrote."""

    train: Path
    val: Path
    unseen: Path
    people: Path
    videos: Path


@dataclass(frozen=True)
class Figure:
    """A figure: a body with a head at its end.

    Attributes:
        action: one of :data:`ACTIONS`.
        across, down: its place at the start, in pixels.
        drift: pixels a second, across and down.
        angle: at the start, in radians.
        length: from its middle to its end, in pixels.
        turns: of its motion in a second.
        phase: of its motion at the start, in radians.
        colours: of body and head, float32 (2, 3).
    """

    action: str
    across: float
    down: float
    drift: tuple[float, float]
    angle: float
    length: float
    turns: float
    phase: float
    colours: np.ndarray

    def box(self, seconds: float) -> tuple[float, float, float, float]:
        """Returns x1, y1, x2, y2 in pixels: the place that it needs at a time, inside the picture."""
        across, down = self._home(seconds)
        half = _SIDE / 2
        x1, x2 = max(0.0, across - half), min(float(WIDTH), across + half)
        y1, y2 = max(0.0, down - half), min(float(HEIGHT), down + half)
        return x1, y1, x2, y2

    def _home(self, seconds: float) -> tuple[float, float]:
        return self.across + self.drift[0] * seconds, self.down + self.drift[1] * seconds

    def pose(self, seconds: float) -> tuple[float, float, float, float]:
        """Returns where its middle is, (across, down), its angle and its length at a time."""
        across, down = self._home(seconds)
        wave = math.sin(2 * math.pi * self.turns * seconds + self.phase)
        angle, length = self.angle, self.length
        if self.action == "jumping":
            down += _SWING * wave
        elif self.action == "swaying":
            across += _SWING * wave
        elif self.action == "spinning":
            angle += 2 * math.pi * self.turns * seconds
        elif self.action == "crouching":
            low, high = _LENGTH[0] * 0.6, _LENGTH[1]
            length = low + (high - low) * (1 + wave) / 2
        return across, down, angle, length


def random_figures(
    generator: np.random.Generator, seconds: float = SECONDS, count: int | None = None
) -> list[Figure]:
    """Returns figures whose boxes hardly overlap at any time.

    Args:
        generator: source of everything that is random.
        seconds: of the video.
        count: of figures; None is 2 to 4.
    """
    count = int(generator.integers(2, 5)) if count is None else count
    found: list[Figure] = []
    half, tries = _SIDE / 2, 0
    while len(found) < count:
        tries += 1
        if tries > _TRIES:  # the first ones stand in the way
            found, tries = [], 0
        begin = generator.uniform((half, half), (WIDTH - half, HEIGHT - half))
        end = generator.uniform((half, half), (WIDTH - half, HEIGHT - half))
        speed = (
            (end - begin) / max(float(np.linalg.norm(end - begin)), 1.0) * generator.uniform(0, 5)
        )
        speed = speed.clip((half - begin) / seconds, ((WIDTH, HEIGHT) - begin - half) / seconds)
        figure = Figure(
            action=str(generator.choice(ACTIONS)),
            across=float(begin[0]),
            down=float(begin[1]),
            drift=(float(speed[0]), float(speed[1])),
            angle=float(generator.uniform(0, 2 * math.pi)),
            length=float(generator.uniform(*_LENGTH)),
            turns=float(generator.uniform(0.9, 1.4)),
            phase=float(generator.uniform(0, 2 * math.pi)),
            colours=generator.uniform(150, 255, (2, 3)).astype(np.float32),
        )
        if all(_apart(figure, other, seconds) for other in found):
            found.append(figure)
    return found


def _apart(one: Figure, other: Figure, seconds: float) -> bool:
    for time in np.linspace(0, seconds, 9):
        (x, y), (other_x, other_y) = one._home(time), other._home(time)
        if max(abs(x - other_x), abs(y - other_y)) < _SIDE * 0.9:
            return False
    return True


def figure_frames(
    figures: Sequence[Figure], generator: np.random.Generator, seconds: float = SECONDS
) -> Iterator[np.ndarray]:
    """Yields the frames of a video, uint8 (H, W, 3)."""
    texture = _texture(generator, WIDTH, HEIGHT)
    rows, cols = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32) + 0.5
    for number in range(round(seconds * RATE)):
        image = texture.copy()
        for figure in figures:
            across, down, angle, length = figure.pose(number / RATE)
            along, aside = math.cos(angle), math.sin(angle)
            # coordinates of the figure: along its body, and aside of it
            u = (cols - across) * along + (rows - down) * aside
            v = (rows - down) * along - (cols - across) * aside
            body = np.maximum(np.abs(u) - length * 0.75, 0)
            cover = np.clip(length * 0.25 - np.hypot(body, v) + 0.5, 0, 1)[..., None]
            image += cover * (figure.colours[0] - image)
            head = np.clip(length * 0.38 - np.hypot(u - length * 0.7, v) + 0.5, 0, 1)[..., None]
            image += head * (figure.colours[1] - image)
        yield image.round().clip(0, 255).astype(np.uint8)


def write_figure_videos(
    folder: Path,
    *,
    train: int = 160,
    val: int = 40,
    seed: int = 0,
    unseen_sec: float = 6.0,
    on_written: Callable[[Path, int], None] | None = None,
) -> FigureFiles:
    """Writes the set; it is the same for the same ``seed`` and build of FFmpeg.

    Args:
        folder: made if it is not there; see the figure of this module.
        train: videos to learn from.
        val: videos held out.
        seed: of everything random.
        unseen_sec: length of the video of neither.
        on_written: called with each path once its file is complete, and the number of all.

    Raises:
        OSError: the folder cannot be written.
    """
    videos = folder / "videos"
    videos.mkdir(parents=True, exist_ok=True)
    names = [
        f"videos/{part}_{i:03d}.mp4"
        for part, n in (("train", train), ("val", val))
        for i in range(n)
    ]
    jobs = [(name, SECONDS) for name in names] + [("unseen.mp4", unseen_sec)]
    encoder = available_encoders()[0]
    drawn: dict[str, list[Figure]] = {}

    def write(number: int) -> None:
        name, seconds = jobs[number]
        generator = np.random.default_rng([seed, number])
        if name == "unseen.mp4":  # which shows all motions
            found = random_figures(generator, seconds, len(ACTIONS))
            order = generator.permutation(ACTIONS)
            figures = [replace(one, action=str(a)) for one, a in zip(found, order, strict=True)]
        else:
            figures = random_figures(generator, seconds)
        frames = figure_frames(figures, generator, seconds)
        write_video(folder / name, frames, RATE, Encoding(*encoder), None)
        drawn[name] = figures
        if on_written is not None:
            on_written(folder / name, len(jobs))

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(write, range(len(jobs))))
    for part, some in (("train", names[:train]), ("val", names[train:])):
        rows = [row for name in some for row in _rows(name, drawn[name], KEY_TIMES)]
        _write_table(folder / f"{part}.csv", rows)
    every = np.arange(0.5, unseen_sec, 0.5).tolist()
    unlabelled = [(*row[:6], "", row[7]) for row in _rows("unseen.mp4", drawn["unseen.mp4"], every)]
    _write_table(folder / "unseen.csv", unlabelled)
    return FigureFiles(
        folder / "train.csv",
        folder / "val.csv",
        folder / "unseen.mp4",
        folder / "unseen.csv",
        videos,
    )


def _rows(name: str, figures: Sequence[Figure], times: Sequence[float]) -> list[tuple[object, ...]]:
    return [
        (name, time, *(round(side, 2) for side in figure.box(time)), figure.action, person)
        for time in times
        for person, figure in enumerate(figures)
    ]


def _write_table(file: Path, rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows)
    write_whole(file, text.getvalue())
