# SPDX-License-Identifier: Apache-2.0
"""Overlays of maps on frames: colours, blending, a legend, a strip of frames, a curve.

The colours are cividis (arXiv 1712.01662): its lightness rises evenly, and eyes that tell red from green badly see in
it what others do. Frames below them are grey, so that every colour is one of the map.
"""

import io
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor
from torch.nn import functional as F

from pytorchvideo.data.visualize import gif_bytes

#: Values (...) in 0..1 -> colours (..., 3) in 0..1.
Colours: TypeAlias = Callable[[Tensor], Tensor]

COLOURS = "cividis"
_Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

_SIDE = 224  # of a frame that is shown, at least
_GAP = 4
_STRIP = 8  # frames
_LUMA = (0.299, 0.587, 0.114)  # of red, green and blue in the lightness of a pixel, ITU-R BT.601


class ShownClip(Protocol):
    """What is drawn of a :class:`~pytorchvideo.inference.explain.explanation.ClipExplanation`."""

    @property
    def frames(self) -> Tensor:
        """uint8 (3, T, H, W)."""

    @property
    def heat(self) -> Tensor:
        """(T, H, W) in 0..1."""

    @property
    def score(self) -> float:
        """The probability of the label."""

    @property
    def times(self) -> list[float]:
        """Seconds of each frame."""

    @property
    def curve(self) -> list[float]:
        """The mean of the map of each frame."""

    @property
    def frames_per_second(self) -> float:
        """Of what the network saw."""


class Shown(Protocol):
    """What is drawn of an :class:`~pytorchvideo.inference.explain.explanation.Explanation`, whose files these are."""

    @property
    def label(self) -> str:
        """What is explained."""

    @property
    def method(self) -> str:
        """How."""

    @property
    def clips(self) -> Sequence[ShownClip]:
        """In the order of time."""


def map_colours(values: Tensor) -> Tensor:
    """Returns the colours (..., 3) in 0..1 of the values (...) of a map."""
    import matplotlib

    table = torch.from_numpy(matplotlib.colormaps[COLOURS](np.arange(256))[:, :3]).float()
    return table[(values.clamp(0, 1) * 255).round().long()]


def overlay(
    frames: Tensor, heat: Tensor, *, alpha: float = 0.5, colours: Colours = map_colours
) -> Tensor:
    """Returns frames with a map on them, ``alpha * colours + (1 - alpha) * frames``.

    Args:
        frames: RGB, float (..., 3, H, W) in 0..1.
        heat: (..., H, W) in 0..1.
        alpha: how much of the colours.
        colours: of the values.
    """
    return alpha * colours(heat).movedim(-1, -3) + (1 - alpha) * frames


def shown_frames(explanation: Shown, *, side: int = _SIDE) -> tuple[Tensor, float]:
    """Returns the frames of all clips beside the same with the map, and how many there are a second.

    Below them stand the label, the method, the time, and the colours from the least to the greatest value.

    Args:
        explanation: of a video.
        side: short side of a frame in pixels, at least; smaller ones are enlarged.

    Returns:
        uint8 (3, T, H, W) with even sides, and frames per second.
    """
    parts = []
    for clip in explanation.clips:
        pairs = _pairs(clip.frames, clip.heat, side)
        words = f"{explanation.label} {clip.score:.0%}"
        parts += [
            _with_legend(pair, words, f"{explanation.method}  {time:.2f} s")
            for pair, time in zip(pairs, clip.times, strict=True)
        ]
    shown = np.stack([np.asarray(image) for image in parts])
    rate = explanation.clips[0].frames_per_second
    return torch.from_numpy(shown).permute(3, 0, 1, 2), rate


def strip(explanation: Shown, *, frames: int = _STRIP, side: int = _SIDE // 2) -> Image.Image:
    """Returns one image: some frames evenly over all clips, below each the same with the map, and the legend.

    Args:
        explanation: of a video.
        frames: how many.
        side: short side of each in pixels, at least.
    """
    seen = torch.cat([clip.frames for clip in explanation.clips], dim=1)
    heat = torch.cat([clip.heat for clip in explanation.clips])
    times = [time for clip in explanation.clips for time in clip.times]
    count = min(frames, len(times))
    places = [round(place * (len(times) - 1) / max(1, count - 1)) for place in range(count)]
    plain, covered = _plain_and_covered(seen[:, places], heat[places], side)
    columns = [np.concatenate([a, _space(a, 0), b]) for a, b in zip(plain, covered, strict=True)]
    rows = [part for column in columns for part in (column, _space(column, 1))][:-1]
    span = f"{explanation.method}  {times[places[0]]:.2f} to {times[places[-1]]:.2f} s"
    score = sum(clip.score for clip in explanation.clips) / len(explanation.clips)
    return _with_legend(np.concatenate(rows, axis=1), f"{explanation.label} {score:.0%}", span)


def curve_png(explanation: Shown) -> bytes:
    """Returns a plot of the mean of the map of each frame over time, as png."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 2.6), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for clip in explanation.clips:
        axes.plot(clip.times, clip.curve, color="#00224e", marker="o", markersize=3, linewidth=1.6)
    axes.set_xlabel("seconds")
    axes.set_ylabel("mean of the map")
    axes.set_ylim(bottom=0)
    axes.set_title(f"{explanation.label} ({explanation.method})", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.2)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def map_gif(explanation: Shown, *, beside: bool = True, side: int = 112, colors: int = 64) -> bytes:
    """Returns a small animated GIF of the frames with the map, without words.

    Args:
        explanation: of a video.
        beside: the frames as they are stand beside them.
        side: short side of a frame in pixels, at least.
        colors: of each frame.
    """
    pictures: list[np.ndarray] = []
    for clip in explanation.clips:
        both = _pairs if beside else _covered
        pictures += both(clip.frames, clip.heat, side)
    frames = torch.from_numpy(np.stack(pictures)).permute(3, 0, 1, 2)
    rate = explanation.clips[0].frames_per_second
    return gif_bytes(frames, fps=rate, side=side if beside else None, colors=colors)


def _covered(frames: Tensor, heat: Tensor, side: int) -> list[np.ndarray]:
    """Each frame with the map."""
    return _plain_and_covered(frames, heat, side)[1]


def colour_stops(count: int = 9) -> list[str]:
    """Returns colours from the least to the greatest value as a page writes them, ``"#00224e"`` first."""
    rows = (map_colours(torch.linspace(0, 1, count)) * 255).round().int().tolist()
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in rows]


def _pairs(frames: Tensor, heat: Tensor, side: int) -> list[np.ndarray]:
    """Each frame beside itself with the map, uint8 (H, W, 3)."""
    plain, covered = _plain_and_covered(frames, heat, side)
    return [
        np.concatenate([a, _space(a, 1), b], axis=1) for a, b in zip(plain, covered, strict=True)
    ]


def _plain_and_covered(
    frames: Tensor, heat: Tensor, side: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frames (3, T, H, W), and the same with the map, (H, W, 3) each, their short side at least ``side``."""
    pictures = frames.transpose(0, 1).float() / 255
    scale = max(1.0, side / min(pictures.shape[2:]))
    size = [round(scale * length) for length in pictures.shape[2:]]
    pictures = F.interpolate(pictures, size=size, mode="bilinear")
    heat = F.interpolate(heat[:, None], size=size, mode="bilinear")[:, 0]
    grey = (pictures * pictures.new_tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True)
    both = (pictures, overlay(grey, heat))
    plain, covered = ((one.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1) for one in both)
    return list(plain.numpy()), list(covered.numpy())


def _space(beside: np.ndarray, axis: int) -> np.ndarray:
    shape = list(beside.shape)
    shape[axis] = _GAP
    return np.full(shape, 255, dtype=np.uint8)


def _with_legend(picture: np.ndarray, words: str, more: str) -> Image.Image:
    """A picture (H, W, 3) above a line of text and the colours of the map; its sides are even."""
    height, width = picture.shape[:2]
    size = max(11, min(18, width // 32))
    font = ImageFont.load_default(size)
    band = 2 * size + 14
    image = Image.new("RGB", (width // 2 * 2, (height + band) // 2 * 2), "white")
    image.paste(Image.fromarray(picture), (0, 0))
    draw = ImageDraw.Draw(image)
    first, second = height + 4, height + 8 + size
    draw.text((4, first), _cut(draw, words, font, width - 8), fill="black", font=font)
    bar = max(60, width // 4)
    ends = [draw.textlength(word, font=font) for word in ("low", "high")]
    left = image.width - bar - int(sum(ends)) - 16
    draw.text((4, second), _cut(draw, more, font, left - 8), fill="black", font=font)
    draw.text((left, second), "low", fill="black", font=font)
    draw.text((image.width - ends[1] - 4, second), "high", fill="black", font=font)
    row = (map_colours(torch.linspace(0, 1, bar)) * 255).round().byte().numpy()
    scale = np.broadcast_to(row[None], (size, bar, 3))
    image.paste(Image.fromarray(np.ascontiguousarray(scale)), (left + int(ends[0]) + 6, second + 2))
    return image


def _cut(draw: ImageDraw.ImageDraw, text: str, font: _Font, width: float) -> str:
    """A text that fits."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text + "…"
