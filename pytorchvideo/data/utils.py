# SPDX-License-Identifier: Apache-2.0
"""Small tools around videos: layouts, times, writing a clip to a file."""

import logging
import math
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import torch

from pytorchvideo._checks import check_choice, expected

_IO_THREADS = 16


def thwc_to_cthw(data: torch.Tensor) -> torch.Tensor:
    """Returns a view of frames (T, H, W, C) as (C, T, H, W).

    >>> thwc_to_cthw(torch.zeros(8, 4, 6, 3)).shape
    torch.Size([3, 8, 4, 6])
    """
    return data.permute(3, 0, 1, 2)


def secs_to_pts(
    time_in_seconds: float | Fraction,
    time_base: float | Fraction,
    start_pts: int,
    round_mode: Literal["floor", "ceil"] = "floor",
) -> float:
    """Returns a time as ticks of a stream; infinity stays what it is.

    Args:
        time_in_seconds: the time after the start of the stream.
        time_base: seconds per tick.
        start_pts: the tick at which the stream starts.
        round_mode: which of the two ticks around a time between them.

    >>> secs_to_pts(1.5, Fraction(1, 4), 100), secs_to_pts(0.3, 0.25, 0, "ceil")
    (106, 2)
    """
    check_choice("round_mode", round_mode, ("floor", "ceil"))
    if time_in_seconds == math.inf:
        return math.inf
    rounding = math.floor if round_mode == "floor" else math.ceil
    return rounding(time_in_seconds / time_base) + start_pts


def pts_to_secs(pts: float, time_base: float | Fraction, start_pts: int) -> float:
    """Returns ticks of a stream as seconds after its start; infinity stays what it is.

    >>> pts_to_secs(106, Fraction(1, 4), 100)
    1.5
    """
    if pts == math.inf:
        return math.inf
    return float((pts - start_pts) * time_base)


def export_video_array(
    video: torch.Tensor,
    output_path: str | Path,
    rate: int | Fraction,
    bit_rate: int | None = None,
    pix_fmt: str | None = None,
    height: int | None = None,
    width: int | None = None,
    in_format: str = "rgb24",
    out_format: str = "bgr24",
    video_codec: str = "mpeg4",
    options: dict[str, str] | None = None,
) -> None:
    """Writes a clip to an mp4 file.

    Args:
        video: (C, T, H, W) in 0..255, any dtype; or uint8 already in ``in_format``'s order of channels.
        output_path: where to.
        rate: frames per second.
        bit_rate: bits per second; None leaves it to the encoder.
        pix_fmt: of the file; None is ``"yuv420p"``, or ``"rgb24"`` for the codec ``libx264rgb``.
        height: of the file; None keeps the clip's.
        width: of the file; None keeps the clip's.
        in_format: what the channels of ``video`` are.
        out_format: the packed format that goes to the encoder.
        video_codec: FFmpeg's name of the encoder.
        options: of the encoder.

    Raises:
        ValueError: for another shape.
    """
    from pytorchvideo.data._decode._pyav.write import Encoding, write_video

    if video.ndim != 4 or 0 in video.shape:
        raise ValueError(
            expected("video", "a clip (C, T, H, W) with at least one frame", tuple(video.shape))
        )
    frames = video.detach().clamp(0, 255).to(torch.uint8).permute(1, 2, 3, 0)
    encoding = Encoding(
        codec=video_codec,
        options=options or {},
        pix_fmt=pix_fmt or ("rgb24" if video_codec == "libx264rgb" else "yuv420p"),
        bit_rate=bit_rate,
        size=(width or video.shape[3], height or video.shape[2]),
        in_format=in_format,
        out_format=out_format,
    )
    write_video(Path(output_path), frames.contiguous().cpu().numpy(), rate, encoding)


def optional_threaded_foreach(
    target: Callable[..., Any], args_iterable: Iterable[tuple[Any, ...]], multithreaded: bool
) -> None:
    """Calls a function with each tuple of arguments, by several threads on request; its exceptions come through."""
    if not multithreaded:
        for args in args_iterable:
            target(*args)
        return
    with ThreadPoolExecutor(max_workers=_IO_THREADS) as pool:
        for future in [pool.submit(target, *args) for args in args_iterable]:
            future.result()


def get_logger(name: str) -> logging.Logger:
    """Returns the logger of a module; what it shows is the application's choice."""
    return logging.getLogger(name)
