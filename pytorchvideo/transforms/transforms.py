# SPDX-License-Identifier: Apache-2.0
"""Transforms as modules: short wrappers that keep the parameters and call ``functional``.

Clips are (C, T, H, W). What takes a whole sample (a dict) says so.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torchvision.transforms
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.transforms import functional


class ApplyTransformToKey:
    """Applies a transform to one entry of a sample, which is changed and returned.

    Args:
        key: the entry.
        transform: any callable.

    Raises:
        KeyError: the sample has no such entry.

    >>> ApplyTransformToKey(key="label", transform=str)({"label": 3})
    {'label': '3'}
    """

    def __init__(self, key: str, transform: Callable[[Any], Any]) -> None:
        self.key = key
        self.transform = transform

    def __call__(self, x: dict[str, Any]) -> dict[str, Any]:
        """Returns the same dict with ``x[key]`` transformed."""
        if self.key not in x:
            raise KeyError(f"Expected the key {self.key!r} in the sample, but it has {list(x)}.")
        x[self.key] = self.transform(x[self.key])
        return x

    def __repr__(self) -> str:
        """The key and the transform, indented where it has several lines."""
        inner = repr(self.transform).replace("\n", "\n    ")
        return f"{type(self).__name__}(\n    key={self.key!r},\n    transform={inner},\n)"


class RemoveKey(nn.Module):
    """Removes an entry from a sample, if it is there.

    >>> RemoveKey("audio")({"label": 3, "audio": None})
    {'label': 3}
    """

    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def forward(self, x: dict[str, Any]) -> dict[str, Any]:
        """Returns the same dict without the entry."""
        x.pop(self.key, None)
        return x

    def extra_repr(self) -> str:
        return f"key={self.key!r}"


class UniformTemporalSubsample(nn.Module):
    """Picks frames at equal distances; see :func:`functional.uniform_temporal_subsample`.

    A dataset whose transform begins with this module decodes only the frames that it picks.
    """

    def __init__(self, num_samples: int, temporal_dim: int = -3) -> None:
        super().__init__()
        if num_samples < 1:
            raise ValueError(expected("num_samples", ">= 1 frame", num_samples))
        self.num_samples = num_samples
        self.temporal_dim = temporal_dim

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., T, H, W) -> (..., num_samples, H, W)."""
        return functional.uniform_temporal_subsample(x, self.num_samples, self.temporal_dim)

    def extra_repr(self) -> str:
        return f"num_samples={self.num_samples}, temporal_dim={self.temporal_dim}"


class UniformTemporalSubsampleRepeated(nn.Module):
    """One subsample per ratio; see :func:`functional.uniform_temporal_subsample_repeated`."""

    def __init__(self, frame_ratios: Sequence[int], temporal_dim: int = -3) -> None:
        super().__init__()
        self.frame_ratios = tuple(frame_ratios)
        self.temporal_dim = temporal_dim

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """(..., T, H, W) -> a list of (..., T // ratio, H, W)."""
        return functional.uniform_temporal_subsample_repeated(
            x, self.frame_ratios, self.temporal_dim
        )

    def extra_repr(self) -> str:
        return f"frame_ratios={self.frame_ratios}, temporal_dim={self.temporal_dim}"


class ShortSideScale(nn.Module):
    """Scales the shorter side to ``size`` pixels; see :func:`functional.short_side_scale`."""

    def __init__(
        self, size: int, interpolation: str = "bilinear", backend: str = "pytorch"
    ) -> None:
        super().__init__()
        self.size = size
        self.interpolation = interpolation
        self.backend = backend

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (C, T, H, W) -> (C, T, H', W')."""
        return functional.short_side_scale(x, self.size, self.interpolation, self.backend)

    def extra_repr(self) -> str:
        return f"size={self.size}, interpolation={self.interpolation!r}, backend={self.backend!r}"


class RandomShortSideScale(nn.Module):
    """Scales the shorter side to a random size in ``[min_size, max_size]``, both included."""

    def __init__(
        self,
        min_size: int,
        max_size: int,
        interpolation: str = "bilinear",
        backend: str = "pytorch",
    ) -> None:
        super().__init__()
        if not 1 <= min_size <= max_size:
            got = (min_size, max_size)
            raise ValueError(expected("min_size, max_size", "1 <= min <= max", got))
        self.min_size = min_size
        self.max_size = max_size
        self.interpolation = interpolation
        self.backend = backend

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (C, T, H, W) -> (C, T, H', W')."""
        size = functional.random_size(self.min_size, self.max_size)
        return functional.short_side_scale(x, size, self.interpolation, self.backend)

    def extra_repr(self) -> str:
        return (
            f"min_size={self.min_size}, max_size={self.max_size}, "
            f"interpolation={self.interpolation!r}, backend={self.backend!r}"
        )


class UniformCropVideo(nn.Module):
    """Cuts the square that belongs to a sample's view: three-crop testing. Takes a whole sample.

    Args:
        size: pixels.
        video_key: the entry with the clip (..., H, W).
        aug_index_key: the entry with the view: 0 left or top, 1 centre, 2 right or bottom.
    """

    def __init__(
        self, size: int, video_key: str = "video", aug_index_key: str = "aug_index"
    ) -> None:
        super().__init__()
        self.size = size
        self.video_key = video_key
        self.aug_index_key = aug_index_key

    def forward(self, x: dict[str, Any]) -> dict[str, Any]:
        """Returns the same dict with its clip cropped."""
        x[self.video_key] = functional.uniform_crop(
            x[self.video_key], self.size, x[self.aug_index_key]
        )
        return x

    def extra_repr(self) -> str:
        return (
            f"size={self.size}, video_key={self.video_key!r}, aug_index_key={self.aug_index_key!r}"
        )


class Normalize(torchvision.transforms.Normalize):
    """Subtracts a mean and divides by a standard deviation per channel of (C, T, H, W).

    ``torchvision.transforms.Normalize`` expects the channels on the third axis from the end, which
    is time in a clip; here they are on the fourth.

    Args:
        mean: one value per channel, in the range of the clip: 0..1 after :class:`Div255`.
        std: one value per channel, not 0.
        inplace: change the clip itself.

    Raises:
        ValueError: integers, another number of channels, or a standard deviation of 0.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__(mean, std, inplace)
        if not all(std):
            raise ValueError(expected("std", "different from 0 in every channel", std))

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """Float (..., C, T, H, W) -> the same shape and dtype."""
        if tensor.ndim < 4 or not tensor.is_floating_point():
            raise ValueError(
                f"Expected a float clip (C, T, H, W), but got {tensor.dtype} of shape "
                f"{tuple(tensor.shape)}. Convert uint8 with ConvertUint8ToFloat or Div255 first."
            )
        if not {len(self.mean), len(self.std)} <= {1, tensor.shape[-4]}:
            raise ValueError(
                f"Expected a clip with {max(len(self.mean), len(self.std))} channels, but got shape "
                f"{tuple(tensor.shape)}. Use a mean and std for every channel of (C, T, H, W)."
            )
        # One copy in plane order, then in place: broadcasting over strided channels is slow.
        out = tensor if self.inplace else tensor.clone(memory_format=torch.contiguous_format)
        mean = torch.as_tensor(self.mean, dtype=tensor.dtype, device=tensor.device)
        std = torch.as_tensor(self.std, dtype=tensor.dtype, device=tensor.device)
        return out.sub_(mean.view(-1, 1, 1, 1)).div_(std.view(-1, 1, 1, 1))


class Div255(nn.Module):
    """Divides by 255; see :func:`functional.div_255`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> float of the same shape."""
        return functional.div_255(x)


class ConvertUint8ToFloat(nn.Module):
    """uint8 in 0..255 -> float32 in 0..1."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape."""
        if x.dtype != torch.uint8:
            raise ValueError(expected("x", "uint8", x.dtype, "Use Div255 for float clips."))
        return x.float().div_(255)


class ConvertFloatToUint8(nn.Module):
    """Float in 0..1 -> uint8 in 0..255, every value as likely as any other for uniform input."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape."""
        if not x.is_floating_point():
            raise ValueError(expected("x", "float in 0..1", x.dtype))
        # 255.999 rather than 255: the step to 255 is not reached by 1.0 alone.
        return x.float().mul(255.999).to(torch.uint8)


class MoveChannelRear(nn.Module):
    """(C, X, Y, Z) -> (X, Y, Z, C), a view."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Moves the first of four axes to the end."""
        return x.permute(1, 2, 3, 0)


class MoveChannelFront(nn.Module):
    """(X, Y, Z, C) -> (C, X, Y, Z), a view."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Moves the last of four axes to the front."""
        return x.permute(3, 0, 1, 2)


class RandomResizedCrop(nn.Module):
    """Cuts out a random part and resizes it; see :func:`functional.random_resized_crop`."""

    def __init__(
        self,
        target_height: int,
        target_width: int,
        scale: tuple[float, float],
        aspect_ratio: tuple[float, float],
        shift: bool = False,
        log_uniform_ratio: bool = True,
        interpolation: str = "bilinear",
        num_tries: int = 10,
    ) -> None:
        super().__init__()
        self.target_height = target_height
        self.target_width = target_width
        self.scale = scale
        self.aspect_ratio = aspect_ratio
        self.shift = shift
        self.log_uniform_ratio = log_uniform_ratio
        self.interpolation = interpolation
        self.num_tries = num_tries

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float (C, T, H, W) -> (C, T, target_height, target_width)."""
        return functional.random_resized_crop(
            x,
            self.target_height,
            self.target_width,
            self.scale,
            self.aspect_ratio,
            self.shift,
            self.log_uniform_ratio,
            self.interpolation,
            self.num_tries,
        )

    def extra_repr(self) -> str:
        return (
            f"target_height={self.target_height}, target_width={self.target_width}, "
            f"scale={self.scale}, aspect_ratio={self.aspect_ratio}, shift={self.shift}, "
            f"log_uniform_ratio={self.log_uniform_ratio}, "
            f"interpolation={self.interpolation!r}, num_tries={self.num_tries}"
        )


class Permute(nn.Module):
    """Reorders the axes, a view.

    Args:
        dims: every axis once, counted from 0.

    Raises:
        ValueError: ``dims`` is no such order.
    """

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(len(self.dims))):
            raise ValueError(expected("dims", "every axis from 0 on, once each", self.dims))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Axis ``dims[i]`` becomes axis ``i``."""
        return x.permute(*self.dims)

    def extra_repr(self) -> str:
        return f"dims={self.dims}"


class OpSampler(nn.Module):
    """Applies a random choice of transforms, one after the other.

    Args:
        transforms_list: the transforms to choose from.
        transforms_prob: a weight > 0 for each; equal by default.
        num_sample_op: how many to apply, at most so many with ``randomly_sample_depth``.
        randomly_sample_depth: draw the number from 1 to ``num_sample_op``.
        replacement: whether one may be chosen more than once.

    Raises:
        ValueError: an empty list, weights that are not positive or do not match it, or more
            transforms than there are without ``replacement``.
    """

    def __init__(
        self,
        transforms_list: Sequence[Callable[[Any], Any]],
        transforms_prob: Sequence[float] | None = None,
        num_sample_op: int = 1,
        randomly_sample_depth: bool = False,
        replacement: bool = False,
    ) -> None:
        super().__init__()
        count = len(transforms_list)
        most = "a whole number >= 1" if replacement else f"between 1 and {count}"
        if count == 0:
            raise ValueError(expected("transforms_list", "one transform at least", transforms_list))
        if num_sample_op < 1 or (num_sample_op > count and not replacement):
            raise ValueError(expected("num_sample_op", most, num_sample_op))
        weights = [1.0] * count if transforms_prob is None else list(transforms_prob)
        if len(weights) != count or min(weights) <= 0:
            raise ValueError(expected("transforms_prob", f"{count} weights > 0", transforms_prob))
        self.transforms_list = list(transforms_list)
        self.transforms_prob = torch.tensor(weights, dtype=torch.float)
        self.num_sample_op = num_sample_op
        self.randomly_sample_depth = randomly_sample_depth
        self.replacement = replacement

    def forward(self, x: Any) -> Any:
        """Whatever the transforms take and return."""
        depth = self.num_sample_op
        if self.randomly_sample_depth:
            depth = functional.random_size(1, self.num_sample_op)
        chosen = torch.multinomial(self.transforms_prob, depth, self.replacement)
        for index in chosen.tolist():
            x = self.transforms_list[index](x)
        return x

    def extra_repr(self) -> str:
        return (
            f"transforms_list={self.transforms_list}, "
            f"transforms_prob={self.transforms_prob.tolist()}, "
            f"num_sample_op={self.num_sample_op}, "
            f"randomly_sample_depth={self.randomly_sample_depth}, replacement={self.replacement}"
        )
