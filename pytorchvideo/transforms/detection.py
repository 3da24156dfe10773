# SPDX-License-Identifier: Apache-2.0
"""The transform of clips with boxes: scale, crop, mirror, clip, in the order in which AVA's models were trained."""

from collections.abc import Sequence
from typing import Any, Literal

import torch

from pytorchvideo._checks import check_choice, expected
from pytorchvideo.transforms._clip import ChannelNormalize
from pytorchvideo.transforms._random import RandomTransform, integer
from pytorchvideo.transforms._scale import scaled_size, short_side_scale
from pytorchvideo.transforms.clip_recipe import TRAIN_SIDE_RANGE, ClipRecipe
from pytorchvideo.transforms.functional import (
    clip_boxes_to_image,
    div_255,
    horizontal_flip_with_boxes,
    random_crop_with_boxes,
    scale_boxes,
    uniform_crop_with_boxes,
)

__all__ = ["DetectionTransform"]

_SMALL_PIXELS = 500_000
_CROPS = ("random", "center", "none")


class DetectionTransform:
    """Makes the input of a detector out of a sample with ``video`` and ``boxes``.

    In this order, with the same parameters for all frames and boxes of a clip: boxes are clipped to the picture; its
    short side is scaled, the long one rounded down, and boxes by the ratio of the long sides; a square is cut out and
    boxes shifted; both are mirrored; the clip is divided by 255 and normalised; boxes are clipped to what is left.
    No box is dropped: one outside of the square ends up on its border without an area, as in the published training.

    Args:
        side_size: of the short side, in pixels; two numbers are the range of a random one, both included.
        crop_size: of the square.
        crop: ``"random"``, ``"center"``, or ``"none"``, which leaves pictures whole.
        flip_prob: the share of clips that are mirrored.
        mean: a channel each, of values in [0, 1].
        std: a channel each.
        generator: where random numbers come from; None is torch's global generator.

    Raises:
        ValueError: a size, a crop or a share that is none.

    >>> sample = {"video": torch.zeros(3, 4, 60, 80), "boxes": torch.tensor([[10.0, 20.0, 30.0, 40.0]])}
    >>> DetectionTransform(30)(sample)["boxes"]
    tensor([[ 5., 10., 15., 20.]])
    """

    def __init__(
        self,
        side_size: int | tuple[int, int],
        crop_size: int | None = None,
        *,
        crop: Literal["random", "center", "none"] = "none",
        flip_prob: float = 0.0,
        mean: Sequence[float] = (0.45, 0.45, 0.45),
        std: Sequence[float] = (0.225, 0.225, 0.225),
        generator: torch.Generator | None = None,
    ) -> None:
        self._random = RandomTransform(generator)
        check_choice("crop", crop, _CROPS)
        low, high = (side_size, side_size) if isinstance(side_size, int) else side_size
        if not 1 <= low <= high:
            raise ValueError(expected("side_size", "1 <= min <= max pixels", side_size))
        if crop != "none" and (crop_size is None or not 1 <= crop_size <= low):
            raise ValueError(expected("crop_size", f"in 1..{low}", crop_size, "Scale up first."))
        if not 0 <= flip_prob <= 1:
            raise ValueError(expected("flip_prob", "in [0, 1]", flip_prob))
        self.side_range = (low, high)
        self.crop_size = crop_size
        self.crop = crop
        self.flip_prob = flip_prob
        self.normalize = ChannelNormalize(tuple(mean), tuple(std))

    @classmethod
    def train(
        cls,
        recipe: ClipRecipe,
        *,
        crop_size: int | None = None,
        side_range: tuple[int, int] | None = None,
        flip_prob: float = 0.5,
        generator: torch.Generator | None = None,
    ) -> "DetectionTransform":
        """Returns the transform of training: a random scale, square and mirror.

        Args:
            recipe: of the clips.
            crop_size: of the square; by default that of the recipe, or 7/8 of its side (224 of 256).
            side_range: of the short side; by default from the side of the recipe to 5/4 of it (256 to 320).
            flip_prob: 0 where left and right matter.
            generator: see the class.
        """
        low = recipe.side_size
        return cls(
            side_range or (low, round(low * TRAIN_SIDE_RANGE)),
            crop_size or recipe.crop_size or round(low * 7 / 8),
            crop="random",
            flip_prob=flip_prob,
            mean=recipe.mean,
            std=recipe.std,
            generator=generator,
        )

    @classmethod
    def evaluation(cls, recipe: ClipRecipe, *, whole: bool = True) -> "DetectionTransform":
        """Returns the transform of a test, on whole pictures, or of validation in training, on their centre.

        Args:
            recipe: of the clips.
            whole: leave pictures as they are, however wide; otherwise a square is scaled and cut out.
        """
        size = recipe.side_size if whole else recipe.crop_size or recipe.side_size
        return cls(
            size,
            None if whole else size,
            crop="none" if whole else "center",
            mean=recipe.mean,
            std=recipe.std,
        )

    @property
    def generator(self) -> torch.Generator | None:
        """The generator to draw from in this process."""
        return self._random.generator

    def draw_side(self) -> int:
        """Returns the next size of the short side, in pixels."""
        low, high = self.side_range
        return low if low == high else integer(low, high, self.generator)

    def peek_side(self) -> int:
        """Returns what :meth:`draw_side` will return next."""
        generator = self.generator or torch.default_generator
        state = generator.get_state()
        side = self.draw_side()
        generator.set_state(state)
        return side

    def frame_transform(self, frame: torch.Tensor) -> torch.Tensor | None:
        """Scales one frame (3, 1, H, W) as the next clip will be, so that large ones are not held; None for small ones.

        A clip that it was done to says its size before in ``frame_size``.
        """
        height, width = frame.shape[-2:]
        if height * width <= _SMALL_PIXELS:
            return None
        return short_side_scale(frame.float(), self.peek_side())

    def __call__(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Returns the sample with another clip and other boxes.

        Args:
            sample: ``video`` (C, T, H, W) in 0..255, ``boxes`` (N, 4) in pixels, and on request ``frame_size``, the
                (height, width) that the boxes are in.
        """
        video, boxes = sample["video"], sample["boxes"]
        height, width = sample.get("frame_size", video.shape[-2:])
        boxes = clip_boxes_to_image(boxes.float(), height, width)
        side = self.draw_side()
        if tuple(video.shape[-2:]) != scaled_size(height, width, side):
            # frame by frame: a clip of large frames is never held as float
            frames = [short_side_scale(frame.float(), side) for frame in video.split(1, dim=1)]
            video = torch.cat(frames, dim=1)
        boxes = scale_boxes(boxes, max(video.shape[-2:]) / max(height, width))
        if self.crop == "random" and self.crop_size is not None:
            video, boxes = random_crop_with_boxes(
                video, self.crop_size, boxes, generator=self.generator
            )
        elif self.crop == "center" and self.crop_size is not None:
            video, boxes = uniform_crop_with_boxes(video, self.crop_size, 1, boxes)
        if self.flip_prob:
            video, boxes = horizontal_flip_with_boxes(
                self.flip_prob, video, boxes, generator=self.generator
            )
        boxes = clip_boxes_to_image(boxes, *video.shape[-2:])
        clip = self.normalize(div_255(video))
        return {**sample, "video": clip.contiguous(), "boxes": boxes}

    def __repr__(self) -> str:
        return (
            f"DetectionTransform(side_size={self.side_range}, crop={self.crop!r}, crop_size={self.crop_size}, "
            f"flip_prob={self.flip_prob})"
        )
