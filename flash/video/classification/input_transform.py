# SPDX-License-Identifier: Apache-2.0
"""The transform that the last release of Flash gave to videos, with its fields."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torchvision.transforms
from torchvision.transforms import CenterCrop, Compose, RandomCrop

from flash.core.data.io.input_transform import InputTransform
from pytorchvideo._checks import check_choice
from pytorchvideo.transforms import ApplyTransformToKey, Div255, Normalize, UniformTemporalSubsample


@dataclass
class VideoClassificationInputTransform(InputTransform):
    """Picks frames, divides by 255 and crops in the worker; normalises batches on the device.

    Nothing is scaled: a crop takes ``image_size`` pixels of the video as it is, at random in training and
    the centre otherwise, and smaller frames get a black border.

    Args:
        image_size: pixels of a side of the crop.
        temporal_sub_sample: frames of a clip.
        mean: of each channel, in 0..1.
        std: likewise.
        data_format: axes of a batch, ``"BCTHW"`` or ``"BTCHW"`` for samples that another transform permuted.
        same_on_frame: has no effect, since all of these are the same on every frame.

    >>> VideoClassificationInputTransform(image_size=32).hooks("train")
    TransformHooks(post_tensor_transform, per_batch_transform_on_device)
    """

    image_size: int = 244
    temporal_sub_sample: int = 8
    mean: Sequence[float] = (0.45, 0.45, 0.45)
    std: Sequence[float] = (0.225, 0.225, 0.225)
    data_format: str = "BCTHW"
    same_on_frame: bool = False

    def __post_init__(self) -> None:
        check_choice("data_format", self.data_format, ("BCTHW", "BTCHW"))

    def per_sample_transform(self) -> Callable[..., Any]:
        """The centre of each frame."""
        return self._cropped(CenterCrop(self.image_size))

    def train_per_sample_transform(self) -> Callable[..., Any]:
        """A random crop, the same in all frames."""
        return self._cropped(RandomCrop(self.image_size, pad_if_needed=True))

    def per_batch_transform_on_device(self) -> Callable[..., Any]:
        """Mean and standard deviation."""
        kind = Normalize if self.data_format == "BCTHW" else torchvision.transforms.Normalize
        return ApplyTransformToKey("video", kind(self.mean, self.std))

    def _cropped(self, crop: Callable[..., Any]) -> Callable[..., Any]:
        steps = [UniformTemporalSubsample(self.temporal_sub_sample), Div255(), crop]
        return ApplyTransformToKey("video", Compose(steps))
