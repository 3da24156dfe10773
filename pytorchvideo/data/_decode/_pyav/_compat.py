# SPDX-License-Identifier: Apache-2.0
"""Differences between versions of PyAV, probed by use."""

import io
from functools import cache
from typing import Any

import av
from av.audio.resampler import AudioResampler
from av.sidedata.sidedata import SideDataContainer
from av.stream import Discard

__all__ = ["Discard", "audio_resampler", "open_input", "pixel_format", "side_data"]


def open_input(file: Any, **options: Any) -> Any:
    """Opens something to read, as ``av.open`` does; names and titles that are no UTF-8 are no errors.

    Args:
        file: what FFmpeg opens.
        options: of ``av.open``.
    """
    opener: Any = av.open  # whose types are those of one version
    return opener(file, "r", **options, **_metadata_options())


@cache
def _metadata_options() -> dict[str, str]:
    """``metadata_errors``, which versions from 19 on neither need nor take."""
    try:
        av.open(io.BytesIO(), metadata_errors="ignore")
    except TypeError:
        return {}
    except (av.error.FFmpegError, EOFError, ValueError):
        pass  # taken: nothing is only no video
    return {"metadata_errors": "ignore"}


def audio_resampler(**options: Any) -> AudioResampler:
    """An ``AudioResampler`` of one thread.

    Versions from 19 on give it one a processor. These live until its memory is collected; in a worker that was forked
    meanwhile they do not exist, and the worker waits for them for ever.

    Args:
        options: of ``AudioResampler``.
    """
    make: Any = AudioResampler  # whose types are those of one version
    try:
        resampler: AudioResampler = make(**options, threads=1)
    except TypeError:
        resampler = make(**options)
    return resampler


def pixel_format(context: Any) -> str | None:
    """FFmpeg's name of a decoder's pixel format, None before it is known.

    ``context.pix_fmt`` says the same, but ends the process in version 17 where nothing is known.
    """
    return context.format.name if context.format is not None else None


def side_data(frame: Any) -> Any:
    """What a decoder tells of a frame besides its pixels, by name.

    ``frame.side_data`` is the same, but in versions before 19 the two keep each other alive until garbage is collected:
    so do the pixels, for which a decoder then takes new memory every time.
    """
    container: Any = SideDataContainer  # whose types are those of one version
    return container(frame)
