# SPDX-License-Identifier: Apache-2.0
"""Pictures on disk as frames; Pillow opens them."""

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from pytorchvideo.data._decode._types import VideoError

IMAGE_ENDINGS = frozenset(
    {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts names with numbers in them as people do.

    >>> sorted(["f10.jpg", "f9.jpg", "f1.jpg"], key=natural_key)
    ['f1.jpg', 'f9.jpg', 'f10.jpg']
    """
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(p), "") if p.isdigit() else (1, 0, p) for p in parts if p]


def list_frames(directory: str | Path) -> list[str]:
    """Returns the pictures in a directory in natural order.

    Raises:
        NotADirectoryError: if it is none.
        VideoError: if no picture is in it.
    """
    folder = Path(directory)
    if not folder.is_dir():
        raise NotADirectoryError(f"Expected a directory of frames, but {folder} is none.")
    names = [p.name for p in folder.iterdir() if p.suffix.lower() in IMAGE_ENDINGS]
    if not names:
        raise VideoError(
            f"The directory {folder} holds no pictures, so it is not a readable video."
        )
    return [str(folder / name) for name in sorted(names, key=natural_key)]


def load_frames(paths: Sequence[str | Path], threads: int = 1) -> torch.Tensor:
    """Returns pictures as uint8 RGB (3, T, H, W); each file is opened once, however often it is named.

    Raises:
        VideoError: if a picture is missing, damaged, or of another size than the first.
    """
    unique = list(dict.fromkeys(str(path) for path in paths))
    with ThreadPoolExecutor(max_workers=max(1, threads)) as pool:
        pictures = dict(zip(unique, pool.map(_load, unique), strict=True))
    first = pictures[unique[0]]
    for path, picture in pictures.items():
        if picture.shape != first.shape:
            raise VideoError(
                f"{path} is {picture.shape[2]}x{picture.shape[1]} pixels, but the clip began with "
                f"{first.shape[2]}x{first.shape[1]}. All frames of a video have one size."
            )
    return torch.stack([pictures[str(path)] for path in paths], dim=1)


def _load(path: str) -> torch.Tensor:
    try:
        with Image.open(path) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                upright = _eight_bits(upright, path)
            rgb = upright.convert("RGB")
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise VideoError(f"The frame {path} cannot be read: {error}.") from error
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)


def _eight_bits(image: Image.Image, path: str) -> Image.Image:
    """The high bytes of a grey picture of 16 bits, as Pillow and OpenCV take them of coloured ones.

    Pillow calls these I;16, I;16B and more, or I, which has room for more bits.
    """
    values = np.asarray(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 0xFFFF:
        raise VideoError(
            f"The frame {path} has values from {low} to {high}, but grey pictures have at most 16 bits, 0 to 65535."
        )
    return Image.fromarray((values >> 8).astype(np.uint8))
