# SPDX-License-Identifier: Apache-2.0
"""Transforms of clips as modules over the functions of ``functional``.

Clips are (C, T, H, W), batches (B, C, T, H, W).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from pytorchvideo._checks import expected
from pytorchvideo.transforms import functional
from pytorchvideo.transforms._random import RandomTransform, integer, uniform


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
        """(..., C, T, H, W) -> (..., C, T, H', W')."""
        return functional.short_side_scale(x, self.size, self.interpolation, self.backend)

    def extra_repr(self) -> str:
        return f"size={self.size}, interpolation={self.interpolation!r}, backend={self.backend!r}"


class RandomShortSideScale(RandomTransform):
    """Scales the shorter side to a random size in ``[min_size, max_size]``, both included.

    All clips of a batch get the same size. With ``inverse_uniform`` all inverses of the size are alike often, as in
    PySlowFast's training on Charades and Something-Something: small sizes come oftener. ``generator`` is where it
    comes from; None is torch's global generator.
    """

    def __init__(
        self,
        min_size: int,
        max_size: int,
        interpolation: str = "bilinear",
        backend: str = "pytorch",
        *,
        inverse_uniform: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        if not 1 <= min_size <= max_size:
            got = (min_size, max_size)
            raise ValueError(expected("min_size, max_size", "1 <= min <= max", got))
        self.min_size = min_size
        self.max_size = max_size
        self.interpolation = interpolation
        self.backend = backend
        self.inverse_uniform = inverse_uniform

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C, T, H, W) -> (..., C, T, H', W')."""
        return functional.short_side_scale(x, self.draw(), self.interpolation, self.backend)

    def draw(self) -> int:
        """The next random size, in pixels."""
        if torch.jit.is_scripting():
            if self.inverse_uniform:
                return inverse_size(self.min_size, self.max_size, float(torch.rand(1).item()))
            return integer(self.min_size, self.max_size)
        if self.inverse_uniform:
            return inverse_size(self.min_size, self.max_size, uniform(0, 1, self.generator))
        return integer(self.min_size, self.max_size, self.generator)

    @torch.jit.unused
    def peek(self) -> int:
        """What :meth:`draw` will return next."""
        generator = self.generator or torch.default_generator
        state = generator.get_state()
        size = self.draw()
        generator.set_state(state)
        return size

    def extra_repr(self) -> str:
        return (
            f"min_size={self.min_size}, max_size={self.max_size}, interpolation={self.interpolation!r}, "
            f"backend={self.backend!r}" + (", inverse_uniform=True" if self.inverse_uniform else "")
        )


def inverse_size(min_size: int, max_size: int, share: float) -> int:
    """The size whose inverse is a share of the way from that of the largest to that of the smallest.

    >>> inverse_size(256, 320, 0.0), inverse_size(256, 320, 0.5), inverse_size(256, 320, 1.0)
    (320, 284, 256)
    """
    size = 1.0 / (1.0 / max_size + share * (1.0 / min_size - 1.0 / max_size))
    return int(round(size))  # noqa: RUF046 - in TorchScript round gives a float


class ChannelNormalize(nn.Module):
    """Subtracts a mean and divides by a standard deviation per channel of (C, T, H, W).

    :class:`pytorchvideo.transforms.Normalize`, which says more, is this as a subclass of torchvision's, whose import
    takes longer than many a prediction.
    """

    def __init__(
        self,
        mean: float | torch.Tensor | Sequence[float | torch.Tensor],
        std: float | torch.Tensor | Sequence[float | torch.Tensor],
        inplace: bool = False,
    ) -> None:
        nn.Module.__init__(self)  # torchvision's, the next of the subclass, wants arguments
        if not bool(torch.as_tensor(std).all()):
            raise ValueError(expected("std", "different from 0 in every channel", std))
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """Float (..., C, T, H, W) -> the same shape and dtype."""
        if tensor.ndim < 4 or not tensor.is_floating_point():
            raise ValueError(
                f"Expected a float clip (C, T, H, W), but got {tensor.dtype} of shape "
                f"{tuple(tensor.shape)}. Convert uint8 with ConvertUint8ToFloat or Div255 first."
            )
        mean = torch.as_tensor(self.mean, dtype=tensor.dtype, device=tensor.device)
        std = torch.as_tensor(self.std, dtype=tensor.dtype, device=tensor.device)
        mean, std = mean.reshape(-1, 1, 1, 1), std.reshape(-1, 1, 1, 1)
        if not {len(mean), len(std)} <= {1, tensor.shape[-4]}:
            raise ValueError(
                f"Expected a clip with {max(len(mean), len(std))} channels, but got shape "
                f"{tuple(tensor.shape)}. Use a mean and std for every channel of (C, T, H, W)."
            )
        if self.inplace:
            return tensor.sub_(mean).div_(std)
        if tensor.stride(-1) == 1:
            return tensor.sub(mean).div_(std)
        # Channels that are interleaved cost more to broadcast over than to copy into planes.
        planes = tensor.clone(memory_format=torch.contiguous_format)
        return planes.sub_(mean).div_(std)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


def is_normalize(step: Any) -> bool:
    """Whether a transform is one of the classes here that normalise channels: a subclass may do something else."""
    kind = type(step)
    return issubclass(kind, ChannelNormalize) and kind.__module__.startswith(
        "pytorchvideo.transforms."
    )


class Div255(nn.Module):
    """Divides by 255; see :func:`functional.div_255`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> float of the same shape."""
        return functional.div_255(x)


class ReverseChannels(nn.Module):
    """Turns the order of the colours round, RGB to BGR, as weights want it that were trained so."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Clip (C, T, H, W) -> the same shape."""
        return x.flip(0)


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
    """(..., C, X, Y, Z) -> (..., X, Y, Z, C), a view."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Moves the fourth axis from the end to the end."""
        return x.movedim(-4, -1)


class MoveChannelFront(nn.Module):
    """(..., X, Y, Z, C) -> (..., C, X, Y, Z), a view."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Moves the last axis before the three others."""
        return x.movedim(-1, -4)


class RandomResizedCrop(RandomTransform):
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
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
        self.target_height = target_height
        self.target_width = target_width
        self.scale = scale
        self.aspect_ratio = aspect_ratio
        self.shift = shift
        self.log_uniform_ratio = log_uniform_ratio
        self.interpolation = interpolation
        self.num_tries = num_tries

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C, T, H, W) -> (..., C, T, target_height, target_width)."""
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
            generator=self.generator,
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


class OpSampler(RandomTransform):
    """Applies a random choice of transforms, one after the other.

    Args:
        transforms_list: the transforms to choose from.
        transforms_prob: a weight > 0 for each; equal by default.
        num_sample_op: how many to apply, at most so many with ``randomly_sample_depth``.
        randomly_sample_depth: draw the number from 1 to ``num_sample_op``.
        replacement: whether one may be chosen more than once.
        generator: where the choice comes from; None is torch's global generator.

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
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(generator)
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
            depth = integer(1, self.num_sample_op, self.generator)
        chosen = torch.multinomial(
            self.transforms_prob, depth, self.replacement, generator=self.generator
        )
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


class OnFrames(nn.Module):
    """Applies an image transform to the frames of a clip.

    torchvision and kornia look for channels on the third axis from the end, where a clip (C, T, H, W)
    has time. Transforms that only move pixels work on clips all the same; those that look at colours
    need the frames as (T, C, H, W), which this wrapper gives them. torchvision's random transforms
    then draw once for all frames of a clip, and of a batch; kornia's do with ``same_on_batch=True``.

    Args:
        transform: takes (T, C, H, W), or (B, T, C, H, W) for a batch, and returns the same axes.

    >>> from torchvision.transforms import v2
    >>> OnFrames(v2.Grayscale())(torch.zeros(3, 8, 4, 6)).shape
    torch.Size([1, 8, 4, 6])
    """

    def __init__(self, transform: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(..., C, T, H, W) -> (..., C', T, H', W')."""
        return self.transform(x.transpose(-4, -3)).transpose(-4, -3)

    def extra_repr(self) -> str:
        # A module prints itself as a child.
        return "" if isinstance(self.transform, nn.Module) else f"transform={self.transform}"
