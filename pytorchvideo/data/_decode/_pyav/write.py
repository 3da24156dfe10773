# SPDX-License-Identifier: Apache-2.0
"""Frames into an mp4 file."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def write_frames(
    frames: np.ndarray,
    path: Path,
    *,
    rate: int | Fraction,
    bit_rate: int | None,
    pix_fmt: str,
    size: tuple[int, int],
    in_format: str,
    out_format: str,
    codec: str,
    options: dict[str, str],
) -> None:
    """Encodes uint8 frames (T, H, W, C) of FFmpeg's ``in_format``; ``size`` is (width, height) of the file."""
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format=in_format).reformat(
                format=out_format
            )
            frame.pts = index
            frame.time_base = 1 / Fraction(rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
