# SPDX-License-Identifier: Apache-2.0
"""Scaling of clips (..., C, T, H, W); TorchScript can compile it."""

import numpy as np
import torch
import torch.nn.functional as F

from pytorchvideo._checks import check_choice

_INTERPOLATIONS = (
    "nearest",
    "nearest-exact",
    "linear",
    "bilinear",
    "trilinear",
    "bicubic",
    "area",
)
# Time is not resized, and over (H, W) alone linear and trilinear are bilinear.
BILINEAR = ("linear", "bilinear", "trilinear")


def check_clip(x: torch.Tensor, interpolation: str, backend: str = "pytorch") -> None:
    """Raises a ValueError unless a clip can be scaled so."""
    if x.ndim < 4 or not (x.is_floating_point() or x.dtype == torch.uint8):
        raise ValueError(
            f"Expected a float or uint8 clip (C, T, H, W) or a batch of clips, but got {x.dtype} of "
            f"shape {tuple(x.shape)}."
        )
    check_choice("backend", backend, ("pytorch", "opencv"))
    check_choice("interpolation", interpolation, _INTERPOLATIONS)


def interpolate(x: torch.Tensor, height: int, width: int, interpolation: str) -> torch.Tensor:
    """Resizes (..., C, T, H, W) without antialiasing, as the published models were trained.

    uint8 is scaled as float and rounded, so that the values are the same on every device.
    """
    if x.shape[-2] == height and x.shape[-1] == width:
        return x  # every mode would return the same pixels
    clips = x if x.is_floating_point() else x.float()
    if x.shape[-4] > 1 and x.movedim(-4, -1).is_contiguous():
        # A permuted (T, H, W, C): torch scales it as it is, several times faster than it is copied.
        frames = clips.transpose(-4, -3)  # (..., T, C, H, W)
        resized = _resize(frames.flatten(0, -4), height, width, interpolation)
        resized = resized.unflatten(0, frames.shape[:-3]).transpose(-4, -3)
    else:
        # Frames in rows of one plane are several times faster to resize than strided ones.
        planes = clips.contiguous().flatten(0, -4)  # (B * C, T, H, W)
        resized = _resize(planes, height, width, interpolation).unflatten(0, x.shape[:-3])
    if not x.is_floating_point():
        resized = resized.round_().clamp_(0, 255).to(x.dtype)
    return resized


def _resize(x: torch.Tensor, height: int, width: int, interpolation: str) -> torch.Tensor:
    if interpolation in ("linear", "bilinear", "trilinear"):
        return F.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
    if interpolation == "bicubic":
        return F.interpolate(x, size=(height, width), mode="bicubic", align_corners=False)
    return F.interpolate(x, size=(height, width), mode=interpolation)


@torch.jit.unused
def _interpolate_opencv(x: torch.Tensor, size: tuple[int, int], interpolation: str) -> torch.Tensor:
    """The same to a (height, width) through OpenCV, frame by frame; projects call it by this name."""
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            'backend="opencv" needs OpenCV: pip install opencv-python-headless, '
            'or use backend="pytorch".'
        ) from error
    flags = {
        "nearest": cv2.INTER_NEAREST,
        "linear": cv2.INTER_LINEAR,
        "bilinear": cv2.INTER_LINEAR,
        "bicubic": cv2.INTER_CUBIC,
    }
    check_choice("interpolation", interpolation, flags)
    # (..., C, T, H, W) -> (..., T, H, W, C) -> (frames, H, W, C)
    height, width = size
    frames = x.movedim(-4, -1).flatten(0, -4).cpu().numpy()
    resized = [cv2.resize(f, (width, height), interpolation=flags[interpolation]) for f in frames]
    stacked = np.stack(resized).reshape(*x.shape[:-4], x.shape[-3], height, width, x.shape[-4])
    return torch.from_numpy(stacked).movedim(-1, -4).contiguous().to(x.device)


def scaled_size(height: int, width: int, size: int) -> tuple[int, int]:
    """The (height, width) whose short side is ``size``, the long one rounded down."""
    if size < 1:
        raise ValueError("Expected `size` to be >= 1 pixel.")
    if width < height:
        return height * size // width, size
    return size, width * size // height


def short_side_scale(
    x: torch.Tensor, size: int, interpolation: str = "bilinear", backend: str = "pytorch"
) -> torch.Tensor:
    """Scales a clip so that its shorter side becomes ``size`` pixels, keeping the aspect ratio.

    A clip that has this size is returned as it is.

    Args:
        x: clip (C, T, H, W) or batch (B, C, T, H, W); float, or uint8, which is scaled as float and
            rounded.
        size: pixels of the shorter side.
        interpolation: nearest, nearest-exact, bilinear (also called linear or trilinear, as time is
            not scaled), bicubic, area; with OpenCV nearest, bilinear (linear) or bicubic.
        backend: ``"pytorch"``, or ``"opencv"`` if it is installed.

    Raises:
        ValueError: not such a clip, or an unknown name.
        ImportError: ``backend="opencv"`` without OpenCV.

    >>> short_side_scale(torch.zeros(3, 2, 240, 320), 64).shape
    torch.Size([3, 2, 64, 85])
    """
    if not torch.jit.is_scripting():
        check_clip(x, interpolation, backend)
    height, width = scaled_size(x.shape[-2], x.shape[-1], size)
    if backend == "opencv":
        return _interpolate_opencv(x, (height, width), interpolation)
    return interpolate(x, height, width, interpolation)
