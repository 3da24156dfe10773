# SPDX-License-Identifier: Apache-2.0
"""The inputs of a detector in evaluation: whole pictures with the boxes in them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pytorchvideo.transforms.clip_recipe import ClipRecipe
from pytorchvideo.transforms.detection import DetectionTransform


class EvaluationInputs(nn.Module):
    """Scales and normalises clips with boxes, and cuts nobody off.

    Args:
        recipe: the clips of the model. With a ``crop_size``, as networks of tokens have, the picture is fitted into
            that square, with mean colour below or beside it.
    """

    def __init__(self, recipe: ClipRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.scale = DetectionTransform.evaluation(recipe)
        self.split = nn.Sequential(*recipe.pathway_steps())

    def frame_transform(self, frame: Tensor) -> Tensor | None:
        """See :meth:`~pytorchvideo.transforms.DetectionTransform.frame_transform`."""
        return self.scale.frame_transform(frame)

    def forward(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Returns a sample with another ``video`` and other ``boxes``."""
        sample = self.scale(sample)
        if self.recipe.crop_size is None:
            return sample
        clip, share = _fitted(sample["video"], self.recipe.crop_size)
        return {**sample, "video": clip, "boxes": sample["boxes"] * share}

    def pathways(self, frames: Tensor, boxes: Tensor) -> list[Tensor]:
        """Returns the pathways of a clip, and its boxes (N, 4) in their pixels.

        Args:
            frames: (3, T, H, W) in 0..255.
            boxes: (N, 4), in shares of the picture.
        """
        height, width = frames.shape[-2:]
        sides = torch.tensor([width, height, width, height], dtype=torch.float32)
        sample = self({"video": frames, "boxes": boxes * sides})
        made: Any = self.split(sample["video"])
        return [*(made if isinstance(made, list) else [made]), sample["boxes"]]


def _fitted(clip: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A clip whose picture is fitted into the upper left of a square; the shares by which x and y were scaled."""
    share = side / max(clip.shape[-2:])
    old = clip.shape[-2:]
    height, width = (min(side, max(1, round(share * size))) for size in old)
    if (height, width) != tuple(old):
        # (C, T, H, W): frames are the batch
        frames = clip.transpose(0, 1)
        clip = F.interpolate(frames, size=(height, width), mode="bilinear").transpose(0, 1)
    shares = torch.tensor([width / old[1], height / old[0]] * 2)
    return F.pad(clip, (0, side - width, 0, side - height)), shares
