# SPDX-License-Identifier: Apache-2.0
"""What differs between the versions of PyAV; probed, and nowhere else."""

import io
from functools import cache
from typing import Any

import av
from av.stream import Discard

__all__ = ["Discard", "open_input"]


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
