# SPDX-License-Identifier: Apache-2.0
"""Images on disk as frames, opened by Pillow."""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

from pytorchvideo.data._decode._clip_tensor import ClipTensor
from pytorchvideo.data._decode._limits import Budget, LimitError, Limits
from pytorchvideo.data._decode._types import FrameResize, FrameTransform, VideoError

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


def holds_images(path: str | Path) -> bool:
    """Whether there is a directory with images in it."""
    return os.path.isdir(path) and any(
        os.path.splitext(name)[1].lower() in IMAGE_ENDINGS for name in os.listdir(path)
    )


def list_frames(directory: str | Path) -> list[str]:
    """Returns the images in a directory in natural order.

    Raises:
        NotADirectoryError: if it is none.
        VideoError: if no image is in it.
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


def load_frames(
    paths: Sequence[str | Path],
    threads: int = 1,
    *,
    dtype: torch.dtype = torch.uint8,
    resize: FrameResize | None = None,
    frame_transform: FrameTransform | None = None,
    budget: Budget | None = None,
) -> torch.Tensor:
    """Returns images as RGB (3, T, H, W) in 0..255; each file is opened once, however often it is named.

    Args:
        paths: of the images, at least one.
        threads: that open images; no more of these are held at once besides the clip.
        dtype: of the clip.
        resize: the size of images -> that to which they are scaled, by the mean of all pixels that fall into one.
        frame_transform: see :data:`FrameTransform`.
        budget: what they may take.

    Raises:
        LimitError: they take more memory or time than they may.
        VideoError: if an image is missing, damaged, or of another size than the first.
    """
    budget = budget or Budget("pictures", Limits())
    places: dict[str, list[int]] = {}
    for place, path in enumerate(paths):
        places.setdefault(str(path), []).append(place)
    unique, at_once = list(places), max(1, threads)
    clip = ClipTensor(len(paths), dtype, budget, frame_transform)
    load = partial(_load, budget=budget, resize=resize)
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        for start in range(0, len(unique), at_once):
            budget.check_time()
            some = unique[start : start + at_once]
            for path, picture in zip(some, pool.map(load, some), strict=True):
                height, width = picture.shape[1:]
                if clip.size is None:
                    clip.check(height, width)
                elif clip.size != (height, width):
                    raise VideoError(
                        f"{path} is {width}x{height} pixels, but the clip began with "
                        f"{clip.size[1]}x{clip.size[0]}. All frames of a video have one size."
                    )
                clip.put(picture, places[path])
    return clip.whole()


def _load(path: str, budget: Budget, resize: FrameResize | None) -> torch.Tensor:
    """An image uint8 (3, H, W)."""
    try:
        with Image.open(path) as image:
            budget.check_picture(*image.size)
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):
                upright = _eight_bits(upright, path)
            rgb = upright.convert("RGB")
    except Image.DecompressionBombError as error:
        raise LimitError(
            f"The frame {path} is too large for Pillow: {error} If it is to be trusted, raise "
            "PIL.Image.MAX_IMAGE_PIXELS and `memory_limit_bytes`."
        ) from error
    except (OSError, ValueError, UnidentifiedImageError) as error:
        raise VideoError(f"The frame {path} cannot be read: {error}.") from error
    if resize is not None:
        height, width = resize(rgb.height, rgb.width)
        rgb = rgb.resize((width, height), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(rgb)).permute(2, 0, 1)


def _eight_bits(image: Image.Image, path: str) -> Image.Image:
    """The high bytes of a grey image of 16 bits, as Pillow and OpenCV take them of coloured ones.

    Pillow calls these I;16, I;16B and more, or I, which has room for more bits.
    """
    values = np.asarray(image).astype(np.int64)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 0xFFFF:
        raise VideoError(
            f"The frame {path} has values from {low} to {high}, but grey pictures have at most 16 bits, 0 to 65535."
        )
    return Image.fromarray((values >> 8).astype(np.uint8))
