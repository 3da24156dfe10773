# SPDX-License-Identifier: Apache-2.0
"""Boxes with names on pictures, readable on dark and on light."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pytorchvideo.inference.detection.tracks import Shown

# Okabe and Ito's, which also those who see few colours tell apart
COLOURS = (
    (230, 159, 0),
    (86, 180, 233),
    (0, 158, 115),
    (240, 228, 66),
    (0, 114, 178),
    (213, 94, 0),
    (204, 121, 167),
)
_UNKNOWN = (190, 190, 190)
_SHADE = (0, 0, 0, 190)
_LINES_IN_HEIGHT = 26  # of text, in a picture
_SMALLEST_FONT = 10
_MOST_ACTIONS = 3  # of a person


def colour_of(person: int) -> tuple[int, int, int]:
    """Returns the colour of a person, grey for one without a number."""
    return COLOURS[person % len(COLOURS)] if person >= 0 else _UNKNOWN


def draw_people(picture: np.ndarray, people: Sequence[Shown]) -> np.ndarray:
    """Returns a picture uint8 (H, W, 3) with boxes, numbers and actions on it; the one that was given stays as it is.

    A box is a line of the person's colour between two dark ones; what they do is white on a dark shade above it, or
    inside of it at the top of the picture.
    """
    if not people:
        return picture
    height, width = picture.shape[:2]
    size = max(_SMALLEST_FONT, height // _LINES_IN_HEIGHT)
    line, font = max(1, size // 7), ImageFont.load_default(size)
    image = Image.fromarray(picture).convert("RGBA")
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for shown in people:
        x1, y1, x2, y2 = _pixels(shown.box, width, height)
        for inset, colour in (
            (0, (0, 0, 0)),
            (2 * line, (0, 0, 0)),
            (line, colour_of(shown.person)),
        ):
            if x2 - x1 > 2 * inset and y2 - y1 > 2 * inset:
                corners = (x1 + inset, y1 + inset, x2 - inset, y2 - inset)
                draw.rectangle(corners, outline=(*colour, 255), width=line)
    for shown in people:
        texts = _texts(shown)
        if texts:
            _write(
                draw,
                texts,
                _pixels(shown.box, width, height),
                (width, height),
                font,
                size,
                shown.person,
            )
    return np.asarray(Image.alpha_composite(image, layer).convert("RGB"))


def _texts(shown: Shown) -> list[str]:
    head = [f"person {shown.person}"] if shown.person >= 0 else []
    return head + [f"{label} {score:.0%}" for label, score in shown.actions[:_MOST_ACTIONS]]


def _pixels(box: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = (round(s * n) for s, n in zip(box, (width, height) * 2, strict=True))
    x1, y1 = min(max(x1, 0), width - 1), min(max(y1, 0), height - 1)
    return x1, y1, min(max(x2, x1), width - 1), min(max(y2, y1), height - 1)


def _write(
    draw: ImageDraw.ImageDraw,
    texts: Sequence[str],
    box: tuple[int, int, int, int],
    picture: tuple[int, int],
    font: "ImageFont.ImageFont | ImageFont.FreeTypeFont",
    size: int,
    person: int,
) -> None:
    step, edge = size * 6 // 5, max(2, size // 5)
    wide = max(int(draw.textlength(text, font)) for text in texts) + 2 * edge
    high = len(texts) * step + edge
    # above the box; inside of it where there is no room
    top = box[1] - high if box[1] >= high else min(box[1], max(0, picture[1] - high))
    left = min(max(0, box[0]), max(0, picture[0] - wide))
    draw.rectangle((left, top, left + wide, top + high), fill=_SHADE)
    draw.rectangle(
        (left, top, left + max(1, edge // 2), top + high), fill=(*colour_of(person), 255)
    )
    for number, text in enumerate(texts):
        place = (left + edge, top + number * step + edge // 2)
        draw.text(place, text, fill=(255, 255, 255, 255), font=font)
