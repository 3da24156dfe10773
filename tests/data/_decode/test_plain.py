# SPDX-License-Identifier: Apache-2.0
"""Frames of an opened container against FFmpeg's own, decoded from the start."""

import math
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from pytorchvideo.data._decode._pyav.plain import decode_stream


@pytest.mark.parametrize("options", [{}, {"g": "4", "bf": "2"}])
@pytest.mark.parametrize(("first", "end"), [(0, 6), (7, 20), (29, 30), (12, 12), (25, None)])
def test_frames(
    make_video: Callable[..., Path], options: dict[str, str], first: int, end: int | None
) -> None:
    path = make_video(f"plain{len(options)}.mp4", num_frames=30, fps=30, options=options)
    with av.open(str(path)) as container:
        wanted = {
            frame.pts: frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)
        }
    times = sorted(wanted)
    end_pts = math.inf if end is None else (*times, math.inf)[end]
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        container.seek(times[20], stream=stream)  # where it stands is of no effect
        frames, latest = decode_stream(container, times[first], end_pts, stream, {"video": 0})
    assert [frame.pts for frame in frames] == times[first:end]
    for frame in frames:
        assert np.array_equal(frame.to_ndarray(format="rgb24"), wanted[frame.pts])
    assert latest >= times[first] if frames else latest >= end_pts


def test_sound(make_video: Callable[..., Path]) -> None:
    path = make_video("plain sound.mp4", num_frames=20, fps=10, audio_rate=8000)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        times = [frame.pts for frame in container.decode(audio=0)]
        start, end = times[3], times[7]
        frames, latest = decode_stream(container, start, end, stream, {"audio": 0})
        assert [frame.pts for frame in frames] == times[3:7]
        assert latest == times[7]
        _, latest = decode_stream(container, start, end, stream, {"audio": 0}, buffer_size=2)
        assert latest == times[9]
