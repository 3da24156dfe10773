# SPDX-License-Identifier: Apache-2.0
"""The only code that knows codecs: files in, upright uint8 frames and float samples out.

Everything above works with :class:`Frames` and :class:`AudioSamples`; the one folder that touches PyAV is
``_pyav``, the one that opens images is ``_images.py``, and torchcodec is ``_torchcodec.py``.
"""

from pytorchvideo.data._decode._decoder import Decoder
from pytorchvideo.data._decode._frame_index import FrameIndex
from pytorchvideo.data._decode._types import (
    AudioSamples,
    FrameFilter,
    FrameResize,
    Frames,
    FrameTransform,
    Orientation,
    Time,
    VideoError,
    VideoInfo,
    as_time,
    as_window,
    ceil_ticks,
    check_dtype,
    check_file,
    check_window,
    floor_ticks,
    pick_frames,
    select_frames,
    window_name,
)

__all__ = [
    "AudioSamples",
    "Decoder",
    "FrameFilter",
    "FrameIndex",
    "FrameResize",
    "FrameTransform",
    "Frames",
    "Orientation",
    "Time",
    "VideoError",
    "VideoInfo",
    "as_time",
    "as_window",
    "ceil_ticks",
    "check_dtype",
    "check_file",
    "check_window",
    "floor_ticks",
    "pick_frames",
    "select_frames",
    "window_name",
]
