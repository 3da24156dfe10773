# SPDX-License-Identifier: Apache-2.0
"""Normalisation of clips as subclasses of torchvision's, apart since torchvision takes seconds to import."""

import torchvision.transforms

from pytorchvideo.transforms._clip import ChannelNormalize

__all__ = ["Normalize", "NormalizeVideo"]


class Normalize(ChannelNormalize, torchvision.transforms.Normalize):
    """Subtracts a mean and divides by a standard deviation per channel of (C, T, H, W).

    ``torchvision.transforms.Normalize`` expects the channels on the third axis from the end, which
    is time in a clip; here they are on the fourth.

    Args:
        mean: one value per channel or one for all, in the range of the clip: 0..1 after :class:`Div255`;
            numbers or tensors.
        std: likewise, not 0.
        inplace: change the clip itself.

    Raises:
        ValueError: integers, another number of channels, or a standard deviation of 0.
    """


class NormalizeVideo(Normalize):
    """:class:`Normalize` under torchvision's name."""
