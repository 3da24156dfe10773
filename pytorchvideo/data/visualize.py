# SPDX-License-Identifier: Apache-2.0
"""Visualisation of clips: animations, contact sheets and captions.

What a dataset gives can be shown as it is; what a transform has normalised needs its ``mean`` and ``std``::

    sample = next(iter(dataset))
    save_clip(sample, "sample.gif", mean=mean, std=std, class_names=names)
    contact_sheet(next(iter(loader)), mean=mean, std=std).save("batch.png")
    contact_sheet("archery.mp4")
"""

import io
import itertools
import math
import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from pytorchvideo._checks import expected
from pytorchvideo._text import counted
from pytorchvideo.data._shown_clips import (
    CaptionedClip,
    Source,
    read_clips,
    read_file,
    unnormalize,
)
from pytorchvideo.data.encoded_video import EncodedVideo

__all__ = [
    "CaptionedClip",
    "caption_frames",
    "contact_sheet",
    "gif_bytes",
    "read_clips",
    "read_file",
    "save_clip",
    "show_clip",
    "unnormalize",
]

_FRAMES_A_SECOND = 4.0  # of what does not say how long it lasts
_LEAST_DELAY = 2  # hundredths of a second: what is shorter, browsers show for ten
_MOST_PIXELS = 16_000_000  # of a contact sheet: 48 MB in memory
_LEAST_SIDE = 16  # of a frame in it
_SMALLEST_FONT = 10


def caption_frames(clip: torch.Tensor, caption: str | Sequence[str]) -> torch.Tensor:
    """Returns a clip with a line of text at the bottom of its frames.

    Args:
        clip: uint8 (3, T, H, W).
        caption: of all frames, or one a frame, such as what a model says of that time; cut off where the
            image ends. An empty one leaves the frame as it is.

    Raises:
        ValueError: another number of captions than there are frames.
    """
    images = _drawn_images(clip)
    captions = [caption] * len(images) if isinstance(caption, str) else caption
    if len(captions) != len(images):
        wanted = f"one text, or {len(images)}, one a frame"
        raise ValueError(expected("caption", wanted, list(captions)))
    for image, text in zip(images, captions, strict=True):
        if text:
            _write(image, text)
    return torch.from_numpy(np.stack([np.asarray(p) for p in images])).permute(3, 0, 1, 2)


def _drawn_images(clip: torch.Tensor, side: int | None = None) -> list[Image.Image]:
    """The frames of a clip (3, T, H, W); with ``side``, their short side is at most that."""
    frames = clip.permute(1, 2, 3, 0).contiguous().numpy()
    images = [Image.fromarray(frame) for frame in frames]
    size = images[0].size if side is None else _scaled(images[0].size, side)
    if size == images[0].size:
        return images
    return [image.resize(size, Image.Resampling.BILINEAR) for image in images]


def _scaled(size: tuple[int, int], side: int) -> tuple[int, int]:
    """A size whose short side is at most ``side``."""
    if side >= min(size):
        return size
    scale = side / min(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _write(image: Image.Image, text: str) -> None:
    """White on a dark band, at the bottom."""
    width, height = image.size
    size = max(_SMALLEST_FONT, height // 14)
    band = (0, height - size - 4, width, height)
    shade = Image.new("RGB", (width, size + 4), (0, 0, 0))
    image.paste(Image.blend(image.crop(band), shade, 0.6), band[:2])
    ImageDraw.Draw(image).text(
        (3, height - 3), text, fill="white", font=ImageFont.load_default(size), anchor="lb"
    )


def gif_bytes(
    clip: torch.Tensor,
    *,
    fps: float = _FRAMES_A_SECOND,
    side: int | None = None,
    colors: int = 256,
) -> bytes:
    """Returns a clip as an animated GIF that repeats for ever.

    A GIF counts in hundredths of a second: frames are shown for one more or less, so that each begins at its time to
    half of that and all of them last as long as the clip. Of more than 50 frames per second some are left out.

    Args:
        clip: uint8 (3, T, H, W). A frame that is equal to the one before only prolongs it.
        fps: frames per second.
        side: short side in pixels; smaller clips keep their own size, as all do with None.
        colors: of each frame, at most 256: fewer make it smaller.

    Raises:
        ValueError: ``fps`` is not positive.
    """
    places, delays = _gif_times(clip.shape[1], fps)
    frames = [
        image.quantize(colors, dither=Image.Dither.NONE)
        for image in _drawn_images(clip[:, places], side)
    ]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=[10 * delay for delay in delays],
        loop=0,
        optimize=True,
    )
    return buffer.getvalue()


def _gif_times(count: int, fps: float) -> tuple[list[int], list[int]]:
    """Which of so many frames a GIF has, and for how many hundredths of a second it shows each.

    >>> _gif_times(4, 24), _gif_times(4, 100)
    (([0, 1, 2, 3], [4, 4, 5, 4]), ([0, 2], [2, 2]))
    """
    if not 0 < fps < math.inf:
        raise ValueError(expected("fps", "> 0 frames per second", fps))
    total = max(_LEAST_DELAY, round(100 * count / fps))
    shown = min(count, total // _LEAST_DELAY)
    starts = [round(total * place / shown) for place in range(shown + 1)]
    delays = [end - start for start, end in itertools.pairwise(starts)]
    return [place * count // shown for place in range(shown)], delays


def save_clip(
    source: Source,
    path: str | os.PathLike[str] = "sample.gif",
    *,
    fps: float | None = None,
    caption: bool = True,
    **options: Any,
) -> Path:
    """Writes an animation, a GIF or an mp4 file by its ending; the clips of a batch play side by side.

    Args:
        source: see :func:`read_clips`.
        path: where to; its ending is ``.gif`` or ``.mp4``.
        fps: frames per second. None plays a file at its own speed, however few of its frames are shown; tensors and
            samples do not say theirs, and have 4. Of clips of a recipe it is ``recipe.sampled_frames_per_second``.
        caption: write the label and the name of the file on the frames.
        options: further keywords of :func:`read_clips`, such as ``mean`` and ``std``.

    Raises:
        ValueError: another ending, or no frames per second; else see :func:`read_clips`.
    """
    target = Path(path)
    if target.suffix.lower() not in (".gif", ".mp4"):
        raise ValueError(expected("path", "a file that ends in .gif or .mp4", str(target)))
    clips = read_clips(source, **options)
    fps, clip = _speed(source, clips) if fps is None else fps, _side_by_side(clips, caption)
    if not 0 < fps < math.inf:
        raise ValueError(expected("fps", "> 0 frames per second", fps))
    if target.suffix.lower() == ".gif":
        target.write_bytes(gif_bytes(clip, fps=fps))
        return target
    from pytorchvideo.data.utils import export_video_array

    # an odd row or column more has no colour of its own in yuv420p
    even = clip[..., : max(2, clip.shape[2] // 2 * 2), : max(2, clip.shape[3] // 2 * 2)]
    rate = Fraction(fps).limit_denominator(1000)
    export_video_array(even, target, rate, video_codec="libx264")
    return target


def show_clip(source: Source, *, fps: float | None = None, **options: Any) -> Any:
    """Returns an animation that a notebook shows; the arguments are those of :func:`save_clip`.

    Raises:
        ImportError: IPython is not there.
    """
    try:
        from IPython.display import Image as NotebookImage
    except ImportError as error:
        raise ImportError(
            "Showing a clip needs a notebook with IPython. Use save_clip(source, path) elsewhere."
        ) from error
    caption = options.pop("caption", True)
    clips = read_clips(source, **options)
    speed = _speed(source, clips) if fps is None else fps
    return NotebookImage(data=gif_bytes(_side_by_side(clips, caption), fps=speed), format="gif")


def _speed(source: Source, clips: Sequence[CaptionedClip]) -> float:
    """Frames per second at which a file lasts as long as it is; that of what says no times else."""
    if not isinstance(source, (str, os.PathLike)):
        return _FRAMES_A_SECOND
    with EncodedVideo.from_path(os.fspath(source), decode_audio=False) as video:
        return clips[0].frames.shape[1] / float(video.duration)


def _side_by_side(clips: Sequence[CaptionedClip], caption: bool) -> torch.Tensor:
    """Clips in a square of images, each held at its last frame until the longest ends; uint8 (3, T, H, W)."""
    if not clips:
        raise ValueError(expected("source", "at least one clip", []))
    drawn = [caption_frames(c.frames, c.caption if caption else "") for c in clips]
    length, height, width = (max(clip.shape[i] for clip in drawn) for i in (1, 2, 3))
    columns = int(np.ceil(np.sqrt(len(drawn))))
    rows = -(-len(drawn) // columns)
    sheet = torch.zeros(3, length, rows * height, columns * width, dtype=torch.uint8)
    for place, clip in enumerate(drawn):
        y, x = place // columns * height, place % columns * width
        held = clip[:, [min(t, clip.shape[1] - 1) for t in range(length)]]
        sheet[:, :, y : y + clip.shape[2], x : x + clip.shape[3]] = held
    return sheet


def contact_sheet(
    source: Source,
    *,
    columns: int = 8,
    side: int | None = None,
    gap: int = 4,
    caption: bool = True,
    max_pixels: int = _MOST_PIXELS,
    **options: Any,
) -> Image.Image:
    """Returns one image with all frames of the clips, each clip beginning in a row of its own.

    Args:
        source: see :func:`read_clips`.
        columns: frames in a row.
        side: short side of a frame in pixels; None, or a smaller frame, keeps it as it is.
        gap: pixels between frames.
        caption: write the label and the name of the file above each clip.
        max_pixels: of the image; frames are scaled down where it would have more.
        options: further keywords of :func:`read_clips`, such as ``mean`` and ``std``.

    Raises:
        ValueError: ``columns`` or ``side`` is not positive, ``gap`` is negative, or so many frames that they would be
            smaller than 16 pixels; else see :func:`read_clips`.
    """
    for name, value, least in (("columns", columns, 1), ("gap", gap, 0), ("side", side, 1)):
        if value is not None and value < least:
            raise ValueError(expected(name, f">= {least}", value))
    clips = read_clips(source, **options)
    if not clips:
        raise ValueError(expected("source", "at least one clip", []))
    texts = [clip.caption if caption else "" for clip in clips]
    layout = _layout([c.frames.shape for c in clips], columns, side, gap, any(texts), max_pixels)
    sheet = Image.new("RGB", layout.size, "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(layout.line), 0
    for text, clip, rows in zip(texts, clips, layout.rows, strict=True):
        draw.text((1, top + layout.band - 2), text, fill="black", font=font, anchor="lb")
        top += layout.band
        for place, image in enumerate(_drawn_images(clip.frames, layout.side)):
            row, column = divmod(place, columns)
            sheet.paste(image, (column * layout.step[0], top + row * layout.step[1]))
        top += rows * layout.step[1]
    return sheet


class _Layout(NamedTuple):
    """Sizes of a contact sheet in pixels: of all of it, and from one frame to the next, (x, y)."""

    size: tuple[int, int]
    step: tuple[int, int]
    rows: list[int]
    line: int
    band: int
    side: int


def _layout(
    shapes: Sequence[Sequence[int]],
    columns: int,
    side: int | None,
    gap: int,
    has_text: bool,
    max_pixels: int,
) -> _Layout:
    """The layout of clips (3, T, H, W) with the largest short side of frames, up to ``side``, that fits."""
    largest = max(min(shape[2:]) for shape in shapes)
    side = largest if side is None else min(side, largest)
    rows = [-(-shape[1] // columns) for shape in shapes]
    widest = min(columns, max(shape[1] for shape in shapes))
    while True:
        sizes = [_scaled((shape[3], shape[2]), side) for shape in shapes]
        width, height = (max(size[i] for size in sizes) for i in (0, 1))
        line = max(_SMALLEST_FONT, height // 8)
        band, step = (line + 4 if has_text else 0), (width + gap, height + gap)
        size = (widest * step[0] - gap, sum(rows) * step[1] - gap + len(shapes) * band)
        pixels = size[0] * size[1]
        if pixels <= max_pixels:
            return _Layout(size, step, rows, line, band, side)
        side = min(side - 1, int(side * (max_pixels / pixels) ** 0.5))
        if side < _LEAST_SIDE:
            count = sum(shape[1] for shape in shapes)
            wanted = f"frames that fit into {max_pixels} pixels with a side of {_LEAST_SIDE} each"
            advice = "Give fewer clips, or more max_pixels."
            raise ValueError(expected("source", wanted, counted(count, "frame"), advice))
