# SPDX-License-Identifier: Apache-2.0
"""The colour and blur augmentations of contrastive learning (arXiv 2002.05709, appendix A), for clips."""

import math
from collections.abc import Sequence

import torch
from torchvision.transforms.v2 import functional as TVF

from pytorchvideo._checks import expected
from pytorchvideo.transforms._random import RandomTransform, happens, uniform
from pytorchvideo.transforms.augmentations import from_unit, to_unit

__all__ = ["ColorJitterVideoSSl", "GaussianBlur"]


class GaussianBlur(RandomTransform):
    """Blurs all frames with one Gaussian, whose standard deviation is drawn.

    Args:
        sigma: smallest and largest standard deviation, in pixels.
        generator: where the randomness comes from.

    Raises:
        ValueError: not ``0 < smallest <= largest``.
    """

    def __init__(
        self, sigma: Sequence[float] = (0.1, 2.0), *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__(generator)
        if len(sigma) != 2 or not 0 < sigma[0] <= sigma[1]:
            raise ValueError(expected("sigma", "(low, high) with 0 < low <= high", sigma))
        self.sigma = tuple(sigma)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., H, W), uint8 or float of any range -> the same shape and dtype."""
        sigma = uniform(self.sigma[0], self.sigma[1], self.generator)
        # Three standard deviations to each side, as far as there are pixels to mirror.
        reach = [min(math.ceil(3 * sigma), size - 1) for size in (x.shape[-1], x.shape[-2])]
        return TVF.gaussian_blur(x, [2 * r + 1 for r in reach], [sigma, sigma])

    def extra_repr(self) -> str:
        return f"sigma={self.sigma}"


class ColorJitterVideoSSl(RandomTransform):
    """Colour jitter, then grey, then blur, each for some of the clips and equal in all frames.

    Args:
        bri_con_sat: largest change of the factors of brightness, contrast and saturation, which are
            uniform in [max(0, 1 - change), 1 + change].
        hue: largest turn of the hue, in [0, 0.5]; 0.5 is half of the colour circle.
        p_color_jitter: share of the clips that are jittered, in a random order of the four.
        p_convert_gray: share that lose their colours.
        p_gaussian_blur: share that are blurred, see :class:`GaussianBlur`.
        gaussian_blur_sigma: smallest and largest standard deviation, in pixels.
        max_value: white in float clips, 1 or 255.
        generator: where the randomness comes from.

    Raises:
        ValueError: a number outside of its range.

    >>> jitter = ColorJitterVideoSSl([0.4, 0.4, 0.4], 0.1, p_color_jitter=0.8, p_convert_gray=0.2)
    >>> jitter(torch.zeros(4, 3, 8, 8)).shape
    torch.Size([4, 3, 8, 8])
    """

    def __init__(
        self,
        bri_con_sat: Sequence[float],
        hue: float,
        p_color_jitter: float,
        p_convert_gray: float,
        p_gaussian_blur: float = 0.5,
        gaussian_blur_sigma: Sequence[float] = (0.1, 2.0),
        *,
        max_value: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if len(bri_con_sat) != 3 or min(bri_con_sat) < 0:
            raise ValueError(expected("bri_con_sat", "three numbers >= 0", bri_con_sat))
        if not 0 <= hue <= 0.5:
            raise ValueError(expected("hue", "in [0, 0.5]", hue))
        self.probabilities = (p_color_jitter, p_convert_gray, p_gaussian_blur)
        if not 0 <= min(self.probabilities) <= max(self.probabilities) <= 1:
            raise ValueError(expected("p_...", "in [0, 1]", self.probabilities))
        self.bri_con_sat = tuple(bri_con_sat)
        self.hue = hue
        self.max_value = max_value
        self.blur = GaussianBlur(gaussian_blur_sigma, generator=generator)

    def _jitter(self, clip: torch.Tensor) -> torch.Tensor:
        generator = self.generator
        kernels = (TVF.adjust_brightness, TVF.adjust_contrast, TVF.adjust_saturation)
        steps = [
            (kernel, uniform(max(0.0, 1 - change), 1 + change, generator))
            for kernel, change in zip(kernels, self.bri_con_sat, strict=True)
        ]
        steps.append((TVF.adjust_hue, uniform(-self.hue, self.hue, generator)))
        for index in torch.randperm(len(steps), generator=generator).tolist():
            kernel, amount = steps[index]
            clip = kernel(clip, amount)
        return clip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, C, H, W), or with more axes in front, which share the parameters; same dtype."""
        clip = to_unit(x, self.max_value)
        jitter, grey, blur = self.probabilities
        if happens(jitter, self.generator):
            clip = self._jitter(clip)
        if happens(grey, self.generator):
            clip = TVF.rgb_to_grayscale(clip, num_output_channels=clip.shape[-3])
        if happens(blur, self.generator):
            clip = self.blur(clip)
        return from_unit(clip, self.max_value)

    def extra_repr(self) -> str:
        jitter, grey, blur = self.probabilities
        return (
            f"bri_con_sat={self.bri_con_sat}, hue={self.hue}, p_color_jitter={jitter}, "
            f"p_convert_gray={grey}, p_gaussian_blur={blur}, max_value={self.max_value}"
        )
