# SPDX-License-Identifier: Apache-2.0
"""The choice of a reader for a path."""

from pathlib import Path
from typing import Any

from pytorchvideo.data._video import Video
from pytorchvideo.data.encoded_video import EncodedVideo
from pytorchvideo.data.frame_video import FRAME_OPTIONS, FrameVideo

__all__ = ["Video", "VideoPathHandler"]


class VideoPathHandler:
    """Opens whatever a path names: a file through FFmpeg, a directory as a folder of frames.

    Args:
        fps: frames per second of a directory, where a call does not say otherwise.
    """

    def __init__(self, *, fps: float = 30.0) -> None:
        self._fps = fps
        self.path_order_cache: dict[str, list[str]] = {}

    def video_from_path(
        self,
        filepath: str | Path,
        decode_video: bool = True,
        decode_audio: bool = False,
        decoder: str = "pyav",
        fps: float | None = None,
        **options: Any,
    ) -> Video:
        """Returns a reader for a path.

        Args:
            filepath: a video file, a URL that fsspec knows, or a directory of frames.
            decode_video: whether clips carry frames.
            decode_audio: whether clips carry sound; a directory has none.
            decoder: see :class:`~pytorchvideo.data.encoded_video.EncodedVideo`.
            fps: frames per second of a directory; by default those of the handler.
            options: other arguments of :class:`~pytorchvideo.data.encoded_video.EncodedVideo`; of these
                a directory takes ``dtype`` and the limits, and leaves the others, which are about files.

        Raises:
            FileNotFoundError: if there is neither a file nor a directory.
            VideoError: (a RuntimeError) if the file cannot be read as a video.
        """
        if Path(filepath).is_dir():
            rate = self._fps if fps is None else fps
            known = {name: options[name] for name in FRAME_OPTIONS if name in options}
            cache = self.path_order_cache
            return FrameVideo.from_directory(filepath, rate, path_order_cache=cache, **known)
        return EncodedVideo.from_path(
            filepath,
            decode_video=decode_video,
            decode_audio=decode_audio,
            decoder=decoder,
            **options,
        )
