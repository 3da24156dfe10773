# SPDX-License-Identifier: Apache-2.0
"""Frames of a container opened by the caller: seek, decode, keep what is asked for."""

from typing import Any

from av.container import InputContainer
from av.stream import Stream

# So many ticks before the wanted one is sought, as the key frame at or before a tick may be stored after it.
_MARGIN = 1024


def decode_stream(
    container: InputContainer,
    start_pts: float,
    end_pts: float,
    stream: Stream,
    stream_name: dict[str, int],
    buffer_size: int = 0,
) -> tuple[list[Any], int]:
    """Decodes the frames of a stream with ``start_pts <= pts < end_pts``.

    Projects call it with the ``_container`` of an :class:`~pytorchvideo.data.encoded_video.EncodedVideo`. None of what
    ``get_clip`` does about damage and wrong times is done here.

    Args:
        container: an opened file; where it stands is changed.
        start_pts: in ticks of the stream.
        end_pts: likewise; ``math.inf`` goes on to the end.
        stream: what to decode, a stream of the container.
        stream_name: the same as keywords of ``container.decode``, such as ``{"video": 0}``.
        buffer_size: how many frames from ``end_pts`` on are decoded too, for files that are out of order.

    Returns:
        the frames of PyAV in the order of their times, one a time, and the latest time that was decoded (0 for none).
    """
    container.seek(int(start_pts) - _MARGIN, stream=stream, backward=True, any_frame=False)
    frames: dict[int, Any] = {}
    latest, num_later = 0, 0
    for frame in container.decode(**stream_name):
        if frame.pts is None:
            continue
        latest = max(latest, frame.pts)
        if start_pts <= frame.pts < end_pts:
            frames[frame.pts] = frame
        elif frame.pts >= end_pts:
            num_later += 1
            if num_later > buffer_size:
                break
    return [frames[pts] for pts in sorted(frames)], latest
