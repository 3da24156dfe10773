# SPDX-License-Identifier: Apache-2.0
"""Agreement of a map with a box: the pointing game (arXiv 1608.00507), and the share of the map within."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from pytorchvideo._checks import expected
from pytorchvideo.transforms.clip_recipe import ClipRecipe

#: x1, y1, x2, y2 in pixels.
Corners: TypeAlias = tuple[float, float, float, float]


def share_within(heat: Tensor, box: Sequence[float]) -> float | None:
    """Returns the share of a map that lies within a box; None of a map of zeros.

    Args:
        heat: (T, H, W), not negative.
        box: x1, y1, x2, y2 in pixels; the pixels whose centres are inside count.
    """
    total = float(heat.sum())
    return float(heat[:, _inside(heat, box)].sum()) / total if total > 0 else None


def points_at(heat: Tensor, box: Sequence[float]) -> bool | None:
    """Whether the greatest value of a map lies within a box; None of a map of zeros, which points nowhere.

    Where several values are the greatest, all of them have to.
    """
    greatest = heat.max()
    if not float(greatest) > 0:
        return None
    places = (heat == greatest).any(dim=0)
    return bool(_inside(heat, box)[places].all())


def _inside(heat: Tensor, box: Sequence[float]) -> Tensor:
    """Which pixels (H, W) are within a box."""
    x1, y1, x2, y2 = box
    y = torch.arange(heat.shape[1], device=heat.device)[:, None] + 0.5
    x = torch.arange(heat.shape[2], device=heat.device)[None] + 0.5
    return (x >= x1) & (x <= x2) & (y >= y1) & (y <= y2)


def check_box(box: Sequence[float]) -> Corners:
    """Returns a box as four numbers.

    Raises:
        ValueError: it is not x1, y1, x2, y2 with x1 < x2 and y1 < y2.
    """
    if len(box) != 4 or not (box[0] < box[2] and box[1] < box[3]):
        raise ValueError(expected("box", "x1, y1, x2, y2 with x1 < x2 and y1 < y2", list(box)))
    x1, y1, x2, y2 = (float(value) for value in box)
    return x1, y1, x2, y2


def box_in_clip(
    box: Sequence[float], frame: tuple[int, int], recipe: ClipRecipe, clip: tuple[int, int]
) -> Corners | None:
    """Returns where a box of a video is in the clip that a recipe cuts out of it; None where it is outside.

    Args:
        box: x1, y1, x2, y2 in pixels of the video.
        frame: its height and width.
        recipe: scales the short side of the frame, and cuts out the centre.
        clip: height and width of the clip.

    Raises:
        ValueError: it is no box.

    >>> recipe = ClipRecipe(num_frames=8, sampling_rate=8, side_size=100, crop_size=80)
    >>> box_in_clip((100, 100, 200, 200), (200, 400), recipe, (80, 80))
    (0.0, 40.0, 40.0, 80.0)
    """
    x1, y1, x2, y2 = check_box(box)
    height, width = frame
    scale = recipe.side_size / min(height, width)
    down, right = (scale * height - clip[0]) / 2, (scale * width - clip[1]) / 2
    left_x, right_x = (min(max(scale * x - right, 0.0), float(clip[1])) for x in (x1, x2))
    top_y, bottom_y = (min(max(scale * y - down, 0.0), float(clip[0])) for y in (y1, y2))
    if left_x >= right_x or top_y >= bottom_y:
        return None
    return left_x, top_y, right_x, bottom_y
