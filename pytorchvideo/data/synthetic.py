# SPDX-License-Identifier: Apache-2.0
"""A synthetic data set: real mp4 files of four motions.

The classes are *rising*, *falling*, *growing* and *shrinking*: three shapes move up or down, or change their
size, over a still texture. A clip of one class played backwards is one of its opposite; shapes that move have the
size that growing and shrinking ones have at some moment; what leaves the frame on one side comes in at the other.
So **one frame says next to nothing about its class**, and a mirrored clip keeps its own.
"""

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytorchvideo.data._decode._pyav.write import Encoding, Sound, has_encoder, write_video

#: The classes, motions that a single frame does not tell apart.
MOTIONS = ("falling", "growing", "rising", "shrinking")
SECONDS = 2.0
AUDIO_RATE = 16000

# frames a second, width and height in pixels: landscape, square and portrait
_SIZES = ((12, 128, 96), (15, 96, 96), (16, 112, 84), (15, 84, 112))
# an encoder that PyAV's wheels carry, with the options that make it quick and quiet
_ENCODERS = (
    ("libx264", {"preset": "veryfast", "crf": "26"}),
    ("mpeg4", {"qscale": "4"}),
    ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "36", "b": "0"}),
    ("libx265", {"preset": "ultrafast", "crf": "28", "x265-params": "log-level=none"}),
)


@dataclass(frozen=True)
class DemoFiles:
    """Where :func:`write_demo_videos` wrote: a folder per class in two splits, and one clip of neither."""

    train: Path
    val: Path
    unseen: Path
    unseen_label: str


def write_demo_videos(
    folder: Path,
    *,
    train_per_class: int = 60,
    val_per_class: int = 12,
    seed: int = 0,
    on_written: Callable[[Path, int], None] | None = None,
) -> DemoFiles:
    """Writes the labelled set: mp4 files with audio, of several codecs, sizes and frame rates.

    The files are the same for the same ``seed`` and build of FFmpeg.

    Args:
        folder: made if it is not there; gets ``train/CLASS``, ``val/CLASS`` and ``unseen``.
        train_per_class: files of each motion to learn from.
        val_per_class: files of each motion held out.
        seed: of every position, size, colour and speed.
        on_written: called with each path once its file is complete, and the number of all.

    Raises:
        OSError: the folder cannot be written.
    """
    jobs: list[tuple[Path, str]] = []
    for split, count in (("train", train_per_class), ("val", val_per_class)):
        for label in MOTIONS:
            (folder / split / label).mkdir(parents=True, exist_ok=True)
            jobs += [(folder / split / label / f"{label}_{i:03d}.mp4", label) for i in range(count)]
    generator = np.random.default_rng([seed, len(jobs)])
    unseen_label = str(generator.choice(MOTIONS))
    (folder / "unseen").mkdir(parents=True, exist_ok=True)
    jobs.append((folder / "unseen" / "clip.mp4", unseen_label))
    encoders = available_encoders()

    def write(number: int) -> None:
        path, label = jobs[number]
        write_motion_video(
            path,
            label,
            np.random.default_rng([seed, number]),
            encoder=encoders[number % len(encoders)],
            size=_SIZES[(number // len(encoders)) % len(_SIZES)],
        )
        if on_written is not None:
            on_written(path, len(jobs))

    with ThreadPoolExecutor(max_workers=2) as pool:
        list(pool.map(write, range(len(jobs))))
    return DemoFiles(folder / "train", folder / "val", jobs[-1][0], unseen_label)


def available_encoders() -> list[tuple[str, dict[str, str]]]:
    """Returns the encoders of this build of FFmpeg that the demo uses, with their options."""
    return [(name, options) for name, options in _ENCODERS if has_encoder(name)]


def write_motion_video(
    path: Path,
    label: str,
    generator: np.random.Generator,
    *,
    encoder: tuple[str, dict[str, str]] = _ENCODERS[0],
    size: tuple[int, int, int] = _SIZES[0],
    seconds: float = SECONDS,
) -> None:
    """Writes one mp4 of a motion, with a tone whose pitch has nothing to do with the class.

    Args:
        path: the file; it appears only when it is complete.
        label: one of :data:`MOTIONS`.
        generator: source of everything that is random.
        encoder: FFmpeg's name of the video encoder, and its options.
        size: frames a second, width and height.
        seconds: length of the video.
    """
    pitch = generator.uniform(200, 800)
    times = np.arange(int(seconds * AUDIO_RATE)) / AUDIO_RATE
    tone = (0.2 * np.sin(2 * np.pi * pitch * times)).astype(np.float32)
    frames = motion_frames(label, generator, size=size, seconds=seconds)
    codec, options = encoder
    write_video(path, frames, size[0], Encoding(codec, options), Sound(tone, AUDIO_RATE))


def motion_frames(
    label: str,
    generator: np.random.Generator,
    *,
    size: tuple[int, int, int] = _SIZES[0],
    seconds: float = SECONDS,
) -> Iterator[np.ndarray]:
    """Yields the frames of one video, uint8 (H, W, 3).

    Three shapes share one velocity: ``turns`` trips through the height of the frame, or through the range
    of sizes, in the whole video. All of them drift sideways, in every class alike.
    """
    rate, width, height = size
    speed = generator.uniform(0.5, 0.9) * {"rising": -1, "falling": 1}.get(label, 0)
    drift = generator.uniform(-0.2, 0.2)
    texture = _texture(generator, width, height)
    shapes = [_Shape.random(label, generator) for _ in range(3)]
    frames = round(seconds * rate)
    for t in range(frames):
        time = t / (frames - 1)  # 0 to 1
        image = texture.copy()
        for shape in shapes:
            down = (shape.down + speed * time) % 1.0 * height
            across = (shape.across + drift * time) % 1.0 * width
            radius = (shape.first + (shape.last - shape.first) * time) * height
            cover = _coverage(shape.kind, (down, across), radius, width, height)[..., None]
            image += cover * (shape.colour - image)
        yield image.round().clip(0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Shape:
    """A shape: where it starts in shares of the frame, its first and last radius in heights of the frame."""

    kind: int
    down: float
    across: float
    first: float
    last: float
    colour: np.ndarray

    @classmethod
    def random(cls, label: str, generator: np.random.Generator) -> "_Shape":
        small, large = generator.uniform(0.04, 0.12), generator.uniform(0.24, 0.34)
        if label == "growing":
            sizes = small, large
        elif label == "shrinking":
            sizes = large, small
        else:  # as large as a growing or shrinking one is at some moment
            sizes = (generator.uniform(small, large),) * 2
        return cls(
            int(generator.integers(3)),
            generator.uniform(),
            generator.uniform(),
            *sizes,
            generator.uniform(160, 255, 3).astype(np.float32),
        )


def _texture(generator: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A still background, float32 (H, W, 3): two sine gratings and grain around a random colour."""
    rows, cols = np.mgrid[0:height, 0:width].astype(np.float32)
    image = np.broadcast_to(generator.uniform(30, 110, 3), (height, width, 3)).astype(np.float32)
    for _ in range(2):
        angle, length = generator.uniform(0, math.pi), generator.uniform(12, 50)
        phase = 2 * math.pi * (rows * math.sin(angle) + cols * math.cos(angle)) / length
        image = image + np.sin(phase + generator.uniform(0, 6.3))[..., None] * (
            generator.uniform(-14, 14, 3).astype(np.float32)
        )
    grain = generator.normal(0, 4, (height, width, 1)).astype(np.float32)
    return (image + grain).clip(0, 255).astype(np.float32)


def _coverage(
    kind: int, centre: tuple[float, float], radius: float, width: int, height: int
) -> np.ndarray:
    """How much of each pixel a disc, a square or a diamond covers: float32 (H, W) in 0..1.

    Distances are those of the torus, so a shape that is cut by one edge goes on at the opposite one.
    """
    rows = np.abs(np.arange(height, dtype=np.float32) + 0.5 - centre[0])
    cols = np.abs(np.arange(width, dtype=np.float32) + 0.5 - centre[1])
    rows, cols = np.minimum(rows, height - rows)[:, None], np.minimum(cols, width - cols)[None, :]
    distance = (np.hypot(rows, cols), np.maximum(rows, cols) * 1.1, (rows + cols) * 0.8)[kind]
    return np.clip(radius - distance + 0.5, 0.0, 1.0)
