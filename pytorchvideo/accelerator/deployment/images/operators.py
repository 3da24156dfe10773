# SPDX-License-Identifier: Apache-2.0
"""Operators of clips as operators of images, exactly.

A clip (B, C, T, H, W) becomes the images (T * B, C, H, W), frame after frame, and stays so from layer to layer.
Where a kernel is 1 in time, a layer is that of images. A convolution over frames sees the frames that lie
under its kernel side by side, as channels of one image; a depthwise one, whose channels must not meet, adds up one
convolution for each frame of the kernel. Pools over frames come after those over height and width: both are separable.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import nn
from torch.nn import functional as F

from pytorchvideo.accelerator.deployment._errors import ExportError

_aten = torch.ops.aten
Size = Sequence[int]


@dataclass(frozen=True)
class Images:
    """A clip as images.

    Args:
        data: the images (T * B, C, H, W): the first frames of all clips, then their second ones.
        batch: the number of clips B.
    """

    data: torch.Tensor
    batch: int

    @staticmethod
    def of(clip: "torch.Tensor | Images") -> "Images":
        """The images of a clip (B, C, T, H, W)."""
        if isinstance(clip, Images):
            return clip
        # (B, C, T, H, W) -> (T * B, C, H, W)
        return Images(clip.permute(2, 0, 1, 3, 4).flatten(0, 1), clip.shape[0])

    @property
    def frames(self) -> int:
        """The number of frames T."""
        return self.data.shape[0] // self.batch

    def clip(self) -> torch.Tensor:
        """The clip (B, C, T, H, W)."""
        # (T * B, C, H, W) -> (B, C, T, H, W)
        return self.data.unflatten(0, (self.frames, self.batch)).permute(1, 2, 0, 3, 4)

    def over_time(self) -> torch.Tensor:
        """The image (B, C, T, H * W), whose height is time."""
        return self.clip().flatten(3)


def is_clip(x: object) -> bool:
    """Whether it is a clip in one of its two forms."""
    return isinstance(x, Images) or (isinstance(x, torch.Tensor) and x.ndim == 5)


class ImageConv(nn.Module):
    """A convolution of clips as those of images.

    Args:
        weight: (C', C / groups, kT, kH, kW).
        bias: (C',) or None.
        frames: T of the clips.
        stride: (T, H, W).
        padding: with zeros, likewise.
        dilation: likewise.
        groups: of channels.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        frames: int,
        *,
        stride: Size = (1, 1, 1),
        padding: Size = (0, 0, 0),
        dilation: Size = (1, 1, 1),
        groups: int = 1,
    ) -> None:
        super().__init__()
        self.groups = groups
        self.stride, self.padding, self.dilation = (
            tuple(size[1:]) for size in (stride, padding, dilation)
        )
        windows = _windows(frames, weight.shape[2], stride[0], padding[0], dilation[0])
        # The frames of a kernel, those that see the most first; what only ever lies on padding is of no effect.
        counts = [sum(0 <= t < frames for t in window) for window in windows]
        seen = sorted((i for i, count in enumerate(counts) if count), key=lambda i: -counts[i])
        self.windows = [windows[i] for i in seen]
        taps = [weight[:, :, i] for i in seen]
        # (C', C, kT, kH, kW) -> (C', kT * C, kH, kW)
        taps = [torch.cat(taps, dim=1)] if groups == 1 else taps
        self.weights = nn.ParameterList(tap.detach().clone().contiguous() for tap in taps)
        self.bias = None if bias is None else nn.Parameter(bias.detach().clone())

    def forward(self, clip: torch.Tensor | Images) -> Images:
        x = Images.of(clip)
        if self.groups == 1:
            part = _joined([_padded(_inside(x, w), x, w) for w in self.windows], dim=1)
            return Images(self._convolved(part, self.weights[0], self.bias), x.batch)
        first, *windows = self.windows
        y = self._convolved(_padded(_inside(x, first), x, first), self.weights[0], self.bias)
        for window, weight in zip(windows, list(self.weights)[1:], strict=True):
            # no arithmetic on padding
            y = y + _padded(self._convolved(_inside(x, window), weight, None), x, window)
        return Images(y, x.batch)

    def _convolved(
        self, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


def _windows(frames: int, kernel: int, stride: int, padding: int, dilation: int) -> list[range]:
    """The frame under each frame of a kernel, for each frame of the result; padding has none of the numbers."""
    last = frames + 2 * padding - dilation * (kernel - 1) - 1
    starts = range(-padding, last - padding + 1, stride)
    return [
        range(starts.start + i * dilation, starts.stop + i * dilation, stride)
        for i in range(kernel)
    ]


def _inside(x: Images, window: range) -> torch.Tensor:
    """The images of those of these frames that exist."""
    batch, frames = x.batch, x.frames
    inside = [t for t in window if 0 <= t < frames]
    if window.step > 1:
        return _joined([x.data[t * batch : (t + 1) * batch] for t in inside], dim=0)
    if len(inside) == frames:
        return x.data
    return x.data[inside[0] * batch : (inside[-1] + 1) * batch]


def _padded(y: torch.Tensor, x: Images, window: range) -> torch.Tensor:
    """Images made of those of :func:`_inside`, with zeros for the frames that do not exist."""
    before = sum(t < 0 for t in window) * x.batch
    after = sum(t >= x.frames for t in window) * x.batch
    return F.pad(y, (0, 0, 0, 0, 0, 0, before, after)) if before or after else y


def _joined(parts: list[torch.Tensor], dim: int) -> torch.Tensor:
    return torch.cat(parts, dim=dim) if len(parts) > 1 else parts[0]


def _max_pool(
    x: torch.Tensor | Images,
    kernel: Size,
    stride: Size = (),
    padding: Size = (0, 0, 0),
    dilation: Size = (1, 1, 1),
    ceil_mode: bool = False,
) -> Images:
    x = Images.of(x)
    (kt, *k), (st, *s) = _size3(kernel), _size3(stride or kernel)
    (pt, *p), (dt, *d) = _size3(padding), _size3(dilation)
    if (*k, *s) != (1, 1, 1, 1):
        x = Images(F.max_pool2d(x.data, k, s, p, d, ceil_mode), x.batch)
    if (kt, st) == (1, 1):
        return x
    if dt > 1 or ceil_mode:
        y = F.max_pool2d(x.over_time(), (kt, 1), (st, 1), (pt, 0), (dt, 1), ceil_mode)
        return _from_time(y, x)
    # A frame outside stands for the nearest one inside, which lies under the kernel, too.
    windows = _windows(x.frames, kt, st, pt, dt)
    parts = [_select_nearest(x, window) for window in windows]
    y = parts[0]
    for part in parts[1:]:
        y = torch.maximum(y, part)
    return Images(y, x.batch)


def _select_nearest(x: Images, window: range) -> torch.Tensor:
    batch, frames = x.batch, x.frames
    numbers = [min(max(t, 0), frames - 1) for t in window]
    if numbers == list(range(frames)):
        return x.data
    runs: list[list[int]] = []
    for t in numbers:
        if runs and t == runs[-1][1]:
            runs[-1][1] = t + 1
        else:
            runs.append([t, t + 1])
    parts = [x.data[first * batch : stop * batch] for first, stop in runs]
    return _joined(parts, dim=0)


def _avg_pool(
    x: torch.Tensor | Images,
    kernel: Size,
    stride: Size = (),
    padding: Size = (0, 0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Images:
    if divisor_override is not None:
        refuse("avg_pool3d with a divisor", "an average pool without `divisor_override`")
    x = Images.of(x)
    (kt, *k), (st, *s), (pt, *p) = _size3(kernel), _size3(stride or kernel), _size3(padding)
    rules = (ceil_mode, count_include_pad)
    if tuple(k) == tuple(x.data.shape[2:]) and not any(p):
        x = Images(x.data.mean(dim=(2, 3), keepdim=True), x.batch)
    elif (*k, *s) != (1, 1, 1, 1):
        x = Images(F.avg_pool2d(x.data, k, s, p, *rules), x.batch)
    if (kt, st) == (1, 1):
        return x
    if kt == x.frames and pt == 0:
        return _mean_frame(x)
    return _from_time(F.avg_pool2d(x.over_time(), (kt, 1), (st, 1), (pt, 0), *rules), x)


def _adaptive_avg_pool(x: torch.Tensor | Images, size: Size) -> Images:
    if any(s != 1 for s in size):
        refuse("adaptive_avg_pool3d to more than one position", "an average pool with a kernel")
    x = Images.of(x)
    return _mean_frame(Images(x.data.mean(dim=(2, 3), keepdim=True), x.batch))


def _mean(
    x: torch.Tensor | Images,
    dim: Sequence[int] | None = None,
    keepdim: bool = False,
    **kwargs: Any,
) -> Images | torch.Tensor | None:
    """The mean over all positions; None for any other."""
    if dim is None or sorted(d % 5 for d in dim) != [2, 3, 4] or kwargs:
        return None
    y = _adaptive_avg_pool(x, (1, 1, 1))
    # (B, C, 1, 1) -> (B, C)
    return y if keepdim else y.data.flatten(1)


def _mean_frame(x: Images) -> Images:
    """The mean of the frames, a clip of one frame."""
    if x.frames == 1:
        return x
    shape = x.data.shape
    y = x.over_time()
    if y.shape[3] > 1:
        return _from_time(F.avg_pool2d(y, (x.frames, 1)), x)
    return Images(y.mean(dim=(2, 3), keepdim=True).reshape(x.batch, *shape[1:]), x.batch)


def _from_time(y: torch.Tensor, like: Images) -> Images:
    # (B, C, T, H * W) -> (B, C, T, H, W)
    return Images.of(y.unflatten(3, like.data.shape[2:]))


def _pad(
    x: torch.Tensor | Images, pad: Size, mode: str = "constant", value: float | None = None
) -> Images | None:
    if mode != "constant":
        return None
    x = Images.of(x)
    pad = [*pad, *[0] * (10 - len(pad))]
    if any(pad[8:]):
        return None
    if not any(pad):
        return x
    data = F.pad(x.data, (*pad[:4], *pad[6:8], *(p * x.batch for p in pad[4:6])), value=value)
    return Images(data, x.batch)


def _cat(parts: Sequence[torch.Tensor | Images], dim: int = 0) -> Images | None:
    if dim % 5 not in (1, 3, 4):
        return None
    images = [Images.of(part) for part in parts]
    dim = {1: 1, 3: 2, 4: 3}[dim % 5]
    return Images(torch.cat([p.data for p in images], dim=dim), images[0].batch)


def _drop(x: torch.Tensor | Images, *args: Any, **kwargs: Any) -> Images:
    return Images.of(x)


def pointwise(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Images:
    """An operator of each value by itself; its in-place form makes a new tensor here."""
    clips = [Images.of(arg) for arg in args if is_clip(arg)]
    batch = max(clip.batch for clip in clips)
    frames = max(clip.frames for clip in clips)

    def prepared(arg: Any) -> Any:
        if not is_clip(arg):
            return _broadcast(arg) if isinstance(arg, torch.Tensor) else arg
        clip = Images.of(arg)
        if clip.data.shape[0] not in (1, batch * frames):
            clip = Images.of(clip.clip().expand(batch, -1, frames, -1, -1))
        return clip.data

    name = target._schema.name.split("::")[1]
    if name.endswith("_"):
        target = getattr(getattr(_aten, name.removesuffix("_")), target._overloadname)
    return Images(target(*(prepared(arg) for arg in args), **kwargs), batch)


def _broadcast(x: torch.Tensor) -> torch.Tensor:
    """A tensor that meets clips, as one that meets images."""
    if x.ndim < 3:
        return x
    if x.shape[-3] != 1:
        refuse("arithmetic of a clip and a tensor with frames", "a tensor (C, 1, 1, 1)")
    return x.squeeze(-3)


ON_IMAGES: dict[Any, Callable[..., Images | torch.Tensor | None]] = {
    _aten.max_pool3d.default: _max_pool,
    _aten.avg_pool3d.default: _avg_pool,
    _aten.adaptive_avg_pool3d.default: _adaptive_avg_pool,
    _aten.mean.dim: _mean,
    _aten.pad.default: _pad,
    _aten.constant_pad_nd.default: lambda x, pad, value=0: _pad(x, pad, value=value),
    _aten.cat.default: _cat,
    _aten.dropout.default: _drop,
    _aten.clone.default: _drop,
    _aten.contiguous.default: _drop,
}


def refuse(operator: str, instead: str) -> NoReturn:
    raise ExportError(f"There is no form of {operator} for images. Use {instead}.")


def _size3(size: Size) -> tuple[int, ...]:
    return tuple(size) if len(size) == 3 else (size[0],) * 3
