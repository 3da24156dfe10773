# SPDX-License-Identifier: Apache-2.0
"""Visualisation of clips: animations, contact sheets and captions.

What a dataset gives can be shown as it is; what a transform has normalised needs its ``mean`` and ``std``::

    sample = next(iter(dataset))
    save_clip(sample, "sample.gif", mean=mean, std=std, class_names=names)
    contact_sheet(next(iter(loader)), mean=mean, std=std).save("batch.png")
    contact_sheet("archery.mp4")
"""

import io
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from pytorchvideo._checks import expected
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

Source = torch.Tensor | Mapping[str, Any] | Sequence[Any] | str | os.PathLike[str]
Colours = Sequence[float] | torch.Tensor

_FRAMES_OF_FILE = 16
_FRAMES_A_SECOND = 4.0
_KEYS = ("video", "input")  # of samples: ours, and Flash's
_SMALLEST_FONT = 10


class CaptionedClip(NamedTuple):
    """A clip that can be shown.

    Attributes:
        frames: uint8 (3, T, H, W).
        caption: what is to be written on it; may be empty.
    """

    frames: torch.Tensor
    caption: str = ""


def unnormalize(clip: torch.Tensor, mean: Colours, std: Colours) -> torch.Tensor:
    """Returns what a clip was before ``Normalize(mean, std)``, as uint8.

    Args:
        clip: float (C, T, H, W) or (B, C, T, H, W).
        mean: a channel each, of values in [0, 1].
        std: a channel each.

    >>> unnormalize(torch.zeros(3, 1, 1, 1), (0.0, 0.5, 1.0), (0.2, 0.2, 0.2)).flatten()
    tensor([  0, 128, 255], dtype=torch.uint8)
    """
    shape = (-1, 1, 1, 1)
    mean = torch.as_tensor(mean, dtype=torch.float32, device=clip.device).reshape(shape)
    std = torch.as_tensor(std, dtype=torch.float32, device=clip.device).reshape(shape)
    return _to_uint8(clip.detach() * std + mean, white=1.0)


def read_clips(
    source: Source,
    *,
    mean: Colours | None = None,
    std: Colours | None = None,
    max_value: float = 255.0,
    class_names: Sequence[str] | None = None,
    num_frames: int = _FRAMES_OF_FILE,
) -> list[CaptionedClip]:
    """Returns the clips of whatever there is to look at.

    Args:
        source: a clip (C, T, H, W) or a batch (B, C, T, H, W) of 1 or 3 channels; a sample of a dataset or a
            batch of a loader, which are dicts with ``"video"`` (or Flash's ``"input"``); a list of all these, such as
            the pathways of a SlowFast model; a :class:`CaptionedClip`, for captions of your own; or the path of a
            video.
        mean: that of ``Normalize``, if the clips were normalised.
        std: that of ``Normalize``.
        max_value: white in floats that were not normalised: 255 as datasets deliver them, 1 after ``Div255``.
        class_names: names for the labels of samples.
        num_frames: of a file, spread evenly over it.

    Raises:
        ValueError: not laid out like that, or only one of ``mean`` and ``std``.
        FileNotFoundError: no such file.
        VideoError: (a RuntimeError) the file cannot be read.
    """
    if (mean is None) != (std is None):
        raise ValueError(expected("mean and std", "both given, or neither", (mean, std)))
    if isinstance(source, CaptionedClip):
        return [source]
    if isinstance(source, (str, os.PathLike)):
        return [CaptionedClip(read_file(source, num_frames), Path(source).name)]
    options: dict[str, Any] = {
        "mean": mean,
        "std": std,
        "max_value": max_value,
        "class_names": class_names,
        "num_frames": num_frames,
    }
    if isinstance(source, Mapping):
        key = next((key for key in _KEYS if key in source), None)
        if key is None:
            raise ValueError(expected("source", f"a sample with {_KEYS[0]!r}", list(source)))
        clips = read_clips(source[key], **options)
        captions = _captions(source, len(clips), class_names)
        return [CaptionedClip(c.frames, text) for c, text in zip(clips, captions, strict=True)]
    if isinstance(source, torch.Tensor):
        if source.ndim not in (4, 5) or source.shape[-4] not in (1, 3) or 0 in source.shape:
            wanted = "a clip (C, T, H, W) or a batch (B, C, T, H, W) of 1 or 3 channels"
            raise ValueError(expected("source", wanted, tuple(source.shape)))
        if mean is not None and std is not None:
            frames = unnormalize(source, mean, std)
        else:
            frames = _to_uint8(source.detach(), white=max_value)
        frames = frames.cpu().expand(*frames.shape[:-4], 3, *frames.shape[-3:])
        return [CaptionedClip(clip) for clip in (frames[None] if frames.ndim == 4 else frames)]
    return [clip for one in source for clip in read_clips(one, **options)]


def read_file(
    path: str | os.PathLike[str], num_frames: int = _FRAMES_OF_FILE, end_sec: float | None = None
) -> torch.Tensor:
    """Returns frames of a video, spread evenly from its start to ``end_sec``, as uint8 (3, T, H, W).

    Raises:
        FileNotFoundError: no such file.
        VideoError: (a RuntimeError) the file cannot be read.
    """

    def spread(indices: list[int]) -> list[int]:
        wanted = np.linspace(0, len(indices) - 1, min(num_frames, len(indices))).round()
        return [indices[int(i)] for i in wanted]

    with EncodedVideo.from_path(os.fspath(path), decode_audio=False, dtype=torch.uint8) as video:
        end = video.duration if end_sec is None else min(video.duration, Fraction(end_sec))
        clip = video.get_clip(0, end, frame_filter=spread)["video"]
    if clip is None:
        raise ValueError(f"{os.fspath(path)} has no frame from 0 to {float(end):g} s.")
    return clip


def _to_uint8(clip: torch.Tensor, white: float) -> torch.Tensor:
    if clip.dtype == torch.uint8:
        return clip
    return (clip.float() * (255 / white)).round().clamp(0, 255).to(torch.uint8)


def _captions(
    sample: Mapping[str, Any], count: int, class_names: Sequence[str] | None
) -> list[str]:
    """``class, file`` for each clip of a sample or a batch, as far as it says so."""
    columns = []
    for key in ("label", "target", "video_name"):
        values = sample.get(key)
        if isinstance(values, torch.Tensor):
            values = values.tolist()
        if values is None:
            continue
        values = list(values) if isinstance(values, (list, tuple)) else [values]
        # soft labels, as those of mixed batches, have no one name
        if count % len(values) or not isinstance(values[0], (int, str)):
            continue
        values *= count // len(values)  # once for each pathway
        if class_names is not None:
            values = [class_names[v] if isinstance(v, int) and v >= 0 else v for v in values]
        columns.append([str(value) for value in values])
    return [", ".join(parts) for parts in zip(*columns, strict=True)] or [""] * count


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
    if side is None or side >= min(images[0].size):
        return images
    scale = side / min(images[0].size)
    size = [max(1, round(length * scale)) for length in images[0].size]
    return [image.resize((size[0], size[1]), Image.Resampling.BILINEAR) for image in images]


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

    Args:
        clip: uint8 (3, T, H, W). A frame that is equal to the one before only prolongs it.
        fps: frames per second.
        side: short side in pixels; smaller clips keep their own size, as all do with None.
        colors: of each frame, at most 256: fewer make it smaller.
    """
    frames = [
        image.quantize(colors, dither=Image.Dither.NONE) for image in _drawn_images(clip, side)
    ]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / fps),
        loop=0,
        optimize=True,
    )
    return buffer.getvalue()


def save_clip(
    source: Source,
    path: str | os.PathLike[str] = "sample.gif",
    *,
    fps: float = _FRAMES_A_SECOND,
    caption: bool = True,
    **options: Any,
) -> Path:
    """Writes an animation, a GIF or an mp4 file by its ending; the clips of a batch play side by side.

    Args:
        source: see :func:`read_clips`.
        path: where to; its ending is ``.gif`` or ``.mp4``.
        fps: frames per second.
        caption: write the label and the name of the file on the frames.
        options: further keywords of :func:`read_clips`, such as ``mean`` and ``std``.

    Raises:
        ValueError: another ending; else see :func:`read_clips`.
    """
    target = Path(path)
    if target.suffix.lower() not in (".gif", ".mp4"):
        raise ValueError(expected("path", "a file that ends in .gif or .mp4", str(target)))
    clip = _side_by_side(read_clips(source, **options), caption)
    if target.suffix.lower() == ".gif":
        target.write_bytes(gif_bytes(clip, fps=fps))
        return target
    from pytorchvideo.data.utils import export_video_array

    # an odd row or column more has no colour of its own in yuv420p
    even = clip[..., : max(2, clip.shape[2] // 2 * 2), : max(2, clip.shape[3] // 2 * 2)]
    rate = Fraction(fps).limit_denominator(1000)
    export_video_array(even, target, rate, video_codec="libx264")
    return target


def show_clip(source: Source, *, fps: float = _FRAMES_A_SECOND, **options: Any) -> Any:
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
    clip = _side_by_side(read_clips(source, **options), caption)
    return NotebookImage(data=gif_bytes(clip, fps=fps), format="gif")


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
    **options: Any,
) -> Image.Image:
    """Returns one image with all frames of the clips, each clip beginning in a row of its own.

    Args:
        source: see :func:`read_clips`.
        columns: frames in a row.
        side: short side of a frame in pixels; None, or a smaller frame, keeps it as it is.
        gap: pixels between frames.
        caption: write the label and the name of the file above each clip.
        options: further keywords of :func:`read_clips`, such as ``mean`` and ``std``.

    Raises:
        ValueError: ``columns`` is not positive; else see :func:`read_clips`.
    """
    if columns < 1:
        raise ValueError(expected("columns", ">= 1", columns))
    clips = [
        (c.caption if caption else "", _drawn_images(c.frames, side))
        for c in read_clips(source, **options)
    ]
    if not clips:
        raise ValueError(expected("source", "at least one clip", []))
    height, width = (max(p[0].size[i] for _, p in clips) for i in (1, 0))
    line = max(_SMALLEST_FONT, height // 8)
    band = line + 4 if any(text for text, _ in clips) else 0
    widest = min(columns, max(len(images) for _, images in clips))
    rows = [-(-len(images) // columns) for _, images in clips]
    size = (widest * (width + gap) - gap, sum(rows) * (height + gap) - gap + len(clips) * band)
    sheet = Image.new("RGB", size, "white")
    draw, font, top = ImageDraw.Draw(sheet), ImageFont.load_default(line), 0
    for (text, images), count in zip(clips, rows, strict=True):
        draw.text((1, top + band - 2), text, fill="black", font=font, anchor="lb")
        top += band
        for place, image in enumerate(images):
            row, column = divmod(place, columns)
            sheet.paste(image, (column * (width + gap), top + row * (height + gap)))
        top += count * (height + gap)
    return sheet
